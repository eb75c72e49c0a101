"""The embedded CRM's records: create, update, upsert, delete, retrieve, with Salesforce's semantics.

Every call names its caller and works on many rows; each row gets its own outcome, in order. Transports (REST
now, SOAP and Bulk later) only translate. Writes are durable when a call returns.
"""

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from crmsync.state.replica import faults
from crmsync.state.replica.access import NOTHING, Access, Caller, Rights
from crmsync.state.replica.database import Database
from crmsync.state.replica.deleting import Deleter
from crmsync.state.replica.drafts import Draft, read_fields
from crmsync.state.replica.faults import Fault, Outcome, Rejected, Saved
from crmsync.state.replica.metadata import Field, ObjectType, Schema, fold, standard
from crmsync.state.replica.records import Row, fetch, fetch_any, read_id
from crmsync.state.replica.values import decode
from crmsync.state.replica.writing import Guard, Writer, find_by_key

__all__ = ["Clock", "Store"]

Clock = Callable[[], datetime.datetime]  # returns an aware datetime


class Store:
    """All records of one organisation. Safe to use from many threads at once."""

    def __init__(
        self, database: Database, *, clock: Clock, schema: Schema | None = None, access: Access | None = None
    ) -> None:
        self.database = database
        self.schema = schema or standard()
        self.access = access or Access()
        self._clock = clock

    def now(self) -> datetime.datetime:
        """The CRM's time as it stamps records: naive UTC, whole seconds."""
        return self._clock().astimezone(datetime.UTC).replace(microsecond=0, tzinfo=None)

    def object_type(self, name: str) -> ObjectType:
        """The object of that name in any case; raises Fault (INVALID_TYPE)."""
        type_ = self.schema.find(name)
        if type_ is None:
            raise faults.no_object(name[:80])
        return type_

    def create(
        self, caller: Caller, rows: Sequence[tuple[str, Mapping[str, Any]]], *, all_or_none: bool = False
    ) -> list[Outcome]:
        """Each row is (object name, fields as JSON values)."""
        drafts = [self._draft(name, None, raw) for name, raw in rows]
        return self._save(caller, drafts, all_or_none=all_or_none)

    def update(
        self,
        caller: Caller,
        rows: Sequence[tuple[str, str, Mapping[str, Any]]],
        *,
        all_or_none: bool = False,
        guard: Guard | None = None,
    ) -> list[Outcome]:
        """Each row is (object name, id, fields as JSON values); `guard` may veto against the stored row."""
        drafts = [self._draft(name, record_id, raw) for name, record_id, raw in rows]
        return self._save(caller, drafts, all_or_none=all_or_none, guard=guard)

    def upsert(
        self,
        caller: Caller,
        object_name: str,
        key_field: str,
        rows: Sequence[tuple[Any, Mapping[str, Any]]],
        *,
        all_or_none: bool = False,
    ) -> list[Outcome]:
        """Each row is (key, fields): updates the record whose external id is the key, else creates one.

        With `Id` as the key field a row without a key is created, and a key must exist.
        """
        type_ = self.object_type(object_name)
        field = self._key_field(type_, key_field)
        if field.name == "Id":
            drafts = [self._draft(type_.name, key or None, raw) for key, raw in rows]
            return self._save(caller, drafts, all_or_none=all_or_none)
        with self.database.write() as connection:
            taken = self._matches(connection, type_, field, [key for key, _ in rows])
            drafts = []
            seen: set[str] = set()
            for key, raw in rows:
                drafts.append(self._keyed_draft(type_, field, key, raw, taken, seen))
            self._writer(connection, caller).save(drafts, all_or_none=all_or_none)
        return [draft.outcome() for draft in drafts]

    def delete(
        self,
        caller: Caller,
        record_ids: Sequence[str],
        *,
        all_or_none: bool = False,
        object_name: str | None = None,
    ) -> list[Outcome]:
        """Deletes with cascade. `object_name`, if given, is what every id must belong to."""
        with self.database.write() as connection:
            checked = [self._deletable_id(text, object_name) for text in record_ids]
            ids = [c for c in checked if isinstance(c, str)]
            stored = fetch_any(connection, self.database, self.schema, ids)
            outcomes = [self._check_delete(caller, each, stored) for each in checked]
            good = list(dict.fromkeys(o.id for o in outcomes if isinstance(o, Saved)))
            if all_or_none and len(good) < len(outcomes):
                return [_rolled_back(o) for o in outcomes]
            deleter = Deleter(self.database, self.schema, connection, caller, self.now())
            refused = deleter.delete(good, all_or_none=all_or_none)
        outcomes = [
            Rejected((refused[o.id],), o.id) if isinstance(o, Saved) and o.id in refused else o
            for o in outcomes
        ]
        return [_rolled_back(o) for o in outcomes] if refused and all_or_none else outcomes

    def retrieve(self, caller: Caller, object_name: str, record_ids: Sequence[str]) -> list[Row | None]:
        """Whole stored rows in the order asked for; None for what is deleted, invisible or never was."""
        type_ = self.object_type(object_name)
        wanted = [read_id(type_, each) for each in record_ids]
        with self.database.read() as connection:
            table = self.database.tables[type_.name]
            stored = fetch(connection, table, wanted)
            hidden = self.access.hidden(connection, caller, type_, table, stored)
        return [None if each in hidden else self._visible(caller, type_, stored.get(each)) for each in wanted]

    def read(self, caller: Caller, object_name: str, record_id: str) -> Row:
        """One stored row; raises Fault (NOT_FOUND, MALFORMED_ID)."""
        row = self.retrieve(caller, object_name, [record_id])[0]
        if row is None:
            raise faults.not_found()
        return row

    def find(self, caller: Caller, object_name: str, key_field: str, value: str) -> Row:
        """The row that holds a value in an external id field; raises Fault (NOT_FOUND)."""
        type_ = self.object_type(object_name)
        field = self._key_field(type_, key_field)
        if field.name == "Id":
            return self.read(caller, object_name, value)
        with self.database.read() as connection:
            table = self.database.tables[type_.name]
            found = list(find_by_key(connection, table, field, [decode(field, value) or ""]).values())
            row = fetch(connection, table, found).get(found[0]) if found else None
        visible = self._visible(caller, type_, row)
        if visible is None:
            raise faults.not_found()
        return visible

    def current(self, record_id: str) -> str:
        """The id that a record has now, by one that it had."""
        return record_id

    def rights(self, caller: Caller, record_ids: Sequence[str]) -> list[tuple[str, Rights]]:
        """What the caller may do with each record; deleted and unknown ones are left out."""
        with self.database.read() as connection:
            stored = fetch_any(connection, self.database, self.schema, record_ids)
            hidden = self._hidden(connection, caller, stored)
        return [
            (each, NOTHING if each in hidden else self.access.rights(caller, type_, stored[each]))
            for each in record_ids
            if each in stored and not stored[each].get("IsDeleted") and (type_ := self.schema.of_id(each))
        ]

    def _hidden(self, connection: Any, caller: Caller, record_ids: Iterable[str]) -> set[str]:
        by_type: dict[str, list[str]] = {}
        for each in record_ids:
            type_ = self.schema.of_id(each)
            if type_ is not None and type_.follows:
                by_type.setdefault(type_.name, []).append(each)
        found: set[str] = set()
        for name, ids in by_type.items():
            found |= self.access.hidden(
                connection, caller, self.schema.objects[name], self.database.tables[name], ids
            )
        return found

    def caller(self, user_id: str) -> Caller:
        """The caller that a user is; raises Fault when there is no such active user."""
        with self.database.read() as connection:
            user = fetch(connection, self.database.tables["User"], [user_id]).get(user_id)
            if user is None or not user["IsActive"]:
                raise faults.not_found()
            profile = fetch(connection, self.database.tables["Profile"], [user["ProfileId"]])
        name = profile[user["ProfileId"]]["Name"] if user["ProfileId"] in profile else ""
        return Caller(user_id, all_records=name in ALL_RECORDS_PROFILES)

    def _save(
        self, caller: Caller, drafts: Sequence[Draft], *, all_or_none: bool, guard: Guard | None = None
    ) -> list[Outcome]:
        with self.database.write() as connection:
            self._writer(connection, caller).save(drafts, all_or_none=all_or_none, guard=guard)
        return [draft.outcome() for draft in drafts]

    def _writer(self, connection: Any, caller: Caller) -> Writer:
        return Writer(self.database, self.schema, self.access, connection, caller, self.now())

    def _draft(self, object_name: str, record_id: object, raw: Mapping[str, Any]) -> Draft:
        draft = Draft(self.schema.find(object_name))
        if draft.type is None:
            draft.reject(faults.no_object(object_name[:80]))
            return draft
        try:
            draft.id = None if record_id is None else read_id(draft.type, record_id)
        except Fault as fault:
            draft.reject(fault)
        read_fields(self.schema, draft, raw, creating=draft.id is None)
        return draft

    def _keyed_draft(
        self,
        type_: ObjectType,
        field: Field,
        key: Any,
        raw: Mapping[str, Any],
        taken: Mapping[str, str],
        seen: set[str],
    ) -> Draft:
        folded = key.casefold() if isinstance(key, str) else None
        body = {k: v for k, v in raw.items() if fold(k) != fold(field.name)}
        draft = self._draft(type_.name, taken.get(folded) if folded else None, {**body, field.name: key})
        if not folded:
            draft.reject(Fault("MISSING_ARGUMENT", f"{field.name} not specified", (field.name,)))
        elif folded in seen:
            draft.reject(Fault("DUPLICATE_VALUE", f"Duplicate external id specified: {key}", (field.name,)))
        seen.add(folded or "")
        return draft

    def _matches(
        self, connection: Any, type_: ObjectType, field: Field, keys: Sequence[Any]
    ) -> dict[str, str]:
        usable = []
        for key in keys:
            try:
                value = decode(field, key)
            except Fault:
                continue  # the row's own draft says what is wrong with it
            if value is not None:
                usable.append(value)
        return find_by_key(connection, self.database.tables[type_.name], field, usable)

    def _key_field(self, type_: ObjectType, name: str) -> Field:
        field = type_.find(name)
        if field is None or not (field.unique or field.name == "Id"):
            what = f"Provided external ID field does not exist or is not accessible: {name[:80]}"
            raise Fault("NOT_FOUND", what)
        return field

    def _visible(self, caller: Caller, type_: ObjectType, row: Row | None) -> Row | None:
        if row is None or row.get("IsDeleted") or not self.access.rights(caller, type_, row).read:
            return None
        return row

    def _deletable_id(self, text: str, object_name: str | None) -> str | Fault:
        type_ = self.schema.find(object_name) if object_name else self.schema.of_id(text)
        try:
            if type_ is None:
                raise faults.malformed_id(text)
            return read_id(type_, text)
        except Fault as fault:
            return fault

    def _check_delete(self, caller: Caller, checked: str | Fault, stored: Mapping[str, Row]) -> Outcome:
        if isinstance(checked, Fault):
            return Rejected((checked,))
        row, type_ = stored.get(checked), self.schema.of_id(checked)
        if row is None or type_ is None:
            return Rejected((faults.no_reference(),), checked)
        if row.get("IsDeleted"):
            return Rejected((faults.deleted(),), checked)
        if not self.access.rights(caller, type_, row).delete:
            return Rejected((faults.no_access(),), checked)
        return Saved(checked, created=False)


ALL_RECORDS_PROFILES = frozenset({"System Administrator", "Integration"})


def _rolled_back(outcome: Outcome) -> Outcome:
    return Rejected((faults.ROLLED_BACK,), outcome.id) if isinstance(outcome, Saved) else outcome
