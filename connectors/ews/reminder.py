"""The reminder of an appointment or a task, as the moment at which it goes off.

Exchange keeps that of an appointment as minutes before its start, so that it moves along. What cannot be said in
minutes (some seconds, after the start, many years before) stands beside them in a property of our own, which counts as
long as neither the start nor the minutes are others than they were.
"""

from datetime import UTC, date, datetime, timedelta

from crmsync.connectors.contract import Kind, Value
from crmsync.connectors.dav.values import ABSENT, Maybe, in_utc
from crmsync.connectors.ews.properties import REMINDED, Properties, Property, moment, text
from crmsync.connectors.ews.rows import within_bounds

NEEDS = {
    Kind.APPOINTMENT: ("ReminderIsSet", "ReminderMinutesBeforeStart", REMINDED, "Start"),
    Kind.TASK: ("ReminderIsSet", "ReminderDueBy"),
}
_MOST = 1_000_000  # minutes


def read_reminder(kind: Kind, properties: Properties) -> Maybe:
    if not properties.get("ReminderIsSet"):
        return None
    if kind is Kind.TASK:
        due = moment(properties, "ReminderDueBy")
        return in_utc(due) if due else ABSENT
    start, minutes = moment(properties, "Start"), properties.get("ReminderMinutesBeforeStart")
    if start is None or not isinstance(minutes, int):
        return ABSENT
    known = text(properties, REMINDED).split(" ")
    if len(known) == 3 and known[1:] == [_written(start), str(minutes)]:
        return _exact(known[0])
    return in_utc(start - timedelta(minutes=minutes))


def _exact(written: str) -> Maybe:
    try:
        return datetime.strptime(written, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:  # somebody has written there
        return ABSENT


def project_reminder(value: Value) -> Maybe:
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if isinstance(value, datetime):
        return in_utc(value) if within_bounds(value) else ABSENT
    return None if value is None else ABSENT


def write_reminder(kind: Kind, value: Value, start: datetime | None) -> dict[str, Property]:
    """``start``: of the appointment as it will be. Only what is to be otherwise need be written of what is told."""
    if not isinstance(value, datetime):
        return {"ReminderIsSet": False}
    if kind is Kind.TASK:
        return {"ReminderIsSet": True, "ReminderDueBy": value}
    if start is None:
        return {}
    minutes = min(max((start - value) // timedelta(minutes=1), 0), _MOST)
    exact = start - timedelta(minutes=minutes) == value
    return {
        "ReminderIsSet": True,
        "ReminderMinutesBeforeStart": minutes,
        REMINDED: None if exact else f"{_written(value)} {_written(start)} {minutes}",
    }


def _written(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at.year:04}-{at.month:02}-{at.day:02}T{at.hour:02}:{at.minute:02}:{at.second:02}Z"
