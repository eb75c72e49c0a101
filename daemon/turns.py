"""Whose turn it is: the engine in force, and which account is in whose hands.

The scheduler takes an account at once or not at all; a person's command waits for it. When the configuration is
reloaded the engine is changed for another one, once nobody syncs with the old one.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from crmsync.daemon.calls import Failure
from crmsync.daemon.engine import Engine

PATIENCE = 120.0  # seconds that a command waits for an account


class Stopping(BaseException):
    """The service stops or reloads: the cycle ends here, between two steps. What it confirmed stands, the rest is
    found again. No Exception, so that nobody on the way takes it for the fault of an item."""


class Turns:
    """Safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self._changed = threading.Condition()
        self._engine = engine
        self._users: Counter[int] = Counter()  # by id of the engine
        self._retired: dict[int, Engine] = {}
        self._taken: set[str] = set()
        self._closed = False  # nobody new gets an account
        self._interrupting = False

    # ── Using the engine ─────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def looking(self) -> Iterator[Engine]:
        """The engine, without an account."""
        with self._changed:
            engine = self._engine
            self._users[id(engine)] += 1
        try:
            yield engine
        finally:
            self._left(engine)

    @contextmanager
    def at_once(self, name: str) -> Iterator[Engine | None]:
        """The engine with the account for us alone; None if it is not free now."""
        with self._changed:
            free = not self._closed and name not in self._taken
            if free:
                self._taken.add(name)
        if not free:
            yield None
            return
        try:
            with self.looking() as engine:
                yield engine
        finally:
            self._give_back([name])

    @contextmanager
    def patiently(self, names: Iterable[str], patience: float = PATIENCE) -> Iterator[Engine]:
        """The engine with all of these accounts for us alone, taken in one order by everybody. Raises Failure when
        one of them does not come free in ``patience`` seconds, and when the service stops."""
        have: list[str] = []
        try:
            for name in sorted(set(names)):
                self._wait_for(name, patience)
                have.append(name)
            with self.looking() as engine:
                yield engine
        finally:
            self._give_back(have)

    def checkpoint(self, account: str, what: str, count: int) -> None:
        """The engine's ``progress``: the place where a cycle may be ended. Raises Stopping."""
        if self._interrupting:
            raise Stopping

    # ── Stopping and changing ────────────────────────────────────────────────────────────────────────────────

    def close(self) -> None:
        """Nobody new gets an account."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def interrupt(self) -> None:
        """Cycles end at their next checkpoint."""
        self._interrupting = True

    def idle(self, seconds: float) -> bool:
        """Waits so long at most until no account is in anybody's hands; whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._taken, seconds)

    def swap(self, engine: Engine) -> None:
        """From now on this engine; call it when ``idle``. The old one is closed when its last reader is done."""
        with self._changed:
            old, self._engine = self._engine, engine
            self._retired[id(old)] = old
        self._close_retired()

    def reopen(self) -> None:
        with self._changed:
            self._closed = self._interrupting = False
            self._changed.notify_all()

    # ── Parts ────────────────────────────────────────────────────────────────────────────────────────────────

    def _wait_for(self, name: str, patience: float) -> None:
        deadline = time.monotonic() + patience
        with self._changed:
            while self._closed or name in self._taken:
                if self._interrupting and self._closed:
                    raise Failure(
                        "stopping", "the service is stopping or reloading; try again when it is ready"
                    )
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Failure(
                        "busy", f"account {name} is being synced and did not come free; try again later"
                    )
                self._changed.wait(min(left, 1.0))
            self._taken.add(name)

    def _give_back(self, names: Iterable[str]) -> None:
        with self._changed:
            self._taken.difference_update(names)
            self._changed.notify_all()

    def _left(self, engine: Engine) -> None:
        with self._changed:
            self._users[id(engine)] -= 1
        self._close_retired()

    def _close_retired(self) -> None:
        with self._changed:
            unused = [e for key, e in self._retired.items() if not self._users[key]]
            for engine in unused:
                del self._retired[id(engine)], self._users[id(engine)]
        for engine in unused:
            engine.close()
