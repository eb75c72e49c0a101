"""Writes to occurrences, folded into one write for each series: several of them share a text and its version.

The version of an occurrence is that of what it says, not of the series: whoever edits another one meanwhile is in
nobody's way. What the server's precondition guards is the text that was looked at just before.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from crmsync.connectors.caldav import exceptions
from crmsync.connectors.caldav.series import Series
from crmsync.connectors.contract import (
    Create,
    Delete,
    Done,
    Gone,
    Hidden,
    Outcome,
    Record,
    Refused,
    Stale,
    Unreadable,
    Update,
    Write,
    occurrence_of,
)
from crmsync.connectors.dav.connector import DavConnector
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.dav.writing import Replace

Change = Update | Delete | Create  # of one occurrence; a create puts one back


@dataclass(slots=True)
class Batch:
    """Writes that go out together: all to occurrences, those of one series next to each other, or none of them."""

    series: dict[str, list[Change]] = field(default_factory=dict)
    plain: list[Write] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """What one series' text shall be, and what is known already of its writes."""

    id: str
    step: Replace | Delete | None  # None: nothing is left to write
    outcomes: list[Outcome | Change]  # in the order of the writes; a ``Change`` is decided by the step


class Writes:
    def __init__(
        self,
        inner: DavConnector,
        occurrence: Callable[[Record, Series, str], Record | Gone | Hidden],
    ) -> None:
        self._inner = inner
        self._occurrence = occurrence

    def apply(self, writes: Sequence[Write]) -> Iterator[Outcome]:
        for batch in self._batches(writes):
            if batch.plain:
                yield from self._inner.apply(batch.plain)
            else:
                yield from self._to_series(batch.series)

    def _batches(self, writes: Sequence[Write]) -> Iterator[Batch]:
        batch, last = Batch(), ""
        for write in writes:
            series = self._series_of(write)
            again = series != last and series in batch.series
            if again or (batch.plain if series else batch.series):
                yield batch
                batch = Batch()
            if series:
                batch.series.setdefault(series, []).append(write)
            else:
                batch.plain.append(write)
            last = series
        if batch.plain or batch.series:
            yield batch

    def _series_of(self, write: Write) -> str:
        """Empty: it is no write to an occurrence."""
        if not isinstance(write, Create):
            found = occurrence_of(write.id)
            return found[0] if found else ""
        if not write.native or "RECURRENCE-ID" not in write.native:
            return ""
        alone = exceptions.alone(write.native, self._inner.default_zone)
        return (self._inner.with_uid(alone.uid) or "") if alone and alone.uid else ""

    def _to_series(self, series: Mapping[str, list[Change]]) -> Iterator[Outcome]:
        there = {found.id: found for found in self._inner.fetch(list(series))}
        plans = [self._plan(there[id], changes) for id, changes in series.items()]
        answers = self._inner.apply([plan.step for plan in plans if plan.step is not None])
        for plan in plans:
            answer = next(answers) if plan.step is not None else None
            yield from self._judged(plan, answer)

    def _plan(self, found: Record | Gone | Hidden | Unreadable, changes: Sequence[Change]) -> Plan:
        id = found.id
        if not isinstance(found, Record):
            return Plan(id, None, [_without_series(each, found) for each in changes])
        try:
            series = Series(found.native, self._inner.default_zone)
        except Malformed as error:
            reason = f"this item is left as it is: {error.rule}"
            return Plan(id, None, [Refused(_id(each), "untouchable", reason) for each in changes])
        outcomes: list[Outcome | Change] = []
        text = found.native
        for each in changes:
            if not text:
                outcomes.append(Stale(_id(each)))
                continue
            outcome, text = self._step(series, each, id)
            outcomes.append(outcome)
            if text and text != series.text:
                series = Series(text, self._inner.default_zone)
        if not any(isinstance(each, Update | Delete | Create) for each in outcomes):
            return Plan(id, None, outcomes)
        step = Replace(id, found.version, text, found.native) if text else Delete(id, found.version)
        return Plan(id, step, outcomes)

    def _step(self, series: Series, change: Change, id: str) -> tuple[Outcome | Change, str]:
        """What becomes of one write, and the text with it."""
        now = self._inner.now()
        if isinstance(change, Create):
            return self._back(series, change, id, now)
        name = (occurrence_of(change.id) or ("", ""))[1]
        slot = series.slot(name)
        if slot is None:
            gone: Outcome = Done(change.id, "") if isinstance(change, Delete) else Stale(change.id)
            return gone, series.text
        if series.occurrence(slot).version != change.expected:
            return Stale(change.id), series.text
        if isinstance(change, Delete):
            return change, exceptions.without(series, slot, now)
        # a link stamp has no place on an occurrence: by UID and external id it is found as well
        try:
            text = exceptions.changed(series, slot, change.columns, tag=change.tag, now=now)
        except Malformed as error:
            return Refused(change.id, "unreadable", error.rule), series.text
        if text == series.text:
            return Done(change.id, change.expected), text
        return change, text

    def _back(self, series: Series, change: Create, id: str, now: datetime) -> tuple[Outcome | Change, str]:
        alone = exceptions.alone(change.native, self._inner.default_zone)
        if alone is None:
            return Refused(change.key, "unfit", "it is no occurrence of a series"), series.text
        whole = change.key
        try:
            slot = exceptions.place_of(series, alone)
            whole = f"{id}#{series.name(slot)}"
            if series.slot(series.name(slot)) is not None:
                return Done(whole, series.occurrence(slot).version, found=True), series.text
            return replace(change, key=whole), exceptions.put_back(series, slot, alone, now)
        except Malformed as error:
            return Refused(whole, "unfit", error.rule), series.text

    def _judged(self, plan: Plan, answer: Outcome | None) -> Iterator[Outcome]:
        """What became of the series became of each of its occurrences."""
        kept = answer.record if isinstance(answer, Done) else None
        series = None
        if kept is not None:
            try:
                series = Series(kept.native, self._inner.default_zone)
            except Malformed:
                series = None
        for each in plan.outcomes:
            if not isinstance(each, Update | Delete | Create):
                yield each
                continue
            id = _id(each)
            match answer:
                case Done() if isinstance(each, Delete) or kept is None or series is None:
                    yield Done(id, "")
                case Done():
                    assert kept is not None
                    assert series is not None
                    found = self._occurrence(kept, series, (occurrence_of(id) or ("", ""))[1])
                    yield Done(id, found.version, found) if isinstance(found, Record) else Done(id, "")
                case None:
                    yield Stale(id)
                case _:
                    yield replace(answer, id=id)


def _id(change: Change) -> str:
    return change.key if isinstance(change, Create) else change.id


def _without_series(change: Change, found: Gone | Hidden | Unreadable) -> Outcome:
    match found:
        case Gone():
            return Done(_id(change), "") if isinstance(change, Delete) else Stale(_id(change))
        case Hidden():
            return Refused(_id(change), "forbidden", "the item cannot be read with this login")
        case Unreadable(reason=reason):
            return Refused(_id(change), "unreadable", reason)
