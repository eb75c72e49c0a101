"""What CRMs have asked for, and what became of it."""

from datetime import datetime
from typing import Any

from crmsync.state.database import State


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
