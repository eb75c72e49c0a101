"""Logging in to a replica's web services: as its one user, online by the upstream's word, offline by the last password
that had it."""

import hmac
import re
from collections.abc import Callable
from threading import Lock

from crmsync.connectors.errors import AuthExpired, ConnectorError, Unreachable
from crmsync.daemon.replica.guesses import Guesses
from crmsync.daemon.replica.line import Line
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local import identity as stored
from crmsync.state.replica.local.database import ForeignLogin, LocalDatabase
from crmsync.state.replica.local.identity import Identity
from crmsync.state.replica.org import LONGEST_PASSWORD, Org
from crmsync.state.replica.sessions import Sessions, TooManyAttempts
from crmsync.state.replica.store import Clock, Store

__all__ = ["Login", "Own", "ReplicaSessions", "Verify"]

_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
Own = Callable[
    [], tuple[str, str] | None
]  # user name and password that the replica itself is filled with, if it is
Verify = Callable[[str, str], Identity]  # user name and password, upstream; raises ConnectorError


class Login:
    """Safe for threads."""

    def __init__(
        self,
        database: LocalDatabase,
        verify: Verify,
        line: Line,
        own: Own = lambda: None,
        guesses: Guesses | None = None,
    ) -> None:
        self._database, self._verify, self._line, self._own = database, verify, line, own
        self._guesses = guesses or Guesses()
        self._lock = Lock()

    def who(self) -> Identity:
        with self._database.read() as work:
            return stored.identity(work)

    def check(self, username: str, password: str) -> str | None:
        """The user's id. The upstream is not asked about anybody else, nor about too many passwords: what is tried here
        in vain counts there, and locks people out. Raises TooManyAttempts, Fault."""
        known = self.who().username.casefold()
        if known not in ("", username.casefold()) or not username.isprintable() or not _is_text(password):
            return None
        if not self._line.asking:
            return self._offline(username, password)
        if self._guesses.refused(password):
            return None
        if not self._guesses.may_ask() and not self._has_worked(password):
            raise TooManyAttempts(username)
        try:
            found = self._verify(username, password)
        except AuthExpired:
            self._guesses.wrong(password)
            self._refused(password)
            return None
        except Unreachable as error:
            self._line.fails(error)
            return self._offline(username, password)
        except ConnectorError as error:
            # It is there, and says neither: whoever tries can bring that about, and is not to be let in by a password
            # that was changed there, nor to have everybody else's work wait as if the upstream were away.
            raise Fault("SERVER_UNAVAILABLE", f"The CRM does not say whether it is right: {error}") from error
        self._line.answers()
        self._guesses.right()
        return self.remember(found, password)

    def remember(self, found: Identity, password: str) -> str | None:
        """A password that has just worked upstream; None where it is another user's."""
        try:
            self._database.claim(found.organisation, found.user)
        except ForeignLogin:
            return None
        with self._database.write() as work:
            stored.remember(work, found, password)
        return found.user

    def _offline(self, username: str, password: str) -> str | None:
        with self._database.read() as work:
            user, first = stored.identity(work).user, stored.untried(work)
            known = stored.knows(work, password)
        return user if known or (first and self._filled_with(username, password)) else None

    def _filled_with(self, username: str, password: str) -> bool:
        """The replica could be filled with it, so it has worked."""
        own = self._own()
        return own is not None and all(
            hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))
            for one, other in ((own[0].casefold(), username.casefold()), (own[1], password))
        )

    def _refused(self, password: str) -> None:
        """What worked once, and does no more, is not to work offline either."""
        if self._has_worked(password):
            with self._database.write() as work:
                stored.forget_password(work)

    def _has_worked(self, password: str) -> bool:
        with self._database.read() as work:
            return stored.knows(work, password)


def _is_text(password: str) -> bool:
    """What can be sent in XML, and no more than a password may have: other ones the upstream answers as if it were
    broken."""
    return len(password) <= LONGEST_PASSWORD and _UNWRITABLE.search(password) is None


class ReplicaSessions(Sessions):
    """The very first login says whose replica it is, and of which organisation: `look` is called after each."""

    def __init__(
        self, store: Store, org: Org, login: Login, look: Callable[[], object], *, clock: Clock
    ) -> None:
        super().__init__(store, org, clock=clock)
        self._login, self._look = login, look

    def belong_to(self, org: Org) -> None:
        self._org = org

    def _checked(self, name: str, password: str) -> str | None:
        user = self._login.check(name, password)
        self._look()
        return user
