"""What changed since: the poll by SystemModstamp, with an overlap for what was committed late, and its cursor.

A transaction's rows carry the time it began at and appear when it is committed, so a window that ends at "now" misses
some. Every poll therefore reaches back ``overlap`` before the cursor's time and leaves out what was reported already:
the cursor remembers, as short hashes of id, stamp and content, the rows of that stretch alone.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from crmsync.connectors.contract import Gone, Page, Record, Ref, Selection, Unreadable
from crmsync.connectors.errors import CursorExpired, ProtocolError
from crmsync.connectors.salesforce import people, soql
from crmsync.connectors.salesforce.client import QueryPage, Row
from crmsync.connectors.salesforce.faults import Inapplicable, InvalidField, Malformed
from crmsync.connectors.salesforce.table import NotOurs, Table, row_id, row_key, row_stamp
from crmsync.connectors.salesforce.values import instant

KEPT = timedelta(days=14)  # the recycle bin and /deleted reach back 15 days
REFRESH = timedelta(days=1)  # a cursor older than this is renewed although nothing changed
_MARGIN = timedelta(seconds=1)  # the Date header has whole seconds
RESTART = '{"v":1}'  # the cursor of an unfinished first listing: list again from the start
_LEAST = timedelta(minutes=2)  # /deleted wants more than a minute


@dataclass(frozen=True, slots=True)
class Mark:
    """A cursor, decoded."""

    time: datetime  # everything stamped before this, less the overlap, has been reported
    seen: frozenset[str]  # hashes of the rows within the overlap that were reported
    missing: frozenset[str] = frozenset()  # wanted fields that the object does not have

    def encode(self) -> str:
        value = {"v": 1, "t": self.time.isoformat(), "s": sorted(self.seen), "m": sorted(self.missing)}
        return json.dumps({k: v for k, v in value.items() if v}, separators=(",", ":"))


def decode(cursor: str) -> Mark:
    try:
        value = json.loads(cursor)
        if value["v"] != 1:
            raise ValueError("another version")
        return Mark(instant(value["t"]), frozenset(value.get("s", ())), frozenset(value.get("m", ())))
    except (ValueError, TypeError, KeyError) as error:
        raise CursorExpired("the stored position in the CRM's changes cannot be read") from error


@dataclass(slots=True)
class _Seen:
    """Which rows have been reported: those of the cursor, and those of this poll with their stamps."""

    before: frozenset[str]
    start: datetime  # what is older cannot come again
    now: dict[str, datetime] = field(default_factory=dict)

    def fresh(self, row: Row) -> bool:
        """Note a row; whether it has not been reported yet."""
        stamp = row_stamp(row)
        if stamp < self.start:
            return True
        key = row_key(row)
        self.now[key] = stamp
        return key not in self.before

    def forget(self, before: datetime) -> None:
        self.now = {k: t for k, t in self.now.items() if t >= before}


@dataclass(frozen=True, slots=True)
class Poll:
    """Changes of one table. ``now`` is only consulted where the server does not tell its time."""

    table: Table
    overlap: timedelta
    now: Callable[[], datetime]

    def changes(self, since: str | None, selection: Selection) -> Iterator[Page]:
        if since in (None, RESTART):
            return self.first(selection)
        return self.later(str(since), people_too=selection.people)

    def first(self, selection: Selection) -> Iterator[Page]:
        if selection.nothing or (selection.owner and not self.table.owned):
            page = next(self.table.client.query(f"SELECT Id FROM {self.table.name} LIMIT 1", self.table.name))
            yield Page((), self._mark(page.at or self.now() - REFRESH, frozenset()))
            return
        time, seen = None, None
        for page in self._selected(selection):
            time = time or self._time(page)
            seen = seen or _Seen(frozenset(), time - self.overlap)
            items = self._items(page, seen)
            yield Page(items, self._mark(time, frozenset(seen.now)) if page.last else RESTART)

    def _selected(self, selection: Selection) -> Iterator[QueryPage]:
        where = condition(selection)
        try:
            yield from self.table.pages(where)
        except (Malformed, InvalidField) as error:
            if not selection.condition:
                raise
            kind = Inapplicable if isinstance(error, InvalidField) else ProtocolError
            raise kind(
                f"the CRM does not accept the condition for {self.table.name}: {error.message}",
                hint="see crm_select of the account",
            ) from error

    def later(self, since: str, *, people_too: bool = False) -> Iterator[Page]:
        mark = decode(since)
        if self.now() - mark.time > KEPT:
            raise CursorExpired(f"the last look at {self.table.name} is over {KEPT.days} days old")
        self.table.note_missing(mark.missing)
        start = mark.time - self.overlap
        where = f"SystemModstamp >= {soql.literal(start)}"
        seen, time = _Seen(mark.seen, start), None
        for page in self.table.pages(where, order="SystemModstamp,Id", deleted=True):
            items = self._items(page, seen)
            time = time or max(self._time(page), mark.time)
            if page.last:
                items += self._invited(start, seen, items)
                known = self._people(start, seen) if people_too else frozenset()
                yield from self._end(since, mark, seen, time, items, known)
            else:
                reached = min(row_stamp(page.rows[-1]), time)
                seen.forget(reached - self.overlap)
                yield Page(items, self._mark(reached, seen.before | frozenset(seen.now)))

    def _end(
        self,
        since: str,
        mark: Mark,
        seen: _Seen,
        time: datetime,
        items: tuple[Record | Ref | Gone, ...],
        known: frozenset[str],
    ) -> Iterator[Page]:
        """The last page, after that of ``/deleted`` where the query does not tell of deletions."""
        if not self.table.recycle_bin:
            gone, time = self._deleted(mark.time - self.overlap, time, seen)
            items += gone
        quiet = not seen.now and not mark.seen and time - mark.time < REFRESH
        if quiet:  # the same cursor again: nothing to store
            yield Page(items, since)
            return
        seen.forget(time - self.overlap)
        yield Page(items, self._mark(time, frozenset(seen.now)), known)

    def _invited(
        self, start: datetime, seen: _Seen, told: tuple[Record | Ref | Gone, ...]
    ) -> tuple[Record | Ref | Gone, ...]:
        """Events to which somebody was invited, or has answered: that does not touch the event."""
        if not self.table.invites:
            return ()
        where = f"SystemModstamp >= {soql.literal(start)}"
        rows = people.rows(self.table, ("Id", "EventId", "SystemModstamp"), "EventRelation", where)
        events = {soql.id18(str(r.get("EventId"))) for r in rows if seen.fresh(r)}
        found: list[Record | Ref | Gone] = []
        for some in soql.batches(sorted(events - {item.id for item in told})):
            for page in self.table.pages(soql.within("Id", some)):
                read = (self.table.read(row, page.at) for row in page.rows)
                found += [_reported(item) for item in read if not isinstance(item, NotOurs)]
        return tuple(found)

    def _people(self, start: datetime, seen: _Seen) -> frozenset[str]:
        """Addresses of people who may be known here only now."""
        rows = people.changed_since(self.table, start)
        return frozenset(str(row.get("Email")).strip().lower() for row in rows if seen.fresh(row))

    def _items(self, page: QueryPage, seen: _Seen) -> tuple[Record | Ref | Gone, ...]:
        read = [self.table.read(row, page.at) for row in page.rows if seen.fresh(row)]
        return tuple(_reported(item) for item in read if not isinstance(item, NotOurs))

    def _time(self, page: QueryPage) -> datetime:
        """The server's clock before the query. Without a Date header: as far as the rows themselves reach."""
        if page.at is not None:
            return page.at - _MARGIN
        return max((row_stamp(row) for row in page.rows), default=self.now() - REFRESH)

    def _mark(self, time: datetime, seen: frozenset[str]) -> str:
        return Mark(time, seen, self.table.missing()).encode()

    def _deleted(self, start: datetime, end: datetime, seen: _Seen) -> tuple[tuple[Gone, ...], datetime]:
        """Ids from ``sobjects/X/deleted``, and up to when they are complete."""
        start = min(start, end - _LEAST)
        span = f"start={_minute(start)}&end={_minute(end)}"
        path = f"{self.table.client.root}/sobjects/{self.table.name}/deleted/?{span}"
        data = self.table.client.get(path, self.table.name).data
        try:
            if not isinstance(data, Mapping):
                raise TypeError("no object")
            if instant(data["earliestDateAvailable"]) > start:
                raise CursorExpired(f"the CRM no longer knows what was deleted from {self.table.name}")
            rows = [{"Id": r["id"], "SystemModstamp": r["deletedDate"]} for r in data["deletedRecords"]]
            covered = instant(data["latestDateCovered"])
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"the CRM's list of deleted {self.table.name} has an unknown form") from error
        return tuple(Gone(row_id(r)) for r in rows if seen.fresh(r)), min(end, covered)


def condition(selection: Selection) -> str:
    """A selection as SOQL; empty: everything. Raises ValueError for an owner that is no id."""
    if selection.owner and not soql.is_id(selection.owner):
        raise ValueError("the owner of a selection is no user id")
    owner = f"OwnerId = {soql.quote(selection.owner)}" if selection.owner else ""
    given = f"({selection.condition})" if selection.condition else ""
    return soql.all_of(owner, given) if owner or given else ""


def _reported(item: Record | Gone | Unreadable) -> Record | Ref | Gone:
    """An unreadable row is announced as changed: fetching it says why."""
    return Ref(item.id, item.version) if isinstance(item, Unreadable) else item


def _minute(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:00Z")
