"""What the upstream has confirmed of the rows here: main without what was done here and it does not have yet.

Of a row with local changes that is orig, or what came since and waits for a person; a row that was made here does not
exist, one that was deleted here still does. A copy proves no absence: a lead that main shows as converted, say, is left
out unless orig has it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, cast

import sqlalchemy as sa

from crmsync.state.replica.local.database import LocalDatabase
from crmsync.state.replica.local.main_tables import MainTables
from crmsync.state.replica.local.shape import references
from crmsync.state.replica.local.tables import CONVERTED, CREATED, Group, Layout, Shared
from crmsync.state.replica.metadata import ObjectType

__all__ = ["ConfirmedTables", "confirmed"]


class ConfirmedTables(MainTables):
    """The confirmed rows, where the web services look for tables. Nothing can be written."""

    def __init__(self, replica: LocalDatabase) -> None:
        super().__init__(replica)
        self.tables = _all_confirmed(replica.tables.layout)

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        raise TypeError("what the upstream has confirmed is read only")
        yield  # pragma: no cover


@lru_cache(8)
def _all_confirmed(layout: Layout) -> Mapping[str, sa.Table]:
    return {  # whoever only reads from a table needs no more than columns and aliases
        type_.name: cast(sa.Table, confirmed(layout, type_).subquery(f"_confirmed_{type_.name}"))
        for type_ in layout.types
    }


def confirmed(layout: Layout, type_: ObjectType) -> sa.CompoundSelect[Any]:
    """One row for each record, with the object's columns."""
    group, shared = layout.groups[type_.name], layout.shared
    main, orig, synced = group.typed()
    gone = sa.select(group.tosync.c.Id).where(group.tosync.c.state == "gone")
    told_gone = sa.select(group.todelete.c.Id).where(group.todelete.c.proven)
    born = sa.select(
        shared.createlist.c.Id
    )  # one that went out and was deleted before its answer has an orig
    there = [_none_of(gone), _none_of(told_gone), _none_of(born)]

    def rows(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
        wanted = [condition(table) for condition in there]
        return sa.select(*_columns(shared, type_, group, table)).where(*wanted, *conditions)

    newer = sa.select(synced.c.Id)
    return sa.union_all(
        rows(synced),
        rows(orig, orig.c.Id.not_in(newer)),
        rows(
            main,
            main.c[CREATED].is_(False),
            main.c[CONVERTED].is_(False),
            main.c.Id.not_in(newer),
            main.c.Id.not_in(sa.select(orig.c.Id)),
        ),
    )


def _none_of(ids: sa.Select[Any]) -> Any:
    return lambda table: table.c.Id.not_in(ids)


def _columns(
    shared: Shared, type_: ObjectType, group: Group, table: sa.Table
) -> Iterator[sa.ColumnElement[Any]]:
    emptied = {
        field.name: _before(shared, field.name, table)
        for field in references(type_)
        if table is not group.synced
    }
    for column in group.orig.c:
        given = table.c[column.name]
        before = emptied.get(column.name)
        yield (
            given if before is None else sa.func.coalesce(given, before, type_=given.type).label(column.name)
        )


def _before(shared: Shared, field: str, table: sa.Table) -> sa.ScalarSelect[Any]:
    """What a reference held that a delete here has emptied: that change stands in no queue but with the delete. Rows of
    its list are few, and ids stand in no other text of it, so the text is looked at: the same on every database."""
    deletelist = shared.deletelist
    text = sa.cast(deletelist.c.cleared, sa.Text())
    entry = sa.literal('"', sa.Text()) + table.c.Id + sa.literal(f'", "{field}", "', sa.Text())
    told = sa.func.replace(text, entry, "", type_=sa.Text()) != text
    return sa.select(deletelist.c.Id).where(told).limit(1).correlate(table).scalar_subquery()
