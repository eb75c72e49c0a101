"""A calendar whose series are shown by their occurrences (``abilities.Unfolding``), over the calendar itself, whatever
its server and the form of its items.

Each occurrence in the window is an item: the engine maps, merges, writes and undoes it like any other. Why here:
docs/decisions/0008-series-by-their-occurrences.md. What an item is (an event, a series) shows only when it is read, so
that what changed is read while the changes are told; ``fetch`` answers from that.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Generic

from crmsync.connectors.abilities import Window
from crmsync.connectors.contract import (
    SERIES,
    Attachment,
    Capabilities,
    Columns,
    Connector,
    Cursor,
    Gone,
    Hidden,
    Kind,
    Outcome,
    Page,
    Record,
    Ref,
    Selection,
    Unreadable,
    Write,
    occurrence_of,
)
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.dav.reading import batched
from crmsync.connectors.series import unfolded
from crmsync.connectors.series.counted import Folded, S
from crmsync.connectors.series.shifted import Parts, heirs
from crmsync.connectors.series.spool import Spool
from crmsync.connectors.series.telling import Telling, day_of, inherited
from crmsync.connectors.series.unfolded import Mark

Answer = Record | Gone | Hidden | Unreadable


class Occurrences(ABC, Generic[S]):
    def __init__(
        self,
        inner: Connector,
        window: Window,
        now: Callable[[], datetime],
        spool: "Spool[Record | Folded[S]]",
    ) -> None:
        """``spool``: from telling of a change to the question what it is."""
        self._calendar = inner
        self._capabilities = replace(inner.capabilities, concurrent=False)  # the spool is one thread's
        self._telling: Telling[S] = Telling(window, now)
        self._spool = spool

    @abstractmethod
    def counted(self, records: Sequence[Record]) -> Iterator[Record | S]:
        """For each event that is repeated its series, or the record to be told instead, if it cannot be counted out.
        Raises ConnectorError."""

    @abstractmethod
    def native(self, series: S, slot: datetime) -> str:
        """From which the occurrence can be put back; empty: it cannot."""

    def files(self, series: S, slot: datetime) -> tuple[Attachment, ...]:
        """What belongs to one occurrence travels with it. What belongs to the series would be copied for each."""
        return ()

    @abstractmethod
    def apply(self, writes: Sequence[Write]) -> Iterator[Outcome]: ...

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def project(self, kind: Kind, columns: Columns) -> Columns:
        return self._calendar.project(kind, columns)

    # ── What changed ─────────────────────────────────────────────────────────────────────────────────────────

    def changes(self, since: Cursor | None, selection: Selection) -> Iterator[Page]:
        self._spool.clear()
        ahead = int(self._telling.window.ahead.total_seconds())
        mark = unfolded.decode(since) if since is not None else None
        shown = dict(mark.series) if mark else {}
        for page in self._calendar.changes(mark.inner if mark else None, selection):
            parts = Parts()
            told = [
                each for item in self._read(page.items) for each in self._telling.told(item, shown, parts)
            ]
            told = inherited(told, heirs(parts))
            yield Page(tuple(told), unfolded.encode(Mark(page.cursor, ahead, shown)))
            last = page.cursor
        due = self._telling.due(shown) if mark and mark.ahead == ahead else list(shown)
        for some in batched(due if mark else [], self.capabilities.batch):
            told = [
                each
                for item in self._read([Ref(id, "") for id in some])
                for each in self._telling.told(item, shown, Parts(), only_new=True)
            ]
            yield Page(tuple(told), unfolded.encode(Mark(last, ahead, shown)))

    def _read(self, items: Sequence[Record | Ref | Gone]) -> Iterator[Record | Ref | Gone | Folded[S]]:
        """What changed, and what it is."""
        refs = {
            item.id: item for item in items if not isinstance(item, Gone) and occurrence_of(item.id) is None
        }
        yield from (item for item in items if isinstance(item, Gone))
        for some in batched(list(refs), self.capabilities.batch):
            for id, seen in self.look(some):
                if not isinstance(seen, Record | Folded):  # the engine asks again, and hears it then
                    yield refs[id]
                    continue
                self._spool.put(seen.record if isinstance(seen, Folded) else seen, seen)
                yield seen

    # ── Items ────────────────────────────────────────────────────────────────────────────────────────────────

    def listing(self) -> Iterator[Ref]:
        return self._calendar.listing()

    def fetch(self, ids: Sequence[str]) -> Iterator[Answer]:
        wanted: dict[str, list[str]] = {}  # names by series; "" is the item itself
        for id in dict.fromkeys(ids):
            series, name = occurrence_of(id) or (id, "")
            wanted.setdefault(series, []).append(name)
        missing: list[str] = []
        for id, names in wanted.items():
            found = self.read_before(id)
            if found is None:
                missing.append(id)
            else:
                yield from self._answers(id, found, names)
        for id, seen in self.look(missing):
            yield from self._answers(id, seen, wanted[id])

    def read_before(self, id: str) -> Record | Folded[S] | None:
        """What was read while its change was told, and has not been asked for since."""
        kept = self._spool.take(id)
        return kept[1] if kept is not None else None

    def look(self, ids: Sequence[str]) -> Iterator[tuple[str, Answer | Folded[S]]]:
        """Items of the calendar itself, the series among them counted out."""
        for some in batched(list(ids), self.capabilities.batch):
            answers = list(self._calendar.fetch(some))
            repeated = [a for a in answers if isinstance(a, Record) and _is_repeated(a)]
            series = {
                record.id: Folded(record, found) if not isinstance(found, Record) else found
                for record, found in zip(repeated, self._checked(repeated), strict=True)
            }
            yield from ((answer.id, series.get(answer.id, answer)) for answer in answers)

    def checked(self, record: Record) -> Record | Folded[S]:
        """One that was read already, counted out if it is repeated."""
        if not _is_repeated(record):
            return record
        (found,) = self._checked([record])
        return found if isinstance(found, Record) else Folded(record, found)

    def _checked(self, records: Sequence[Record]) -> Iterator[Record | S]:
        """With those left out that turn out not to be countable as far as the window goes."""
        for record, found in zip(records, self.counted(records), strict=True):
            if isinstance(found, Record):
                yield found
                continue
            try:
                self._telling.shown(found)
            except Malformed as error:
                yield uncounted(record, error)
            else:
                yield found

    def _answers(self, id: str, found: Answer | Folded[S], names: Sequence[str]) -> Iterator[Answer]:
        for name in names:
            whole = f"{id}#{name}" if name else id
            match found:
                case Folded(record=record, series=series):
                    whole_series = replace(record, columns={}, untouchable=SERIES)
                    yield self.occurrence(record, series, name) if name else whole_series
                case Record() | Unreadable() if not name:
                    yield found
                case Record(untouchable=reason) if reason:
                    yield replace(found, id=whole, columns={}, uid=f"{found.uid}#{name}")
                case Record(columns=columns):  # an event by itself now, which may be what is left of this one
                    yield Hidden(whole) if self._over(name) or name[:8] == day_of(columns) else Gone(whole)
                case Unreadable():
                    yield replace(found, id=whole)
                case Gone():
                    yield Hidden(whole) if name and self._over(name) else Gone(whole)
                case Hidden():
                    yield Hidden(whole)

    def occurrence(self, record: Record, series: S, name: str) -> Record | Gone | Hidden:
        """One that is over and no longer there was not cancelled: the series was made to begin later, say."""
        id = f"{record.id}#{name}"
        slot = series.slot(name)
        if slot is None:
            return Hidden(id) if series.before(name, self._telling.start()) else Gone(id)
        found = series.occurrence(slot)
        return Record(
            id=id,
            version=found.version,
            kind=Kind.APPOINTMENT,
            columns=found.columns,
            modified=record.modified,
            uid=f"{record.uid}#{name}",
            tags=found.tags,
            native=self.native(series, slot),
            private=found.private,
            attachments=self.files(series, slot),
        )

    def _over(self, name: str) -> bool:
        return name[:8] < f"{self._telling.start():%Y%m%d}"


def uncounted(record: Record, error: Malformed) -> Record:
    return replace(record, untouchable=f"recurring, and {error.rule}")


def _is_repeated(record: Record) -> bool:
    return record.untouchable == "recurring" and record.kind is Kind.APPOINTMENT
