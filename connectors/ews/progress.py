"""How far a task is: status, percentage and the day of its completion.

Exchange keeps them in step itself (MS-OXOTASK 2.2.2.2.2): completed is 100 %, not started is 0 %; when a task was
completed is the server's to say, and cannot be written (seen on Exchange 2010 to 2019: it puts the present moment).
"""

from crmsync.connectors.contract import Columns, Value
from crmsync.connectors.dav.values import in_utc
from crmsync.connectors.ews.properties import Properties, Property, moment

PROGRESS = frozenset({"status", "percent_complete", "completed_at"})
NEEDS = ("Status", "PercentComplete", "CompleteDate")
_STATUS = {
    "not_started": "NotStarted",
    "in_progress": "InProgress",
    "completed": "Completed",
    "waiting": "WaitingOnOthers",
    "deferred": "Deferred",
}
_WORDS = {token: word for word, token in _STATUS.items()}
_NOT_HELD = {"cancelled": "deferred"}


def read_progress(properties: Properties) -> dict[str, Value]:
    percent = properties.get("PercentComplete")
    completed = moment(properties, "CompleteDate")
    columns: dict[str, Value] = {
        "percent_complete": min(max(percent, 0), 100) if isinstance(percent, int) else 0,
        "completed_at": in_utc(completed) if completed else None,
    }
    word = _WORDS.get(str(properties.get("Status") or "NotStarted"))
    return columns | ({"status": word} if word else {})


def project_progress(columns: Columns) -> dict[str, Value]:
    """Without ``completed_at``: what it will be is not known."""
    status, percent = columns.get("status"), columns.get("percent_complete")
    told: dict[str, Value] = {}
    if "status" in columns:
        word = _NOT_HELD.get(str(status), str(status or "not_started"))
        if word in _STATUS:
            told["status"] = word
    if "percent_complete" in columns:
        told["percent_complete"] = min(max(percent, 0), 100) if isinstance(percent, int) else 0
    return _agreeing(told)


def _agreeing(told: dict[str, Value]) -> dict[str, Value]:
    if "percent_complete" not in told or "status" not in told:
        return told
    status, percent = told["status"], told["percent_complete"]
    if status == "completed":
        told["percent_complete"] = 100
    elif status == "not_started":
        told["percent_complete"] = 0
    elif percent == 100:
        told["percent_complete"] = 99  # else Exchange would take it for completed
    return told


def write_progress(before: Columns, wanted: Columns) -> dict[str, Property]:
    """``wanted``: what ``project_progress`` has left. Both are written, so that Exchange has nothing to conclude."""
    status = wanted.get("status")
    percent = wanted.get("percent_complete", before.get("percent_complete", 0))
    if status is None:
        status = _implied(before.get("status"), percent)
    if status != "completed" and "percent_complete" not in wanted and before.get("status") == "completed":
        percent = 0
    after = _agreeing({"status": status, "percent_complete": percent})
    number = after["percent_complete"]
    return {
        "Status": _STATUS[str(status)],
        "PercentComplete": number if isinstance(number, int) else 0,
    }


def _implied(before: Value, percent: Value) -> str:
    if percent == 100:
        return "completed"
    if percent == 0:
        return "not_started" if before in (None, "not_started", "completed") else str(before)
    return "in_progress" if before in (None, "not_started", "completed") else str(before)
