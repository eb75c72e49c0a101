"""A calendar on Exchange whose series are shown by their occurrences."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from crmsync.connectors.abilities import Window
from crmsync.connectors.contract import Kind, Outcome, Record, Write, occurrence_of
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.dav.reading import batched
from crmsync.connectors.ews import mapping, wire
from crmsync.connectors.ews.client import Answer, Exchange
from crmsync.connectors.ews.faults import BUSY, LATER
from crmsync.connectors.ews.properties import Malformed as MalformedItem
from crmsync.connectors.ews.properties import Properties
from crmsync.connectors.ews.reading import BATCH
from crmsync.connectors.ews.series.pattern import Plan
from crmsync.connectors.ews.series.series import Series
from crmsync.connectors.ews.series.wire import plan, series_shape
from crmsync.connectors.ews.series.writes import Writes
from crmsync.connectors.ews.wire import Element, M
from crmsync.connectors.series import occurrences
from crmsync.connectors.series.counted import Folded
from crmsync.connectors.series.occurrences import uncounted
from crmsync.connectors.series.spool import Spool

if TYPE_CHECKING:
    from crmsync.connectors.ews.connector import EwsConnector

NEEDS = mapping.NEEDS[Kind.APPOINTMENT]


class Occurrences(occurrences.Occurrences[Series]):
    def __init__(self, inner: "EwsConnector", exchange: Exchange, zone: mapping.Zone, window: Window) -> None:
        spool = Spool[Record | Folded[Series]](on_disk=0)  # a text that says all of an item is not to be had
        super().__init__(inner, window, exchange.options.now, spool)
        self.inner = inner
        self._exchange = exchange
        self._zone = zone

    def named(self, text: str) -> str | None:
        found = occurrence_of(text)
        series = self.inner.named(found[0]) if found else None
        return f"{series}#{found[1]}" if found and series else self.inner.named(text)

    def addresses(self) -> frozenset[str]:
        return self.inner.addresses()

    def native(self, series: Series, slot: datetime) -> str:
        """Exchange has no way to let one in again that was taken out."""
        return ""

    def apply(self, writes: Sequence[Write]) -> Iterator[Outcome]:
        return Writes(self, self._exchange, self._zone).apply(writes)

    # ── Counting out ─────────────────────────────────────────────────────────────────────────────────────────

    def counted(self, records: Sequence[Record]) -> Iterator[Record | Series]:
        """Two questions for all of them: when they are repeated, and what those of their dates say that differ."""
        ids = [record.id for record in records]
        masters = dict(zip(ids, self._items(ids, series_shape(NEEDS)), strict=True))
        plans = {id: _planned(item) for id, item in masters.items()}
        changed = [
            c.item for found in plans.values() if not isinstance(found, Malformed) for c in found.changed
        ]
        own = self._properties(changed)
        for record in records:
            found = plans[record.id]
            try:
                if isinstance(found, Malformed):
                    raise found
                if not own.keys() >= {c.item for c in found.changed}:
                    raise Malformed("one of its changed dates cannot be read")
                yield Series(found, _read(masters[record.id]), own, self._zone)
            except Malformed as error:
                yield uncounted(record, error)

    def _properties(self, ids: Sequence[str]) -> Mapping[str, Properties]:
        """Of those that can be read."""
        found: dict[str, Properties] = {}
        for id, item in zip(ids, self._items(ids, wire.shape(Kind.APPOINTMENT, NEEDS)), strict=True):
            try:
                if item is not None:
                    found[id] = _read(item)
            except Malformed:
                continue
        return found

    def _items(self, ids: Sequence[str], shape: Element) -> list[Element | None]:
        told: list[Element | None] = []
        for some in batched(list(ids), BATCH):
            named = wire.element("m:ItemIds", *(wire.item_id(id) for id in some))
            asked = wire.element("m:GetItem", shape, named)
            told += [self._item(a) for a in self._exchange.each("GetItem", asked, len(some))]
        return told

    def _item(self, answer: Answer) -> Element | None:
        if answer.code in BUSY or answer.code in LATER:
            raise self._exchange.error(answer)
        return answer.element.find(f"{M}Items/*") if answer.ok else None


def _planned(item: Element | None) -> Plan | Malformed:
    try:
        if item is None:
            raise Malformed("it went away while it was read")
        return plan(item)
    except Malformed as error:
        return error


def _read(item: Element) -> Properties:
    try:
        return wire.properties(Kind.APPOINTMENT, item)
    except MalformedItem as error:
        raise Malformed(error.rule) from None
