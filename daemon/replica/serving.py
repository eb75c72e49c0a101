"""Puts together the web services on a replica, and keeps it in step where nobody else does."""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

from crmsync.connectors.http import Http
from crmsync.connectors.salesforce import soap_login
from crmsync.connectors.salesforce.direct import Direct
from crmsync.daemon.calls import Failure, explained
from crmsync.daemon.replica.crm import GLANCE, ReplicaCrm
from crmsync.daemon.replica.direct import Through, Writes
from crmsync.daemon.replica.keeper import Keeper
from crmsync.daemon.replica.line import PAUSE, Line
from crmsync.daemon.replica.login import Login, Own, Verify
from crmsync.daemon.replica.replicas import Replicas
from crmsync.daemon.replica.upstream import Upstream
from crmsync.state.replica.local.glance import Glance
from crmsync.state.replica.local.identity import Identity
from crmsync.state.replica.org import Client as Application

__all__ = ["Passes", "verifier", "web_services"]

log = logging.getLogger(__name__)


def web_services(
    keeper: Keeper,
    verify: Verify,
    applications: Callable[[], tuple[Application, ...]] = tuple,
    own: Own = lambda: None,
    *,
    now: Callable[[], datetime],
    pause: float = PAUSE,
) -> ReplicaCrm:
    """`verify` asks the CRM about a person's password; `applications` may log in by OAuth, beside everybody who does by
    SOAP; `own` is the password that fills the replica. Raises StateError."""
    glance = min(pause, GLANCE)
    mode = Glance(keeper.database, keeper.mode_in, glance)
    away = Glance(keeper.database, keeper.away_in, glance)
    line = Line(mode, note=keeper.noted, away=away, pause=pause)
    upstream = cast(Upstream, _Lazily(keeper.upstream))
    writes = cast(Writes, _Lazily(lambda: Direct(keeper.upstream().client)))  # type: ignore[attr-defined]
    through = Through(line, upstream, writes, keeper.settings.policy)
    return ReplicaCrm(
        keeper.database,
        Login(keeper.database, verify, line, own),
        through,
        clients=applications(),
        clock=lambda: now() + keeper.offset(),
        glance=glance,
    )


class _Lazily:
    """A connection that is made when it is first used: secrets may be missing then, as ConnectorError says."""

    def __init__(self, reach: Callable[[], Any]) -> None:
        self._reach = reach

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reach(), name)


def verifier(http: Callable[[], Http], url: str) -> Verify:
    """Asks the CRM at this address."""

    def verify(username: str, password: str) -> Identity:
        who = soap_login.log_in(http(), url, username, password)
        return Identity(
            who.organisation, who.user, who.username, who.organisation_name, who.name, who.email, who.profile,
            who.language, who.locale, who.time_zone,
        )  # fmt: skip

    return verify


class Passes:
    """Brings one replica in step at its interval, in a thread. Where the service does it, that one has the turn."""

    def __init__(self, replicas: Replicas, keeper: Keeper, tell: Callable[[str], None]) -> None:
        self._replicas, self._keeper, self._tell = replicas, keeper, tell
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replica-passes", daemon=True)

    def __enter__(self) -> "Passes":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        said = ""
        while not self._end.is_set():
            found = self._pass()
            sentence = str(found.get("message", "")) if found.get("code") != "busy" else said
            if sentence and sentence != said:
                self._tell(sentence)
            said = sentence
            self._end.wait(self._keeper.settings.interval.total_seconds())

    def _pass(self) -> Mapping[str, Any]:
        if self._replicas.forbidden:
            return {"code": "not_granted", "message": self._replicas.forbidden}
        try:
            return self._replicas.sync_one(self._keeper)
        except (
            Exception
        ) as error:  # whatever it is: the next one may come through, and nobody else would make it
            log.debug("the pass failed", exc_info=error, extra={"action": "replica.defect"})
            failure = explained(error) or Failure(
                "defect", f"a pass failed by a defect of crmsync ({type(error).__name__}); please report it"
            )
            return {"code": failure.code, "message": failure.message}
