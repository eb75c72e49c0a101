"""Deleting records, with what hangs on them.

What happens to a record that refers to a deleted one stands at its reference field (`on_delete`): it is deleted
too, or it keeps the whole delete from happening, or it loses the reference. Deleted records stay in their
tables, marked, as in Salesforce's recycle bin.
"""

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from crmsync.state.replica.access import Caller
from crmsync.state.replica.database import Database
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.metadata import Child, Schema
from crmsync.state.replica.records import AT_ONCE

__all__ = ["Deleter"]


@dataclass(slots=True)
class _Reach:
    """What deleting one record would touch: ids to delete, and references to clear as (object, id, field)."""

    deleted: set[str] = field(default_factory=set)
    cleared: set[tuple[str, str, str]] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Deleter:
    """One transaction's deletes; `now` is naive UTC."""

    database: Database
    schema: Schema
    connection: sa.Connection
    caller: Caller
    now: datetime.datetime

    def delete(self, record_ids: Sequence[str], *, all_or_none: bool) -> Mapping[str, Fault]:
        """Deletes the records (they exist, they may be deleted); returns what kept some of them alive.

        With `all_or_none` nothing is deleted when anything is refused.
        """
        reaches = {record_id: _Reach({record_id}) for record_id in record_ids}
        refused: dict[str, Fault] = {}
        frontier = {record_id: {record_id} for record_id in record_ids}  # id -> roots that reach it
        while frontier:
            frontier = self._step(frontier, reaches, refused)
        if refused and all_or_none:
            return refused
        kept = [reach for root, reach in reaches.items() if root not in refused]
        self._note({root: reach for root, reach in reaches.items() if root not in refused})
        self._mark(set().union(*(reach.deleted for reach in kept)))
        self._clear(set().union(*(reach.cleared for reach in kept)))
        return refused

    def _step(
        self, frontier: Mapping[str, set[str]], reaches: Mapping[str, _Reach], refused: dict[str, Fault]
    ) -> dict[str, set[str]]:
        """Looks one reference further; returns the newly reached records."""
        further: dict[str, set[str]] = {}
        for child, record_id, parent_id in self._referring(frontier):
            for root in frontier[parent_id]:
                reach = reaches[root]
                match child.field.on_delete:
                    case "cascade" if record_id not in reach.deleted:
                        reach.deleted.add(record_id)
                        further.setdefault(record_id, set()).add(root)
                    case "restrict":
                        refused.setdefault(root, _held_by(child, record_id))
                    case "clear":
                        reach.cleared.add((child.child, record_id, child.field.name))
        return further

    def _referring(self, record_ids: Iterable[str]) -> Iterator[tuple[Child, str, str]]:
        """Living records that refer to these: (which reference, their id, the id they refer to)."""
        for name, group in _by_object(self.schema, record_ids).items():
            for child in self.schema.children(name):
                table = self.database.tables[child.child]
                reference = table.c[child.field.name]
                alive = table.c.IsDeleted.is_(False) if "IsDeleted" in table.c else sa.true()
                for some in _slices(group):
                    query = sa.select(table.c.Id, reference).where(reference.in_(some), alive)
                    yield from ((child, row[0], row[1]) for row in self.connection.execute(query))

    def _mark(self, record_ids: set[str]) -> None:
        for name, group in _by_object(self.schema, record_ids).items():
            table = self.database.tables[name]
            keys = [f.key_column for f in self.schema.objects[name].fields if f.key_column]
            values: dict[str, Any] = {
                "IsDeleted": True,
                "SystemModstamp": self.now,
                "LastModifiedDate": self.now,
                "LastModifiedById": self.caller.user_id,
                **dict.fromkeys(keys),
            }
            for some in _slices(group):
                self.connection.execute(table.update().where(table.c.Id.in_(some)).values(values))

    def _note(self, reaches: Mapping[str, _Reach]) -> None:
        """Who went with whom, for undelete."""
        roots = {
            each: root for root, reach in reaches.items() for each in reach.deleted if each not in reaches
        }
        roots |= {root: root for root in reaches}
        table = self.database.deletions
        for some in _slices(sorted(roots)):
            self.connection.execute(table.delete().where(table.c.record_id.in_(some)))
        if roots:
            rows = [{"record_id": each, "root_id": root} for each, root in roots.items()]
            self.connection.execute(table.insert(), rows)

    def _clear(self, cleared: set[tuple[str, str, str]]) -> None:
        """Empties references; the system does it, so only SystemModstamp moves."""
        for name, record_id, reference in sorted(cleared):
            table = self.database.tables[name]
            statement = table.update().where(table.c.Id == record_id)
            self.connection.execute(statement.values({reference: None, "SystemModstamp": self.now}))


def _by_object(schema: Schema, record_ids: Iterable[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for record_id in sorted(record_ids):
        type_ = schema.of_id(record_id)
        assert type_ is not None
        groups.setdefault(type_.name, []).append(record_id)
    return groups


def _slices(values: Sequence[str]) -> Iterator[Sequence[str]]:
    return (values[start : start + AT_ONCE] for start in range(0, len(values), AT_ONCE))


def _held_by(child: Child, record_id: str) -> Fault:
    what = (
        "Your attempt to delete this record could not be completed because it is associated with "
        f"the following {child.field.children or child.child}: {record_id}"
    )
    return Fault("DELETE_FAILED", what)
