"""The records of a replica behind the interface of the embedded CRM's: what the web services read and write.

Everything here is local: writes go into main and the queues, and reach the upstream with a pass. The replica belongs to
one login, which sees all of it: what that login may not see has never come here.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from crmsync.state.replica import faults, ids
from crmsync.state.replica.access import Caller, Rights
from crmsync.state.replica.drafts import Draft, Lookup, read_parent
from crmsync.state.replica.faults import Ambiguous, Fault, Outcome, Rejected, Saved
from crmsync.state.replica.local import edits
from crmsync.state.replica.local.database import LocalDatabase
from crmsync.state.replica.local.described import Described
from crmsync.state.replica.local.glance import Glance
from crmsync.state.replica.local.identity import Identity
from crmsync.state.replica.local.main_tables import MainTables
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.metadata import Field, ObjectType, fold
from crmsync.state.replica.records import Row, read_id
from crmsync.state.replica.soql.collation import folded
from crmsync.state.replica.store import Clock, Store
from crmsync.state.replica.values import decode
from crmsync.state.replica.writing import Guard, no_parent

__all__ = ["LocalStore"]

Change = tuple[str, str, Mapping[str, Any]]  # object, id, fields as JSON values
Birth = tuple[str, Mapping[str, Any]]


MOST_NAMED = 200  # records of one external id that an answer lists


class _Undone(Exception):
    """Ends a transaction in which one of the rows was refused."""


class LocalStore(Store):
    """Of the schema that the replica has now. `who` is whose replica it is; `clock` tells the server's time."""

    def __init__(
        self, replica: LocalDatabase, who: Callable[[], Identity], *, clock: Clock, glance: float = 0.0
    ) -> None:
        """`glance`: seconds between two looks at what other processes have changed."""
        self.replica, self._who = replica, who
        self._reborn = Glance(replica, Work.reborn, glance)
        self.main = MainTables(replica)
        super().__init__(self.main, clock=clock, schema=Described(replica.tables.shapes))

    def create(self, caller: Caller, rows: Sequence[Birth], *, all_or_none: bool = False) -> list[Outcome]:
        acts = [lambda work, row=row: self._create(work, *row) for row in rows]
        return self._each(acts, all_or_none)

    def update(
        self,
        caller: Caller,
        rows: Sequence[Change],
        *,
        all_or_none: bool = False,
        guard: Guard | None = None,
    ) -> list[Outcome]:
        seen: set[str] = set()
        acts = [lambda work, row=row: self._update(work, row, guard, seen) for row in rows]
        return self._each(acts, all_or_none)

    def upsert(
        self,
        caller: Caller,
        object_name: str,
        key_field: str,
        rows: Sequence[tuple[Any, Mapping[str, Any]]],
        *,
        all_or_none: bool = False,
    ) -> list[Outcome]:
        type_ = self.object_type(object_name)
        field = self._key_field(type_, key_field)
        acts = [lambda work, row=row: self._upsert(work, type_, field, *row) for row in rows]
        return self._each(acts, all_or_none)

    def delete(
        self,
        caller: Caller,
        record_ids: Sequence[str],
        *,
        all_or_none: bool = False,
        object_name: str | None = None,
    ) -> list[Outcome]:
        stood: set[str] = set()
        with self.database.read() as connection:
            for each in record_ids:
                with contextlib.suppress(Fault):
                    stood.add(edits.find(self.work(connection), each)[1]["Id"])
        acts = [lambda work, each=each: self._delete(work, each, object_name, stood) for each in record_ids]
        return self._each(acts, all_or_none)

    def retrieve(self, caller: Caller, object_name: str, record_ids: Sequence[str]) -> list[Row | None]:
        """By any id that a record ever had."""
        rows = super().retrieve(caller, object_name, record_ids)
        missing = {i: self.current(ids.to_18(record_ids[i])) for i, row in enumerate(rows) if row is None}
        renamed = {i: now for i, now in missing.items() if now != ids.to_18(record_ids[i])}
        found = super().retrieve(caller, object_name, list(renamed.values()))
        for place, row in zip(renamed, found, strict=True):
            rows[place] = row
        return rows

    def read(self, caller: Caller, object_name: str, record_id: str) -> Row:
        """Of the user whose replica it is something is known also where users are not replicated."""
        me = self._who()
        mine = fold(object_name) == "user" and ids.is_valid(record_id) and ids.to_18(record_id) == me.user
        try:
            row = super().read(caller, object_name, record_id)
        except Fault:
            if not mine:
                raise
            return me.row()
        return {**me.row(), **row} if mine else row  # not all of its fields need stand here

    def find(self, caller: Caller, object_name: str, key_field: str, value: str) -> Row:
        type_ = self.object_type(object_name)
        field = self._key_field(type_, key_field)
        if field.name == "Id":
            return self.read(caller, object_name, value)
        with self.database.read() as connection:
            found = self.by_key(self.work(connection), type_, field, decode(field, value))
        if found is None:
            raise faults.not_found()
        return self.read(caller, type_.name, found)

    def caller(self, user_id: str) -> Caller:
        """Only the user whose replica it is."""
        if user_id != self._who().user:
            raise faults.not_found()
        return Caller(user_id, all_records=True)

    def rights(self, caller: Caller, record_ids: Sequence[str]) -> list[tuple[str, Rights]]:
        """As the describes say; by any id that a record ever had."""
        asked = {self.current(each): each for each in record_ids}
        return [
            (asked[each], Rights(rights.read, rights.edit and self._updateable(each), rights.delete))
            for each, rights in super().rights(caller, list(asked))
        ]

    def _updateable(self, record_id: str) -> bool:
        type_ = self.schema.of_id(record_id)
        return type_ is not None and bool((self.schema.told(type_.name) or {}).get("updateable", True))

    def current(self, record_id: str) -> str:
        if not ids.is_offline(record_id) and record_id not in self._reborn():
            return record_id
        with self.database.read() as connection:
            return self.work(connection).resolve(record_id)

    # ── One row ──────────────────────────────────────────────────────────────────────────────────────────────

    def work(self, connection: sa.Connection) -> Work:
        return Work(connection, self.replica.tables)

    def _create(self, work: Work, name: str, values: Mapping[str, Any]) -> Outcome:
        type_ = self.object_type(name)
        self._check_unique(work, type_, values, None)
        return Saved(edits.create(work, type_.name, self.flat(work, type_, values), self.now()), created=True)

    def _update(self, work: Work, change: Change, guard: Guard | None, seen: set[str]) -> Outcome:
        type_, row = self.editable(work, change)
        if guard is not None:
            guard(row)
        if row["Id"] in seen:
            raise Fault("DUPLICATE_VALUE", f"Duplicate id in batch: {row['Id']}", ("Id",))
        seen.add(row["Id"])
        self._check_unique(work, type_, change[2], row["Id"])
        edits.update(work, row["Id"], self.flat(work, type_, change[2]), self.now())
        return Saved(row["Id"], created=False)

    def _upsert(
        self, work: Work, type_: ObjectType, field: Field, key: Any, values: Mapping[str, Any]
    ) -> Outcome:
        found = key or None
        body = dict(values)
        if field.name != "Id":
            value = decode(field, key)
            if value is None:
                raise Fault("MISSING_ARGUMENT", f"{field.name} not specified", (field.name,))
            found = self.by_key(work, type_, field, value)
            body = {k: v for k, v in values.items() if fold(k) != fold(field.name)} | {field.name: key}
        if found is None:
            return self._create(work, type_.name, body)
        return self._update(work, (type_.name, found, body), None, set())

    def _delete(self, work: Work, record_id: str, name: str | None, stood: set[str]) -> Outcome:
        type_ = self.object_type(name) if name else self.schema.of_id(record_id)
        if type_ is None:
            raise faults.malformed_id(record_id) if not ids.is_valid(record_id) else faults.no_reference()
        current = work.resolve(read_id(type_, record_id))
        try:
            edits.delete(work, current, self.now())
        except Fault as fault:
            if fault.code != "NOT_FOUND":
                raise
            if current not in stood:  # else it went with another one of this call
                raise self._absent(work, current) from None
        return Saved(current, created=False)

    def editable(self, work: Work, change: Change) -> tuple[ObjectType, Row]:
        """The row that a change is for. Raises Fault."""
        type_ = self.object_type(change[0])
        current = work.resolve(read_id(type_, change[1]))
        row = work.get(work.group(type_.name).main, current)
        if row is None:
            raise self._absent(work, current)
        if not self._updateable(current):
            raise faults.no_access()
        return type_, row

    def _absent(self, work: Work, record_id: str) -> Fault:
        return faults.deleted() if work.get(work.shared.tombs, record_id) else faults.no_reference()

    def flat(self, work: Work, type_: ObjectType, values: Mapping[str, Any]) -> dict[str, Any]:
        """With ids in place of parents that are named by an external id. Raises Fault."""
        return dict(self._flat(work, type_, values))

    def _flat(self, work: Work, type_: ObjectType, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, value in values.items():
            if not isinstance(value, dict) or fold(name) == "attributes" or type_.find(name) is not None:
                yield name, value
                continue
            draft = Draft(type_)
            read_parent(self.schema, draft, type_, name, value)
            for reference, lookup in draft.given.items():
                assert isinstance(lookup, Lookup)
                target = self.schema.objects[lookup.object_name]
                try:
                    found = self.by_key(work, target, lookup.field, lookup.value)
                except Ambiguous as several:  # of the parent, not of the record that the request is about
                    raise Fault(several.code, several.message, (reference,)) from None
                if found is None:
                    raise no_parent(reference, lookup)
                yield reference, found

    def by_key(self, work: Work, type_: ObjectType, field: Field, value: Any) -> str | None:
        """The id of the record that has this value in an external id, in whatever case. Raises Ambiguous."""
        found = self._holders(work, type_, field, value)
        if len(found) > 1:
            raise Ambiguous(tuple(found))
        return found[0] if found else None

    def _holders(self, work: Work, type_: ObjectType, field: Field, value: Any) -> list[str]:
        main = work.group(type_.name).main
        same = folded(main.c[field.name]) == folded(sa.literal(value, sa.Text()))
        query = sa.select(main.c.Id).where(same).order_by(main.c.Id).limit(MOST_NAMED)
        return list(work.connection.execute(query).scalars())

    def _check_unique(
        self, work: Work, type_: ObjectType, values: Mapping[str, Any], own: str | None
    ) -> None:
        """An external id need not be unique."""
        for name, value in values.items():
            field = type_.find(name)
            if field is None or not field.unique or field.name == "Id" or not isinstance(value, str):
                continue
            others = [each for each in self._holders(work, type_, field, value) if each != own]
            if others:
                what = f"duplicate value found: {field.name} duplicates value on record with id: {others[0]}"
                raise Fault("DUPLICATE_VALUE", what, (field.name,))

    def _key_field(self, type_: ObjectType, name: str) -> Field:
        field = type_.find(name)
        if field is None or not (field.external_id or field.id_lookup or field.unique or field.name == "Id"):
            what = f"Provided external ID field does not exist or is not accessible: {name[:80]}"
            raise Fault("NOT_FOUND", what)
        return field

    # ── Many rows ────────────────────────────────────────────────────────────────────────────────────────────

    def _each(self, acts: Sequence[Callable[[Work], Outcome]], all_or_none: bool) -> list[Outcome]:
        """One transaction; a row that is refused leaves nothing of itself."""
        outcomes: list[Outcome] = []
        try:
            with self.database.write() as connection:
                work = self.work(connection)
                outcomes += [_tried(connection, work, act) for act in acts]
                if all_or_none and any(isinstance(each, Rejected) for each in outcomes):
                    raise _Undone
        except _Undone:
            return [_rolled_back(each) for each in outcomes]
        return outcomes


def _tried(connection: sa.Connection, work: Work, act: Callable[[Work], Outcome]) -> Outcome:
    try:
        with connection.begin_nested():
            return act(work)
    except Fault as fault:
        return Rejected((fault,))


def _rolled_back(outcome: Outcome) -> Outcome:
    return Rejected((faults.ROLLED_BACK,), outcome.id) if isinstance(outcome, Saved) else outcome
