"""Between the tables and the values of ``model``: what every repository needs.

What each cycle asks is made once, where its module is loaded, and gets its values when it is executed: to put a
statement together, and to find out that it is the one of last time, costs three times what SQLite takes to answer it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from functools import cache
from itertools import islice
from operator import attrgetter
from typing import Any, Generic, TypeAlias, TypeVar

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Delete,
    Select,
    Table,
    bindparam,
    func,
    insert,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from crmsync.connectors.contract import series_of

Thing = TypeVar("Thing")
Only: TypeAlias = frozenset[str] | None  # accounts; None: all
Upsert: TypeAlias = postgresql.Insert | sqlite.Insert

CHUNK = 500  # ids in one IN list: far below SQLite's 32,766 and PostgreSQL's 65,535 parameters


def chunked(things: Iterable[Thing], size: int = CHUNK) -> Iterator[list[Thing]]:
    iterator = iter(things)
    while chunk := list(islice(iterator, size)):
        yield chunk


def given(name: str) -> BindParameter[Any]:
    """In a statement that is made once: a value that it gets when it is executed."""
    return bindparam(name)


def among() -> BindParameter[Any]:
    """In a statement that is made once: the list after its IN, one chunk at a time."""
    return bindparam("among", expanding=True)


def asked(
    connection: Connection, query: Select[Any], values: Iterable[Any], **known: object
) -> Iterator[Sequence[Any]]:
    """The rows that a statement with ``among`` finds of these values."""
    for chunk in chunked(values):
        yield from connection.execute(query, {**known, "among": chunk})


def every(table: Table, thing: type) -> Select[Any]:
    """All rows: the columns that bear the names of a dataclass's fields."""
    return _select(table, _names(thing))


def upsert(dialect: str, table: Table) -> Upsert:
    """An insert that has ``on_conflict_do_update``; both dialects spell it the same."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def of_these(account: Column[str], only: Only) -> list[ColumnElement[bool]]:
    return [] if only is None else [account.in_(sorted(only))]


def unique(values: Iterable[Thing]) -> list[Thing]:
    """Each once, in their order."""
    return list(dict.fromkeys(values))


class Rows(Generic[Thing]):
    """The rows of a table whose columns bear the names of a dataclass's fields."""

    def __init__(self, connection: Connection, table: Table, thing: type[Thing]) -> None:
        self.connection = connection
        self.table = table
        self.thing = thing
        self.names = _names(thing)

    def select(self) -> Select[Any]:
        return _select(self.table, self.names)

    def all(self, query: Select[Any], **known: object) -> list[Thing]:
        return self._made(self.connection.execute(query, known))

    def among(self, query: Select[Any], values: Iterable[Any], **known: object) -> list[Thing]:
        """Of a statement with ``among``."""
        return self._made(asked(self.connection, query, values, **known))

    def by_id(self, query: Select[Any], values: Iterable[Any], **known: object) -> list[Thing]:
        """As ``among``, in the order of ids. Sorted here: an ORDER BY id leads SQLite to walk all ids of an account
        instead of looking up the few that an IN list names."""
        return sorted(self.among(query, values, **known), key=attrgetter("id"))

    def first(self, query: Select[Any]) -> Thing | None:
        found = self.all(query.limit(1))
        return found[0] if found else None

    def add(self, things: Sequence[Thing]) -> list[int]:
        """Stores new rows, one database round for many; their ids, in their order."""
        if not things:
            return []
        return list(self.connection.scalars(_insert(self.table), [self.values(thing) for thing in things]))

    def values(self, thing: Thing) -> dict[str, Any]:
        """The row of a new thing: everything but its id."""
        return {name: getattr(thing, name) for name in self.names if name != "id"}

    def remove(self, ids: Iterable[int]) -> int:
        """How many there were."""
        removed = 0
        for chunk in chunked(ids):
            removed += self.connection.execute(_delete(self.table), {"among": chunk}).rowcount
        return removed

    def _made(self, rows: Iterable[Sequence[Any]]) -> list[Thing]:
        thing, names = self.thing, self.names
        return [thing(**dict(zip(names, row, strict=True))) for row in rows]


@cache
def _select(table: Table, names: tuple[str, ...]) -> Select[Any]:
    return select(*(table.c[name] for name in names))


@cache
def _insert(table: Table) -> ReturningInsert[tuple[int]]:
    return insert(table).returning(table.c.id, sort_by_parameter_order=True)


@cache
def _delete(table: Table) -> Delete:
    return table.delete().where(table.c.id.in_(among()))


_known: dict[type, tuple[str, ...]] = {}


def _names(thing: type) -> tuple[str, ...]:
    if thing not in _known:
        _known[thing] = tuple(field.name for field in fields(thing))
    return _known[thing]


def count_series(connection: Connection, item: Column[str], *where: ColumnElement[bool]) -> int:
    """Rows; the occurrences of one series count once: what a person does to it is one act. ``item``: an ECS id."""
    alone = select(func.count()).where(*where, item.not_like("%#%"))
    some = select(item).distinct().where(*where, item.like("%#%"))
    return connection.execute(alone).scalar_one() + len(
        {series_of(id) for id in connection.execute(some).scalars()}
    )
