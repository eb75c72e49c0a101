"""One-time login links. They live in memory only, and there only their hashes: a restart forgets them."""

import hashlib
import secrets
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from crmsync.daemon.web.access import Viewer

LIFE = timedelta(minutes=10)
MOST = 1000  # unused ones; the oldest goes first


class Links:
    """Safe to use from several threads."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._open: dict[bytes, tuple[Viewer, datetime]] = {}  # by hash, oldest first

    def make(self, viewer: Viewer) -> tuple[str, datetime]:
        """The token, and until when it opens."""
        token, until = secrets.token_urlsafe(32), self._now() + LIFE
        with self._lock:
            self._open[_hash(token)] = viewer, until
            while len(self._open) > MOST:
                del self._open[next(iter(self._open))]
        return token, until

    def look(self, token: str) -> Viewer | None:
        """Whom it would let in; it stays unused."""
        with self._lock:
            return self._valid(self._open.get(_hash(token)))

    def use(self, token: str) -> Viewer | None:
        """Whom it lets in, this once."""
        with self._lock:
            return self._valid(self._open.pop(_hash(token), None))

    def _valid(self, found: tuple[Viewer, datetime] | None) -> Viewer | None:
        return found[0] if found is not None and self._now() < found[1] else None


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
