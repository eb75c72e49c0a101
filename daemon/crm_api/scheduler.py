"""The embedded CRM's scheduler: it says when the service exchanges, by jobs that are records (``ExchangeJob__c``).

A job is due by its cron line, or when somebody sets RunNow__c. What is about to be sent is written down first, with its
nonce: a message that is sent again after a crash, or because no answer came, is the same one.
"""

import json
import logging
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
import urllib3
from apscheduler.triggers.cron import CronTrigger

from crmsync.daemon.adaptor.signing import Signed
from crmsync.daemon.crm_api.crm import Crm
from crmsync.state.replica import ids
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Rejected

__all__ = ["ExchangeScheduler", "Target"]

log = logging.getLogger(__name__)

OBJECT = "ExchangeJob__c"
BASE = "/exchange/v1"
TURN = 1.0  # seconds between two looks at the jobs
SENDING, REFUSED, UNREADABLE = "sending", "refused", "unreadable"  # beside the service's own states
UNDER_WAY = (SENDING, "accepted", "running")
_PATIENCE = urllib3.Timeout(connect=5.0, read=10.0)
_MOST = 30_000  # characters of a result

Job = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """The service: where it is, and who we are there."""

    url: str
    credential: str
    secret: str = field(repr=False)
    ca_file: str | None = None
    certificate: tuple[str, str] | None = None  # our own, with its key: files in PEM


class ExchangeScheduler:
    def __init__(self, crm: Crm, target: Target) -> None:
        self._crm, self._target = crm, target
        self._table = crm.database.tables[OBJECT]
        self._caller = Caller(ids.new_id("005", 1), all_records=True)
        certificate, key = target.certificate or (None, None)
        self._http = urllib3.PoolManager(
            timeout=_PATIENCE, retries=False, ca_certs=target.ca_file, cert_file=certificate, key_file=key
        )
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="crm-scheduler", daemon=True)

    def start(self) -> "ExchangeScheduler":
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._http.clear()

    def turn(self) -> None:
        """Looks at every job once: what is under way is followed, what is due is sent."""
        for job in self._jobs():
            match job["State__c"]:
                case state if state == SENDING:
                    self._send(job)
                case state if state in UNDER_WAY:
                    self._follow(job)
                case _ if job["Active__c"]:
                    self._when(job)

    def _run(self) -> None:
        while not self._stopped.wait(TURN):
            try:
                self.turn()
            except (sa.exc.SQLAlchemyError, ValueError) as error:
                log.warning("the jobs could not be looked at: %s", error, extra={"action": "crm.jobs_failed"})

    # ── When ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _when(self, job: Job) -> None:
        now = self._crm.store.now()
        try:
            next_run = following(job["Cron__c"], now)
        except ValueError as error:
            if job["State__c"] != UNREADABLE:
                self._note(job, State__c=UNREADABLE, Result__c=f"Cron__c: {error}", NextRun__c=None)
            return
        due = job["NextRun__c"] is not None and job["NextRun__c"] <= now
        if job["RunNow__c"] or (due and next_run is not None):
            begun = self._note(
                job,
                State__c=SENDING,
                Nonce__c=secrets.token_urlsafe(24),
                RunNow__c=False,
                SentAt__c=_text(now),
                NextRun__c=_text(next_run),
                Job__c=None,
                Result__c=None,
            )
            self._send(begun)
        elif next_run != job["NextRun__c"]:  # a new line, or another one
            self._note(job, NextRun__c=_text(next_run))

    # ── Messages ─────────────────────────────────────────────────────────────────────────────────────────────

    def _send(self, job: Job) -> None:
        answer = self._ask("POST", f"{BASE}/{job['Direction__c']}-sync", message(job), job["Nonce__c"])
        if answer is None:
            return  # the same message, at the next turn
        status, said = answer
        if status == 202:
            self._note(job, State__c=said["state"], Job__c=said["job"])
        elif status < 500 and status != 429:
            self._note(job, State__c=REFUSED, Result__c=f"{said.get('error')}: {said.get('message')}"[:_MOST])

    def _follow(self, job: Job) -> None:
        answer = self._ask("GET", f"{BASE}/jobs/{job['Job__c']}", b"", secrets.token_urlsafe(24))
        if answer is None:
            return
        status, said = answer
        if status == 404:
            self._note(job, State__c="lost", Result__c="the service does not know the job any more")
        elif status == 200 and said["state"] != job["State__c"]:
            over = said["state"] not in UNDER_WAY
            result = json.dumps(said["result"], ensure_ascii=False)[:_MOST] if over else None
            self._note(job, State__c=said["state"], Result__c=result)

    def _ask(self, method: str, path: str, body: bytes, nonce: str) -> tuple[int, dict[str, Any]] | None:
        """None: no answer."""
        time = int(self._crm.clock().timestamp())
        headers = dict(
            Signed(method, path, time, nonce, body).headers(self._target.credential, self._target.secret)
        )
        try:
            url = self._target.url + path
            answer = self._http.request(method, url, body=body or None, headers=headers, redirect=False)
            said = json.loads(answer.data)
        except (urllib3.exceptions.HTTPError, ValueError) as error:
            log.debug("%s does not answer: %s", self._target.url, error, extra={"action": "crm.unanswered"})
            return None
        return (answer.status, said) if isinstance(said, dict) else None

    # ── Records ──────────────────────────────────────────────────────────────────────────────────────────────

    def _jobs(self) -> list[Job]:
        with self._crm.database.read() as connection:
            query = sa.select(self._table).where(self._table.c.IsDeleted.is_(False))
            return [dict(row) for row in connection.execute(query).mappings()]

    def _note(self, job: Job, **values: Any) -> Job:
        (outcome,) = self._crm.store.update(self._caller, [(OBJECT, job["Id"], values)])
        if isinstance(outcome, Rejected):
            raise ValueError(f"job {job['Id']}: {outcome.faults[0].message}")
        return {**job, **values}


def following(cron: str | None, after: datetime) -> datetime | None:
    """The next time of a cron line; ``after`` and the answer are naive UTC, as the records have it. Raises
    ValueError."""
    if not (cron or "").strip():
        return None
    trigger = CronTrigger.from_crontab(cron, timezone=UTC)
    found: datetime | None = trigger.get_next_fire_time(
        None, after.replace(tzinfo=UTC) + timedelta(seconds=1)
    )
    return None if found is None else found.astimezone(UTC).replace(tzinfo=None)


def message(job: Job) -> bytes:
    """The same one however often it is made of this record."""
    said: dict[str, Any] = {"accounts": _words(job["Accounts__c"])}
    if kinds := _words(job["Kinds__c"]):
        said["kinds"] = kinds
    if job["Since__c"] is not None:
        said["since"] = _text(job["Since__c"])
    return json.dumps(said).encode()


def _words(text: str | None) -> list[str]:
    return [word for word in (text or "").replace(",", " ").split() if word]


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds") + "Z"
