"""A row's values as the templates show them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from crmsync.daemon.crm_pages import values
from crmsync.daemon.crm_pages.desk import Desk
from crmsync.daemon.crm_pages.shapes import Field

__all__ = ["Cell", "Row", "cells", "rows"]


@dataclass(frozen=True, slots=True)
class Cell:
    label: str
    text: str
    href: str | None = None
    block: bool = False  # long text, with its lines
    outside: bool = False  # it leaves the CRM


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    cells: Sequence[Cell]


def cells(
    fields: Iterable[Field], record: Mapping[str, Any], names: Mapping[str, str], zone: ZoneInfo
) -> list[Cell]:
    return [_cell(each, record.get(each.name), names, zone) for each in fields]


def rows(
    desk: Desk, fields: Sequence[Field], records: Sequence[Mapping[str, Any]], name_field: str, zone: ZoneInfo
) -> list[Row]:
    """The one that names the record leads to it."""
    names = desk.names(r.get(f.name) for r in records for f in fields if f.type == "reference")
    return [Row(r["Id"], [_linked(f, r, names, name_field, zone) for f in fields]) for r in records]


def _linked(
    field: Field, record: Mapping[str, Any], names: Mapping[str, str], name_field: str, zone: ZoneInfo
) -> Cell:
    cell = _cell(field, record.get(field.name), names, zone)
    if field.name != name_field:
        return cell
    return Cell(cell.label, cell.text or "(no name)", f"/crm/{record['Id']}")


def _cell(field: Field, value: Any, names: Mapping[str, str], zone: ZoneInfo) -> Cell:
    if field.type == "reference" and value:
        known = names.get(value)
        return Cell(field.shown_as, known or str(value), f"/crm/{value}" if known else None)
    text = values.shown(field, value, zone)
    block = field.type in ("textarea", "address") and "\n" in text
    href = values.href(field, value)
    return Cell(field.shown_as, text, href, block, outside=bool(href) and field.type == "url")
