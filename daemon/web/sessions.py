"""Sessions in signed cookies. The key lives as long as the service: a restart ends them all."""

import base64
import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from crmsync.daemon.web.access import Viewer

LIFE = timedelta(hours=12)
_ADMIN = "*"
_COOKIE = re.compile(
    r"1\.(\*|[a-z0-9_-]{1,64})\.(\d{1,12})\.([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})", re.ASCII
)


class Bad(StrEnum):
    """Why a cookie opens nothing; a word for the log."""

    FORGED = "a session that was not signed here"
    EXPIRED = "an expired session"
    ENDED = "a session that was logged out"


@dataclass(frozen=True, slots=True)
class Session:
    id: str
    viewer: Viewer
    until: datetime
    token: str  # of its forms, against requests that another site makes a browser send


class Sessions:
    """Safe to use from several threads."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._ended: dict[str, datetime] = {}  # id -> until when its cookie would be good

    def begin(self, viewer: Viewer) -> str:
        """The cookie's value."""
        until = int((self._now() + LIFE).timestamp())
        who = _ADMIN if viewer.account is None else viewer.account
        signed = f"1.{who}.{until}.{secrets.token_urlsafe(16)}"
        return f"{signed}.{self._mac('session', signed)}"

    def read(self, cookie: str) -> Session | Bad:
        match = _COOKIE.fullmatch(cookie)
        if match is None or not hmac.compare_digest(
            self._mac("session", cookie.rpartition(".")[0]), match[4]
        ):
            return Bad.FORGED
        session = Session(
            match[3],
            Viewer(None if match[1] == _ADMIN else match[1]),
            datetime.fromtimestamp(int(match[2]), UTC),
            self._mac("form", match[3]),
        )
        return self.why_over(session) or session

    def why_over(self, session: Session) -> Bad | None:
        if self._now() >= session.until:
            return Bad.EXPIRED
        with self._lock:
            return Bad.ENDED if session.id in self._ended else None

    def end(self, session: Session) -> None:
        now = self._now()
        with self._lock:
            self._ended = {id: until for id, until in self._ended.items() if now < until}
            self._ended[session.id] = session.until

    def _mac(self, what: str, text: str) -> str:
        digest = hmac.digest(self._key, f"{what}:{text}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def fits(session: Session, token: str) -> bool:
    """Whether a form was made for this session."""
    return hmac.compare_digest(session.token.encode(), token.encode("utf-8", "replace"))
