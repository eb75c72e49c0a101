"""What the events of ARI mean. Pure but for what ``Legs`` remembers."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from crmsync.connectors.asterisk.legs import Channel, Legs, known
from crmsync.connectors.telephony.contract import Event

OURS = "crmsync-"  # ids of the channels that we have asked for begin so


def events(legs: Legs, told: Mapping[str, Any], at: datetime) -> Iterator[Event]:
    channel = _dict(told, "channel")
    id = _text(channel, "id")
    match told.get("type"):
        case "Dial":
            yield from _dialled(legs, told, at)
        case "ChannelDestroyed":
            cause = told.get("cause")
            code = cause if isinstance(cause, int) else 0
            yield from legs.hung_up(legs.linked_of(id), id, code, at)
        case "ChannelHold" | "ChannelUnhold":
            yield from legs.held(id, at, on=told["type"] == "ChannelHold")
        case "BridgeBlindTransfer":
            yield from legs.passed_on(id, _text(told, "exten"), at)


def _dialled(legs: Legs, told: Mapping[str, Any], at: datetime) -> Iterator[Event]:
    peer, caller = _dict(told, "peer"), _dict(told, "caller")
    called, status = _channel(peer), _text(told, "dialstatus")
    if status not in ("", "RINGING", "PROGRESS", "PROCEEDING"):
        yield from legs.dialled(legs.linked_of(called.id), called.id, status, at)
        return
    if caller:
        linked = _text(caller, "protocol_id") or _text(caller, "id")
        yield from legs.dialling(linked, _channel(caller), called, called.number, at)
    elif known(_text(_dict(peer, "connected"), "number")) and not called.id.startswith(OURS):
        # rung by a programme, or by the dial plan before anybody is there: who is calling stands in ``connected``
        line = _dict(peer, "connected")
        outside = Channel("", "", known(_text(line, "number")), known(_text(line, "name")))
        linked = _text(peer, "protocol_id") or called.id
        yield from legs.dialling(linked, outside, called, called.number, at)


def _channel(told: Mapping[str, Any]) -> Channel:
    line = _dict(told, "caller")
    number, name = known(_text(line, "number")), known(_text(line, "name"))
    return Channel(_text(told, "id"), _text(told, "name"), number, name)


def _dict(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = told.get(name)
    return found if isinstance(found, dict) else {}


def _text(told: Mapping[str, Any], name: str) -> str:
    found = told.get(name)
    return found[:1000] if isinstance(found, str) else ""
