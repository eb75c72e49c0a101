"""A whole series as two columns, for a CRM that has fields for them.

``recurrence``: lines of RFC 5545 (3.8.5), in this order. An occurrence is named as everywhere else: by the local day
that the rules put it on, with the time where that is not the master's. So the text stays as it is when the series moves
to another time of the day::

    RRULE:FREQ=WEEKLY;BYDAY=TU
    RDATE:20261203
    EXDATE:20261208,20261215

``exceptions``: one JSON object a line for each occurrence that differs from what the series says, with the columns in
which it does::

    {"date": "20261222", "location": "Room 2"}
"""

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from crmsync.connectors.columns import COLUMNS, Type
from crmsync.connectors.contract import Columns, Kind, Value
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.series.recurrence import rule

_NAME = re.compile(r"\d{8}(T\d{6})?")
_ORDER = ("RRULE", "RDATE", "EXDATE")
_ANY_DAY = datetime(2000, 1, 1)  # noqa: DTZ001 - only to see whether a rule can be read
MOST = 1_000  # lines
_TYPES = {n: c.type for n, c in COLUMNS[Kind.APPOINTMENT].items()}


def recurrence(rules: Iterable[str], dates: Iterable[str], excluded: Iterable[str]) -> str | None:
    """``rules``: the values of RRULE; ``dates`` and ``excluded``: names."""
    lines = [f"RRULE:{each}" for each in sorted({r.strip().upper().rstrip(";") for r in rules})]
    for name, values in (("RDATE", sorted(set(dates))), ("EXDATE", sorted(set(excluded)))):
        lines += [f"{name}:{','.join(values)}"] if values else []
    repeats = any(each.startswith(("RRULE", "RDATE")) for each in lines)
    return "\n".join(lines) if repeats else None


def parts(text: str) -> Mapping[str, tuple[str, ...]]:
    """Values of each property. Raises Malformed for what is no such text."""
    found: dict[str, list[str]] = {name: [] for name in _ORDER}
    for each in _lines(text, "recurrence"):
        name, _, value = each.partition(":")
        if name.upper() not in found or not value.strip():
            raise Malformed(f"its recurrence has a line that is no {', '.join(_ORDER)} (RFC 5545 3.8.5)")
        name, value = name.upper(), value.strip().upper()
        if name == "RRULE":
            rule(value, _ANY_DAY, None)
            found[name].append(value)
            continue
        names = [word.strip() for word in value.split(",")]
        if not all(map(_is_name, names)):
            raise Malformed(f"its recurrence has an {name} that names no day (YYYYMMDD or YYYYMMDDTHHMMSS)")
        found[name] += names
    return {name: tuple(values) for name, values in found.items()}


def canonical_recurrence(value: Value) -> str | None:
    """As it would be read back. Raises Malformed."""
    if not isinstance(value, str):
        return None
    found = parts(value)
    return recurrence(found["RRULE"], found["RDATE"], found["EXDATE"])


def exceptions(changed: Mapping[str, Columns]) -> str | None:
    """``changed``: by the occurrence's name, what differs."""
    lines = [_line(name, columns) for name, columns in sorted(changed.items())]
    return "\n".join(lines) or None


def parse_exceptions(text: Value) -> Mapping[str, dict[str, Value]]:
    """Raises Malformed."""
    if not isinstance(text, str):
        return {}
    found: dict[str, dict[str, Value]] = {}
    for each in _lines(text, "exceptions"):
        try:
            said = json.loads(each)
            name = said.pop("date")
            if not (isinstance(name, str) and _is_name(name)) or name in found:
                raise ValueError("no day, or one twice")
            found[name] = {n: _value(_TYPES[n], v) for n, v in said.items() if n in _TYPES}
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            raise Malformed(
                'a line of its exceptions is none: one JSON object each, with "date" (YYYYMMDD, once) and what differs'
            ) from None
    return found


def _lines(text: str, what: str) -> list[str]:
    """Raises Malformed for too many: what is cut off here would be taken away in the calendar."""
    found = [each for each in map(str.strip, text.splitlines()) if each]
    if len(found) > MOST:
        raise Malformed(f"its {what} has more than {MOST:,} lines")
    return found


def _is_name(text: str) -> bool:
    if not _NAME.fullmatch(text):
        return False
    try:
        datetime.strptime(text[:8] + (text[9:] or "000000"), "%Y%m%d%H%M%S")  # noqa: DTZ007
    except ValueError:
        return False
    return True


def _line(name: str, columns: Columns) -> str:
    said: dict[str, Any] = {"date": name}
    for column, value in sorted(columns.items()):
        if isinstance(value, date):
            said[column] = value.isoformat().replace("+00:00", "Z")
        else:
            said[column] = list(value) if isinstance(value, tuple) else value
    return json.dumps(said, ensure_ascii=False)


def _value(type: Type, raw: Any) -> Value:
    if raw is None:
        return None
    if type is Type.MOMENT:
        return datetime.fromisoformat(raw) if "T" in raw else date.fromisoformat(raw)
    if type is Type.LIST:
        return tuple(sorted({str(each) for each in raw})) or None
    if type is Type.FLAG:
        return bool(raw)
    if not isinstance(raw, str):
        raise TypeError("no text")
    return raw
