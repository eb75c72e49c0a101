"""One row on its way into a table: what was asked for, what is wrong with it, what will be written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crmsync.state.replica import faults
from crmsync.state.replica.faults import Fault, Outcome, Rejected, Saved
from crmsync.state.replica.metadata import Field, ObjectType, Schema, fold
from crmsync.state.replica.values import decode

__all__ = ["Draft", "Lookup", "read_fields", "read_parent"]


@dataclass(frozen=True, slots=True)
class Lookup:
    """A reference given by an external id: `{"Who": {"attributes": {"type": "Contact"}, "Crmsync_Id__c": …}}`."""

    object_name: str
    field: Field
    value: str


@dataclass(slots=True)
class Draft:
    """`given` holds decoded values (or a Lookup) by canonical name; `row` becomes the whole stored row."""

    type: ObjectType | None
    id: str | None = None
    given: dict[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] | None = None
    row: dict[str, Any] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.faults

    def reject(self, fault: Fault) -> None:
        self.faults.append(fault)

    def outcome(self) -> Outcome:
        if self.faults:
            return Rejected(tuple(self.faults), self.id)
        assert self.id is not None
        return Saved(self.id, created=self.before is None)

    def checked_type(self) -> ObjectType:
        """The object, for drafts that got past the first checks."""
        assert self.type is not None
        return self.type


def read_fields(schema: Schema, draft: Draft, raw: Mapping[str, Any], *, creating: bool) -> None:
    """Fills `draft.given` from a client's JSON object; every field that cannot be used adds a fault."""
    type_ = draft.checked_type()
    refused = []
    for name, value in raw.items():
        if fold(name) in ("attributes", "id"):
            continue
        field_ = type_.find(name)
        try:
            if field_ is None:
                read_parent(schema, draft, type_, name, value)
            elif not (field_.createable if creating else field_.updateable):
                refused.append(field_.name)
            else:
                draft.given[field_.name] = decode(field_, value)
        except Fault as fault:
            draft.reject(fault)
    if refused:
        draft.reject(faults.not_writable(tuple(refused)))


def read_parent(schema: Schema, draft: Draft, type_: ObjectType, name: str, value: Any) -> None:
    """`name` is no field: it may be a relationship with the parent's external id."""
    reference = type_.relationship(name) if isinstance(value, dict) else None
    if reference is None:
        raise faults.no_column(type_.name, name)
    target = _target(schema, reference, value)
    keys = [(k, v) for k, v in value.items() if k != "attributes"]
    field_ = target.find(keys[0][0]) if len(keys) == 1 else None
    if field_ is None or not (field_.external_id or field_.unique) or not keys[0][1]:
        what = f"The relationship {name} needs exactly one external id field of {target.name}"
        raise Fault("INVALID_FIELD", what, (reference.name,))
    draft.given[reference.name] = Lookup(target.name, field_, decode(field_, keys[0][1]))


def _target(schema: Schema, reference: Field, value: Mapping[str, Any]) -> ObjectType:
    attributes = value.get("attributes")
    named = attributes.get("type") if isinstance(attributes, dict) else None
    target = schema.find(str(named)) if named else schema.find(reference.to[0])
    if target is None or target.name not in reference.to or (named is None and len(reference.to) > 1):
        what = f"{reference.name}: attributes.type must be one of {', '.join(reference.to)}"
        raise Fault("INVALID_FIELD", what, (reference.name,))
    return target


def missing_fields(draft: Draft) -> Iterable[str]:
    """Fields that may not be empty and are."""
    for field_ in draft.checked_type().stored:
        if not field_.nillable and field_.createable and draft.row.get(field_.name) is None:
            yield field_.name
