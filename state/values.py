"""One column's value to text and back, without loss; snapshot and history both speak this.

text, long, email, phone, url   the text itself, see ``escape``
date                            2026-11-22
moment                          2026-11-22T10:00:00Z (a fraction where there is one), or a date
flag                            true, false
number                          decimal digits
list                            a JSON array of strings
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from crmsync.connectors.columns import COLUMNS, Column, Type
from crmsync.connectors.contract import Columns, Kind, Value

# XML 1.0 section 2.2 has no way to write these, not even as a reference. PostgreSQL lacks the first of them, and
# UTF-8 the surrogates.
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPED = re.compile(r"\\u([0-9a-f]{4})")
_UNKNOWN = Column()
_to_json = json.JSONEncoder(ensure_ascii=False).encode


def escape(text: str) -> str:
    r"""``text`` with every character that XML cannot hold as ``\uXXXX``; so a backslash before a ``u`` becomes
    ``\u005c``, and any other backslash stays as it is."""
    if "\\u" in text:
        text = text.replace("\\u", "\\u005cu")
    return _UNWRITABLE.sub(_escaped, text)


def unescape(text: str) -> str:
    """What ``escape`` was given."""
    return _ESCAPED.sub(_unescaped, text) if "\\u" in text else text


def encode(value: Value) -> str | None:
    """The text of a value; None stays None. Raises ValueError for a datetime without a zone."""
    if value is None:
        return None
    return _ENCODERS[type(value)](value)


def decode(type: Type, text: str | None) -> Value:
    """The value of a column of this type. Raises ValueError for text that ``encode`` does not write."""
    return None if text is None else _DECODERS[type](text)


def type_of(kind: Kind, column: str) -> Type:
    """The type of a canonical column; one that is not in the contract is text."""
    return COLUMNS.get(kind, {}).get(column, _UNKNOWN).type


def encode_columns(columns: Columns) -> dict[str, str | None]:
    return {name: encode(value) for name, value in columns.items()}


def decode_columns(kind: Kind, texts: Mapping[str, str | None]) -> dict[str, Value]:
    return {name: decode(type_of(kind, name), text) for name, text in texts.items()}


def encode_moment(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return value.astimezone(UTC).isoformat()[:-6] + "Z"


def decode_moment(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return value.astimezone(UTC)


def _escaped(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


def _decode_date_or_moment(text: str) -> date | datetime:
    return decode_moment(text) if "T" in text else date.fromisoformat(text)


def _decode_flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return text == "true"


def _decode_list(text: str) -> tuple[str, ...]:
    entries = json.loads(unescape(text))
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise ValueError(f"{text[:80]!r} is no list of texts")
    return tuple(entries)


_ENCODERS: Mapping[type, Callable[[Any], str]] = {
    str: escape,
    bool: lambda value: "true" if value else "false",
    int: str,
    date: date.isoformat,
    datetime: encode_moment,
    tuple: lambda value: escape(_to_json(value)),
}

_DECODERS: Mapping[Type, Callable[[str], Value]] = {
    Type.TEXT: unescape,
    Type.LONG: unescape,
    Type.EMAIL: unescape,
    Type.PHONE: unescape,
    Type.URL: unescape,
    Type.DATE: date.fromisoformat,
    Type.MOMENT: _decode_date_or_moment,
    Type.FLAG: _decode_flag,
    Type.NUMBER: int,
    Type.LIST: _decode_list,
}


def qualified(collection: str, item: str) -> str:
    """An ECS item's id with its collection, within which alone it is unique: ids may contain anything a person can
    type, so they are kept apart by something that cannot be typed."""
    return f"{collection}\x1f{item}"


def split(id: str) -> tuple[str, str]:
    collection, _, item = id.partition("\x1f")
    return collection, item
