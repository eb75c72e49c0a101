"""Logging in, staying in, and guessing passwords."""

import hashlib
from typing import Any

import pytest

from crmsync.state.replica.attempts import FREE
from crmsync.state.replica.faults import Saved
from crmsync.state.replica.org import check_password, hash_password, seed
from crmsync.state.replica.sessions import LoginRefused, Sessions, TooManyAttempts
from tests.state.replica.conftest import ORG, Bench


@pytest.fixture
def sessions(bench: Bench) -> Sessions:
    return Sessions(bench.store, ORG, clock=bench.clock)


def test_a_session_lives_while_it_is_used(bench: Bench, sessions: Sessions) -> None:
    token = sessions.open(sessions.log_in("ALICE@example.com", "alice-password"))
    assert token.startswith(f"{ORG.id[:15]}!")
    for _ in range(3):
        bench.clock.advance(minutes=119)
        session = sessions.use(token)
        assert session is not None
        assert session.caller == bench.alice
    bench.clock.advance(minutes=120)
    assert sessions.use(token) is None
    assert sessions.use("nonsense") is None


def test_a_session_ends_with_its_user(bench: Bench, sessions: Sessions) -> None:
    token = sessions.open(bench.alice.user_id)
    admin = sessions.open(bench.sync.user_id)
    bench.store.update(bench.sync, [("User", bench.alice.user_id, {"IsActive": False})])
    bench.clock.advance(seconds=61)
    assert sessions.use(token) is None
    assert (sessions.whose(token), sessions.whose(admin)) == ("", bench.sync.user_id)
    assert sessions.use(admin) is not None
    bench.store.update(bench.sync, [("User", bench.alice.user_id, {"IsActive": True})])
    assert sessions.use(token) is None


def test_sessions_can_be_ended(bench: Bench, sessions: Sessions) -> None:
    one, two = sessions.open(bench.alice.user_id), sessions.open(bench.bob.user_id)
    sessions.end(one)
    assert sessions.use(one) is None
    assert sessions.use(two) is not None
    sessions.end_all()
    assert sessions.use(two) is None


@pytest.mark.parametrize(
    ("username", "password"),
    [("alice@example.com", "wrong"), ("nobody@example.com", "x"), ("", ""), ("alice@example.com\0", "alice-password"),
     ("alice@example.com", "\ud800"), ("alice@example.com", "x" * 100_000)],
)  # fmt: skip
def test_wrong_passwords(sessions: Sessions, username: str, password: str) -> None:
    with pytest.raises(LoginRefused):
        sessions.log_in(username, password)


def test_guessing_is_slowed_for_that_name_only(bench: Bench, sessions: Sessions) -> None:
    for _ in range(FREE["pair"]):
        with pytest.raises(LoginRefused):
            sessions.log_in("alice@example.com", "guess")
    with pytest.raises(TooManyAttempts):
        sessions.log_in("alice@example.com", "alice-password")
    assert sessions.log_in("bob@example.com", "bob-password") == bench.bob.user_id
    bench.clock.advance(seconds=61)
    assert sessions.log_in("alice@example.com", "alice-password") == bench.alice.user_id
    assert sessions.log_in("alice@example.com", "alice-password") == bench.alice.user_id


def test_a_restart_forgives_nothing(bench: Bench, sessions: Sessions) -> None:
    for _ in range(FREE["pair"]):
        with pytest.raises(LoginRefused):
            sessions.log_in("alice@example.com", "guess", "192.0.2.1")
    again = Sessions(bench.store, ORG, clock=bench.clock)
    with pytest.raises(TooManyAttempts):
        again.log_in("alice@example.com", "alice-password", "192.0.2.1")


def test_a_clients_secret_is_guarded_likewise(sessions: Sessions) -> None:
    for _ in range(FREE["pair"]):
        assert sessions.client_may_try("client", "192.0.2.1")
        sessions.client_failed("client", "192.0.2.1")
    assert not sessions.client_may_try("client", "192.0.2.1")
    assert sessions.client_may_try("client", "192.0.2.2")


def test_inactive_users_stay_out(bench: Bench, sessions: Sessions) -> None:
    assert isinstance(bench.update(bench.bob.user_id, IsActive=False), Saved)
    with pytest.raises(LoginRefused):
        sessions.log_in("bob@example.com", "bob-password")
    with pytest.raises(LoginRefused):
        sessions.open(bench.bob.user_id)


def test_passwords_are_stored_as_salted_hashes(bench: Bench) -> None:
    with bench.store.database.read() as connection:
        stored = [row.password for row in connection.execute(bench.store.database.logins.select())]
    assert len(set(stored)) == 3
    assert all(each.startswith("scrypt$") and "password" not in each for each in stored)
    assert hash_password("same", b"1" * 16) != hash_password("same", b"2" * 16)


@pytest.mark.parametrize("name", ["alice@example.com", "nobody@example.com"])
def test_a_wrong_password_takes_as_long_for_whoever_is_unknown(
    bench: Bench, sessions: Sessions, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    efforts = []
    real = hashlib.scrypt

    def counted(password: bytes, **parameters: Any) -> bytes:
        efforts.append(parameters["n"])
        return real(password, **parameters)

    monkeypatch.setattr(hashlib, "scrypt", counted)
    with pytest.raises(LoginRefused):
        sessions.log_in(name, "wrong")
    assert efforts == [ORG.effort]


def test_seeding_again_changes_nothing_but_what_is_configured(bench: Bench) -> None:
    before = bench.read(bench.alice.user_id)
    contact = bench.create("Contact", LastName="stays")
    again = seed(bench.store, ORG)
    assert again["alice@example.com"] == bench.alice.user_id
    assert {**bench.read(bench.alice.user_id), "LastModifiedById": 0} == {**before, "LastModifiedById": 0}
    assert bench.read(contact)["LastName"] == "stays"
    assert check_password(bench.store, "alice@example.com", "alice-password") == bench.alice.user_id
