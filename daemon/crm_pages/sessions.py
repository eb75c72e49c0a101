"""Who is there: a cookie of random characters, and the CRM's own session behind it.

The cookie is not the CRM's session id: a cookie goes to every port of this host, and that id would open the API. Only
its hash is kept, in memory; the session ends when the CRM's does.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Session", "Sessions", "fits"]

MOST = 10_000


@dataclass(frozen=True, slots=True)
class Session:
    key: str
    crm: str  # the CRM's session id
    token: str  # of its forms, against requests that another site makes a browser send


class Sessions:
    """Safe to use from several threads."""

    def __init__(self, random: Callable[[int], str] = secrets.token_urlsafe) -> None:
        self._random = random
        self._lock = threading.Lock()
        self._known: dict[str, Session] = {}

    def begin(self, crm: str) -> str:
        """The cookie's value."""
        cookie = self._random(32)
        session = Session(_hashed(cookie), crm, self._random(32))
        with self._lock:
            while len(self._known) >= MOST:
                del self._known[next(iter(self._known))]  # the oldest
            self._known[session.key] = session
        return cookie

    def find(self, cookie: str) -> Session | None:
        with self._lock:
            return self._known.get(_hashed(cookie))

    def end(self, session: Session) -> None:
        with self._lock:
            self._known.pop(session.key, None)


def fits(session: Session, token: str) -> bool:
    """Whether a form was made for this session."""
    return hmac.compare_digest(session.token.encode(), token.encode("utf-8", "replace"))


def _hashed(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()
