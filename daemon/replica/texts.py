"""Values as a person reads and types them (FIELD=VALUE), in the types of the field."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from crmsync.state.replica import faults
from crmsync.state.replica.converting import Conversion
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local import conversions, deciding, edits
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import row_to, stored
from crmsync.state.replica.local.tables import LEAD
from crmsync.state.replica.metadata import DECIMAL_TYPES, Field

__all__ = ["conversion_as", "fields_of", "values_of"]

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


def fields_of(work: Work, item: str) -> dict[str, Any]:
    """``{"object", "error", "fields": [{"field", "value", "long"}]}`` of what waits to be sent: of a change its fields,
    of a new record all that is given or has to be, of a conversion its options; of a delete none. Raises Fault."""
    current = edits.current_id(work, item)
    entry, type_ = deciding.standing(work, item) or {}, work.type_of(current)
    conversion = deciding.conversion_of(work, current) if type_.name == LEAD else None
    if conversion is not None:
        asked = conversions.request(conversion)
        given: dict[str, Any] = {name: getattr(asked, option) for name, option in _TEXTS.items()}
    elif "root" in entry:
        given = {}
    else:
        row = work.get(work.group(type_.name).main, current) or {}
        changed = entry.get("changed")
        shown = [
            f.name
            for f in stored(type_)
            if (f.name in changed if changed is not None else f.createable and _worth_a_line(f, row))
        ]
        given = row_to(type_, {name: row.get(name) for name in shown})
    fields = [{"field": name, "value": _text(value), "long": _long(value)} for name, value in given.items()]
    return {"object": type_.name, "error": entry.get("reason", ""), "fields": fields}


_TEXTS = {
    "convertedStatus": "status",
    "accountId": "account",
    "contactId": "contact",
    "opportunityName": "opportunity_name",
}


def _worth_a_line(field: Field, row: Mapping[str, Any]) -> bool:
    return row.get(field.name) is not None or not field.nillable


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def _long(value: Any) -> bool:
    return isinstance(value, str) and (len(value) > 80 or "\n" in value)


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
