"""What is told, once when it begins and once when it ends."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crmsync.daemon.alerts.plan import CALM, MOST, PATIENCE, Limits, Memory, look, sent
from tests.daemon.fakes import error, standing

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
BEGUN = NOW - timedelta(days=1)


def account(**more: Any) -> dict[str, Any]:
    return {**standing("alice"), "last_success": NOW.isoformat(), **more}


def step(memory: Memory, *accounts: dict[str, Any], now: datetime = NOW, since: datetime = BEGUN) -> Memory:
    """Through the form in which it is remembered."""
    after = look(
        memory, accounts, Limits(), now, since=since, ways=["mail", "hook"], id=f"n{now.timestamp()}"
    )
    assert Memory.of(after.document()) == after
    return after


def told(memory: Memory) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """In the last letter: began, ended."""
    return (memory.letters[-1].began, memory.letters[-1].ended) if memory.letters else ((), ())


REFUSED = account(errors=[{**error("login_refused"), "message": "the CRM refuses the login"}])
EXPIRES = account(logins=[{"name": "crm.main", "expires": "2026-12-01"}])


@pytest.mark.parametrize(
    ("state", "what", "sentence"),
    [
        (REFUSED, "refused/alice", "alice: a login is refused: the CRM refuses the login"),
        (EXPIRES, "expires/crm.main", "the login of crm.main expires on 2026-12-01"),
        (
            account(logins=[{"name": "crm.main", "expires": "2026-11-22"}]),
            "expires/crm.main",
            "the login of crm.main has expired on 2026-11-22",
        ),
        (
            account(last_success=(NOW - timedelta(hours=1)).isoformat()),
            "silence/alice",
            "alice: no sync has come through since 2026-11-22T09:00:00+00:00",
        ),
        (account(deletions=3), "deletions/alice", "alice: 3 deletions wait for a decision"),
        (account(parked=1), "parked/alice", "alice: 1 items are parked, and become more"),
    ],
)
def test_each_is_told_once_when_it_begins_and_once_when_it_ends(state, what, sentence):
    first = step(Memory(), state)
    assert dict(first.open) == {what: sentence}
    assert told(first) == ((sentence,), ())
    again = step(first, state, now=NOW + timedelta(seconds=30))
    assert len(again.letters) == 1
    over = step(again, account(last_success=NOW.isoformat()), now=NOW + timedelta(seconds=60))
    assert dict(over.open) == {}
    assert told(over) == ((), (sentence,))
    assert len(step(over, account(), now=NOW + timedelta(seconds=90)).letters) == 2


@pytest.mark.parametrize(
    "state",
    [
        account(),
        account(
            errors=[error("unreachable")]
        ),  # it is tried again by itself; silence says when that is too long
        account(logins=[{"name": "crm.main", "expires": "2027-12-01"}, {"name": "x", "expires": None}]),
        account(last_success=(NOW - timedelta(minutes=59)).isoformat()),
    ],
)
def test_nothing_else_is_told(state):
    assert step(Memory(), state) == Memory()


def test_a_service_that_has_just_started_had_no_time_for_a_sync():
    old = account(last_success=(NOW - timedelta(days=3)).isoformat())
    assert step(Memory(), old, since=NOW - timedelta(minutes=1)) == Memory()
    assert "silence/alice" in step(Memory(), old, since=NOW - timedelta(minutes=11)).open


def test_an_account_that_never_synced_counts_from_the_start_of_the_service():
    never = account(last_success=None)
    assert step(Memory(), never, since=NOW - timedelta(minutes=59)) == Memory()
    assert "silence/alice" in step(Memory(), never, since=NOW - timedelta(hours=1)).open


def test_a_login_that_many_share_is_told_of_once():
    both = [EXPIRES, {**EXPIRES, "name": "bob"}]
    assert told(step(Memory(), *both))[0] == ("the login of crm.main expires on 2026-12-01",)


def test_parked_items_that_do_not_become_more_are_no_news():
    memory = step(Memory(), account(parked=3))
    memory = step(memory, account(parked=5), now=NOW + timedelta(minutes=30))
    assert len(memory.letters) == 1
    later = NOW + timedelta(minutes=30) + CALM
    memory = step(memory, account(parked=5, last_success=later.isoformat()), now=later)
    assert told(memory) == ((), ("alice: 3 items are parked, and become more",))
    memory = step(memory, account(parked=5, last_success=later.isoformat()), now=later)
    assert len(memory.letters) == 2
    assert "parked/alice" in step(memory, account(parked=6, last_success=later.isoformat()), now=later).open


def test_what_goes_down_and_up_again_grows_from_where_it_was():
    memory = step(step(Memory(), account(parked=3)), account(parked=0))
    assert memory.levels == {}
    assert "parked/alice" in step(memory, account(parked=1)).open


def test_an_account_that_is_configured_no_more_needs_nobody():
    memory = step(step(Memory(), REFUSED))
    assert told(memory)[1] == ("alice: a login is refused: the CRM refuses the login",)
    assert memory.open == {}


def test_a_letter_is_over_when_it_went_every_way():
    memory = step(Memory(), account(deletions=1))
    (letter,) = memory.letters
    memory = sent(memory, letter.id, "mail")
    assert memory.letters[0].to == ("hook",)
    assert sent(memory, letter.id, "hook").letters == ()


def test_letters_are_bounded_in_number_and_time():
    memory = Memory()
    for n in range(MOST + 20):
        memory = step(memory, account(deletions=(n + 1) % 2), now=NOW + timedelta(seconds=n))
    assert len(memory.letters) == MOST
    late = NOW + PATIENCE + timedelta(hours=1)
    assert step(memory, account(last_success=late.isoformat()), now=late).letters == ()


def test_a_way_that_is_configured_no_more_holds_nothing_up():
    memory = step(Memory(), account(deletions=1))
    after = look(memory, [account(deletions=1)], Limits(), NOW, since=BEGUN, ways=["hook"], id="x")
    assert [letter.to for letter in after.letters] == [("hook",)]


def test_an_exchange_that_fails_is_told_of_once_and_over_with_the_next_that_does_not():
    failed = {"credential": "main", "state": "failed", "message": "the CRM refuses the login"}
    sentence = "the last exchange that main asked for has failed: the CRM refuses the login"
    memory = Memory()
    for exchanges in ([failed], [{**failed, "state": "expired"}], []):
        memory = look(
            memory, [account()], Limits(), NOW, since=BEGUN, ways=["mail"], id="n", exchanges=exchanges
        )
    assert [(letter.began, letter.ended) for letter in memory.letters] == [
        ((sentence,), ()),
        ((), (sentence,)),
    ]


def replica(**more: Any) -> dict[str, Any]:
    standing = {"name": "main", "light": "in_step", "mode": "auto", "interval": 300.0, "waits_for_crm": False}
    return {**standing, "last_success": NOW.isoformat(), "error": None, **more}


def with_replica(
    memory: Memory, one: dict[str, Any], *, now: datetime = NOW, since: datetime = BEGUN
) -> Memory:
    return look(memory, (), Limits(), now, since=since, ways=["mail"], id=now.isoformat(), replicas=[one])


LONG_AGO = (NOW - timedelta(hours=1)).isoformat()
SINCE_THEN = f"the replica of crm.main: no pass has come through since {LONG_AGO}"
AWAY = {"code": "unreachable", "message": "nobody answers", "since": LONG_AGO}
TURNED_AWAY = {"code": "login_refused", "message": "the CRM refuses the login", "since": LONG_AGO}


@pytest.mark.parametrize(
    ("one", "what", "sentence"),
    [
        (replica(last_success=LONG_AGO), "silence/crm.main", SINCE_THEN),
        (replica(last_success=LONG_AGO, error=AWAY), "silence/crm.main", f"{SINCE_THEN}: nobody answers"),
        (
            replica(error=TURNED_AWAY),
            "refused/crm.main",
            "the replica of crm.main: its login is refused: the CRM refuses the login",
        ),
    ],
)
def test_a_replica_that_fails_is_told_once_when_it_begins_and_once_when_it_ends(one, what, sentence):
    first = with_replica(Memory(), one)
    assert (dict(first.open), told(first)) == ({what: sentence}, ((sentence,), ()))
    tried = with_replica(first, {**one, "light": "syncing"})  # a try is no success
    assert tried == first
    over = with_replica(tried, replica())
    assert (dict(over.open), told(over)) == ({}, ((), (sentence,)))


@pytest.mark.parametrize(
    "one",
    [
        replica(),
        replica(error=AWAY),  # it works offline, and tries again by itself
        replica(last_success=LONG_AGO, mode="offline"),
        replica(error=TURNED_AWAY, mode="offline"),
        replica(last_success=LONG_AGO, waits_for_crm=True),
        replica(last_success=LONG_AGO, interval=7200.0),
        replica(last_success=None, light="syncing"),
    ],
)
def test_nothing_else_of_a_replica_is_told(one):
    assert with_replica(Memory(), one) == Memory()


def test_a_replica_that_was_never_filled_counts_from_the_start_of_the_service():
    never = replica(last_success=None, error=AWAY)
    assert with_replica(Memory(), never, since=NOW - timedelta(minutes=59)) == Memory()
    assert "silence/crm.main" in with_replica(Memory(), never, since=NOW - timedelta(hours=1)).open
