"""SOQL queries, in pages.

A result longer than a page is written out when the query runs, so that its pages belong together whatever is
changed meanwhile, and memory does not grow with it: every further page waits as JSON in an unnamed temporary
file. A cursor ends when it is the oldest of too many, or some time after its last use.
"""

import datetime
import json
import secrets
import sqlite3
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from threading import Lock
from typing import IO, Any

import sqlalchemy as sa

from crmsync.state.replica import record_access, soql
from crmsync.state.replica.access import Caller
from crmsync.state.replica.catalogs import catalogs_of
from crmsync.state.replica.database import timed_out
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.soql import ast
from crmsync.state.replica.soql.plan import Aggregate, Count, Parent, Polymorph, Record, Value
from crmsync.state.replica.store import Clock, Store

__all__ = ["Page", "Queries", "answered"]

PAGE = 2000
SMALLEST_PAGE, LARGEST_PAGE = 200, 2000
MOST_CURSORS = 10  # of one user, as in Salesforce
LONGEST = 30.0  # seconds of a query
MOST_BYTES = 1024 * 1024 * 1024  # of the pages of one answer, on disk
CURSOR_LIFE = datetime.timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Page:
    """One page: `records` is the JSON text of the list, `next` the locator of the page after it."""

    total: int
    records: bytes
    next: str | None


@dataclass(frozen=True, slots=True)
class Described:
    """The columns of an answer, with their types; `grouped` says that its rows are AggregateResult."""

    object: str
    prefix: str
    columns: tuple[tuple[str, str], ...]
    grouped: bool


@dataclass(slots=True)
class _Cursor:
    owner: str
    total: int
    file: IO[bytes]
    used: datetime.datetime
    pages: dict[int, tuple[int, int]] = field(default_factory=dict)  # first row -> place, length; in order
    lock: Lock = field(default_factory=Lock)

    def page(self, start: int) -> tuple[bytes, int] | None:
        """The rows from `start` to the end of their page, and the first that is not among them; None where there are
        none. Programs count places up by themselves, and need not know the pages."""
        if self.file.closed or not 0 <= start < self.total:
            return None
        first = max(each for each in self.pages if each <= start)
        place, length = self.pages[first]
        self.file.seek(place)
        text = self.file.read(length)
        end = min((each for each in self.pages if each > start), default=self.total)
        return (text if start == first else _dump(json.loads(text)[start - first :])), end


class Queries:
    """Safe for threads. `random` gives the part of a locator that cannot be guessed."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        random: Callable[[int], str] = secrets.token_hex,
        seconds: float = LONGEST,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """A query that takes longer than so many `seconds` is given up."""
        self._store, self._clock, self._random = store, clock, random
        self._seconds, self._monotonic = seconds, monotonic
        self._catalogs = catalogs_of(store.schema, store.database.tables)
        self._cursors: dict[str, _Cursor] = {}
        self._lock = Lock()

    def query(
        self,
        caller: Caller,
        text: str,
        base: str,
        *,
        include_deleted: bool = False,
        page: int = PAGE,
        utc: str = "+0000",
    ) -> Page:
        """The first page. `base` is the version's path, for urls (none in SOAP); `utc` is how datetimes end. Raises
        Fault."""
        with answered():
            return self._answer(caller, text, base, include_deleted, page, utc)

    def records(
        self, caller: Caller, query: ast.Query, base: str, utc: str = "+0000", *, long_text: bool = False
    ) -> Iterator[dict[str, Any]]:
        """What a query in pieces finds. `long_text` lets conditions look at fields that SOQL cannot filter."""
        plan = self._plan(
            caller, query, include_deleted=False, catalog=self._catalogs.free if long_text else None
        )
        with self._store.database.read(self._seconds) as connection:
            yield from self._timed(soql.run(connection, plan, url=_url(base), utc=utc))

    def object_of(self, caller: Caller, text: str) -> str:
        """The object in FROM, of a query that can be answered; raises Fault."""
        with answered():
            return self._plan(caller, soql.parse(text), include_deleted=False).object

    def described(self, caller: Caller, text: str) -> Described:
        """What the columns of an answer would be; raises Fault."""
        with answered():
            plan = self._plan(caller, soql.parse(text), include_deleted=False)
        columns = () if isinstance(plan.shape, Count) else tuple(_typed(plan.shape))
        prefix = self._store.schema.objects[plan.object].prefix
        return Described(plan.object, prefix, columns, isinstance(plan.shape, Aggregate))

    def table(
        self, caller: Caller, text: str, *, include_deleted: bool = False, base: str = ""
    ) -> tuple[list[str], Iterator[dict[str, Any]]]:
        """Columns (`Name`, `Account.Name`) and records, for a table of them; raises Fault. `base` is as in `query`."""
        with answered():
            plan = self._plan(caller, soql.parse(text), include_deleted=include_deleted)
            if isinstance(plan.shape, Count):
                raise Fault("FUNCTIONALITY_NOT_ENABLED", "COUNT() is no table: ask for COUNT(Id)")
            return list(_columns(plan.shape)), self._streamed(plan, base)

    def _streamed(self, plan: soql.Plan, base: str) -> Iterator[dict[str, Any]]:
        with answered(), self._store.database.read() as connection:
            # Bulk may take its time
            yield from soql.run(connection, plan, url=_url(base), utc="Z")

    def check(self, caller: Caller, query: ast.Query) -> None:
        """Raises SoqlError when the query cannot be answered."""
        self._plan(caller, query, include_deleted=False)

    def more(self, caller: Caller, locator: str) -> Page:
        """A further page, by the `next` of the one before, or from any row on; raises Fault (INVALID_QUERY_LOCATOR)."""
        name, _, start = locator.partition("-")
        with self._lock:
            self._drop_expired()
            cursor = self._cursors.get(name)
            number = int(start) if start.isascii() and start.isdigit() and len(start) < 10 else -1
            if cursor is None or cursor.owner != caller.user_id or number < 0:
                raise Fault("INVALID_QUERY_LOCATOR", "invalid query locator")
            cursor.used = self._clock()
        with cursor.lock:
            found = cursor.page(number)
        if found is None:
            raise Fault("INVALID_QUERY_LOCATOR", "invalid query locator")
        records, end = found
        return Page(cursor.total, records, f"{name}-{end}" if end < cursor.total else None)

    def close(self) -> None:
        with self._lock:
            for name in list(self._cursors):
                self._drop(name)

    def _answer(
        self, caller: Caller, text: str, base: str, include_deleted: bool, page: int, utc: str
    ) -> Page:
        query = soql.parse(text)
        if record_access.asks(query):
            found = record_access.answer(self._store, caller, query)
            return Page(len(found), _dump(found), None)
        plan = self._plan(caller, query, include_deleted=include_deleted)
        with self._store.database.read(self._seconds) as connection:
            if isinstance(plan.shape, Count):
                return Page(soql.total_size(connection, plan), b"[]", None)
            rows = self._timed(soql.run(connection, plan, url=_url(base), utc=utc))
            with closing(rows):
                return self._paged(caller, rows, min(max(page, SMALLEST_PAGE), LARGEST_PAGE))

    def _timed(self, rows: Generator[dict[str, Any], None, None]) -> Generator[dict[str, Any], None, None]:
        """The database bounds each statement; this, all that an answer takes."""
        end = self._monotonic() + self._seconds
        with closing(rows):
            for row in rows:
                if self._monotonic() > end:
                    raise _too_long()
                yield row

    def _plan(
        self,
        caller: Caller,
        query: ast.Query,
        *,
        include_deleted: bool,
        catalog: soql.Catalog | None = None,
    ) -> soql.Plan:
        return soql.translate(
            query,
            catalog or self._catalogs.usual,
            now=self._clock(),
            include_deleted=include_deleted,
            visible=lambda object_, table: self._visible(caller, object_.name, table),
            user=caller.user_id,
            current=self._store.current,
        )

    def _visible(self, caller: Caller, name: str, table: sa.FromClause) -> sa.ColumnElement[bool] | None:
        return self._store.access.readable(caller, self._store.schema.objects[name], table)

    def _paged(self, caller: Caller, rows: Iterator[dict[str, Any]], size: int) -> Page:
        first = list(islice(rows, size))
        second = list(islice(rows, size)) if len(first) == size else []
        if not second:
            return Page(len(first), _dump(first), None)
        name = "01g" + self._random(12)
        cursor = _Cursor(caller.user_id, 0, tempfile.TemporaryFile(), self._clock())  # noqa: SIM115
        try:
            for page in chain((first, second), _batches(rows, size)):
                _write_out(cursor, page)
        except BaseException:
            cursor.file.close()
            raise
        self._keep(name, cursor)
        return Page(cursor.total, _dump(first), f"{name}-{size}")

    def _keep(self, name: str, cursor: _Cursor) -> None:
        with self._lock:
            self._drop_expired()
            mine = [n for n, c in self._cursors.items() if c.owner == cursor.owner]
            for oldest in sorted(mine, key=lambda n: self._cursors[n].used)[: len(mine) - MOST_CURSORS + 1]:
                self._drop(oldest)
            self._cursors[name] = cursor

    def _drop_expired(self) -> None:
        end = self._clock() - CURSOR_LIFE
        for name in [n for n, c in self._cursors.items() if c.used < end]:
            self._drop(name)

    def _drop(self, name: str) -> None:
        cursor = self._cursors.pop(name)
        with cursor.lock:
            cursor.file.close()


def _batches(rows: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    while page := list(islice(rows, size)):
        yield page


def _write_out(cursor: _Cursor, page: Sequence[dict[str, Any]]) -> None:
    place, text = cursor.file.tell(), _dump(page)
    cursor.file.write(text)
    if cursor.file.tell() > MOST_BYTES:
        raise Fault("OPERATION_TOO_LARGE", f"the answer is larger than {MOST_BYTES} bytes; add a LIMIT")
    cursor.pages[cursor.total] = place, len(text)
    cursor.total += len(page)


@contextmanager
def answered() -> Iterator[None]:
    """What a query is refused for becomes a Fault."""
    try:
        yield
    except soql.SoqlError as error:
        raise Fault(error.code, error.message) from error
    except (RecursionError, sa.exc.DBAPIError) as error:
        if isinstance(error, sa.exc.DBAPIError) and timed_out(error):
            raise _too_long() from error
        if isinstance(error, sa.exc.DBAPIError) and not _beyond_limits(error):
            raise
        raise Fault("QUERY_TOO_COMPLICATED", "the query is too complicated; split it") from error


def _typed(shape: Record | Aggregate, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Names and types of the columns that hold one value."""
    for name, slot in shape.slots:
        match slot:
            case Value(_, type_):
                yield prefix + name, type_
            case Parent(record):
                yield from _typed(record, f"{prefix}{name}.")
            case Polymorph(records):
                yield from dict.fromkeys(
                    each for record in records for each in _typed(record, f"{prefix}{name}.")
                )


def _columns(shape: Record | Aggregate, prefix: str = "") -> Iterator[str]:
    for name, slot in shape.slots:
        match slot:
            case Value():
                yield prefix + name
            case Parent(record):
                yield from _columns(record, f"{prefix}{name}.")
            case Polymorph(records):
                yield from dict.fromkeys(
                    each for record in records for each in _columns(record, f"{prefix}{name}.")
                )
            case _:
                what = f"{name}: compound fields and child records do not fit into a table"
                raise Fault("FUNCTIONALITY_NOT_ENABLED", what)


def _url(base: str) -> Callable[[str, str], str]:
    return lambda name, id_: f"{base}/sobjects/{name}/{id_}" if base else ""


def _too_long() -> Fault:
    return Fault("QUERY_TIMEOUT", "Your query request was running for too long.")


def _beyond_limits(error: sa.exc.DBAPIError) -> bool:
    """The database refuses the size of the statement: depth of an expression, number of values or joined tables.

    SQLite says so with its general error or "too big", PostgreSQL with class 54 of its codes.
    """
    sqlite_code = getattr(error.orig, "sqlite_errorcode", None)
    return sqlite_code in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG) or str(
        getattr(error.orig, "sqlstate", None)
    ).startswith("54")


def _dump(records: Sequence[dict[str, Any]]) -> bytes:
    return json.dumps(records, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
