"""Records by id: reading them from their tables, and their JSON."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from crmsync.state.replica import faults, ids
from crmsync.state.replica.database import Database
from crmsync.state.replica.metadata import ADDRESS_PARTS, ObjectType, Schema
from crmsync.state.replica.values import encode

__all__ = ["chosen_fields", "fetch", "fetch_any", "read_id", "to_json"]

Row = Mapping[str, Any]
AT_ONCE = 500  # bound values in one IN list: SQLite, older than 3.32, takes 999


def read_id(type_: ObjectType, text: object) -> str:
    """The 18-character form of an id of this object; raises Fault."""
    if not isinstance(text, str) or not ids.is_valid(text):
        raise faults.malformed_id(text if isinstance(text, str) else "")
    record_id = ids.to_18(text)
    if not record_id.startswith(type_.prefix):
        raise faults.wrong_type_of_id(f"{type_.label} ID", text)
    return record_id


def fetch(connection: sa.Connection, table: sa.Table, record_ids: Iterable[str]) -> dict[str, Row]:
    """The whole rows with these ids, deleted ones too, by id."""
    wanted = list(dict.fromkeys(record_ids))
    found: dict[str, Row] = {}
    for start in range(0, len(wanted), AT_ONCE):
        query = sa.select(table).where(table.c.Id.in_(wanted[start : start + AT_ONCE]))
        found |= {row["Id"]: dict(row) for row in connection.execute(query).mappings()}
    return found


def fetch_any(
    connection: sa.Connection, database: Database, schema: Schema, record_ids: Iterable[str]
) -> dict[str, Row]:
    """The same across objects; ids of unknown objects are left out."""
    by_object: dict[str, list[str]] = {}
    for record_id in record_ids:
        type_ = schema.of_id(record_id)
        if type_ is not None:
            by_object.setdefault(type_.name, []).append(record_id)
    found: dict[str, Row] = {}
    for name, wanted in by_object.items():
        found |= fetch(connection, database.tables[name], wanted)
    return found


def chosen_fields(type_: ObjectType, names: Sequence[str] | None) -> tuple[str, ...]:
    """Canonical names of the fields asked for, all of them for None; raises Fault for one that is not there."""
    if names is None:
        return tuple(field.name for field in type_.fields)
    chosen = []
    for name in names:
        field = type_.find(name.strip())
        if field is None:
            raise faults.no_column(type_.name, name.strip()[:80])
        chosen.append(field.name)
    return tuple(dict.fromkeys((*chosen, "Id")))


def to_json(
    type_: ObjectType, row: Row, names: Iterable[str], base: str, *, utc: str = "+0000"
) -> dict[str, Any]:
    """The record as REST shows it. `base` is the path of the version, `/services/data/v59.0`; without one there are no
    addresses, and files come themselves."""
    record: dict[str, Any] = {
        "attributes": {"type": type_.name, "url": f"{base}/sobjects/{type_.name}/{row['Id']}"}
    }
    for name in names:
        field = type_.by_name[name.casefold()]
        if field.type == "base64" and base:
            record[name] = f"{record['attributes']['url']}/{name}"
        else:
            record[name] = encode(field, row[name], utc) if field.stored else _address(name, row)
    return record


def _address(compound: str, row: Row) -> dict[str, Any] | None:
    prefix = compound.removesuffix("Address")
    parts = {part[0].lower() + part[1:]: row[prefix + part] for part, _, _ in ADDRESS_PARTS}
    if all(value is None for value in parts.values()):
        return None
    return dict(sorted(parts.items()))
