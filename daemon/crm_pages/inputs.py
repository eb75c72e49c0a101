"""A form as the templates show it: a control for each field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute

from crmsync.daemon.crm_pages.edits import Meeting
from crmsync.daemon.crm_pages.lookups import Lookup
from crmsync.daemon.crm_pages.shapes import Field, Item, Section

__all__ = ["Control", "FormState", "controls"]

_TYPES: Mapping[str, tuple[str, str]] = {  # the control, and what kind of input it is
    "boolean": ("checkbox", ""),
    "picklist": ("select", ""),
    "multipicklist": ("several", ""),
    "combobox": ("listed", "text"),
    "textarea": ("area", ""),
    "reference": ("lookup", "text"),
    "date": ("input", "date"),
    "datetime": ("input", "datetime-local"),
    "time": ("input", "time"),
    "int": ("input", "number"),
    "double": ("input", "number"),
    "currency": ("input", "number"),
    "percent": ("input", "number"),
    "email": ("input", "email"),
    "phone": ("input", "tel"),
    "url": ("input", "url"),
}


@dataclass(frozen=True, slots=True)
class Control:
    field: Field
    label: str
    kind: str
    type: str
    value: str
    was: str
    required: bool
    options: Sequence[tuple[str, str]] = ()
    error: str = ""
    lookup: Lookup | None = None
    both: tuple[str, str] | None = None  # mine, theirs
    theirs: bool = False  # taken over, because only others changed it

    @property
    def id(self) -> str:
        return f"f-{self.field.name}"

    @property
    def described_by(self) -> str:
        told = {"error": self.error, "both": self.both, "theirs": self.theirs}
        return " ".join(f"{self.id}-{what}" for what, there in told.items() if there)


@dataclass(frozen=True, slots=True)
class FormState:
    values: Mapping[str, str]
    was: Mapping[str, str]
    version: str = ""
    lookups: Mapping[str, Lookup] = attribute(default_factory=dict)
    errors: Mapping[str, str] = attribute(default_factory=dict)  # field -> sentence
    sentences: Sequence[str] = ()  # about the whole
    meeting: Meeting | None = None


def controls(sections: Sequence[Section], state: FormState) -> list[tuple[str, list[Control]]]:
    made = [(s.heading, [_control(item, state) for item in s.items if item.writable]) for s in sections]
    return [(heading, each) for heading, each in made if each]


def _control(item: Item, state: FormState) -> Control:
    field, name = item.field, item.field.name
    kind, type_ = _TYPES.get(field.type, ("input", "text"))
    value = state.values.get(name, "")
    options = list(field.options)
    if kind == "select" and value and value not in [each for each, _ in options]:
        options.append((value, value))  # it has a value that is not offered any more
    lookup = state.lookups.get(name, Lookup(value, value)) if kind == "lookup" else None
    meeting = state.meeting
    return Control(
        field,
        item.label,
        kind if kind != "select" or options else "input",
        type_ or "text",
        value,
        state.was.get(name, ""),
        item.required,
        options,
        state.errors.get(name, ""),
        lookup,
        meeting.both.get(name) if meeting else None,
        bool(meeting and name in meeting.theirs),
    )
