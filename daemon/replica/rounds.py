"""What the service does with a replica when its time has come."""

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from crmsync.daemon.calls import explained
from crmsync.daemon.outages import Outages
from crmsync.daemon.replica.modes import AWAY, Mode
from crmsync.daemon.replica.replicas import Replicas
from crmsync.daemon.turns import Stopping, Turns

if TYPE_CHECKING:
    from crmsync.daemon.scheduler import Schedule

__all__ = ["ReplicaRounds", "taken"]

log = logging.getLogger(__name__)

BACK = timedelta(minutes=1)  # while the CRM is away: how often it is looked whether it is back
SCARCE = 0.8  # of the CRM's daily limit: passes come less often
LONGEST_PAUSE = timedelta(minutes=15)


def taken(crm: str) -> str:
    """Its name in `Turns`, which no account can have."""
    return f"replica {crm}"


class ReplicaRounds:
    """Nothing here raises: what is wrong with one replica concerns nobody else."""

    def __init__(self, turns: Turns, jitter: Callable[[], float]) -> None:
        """`jitter`: 0..1."""
        self._turns, self._jitter = turns, jitter
        self._outages = Outages()

    def follow(self, replicas: Replicas, schedule: "Schedule") -> None:
        for name, keeper in replicas.keepers.items():
            keeper.returned = partial(self.back, name, schedule)
            schedule.also(f"replica:{name}", keeper.settings.interval, partial(self.turn, name))

    def decided(
        self, method: str, arguments: Mapping[str, Any], answer: Mapping[str, Any], schedule: "Schedule"
    ) -> None:
        """Whoever has decided something waits for the pass that carries it out."""
        if method in ("replica_resolve", "replica_retry", "replica_abandon"):
            schedule.hurry(f"replica:{answer['crm']}")
        elif method == "replica_mode" and arguments.get("mode"):
            for one in answer["replicas"]:
                schedule.hurry(f"replica:{one['name']}")

    def back(self, name: str, schedule: "Schedule") -> None:
        """Its CRM is there again, whoever has found that out: what waits for it need not wait for its turn."""
        with self._turns.looking() as engine:
            if name not in engine.replicas.keepers:
                return
            if engine.replicas.keepers[name].stages.shown() is None:  # else it is a pass that has found it
                schedule.hurry(f"replica:{name}")
            for account in engine.accounts.values():
                if account.crm.name == name:
                    schedule.back(account.name)

    def turn(self, name: str) -> timedelta | None:
        """A pass. How long to leave it alone then; None: until its next turn."""
        with self._turns.at_once(taken(name)) as engine:
            if engine is None or name not in engine.replicas.keepers or engine.replicas.forbidden:
                return None
            keeper = engine.replicas.keepers[name]
            try:
                if keeper.mode() is Mode.OFFLINE:
                    return None
                answer = engine.replicas.sync_one(keeper, self._turns.checkpoint)
            except Stopping:
                return None
            except Exception as error:  # noqa: BLE001 - whatever it is, it stays this replica's
                answer = _failed(error)
            scarce = keeper.usage >= SCARCE
            return self._pause(name, answer, keeper.settings.interval, scarce=scarce)

    def _pause(
        self, name: str, answer: dict[str, Any], interval: timedelta, *, scarce: bool
    ) -> timedelta | None:
        code = answer.get("code")
        if code == "busy":
            return min(interval, BACK)
        away = code in AWAY  # the replica has said so itself
        self._tell(name, {code: answer["message"]} if code and not away else {})
        if away:
            pause = max(min(interval, BACK), timedelta(seconds=answer.get("retry_after") or 0))
            return pause * (1 + 0.2 * self._jitter())
        if code:
            return max(interval, LONGEST_PAUSE)
        return interval * 4 if scarce else None

    def _tell(self, name: str, errors: dict[str, str]) -> None:
        news = self._outages.update(name, errors)
        for code, sentence in news.broke:
            log.error("the replica of crm.%s: %s", name, sentence, extra={"action": f"replica.broke.{code}"})
        for code in news.recovered:
            log.info(
                "the replica of crm.%s works again (%s)", name, code, extra={"action": "replica.recovered"}
            )


def _failed(error: Exception) -> dict[str, Any]:
    failure = explained(error)
    if failure is not None:
        return {"code": failure.code, "message": failure.message}
    log.debug("the pass failed", exc_info=error, extra={"action": "replica.defect"})
    return {
        "code": "defect",
        "message": f"a defect of crmsync ({type(error).__name__}); please report it: "
        'log_level = "debug" in [service] shows where',
    }
