"""Field values: what a client sends, checked and turned into what the tables hold, and back into JSON.

Tables hold text as str, datetimes as naive UTC, dates, booleans, int and float. Salesforce's rules: an empty
string is null, text never begins or ends with white space (Apex Developer Guide, "Primitive Data Types"),
datetimes have whole seconds.
"""

import base64
import binascii
import datetime
import math
import re
from collections.abc import Callable
from typing import Any

from crmsync.state.replica import ids
from crmsync.state.replica.faults import Fault, malformed_id
from crmsync.state.replica.metadata import DECIMAL_TYPES, Field

__all__ = ["decode", "encode", "encode_datetime", "parse_datetime"]

LONGEST_ID = 18
TRIMMED = " \t\r\n\f\v"  # not the no-break space: that one survives
EARLIEST, LATEST = datetime.date(1700, 1, 1), datetime.date(4000, 12, 31)
MAX_INT = 2**31 - 1
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_EMAIL = re.compile(r"[^\s@,;:<>()\[\]\\\"]+@[^\s@,;:<>()\[\]\\\"]+\.[^\s@,;:<>()\[\]\\\".]+")
_DATETIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII
)
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:T.*)?", re.ASCII)


def decode(field: Field, raw: Any) -> Any:
    """The stored value of what a client sent for a field; raises Fault with the field's name."""
    if raw is None or raw == "":
        return _null(field)
    value = _DECODERS[field.type](field, raw)
    return _null(field) if value is None else value


def encode(field: Field, value: Any, utc: str = "+0000") -> Any:
    """The JSON value of a stored one; `utc` is how datetimes end, in REST's way unless it says otherwise."""
    match value:
        case datetime.datetime():
            return encode_datetime(value, utc)
        case datetime.date():
            return value.isoformat()
    return value


def encode_datetime(value: datetime.datetime, utc: str = "+0000") -> str:
    """`2024-01-02T03:04:05.000+0000`, as REST writes datetimes; the value is naive UTC."""
    return f"{value.isoformat(timespec='milliseconds')}{utc}"


def parse_datetime(text: str) -> datetime.datetime:
    """Naive UTC of an ISO 8601 datetime, UTC where it names no offset, in whole seconds; raises ValueError."""
    match = _DATETIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:40]!r} is no datetime")
    year, month, day, hour, minute = (int(match[n]) for n in range(1, 6))
    moment = datetime.datetime(year, month, day, hour, minute, int(match[6] or 0))  # noqa: DTZ001
    if not EARLIEST <= moment.date() <= LATEST:
        raise ValueError(f"{text[:40]!r} is outside the years 1700 to 4000")
    return moment - _offset(match[7])


def _offset(zone: str | None) -> datetime.timedelta:
    if zone in (None, "Z"):
        return datetime.timedelta()
    assert zone is not None
    digits = zone[1:].replace(":", "")
    offset = datetime.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -offset if zone[0] == "-" else offset


def _null(field: Field) -> Any:
    if field.type == "boolean":
        return False
    return None


def _unreadable(field: Field, raw: Any, wanted: str) -> Fault:
    shown = f"{raw!r:.40}".encode("ascii", "backslashreplace").decode()
    return Fault(
        "JSON_PARSER_ERROR", f"Cannot deserialize instance of {wanted} from value {shown}", (field.name,)
    )


def _text(field: Field, raw: Any) -> str | None:
    if not isinstance(raw, str):
        raise _unreadable(field, raw, "string")
    bad = _UNSTORABLE.search(raw)
    if bad:
        what = f"{field.label}: character U+{ord(bad[0]):04X} at position {bad.start() + 1} cannot be stored"
        raise Fault("JSON_PARSER_ERROR", what, (field.name,))
    value = raw.strip(TRIMMED)
    if field.length and len(value) > field.length:
        what = f"{field.label}: data value too large: {value[:100]} (max length={field.length})"
        raise Fault("STRING_TOO_LONG", what, (field.name,))
    return value or None


def _email(field: Field, raw: Any) -> str | None:
    value = _text(field, raw)
    if value is not None and not _EMAIL.fullmatch(value):
        what = f"{field.label}: invalid email address: {value}"
        raise Fault("INVALID_EMAIL_ADDRESS", what, (field.name,))
    return value


def _picklist(field: Field, raw: Any) -> str | None:
    value = _text(field, raw)
    if value is None or not field.values:
        return value
    known = next((v for v in field.values if v.casefold() == value.casefold()), None)
    if known is None and field.restricted:
        what = f"{field.label}: bad value for restricted picklist field: {value}"
        raise Fault("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", what, (field.name,))
    return known or value


def _reference(field: Field, raw: Any) -> str | None:
    """What is too long for an id is none, whatever the field says of its length."""
    if isinstance(raw, str) and len(raw.strip(TRIMMED)) > LONGEST_ID:
        raise _no_id(field, raw)
    value = _text(field, raw)
    if value is None:
        return None
    try:
        return ids.to_18(value)
    except ValueError:
        raise _no_id(field, value) from None


def _no_id(field: Field, value: str) -> Fault:
    fault = malformed_id(value)
    return Fault(fault.code, f"{field.label}: {fault.message}", (field.name,))


def _boolean(field: Field, raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.strip().lower() in ("true", "false"):
        return raw.strip().lower() == "true"
    raise _unreadable(field, raw, "boolean")


def _number(field: Field, raw: Any) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
        raise _unreadable(field, raw, field.type)
    try:
        number = float(raw)
    except (ValueError, OverflowError):
        raise _unreadable(field, raw, field.type) from None
    if not math.isfinite(number):
        raise _unreadable(field, raw, field.type)
    return number


def _int(field: Field, raw: Any) -> int:
    number = _number(field, raw)
    if number != int(number):
        raise _unreadable(field, raw, "int")
    if abs(number) > min(MAX_INT, 10**field.digits - 1 if field.digits else MAX_INT):
        raise _out_of_range(field, raw)
    return int(number)


def _decimal(field: Field, raw: Any) -> float:
    number = round(_number(field, raw), field.scale)
    if abs(number) >= 10 ** (field.precision - field.scale):
        raise _out_of_range(field, raw)
    return number


def _out_of_range(field: Field, raw: Any) -> Fault:
    what = f"{field.label}: value outside of valid range on numeric field: {str(raw)[:40]}"
    return Fault("NUMBER_OUTSIDE_VALID_RANGE", what, (field.name,))


def _datetime(field: Field, raw: Any) -> datetime.datetime:
    try:
        if not isinstance(raw, str):
            raise ValueError
        return parse_datetime(raw)
    except (ValueError, OverflowError):
        raise _unreadable(field, raw, "datetime") from None


def _date(field: Field, raw: Any) -> datetime.date:
    match = _DATE.fullmatch(raw.strip()) if isinstance(raw, str) else None
    try:
        if match is None:
            raise ValueError
        value = datetime.date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        raise _unreadable(field, raw, "date") from None
    if not EARLIEST <= value <= LATEST:
        raise _unreadable(field, raw, "date")
    return value


def _time(field: Field, raw: Any) -> str:
    """Of a day, without a zone; kept as REST shows it: `09:00:00.000Z`."""
    try:
        if not isinstance(raw, str):
            raise ValueError
        value = datetime.time.fromisoformat(raw.strip().removesuffix("Z"))
    except ValueError:
        raise _unreadable(field, raw, "time") from None
    if value.tzinfo is not None:
        raise _unreadable(field, raw, "time")
    return f"{value.isoformat(timespec='milliseconds')}Z"


def _content(field: Field, raw: Any) -> str | None:
    """Kept in base64, without the ends of lines that encoders for mail put in."""
    if not isinstance(raw, str):
        raise _unreadable(field, raw, "base64Binary")
    joined = "".join(raw.split())
    try:
        base64.b64decode(joined, validate=True)
    except (binascii.Error, ValueError):
        raise _unreadable(field, "…", "base64Binary") from None
    return joined


_DECODERS: dict[str, Callable[[Field, Any], Any]] = {
    **dict.fromkeys(("string", "textarea", "combobox", "phone", "url"), _text),
    **dict.fromkeys(DECIMAL_TYPES, _decimal),
    "base64": _content,
    "email": _email,
    "picklist": _picklist,
    "id": _reference,
    "reference": _reference,
    "boolean": _boolean,
    "int": _int,
    "datetime": _datetime,
    "date": _date,
    "time": _time,
}
