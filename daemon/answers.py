"""What a running service answers: each call goes where its ``Reach`` says, and waits for the accounts it concerns."""

import time
from dataclasses import dataclass
from typing import Any

from crmsync.daemon.calls import Progress, Reach, checked, invoke
from crmsync.daemon.operations.parts import with_parts
from crmsync.daemon.reception import Reception
from crmsync.daemon.replica.rounds import ReplicaRounds, taken
from crmsync.daemon.scheduler import Schedule
from crmsync.daemon.telephony.phones import Phones
from crmsync.daemon.turns import Turns


@dataclass(frozen=True, slots=True)
class Answers:
    turns: Turns
    schedule: Schedule
    replicas: ReplicaRounds
    phones: Phones
    reception: Reception

    def handle(self, name: str, arguments: object, progress: Progress) -> Any:
        """Raises what ``calls.explained`` explains, and Stopping."""

        def watched(account: str, what: str, count: int) -> None:
            progress(account, what, count)
            self.turns.checkpoint(account, what, count)

        method, fitting = checked(name, arguments)
        match method.reach:
            case Reach.EACH:
                return self._each(name, fitting, watched)
            case Reach.ALL:
                with self.turns.patiently(self._names(fitting.get("names", ()))) as engine:
                    try:
                        return invoke(engine, name, fitting, watched)
                    finally:
                        if name == "forget":
                            self.phones.look_again()
            case Reach.REPLICA:
                with self.turns.patiently(self._taken(fitting.get("crms", ()))) as engine:
                    return invoke(engine, name, fitting, watched)
            case Reach.SERVICE:
                return getattr(self.reception, name)(**fitting)
            case Reach.LOOK:
                with self.turns.looking() as engine:
                    answer = invoke(engine, name, fitting, watched)
                if method.part == "replicas":
                    self.replicas.decided(name, fitting, answer, self.schedule)
                return answer

    def _each(self, name: str, arguments: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Account by account, each when it is free: the scheduler's cycle of another one does not hold us up."""
        total: dict[str, Any] = {}
        for account in self._names(arguments.get("names", ())):
            with self.turns.patiently([account]) as engine:
                begun = time.monotonic()
                answer = invoke(engine, name, {**arguments, "names": [account]}, progress)
            if not arguments.get("dry_run"):
                self.reception.tally.note(account, answer, time.monotonic() - begun)
            for key, value in answer.items():
                total[key] = total[key] + value if key in total else value
        return total

    def _names(self, names: Any) -> list[str]:
        with self.turns.looking() as engine:
            return [account.name for account in engine.chosen(with_parts(engine.accounts, names))]

    def _taken(self, crms: Any) -> list[str]:
        with self.turns.looking() as engine:
            return [taken(keeper.name) for keeper in engine.replicas.chosen(crms)]
