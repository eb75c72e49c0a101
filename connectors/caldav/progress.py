"""How far a task is: STATUS, PERCENT-COMPLETE and COMPLETED, one group."""

from datetime import UTC, date, datetime

from crmsync.connectors.caldav.clock import IN_UTC, Clock, Time, within_bounds
from crmsync.connectors.contract import Columns, Value
from crmsync.connectors.dav.contentline import Line
from crmsync.connectors.dav.document import Component
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.dav.patch import Editor
from crmsync.connectors.dav.values import in_utc

_STATUS = {
    "not_started": "NEEDS-ACTION",
    "in_progress": "IN-PROCESS",
    "completed": "COMPLETED",
    "cancelled": "CANCELLED",
}
_WORDS = {token: word for word, token in _STATUS.items()}
_NOT_HELD = {"waiting": "not_started", "deferred": "not_started"}
PROGRESS = frozenset({"status", "percent_complete", "completed_at"})


_UNREADABLE = object()


def read_progress(task: Component, clock: Clock) -> dict[str, Value]:
    """A task without STATUS is completed when COMPLETED says so, else not started. What makes no sense is absent."""
    columns: dict[str, Value] = {}
    percent = task.first("PERCENT-COMPLETE")
    number = percent.value.strip() if percent else ""
    if not number:
        columns["percent_complete"] = None
    elif number.isascii() and number.isdigit() and len(number) <= 3 and int(number) <= 100:
        columns["percent_complete"] = int(number)
    completed = task.first("COMPLETED")
    stands = completed is not None and bool(completed.value.strip())
    moment = _moment(clock, completed) if completed and stands else None
    if moment or not stands:
        columns["completed_at"] = moment
    status = task.first("STATUS")
    token = status.value.strip().upper() if status else ""
    word = _WORDS.get(token) if token else ("completed" if stands else "not_started")
    if word:
        columns["status"] = word
    return columns


def _moment(clock: Clock, line: Line) -> datetime | None:
    try:
        return _exact(clock.read(line).value)
    except Malformed:
        return None


def _exact(value: Value) -> datetime | None:
    """COMPLETED is a date-time in UTC (RFC 5545 3.8.2.1); some write the day alone."""
    if not isinstance(value, date) or not within_bounds(value):
        return None
    return (
        in_utc(value)
        if isinstance(value, datetime)
        else datetime(value.year, value.month, value.day, tzinfo=UTC)
    )


def project_progress(columns: Columns) -> dict[str, Value]:
    held: dict[str, Value] = {}
    if "status" in columns:
        status = str(columns["status"] or "not_started")
        status = _NOT_HELD.get(status, status)
        if status in _STATUS:
            held["status"] = status
    percent = columns.get("percent_complete")
    if "percent_complete" in columns:
        held["percent_complete"] = None if percent is None else min(max(int(str(percent)), 0), 100)
    if "completed_at" in columns:
        moment = columns["completed_at"]
        held["completed_at"] = (
            in_utc(moment) if isinstance(moment, datetime) and within_bounds(moment) else None
        )
    return held


def write_progress(edit: Editor, clock: Clock, wanted: Columns, now: datetime) -> None:
    """``wanted``: all columns of the group that are given. A task that becomes completed is so now and by 100 %, one
    that is taken up again is neither, unless the columns say otherwise."""
    before = read_progress(edit.component, clock)
    after = {**before, **_implied(before, wanted, now), **wanted}
    status = after.get("status")
    token = _STATUS.get(str(status))
    line = edit.component.first("STATUS")
    if token and (line is None or line.value.strip().upper() != token):
        edit.put(edit.component.all("STATUS"), token, "STATUS")
    if after.get("percent_complete") != before.get("percent_complete"):
        percent = after["percent_complete"]
        edit.put(
            edit.component.all("PERCENT-COMPLETE"),
            None if percent is None else str(percent),
            "PERCENT-COMPLETE",
        )
    if "completed_at" in after and after["completed_at"] != before.get("completed_at", _UNREADABLE):
        moment = after["completed_at"]
        clock.put(edit, "COMPLETED", Time(moment, IN_UTC) if isinstance(moment, datetime) else None)


def _implied(before: Columns, wanted: Columns, now: datetime) -> Columns:
    was, becomes = before.get("status"), wanted.get("status", before.get("status"))
    if becomes == "completed" and was != "completed":
        return {"percent_complete": 100, "completed_at": in_utc(now)}
    if was == "completed" and becomes != "completed":
        return {"completed_at": None} | (
            {"percent_complete": 0} if before.get("percent_complete") == 100 else {}
        )
    return {}
