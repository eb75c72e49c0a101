"""What SOQL has to know of the objects, made of what the CRM knows of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import sqlalchemy as sa

from crmsync.state.replica import soql
from crmsync.state.replica.metadata import ADDRESS_PARTS, Field, ObjectType, Schema

__all__ = ["Catalogs", "catalogs_of"]


@dataclass(frozen=True, slots=True)
class Catalogs:
    usual: soql.Catalog
    free: soql.Catalog  # the same, but conditions may look at every field


_made: WeakKeyDictionary[Schema, tuple[Mapping[str, sa.Table], Catalogs]] = WeakKeyDictionary()


def catalogs_of(schema: Schema, tables: Mapping[str, sa.Table]) -> Catalogs:
    """Made once for a schema whose databases have the same tables."""
    known = _made.get(schema)
    if known is not None and known[0] == tables:
        return known[1]
    usual = soql.Catalog({o.name.lower(): _object(schema, o, tables[o.name]) for o in schema})
    made = Catalogs(usual, _unrestricted(usual))
    _made[schema] = (tables, made)
    return made


def _unrestricted(catalog: soql.Catalog) -> soql.Catalog:

    def freed(object_: soql.Object) -> soql.Object:
        fields = {key: replace(each, filterable=True) for key, each in object_.fields.items()}
        return replace(object_, fields=fields)

    return soql.Catalog({key: freed(each) for key, each in catalog.objects.items()})


def _object(schema: Schema, type_: ObjectType, table: sa.Table) -> soql.Object:
    flags = {f["name"]: f for f in (schema.told(type_.name) or {}).get("fields", ())}
    fields = {
        f.name.lower(): soql.Field(
            f.name,
            f.type,
            table.c[f.name] if f.stored else None,
            reference_to=f.to,
            relationship_name=f.relationship,
            nillable=f.nillable,
            name_field=f.name_field,
            custom=f.custom,
            filterable=_flag(flags, f, "filterable", f.filterable),
            groupable=_flag(flags, f, "groupable", f.groupable),
            sortable=_flag(flags, f, "sortable", f.sortable),
            components={} if f.stored else _components(f.name),
        )
        for f in type_.fields
    }
    children = {
        c.field.children.lower(): soql.ChildRelationship(c.field.children, c.child, c.field.name)
        for c in schema.children(type_.name)
        if c.field.children
    }
    return soql.Object(type_.name, table, fields, children)


def _flag(told: Mapping[str, Mapping[str, Any]], field: Field, name: str, ours: bool) -> bool:
    """As an upstream says of its field, within what we can do."""
    return bool(told.get(field.name, {}).get(name, ours))


def _components(compound: str) -> dict[str, str]:
    prefix = compound.removesuffix("Address")
    parts = sorted(part for part, _, _ in ADDRESS_PARTS)
    return {part[0].lower() + part[1:]: prefix + part for part in parts}
