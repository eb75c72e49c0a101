"""A calendar on a CalDAV server whose series are shown by their occurrences."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from crmsync.connectors.abilities import Window
from crmsync.connectors.caldav import exceptions
from crmsync.connectors.caldav.attachments import files_of
from crmsync.connectors.caldav.occurrence_writes import Writes
from crmsync.connectors.caldav.series import Series
from crmsync.connectors.contract import Attachment, Outcome, Record, Ref, Write, occurrence_of
from crmsync.connectors.dav.connector import DavConnector
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.series import occurrences
from crmsync.connectors.series.counted import Folded
from crmsync.connectors.series.occurrences import uncounted
from crmsync.connectors.series.spool import Spool


class Occurrences(occurrences.Occurrences[Series]):
    def __init__(
        self,
        inner: DavConnector,
        window: Window,
        spool: "Spool[Record | Folded[Series]] | None" = None,
    ) -> None:
        super().__init__(inner, window, inner.now, spool or Spool[Record | Folded[Series]]())
        self.inner = inner

    def counted(self, records: Sequence[Record]) -> Iterator[Record | Series]:
        for record in records:
            try:
                yield Series(record.native, self.inner.default_zone)
            except Malformed as error:
                yield uncounted(record, error)

    def native(self, series: Series, slot: datetime) -> str:
        return exceptions.by_itself(series, slot)

    def files(self, series: Series, slot: datetime) -> tuple[Attachment, ...]:
        own = series.changed.get(slot)
        if own is not None:
            return self.inner.carried(files_of(own))
        return self.inner.carried(files_of(series.source(slot)), "stays with the series in the calendar")

    def named(self, text: str) -> str | None:
        found = occurrence_of(text)
        series = self.inner.named(found[0]) if found else None
        return f"{series}#{found[1]}" if found and series else self.inner.named(text)

    def dates(self, items: Sequence[Ref]) -> Mapping[str, datetime]:
        """Of an occurrence: when its series was changed."""
        return self.inner.dates([each for each in items if occurrence_of(each.id) is None])

    def addresses(self) -> frozenset[str]:
        return self.inner.addresses()

    def apply(self, writes: Sequence[Write]) -> Iterator[Outcome]:
        return Writes(self.inner, self.occurrence).apply(writes)

    def read_before(self, id: str) -> Record | Folded[Series] | None:
        """Also what is on disk by now: its text says all of it."""
        if (kept := self._spool.take(id)) is not None:
            record, seen = kept
            self.inner.remember(record)
            return seen
        stored = self._spool.take_stored(id)
        found = self.inner.read_again(id, *stored) if stored is not None else None
        return self.checked(found) if isinstance(found, Record) else None
