"""What was refused, in the log; so many lines a minute, that nobody fills the disk with them."""

import logging
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

LINES = 30  # a minute


class Throttle:
    """So many a minute, as a bucket that fills again. Safe to use from several threads."""

    def __init__(self, a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = a_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._left = float(a_minute)
        self._at = clock()

    def take(self) -> bool:
        """Whether there is one left."""
        with self._lock:
            now = self._clock()
            self._left = min(self._most, self._left + (now - self._at) * self._most / 60)
            self._at = now
            if self._left < 1:
                return False
            self._left -= 1
            return True


def _nowhere(what: str, detail: str, who: str) -> None:
    """Nobody keeps it."""


class Refusals:
    def __init__(
        self,
        throttle: Throttle | None = None,
        note: Callable[[str, str, str], None] = _nowhere,
        where: str = "the status page",
    ) -> None:
        """``note``: into the audit log; what, in detail, who."""
        self._where = where
        self._throttle = throttle or Throttle(LINES)
        self._note = note
        self._unsaid = 0

    def say(self, method: str, path: str, reason: str, who: str = "") -> None:
        """``path``: without the query, which may hold a login link."""
        if not self._throttle.take():
            self._unsaid += 1
            return
        unsaid, self._unsaid = self._unsaid, 0
        more = f" (and {unsaid} that are not in the log)" if unsaid else ""
        log.warning(
            "refused on %s: %s %s%s: %s%s",
            self._where,
            method[:10],
            path[:100],
            f" by {who}" if who else "",
            reason,
            more,
            extra={"action": "web.refused"},
        )
        self._note("refused", f"{method[:10]} {path[:100]}: {reason}{more}", who)
