"""Sessions and log-ins of the embedded CRM.

A session id looks like Salesforce's, `<organisation>!<random>`; only its hash is kept, in memory: a restart logs
everybody out, which clients answer by logging in again. A session ends after two hours without use, and within a
minute when its user may not log in any more.
"""

import datetime
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from crmsync.state.replica.access import Caller
from crmsync.state.replica.attempts import Attempts
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.org import Org, check_password
from crmsync.state.replica.store import Clock, Store

__all__ = ["LoginRefused", "Session", "Sessions", "TooManyAttempts"]

IDLE = datetime.timedelta(hours=2)
LOOKED_AT = datetime.timedelta(minutes=1)  # so long it is believed that a user is active, and what they may
MOST_SESSIONS = 10_000


class LoginRefused(Exception):
    """Wrong user name or password, or a user who may not log in; never says which."""


class TooManyAttempts(LoginRefused):
    """Too many wrong passwords for this name; the password was not even looked at."""


@dataclass(frozen=True, slots=True)
class Session:
    """Who is logged in. `expires` moves with every use."""

    caller: Caller
    expires: datetime.datetime
    looked_at: datetime.datetime  # when the caller was


class Sessions:
    """Safe for threads. `random` gives that many bytes, base64url-encoded."""

    def __init__(
        self, store: Store, org: Org, *, clock: Clock, random: Callable[[int], str] = secrets.token_urlsafe
    ) -> None:
        self._store, self._org, self._clock, self._random = store, org, clock, random
        self._sessions: dict[bytes, Session] = {}
        self._attempts = Attempts(store.database, clock)
        self._lock = Lock()

    def log_in(self, username: str, password: str, address: str = "") -> str:
        """The user id; raises LoginRefused. `address` is the client's: wrong passwords make who sent them wait."""
        name = username.casefold()[:255]
        if self._attempts.wait(name, address):
            raise TooManyAttempts(username)
        user_id = self._checked(name, password)
        if user_id is None:
            self._attempts.failed(name, address)
            raise LoginRefused(username)
        self._attempts.succeeded(name, address)
        return user_id

    def client_may_try(self, client_id: str, address: str) -> bool:
        """Whether a client's secret is looked at now; those are guessed at like passwords."""
        return not self._attempts.wait(f"client {client_id[:255]}", address)

    def client_failed(self, client_id: str, address: str) -> None:
        self._attempts.failed(f"client {client_id[:255]}", address)

    def _checked(self, name: str, password: str) -> str | None:
        """The id of the user whose password this is."""
        return check_password(self._store, name, password, self._org.effort)

    def open(self, user_id: str) -> str:
        """A new session id for a user; raises LoginRefused when the user is gone or inactive."""
        try:
            caller = self._store.caller(user_id)
        except Fault as fault:
            raise LoginRefused(user_id) from fault
        token = f"{self._org.id[:15]}!{self._random(48)}"
        now = self._clock()
        with self._lock:
            if len(self._sessions) >= MOST_SESSIONS:
                self._forget_oldest(now)
            self._sessions[_hashed(token)] = Session(caller, now + IDLE, now)
        return token

    def whose(self, token: str) -> str:
        """The user's id of a session that stands; else empty. Asks no database, and renews nothing."""
        with self._lock:
            session = self._sessions.get(_hashed(token))
        return session.caller.user_id if session is not None and self._clock() < session.expires else ""

    def use(self, token: str) -> Session | None:
        """The session of this id, its time renewed; None when it is unknown or has expired, or its user may not log in
        any more."""
        key, now = _hashed(token), self._clock()
        with self._lock:
            session = self._sessions.get(key)
        if session is None:
            return None
        renewed = self._renewed(session, now)
        with self._lock:
            if key not in self._sessions:  # it was ended meanwhile
                return None
            if renewed is None:
                del self._sessions[key]
            else:
                self._sessions[key] = renewed
        return renewed

    def _renewed(self, session: Session, now: datetime.datetime) -> Session | None:
        if session.expires <= now:
            return None
        if datetime.timedelta(0) <= now - session.looked_at < LOOKED_AT:
            return Session(session.caller, now + IDLE, session.looked_at)
        try:
            return Session(self._store.caller(session.caller.user_id), now + IDLE, now)
        except Fault:
            return None

    def end(self, token: str) -> None:
        with self._lock:
            self._sessions.pop(_hashed(token), None)

    def end_all(self) -> None:
        """Logs everybody out, as an administrator or an outage would."""
        with self._lock:
            self._sessions.clear()

    def _forget_oldest(self, now: datetime.datetime) -> None:
        alive = sorted(((s.expires, k) for k, s in self._sessions.items() if s.expires > now), reverse=True)
        kept = {k for _, k in alive[: MOST_SESSIONS // 2]}
        self._sessions = {k: s for k, s in self._sessions.items() if k in kept}


def _hashed(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
