"""describeLayout: how a page shows a record, worked out from the object's fields.

Sections of two columns: what the object is about, addresses, and what the system notes. Children with a name are
related lists. Elements stand in the WSDL's order, which REST shares.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from crmsync.state.replica.ids import new_id
from crmsync.state.replica.metadata import Child, Field, ObjectType, Schema

__all__ = ["layout_of"]

COLUMNS = 2
MASTER = "012000000000000AAA"
RELATED_ROWS = 5
_SYSTEM = frozenset({"CreatedById", "CreatedDate", "LastModifiedById", "LastModifiedDate"})
_HIDDEN = frozenset(
    {"Id", "IsDeleted", "SystemModstamp", "MasterRecordId", "LastViewedDate", "LastReferencedDate"}
)


def layout_of(schema: Schema, type_: ObjectType) -> dict[str, Any]:
    """describeLayout's result: one layout, for the one record type."""
    layout = _id(type_, 0)
    shown = [field for field in type_.fields if _shown(field)]
    groups = {
        f"{type_.label} Information": [f for f in shown if f.name not in _SYSTEM and f.type != "address"],
        "Address Information": [f for f in shown if f.type == "address"],
        "System Information": [f for f in shown if f.name in _SYSTEM],
    }
    whole = {f.compound for f in type_.fields if f.createable or f.updateable}  # names and addresses of parts
    editable = {
        heading: [f for f in fields if f.createable or f.updateable or f.name in whole]
        for heading, fields in groups.items()
    }
    return {
        "layouts": [
            {
                "detailLayoutSections": list(_sections(type_, groups, first=1)),
                "editLayoutSections": list(_sections(type_, editable, first=11)),
                "id": layout,
                "relatedLists": [
                    _related(schema, c) for c in schema.children(type_.name) if c.field.children
                ],
            }
        ],
        "recordTypeMappings": [_mapping(type_, layout)],
        "recordTypeSelectorRequired": False,
    }


def _shown(field: Field) -> bool:
    parts = field.compound is not None and field.compound.endswith("Address")
    named = field.compound == "Name"
    return field.name not in _HIDDEN and not parts and not named and field.type != "base64"


def _sections(type_: ObjectType, groups: dict[str, list[Field]], first: int) -> Iterator[dict[str, Any]]:
    for place, (heading, fields) in enumerate(groups.items()):
        if fields:
            rows = [fields[start : start + COLUMNS] for start in range(0, len(fields), COLUMNS)]
            yield {
                "collapsed": False,
                "columns": COLUMNS,
                "heading": heading,
                "layoutRows": [_row(type_, row, number) for number, row in enumerate(rows)],
                "layoutSectionId": _id(type_, first + place),
                "parentLayoutId": _id(type_, 0),
                "rows": len(rows),
                "tabOrder": "LeftToRight",
                "useCollapsibleSection": True,
                "useHeading": place > 0,
            }


def _row(type_: ObjectType, fields: Sequence[Field], number: int) -> dict[str, Any]:
    items = [_item(type_, field, number * COLUMNS + place + 1) for place, field in enumerate(fields)]
    items += [_placeholder()] * (COLUMNS - len(items))
    return {"layoutItems": items, "numItems": COLUMNS}


def _item(type_: ObjectType, field: Field, order: int) -> dict[str, Any]:
    parts = [each for each in type_.fields if each.compound == field.name]
    component = {
        "displayLines": 6 if field.type == "textarea" and field.length > 255 else 1,
        "tabOrder": order,
        "type": "Field",
        "value": field.name,
    }
    return {
        "editableForNew": field.createable or any(each.createable for each in parts),
        "editableForUpdate": field.updateable or any(each.updateable for each in parts),
        "label": field.label,
        "layoutComponents": [component],
        "placeholder": False,
        "required": field.required or any(each.required for each in parts),
    }


def _placeholder() -> dict[str, Any]:
    return {
        "editableForNew": False,
        "editableForUpdate": False,
        "label": "",
        "layoutComponents": [],
        "placeholder": True,
        "required": False,
    }


def _related(schema: Schema, child: Child) -> dict[str, Any]:
    of = schema.objects[child.child]
    name = of.by_name[of.name_field.casefold()]
    column = {
        "field": f"{of.name}.{name.name}",
        "fieldApiName": name.name,
        "format": None,
        "label": name.label,
        "lookupId": f"{of.name}.Id",
        "name": name.name,
        "sortable": name.sortable,
    }
    return {
        "accessLevelRequiredForCreate": None,
        "buttons": [],
        "columns": [column],
        "custom": False,
        "field": child.field.name,
        "label": of.plural,
        "limitRows": RELATED_ROWS,
        "name": child.field.children,
        "sobject": of.name,
        "sort": [],
    }


def _mapping(type_: ObjectType, layout: str) -> dict[str, Any]:
    lists = [
        {"picklistName": field.name, "picklistValues": [_value(field, each) for each in field.values]}
        for field in type_.fields
        if field.values
    ]
    return {
        "active": True,
        "available": True,
        "defaultRecordTypeMapping": True,
        "developerName": "Master",
        "layoutId": layout,
        "master": True,
        "name": "Master",
        "picklistsForRecordType": lists,
        "recordTypeId": MASTER,
    }


def _value(field: Field, value: str) -> dict[str, Any]:
    return {"active": True, "defaultValue": value == field.default, "label": value, "value": value}


def _id(type_: ObjectType, number: int) -> str:
    """Layouts have ids that no record has: theirs begin with 00h, and the object's prefix tells them apart."""
    digits = sum(ord(each) * 128**place for place, each in enumerate(reversed(type_.prefix)))
    return new_id("00h", digits * 100 + number)
