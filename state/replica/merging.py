"""Merging records of one object: the losers' children move to the master, the losers go to the recycle bin."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crmsync.state.replica import faults, ids
from crmsync.state.replica.access import Caller
from crmsync.state.replica.deleting import Deleter
from crmsync.state.replica.faults import Fault, Rejected
from crmsync.state.replica.metadata import ObjectType
from crmsync.state.replica.records import fetch, read_id
from crmsync.state.replica.store import Store

__all__ = ["Merged", "Merger", "mergeable"]

MOST_LOSERS = 2


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of a merge: the losers, and the records that now refer to the master."""

    master: str
    losers: tuple[str, ...]
    moved: tuple[str, ...]


def mergeable(type_: ObjectType, told: Mapping[str, Any] | None = None) -> bool:
    """As an upstream says, of whose fields not all may be here; else by the field that leads to the master."""
    if told is not None:
        return bool(told.get("mergeable"))
    return type_.find("MasterRecordId") is not None


@dataclass(frozen=True, slots=True)
class Merger:
    store: Store

    def merge(
        self,
        caller: Caller,
        object_name: str,
        master_id: str,
        fields: Mapping[str, Any],
        losers: Sequence[str],
    ) -> Merged:
        """One merge, entirely or not at all; raises Fault."""
        type_ = self.store.object_type(object_name)
        master = read_id(type_, master_id)
        others = [read_id(type_, each) for each in losers]
        self._check(type_, master, others)
        with self.store.database.together():
            outcome = self.store.update(caller, [(type_.name, master, fields)])[0]
            if isinstance(outcome, Rejected):
                raise outcome.faults[0]
            with self.store.database.write() as connection:
                self._check_losers(connection, caller, type_, others)
                moved = list(self._move(connection, type_, master, others))
                self._check_above(connection, type_, master)
                self._delete(connection, caller, type_, master, others)
        return Merged(master, tuple(others), tuple(sorted(set(moved) - {master, *others})))

    def _check(self, type_: ObjectType, master: str, losers: Sequence[str]) -> None:
        if not mergeable(type_, self.store.schema.told(type_.name)):
            raise Fault("INVALID_TYPE", f"{type_.name} records cannot be merged")
        if not 1 <= len(losers) <= MOST_LOSERS:
            raise Fault(
                "LIMIT_EXCEEDED", f"one or {MOST_LOSERS} records can be merged into the master at a time"
            )
        if master in losers or len(set(losers)) < len(losers):
            raise Fault("DUPLICATE_VALUE", "Duplicate id specified in merge request")

    def _check_losers(
        self, connection: sa.Connection, caller: Caller, type_: ObjectType, losers: Sequence[str]
    ) -> None:
        stored = fetch(connection, self.store.database.tables[type_.name], losers)
        for each in losers:
            row = stored.get(each)
            if row is None:
                raise faults.no_reference()
            if row["IsDeleted"]:
                raise faults.deleted()
            if not self.store.access.rights(caller, type_, row).delete:
                raise faults.no_access()

    def _move(
        self, connection: sa.Connection, type_: ObjectType, master: str, losers: Sequence[str]
    ) -> Iterator[str]:
        """Every reference to a loser becomes one to the master."""
        for child in self.store.schema.children(type_.name):
            if child.field.name == "MasterRecordId":
                continue
            table = self.store.database.tables[child.child]
            reference = table.c[child.field.name]
            found = [row[0] for row in connection.execute(sa.select(table.c.Id).where(reference.in_(losers)))]
            values = {child.field.name: master, "SystemModstamp": self.store.now()}
            connection.execute(table.update().where(reference.in_(losers)).values(values))
            yield from found

    def _check_above(self, connection: sa.Connection, type_: ObjectType, master: str) -> None:
        """A merge that would put the master above itself is an error (merge(), “Account Hierarchies” and “Contacts
        Reports To Relationships”)."""
        table = self.store.database.tables[type_.name]
        own = [c.field.name for c in self.store.schema.children(type_.name) if c.child == type_.name]
        for name in (n for n in own if n != "MasterRecordId"):
            seen: set[str] = set()
            above = master
            while above and above not in seen:
                seen.add(above)
                above = connection.execute(sa.select(table.c[name]).where(table.c.Id == above)).scalar() or ""
            if above == master:
                raise Fault("CIRCULAR_DEPENDENCY", f"the merge would make {master} its own {name}", (name,))

    def _delete(
        self, connection: sa.Connection, caller: Caller, type_: ObjectType, master: str, losers: Sequence[str]
    ) -> None:
        store, table = self.store, self.store.database.tables[type_.name]
        deleter = Deleter(store.database, store.schema, connection, caller, store.now())
        deleter.delete([ids.to_18(each) for each in losers], all_or_none=True)
        connection.execute(table.update().where(table.c.Id.in_(losers)).values(MasterRecordId=master))
