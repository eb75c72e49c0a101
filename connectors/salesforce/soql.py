r"""SOQL text from values, safely, and in pieces that fit into one request.

Every value that reaches a query goes through ``quote``, ``literal`` or ``record_id``; every name through ``name``.
Escapes: SOQL and SOSL Reference, "Quoted String Escape Sequences".
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import TypeVar
from urllib.parse import quote as percent_encode

BATCH = 200  # records of one collections request, ids of one query
MAX_QUERY = 14_000  # bytes of a percent-encoded query: the whole address may have 16,384

T = TypeVar("T")

_ESCAPES = str.maketrans({"\\": r"\\", "'": r"\'", '"': r"\"", "\n": r"\n", "\r": r"\r", "\t": r"\t"})
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*){0,5}")
_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-5]{3})?")
_CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def clean(text: str) -> str:
    """Without what no field can hold: control characters other than tab and line ends, and halves of surrogates."""
    if text.isprintable():
        return text
    return "".join(c for c in text if c >= " " or c in "\t\n\r").encode("utf-8", "ignore").decode()


def quote(text: str) -> str:
    """A string literal; characters that no stored value can contain are left out."""
    return f"'{clean(text).translate(_ESCAPES)}'"


def literal(value: str | bool | int | date | datetime | None) -> str:
    """A value as SOQL writes it; a datetime must be aware."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
        case date():
            return value.isoformat()
        case str():
            return quote(value)


def name(text: str) -> str:
    """``text``, which must be the name of an object, a field or a path of fields. Raises ValueError."""
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no name of a CRM field (letters, digits, underscores, dots between)")
    return text


def is_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def id18(text: str) -> str:
    """The 18-character form of an id; the last three characters say which of the others are capitals."""
    if not is_id(text):
        raise ValueError(f"{text[:40]!r} is no record id")
    chunks = (text[i : i + 5] for i in (0, 5, 10))
    return text[:15] + "".join(
        _CHECK[sum(1 << j for j, c in enumerate(k) if "A" <= c <= "Z")] for k in chunks
    )


def within(field: str, values: Iterable[str]) -> str:
    return f"{field} IN ({','.join(quote(v) for v in values)})"


def all_of(*conditions: str) -> str:
    """The conditions that are not empty, each in parentheses where there are several."""
    given = [c for c in conditions if c]
    return given[0] if len(given) == 1 else " AND ".join(f"({c})" for c in given)


def select(fields: Sequence[str], table: str, where: str = "", order: str = "") -> str:
    text = f"SELECT {','.join(fields)} FROM {table}"
    return text + (f" WHERE {where}" if where else "") + (f" ORDER BY {order}" if order else "")


def encoded(text: str) -> str:
    """For the query of a URL. What every query is full of may stand in one as it is (RFC 3986, 3.4)."""
    return percent_encode(text, safe=",:()")


def encoded_size(text: str) -> int:
    return len(encoded(text))


def any_of(conditions: Iterable[str], room: int) -> Iterator[str]:
    """The conditions joined by OR, as many together as fit into ``room`` encoded bytes."""
    together: list[str] = []
    size = 0
    for condition in conditions:
        more = encoded_size(f" OR ({condition})")
        if together and size + more > room:
            yield " OR ".join(f"({c})" for c in together)
            together, size = [], 0
        together.append(condition)
        size += more
    if together:
        yield " OR ".join(f"({c})" for c in together)


def batches(values: Sequence[T], count: int = BATCH) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), count):
        yield values[start : start + count]
