"""Between the tables and the values of ``model``: what every repository needs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from functools import cache
from itertools import islice
from operator import attrgetter
from typing import Any, Generic, TypeAlias, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from crmsync.connectors.contract import series_of

Thing = TypeVar("Thing")
Only: TypeAlias = frozenset[str] | None  # accounts; None: all
Upsert: TypeAlias = postgresql.Insert | sqlite.Insert

CHUNK = 500  # ids in one IN list: far below SQLite's 32,766 and PostgreSQL's 65,535 parameters


def chunked(things: Iterable[Thing], size: int = CHUNK) -> Iterator[list[Thing]]:
    iterator = iter(things)
    while chunk := list(islice(iterator, size)):
        yield chunk


def upsert(connection: Connection, table: Table) -> Upsert:
    """An insert that has ``on_conflict_do_update``; both dialects spell it the same."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


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

    def all(self, query: Select[Any]) -> list[Thing]:
        thing, names = self.thing, self.names
        return [thing(**dict(zip(names, row, strict=True))) for row in self.connection.execute(query)]

    def by_id(self, queries: Iterable[Select[Any]]) -> list[Thing]:
        """Of several queries, in the order of ids. Sorted here: an ORDER BY id leads SQLite to walk all ids of an
        account instead of looking up the few that an IN list names."""
        found = [thing for query in queries for thing in self.all(query)]
        return sorted(found, key=attrgetter("id"))

    def first(self, query: Select[Any]) -> Thing | None:
        found = self.all(query.limit(1))
        return found[0] if found else None

    def add(self, things: Sequence[Thing]) -> list[int]:
        """Stores new rows, one database round for many; their ids, in their order."""
        if not things:
            return []
        query = insert(self.table).returning(self.table.c.id, sort_by_parameter_order=True)
        return list(self.connection.scalars(query, [self.values(thing) for thing in things]))

    def values(self, thing: Thing) -> dict[str, Any]:
        """The row of a new thing: everything but its id."""
        return {name: getattr(thing, name) for name in self.names if name != "id"}

    def remove(self, ids: Iterable[int]) -> int:
        """How many there were."""
        removed = 0
        for chunk in chunked(ids):
            removed += self.connection.execute(self.table.delete().where(self.table.c.id.in_(chunk))).rowcount
        return removed


@cache
def _select(table: Table, names: tuple[str, ...]) -> Select[Any]:
    """Made once a table: putting forty columns together costs more than reading a row."""
    return select(*(table.c[name] for name in names))


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
