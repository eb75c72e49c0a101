"""What the events of AMI mean. Pure but for what ``Legs`` remembers."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from crmsync.connectors.asterisk.legs import Channel, Legs, known
from crmsync.connectors.telephony.contract import Event

# Newchannel may say ``<unknown>``, and a Cdr comes three times for one call without naming it: who is called shows with
# DialBegin, and the end with the hang-ups.


def events(legs: Legs, told: Mapping[str, str], at: datetime) -> Iterator[Event]:
    linked = told.get("Linkedid") or told.get("DestLinkedid") or ""
    match told.get("Event"):
        case "Newchannel":
            legs.there(linked, told.get("Uniqueid", ""))
        case "DialBegin":
            called = Channel(told.get("DestUniqueid", ""), told.get("DestChannel", ""))
            number = known(told.get("DestCallerIDNum", "")) or known(told.get("Exten", ""))
            yield from legs.dialling(linked, _caller(told), called, number, at)
        case "DialEnd":
            yield from legs.dialled(linked, told.get("DestUniqueid", ""), told.get("DialStatus", ""), at)
        case "Hangup":
            cause = told.get("Cause", "")
            code = int(cause) if cause.isdecimal() and len(cause) < 4 else 0
            yield from legs.hung_up(linked, told.get("Uniqueid", ""), code, at)
        case "Hold" | "Unhold":
            yield from legs.held(told.get("Uniqueid", ""), at, on=told["Event"] == "Hold")
        case "BlindTransfer":
            yield from legs.passed_on(told.get("TransfererUniqueid", ""), told.get("Extension", ""), at)
        case "AttendedTransfer":
            to = told.get("TransferTargetCallerIDNum", "")
            yield from legs.passed_on(told.get("OrigTransfererUniqueid", ""), to, at)


def _caller(told: Mapping[str, str]) -> Channel | None:
    if not told.get("Channel"):
        return None
    number, name = known(told.get("CallerIDNum", "")), known(told.get("CallerIDName", ""))
    return Channel(told.get("Uniqueid", ""), told["Channel"], number, name)
