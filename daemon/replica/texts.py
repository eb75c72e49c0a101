"""FIELD=VALUE, as a person types it, in the types of the field."""

from collections.abc import Sequence
from typing import Any

from crmsync.state.replica import faults
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local import edits
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.metadata import DECIMAL_TYPES, Field

__all__ = ["values_of"]

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
