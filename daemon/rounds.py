"""What the service does with an account when its time has come, and how long it then leaves it alone."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

from crmsync.daemon.calls import explained
from crmsync.daemon.engine import Engine
from crmsync.daemon.outages import Outages, of_conversations
from crmsync.daemon.turns import Stopping, Turns
from crmsync.state.errors import StateError

log = logging.getLogger(__name__)

LONGEST_PAUSE = timedelta(minutes=15)  # of an account that keeps failing
SOON = timedelta(minutes=1)  # the account was not free


Observed: TypeAlias = Callable[[str, Mapping[str, Any], float], None]  # account, answer of a sync, seconds


def unobserved(account: str, answer: Mapping[str, Any], seconds: float) -> None:
    """Nobody counts."""


@dataclass(frozen=True, slots=True)
class Pace:
    interval: timedelta = timedelta(seconds=60)
    settle: timedelta = timedelta(seconds=10)
    reconcile: timedelta = timedelta(hours=24)


@dataclass(slots=True)
class Backoff:
    """The pause after the n-th failure in a row: the interval, doubled each time, 15 minutes at most."""

    failures: dict[str, int] = field(default_factory=dict)

    def failed(self, name: str, interval: timedelta) -> timedelta:
        count = self.failures[name] = self.failures.get(name, 0) + 1
        doubled: timedelta = interval * 2 ** min(count - 1, 20)
        return min(doubled, max(LONGEST_PAUSE, interval))

    def succeeded(self, name: str) -> None:
        self.failures.pop(name, None)


@dataclass(slots=True)
class Rounds:
    """Nothing here raises: an account that fails concerns no other one."""

    turns: Turns
    pace: Pace
    now: Callable[[], datetime]
    jitter: Callable[[], float]  # 0..1
    after: Callable[[], None] = lambda: None  # called after every cycle
    observed: Observed = unobserved
    outages: Outages = field(default_factory=Outages)
    backoff: Backoff = field(default_factory=Backoff)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def cycle(self, name: str) -> timedelta | None:
        """One sync of the account. How long to leave it alone now; None: until its next turn."""
        with self.turns.at_once(name) as engine:
            if engine is None or name not in engine.accounts:
                return None
            errors = self._synced(engine, name)
        if errors is None:
            return None
        self._tell(name, errors)
        pause = self._pause(name, failing=bool(errors))
        self.after()
        return pause

    def reconcile(self, name: str) -> timedelta:
        """Delete reconciliation of the account. How long until the next one."""
        with self.turns.at_once(name) as engine:
            if engine is None or name not in engine.accounts:
                return SOON
            errors = self._asked(
                name, lambda: engine.reconcile([name], progress=self.turns.checkpoint)["errors"]
            )
            if errors is None:
                return SOON
            if errors:
                return min(LONGEST_PAUSE, self.pace.reconcile)
            return self._note_reconciled(engine, name)

    def reconcile_due(self, name: str) -> datetime:
        """When the next one is. The state remembers the last one, so that restarts do not starve it; a new account
        counts from now, its first sync compares everything anyway."""
        try:
            last = self._last_reconciled(name)
        except StateError as error:  # it is asked in the middle of a reload: no reason to end the service
            log.error("%s: %s", name, error, extra={"action": "reconcile.unknown"})
            return self.now() + LONGEST_PAUSE
        return datetime.fromisoformat(last).astimezone(UTC) + self.pace.reconcile

    def _last_reconciled(self, name: str) -> str:
        with self.turns.looking() as engine, engine.state.transaction() as tx:
            last = tx.meta.get(_key(name))
            if last is None:
                last = self.now().isoformat()
                tx.meta.put(_key(name), last)
        return last

    def tidy(self) -> None:
        with self.turns.looking() as engine:
            try:
                gone = engine.tidy()
            except StateError as error:
                log.error("old history could not be removed: %s", error, extra={"action": "history.failed"})
                return
        log.info("%d lines of history were old enough to go", gone, extra={"action": "history.pruned"})

    def _synced(self, engine: Engine, name: str) -> dict[str, str] | None:
        return self._asked(name, lambda: self._sync(engine, name))

    def _sync(self, engine: Engine, name: str) -> list[dict[str, Any]]:
        begun = time.monotonic()
        answer = engine.sync(
            [name],
            settle=self.pace.settle,
            keep_idle=False,
            poll_every=self.pace.interval * 0.9,  # cycles of one account are not exactly an interval apart
            progress=self.turns.checkpoint,
        )
        self.observed(name, answer, time.monotonic() - begun)
        _report(name, answer)
        errors: list[dict[str, Any]] = answer["errors"]
        return errors

    def _asked(self, name: str, ask: Callable[[], list[dict[str, Any]]]) -> dict[str, str] | None:
        """What is broken, by code; None if the account was not ours to judge (interrupted, busy elsewhere)."""
        try:
            errors = ask()
        except Stopping:
            return None
        except Exception as error:  # noqa: BLE001 - whatever it is, it stays this account's
            return self._defect(name, error)
        broken = of_conversations(errors)
        return None if not broken and any(e.get("code") == "busy" for e in errors) else broken

    def _defect(self, name: str, error: Exception) -> dict[str, str] | None:
        failure = explained(error)
        if failure is None:
            log.debug(
                "%s: this is a defect of crmsync", name, exc_info=error, extra={"action": "cycle.defect"}
            )
            return {
                "defect": f"a defect of crmsync ({type(error).__name__}); please report it: "
                'log_level = "debug" in [service] shows where'
            }
        return None if failure.code == "busy" else {failure.code: failure.message}

    def _note_reconciled(self, engine: Engine, name: str) -> timedelta:
        try:
            with engine.state.transaction() as tx:
                tx.meta.put(_key(name), self.now().isoformat())
        except StateError as error:
            log.error("%s: %s", name, error, extra={"action": "reconcile.failed"})
            return LONGEST_PAUSE
        log.info("%s: looked for deletions", name, extra={"action": "reconcile.done"})
        return self.pace.reconcile

    def _pause(self, name: str, *, failing: bool) -> timedelta | None:
        with self._guard:
            if not failing:
                self.backoff.succeeded(name)
                return None
            pause = self.backoff.failed(name, self.pace.interval)
        return pause * (0.9 + 0.2 * self.jitter())

    def _tell(self, name: str, errors: dict[str, str]) -> None:
        news = self.outages.update(name, errors)
        for code, sentence in news.broke:
            log.error("%s: %s", name, sentence, extra={"action": f"broke.{code}"})
        for code in news.recovered:
            log.info("%s: works again (%s)", name, code, extra={"action": f"recovered.{code}"})


def _report(name: str, answer: dict[str, Any]) -> None:
    """One line for a sync that did something, and one for everything that the operator has to know."""
    for notice in answer.get("notices", ()):
        log.warning("%s: %s", name, notice["message"], extra={"action": f"notice.{notice['code']}"})
    sums: dict[str, int] = {}
    for cycle in answer["cycles"]:
        for what in ("created", "updated", "deleted", "unlinked", "parked", "held", "conflicts"):
            sums[what] = sums.get(what, 0) + int(cycle.get(what) or 0)
    did = ", ".join(f"{number} {what}" for what, number in sums.items() if number)
    if did:
        level = logging.WARNING if sums["parked"] else logging.INFO
        log.log(level, "%s: %s", name, did, extra={"action": "cycle.done"})


def _key(name: str) -> str:
    return f"reconciled/{name}"
