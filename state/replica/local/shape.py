"""An object as its describe tells it, and its rows between JSON and the tables.

What the upstream sends is stored as it is: a value that breaks one of the CRM's own rules (they are younger than many
records) is no reason to lose the row. What a person writes is checked by `values.decode`, before it gets here.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from crmsync.state.replica.metadata import DECIMAL_TYPES, Field, ObjectType, Schema, fold
from crmsync.state.replica.values import encode, parse_datetime

__all__ = ["REQUIRED", "Edge", "Shapes", "references", "row_from", "row_to", "shape", "stored"]

Row = dict[str, Any]
REQUIRED = ("Id", "SystemModstamp")  # without them an object cannot be kept in step


@dataclass(frozen=True, slots=True)
class Edge:
    """What becomes of `child` rows whose `field` refers to a deleted `parent`: cascade, restrict or clear."""

    parent: str
    child: str
    field: str
    rule: str


class Shapes:
    """All objects of one replica, from their describe replies by name."""

    def __init__(self, replies: Mapping[str, Mapping[str, Any]]) -> None:
        self.replies = replies
        self.schema = Schema(shape(reply) for reply in replies.values())
        self.edges = tuple(edge for reply in replies.values() for edge in _edges(reply))

    def __iter__(self) -> Iterator[ObjectType]:
        return iter(self.schema)

    def of(self, name: str) -> ObjectType:
        return self.schema.objects[name]

    def children(self, parent: str) -> Iterator[Edge]:
        """Those whose object stands here, too."""
        return (
            e
            for e in self.edges
            if e.parent == parent and (type_ := self.schema.objects.get(e.child)) and type_.find(e.field)
        )

    def pointing(self, target: str) -> Iterator[tuple[ObjectType, Field]]:
        """Reference fields that may hold an id of `target`."""
        return ((type_, f) for type_ in self for f in references(type_) if target in f.to)


def shape(reply: Mapping[str, Any]) -> ObjectType:
    """Raises ValueError for a reply that describes no object, or one that cannot be kept in step."""
    try:
        fields = tuple(_field(given) for given in reply["fields"])
        type_ = ObjectType(
            str(reply["name"]),
            str(reply["keyPrefix"] or ""),
            str(reply["label"]),
            str(reply["labelPlural"]),
            fields,
            createable=bool(reply["createable"]),
            deletable=bool(reply["deletable"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError("the describe reply has an unknown form") from error
    lacking = [name for name in REQUIRED if type_.find(name) is None]
    if lacking or not type_.prefix:
        raise ValueError(
            f"{type_.name} cannot be kept in step: it has no {', '.join(lacking) or 'key prefix'}"
        )
    return type_


def stored(type_: ObjectType) -> Iterator[Field]:
    """Compound fields exist in answers only; files are fetched one by one and stay where they are."""
    return (f for f in type_.fields if f.stored and f.type not in ("base64", "location"))


def references(type_: ObjectType) -> Iterator[Field]:
    return (f for f in stored(type_) if f.to)


def row_from(type_: ObjectType, raw: Mapping[str, Any]) -> Row:
    """A record as the REST API writes it, as the tables hold it; a field that it does not mention is None."""
    folded = {fold(name): value for name, value in raw.items()}
    return {f.name: _read(f, folded.get(fold(f.name))) for f in stored(type_)}


def row_to(type_: ObjectType, row: Mapping[str, Any]) -> dict[str, Any]:
    """As the REST API takes it."""
    names = {f.name for f in stored(type_)}
    return {name: encode(type_.by_name[fold(name)], value) for name, value in row.items() if name in names}


def _read(field: Field, raw: Any) -> Any:
    if raw is None:
        return False if field.type == "boolean" else None
    try:
        return _READERS.get(_family(field.type), _text)(raw)
    except (ValueError, OverflowError):
        return None  # a moment outside of the calendar: no table can hold it


def _family(type_: str) -> str:
    return "decimal" if type_ in DECIMAL_TYPES else type_


def _text(raw: Any) -> str:
    """As PostgreSQL can hold it, too: without NUL, and halves of characters."""
    return _UNSTORABLE.sub("", str(raw))


def _decimal(raw: Any) -> float | None:
    number = float(raw)
    return number if math.isfinite(number) else None


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_READERS: Mapping[str, Any] = {
    "boolean": lambda raw: raw in (True, "true"),
    "int": lambda raw: int(float(raw)),
    "decimal": _decimal,
    "datetime": lambda raw: parse_datetime(str(raw)),
    "date": lambda raw: parse_datetime(f"{str(raw)[:10]}T00:00:00Z").date(),
}


def _edges(reply: Mapping[str, Any]) -> Iterator[Edge]:
    for child in reply.get("childRelationships") or ():
        if child.get("field") and child.get("childSObject"):
            rule = "cascade" if child.get("cascadeDelete") else "clear"
            rule = "restrict" if child.get("restrictedDelete") else rule
            yield Edge(str(reply["name"]), str(child["childSObject"]), str(child["field"]), rule)


def _field(given: Mapping[str, Any]) -> Field:
    type_ = str(given["type"])
    return Field(
        str(given["name"]),
        type_ if type_ in _KNOWN else "string",
        str(given.get("label") or given["name"]),
        length=int(given.get("length") or 0),
        precision=int(given.get("precision") or 0),
        scale=int(given.get("scale") or 0),
        digits=int(given.get("digits") or 0),
        createable=bool(given["createable"]),
        updateable=bool(given["updateable"]),
        nillable=bool(given["nillable"]),
        default=_plain(given.get("defaultValue")),
        system_default=bool(given.get("defaultedOnCreate")),
        values=tuple(str(v["value"]) for v in given.get("picklistValues") or () if v.get("active", True)),
        restricted=bool(given.get("restrictedPicklist")),
        compound=_plain(given.get("compoundFieldName")),
        name_field=bool(given.get("nameField")),
        id_lookup=bool(given.get("idLookup")),
        external_id=bool(given.get("externalId")),
        unique=bool(given.get("unique")),
        auto_number=bool(given.get("autoNumber")),
        to=tuple(str(t) for t in given.get("referenceTo") or ()),
        relationship=_plain(given.get("relationshipName")),
    )


def _plain(value: Any) -> Any:
    """What is no single value is none: shapes are compared, and looked up by."""
    return value if isinstance(value, str | int | float) else None


_KNOWN = frozenset(
    {
        *DECIMAL_TYPES, "string", "textarea", "picklist", "combobox", "phone", "email", "url", "id", "reference",
        "boolean", "int", "date", "datetime", "address", "base64", "location",
    }
)  # fmt: skip  # whatever else there is (multipicklist, encryptedstring, time, anyType) is text in JSON
