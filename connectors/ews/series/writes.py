"""Writes to occurrences. Exchange makes an exception of the one that is written to; the series itself is left as it is.

Every occurrence of a series has the change key of the series, so that they are written one after the other. Their own
version is that of what they say: whoever edits another one meanwhile is in nobody's way.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from crmsync.connectors.contract import (
    Connector,
    Create,
    Delete,
    Done,
    Gone,
    Hidden,
    Kind,
    Outcome,
    Record,
    Refused,
    Stale,
    Unreadable,
    Update,
    Write,
    occurrence_of,
)
from crmsync.connectors.dav.item import Malformed as MalformedOccurrence
from crmsync.connectors.ews import client, faults, mapping, wire
from crmsync.connectors.ews.client import Exchange
from crmsync.connectors.ews.properties import Malformed, Properties, Property, moment
from crmsync.connectors.ews.series.series import Series
from crmsync.connectors.ews.series.wire import occurrence_id
from crmsync.connectors.ews.wire import M
from crmsync.connectors.series.counted import Folded
from crmsync.connectors.series.occurrences import Answer

_NEEDS = mapping.NEEDS[Kind.APPOINTMENT]
_NOT_THERE = frozenset({"ErrorCalendarOccurrenceIsDeletedFromRecurrence", *faults.MISSING})
_MISCOUNTED = "Exchange counts the dates of this series in another way than we do; it is left as it is"


class Shown(Protocol):
    """The calendar with its series unfolded."""

    @property
    def inner(self) -> Connector: ...

    def look(self, ids: Sequence[str]) -> Iterator[tuple[str, Answer | Folded[Series]]]: ...

    def occurrence(self, record: Record, series: Series, name: str) -> Record | Gone | Hidden: ...


@dataclass(frozen=True, slots=True)
class _Target:
    """An occurrence as the server has it at this moment."""

    item: str
    change_key: str
    standing: Properties
    version: str


class Writes:
    def __init__(self, shown: Shown, exchange: Exchange, zone: mapping.Zone) -> None:
        self._shown, self._exchange, self._zone = shown, exchange, zone

    def apply(self, writes: Sequence[Write]) -> Iterator[Outcome]:
        plain: list[Write] = []
        for write in writes:
            if isinstance(write, Create) or occurrence_of(write.id) is None:
                plain.append(write)
                continue
            yield from self._shown.inner.apply(plain)
            plain = []
            yield self._to_occurrence(write)
        yield from self._shown.inner.apply(plain)

    def _to_occurrence(self, write: Update | Delete) -> Outcome:
        id, name = occurrence_of(write.id) or ("", "")
        ((_, seen),) = self._shown.look([id])
        if not isinstance(seen, Folded):
            return _without_series(write, seen)
        slot = seen.series.slot(name)
        if slot is None:
            return Done(write.id, "") if isinstance(write, Delete) else Stale(write.id)
        target = self._target(write.id, id, seen.series, slot)
        if not isinstance(target, _Target):
            return target
        if target.version != write.expected:
            return Stale(write.id)
        if isinstance(write, Delete):
            return self._delete(write, target)
        return self._update(write, target)

    def _target(self, whole: str, id: str, series: Series, slot: datetime) -> _Target | Outcome:
        """The occurrence that stands at this place by the server's own count: nothing else is ever written to."""
        changed = series.changed.get(slot)
        named = wire.item_id(changed.item) if changed else occurrence_id(id, series.index(slot))
        asked = wire.element(
            "m:GetItem", wire.shape(Kind.APPOINTMENT, _NEEDS), wire.element("m:ItemIds", named)
        )
        (answer,) = self._exchange.each("GetItem", asked, 1)
        if answer.code in _NOT_THERE:
            return Stale(whole)
        if answer.code == "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange":
            return Refused(whole, "untouchable", _MISCOUNTED)
        if not answer.ok:
            return faults.written(whole, answer.code, answer.text, back_off=answer.back_off)
        item = answer.element.find(f"{M}Items/*")
        found = wire.found(item) if item is not None else None
        if found is None:
            return Stale(whole)
        try:
            standing = wire.properties(Kind.APPOINTMENT, found.element)
            version = series.version(standing)
        except (Malformed, MalformedOccurrence) as error:
            return Refused(whole, "unreadable", error.rule)
        if changed is None and moment(standing, "Start") != series.start(slot):
            return Refused(whole, "untouchable", _MISCOUNTED)
        return _Target(found.id, found.change_key, standing, version)

    def _update(self, write: Update, target: _Target) -> Outcome:
        """A link stamp has no place on an occurrence: by its columns and the external id it is found as well."""
        told = mapping.write(Kind.APPOINTMENT, target.standing, write.columns, zone=self._zone, tag=write.tag)
        if not told:
            return Done(write.id, write.expected)
        answer = self._sent(target, told)
        if not answer.ok:
            return faults.written(write.id, answer.code, answer.text, back_off=answer.back_off)
        return self._done(write.id)

    def _sent(self, target: _Target, told: Mapping[str, Property]) -> client.Answer:
        change = wire.element(
            "t:ItemChange",
            wire.item_id(target.item, target.change_key),
            wire.updates(Kind.APPOINTMENT, told),
        )
        payload = wire.element(
            "m:UpdateItem",
            wire.element("m:ItemChanges", change),
            ConflictResolution="NeverOverwrite",
            MessageDisposition="SaveOnly",
            SendMeetingInvitationsOrCancellations="SendToNone",
        )
        (answer,) = self._exchange.each("UpdateItem", payload, 1)
        return answer

    def _delete(self, write: Delete, target: _Target) -> Outcome:
        payload = wire.element(
            "m:DeleteItem",
            wire.element("m:ItemIds", wire.item_id(target.item, target.change_key)),
            DeleteType="MoveToDeletedItems",
            SendMeetingCancellations="SendToNone",
        )
        (answer,) = self._exchange.each("DeleteItem", payload, 1)
        if answer.ok or answer.code in _NOT_THERE:
            return Done(write.id, "")
        return faults.deleted(write.id, answer.code, answer.text, back_off=answer.back_off)

    def _done(self, whole: str) -> Outcome:
        id, name = occurrence_of(whole) or ("", "")
        ((_, seen),) = self._shown.look([id])
        if isinstance(seen, Folded):
            record = self._shown.occurrence(seen.record, seen.series, name)
            if isinstance(record, Record):
                return Done(whole, record.version, record)
        return Done(whole, "")


def _without_series(write: Update | Delete, found: Record | Gone | Hidden | Unreadable) -> Outcome:
    match found:
        case Gone():
            return Done(write.id, "") if isinstance(write, Delete) else Stale(write.id)
        case Hidden():
            return Refused(write.id, "forbidden", "the item cannot be read with this login")
        case Unreadable(reason=reason):
            return Refused(write.id, "unreadable", reason)
        case Record(untouchable=reason) if reason:
            return Refused(write.id, "untouchable", f"this item is left as it is: {reason}")
        case Record():  # it is one event by now
            return Stale(write.id)
