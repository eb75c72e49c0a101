"""What CRMs have asked for, and what became of it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from crmsync.state.database import State
from crmsync.state.model import JobState


def jobs(state: State, limit: int) -> list[dict[str, Any]]:
    """The newest first."""
    with state.reading() as tx:
        return [
            {
                "job": job.name,
                "credential": job.credential,
                "direction": job.direction,
                "accounts": job.accounts,
                "kinds": job.kinds,
                "since": _text(job.since),
                "state": job.state.value,
                "attempts": job.attempts,
                "accepted": _text(job.accepted),
                "ended": _text(job.ended),
                "result": job.result,
            }
            for job in tx.jobs.recent(max(limit, 0))
        ]


RECENT = 200  # jobs that are looked through for the last one of each credential


def failing(state: State) -> list[dict[str, str]]:
    """The credentials whose last exchange that is over did not come through, and why."""
    with state.reading() as tx:
        over = [job for job in tx.jobs.recent(RECENT) if job.state.over]
    last = {job.credential: job for job in reversed(over)}  # the newest stays
    return [
        {"credential": name, "state": job.state.value, "message": _why(job.result or {})}
        for name, job in sorted(last.items())
        if job.state is not JobState.DONE
    ]


def _why(result: Mapping[str, Any]) -> str:
    """The first sentence of what went wrong."""
    errors = (error for one in result.get("accounts", {}).values() for error in one.get("errors", ()))
    sentences = [
        str(result.get("message", "")),
        *(str(error["message"]) for error in errors if not error.get("item")),
        *(str(copy.get("message", "")) for copy in result.get("replicas", {}).values() if "code" in copy),
    ]
    return next((sentence for sentence in sentences if sentence), "crmsync exchange jobs has more")


def audit(state: State, limit: int) -> list[dict[str, Any]]:
    """The newest first."""
    with state.reading() as tx:
        return [
            {
                "at": _text(line.at),
                "credential": line.credential,
                "peer": line.peer,
                "asked": line.asked,
                "allowed": line.allowed,
                "rule": line.rule,
                "detail": line.detail,
                "job": line.job,
            }
            for line in tx.audit.recent(max(limit, 0))
        ]


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment is not None else None
