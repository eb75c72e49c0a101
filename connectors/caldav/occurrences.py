"""A calendar whose series are shown by their occurrences (``contract.Unfolding``), over the calendar itself.

Each occurrence in the window is an item: the engine maps, merges, writes and undoes it like any other. Why here:
docs/decisions/0008-series-by-their-occurrences.md. What an item is (an event, a series) shows only when it is read, so
that what changed is read while the changes are told; ``fetch`` answers from that.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from crmsync.connectors.caldav import exceptions, unfolded
from crmsync.connectors.caldav.attachments import files_of
from crmsync.connectors.caldav.occurrence import Occurrence
from crmsync.connectors.caldav.occurrence_writes import Writes
from crmsync.connectors.caldav.series import Series
from crmsync.connectors.caldav.shifted import Held, Parts, heirs, survivors
from crmsync.connectors.caldav.spool import Spool
from crmsync.connectors.caldav.unfolded import Mark, Shown
from crmsync.connectors.contract import (
    SERIES,
    Attachment,
    Capabilities,
    Columns,
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
    Window,
    Write,
    occurrence_of,
)
from crmsync.connectors.dav.connector import DavConnector
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.dav.reading import batched

Answer = Record | Gone | Hidden | Unreadable
Told = Record | Ref | Gone


@dataclass(slots=True)
class Folded:
    """A series as it stands on the server."""

    record: Record
    series: Series


class Occurrences:
    def __init__(
        self, inner: DavConnector, window: Window, spool: "Spool[Record | Folded] | None" = None
    ) -> None:
        self.inner = inner
        self._window = window
        # from telling of a change to the question what it is
        self._spool = spool or Spool[Record | Folded]()

    @property
    def capabilities(self) -> Capabilities:
        return self.inner.capabilities

    def project(self, kind: Kind, columns: Columns) -> Columns:
        return self.inner.project(kind, columns)

    def named(self, text: str) -> str | None:
        found = occurrence_of(text)
        series = self.inner.named(found[0]) if found else None
        return f"{series}#{found[1]}" if found and series else self.inner.named(text)

    def dates(self, items: Sequence[Ref]) -> Mapping[str, datetime]:
        """Of an occurrence: when its series was changed."""
        return self.inner.dates([each for each in items if occurrence_of(each.id) is None])

    def addresses(self) -> frozenset[str]:
        return self.inner.addresses()

    # ── What changed ─────────────────────────────────────────────────────────────────────────────────────────

    def changes(self, since: Cursor | None, selection: Selection) -> Iterator[Page]:
        self._spool.clear()
        ahead = int(self._window.ahead.total_seconds())
        mark = unfolded.decode(since) if since is not None else None
        shown = dict(mark.series) if mark else {}
        for page in self.inner.changes(mark.inner if mark else None, selection):
            parts = Parts()
            told = [each for item in self._read(page.items) for each in self._told(item, shown, parts)]
            told = _inherited(told, heirs(parts))
            yield Page(tuple(told), unfolded.encode(Mark(page.cursor, ahead, shown)))
            last = page.cursor
        due = self._due(shown) if mark and mark.ahead == ahead else list(shown)
        for some in batched(due if mark else [], self.capabilities.batch):
            told = [
                each
                for item in self._read([Ref(id, "") for id in some])
                for each in self._told(item, shown, Parts(), only_new=True)
            ]
            yield Page(tuple(told), unfolded.encode(Mark(last, ahead, shown)))

    def _due(self, shown: Mapping[str, Shown]) -> list[str]:
        """Series of which something enters the window."""
        horizon = self._horizon()
        return [id for id, each in shown.items() if each.again is not None and each.again <= horizon]

    def _read(self, items: Sequence[Record | Ref | Gone]) -> Iterator[Record | Ref | Gone | Folded]:
        """What changed, and what it is."""
        refs = {
            item.id: item for item in items if not isinstance(item, Gone) and occurrence_of(item.id) is None
        }
        yield from (item for item in items if isinstance(item, Gone))
        for some in batched(list(refs), self.capabilities.batch):
            for found in self.inner.fetch(some):
                if not isinstance(found, Record):  # the engine asks again, and hears it then
                    yield refs[found.id]
                    continue
                seen = self._folded(found)
                self._spool.put(found, seen)
                yield seen

    def _told(
        self,
        item: Record | Ref | Gone | Folded,
        shown: dict[str, Shown],
        parts: Parts,
        *,
        only_new: bool = False,
    ) -> Iterator[Told]:
        id = item.record.id if isinstance(item, Folded) else item.id
        before = shown.pop(id, None)
        match item:
            case Folded(series=series):
                shown[id] = self._shown(series)
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

    def _shown(self, series: Series) -> Shown:
        horizon = self._horizon()
        names = frozenset(series.between(self._now() - self._window.back, horizon))
        return Shown(names, series.next_after(horizon))

    def _of_series(
        self,
        id: str,
        series: Series,
        before: Shown | None,
        now: Shown,
        parts: Parts,
        *,
        only_new: bool,
    ) -> Iterator[Told]:
        known = before.names if before else frozenset()
        start = self._now() - self._window.back
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
        heir = next((n for n in names if n[:8] == _day(record.columns)), next(iter(names), ""))
        for name in names:
            yield Gone(f"{record.id}#{name}", record.id if name == heir else "")

    # ── Items ────────────────────────────────────────────────────────────────────────────────────────────────

    def listing(self) -> Iterator[Ref]:
        return self.inner.listing()

    def fetch(self, ids: Sequence[str]) -> Iterator[Answer]:
        wanted: dict[str, list[str]] = {}  # names by series; "" is the item itself
        for id in dict.fromkeys(ids):
            series, name = occurrence_of(id) or (id, "")
            wanted.setdefault(series, []).append(name)
        missing: list[str] = []
        for id, names in wanted.items():
            found = self._read_before(id)
            if found is None:
                missing.append(id)
            else:
                yield from self._answers(id, found, names)
        for answer in self.inner.fetch(missing):
            seen = self._folded(answer) if isinstance(answer, Record) else answer
            yield from self._answers(answer.id, seen, wanted[answer.id])

    def _answers(self, id: str, found: Answer | Folded, names: Sequence[str]) -> Iterator[Answer]:
        for name in names:
            whole = f"{id}#{name}" if name else id
            match found:
                case Folded(record=record, series=series):
                    whole_series = replace(record, columns={}, untouchable=SERIES)
                    yield self._occurrence(record, series, name) if name else whole_series
                case Record() | Unreadable() if not name:
                    yield found
                case Record(untouchable=reason) if reason:
                    yield replace(found, id=whole, columns={}, uid=f"{found.uid}#{name}")
                case Record(columns=columns):  # an event by itself now, which may be what is left of this one
                    yield Hidden(whole) if self._over(name) or name[:8] == _day(columns) else Gone(whole)
                case Unreadable():
                    yield replace(found, id=whole)
                case Gone():
                    yield Hidden(whole) if name and self._over(name) else Gone(whole)
                case Hidden():
                    yield Hidden(whole)

    def _occurrence(self, record: Record, series: Series, name: str) -> Record | Gone | Hidden:
        """One that is over and no longer there was not cancelled: the series was made to begin later, say."""
        id = f"{record.id}#{name}"
        slot = series.slot(name)
        if slot is None:
            return Hidden(id) if series.before(name, self._now() - self._window.back) else Gone(id)
        found = series.occurrence(slot)
        return Record(
            id=id,
            version=found.version,
            kind=Kind.APPOINTMENT,
            columns=found.columns,
            modified=record.modified,
            uid=f"{record.uid}#{name}",
            tags=found.tags,
            native=exceptions.by_itself(series, slot),
            private=found.private,
            attachments=self._files(series, found),
        )

    def _files(self, series: Series, found: Occurrence) -> tuple[Attachment, ...]:
        """What belongs to one occurrence travels with it. What belongs to the series would be copied for each."""
        if found.own is not None:
            return self.inner.carried(files_of(found.own))
        return self.inner.carried(
            files_of(series.source(found.slot)), "stays with the series in the calendar"
        )

    def _folded(self, record: Record) -> Record | Folded:
        if record.untouchable != "recurring" or record.kind is not Kind.APPOINTMENT:
            return record
        try:
            series = Series(record.native, self.inner.default_zone)
            self._shown(series)  # whether it can be counted out
        except Malformed as error:
            return replace(record, untouchable=f"recurring, and {error.rule}")
        return Folded(record, series)

    def _read_before(self, id: str) -> Record | Folded | None:
        """What was read while its change was told, and has not been asked for since."""
        if (kept := self._spool.take(id)) is not None:
            record, seen = kept
            self.inner.remember(record)
            return seen
        stored = self._spool.take_stored(id)
        found = self.inner.read_again(id, *stored) if stored is not None else None
        return self._folded(found) if isinstance(found, Record) else None

    def _now(self) -> datetime:
        return self.inner.now()

    def _horizon(self) -> datetime:
        return self._now() + self._window.ahead

    def _over(self, name: str) -> bool:
        return name[:8] < f"{self._now() - self._window.back:%Y%m%d}"

    # ── Writes ───────────────────────────────────────────────────────────────────────────────────────────────

    def apply(self, writes: Sequence[Write]) -> Iterator[Outcome]:
        return Writes(self.inner, self._occurrence).apply(writes)


def _held(series: Series, name: str) -> Held:
    slot = series.slot(name)
    subject = series.subject if slot is None else series.occurrence(slot).columns.get("subject")
    return Held(name[:8], subject, (slot or series.begins).time())


def _inherited(told: Sequence[Told], heirs: Mapping[str, str]) -> list[Told]:
    return [Gone(each.id, heirs[each.id]) if each.id in heirs else each for each in told]


def _names(shown: Shown | None) -> list[str]:
    return sorted(shown.names) if shown else []


def _day(columns: Columns) -> str:
    """When an event begins; in UTC, which is near enough."""
    start = columns.get("start")
    return f"{start:%Y%m%d}" if isinstance(start, date) else ""
