"""The objects, fields and relationships a query may name: all that the translator knows of a database.

Keys of every mapping are lower case, since SOQL ignores case; the values carry the canonical spelling, which is
what replies use. A table has one column per field, named exactly as the field (`Id`, `IsDeleted`, …): strings,
ids and references as String, datetime as naive UTC DateTime, date as Date, boolean as Boolean, int as Integer,
double, currency and percent as Float.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Table


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an object.

    `type` is the describe's word (`id`, `reference`, `string`, `picklist`, `datetime`, …). `reference_to` and
    `relationship_name` stand on references: `("Account",)` and `Account`; more than one target makes the
    reference polymorphic. `name_field` marks the field that names a record (Case: CaseNumber, Task: Subject).

    A compound field (`type` address) has no column but `components`: key in the reply's JSON -> name of the
    field it is read from, as `{"street": "MailingStreet", …}`.
    """

    name: str
    type: str
    column: Column[Any] | None
    reference_to: tuple[str, ...] = ()
    relationship_name: str | None = None
    nillable: bool = True
    name_field: bool = False
    custom: bool = False
    filterable: bool = True
    groupable: bool = True
    sortable: bool = True
    components: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChildRelationship:
    """Rows of `child_object` whose reference `field` points here: Account has `Contacts`, by AccountId."""

    name: str
    child_object: str
    field: str


@dataclass(frozen=True, slots=True)
class Object:
    """One object: `fields` and `children` are keyed by lower-case name, in the order replies list them."""

    name: str
    table: Table
    fields: Mapping[str, Field]
    children: Mapping[str, ChildRelationship] = field(default_factory=dict)

    def field(self, name: str) -> Field | None:
        return self.fields.get(name.lower())

    def reference(self, relationship: str) -> Field | None:
        """The reference field behind a parent relationship: `Account` -> AccountId."""
        wanted = relationship.lower()
        for candidate in self.fields.values():
            if candidate.relationship_name is not None and candidate.relationship_name.lower() == wanted:
                return candidate
        return None


@dataclass(frozen=True, slots=True)
class Catalog:
    """All objects, keyed by lower-case name."""

    objects: Mapping[str, Object]

    def object(self, name: str) -> Object | None:
        return self.objects.get(name.lower())
