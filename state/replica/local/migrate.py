"""The tables after a change of the schema upstream: in place, with everything that waits to be sent.

A new field is a new column, empty until the object's rows have been read again. A field that is gone takes its column
along; a value that somebody changed here and that was never sent is kept in the conflict log. A field of another type
is both, but of rows with local changes the values go over to the new type, where it has room for them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crmsync.state.replica.database import column_type
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import row_from, row_to, stored
from crmsync.state.replica.local.tables import CREATED, UPDATED, Tables
from crmsync.state.replica.making import make
from crmsync.state.replica.metadata import ObjectType
from crmsync.state.replica.values import parse_datetime

__all__ = ["Step", "migrate", "steps"]

GONE = "the field is gone upstream"


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of the columns of one object."""

    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    retyped: tuple[str, ...] = ()

    @property
    def refill(self) -> bool:
        return bool(self.added or self.retyped)


def steps(old: ObjectType, new: ObjectType) -> Step:
    before = {f.name: _storage(f) for f in stored(old)}
    after = {f.name: _storage(f) for f in stored(new)}
    return Step(
        tuple(n for n in after if n not in before),
        tuple(n for n in before if n not in after),
        tuple(n for n in after if n in before and after[n] != before[n]),
    )


def migrate(work: Work, target: Tables) -> frozenset[str]:
    """Inside the transaction that stores the new schemas; returns the objects to read again."""
    refill = set()
    for new in target.shapes:
        old = work.shapes.schema.objects.get(new.name)
        if old is None:
            continue  # tables of their own, made below
        step = steps(old, new)
        if step != Step():
            _reshape(work, target, old, new, step)
        if step.refill:
            refill.add(new.name)
    make(work.connection, target.metadata)
    return frozenset(refill)


def _reshape(work: Work, target: Tables, old: ObjectType, new: ObjectType, step: Step) -> None:
    _note_lost(work, old, step.dropped)
    carried = list(_pending_rows(work, old, step.retyped))
    from alembic.migration import MigrationContext  # loads slowly, and is rarely needed
    from alembic.operations import Operations

    operations = Operations(MigrationContext.configure(work.connection))
    before, after = work.group(old.name), target.groups[new.name]
    for index in sorted(before.main.indexes, key=lambda i: str(i.name)):
        if {c.name for c in index.columns} & {*step.dropped, *step.retyped}:
            index.drop(work.connection)
    for table_before, table in zip(before.typed(), after.typed(), strict=True):
        for name in (*step.dropped, *step.retyped):
            operations.drop_column(table_before.name, name)
        for name in (*step.added, *step.retyped):
            operations.add_column(table.name, sa.Column(name, table.c[name].type))
    migrated = Work(work.connection, target)
    for position, record_id, given in carried:
        row = row_from(new, given)
        values = {name: row[name] for name in step.retyped}
        migrated.change(after.typed()[position], record_id, **values)


def _pending_rows(
    work: Work, type_: ObjectType, names: tuple[str, ...]
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Of rows with local changes: which table, the id, and the values of these fields as JSON."""
    group = work.group(type_.name)
    if not names:
        return
    local = sa.or_(group.main.c[CREATED], group.main.c[UPDATED])
    ids = [row["Id"] for row in work.where(group.main, local)] + [r["Id"] for r in work.where(group.orig)]
    for position, table in enumerate(group.typed()):
        for record_id, row in work.many(table, ids).items():
            yield position, record_id, row_to(type_, {n: row[n] for n in names})


def _note_lost(work: Work, type_: ObjectType, names: tuple[str, ...]) -> None:
    """Local changes of fields that are gone go to the log; what then has no other change waits no more."""
    gone = set(names)
    group = work.group(type_.name)
    _note_created(work, type_, names)
    for row in work.where(group.tosync):
        lost = sorted(gone & {*row["changed"], *row["held"]})
        if not lost:
            continue
        main, orig = work.get(group.main, row["Id"]), work.get(group.orig, row["Id"])
        at = max(parse_datetime(when) for when in row["changed"].values())
        work.give_up(type_.name, row["Id"], lost, orig or {}, main or {}, GONE, at)
        changed = {n: when for n, when in row["changed"].items() if n not in gone}
        held = [n for n in row["held"] if n not in gone]
        if changed:
            work.change(group.tosync, row["Id"], changed=changed, held=held)
        else:
            work.in_step(type_.name, row["Id"])


def _note_created(work: Work, type_: ObjectType, names: tuple[str, ...]) -> None:
    main = work.group(type_.name).main
    for row in work.where(main, main.c[CREATED]):
        given = [n for n in names if row[n] not in (None, False)]
        if given:
            work.give_up(type_.name, row["Id"], given, {}, row, GONE, row["SystemModstamp"])


def _storage(field: Any) -> str:
    return repr(column_type(field))
