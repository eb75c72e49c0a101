"""What objects and fields there are, and what may be done with them.

One `*.object.toml` beside this module describes one object. A field line reads

    Phone = { type = "phone(40)", label = "Business Phone" }

and says only what differs from the usual: writable, nillable, no default, no reference. `type` is the name
that a Salesforce describe uses, with the length for text, `(precision,scale)` for decimals and `(digits)` for
whole numbers. Every object gets the system fields below; `addresses = ["Mailing"]` stands for the eight parts
of an address and the compound field that shows them together.
"""

import functools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

__all__ = ["Child", "Field", "ObjectType", "Schema", "embedded", "fold", "standard"]

TEXT_TYPES = frozenset(
    {"string", "textarea", "picklist", "combobox", "phone", "email", "url", "id", "reference"}
)
DECIMAL_TYPES = frozenset({"double", "currency", "percent"})
GEOCODE_ACCURACY = (
    "Address", "NearAddress", "Block", "Street", "ExtendedZip", "Zip",
    "Neighborhood", "City", "County", "State", "Unknown",
)  # fmt: skip
ADDRESS_PARTS: tuple[tuple[str, str, str], ...] = (
    ("Street", "textarea(255)", "Street"),
    ("City", "string(40)", "City"),
    ("State", "string(80)", "State/Province"),
    ("PostalCode", "string(20)", "Zip/Postal Code"),
    ("Country", "string(80)", "Country"),
    ("Latitude", "double(18,15)", "Latitude"),
    ("Longitude", "double(18,15)", "Longitude"),
    ("GeocodeAccuracy", "picklist(40)", "Geocode Accuracy"),
)


def fold(name: str) -> str:
    """The form in which object and field names are compared: Salesforce's names ignore case."""
    return name.casefold()


@dataclass(frozen=True, slots=True)
class Field:
    """One field, in the terms of a describe. `length` is in characters, 0 where it has no meaning."""

    name: str
    type: str
    label: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    digits: int = 0
    createable: bool = True
    updateable: bool = True
    nillable: bool = True
    default: Any = None
    system_default: bool = False  # the server fills it in
    values: tuple[str, ...] = ()
    restricted: bool = False
    compound: str | None = None  # the field that shows this one together with its siblings
    name_field: bool = False
    id_lookup: bool = False
    external_id: bool = False
    unique: bool = False
    auto_number: bool = False
    to: tuple[str, ...] = ()
    relationship: str | None = None  # the parent, in a path: Account in Account.Name
    children: str | None = None  # this record, seen from the parent: Contacts in (SELECT Id FROM Contacts)
    on_delete: str = "clear"  # what deleting the parent does to this record: cascade, restrict, clear

    @property
    def stored(self) -> bool:
        """False for compound fields, which exist only in answers."""
        return self.type != "address"

    @property
    def custom(self) -> bool:
        return self.name.endswith("__c")

    @property
    def required(self) -> bool:
        """Must be given by whoever creates the record."""
        return not self.nillable and not self.defaulted and self.createable

    @property
    def defaulted(self) -> bool:
        return self.system_default or self.default is not None or self.type == "boolean"

    @property
    def filterable(self) -> bool:
        """May stand in WHERE: everything but long text and files."""
        return self.type != "base64" and not (self.type == "textarea" and self.length > 255)

    @property
    def sortable(self) -> bool:
        return self.filterable and self.type != "address"

    @property
    def groupable(self) -> bool:
        return self.sortable and self.type not in (*DECIMAL_TYPES, "datetime", "combobox")

    @property
    def key_column(self) -> str | None:
        """The hidden column with the folded value of a unique field, None for others."""
        return f"{self.name}__key" if self.unique else None


@dataclass(frozen=True, slots=True)
class Child:
    """One reference to an object, seen from the object: `field` of `child` points here."""

    child: str
    field: Field


@dataclass(frozen=True, slots=True)
class ObjectType:
    """One object. `sharing` is the default for records that a user does not own: private, read, read_write."""

    name: str
    prefix: str
    label: str
    plural: str
    fields: tuple[Field, ...]
    sharing: str = "private"
    owned: bool = True
    createable: bool = True
    deletable: bool = True
    admin_only: bool = False  # only administrators write it
    follows: str = (
        ""  # the reference to what decides who may see it, as a file is seen by who sees its record
    )
    by_name: Mapping[str, Field] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {fold(f.name): f for f in self.fields})

    def find(self, name: str) -> Field | None:
        """The field of that name in any case, or None."""
        return self.by_name.get(fold(name))

    def relationship(self, name: str) -> Field | None:
        """The reference field whose parent is called that (`Account` -> AccountId), or None."""
        folded = fold(name)
        return next((f for f in self.fields if f.relationship and fold(f.relationship) == folded), None)

    @property
    def stored(self) -> Iterator[Field]:
        return (f for f in self.fields if f.stored)

    @property
    def name_field(self) -> str:
        """The field that names a record to a person: Name, Subject, CaseNumber."""
        return next((f.name for f in self.fields if f.name_field), "Id")


class Schema:
    """All objects of an organisation; found by name in any case, or by the prefix of a record id."""

    def __init__(self, objects: Iterable[ObjectType]) -> None:
        self.objects: Mapping[str, ObjectType] = {o.name: o for o in objects}
        self._by_name = {fold(o.name): o for o in self.objects.values()}
        self._by_prefix = {o.prefix: o for o in self.objects.values()}
        self._children = {name: tuple(self._find_children(name)) for name in self.objects}

    def __iter__(self) -> Iterator[ObjectType]:
        return iter(self.objects.values())

    def find(self, name: str) -> ObjectType | None:
        return self._by_name.get(fold(name))

    def of_id(self, record_id: str) -> ObjectType | None:
        return self._by_prefix.get(record_id[:3])

    def told(self, name: str) -> Mapping[str, Any] | None:
        """What an upstream says of the object `name` (canonical case), where these objects are an upstream's."""
        return None

    def children(self, name: str) -> tuple[Child, ...]:
        """Every reference to the object `name` (canonical case)."""
        return self._children[name]

    def _find_children(self, name: str) -> Iterator[Child]:
        for other in self.objects.values():
            yield from (Child(other.name, f) for f in other.fields if name in f.to)


@functools.cache
def standard() -> Schema:
    """The objects that ship with crmsync."""
    return Schema(_read(data) for data in _files() if not data.get("embedded"))


@functools.cache
def embedded() -> Schema:
    """Those of the embedded CRM: with what only it has (``embedded = true``)."""
    return Schema(_read(data) for data in _files())


def _files() -> Iterator[dict[str, Any]]:
    here = resources.files("crmsync.state.replica")
    files = sorted((f for f in here.iterdir() if f.name.endswith(".object.toml")), key=lambda f: f.name)
    return (tomllib.loads(f.read_text(encoding="utf-8")) for f in files)


def _read(data: dict[str, Any]) -> ObjectType:
    label = data["label"]
    owned = data.get("owned", True)
    id_label = f"{data.get('id_label', label)} ID"
    fields = [
        _field("Id", {"type": "id(18)", "label": id_label, "access": "system", "id_lookup": True}),
        *_system_head(data),
        *(_field(name, line) for name, line in data["fields"].items()),
        *_addresses(data.get("addresses", ())),
        *_system_tail(data["name"], owned),
    ]
    switches = {
        k: data[k] for k in ("sharing", "createable", "deletable", "admin_only", "follows") if k in data
    }
    return ObjectType(
        data["name"], data["prefix"], label, data["plural"], tuple(fields), owned=owned, **switches
    )


def _system_head(data: dict[str, Any]) -> Iterator[Field]:
    if data.get("deletable", True):
        yield _field("IsDeleted", {"type": "boolean", "label": "Deleted", "access": "system"})


def _system_tail(name: str, owned: bool) -> Iterator[Field]:
    to_user = {"type": "reference", "to": ["User"]}
    system = {"access": "system"}
    if owned:
        label = "Assigned To ID" if name in ("Event", "Task") else "Owner ID"
        yield _field("OwnerId", {**to_user, "label": label, "access": "owner"})
    yield _field("CreatedDate", {"type": "datetime", "label": "Created Date", **system})
    yield _field("CreatedById", {**to_user, "label": "Created By ID", **system})
    yield _field("LastModifiedDate", {"type": "datetime", "label": "Last Modified Date", **system})
    yield _field("LastModifiedById", {**to_user, "label": "Last Modified By ID", **system})
    yield _field("SystemModstamp", {"type": "datetime", "label": "System Modstamp", **system})


def _addresses(prefixes: Iterable[str]) -> Iterator[Field]:
    for prefix in prefixes:
        compound = f"{prefix}Address"
        for part, type_, label in ADDRESS_PARTS:
            line: dict[str, Any] = {"type": type_, "label": f"{prefix} {label}".strip(), "compound": compound}
            if part == "GeocodeAccuracy":
                line |= {"values": GEOCODE_ACCURACY, "restricted": True}
            yield _field(prefix + part, line)
        yield _field(compound, {"type": "address", "label": f"{prefix} Address".strip(), "access": "read"})


_TYPE = re.compile(r"(?P<name>\w+)(?:\((?P<first>\d+)(?:,(?P<second>\d+))?\))?")


def _field(name: str, line: Mapping[str, Any]) -> Field:
    match = _TYPE.fullmatch(line["type"])
    if match is None:
        raise ValueError(f"field {name}: cannot read the type {line['type']!r}")
    type_, first, second = match["name"], int(match["first"] or 0), int(match["second"] or 0)
    access = line.get("access", "write")
    keep = ("default", "restricted", "compound", "name_field", "id_lookup", "external_id", "unique",
            "auto_number", "children", "on_delete")  # fmt: skip
    return Field(
        name,
        type_,
        line["label"],
        length=18 if type_ == "reference" else first if type_ in TEXT_TYPES else 0,
        precision=first if type_ in DECIMAL_TYPES else 0,
        scale=second,
        digits=first if type_ == "int" else 0,
        createable=access in ("write", "create", "owner"),
        updateable=access in ("write", "update", "owner"),
        nillable=not (
            access in ("system", "owner")
            or line.get("required")
            or type_ == "boolean"
            or (line.get("name_field") and access == "read")
        ),
        system_default=access in ("system", "owner"),
        values=tuple(line.get("values", ())),
        to=tuple(line.get("to", ())),
        relationship=_relationship(name, line),
        **{k: line[k] for k in keep if k in line},
    )


def _relationship(name: str, line: Mapping[str, Any]) -> str | None:
    """`AccountId` leads to `Account` unless the line names it, or names it "" because there is none."""
    if "to" not in line:
        return None
    return line.get("relationship", name.removesuffix("Id")) or None
