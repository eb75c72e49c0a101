"""FIELD=VALUE, as a person types it, in the types of the field."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from crmsync.state.replica import faults
from crmsync.state.replica.converting import Conversion
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local import edits
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.metadata import DECIMAL_TYPES, Field

__all__ = ["conversion_as", "values_of"]

_OPTIONS = {
    "convertedstatus": "status",
    "accountid": "account",
    "contactid": "contact",
    "opportunityid": "opportunity",
    "opportunityname": "opportunity_name",
    "donotcreateopportunity": "create_opportunity",
    "overwriteleadsource": "overwrite_source",
}
_FLAGS = {"true": True, "yes": True, "false": False, "no": False, "": None}


def values_of(work: Work, item: str, given: Sequence[str]) -> dict[str, Any]:
    """As JSON, by field. Raises Fault."""
    type_ = work.type_of(edits.current_id(work, item))
    found: dict[str, Any] = {}
    for text in given:
        name, is_, value = text.partition("=")
        field = type_.find(name.strip())
        if not is_:
            raise Fault("INVALID_FIELD", f"“{text[:40]}” is not FIELD=VALUE")
        if field is None:
            raise faults.no_column(type_.name, name.strip()[:80])
        found[field.name] = _typed(field, value)
    return found


def conversion_as(asked: Conversion, given: Sequence[str]) -> tuple[Conversion, list[str]]:
    """A conversion with what of `given` is its own (by the names that convertLead has), and the rest, which is the
    lead's. Raises Fault."""
    changed: dict[str, Any] = {}
    rest = []
    for text in given:
        name, _, value = text.partition("=")
        match _OPTIONS.get(name.strip().lower()):
            case None:
                rest.append(text)
            case "create_opportunity":
                changed["create_opportunity"] = not _flag(name, value)
            case "overwrite_source":
                changed["overwrite_source"] = _flag(name, value)
            case option:
                changed[option] = value or None
    return replace(asked, **changed), rest


def _flag(name: str, text: str) -> bool:
    try:
        return bool(_FLAGS[text.strip().lower()])
    except KeyError:
        raise Fault("INVALID_TYPE", f"{name}: “{text[:40]}” is no boolean") from None


def _typed(field: Field, text: str) -> Any:
    """Empty is no value."""
    try:
        if field.type == "boolean":
            return _FLAGS[text.strip().lower()]
        if text and field.type == "int":
            return int(text)
        if text and field.type in DECIMAL_TYPES:
            return float(text)
    except (KeyError, ValueError):
        raise Fault("INVALID_TYPE", f"{field.name}: “{text[:40]}” is no {field.type}") from None
    return text or None
