"""Addresses that were written for the CRM: links in messages and notes lead to the pages here. Pure."""

import re
from collections.abc import Sequence

from crmsync.state.replica import ids

__all__ = ["page_of"]

_OBJECT = re.compile(r"[A-Za-z]\w{0,79}", re.ASCII)
_PREFIX = re.compile(r"[0-9A-Za-z]{3}", re.ASCII)  # of the ids of one object


def page_of(path: Sequence[str]) -> str | None:
    """``path``: decoded segments; None where the address is none of these."""
    match tuple(path):
        case (record,) if _is_record(record):
            return f"/crm/{ids.to_18(record)}"
        case (record, "e") if _is_record(record):
            return f"/crm/{ids.to_18(record)}/edit"
        case ("lightning",) | ("lightning", "page", "home") | ("home", "home.jsp"):
            return "/crm"
        case ("lightning", "r", record) | ("lightning", "r", record, "view") if _is_record(record):
            return f"/crm/{ids.to_18(record)}"
        case ("lightning", "r", _, record) | ("lightning", "r", _, record, "view") if _is_record(record):
            return f"/crm/{ids.to_18(record)}"
        case ("lightning", "r", _, record, "edit") if _is_record(record):
            return f"/crm/{ids.to_18(record)}/edit"
        case ("lightning", "o", name, "list" | "home") if _OBJECT.fullmatch(name):
            return f"/crm/{name}"
        case ("lightning", "o", name, "new") if _OBJECT.fullmatch(name):
            return f"/crm/{name}/new"
        case (prefix, "e") if _PREFIX.fullmatch(prefix):
            return f"/crm/{prefix}/new"
        case (prefix, "o") if _PREFIX.fullmatch(prefix):
            return f"/crm/{prefix}"
    return None


def _is_record(text: str) -> bool:
    return ids.is_valid(text)
