"""Events and tasks: the fields of theirs whose values are worked out together, or have names of their own. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from crmsync.connectors.contract import Columns, Kind, Value
from crmsync.connectors.salesforce.describe import Field, Schema
from crmsync.connectors.salesforce.values import ABSENT, Absent, Raw, at, date_of


@dataclass(frozen=True, slots=True)
class Choice:
    """A field whose values have names of their own, by column value."""

    field: str
    values: Mapping[str, str]
    empty: str  # column value that an empty one stands for, as the server would fill it in

    def read(self, raw: Raw) -> Value | Absent:
        if raw is None:
            return None
        told = str(raw).casefold()
        return next((ours for ours, theirs in self.values.items() if theirs.casefold() == told), ABSENT)

    def write(self, value: Value) -> Raw | Absent:
        if not value and not self.empty:
            return None
        return self.values.get(str(value or self.empty), ABSENT)


CHOICES: Mapping[tuple[Kind, str], Choice] = {
    (Kind.APPOINTMENT, "show_as"): Choice(
        "ShowAs",
        {"busy": "Busy", "out_of_office": "OutOfOffice", "free": "Free", "tentative": "Busy"},  # the nearest
        "busy",
    ),
    (Kind.TASK, "status"): Choice(
        "Status",
        {
            "not_started": "Not Started",
            "in_progress": "In Progress",
            "completed": "Completed",
            "waiting": "Waiting on someone else",
            "deferred": "Deferred",
        },
        "not_started",
    ),
    (Kind.TASK, "direction"): Choice(
        "CallType", {"inbound": "Inbound", "outbound": "Outbound", "internal": "Internal"}, ""
    ),
    (Kind.TASK, "priority"): Choice("Priority", {"high": "High", "normal": "Normal", "low": "Low"}, "normal"),
}


SUBTYPE = "tasksubtype"
_TYPES: Mapping[str, str] = {"phone_call": "Call", "letter": "Letter", "fax": "Fax"}  # values of Type
CALL = "Call"  # of TaskSubtype
_NONE_OF_THEM = "Other"  # of Type: the task was one once, and TaskSubtype may still say so


def activity_of(row: Mapping[str, object]) -> Value | Absent:
    """A Type that is none of ours is no opinion."""
    told = str(_said(row, "Type") or "").casefold()
    found = next((ours for ours, theirs in _TYPES.items() if theirs.casefold() == told), None)
    if told == _NONE_OF_THEM.casefold():
        return None
    if found or _said(row, "TaskSubtype") == CALL:
        return found or "phone_call"
    return ABSENT if told else None


def _said(row: Mapping[str, object], path: str) -> object:
    found = row[path] if path in row else at(row, path)
    return None if found is ABSENT else found


def activity_held(value: Value, schema: Schema) -> Value | Absent:
    typed = schema.field("Type")
    if value is None or (value in _TYPES and typed is not None and takes(typed, _TYPES[str(value)])):
        return value
    return value if value == "phone_call" else ABSENT


def type_of(value: Value, schema: Schema) -> Raw:
    typed = schema.field("Type")
    none = _NONE_OF_THEM if typed is not None and takes(typed, _NONE_OF_THEM) else None
    return _TYPES.get(str(value), none)


def takes(field: Field, raw: str) -> bool:
    return field.values is None or raw in field.values


DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)


def is_all_day(columns: Columns) -> bool:
    """Whether an event is all-day: its times say so themselves; without any, the flag."""
    times = [columns[c] for c in ("start", "end") if columns.get(c) is not None]
    return not isinstance(times[0], datetime) if times else bool(columns.get("all_day"))


def completed(kind: Kind, columns: Columns) -> dict[str, Value]:
    """``columns`` with what the server, or a rule of its own, makes of them together."""
    result = dict(columns)
    if kind is not Kind.APPOINTMENT:
        return result
    if "all_day" in result:
        result["all_day"] = is_all_day(columns)
    if result.get("start") is not None and "end" in result:
        result["end"] = _end(result["start"], result["end"])
    return result


def _end(start: Value, end: Value) -> Value:
    """The end of an event of the start's form: at least a day if it is all-day, else no time at all."""
    match start, end:
        case datetime(), datetime():
            return end - (end - start) % _MINUTE if end > start else end
        case datetime(), date():
            return _end(start, datetime(end.year, end.month, end.day, tzinfo=UTC))
        case datetime(), _:
            return start
        case date(), date():
            given = date_of(end)
            return start + DAY if given == start else given
        case date(), _:
            return start + DAY
    return end
