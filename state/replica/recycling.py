"""The recycle bin: bringing deleted records back, with what was deleted along with them, and emptying it.

A deleted record stays in its table, marked, and `crm_deletion` says with which other record it went. Emptied ones
leave the table; `crm_purged` keeps what getDeleted has to go on saying of them.
"""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crmsync.state.replica import faults, ids
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault, Outcome, Rejected, Saved
from crmsync.state.replica.metadata import ObjectType
from crmsync.state.replica.records import AT_ONCE, Row, fetch_any
from crmsync.state.replica.store import Store
from crmsync.state.replica.writing import find_by_key

__all__ = ["RecycleBin"]

KEPT = datetime.timedelta(days=15)


@dataclass(frozen=True, slots=True)
class RecycleBin:
    """Each id gets its own outcome, in order."""

    store: Store

    def undelete(self, caller: Caller, record_ids: Sequence[str]) -> list[Outcome]:
        return [self._one(self._undelete, caller, each) for each in record_ids]

    def empty(self, caller: Caller, record_ids: Sequence[str]) -> list[Outcome]:
        """Deletes for good."""
        return [self._one(self._purge, caller, each) for each in record_ids]

    def _one(self, action: Any, caller: Caller, text: str) -> Outcome:
        try:
            if not ids.is_valid(text):
                raise faults.malformed_id(text)
            record_id = ids.to_18(text)
            with self.store.database.write() as connection:
                self._deleted(connection, caller, record_id)
                action(connection, record_id, self._along_with(connection, record_id))
            return Saved(record_id, created=False)
        except Fault as fault:
            return Rejected((fault,), text)

    def _deleted(self, connection: sa.Connection, caller: Caller, record_id: str) -> Row:
        row = fetch_any(connection, self.store.database, self.store.schema, [record_id]).get(record_id)
        type_ = self.store.schema.of_id(record_id)
        if row is None or type_ is None or not row.get("IsDeleted"):
            raise Fault("UNDELETE_FAILED", "Entity is not in the recycle bin")
        if row["SystemModstamp"] < self.store.now() - KEPT:
            raise Fault(
                "UNDELETE_FAILED", f"Entity has been in the recycle bin for more than {KEPT.days} days"
            )
        if not self.store.access.rights(caller, type_, row).delete:
            raise faults.no_access()
        return row

    def _along_with(self, connection: sa.Connection, record_id: str) -> list[Row]:
        """The record and those that went with it and are still in the bin."""
        table = self.store.database.deletions
        found = connection.execute(sa.select(table.c.record_id).where(table.c.root_id == record_id))
        wanted = dict.fromkeys([record_id, *(row[0] for row in found)])
        stored = fetch_any(connection, self.store.database, self.store.schema, wanted)
        return [row for row in stored.values() if row["IsDeleted"]]

    def _undelete(self, connection: sa.Connection, record_id: str, rows: Sequence[Row]) -> None:
        back = {row["Id"] for row in rows}
        for row in rows:
            type_ = self._type(row)
            self._check_parents(connection, type_, row, back)
            values: dict[str, Any] = {"IsDeleted": False, "SystemModstamp": self.store.now()}
            if "MasterRecordId" in row:
                values["MasterRecordId"] = None
            table = self.store.database.tables[type_.name]
            values |= self._keys(connection, type_, table, row)
            connection.execute(table.update().where(table.c.Id == row["Id"]).values(values))
        self._forget(connection, back)

    def _check_parents(self, connection: sa.Connection, type_: ObjectType, row: Row, back: set[str]) -> None:
        """A record that was deleted with another one does not come back alone."""
        holding = [row[f.name] for f in type_.fields if f.on_delete == "cascade" and row.get(f.name)]
        stored = fetch_any(connection, self.store.database, self.store.schema, holding)
        gone = [
            each for each in holding if each not in back and (each not in stored or stored[each]["IsDeleted"])
        ]
        if gone:
            raise Fault("UNDELETE_FAILED", f"undelete the record that it belongs to first: {gone[0]}")

    def _keys(
        self, connection: sa.Connection, type_: ObjectType, table: sa.Table, row: Row
    ) -> dict[str, str]:
        """The values of unique fields, which somebody else may have taken meanwhile."""
        keys = {}
        for field in type_.fields:
            value = row.get(field.name)
            if field.key_column is None or value is None:
                continue
            taken = find_by_key(connection, table, field, [value])
            if taken:
                what = f"duplicate value found: {field.name} duplicates value on record with id: {min(taken.values())}"
                raise Fault("DUPLICATE_VALUE", what, (field.name,))
            keys[field.key_column] = value.casefold()
        return keys

    def _purge(self, connection: sa.Connection, record_id: str, rows: Sequence[Row]) -> None:
        database = self.store.database
        purged = [
            {
                "record_id": row["Id"],
                "object": self._type(row).name,
                "deleted_at": row["SystemModstamp"],
                "owner_id": row.get("OwnerId"),
            }
            for row in rows
        ]
        connection.execute(database.purged.insert(), purged)
        for row in rows:
            table = database.tables[self._type(row).name]
            connection.execute(table.delete().where(table.c.Id == row["Id"]))
        self._forget(connection, {row["Id"] for row in rows})

    def _forget(self, connection: sa.Connection, record_ids: Iterable[str]) -> None:
        table, wanted = self.store.database.deletions, sorted(record_ids)
        for start in range(0, len(wanted), AT_ONCE):
            connection.execute(table.delete().where(table.c.record_id.in_(wanted[start : start + AT_ONCE])))

    def _type(self, row: Row) -> ObjectType:
        type_ = self.store.schema.of_id(row["Id"])
        assert type_ is not None
        return type_
