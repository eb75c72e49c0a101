"""One value between a column's type and a field's JSON form. Pure.

Text is trimmed, an empty one is None, line ends are "\\n", control characters are left out. Moments have whole seconds,
as Salesforce keeps them.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import TypeAlias

from crmsync.connectors.columns import Type
from crmsync.connectors.contract import Value
from crmsync.connectors.salesforce.soql import clean

Raw: TypeAlias = str | bool | int | float | None  # a field's value in JSON


class Unmappable(ValueError):
    """A stored value is not what its field's type promises."""


class Absent:
    """No opinion."""


ABSENT = Absent()


def text_of(value: object) -> str | None:
    text = str(value)
    if not text.isprintable():  # nothing to clean, and one line: what nearly every value is
        text = clean(text).replace("\r\n", "\n").replace("\r", "\n")
    return text.strip() or None


def line_of(value: object) -> str | None:
    text = text_of(value)
    return text if text is None or "\n" not in text else " ".join(text.split())


def date_of(value: object) -> date:
    if isinstance(value, datetime):
        return value.astimezone(UTC).date()
    return value if isinstance(value, date) else date.fromisoformat(str(value)[:10])


def moment(value: object) -> datetime | date:
    """A date or datetime as the REST API writes it (``2024-01-02``, ``2024-01-02T03:04:05.000+0000``)."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(microsecond=0)
    if isinstance(value, date):
        return value
    text = str(value)
    if len(text) == 10:
        return date.fromisoformat(text)
    return instant(text).replace(microsecond=0)


def instant(text: str) -> datetime:
    """A datetime to the fraction that the server gives."""
    told = datetime.fromisoformat(text)
    return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)


def _number(value: object) -> int:
    return round(float(str(value)))


def _list(value: object) -> tuple[str, ...]:
    parts = value if isinstance(value, tuple) else str(value).split(";")
    return tuple(sorted({p for v in parts if (p := line_of(v))}))


READ: Mapping[Type, Callable[[object], Value]] = {
    Type.TEXT: line_of,
    Type.LONG: text_of,
    Type.EMAIL: line_of,
    Type.PHONE: line_of,
    Type.URL: line_of,
    Type.DATE: date_of,
    Type.MOMENT: moment,
    Type.FLAG: bool,
    Type.NUMBER: _number,
    Type.LIST: _list,
}


def written(value: Value, field_type: str) -> Raw:
    """A column's value in the form of a field's type."""
    match value:
        case None:
            return False if field_type == "boolean" else None
        case datetime() if field_type == "date":
            return date_of(value).isoformat()
        case datetime():
            return value.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + ".000+0000"
        case date() if field_type == "datetime":
            return f"{value.isoformat()}T00:00:00.000+0000"
        case date():
            return value.isoformat()
        case tuple():
            return ";".join(_list(value)) or None
        case str():
            return text_of(value)
    return value


def at(row: Mapping[str, object], path: str) -> object:
    """The value at ``path``, without regard to case; None below an empty parent, ABSENT if the row does not say."""
    value: object = row
    for step in path.split("."):
        if not isinstance(value, Mapping):
            return None if value is None else ABSENT
        value = value[step] if step in value else _any_case(value, step)
    return value


def _any_case(row: Mapping[str, object], step: str) -> object:
    return next((v for k, v in row.items() if k.lower() == step.lower()), ABSENT)
