"""What is told of a change in a calendar whose series are shown by their occurrences. No I/O."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Generic

from crmsync.connectors.abilities import Window
from crmsync.connectors.contract import Columns, Gone, Record, Ref
from crmsync.connectors.series.counted import Folded, S, Series
from crmsync.connectors.series.shifted import Held, Parts, survivors
from crmsync.connectors.series.unfolded import Shown

Told = Record | Ref | Gone


@dataclass(frozen=True, slots=True)
class Telling(Generic[S]):
    """``shown``: what has been told of, by series; it is brought up to date. ``parts``: of one look at the calendar."""

    window: Window
    now: Callable[[], datetime]

    def start(self) -> datetime:
        return self.now() - self.window.back

    def horizon(self) -> datetime:
        return self.now() + self.window.ahead

    def due(self, shown: Mapping[str, Shown]) -> list[str]:
        """Series of which something enters the window."""
        horizon = self.horizon()
        return [id for id, each in shown.items() if each.again is not None and each.again <= horizon]

    def told(
        self,
        item: Record | Ref | Gone | Folded[S],
        shown: dict[str, Shown],
        parts: Parts,
        *,
        only_new: bool = False,
    ) -> Iterator[Told]:
        id = item.record.id if isinstance(item, Folded) else item.id
        before = shown.pop(id, None)
        match item:
            case Folded(series=series):
                shown[id] = self.shown(series)
                if before is None:
                    parts.begun.update({f"{id}#{n}": _held(series, n) for n in shown[id].names})
                yield from self._of_series(id, series, before, shown[id], parts, only_new=only_new)
            case Gone():
                yield from (Gone(f"{id}#{name}") for name in _names(before))
                yield item
            case Record(untouchable=reason) if before is not None and reason:
                shown[id] = before  # it may be counted out again one day
                yield item
            case Record():
                yield from self._single_again(item, before)
                yield item
            case Ref():
                if before is not None:
                    shown[id] = before
                yield item

    def shown(self, series: S) -> Shown:
        horizon = self.horizon()
        names = frozenset(series.between(self.start(), horizon))
        return Shown(names, series.next_after(horizon))

    def _of_series(
        self,
        id: str,
        series: S,
        before: Shown | None,
        now: Shown,
        parts: Parts,
        *,
        only_new: bool,
    ) -> Iterator[Told]:
        known = before.names if before else frozenset()
        start = self.start()
        vanished = [n for n in _names(before) if n not in now.names and not series.before(n, start)]
        vanished = [n for n in vanished if series.slot(n) is None]
        became = survivors(vanished, sorted(now.names - known))
        parts.ended.update({f"{id}#{n}": _held(series, n) for n in vanished if n not in became})
        for name in vanished:
            yield Gone(f"{id}#{name}", f"{id}#{became[name]}" if name in became else "")
        if before is None:  # it may have been an event by itself until now
            first = series.first or next(iter(sorted(now.names)), "")
            yield Gone(id, f"{id}#{first}" if first else "")
        for name in sorted(now.names - known if only_new else now.names):
            slot = series.slot(name)
            if slot is not None:
                found = series.occurrence(slot)
                yield Ref(f"{id}#{name}", found.version)

    def _single_again(self, record: Record, before: Shown | None) -> Iterator[Told]:
        """What was a series: the event is the first of its occurrences that is left, by its day, else the earliest."""
        names = _names(before)
        heir = next((n for n in names if n[:8] == day_of(record.columns)), next(iter(names), ""))
        for name in names:
            yield Gone(f"{record.id}#{name}", record.id if name == heir else "")


def inherited(told: Sequence[Told], heirs: Mapping[str, str]) -> list[Told]:
    """With who takes the place of what has gone, where another series holds it."""
    return [Gone(each.id, heirs[each.id]) if each.id in heirs else each for each in told]


def day_of(columns: Columns) -> str:
    """When an event begins; in UTC, which is near enough."""
    start = columns.get("start")
    return f"{start:%Y%m%d}" if isinstance(start, date) else ""


def _held(series: Series, name: str) -> Held:
    slot = series.slot(name)
    subject = series.subject if slot is None else series.occurrence(slot).columns.get("subject")
    return Held(name[:8], subject, (slot or series.begins).time())


def _names(shown: Shown | None) -> list[str]:
    return sorted(shown.names) if shown else []
