"""Creating and updating rows, many at a time, inside one write transaction.

Each step looks at all drafts at once, so that a collection of 200 rows costs a handful of statements: load the
old rows, resolve and check references, complete the rows, check uniqueness, write.
"""

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crmsync.state.replica import consequences, faults, hierarchies, ids, rules
from crmsync.state.replica.access import Access, Caller
from crmsync.state.replica.database import Database
from crmsync.state.replica.drafts import Draft, Lookup, missing_fields
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.metadata import Field, ObjectType, Schema
from crmsync.state.replica.records import AT_ONCE, Row, fetch, fetch_any

__all__ = ["Guard", "Writer", "find_by_key", "no_parent"]

Guard = Callable[[Row], None]  # looks at the stored row before an update; raises Fault to stop it
ALWAYS_RELATED = ("WhatId", "WhoId")  # rules look at them even when they did not change


@dataclass(frozen=True, slots=True)
class Writer:
    """One transaction of one caller; `now` is naive UTC in whole seconds."""

    database: Database
    schema: Schema
    access: Access
    connection: sa.Connection
    caller: Caller
    now: datetime.datetime

    def save(self, drafts: Sequence[Draft], *, all_or_none: bool = False, guard: Guard | None = None) -> None:
        """Writes every draft that is in order; the others keep their faults. With an id it is an update."""
        self._load(drafts, guard)
        self._resolve(drafts)
        related = self._related(drafts)
        for draft in _fine(drafts):
            self._attempt(draft, related)
        self._check_unique(drafts)
        self._check_above(drafts)
        if all_or_none and any(not draft.ok for draft in drafts):
            for draft in _fine(drafts):
                draft.reject(faults.ROLLED_BACK)
            return
        self._insert([d for d in _fine(drafts) if d.before is None])
        self._update([d for d in _fine(drafts) if d.before is not None])
        consequences.follow(self, _fine(drafts))

    def make(self, name: str, **values: Any) -> str:
        """A record that comes along with another one: nobody's rights are asked."""
        draft = Draft(self.schema.objects[name])
        draft.row = {**self._empty(draft.checked_type()), **self._stamps(), **values}
        self._insert([draft])
        assert draft.id is not None
        return draft.id

    def put(self, name: str, condition: Callable[[Any], Any], **values: Any) -> None:
        table = self.database.tables[name]
        stamped = {**values, "SystemModstamp": self.now}
        self.connection.execute(table.update().where(condition(table.c)).values(stamped))

    def count(self, name: str, condition: Callable[[Any], Any]) -> int:
        table = self.database.tables[name]
        query = sa.select(sa.func.count()).select_from(table).where(condition(table.c))
        return int(self.connection.execute(query).scalar_one())

    def _load(self, drafts: Sequence[Draft], guard: Guard | None) -> None:
        updates = [d for d in _fine(drafts) if d.id is not None]
        for type_, group in _by_object(updates):
            table = self.database.tables[type_.name]
            stored = fetch(self.connection, table, (d.id for d in group if d.id))
            hidden = self.access.hidden(self.connection, self.caller, type_, table, stored)
            seen: set[str] = set()
            for draft in group:
                assert draft.id is not None
                try:
                    if draft.id in hidden:
                        raise faults.no_access()
                    draft.before = self._editable(type_, stored.get(draft.id), draft)
                    if guard is not None:
                        guard(draft.before)
                    if draft.id in seen:
                        raise Fault("DUPLICATE_VALUE", f"Duplicate id in batch: {draft.id}", ("Id",))
                    seen.add(draft.id)
                except Fault as fault:
                    draft.reject(fault)

    def _editable(self, type_: ObjectType, row: Row | None, draft: Draft) -> Row:
        if row is None:
            raise faults.no_reference()
        if row.get("IsDeleted"):
            raise faults.deleted()
        rights = self.access.rights(self.caller, type_, row)
        gives_away = draft.given.get("OwnerId", row.get("OwnerId")) != row.get("OwnerId")
        if not rights.edit or (gives_away and not (rights.delete or self.caller.all_records)):
            raise faults.no_access()
        return row

    def _resolve(self, drafts: Sequence[Draft]) -> None:
        """Turns references by external id into ids."""
        for draft in _fine(drafts):
            for name, value in draft.given.items():
                if not isinstance(value, Lookup):
                    continue
                table = self.database.tables[value.object_name]
                found = find_by_key(self.connection, table, value.field, [value.value])
                draft.given[name] = next(iter(found.values()), None)
                if draft.given[name] is None:
                    draft.reject(no_parent(name, value))

    def _related(self, drafts: Sequence[Draft]) -> Mapping[str, Row]:
        """Everything that the rows refer to, by id."""
        wanted: set[str | None] = set()
        for draft in _fine(drafts):
            names = {f.name for f in draft.checked_type().fields if f.to and f.name in draft.given}
            wanted |= {draft.given[name] for name in names}
            before = draft.before or {}
            wanted |= {before[name] for name in ALWAYS_RELATED if before.get(name)}
        present = sorted(each for each in wanted if each)
        return fetch_any(self.connection, self.database, self.schema, present)

    def _attempt(self, draft: Draft, related: Mapping[str, Row]) -> None:
        try:
            self._check_references(draft, related)
            draft.row = self._completed(draft)
            missing = tuple(missing_fields(draft))
            if missing:
                raise faults.required(missing)
            change = rules.Change(draft.row, frozenset(draft.given), draft.before, related, self.now)
            rules.derive(draft.checked_type().name, change)
        except Fault as fault:
            draft.reject(fault)

    def _check_references(self, draft: Draft, related: Mapping[str, Row]) -> None:
        for name, value in draft.given.items():
            field = draft.checked_type().by_name[name.casefold()]
            unchanged = draft.before is not None and draft.before[name] == value
            if field.to and value is not None and not unchanged:
                self._check_reference(field, value, related.get(value))

    def _check_reference(self, field: Field, value: str, row: Row | None) -> None:
        target = self.schema.of_id(value)
        where = (field.name,)
        if target is None or target.name not in field.to:
            raise faults.wrong_type_of_id(field.label, value, where)
        if row is None:
            raise faults.no_reference(where)
        if row.get("IsDeleted"):
            raise Fault("ENTITY_IS_DELETED", "entity is deleted", where)
        if not self.access.rights(self.caller, target, row).read:
            what = "insufficient access rights on cross-reference id"
            raise Fault("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", what, where)
        if field.name == "OwnerId" and not row["IsActive"]:
            what = f"operation performed with inactive user [{value}] as owner of record"
            raise Fault("INACTIVE_OWNER_OR_USER", what, where)

    def _completed(self, draft: Draft) -> dict[str, Any]:
        type_ = draft.checked_type()
        given = dict(draft.given)
        if draft.before is None:
            row = self._blank(type_)
            given = {k: v for k, v in given.items() if v is not None or row[k] is None}
        else:
            row = dict(draft.before)
        row |= given
        row |= self._stamps()
        for field in type_.fields:
            if field.key_column:
                value = row[field.name]
                row[field.key_column] = None if value is None else value.casefold()
        return row

    def _blank(self, type_: ObjectType) -> dict[str, Any]:
        if not self.access.may_create(self.caller, type_):
            raise faults.no_access()
        return self._empty(type_)

    def _stamps(self) -> dict[str, Any]:
        return {
            "LastModifiedDate": self.now,
            "LastModifiedById": self.caller.user_id,
            "SystemModstamp": self.now,
        }

    def _empty(self, type_: ObjectType) -> dict[str, Any]:
        row = {
            f.name: False if f.type == "boolean" and f.default is None else f.default for f in type_.stored
        }
        row |= {"CreatedDate": self.now, "CreatedById": self.caller.user_id}
        if type_.owned:
            row["OwnerId"] = self.caller.user_id
        return row

    def _check_unique(self, drafts: Sequence[Draft]) -> None:
        for type_, group in _by_object(_fine(drafts)):
            for field in type_.fields:
                if field.key_column:
                    self._check_unique_field(type_, field, field.key_column, group)

    def _check_unique_field(self, type_: ObjectType, field: Field, key: str, group: Sequence[Draft]) -> None:
        values = [d.row[field.name] for d in group if d.row[key] is not None]
        taken = find_by_key(self.connection, self.database.tables[type_.name], field, values)
        for draft in group:
            folded = draft.row[key]
            holder = taken.get(folded) if folded is not None else None
            if holder is not None and holder != draft.id:
                draft.reject(_duplicate(field, holder))
            elif folded is not None:
                taken[folded] = draft.id or "another row of this request"

    def _check_above(self, drafts: Sequence[Draft]) -> None:
        for type_, group in _by_object(_fine(drafts)):
            if type_.name in hierarchies.ABOVE:
                table, above = self.database.tables[type_.name], hierarchies.ABOVE[type_.name]
                hierarchies.check(self.connection, table, above, group)

    def _insert(self, drafts: Sequence[Draft]) -> None:
        for type_, group in _by_object(drafts):
            numbers = self.database.take_numbers(self.connection, type_.name, len(group))
            automatic = [f.name for f in type_.fields if f.auto_number]
            for draft, number in zip(group, numbers, strict=True):
                draft.id = draft.row["Id"] = ids.new_id(type_.prefix, number)
                draft.row |= dict.fromkeys(automatic, f"{number:08d}")
            table = self.database.tables[type_.name]
            self.connection.execute(table.insert(), [draft.row for draft in group])

    def _update(self, drafts: Sequence[Draft]) -> None:
        for type_, group in _by_object(drafts):
            table = self.database.tables[type_.name]
            by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
            for draft in group:
                changed = _changed(draft)
                by_columns.setdefault(tuple(changed), []).append({"the_id": draft.id, **changed})
            for columns, rows in by_columns.items():
                statement = table.update().where(table.c.Id == sa.bindparam("the_id"))
                self.connection.execute(statement.values({c: sa.bindparam(c) for c in columns}), rows)


def find_by_key(
    connection: sa.Connection, table: sa.Table, field: Field, values: Iterable[str]
) -> dict[str, str]:
    """Ids of the records that hold these values in a unique field, by folded value."""
    assert field.key_column is not None
    key = table.c[field.key_column]
    folded = list({value.casefold() for value in values})
    found: dict[str, str] = {}
    for start in range(0, len(folded), AT_ONCE):
        query = sa.select(key, table.c.Id).where(key.in_(folded[start : start + AT_ONCE]))
        found |= {row[0]: row[1] for row in connection.execute(query)}
    return found


def _changed(draft: Draft) -> dict[str, Any]:
    """The columns to write: what differs, and the stamp in any case."""
    before = draft.before or {}
    changed = {k: v for k, v in draft.row.items() if k not in before or before[k] != v}
    return {**changed, "SystemModstamp": draft.row["SystemModstamp"]}


def _fine(drafts: Sequence[Draft]) -> list[Draft]:
    return [draft for draft in drafts if draft.ok]


def _by_object(drafts: Iterable[Draft]) -> Iterator[tuple[ObjectType, list[Draft]]]:
    groups: dict[str, list[Draft]] = {}
    for draft in drafts:
        groups.setdefault(draft.checked_type().name, []).append(draft)
    for group in groups.values():
        yield group[0].checked_type(), group


def _duplicate(field: Field, holder: str) -> Fault:
    what = f"duplicate value found: {field.name} duplicates value on record with id: {holder}"
    return Fault("DUPLICATE_VALUE", what, (field.name,))


def no_parent(name: str, lookup: Lookup) -> Fault:
    where = f"field {lookup.field.name} in entity {lookup.object_name}"
    what = f"Foreign key external ID: {lookup.value} not found for {where}"
    return Fault("INVALID_FIELD", what, (name,))
