"""Whose password counts, with and without the upstream."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from crmsync.connectors.errors import AuthExpired, ConnectorError, ProtocolError, Throttled, Unreachable
from crmsync.daemon.replica.guesses import Guesses
from crmsync.daemon.replica.line import Line
from crmsync.daemon.replica.login import Login
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.ids import new_id
from crmsync.state.replica.local.database import LocalDatabase
from crmsync.state.replica.local.identity import Identity
from crmsync.state.replica.sessions import TooManyAttempts

ME = Identity(new_id("00D", 1), new_id("005", 1), "ada@example.com")


class Upstream:
    """What the CRM would say."""

    def __init__(self) -> None:
        self.password: str | None = "first"  # None: it does not answer
        self.error: ConnectorError | None = None
        self.person = ME
        self.asked: list[str] = []

    def __call__(self, username: str, password: str) -> Identity:
        self.asked.append(username)
        if self.error is not None:
            raise self.error
        if self.password is None:
            raise Unreachable("gone")
        if password != self.password:
            raise AuthExpired("no")
        return self.person


@pytest.fixture
def database(tmp_path: Path) -> Iterator[LocalDatabase]:
    made = LocalDatabase(f"sqlite:///{tmp_path / 'replica.db'}", durable=False)
    yield made
    made.close()


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
def login(database: LocalDatabase, upstream: Upstream) -> Login:
    return Login(database, upstream, Line(pause=0.0), lambda: ("ada@example.com", "of the service"))


def test_nobody_gets_in_before_the_upstream_has_let_somebody_in(login: Login, upstream: Upstream):
    upstream.password = None
    assert login.check("ada@example.com", "first") is None
    assert login.check("ada@example.com", "of the service") is None


def test_the_last_password_counts_until_the_upstream_refuses_it(login: Login, upstream: Upstream):
    assert login.check("Ada@example.com", "first") == ME.user
    upstream.password = None
    assert login.check("ada@example.com", "first") == ME.user
    assert login.check("ada@example.com", "second") is None
    upstream.password = "second"
    assert login.check("ada@example.com", "typo") is None
    upstream.password = None
    assert login.check("ada@example.com", "first") == ME.user  # a typo takes nothing away
    upstream.password = "second"
    assert login.check("ada@example.com", "first") is None
    upstream.password = None
    assert login.check("ada@example.com", "first") is None
    upstream.password = "second"
    assert login.check("ada@example.com", "second") == ME.user


def test_an_upstream_that_is_there_and_does_not_say_lets_nobody_in_by_what_was_right_once(
    database: LocalDatabase, upstream: Upstream
):
    """Whoever has an old password could make it count again, by what they send or how often."""
    line = Line(pause=600.0)
    login = Login(database, upstream, line)
    assert login.check("ada@example.com", "first") == ME.user
    for error in (ProtocolError("what?"), Throttled("too many logins")):
        upstream.error = error
        with pytest.raises(Fault, match="does not say whether it is right"):
            login.check("ada@example.com", "first")
        assert line.asking
    upstream.error = None
    upstream.password = "second"
    assert login.check("ada@example.com", "first") is None


@pytest.mark.parametrize("password", ["\0", "a\x1fb", "\ud800", "\uffff", "x" * 1025])
def test_what_no_password_is_makes_nobody_ask_the_upstream(login: Login, upstream: Upstream, password: str):
    """It would answer as if it were broken, and what was right once would count."""
    assert login.check("ada@example.com", "first") == ME.user
    assert login.check("ada@example.com", password) is None
    assert upstream.asked == ["ada@example.com"]


def test_other_names_are_not_tried_there(login: Login, upstream: Upstream):
    assert login.check("ada@example.com", "first") == ME.user
    assert login.check("bob@example.com", "first") is None
    assert upstream.asked == ["ada@example.com"]


def test_another_user_of_the_crm_is_not_let_in(database: LocalDatabase, login: Login, upstream: Upstream):
    database.claim(ME.organisation, ME.user)
    upstream.person = Identity(ME.organisation, new_id("005", 2), "bob@example.com")
    assert login.check("bob@example.com", "first") is None
    upstream.password = None
    assert login.check("bob@example.com", "first") is None


def test_what_fills_the_replica_counts_until_somebody_has_logged_in(
    database: LocalDatabase, login: Login, upstream: Upstream
):
    database.claim(ME.organisation, ME.user)
    upstream.password = None
    assert login.check("ada@example.com", "of the service") == ME.user
    assert login.check("ada@example.com", "something else") is None
    assert login.check("bob@example.com", "of the service") is None
    upstream.password = "first"
    assert login.check("ada@example.com", "first") == ME.user
    upstream.password = None
    assert login.check("ada@example.com", "of the service") is None


def test_an_old_password_is_asked_about_once(login: Login, upstream: Upstream):
    """A program that goes on with it would lock its person out."""
    assert [login.check("ada@example.com", "old") for _ in range(20)] == [None] * 20
    assert upstream.asked == ["ada@example.com"]
    assert login.check("ada@example.com", "first") == ME.user


def test_who_guesses_locks_nobody_out(database: LocalDatabase, upstream: Upstream):
    """After five the upstream hears of one in a quarter of an hour; what has worked goes on working."""
    now = [0.0]
    login = Login(database, upstream, Line(pause=0.0), guesses=Guesses(lambda: now[0]))
    assert login.check("ada@example.com", "first") == ME.user

    def guess(word: str) -> bool:
        """Whether the upstream has heard of it."""
        before = len(upstream.asked)
        with suppress(TooManyAttempts):
            assert login.check("ada@example.com", word) is None
        return len(upstream.asked) > before

    assert [guess(f"no {number}") for number in range(20)] == [True] * 5 + [False] * 15
    now[0] += 15 * 60
    assert [guess(f"nor {number}") for number in range(3)] == [True, False, False]
    with pytest.raises(TooManyAttempts):
        login.check("ada@example.com", "nor 2")
    assert login.check("ada@example.com", "first") == ME.user
    assert guess("but one")
