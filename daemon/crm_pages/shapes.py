"""What describe and describeLayout say, as the pages use it. Only keys that Salesforce's replies have are read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

__all__ = ["Field", "Kind", "Related", "Section", "Shape", "kinds", "sections", "tabs"]

FIRST = ("Account", "Contact", "Lead", "Opportunity", "Case", "Event", "Task")
COLUMNS: Mapping[str, Sequence[str]] = {
    "Account": ("Name", "Phone", "Industry", "BillingCity", "OwnerId"),
    "Contact": ("Name", "AccountId", "Title", "Phone", "Email"),
    "Lead": ("Name", "Company", "Status", "Phone", "Email"),
    "Opportunity": ("Name", "AccountId", "StageName", "CloseDate", "Amount"),
    "Case": ("CaseNumber", "Subject", "Status", "Priority", "ContactId"),
    "Event": ("Subject", "StartDateTime", "EndDateTime", "Location", "WhoId"),
    "Task": ("Subject", "ActivityDate", "Status", "Priority", "WhoId"),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """An object, as the global describe has it."""

    name: str
    label: str
    plural: str
    prefix: str
    createable: bool
    updateable: bool
    deletable: bool
    searchable: bool


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    label: str
    type: str
    length: int
    scale: int
    createable: bool
    updateable: bool
    nillable: bool
    defaulted: bool
    default: Any
    options: Sequence[tuple[str, str]]  # value, label
    to: Sequence[str]
    compound: str | None
    naming: bool  # it names the record
    sortable: bool

    @property
    def shown_as(self) -> str:
        """What a person calls it: a reference is shown by its name."""
        return self.label.removesuffix(" ID") if self.type == "reference" else self.label

    @property
    def needed(self) -> bool:
        return not self.nillable and not self.defaulted and self.createable and self.type != "boolean"


@dataclass(frozen=True)
class Shape:
    """One object, as its describe has it."""

    kind: Kind
    fields: Mapping[str, Field]

    @cached_property
    def name_field(self) -> str:
        return next((field.name for field in self.fields.values() if field.naming), "Id")

    @property
    def owned(self) -> bool:
        return "OwnerId" in self.fields

    def columns(self) -> list[Field]:
        """Of a list: the one that names the record comes first."""
        wanted = COLUMNS.get(self.kind.name, (self.name_field, "OwnerId", "LastModifiedDate"))
        found = [self.fields[name] for name in wanted if name in self.fields]
        return (
            found if any(f.name == self.name_field for f in found) else [self.fields[self.name_field], *found]
        )

    def parts(self, name: str) -> list[Field]:
        """Of a compound field, the name or an address: what is written instead of it."""
        return [field for field in self.fields.values() if field.compound == name and field.name != name]

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> "Shape":
        return cls(_kind(described), {each["name"]: _field(each) for each in described["fields"]})


@dataclass(frozen=True, slots=True)
class Item:
    """A place in a section: a field, and whether this layout lets it be written."""

    field: Field
    label: str
    writable: bool
    required: bool


@dataclass(frozen=True, slots=True)
class Section:
    heading: str
    items: Sequence[Item]


@dataclass(frozen=True, slots=True)
class Related:
    """Records of another object that point here."""

    label: str
    object: str
    field: str


def kinds(answer: Mapping[str, Any]) -> dict[str, Kind]:
    return {each["name"]: _kind(each) for each in answer["sobjects"] if each["queryable"]}


def tabs(known: Mapping[str, Kind]) -> list[Kind]:
    """What people work with: what is searched and created, the usual ones first."""
    rest = sorted(
        (each for each in known.values() if each.name not in FIRST and _worked_with(each)),
        key=lambda k: k.plural,
    )
    return [*(known[name] for name in FIRST if name in known), *rest]


def _worked_with(kind: Kind) -> bool:
    return kind.searchable and kind.createable and not kind.name.endswith(("Relation", "Share", "History"))


def sections(shape: Shape, layout: Mapping[str, Any], purpose: str) -> list[Section]:
    """``purpose``: view, new or edit. A compound field is written by its parts, each where the whole stands."""
    which = "detailLayoutSections" if purpose == "view" else "editLayoutSections"
    made = (
        Section(each["heading"], list(_items(shape, each, purpose)))
        for each in layout["layouts"][0][which] or ()
    )
    return [section for section in made if section.items]


def related(layout: Mapping[str, Any]) -> list[Related]:
    lists = layout["layouts"][0]["relatedLists"] or ()
    return [Related(each["label"], each["sobject"], each["field"]) for each in lists]


def _items(shape: Shape, section: Mapping[str, Any], purpose: str) -> Iterator[Item]:
    for row in section["layoutRows"]:
        for item in row["layoutItems"]:
            for component in item["layoutComponents"]:
                field = shape.fields.get(component["value"]) if component["type"] == "Field" else None
                if field is not None:
                    yield from _placed(shape, field, item, purpose)


def _placed(shape: Shape, field: Field, item: Mapping[str, Any], purpose: str) -> Iterator[Item]:
    if purpose == "view":
        yield Item(field, field.shown_as, writable=False, required=False)
        return
    parts = shape.parts(field.name)
    allowed = item["editableForNew" if purpose == "new" else "editableForUpdate"]
    for each in parts or [field]:
        may = each.createable if purpose == "new" else each.updateable
        if purpose == "edit" or may:
            required = each.needed if parts else bool(item["required"]) or each.needed
            yield Item(each, each.shown_as, writable=bool(may and allowed), required=required)


def _kind(each: Mapping[str, Any]) -> Kind:
    return Kind(
        each["name"], each["label"], each["labelPlural"], each["keyPrefix"] or "", bool(each["createable"]),
        bool(each["updateable"]), bool(each["deletable"]), bool(each["searchable"]),
    )  # fmt: skip


def _field(each: Mapping[str, Any]) -> Field:
    options = [(v["value"], v["label"] or v["value"]) for v in each["picklistValues"] or () if v["active"]]
    return Field(
        each["name"], each["label"], each["type"], each["length"], each["scale"], bool(each["createable"]),
        bool(each["updateable"]), bool(each["nillable"]), bool(each["defaultedOnCreate"]), each["defaultValue"],
        options, each["referenceTo"] or (), each["compoundFieldName"], bool(each["nameField"]),
        bool(each["sortable"]),
    )  # fmt: skip
