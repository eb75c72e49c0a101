"""The exchanges that a CRM has asked for, and the audit log of who asked for what."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, delete, func, not_, select, update

from crmsync.state.model import Audited, Job, JobState
from crmsync.state.rows import Rows
from crmsync.state.tables import audit, jobs

_j, _a = jobs.c, audit.c
_OPEN = (JobState.ACCEPTED, JobState.RUNNING)


class Jobs:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows = Rows(connection, jobs, Job)

    def add(self, job: Job) -> None:
        """Raises Contradiction where its nonce or name is there already."""
        self._rows.add([job])

    def named(self, name: str) -> Job | None:
        return self._rows.first(self._rows.select().where(_j.name == name))

    def of_nonce(self, credential: str, nonce: str) -> Job | None:
        where = (_j.credential == credential, _j.nonce == nonce)
        return self._rows.first(self._rows.select().where(*where))

    def open(self) -> list[Job]:
        """Those that are not over, oldest first."""
        return self._rows.all(self._rows.select().where(_j.state.in_(_OPEN)).order_by(_j.id))

    def unreported(self, limit: int = 100) -> list[Job]:
        """Those that are over, and of which somebody wants to hear."""
        where = (_j.reported.is_(False), _j.state.not_in(_OPEN))
        return self._rows.all(self._rows.select().where(*where).order_by(_j.id).limit(limit))

    def recent(self, number: int) -> list[Job]:
        """The newest first."""
        return self._rows.all(self._rows.select().order_by(_j.id.desc()).limit(number))

    def count_open(self) -> int:
        return self._connection.execute(
            select(func.count()).select_from(jobs).where(_j.state.in_(_OPEN))
        ).scalar_one()

    def begin(self, name: str, now: datetime) -> None:
        values = {"state": JobState.RUNNING, "begun": now, "attempts": _j.attempts + 1}
        self._connection.execute(update(jobs).where(_j.name == name).values(values))

    def wait(self, name: str) -> None:
        """It was interrupted, and is begun again."""
        self._connection.execute(update(jobs).where(_j.name == name).values(state=JobState.ACCEPTED))

    def note(self, name: str, result: Mapping[str, Any]) -> None:
        self._connection.execute(update(jobs).where(_j.name == name).values(result=dict(result)))

    def end(self, name: str, state: JobState, now: datetime, result: Mapping[str, Any]) -> None:
        values = {"state": state, "ended": now, "result": dict(result)}
        self._connection.execute(update(jobs).where(_j.name == name).values(values))

    def heard(self, name: str) -> None:
        self._connection.execute(update(jobs).where(_j.name == name).values(reported=True))

    def prune(self, before: datetime) -> None:
        """Those that ended before; their nonces are forgotten with them, so keep them longer than a message is good."""
        self._connection.execute(delete(jobs).where(_j.state.not_in(_OPEN), _j.ended < before))


class Audit:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows = Rows(connection, audit, Audited)

    def add(self, one: Audited) -> None:
        self._rows.add([one])

    def recent(self, number: int) -> Sequence[Audited]:
        """The newest first."""
        return self._rows.all(self._rows.select().order_by(_a.id.desc()).limit(number))

    def prune(self, before: datetime, most: int) -> None:
        """What is older goes, and of the rest the oldest above ``most``: of what was asked for anew, and as many of
        everything else, which can be sent again and again and is not to push that out."""
        self._connection.execute(delete(audit).where(_a.at < before))
        asked = and_(_a.allowed.is_(True), _a.rule == "", _a.job != "")
        for these in (asked, not_(asked)):
            surplus = select(_a.id).where(these).order_by(_a.id.desc()).offset(most).limit(1)
            self._connection.execute(delete(audit).where(these, _a.id <= surplus.scalar_subquery()))
