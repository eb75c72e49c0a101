"""An object of which only some fields are wanted, as if it had no others. Pure."""

from collections.abc import Mapping
from typing import Any

__all__ = ["narrowed"]

_ALWAYS = frozenset(
    {"id", "systemmodstamp", "isdeleted", "createddate", "createdbyid", "lastmodifieddate", "ownerid"}
)

_ALSO = {  # whether the CRM has converted a lead, and into what
    "lead": frozenset(
        {
            "status",
            "isconverted",
            "converteddate",
            "convertedaccountid",
            "convertedcontactid",
            "convertedopportunityid",
        }
    ),
}


def narrowed(reply: Mapping[str, Any], wanted: frozenset[str]) -> Mapping[str, Any]:
    """`reply`: a describe. What keeps the object in step stays, and what no new record can do without. Raises
    ValueError for a field that is not there."""
    fields = reply.get("fields")
    if not isinstance(fields, list):
        return reply  # whoever reads it says what is wrong
    named = {str(field.get("name", "")).lower() for field in fields}
    if missing := sorted(name for name in wanted if name.lower() not in named | _ALWAYS):
        raise ValueError(f"{reply.get('name')} has no field {missing[0]} for this login")
    also = _ALSO.get(str(reply.get("name", "")).lower(), frozenset())
    open_to_us = {name.lower() for name in wanted} | _ALWAYS | also
    kept = [f for f in fields if str(f.get("name", "")).lower() in open_to_us or _needed(f)]
    return {**reply, "fields": kept}


def _needed(field: Mapping[str, Any]) -> bool:
    required = field.get("createable") and not field.get("nillable") and not field.get("defaultedOnCreate")
    return bool(required or field.get("nameField"))
