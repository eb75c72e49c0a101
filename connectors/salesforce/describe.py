"""What an object of this organisation can hold: the few facts of a describe reply that mapping and writing need.

REST API Developer Guide, "sObject Describe". A field that the login may not see is missing from the reply.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from crmsync.connectors.errors import ProtocolError


@dataclass(frozen=True, slots=True)
class Field:
    name: str  # in the server's spelling
    type: str = "string"
    length: int = 0  # characters; 0: not limited by length
    createable: bool = True
    updateable: bool = True
    nillable: bool = True
    filterable: bool = True
    external_id: bool = False
    values: frozenset[str] | None = None  # the only ones accepted (a restricted picklist)


@dataclass(frozen=True, slots=True)
class Schema:
    """One object. Names are looked up without regard to case."""

    name: str
    fields: Mapping[str, Field]  # lower-case name -> field
    parents: frozenset[str] = frozenset()  # lower-case relationship names that a path may begin with
    children: frozenset[str] = frozenset()  # those of records that refer to one of these
    createable: bool = True
    updateable: bool = True
    deletable: bool = True

    def has(self, path: str) -> bool:
        """Whether a query may name ``path``. Of a path to a parent only the first step is known here."""
        first, dot, _ = path.lower().partition(".")
        return first in self.parents if dot else first in self.fields or first in self.children

    def field(self, path: str) -> Field | None:
        """A field of the object itself; None for one that does not exist, and for a parent's."""
        return self.fields.get(path.lower())

    def settable(self, path: str) -> bool:
        """When the record is made, and perhaps never again."""
        found = self.field(path)
        return found.createable if found is not None else path.lower() in self.children

    def writable(self, path: str) -> bool:
        found = self.field(path)
        if found is None:
            return path.lower() in self.children  # their records are written by themselves
        return found.createable and found.updateable


@dataclass(frozen=True, slots=True)
class Missing:
    """Configured fields that the organisation does not have, or does not show to this login."""

    object: str
    fields: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return (
            f"{self.object} has no {', '.join(self.fields)} for this login: not synchronised"
            " (create the field, allow the user to see it, or remove it from the mapping)"
        )


def parse(reply: object) -> Schema:
    """Raises ProtocolError for a reply that is no describe result."""
    try:
        if not isinstance(reply, dict):
            raise TypeError("no object")
        fields = [_field(f) for f in reply["fields"]]
        parents = (f.get("relationshipName") for f in reply["fields"] if f.get("type") == "reference")
        children = (c.get("relationshipName") for c in reply.get("childRelationships") or ())
        return Schema(
            str(reply["name"]),
            {f.name.lower(): f for f in fields},
            frozenset(p.lower() for p in parents if isinstance(p, str)),
            frozenset(n.lower() for n in children if isinstance(n, str)),
            bool(reply.get("createable", True)),
            bool(reply.get("updateable", True)),
            bool(reply.get("deletable", True)),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ProtocolError("the CRM describes an object in a form that we do not understand") from error


def _field(given: Mapping[str, object]) -> Field:
    length, values = given.get("length"), given.get("picklistValues")
    return Field(
        str(given["name"]),
        str(given["type"]),
        length if isinstance(length, int) else 0,
        bool(given.get("createable")),
        bool(given.get("updateable")),
        bool(given.get("nillable", True)),
        bool(given.get("filterable", True)),
        bool(given.get("externalId")),
        _values(values) if given.get("restrictedPicklist") and isinstance(values, list) else None,
    )


def _values(given: list[Mapping[str, object]]) -> frozenset[str]:
    return frozenset(str(v["value"]) for v in given if v.get("active", True))
