"""Jobs: a message that was accepted is one, on disk before it is answered. Whatever happens to the process, it is
carried out once more or ended in words; nothing is exchanged for a message that is too old by then.
"""

import logging
import queue
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from crmsync.config.exchange import Credential, Exchange
from crmsync.connectors.contract import Kind
from crmsync.daemon.adaptor.authentication import Caller
from crmsync.daemon.adaptor.data_controller import DataController, succeeded
from crmsync.daemon.adaptor.messages import Message
from crmsync.daemon.adaptor.refusals import Refusal, Rule
from crmsync.daemon.calls import Failure
from crmsync.daemon.turns import Stopping, Turns
from crmsync.state.errors import StateError
from crmsync.state.model import Audited, Job, JobState

log = logging.getLogger(__name__)

MOST = 100  # jobs that are not over
THREADS = 4
ATTEMPTS = 3  # that were interrupted
KEPT = timedelta(days=7)  # how long it can be asked what became of one
LINES = 100_000  # of the audit log
TIDY_EVERY = timedelta(hours=1)

Reporter = Callable[[Job, Credential], bool]  # whether it has been heard


@dataclass(slots=True)
class JobScheduler:
    """Safe to use from several threads."""

    config: Callable[[], Exchange]
    turns: Turns
    controller: DataController
    report: Reporter
    now: Callable[[], datetime]
    _waiting: "queue.SimpleQueue[str]" = field(default_factory=queue.SimpleQueue)  # names; empty: stop
    _progress: dict[str, dict[str, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _news: threading.Event = field(default_factory=threading.Event)  # something may be to report
    _tidied: datetime | None = None

    def start(self) -> None:
        """Takes up what was left when the service ended."""
        for number in range(THREADS):
            threading.Thread(target=self._work, name=f"exchange-{number}", daemon=True).start()
        threading.Thread(target=self._report, name="exchange-report", daemon=True).start()
        with self.turns.looking() as engine, engine.state.transaction() as tx:
            left = tx.jobs.open()
            for job in left:
                tx.jobs.wait(job.name)
        for job in left:
            self._waiting.put(job.name)

    def stop(self) -> None:
        """No new job begins. What runs ends with its cycle, and is taken up at the next start."""
        self._stopped.set()
        self._news.set()
        for _ in range(THREADS):
            self._waiting.put("")

    # ── Messages ─────────────────────────────────────────────────────────────────────────────────────────────

    def accept(
        self, message: Message, kinds: frozenset[Kind], caller: Caller, *, peer: str, asked: str
    ) -> tuple[Job, Audited | None]:
        """The job of this message: a new one, or, of a message that came before, the one that there is, with the line
        of the audit log that is still to be written: how many those become is the sender's choice. Raises Refusal."""
        job = Job(
            name=secrets.token_urlsafe(16),
            credential=caller.name,
            nonce=caller.nonce,
            digest=message.digest,
            direction=message.direction,
            accounts=list(message.accounts),
            kinds=sorted(kinds),
            since=message.since,
            accepted=self.now(),
            reported=caller.credential.report_to is None,
        )
        with self.turns.looking() as engine:
            if strange := [a for a in message.accounts if a not in engine.accounts]:
                raise Refusal(Rule.ACCOUNT, f"there is no account “{strange[0][:64]}”")
            with engine.state.transaction() as tx:
                known = tx.jobs.of_nonce(caller.name, caller.nonce)
                if known is not None and known.digest != message.digest:
                    raise Refusal(Rule.REPLAYED, "its nonce was used for another message")
                if known is None and tx.jobs.count_open() >= MOST:
                    raise Refusal(Rule.TOO_MANY, f"{MOST} exchanges wait already; try again later")
                found = known or job
                if known is None:
                    tx.jobs.add(job)
                detail = f"{message.direction}: {', '.join(message.accounts)}"
                line = Audited(
                    at=job.accepted,
                    credential=caller.name,
                    peer=peer,
                    asked=asked,
                    allowed=True,
                    rule="" if known is None else "repeated",
                    detail=detail[:400],
                    job=found.name,
                )
                if known is not None:
                    return found, line
                tx.audit.add(line)
        self._waiting.put(job.name)
        return job, None

    def look(self, name: str, caller: Caller) -> dict[str, Any]:
        """What has become of it. Raises Refusal; of another credential's there is none."""
        with self.turns.looking() as engine, engine.state.reading() as tx:
            job = tx.jobs.named(name)
        if job is None or job.credential != caller.name:
            raise Refusal(Rule.NOT_YOURS, "there is no such job")
        return self.document(job)

    def document(self, job: Job) -> dict[str, Any]:
        with self._lock:
            progress = dict(self._progress.get(job.name, {}))
        return {
            "job": job.name,
            "state": job.state.value,
            "direction": job.direction,
            "accounts": job.accounts,
            "kinds": job.kinds,
            "since": _text(job.since),
            "accepted": _text(job.accepted),
            "begun": _text(job.begun),
            "ended": _text(job.ended),
            "attempts": job.attempts,
            "progress": progress,
            "result": job.result,
        }

    # ── Work ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _work(self) -> None:
        while (name := self._waiting.get()) and not self._stopped.is_set():
            try:
                self._carried_out(name)
            except (StateError, Failure) as error:
                log.error("job %s waits: %s", name, error, extra={"action": "exchange.waits"})
                self._stopped.wait(1.0)
                self._waiting.put(name)
            except Stopping:  # at the end of the service, or for a reload
                if self._stopped.wait(1.0):
                    return
                self._waiting.put(name)
            self._tidy()

    def _carried_out(self, name: str) -> None:
        """A defect ends it, too: left open, it would keep a place that others wait for."""
        try:
            self._carry_out(name)
        except (StateError, Failure):
            raise
        except Exception as error:
            log.exception("job %s cannot be carried out", name, extra={"action": "exchange.defect"})
            if (job := self._job(name)) is not None and not job.state.over:
                sentence = f"a defect of crmsync ({type(error).__name__}); please report it"
                self._end(job, JobState.FAILED, {**_said(sentence), "rule": "defect"})

    def _job(self, name: str) -> Job | None:
        with self.turns.looking() as engine, engine.state.reading() as tx:
            return tx.jobs.named(name)

    def _carry_out(self, name: str) -> None:
        job = self._job(name)
        if job is None or job.state.over:
            return
        config = self.config()
        credential = config.credential.get(job.credential)
        if credential is None:
            self._end(job, JobState.FAILED, _said(f"there is no credential {job.credential} any more"))
        elif self.now() - job.accepted > config.good_for:
            self._end(job, JobState.EXPIRED, _said("it could not be carried out in time; ask again"))
        elif job.attempts >= ATTEMPTS:
            self._end(job, JobState.FAILED, _said(f"it was interrupted {job.attempts} times"))
        else:
            self._exchange(job, credential)

    def _exchange(self, job: Job, credential: Credential) -> None:
        with self.turns.looking() as engine, engine.state.transaction() as tx:
            tx.jobs.begin(job.name, self.now())
        try:
            result = self.controller.exchange(job, credential, self._counter(job))
        except Refusal as refusal:
            self._end(job, JobState.FAILED, {**_said(refusal.sentence), "rule": refusal.rule.word})
            return
        except Failure:
            if self._stopped.is_set():
                return  # taken up at the next start
            raise  # a reload: again in a moment
        finally:
            with self._lock:
                self._progress.pop(job.name, None)
        self._end(job, JobState.DONE if succeeded(result) else JobState.FAILED, result)

    def _counter(self, job: Job) -> Callable[[str, str, int], None]:
        def count(account: str, what: str, number: int) -> None:
            with self._lock:
                counts = self._progress.setdefault(job.name, {})
                counts[what] = counts.get(what, 0) + number

        return count

    def _end(self, job: Job, state: JobState, result: Mapping[str, Any]) -> None:
        with self.turns.looking() as engine, engine.state.transaction() as tx:
            tx.jobs.end(job.name, state, self.now(), result)
        level = logging.INFO if state is JobState.DONE else logging.WARNING
        log.log(
            level,
            "the %s exchange that %s asked for is %s",
            job.direction,
            job.credential,
            state.value,
            extra={"action": f"exchange.{state.value}"},
        )
        self._news.set()

    # ── Reports, and what is too old ─────────────────────────────────────────────────────────────────────────

    def _report(self) -> None:
        while not self._stopped.is_set():
            try:
                left = self._report_some()
            except StateError as error:
                log.debug("%s", error, extra={"action": "exchange.unreported"})
                left = True
            except Exception:  # whatever it is: nobody else would tell of the others
                log.exception("results cannot be reported", extra={"action": "exchange.defect"})
                left = True
            self._tidy()
            self._news.wait(30.0 if left else 300.0)
            self._news.clear()

    def _report_some(self) -> bool:
        """Whether some are left, for the next time."""
        with self.turns.looking() as engine, engine.state.reading() as tx:
            jobs = tx.jobs.unreported()
        config, left = self.config(), False
        for job in jobs:
            if self._stopped.is_set():
                return True
            credential = config.credential.get(job.credential)
            given_up = self.now() - (job.ended or job.accepted) > config.good_for
            if credential is None or credential.report_to is None or given_up or self.report(job, credential):
                with self.turns.looking() as engine, engine.state.transaction() as tx:
                    tx.jobs.heard(job.name)
            else:
                left = True
        return left

    def _tidy(self) -> None:
        now = self.now()
        with self._lock:
            if self._tidied is not None and now - self._tidied < TIDY_EVERY:
                return
            self._tidied = now
        try:
            with self.turns.looking() as engine, engine.state.transaction() as tx:
                tx.jobs.prune(now - max(KEPT, 2 * self.config().window))
                tx.audit.prune(now - engine.history, LINES)
        except Exception as error:  # a thread of the jobs does it beside them
            log.debug("%s", error, exc_info=True, extra={"action": "exchange.untidy"})


def _said(sentence: str) -> dict[str, Any]:
    return {"message": sentence}


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment is not None else None
