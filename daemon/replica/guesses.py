"""Wrong passwords that an upstream has heard: it locks a person out after ten (Salesforce Help, "Password Policies"),
and what guesses here, or goes on with an old password, is not to bring that about.

In memory alone: after a restart a few more are asked about.
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from threading import Lock

__all__ = ["Guesses"]

FREE = 5  # in a row; then one each SPAN, which is as long as the upstream locks out for
SPAN = 15 * 60.0
KEPT = 1_000


class Guesses:
    """Safe for threads."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic, self._lock = monotonic, Lock()
        self._salt = secrets.token_bytes(16)
        self._refused: dict[bytes, float] = {}  # when, the oldest first
        self._row = 0

    def refused(self, password: str) -> bool:
        """Whether the upstream has said no to this one not long ago."""
        with self._lock:
            at = self._refused.get(self._hashed(password))
        return at is not None and self._monotonic() - at < SPAN

    def may_ask(self) -> bool:
        """Whether one that it has not heard yet may be asked about."""
        with self._lock:
            last = next(reversed(self._refused.values()), None)
            return self._row < FREE or last is None or self._monotonic() - last >= SPAN

    def wrong(self, password: str) -> None:
        with self._lock:
            key = self._hashed(password)
            self._refused.pop(key, None)
            self._refused[key] = self._monotonic()
            self._row += 1
            while len(self._refused) > KEPT:
                self._refused.pop(next(iter(self._refused)))

    def right(self) -> None:
        """The upstream counts anew."""
        with self._lock:
            self._row = 0

    def _hashed(self, password: str) -> bytes:
        return hashlib.blake2b(password.encode("utf-8", "surrogatepass"), key=self._salt).digest()
