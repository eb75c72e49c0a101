"""The four parts put together, and what the service does with them."""

import json
import logging
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import urllib3

from crmsync.config.exchange import Credential, Exchange
from crmsync.daemon import outgoing
from crmsync.daemon.adaptor.authentication import Asked, by_token, identify, permit, revealed, unusable
from crmsync.daemon.adaptor.communication import PATIENCE, Answer, Line
from crmsync.daemon.adaptor.data_controller import DataController
from crmsync.daemon.adaptor.job_scheduler import JobScheduler
from crmsync.daemon.adaptor.messages import LARGEST, parse
from crmsync.daemon.adaptor.refusals import Audit, Refusal, Rule
from crmsync.daemon.adaptor.signing import Signed
from crmsync.daemon.adaptor.wakeups import ACKNOWLEDGED, Wakeups
from crmsync.daemon.calls import Failure
from crmsync.daemon.turns import Turns
from crmsync.state.model import Audited, Job

log = logging.getLogger(__name__)

BASE = "/exchange/v1"
_MESSAGE = re.compile(rf"{BASE}/(reverse|forward)-sync")
_JOB = re.compile(rf"{BASE}/jobs/([A-Za-z0-9_-]{{1,64}})")
_OUTBOUND = re.compile(rf"{BASE}/outbound/([^/]{{1,200}})")
SECONDS = 10.0  # that an answer to a report may take


@dataclass(slots=True)
class Adaptor:
    config: Exchange
    turns: Turns
    soon: Callable[[str], None]
    observed: Callable[[str, Mapping[str, Any], float], None]
    now: Callable[[], datetime]
    patience: float = PATIENCE
    jobs: JobScheduler = field(init=False)
    wakeups: Wakeups = field(init=False)
    audit: Audit = field(init=False)
    line: Line | None = None

    def __post_init__(self) -> None:
        controller = DataController(self.turns, self.observed)
        self.jobs = JobScheduler(lambda: self.config, self.turns, controller, self._report, self.now)
        self.wakeups = Wakeups(self.turns, self.soon)
        self.audit = Audit(self._write, self.now)

    def open(self) -> None:
        """The sync goes on without it, should somebody else have its port."""
        if self.config.address is None:
            return
        for sentence in unusable(self.config):
            log.warning("%s", sentence, extra={"action": "exchange.unusable"})
        self.jobs.start()
        self._listen()

    def _listen(self) -> None:
        try:
            self.line = Line(self.config, self.handle, self.audit, patience=self.patience)
            self.line.start()
        except Failure as error:
            self.line = None
            log.error(
                "no CRM can ask for an exchange: %s", error.message, extra={"action": "exchange.failed"}
            )
        else:
            log.info("a CRM asks for an exchange on %s", self.line.url, extra={"action": "exchange.ready"})

    def follow(self, config: Exchange) -> None:
        """Another configuration; its certificates are read again, which may have been renewed, and what could not be
        opened is tried again."""
        self.config = config
        if self.line is None:
            if config.address is not None:
                self._listen()
            return
        try:
            self.line.renew(config)
        except Failure as error:
            log.error(
                "the exchange goes on with the certificate that it has: %s",
                error.message,
                extra={"action": "exchange.certificate_refused"},
            )

    def close(self) -> None:
        self.jobs.stop()
        if self.line is not None:
            self.line.stop(1.0)
            self.line = None

    # ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────

    def handle(self, asked: Asked, peer: str) -> Answer:
        """Raises Refusal."""
        if found := _MESSAGE.fullmatch(asked.path):
            _only("POST", asked)
            return self._message(found[1], asked, peer)
        if found := _JOB.fullmatch(asked.path):
            _only("GET", asked)
            return Answer.of(self.jobs.look(found[1], identify(asked, self.config, self.now())))
        if asked.path == f"{BASE}/wake":
            _only("POST", asked)
            token = re.fullmatch(r"(?i:bearer) ([^ ]{1,200})", asked.headers.get("authorization", ""))
            return self._wake(token[1] if token else "", asked, peer)
        if found := _OUTBOUND.fullmatch(asked.path):
            _only("POST", asked)
            return self._outbound(found[1], asked, peer)
        raise Refusal(Rule.UNKNOWN, "there is no such resource")

    def _message(self, direction: str, asked: Asked, peer: str) -> Answer:
        _small(asked)
        caller = identify(asked, self.config, self.now())
        message = parse(direction, asked.body)
        kinds = permit(message, caller.credential)
        job, line = self.jobs.accept(message, kinds, caller, peer=peer, asked=f"POST {asked.path}")
        if line is not None:
            self.audit.again(line)
        answer = {"job": job.name, "state": job.state.value, "url": f"{BASE}/jobs/{job.name}"}
        return Answer.of(answer, 202)

    def _wake(self, token: str, asked: Asked, peer: str) -> Answer:
        _small(asked)
        name, credential = by_token(token, self.config)
        woken = self.wakeups.webhook(asked.body, credential)
        self._woken(name, peer, f"POST {asked.path}", woken)
        return Answer.of({"woken": woken}, 202)

    def _outbound(self, token: str, asked: Asked, peer: str) -> Answer:
        name, credential = by_token(token, self.config)
        woken = self.wakeups.outbound(asked.body, credential)
        self._woken(name, peer, f"POST {BASE}/outbound/…", woken)
        return Answer(200, ACKNOWLEDGED, "text/xml; charset=utf-8")

    def _woken(self, name: str, peer: str, asked: str, woken: list[str]) -> None:
        detail = f"woken: {', '.join(woken)}"[:400]
        self.audit.again(
            Audited(
                at=self.now(), credential=name, peer=peer, asked=asked, allowed=True, rule="", detail=detail
            )
        )

    def _write(self, line: Audited) -> None:
        with self.turns.looking() as engine, engine.state.transaction() as tx:
            tx.audit.add(line)

    # ── Reports ──────────────────────────────────────────────────────────────────────────────────────────────

    def _report(self, job: Job, credential: Credential) -> bool:
        """Posts a job's end to where the configuration says, and nowhere else: no redirect is followed."""
        where = credential.report_to
        assert where is not None
        body = json.dumps(self.jobs.document(job), ensure_ascii=False).encode()
        headers = {"content-type": "application/json"}
        try:
            if credential.secret is not None:
                path = urlsplit(where).path or "/"
                signed = Signed("POST", path, int(self.now().timestamp()), secrets.token_urlsafe(24), body)
                headers |= signed.headers(job.credential, revealed(credential.secret))
            answer = outgoing.asked("POST", where, body=body, headers=headers, seconds=SECONDS)
        except (urllib3.exceptions.HTTPError, OSError, Refusal) as error:
            log.warning(
                "%s was not told of job %s: %s",
                outgoing.shown(where),
                job.name,
                type(error).__name__,
                extra={"action": "exchange.unheard"},
            )
            return False
        if answer.status >= 300:
            log.warning(
                "%s was not told of job %s: it answered %d",
                outgoing.shown(where),
                job.name,
                answer.status,
                extra={"action": "exchange.unheard"},
            )
        return answer.status < 300


def _only(method: str, asked: Asked) -> None:
    if asked.method != method:
        raise Refusal(Rule.METHOD, f"only {method} is possible here")


def _small(asked: Asked) -> None:
    if len(asked.body) > LARGEST:
        raise Refusal(Rule.TOO_LARGE, f"its body has more than {LARGEST} bytes")
