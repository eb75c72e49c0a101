"""What can go wrong around the engine, at every point where it can: the process dies, an answer is lost, a write is
refused, a person acts in the middle of it all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from crmsync.connectors.contract import Outcome
from crmsync.connectors.errors import ConnectorError
from crmsync.connectors.memory.faults import Faults
from crmsync.state.database import State, Tx

EMPTY = "nothing"  # detail of a commit that changes no row: whoever dies there has lost nothing


class Killed(BaseException):
    """The process ends here. Not an Exception: nothing that handles errors may stop it."""


@dataclass(frozen=True, slots=True)
class Point:
    """A place where a process can die."""

    where: str  # name of a server, or ``state``
    what: str  # operation, or ``commit``
    detail: str
    after: bool

    @property
    def writes(self) -> bool:
        return self.what in ("create", "update", "delete", "commit") and self.detail != EMPTY


class Fate:
    """Passes every point in their order; dies, or lets someone act, at the one that was agreed on."""

    def __init__(self) -> None:
        self.passed: list[Point] = []
        self.witness: Callable[[Point], None] = lambda point: None
        self.looks: list[Callable[[Point], None]] = []  # further witnesses
        self.aftermath: Callable[[Point], None] = lambda point: None  # when all have acted that were to act
        self.unheard: Callable[[Point], None] = lambda point: None  # it was done, and its answer lost
        self._plans: list[tuple[Callable[[Point], bool], int, Callable[[Point], None]]] = []

    def plan(
        self, act: Callable[[Point], None], *, at: Callable[[Point], bool] = lambda p: True, skip: int = 0
    ) -> None:
        """Do ``act`` once, at the first point that is meant by ``at``, after ``skip`` others."""
        self._plans.append((at, skip, act))

    def kill(self, *, at: Callable[[Point], bool] = lambda p: True, skip: int = 0) -> None:
        self.plan(die, at=at, skip=skip)

    def clear(self) -> None:
        self._plans.clear()

    def passes(self, point: Point) -> None:
        self.passed.append(point)
        self.witness(point)
        for look in self.looks:
            look(point)
        due = []
        for i, (at, skip, act) in enumerate(self._plans):
            if at(point):
                self._plans[i] = (at, skip - 1, act)
                if skip == 0:
                    due.append(act)
        self._plans = [p for p in self._plans if p[1] >= 0]
        for act in due:
            act(point)
        self.aftermath(point)


def die(point: Point) -> None:
    raise Killed(point)


class Wires(Faults):
    """The faults of one server, with every point reported to the fate."""

    def __init__(self, name: str, fate: Fate) -> None:
        super().__init__()
        self._name = name
        self._fate = fate
        self._outcomes: list[tuple[int, Callable[[str], Outcome]]] = []

    def answer_next(self, make: Callable[[str], Outcome], *, skip: int = 0) -> None:
        """Answer one of the next writes, whatever it is about, with this outcome, and write nothing."""
        self._outcomes.append((skip, make))

    def planted(self, item: str, *, applied: bool = False) -> Outcome | None:
        if applied:
            return super().planted(item, applied=True)
        found = next((make for skip, make in self._outcomes if skip == 0), None)
        self._outcomes = [(skip - 1, make) for skip, make in self._outcomes if skip]
        return found(item) if found is not None else super().planted(item)

    @property
    def pending(self) -> bool:
        """Something is still to fail."""
        return any(failure.times > 0 for failure in self._failures)

    def clear(self) -> None:
        super().clear()
        self._outcomes.clear()

    def before(self, operation: str, detail: str) -> None:
        self._fate.passes(Point(self._name, operation, detail, after=False))
        super().before(operation, detail)

    def after(self, operation: str, detail: str) -> None:
        point = Point(self._name, operation, detail, after=True)
        self._fate.passes(point)
        try:
            super().after(operation, detail)
        except ConnectorError:
            self._fate.unheard(point)
            raise


class MortalState(State):
    """A state whose process can die just before a commit and just after it."""

    fate: Fate = Fate()

    @classmethod
    def of(cls, fate: Fate, url: str, now: Callable[[], Any]) -> "MortalState":
        state = cls.open(url, now=now)
        assert isinstance(state, MortalState)
        state.fate = fate
        return state

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        with super().transaction() as tx:
            before = _changes(tx)
            yield tx
            detail = EMPTY if _changes(tx) == before else ""
            self.fate.passes(Point("state", "commit", detail, after=False))
        self.fate.passes(Point("state", "commit", detail, after=True))


def _changes(tx: Tx) -> int:
    """How many rows this connection has changed so far."""
    changed: int = tx.connection.connection.driver_connection.total_changes  # type: ignore[union-attr]
    return changed
