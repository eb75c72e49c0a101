"""A field's value: as a person reads it, as a form shows it, and as the API takes it. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from crmsync.daemon.crm_pages.shapes import Field

__all__ = ["from_form", "href", "moment", "shown", "to_form"]

NUMBERS = frozenset({"int", "double", "currency", "percent"})
_ADDRESS = ("street", "city", "state", "postalCode", "country")


def moment(text: str) -> datetime:
    """A datetime of the API; raises ValueError."""
    return datetime.fromisoformat(text.replace("+0000", "+00:00").replace("Z", "+00:00"))


def shown(field: Field, value: Any, zone: ZoneInfo) -> str:
    """As text, empty for nothing. References are the caller's, who knows their names."""
    match field.type, value:
        case _, None | "":
            return ""
        case "datetime", str():
            return _local(value, zone, "%Y-%m-%d %H:%M")
        case "boolean", _:
            return "yes" if value else "no"
        case "address", Mapping():
            return "\n".join(str(value[part]) for part in _ADDRESS if value.get(part))
        case "multipicklist", str():
            return ", ".join(value.split(";"))
        case "percent", _:
            return f"{_number(value)} %"
        case (("double" | "currency"), _):
            return _number(value)
    return str(value)


def href(field: Field, value: Any) -> str | None:
    """What a link on the value leads to; None for most."""
    text = str(value or "")
    match field.type:
        case "email" if text:
            return f"mailto:{quote(text, safe='@')}"
        case "phone" if text:
            digits = "".join(c for c in text if c in "0123456789+*#")
            return f"tel:{quote(digits, safe='+*')}" if digits else None
        case "url" if text:
            address = text if "://" in text else f"https://{text}"
            return address if _is_web(address) else None
    return None


def to_form(field: Field, value: Any, zone: ZoneInfo) -> str:
    match field.type, value:
        case "boolean", _:
            return "true" if value else ""
        case _, None:
            return ""
        case "datetime", str():
            return _local(value, zone, "%Y-%m-%dT%H:%M")
        case (("double" | "currency" | "percent"), _):
            return _number(value)
    return str(value).replace("\r\n", "\n").replace("\r", "\n")


def from_form(field: Field, text: str, zone: ZoneInfo) -> Any:
    """For the API. What cannot be read goes as it is: the CRM says what is wrong with it, as it does to programs."""
    if field.type == "boolean":
        return text == "true"
    if not text.strip():
        return None
    try:
        if field.type == "datetime":
            local = datetime.fromisoformat(text).replace(tzinfo=zone)
            return local.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")
        if field.type in NUMBERS:
            return int(text) if field.type == "int" else float(text)
    except (ValueError, OverflowError):
        return text
    return text


def _local(text: str, zone: ZoneInfo, form: str) -> str:
    try:
        return moment(text).astimezone(zone).strftime(form)
    except (ValueError, OverflowError):
        return text


def _number(value: Any) -> str:
    return (
        str(int(value))
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e15
        else str(value)
    )


def _is_web(address: str) -> bool:
    """Nothing that a browser would run."""
    try:
        parts = urlsplit(address)
        return parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False
