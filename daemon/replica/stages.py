"""Where the pass under way is, and how long its stages take. Safe to use from many threads."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from crmsync.daemon.replica.context import Stage

__all__ = ["Stages"]

_ORDER = list(Stage)


@dataclass(slots=True)
class _Now:
    stage: Stage
    what: str
    begun: float


class Stages:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._now: _Now | None = None
        self._seconds: dict[str, float] = dict.fromkeys(_ORDER, 0.0)

    def enter(self, stage: Stage, what: str) -> None:
        with self._lock:
            if self._now is not None and self._now.stage is stage:
                self._now.what = what
                return
            self._settle()
            self._now = _Now(stage, what, self._clock())

    def leave(self) -> None:
        """The pass is over, however it ended."""
        with self._lock:
            self._settle()
            self._now = None

    def seconds(self) -> dict[str, float]:
        """By stage, of all passes so far."""
        with self._lock:
            return {stage.value: round(self._seconds[stage], 3) for stage in _ORDER}

    def shown(self) -> dict[str, Any] | None:
        """``{"stage", "number", "of", "what"}``; None: no pass is under way."""
        with self._lock:
            now = self._now
            if now is None:
                return None
            number = _ORDER.index(now.stage) + 1
            return {"stage": now.stage.value, "number": number, "of": len(_ORDER), "what": now.what}

    def _settle(self) -> None:
        if self._now is not None:
            self._seconds[self._now.stage] += self._clock() - self._now.begun
