"""What a job may exchange, and the exchange: account by account, each when it is free."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crmsync.config.exchange import Credential
from crmsync.connectors.contract import Kind, Side
from crmsync.daemon.adaptor.refusals import Refusal, Rule
from crmsync.daemon.calls import Failure, Progress, explained
from crmsync.daemon.operations.parts import with_parts
from crmsync.daemon.plan.grant import Grant
from crmsync.daemon.replica.rounds import taken
from crmsync.daemon.turns import Turns
from crmsync.state.model import Job

TARGETS: Mapping[str, Side] = {"reverse": Side.CRM, "forward": Side.ECS}
COUNTS = ("created", "updated", "deleted", "unlinked", "parked", "held", "conflicts", "requests")

Observed = Callable[[str, Mapping[str, Any], float], None]  # account, answer of its sync, seconds


def grant_of(job: Job, credential: Credential) -> Grant:
    """By what the credential may today: it may have been given less since the message came. Raises Refusal."""
    if job.direction not in credential.directions:
        raise Refusal(Rule.DIRECTION, f"{job.credential} may not ask for a {job.direction} exchange any more")
    kinds = frozenset(Kind(k) for k in job.kinds) & frozenset(Kind(k) for k in credential.kinds)
    if not kinds:
        raise Refusal(Rule.KIND, f"{job.credential} may not ask for {', '.join(job.kinds)} any more")
    columns = {Kind(k): some for k in credential.kinds if (some := credential.columns.of(k)) is not None}
    return Grant(frozenset({TARGETS[job.direction]}), kinds, columns, job.since)


@dataclass(frozen=True, slots=True)
class DataController:
    turns: Turns
    observed: Observed

    def exchange(self, job: Job, credential: Credential, progress: Progress) -> dict[str, Any]:
        """The job's result: ``{"counts": {…}, "accounts": {name: {"counts", "errors"}}}``. Raises Refusal, and
        ``Failure`` with the code ``stopping`` when the service stops."""
        grant = grant_of(job, credential)
        done: dict[str, Any] = {}
        for name in job.accounts:
            done[name] = (
                self._account(name, grant, progress)
                if credential.covers(name)
                else _error(Rule.ACCOUNT.word, f"{job.credential} may not ask for account {name} any more")
            )
        copies = self._replicas(job) if set(credential.directions) == TARGETS.keys() else {}
        totals = {n: sum(one["counts"][n] for one in done.values()) for n in COUNTS}
        return {"counts": totals, "accounts": done, **({"replicas": copies} if copies else {})}

    def _replicas(self, job: Job) -> dict[str, Any]:
        """A pass goes both ways, so it takes a credential that may. Only where it is not the service's own to begin."""
        with self.turns.looking() as engine:
            if not engine.replicas.forbidden:
                return {}
            crms = {engine.accounts[name].crm.name for name in job.accounts if name in engine.accounts}
            names = [n for n, keeper in engine.replicas.keepers.items() if n in crms and not keeper.resting()]
        return {name: self._replica(name) for name in names}

    def _replica(self, name: str) -> dict[str, Any]:
        try:
            with self.turns.patiently([taken(name)]) as engine:
                replicas = engine.replicas
                return replicas.sync_one(replicas.keepers[name], self.turns.checkpoint)
        except Exception as error:  # whatever it is, it stays this replica's
            failure = explained(error) or Failure("defect", f"a defect of crmsync ({type(error).__name__})")
            if failure.code == "stopping":
                raise failure from error
            return {"code": failure.code, "message": failure.message}

    def _account(self, name: str, grant: Grant, progress: Progress) -> dict[str, Any]:
        def watched(account: str, what: str, count: int) -> None:
            progress(account, what, count)
            self.turns.checkpoint(account, what, count)

        try:
            with self.turns.looking() as engine:
                names = with_parts(engine.accounts, [name])  # the person's calls, too
            with self.turns.patiently(names) as engine:
                begun = time.monotonic()
                answer = engine.sync(names, grant=grant, progress=watched)
        except Exception as error:  # whatever it is, it stays this account's
            failure = explained(error) or Failure("defect", f"a defect of crmsync ({type(error).__name__})")
            if failure.code == "stopping":
                raise failure from error
            return _error(failure.code, failure.message)
        self.observed(name, answer, time.monotonic() - begun)
        return _result(answer)


def _result(answer: Mapping[str, Any]) -> dict[str, Any]:
    counts = {n: sum(int(cycle.get(n) or 0) for cycle in answer["cycles"]) for n in COUNTS}
    errors = [{n: error[n] for n in ("item", "code", "message", "retry")} for error in answer["errors"]]
    return {"counts": counts, "errors": errors[:100]}


def _error(code: str, message: str) -> dict[str, Any]:
    errors = [{"item": "", "code": code, "message": message, "retry": False}]
    return {"counts": dict.fromkeys(COUNTS, 0), "errors": errors}


def succeeded(result: Mapping[str, Any]) -> bool:
    """What failed with one item is told, and tried again by itself; the exchange took place nonetheless."""
    copies = result.get("replicas", {}).values()
    items = all(error["item"] for one in result["accounts"].values() for error in one["errors"])
    return items and not any("code" in copy for copy in copies)
