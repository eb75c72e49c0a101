"""Tables as the statements that make them, put together once in a process.

A program that makes several databases with the same tables (replicas of logins to one CRM, a CRM beside its replica)
would else make the same text of them each time, which takes longer than running it.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

_KEPT = 16  # sets of tables; a replica has another one after its CRM's schema has changed


def creations(metadata: sa.MetaData, dialect: sa.Dialect) -> Mapping[str, tuple[str, ...]]:
    """By table, in the order in which they can be made."""
    return _creations(metadata, _Kind(dialect))


class _Kind:
    """What a statement's text depends on: the kind of the database. Each engine has a dialect of its own."""

    def __init__(self, dialect: sa.Dialect) -> None:
        self.dialect = dialect

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Kind) and type(self.dialect) is type(other.dialect)

    def __hash__(self) -> int:
        return hash(type(self.dialect))


@lru_cache(_KEPT)
def _creations(metadata: sa.MetaData, kind: _Kind) -> Mapping[str, tuple[str, ...]]:
    """By table, in the order in which they can be made."""
    return {table.name: tuple(_of(table, kind.dialect)) for table in metadata.sorted_tables}


def _of(table: sa.Table, dialect: sa.Dialect) -> list[str]:
    indexes = sorted(table.indexes, key=lambda each: str(each.name))
    made: list[Any] = [CreateTable(table), *(CreateIndex(index) for index in indexes)]
    return [str(each.compile(dialect=dialect)) for each in made]
