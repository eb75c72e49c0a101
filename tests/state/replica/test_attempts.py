"""Who has to wait after wrong passwords, and who has not."""

import pytest

from crmsync.state.replica import service_tables
from crmsync.state.replica.attempts import FREE, LONGEST_WAIT, Attempts, network_of
from tests.state.replica.conftest import Bench

HOME, AWAY = "192.0.2.1", "198.51.100.1"


@pytest.fixture
def attempts(bench: Bench) -> Attempts:
    return Attempts(bench.store.database, bench.clock)


def test_nobody_waits_for_ever(bench: Bench, attempts: Attempts) -> None:
    for _ in range(3 * FREE["pair"]):
        attempts.failed("alice", HOME)
    assert attempts.wait("alice", HOME)
    bench.clock.advance(seconds=LONGEST_WAIT + 1)
    assert not attempts.wait("alice", HOME)


def test_a_clock_that_is_put_back_keeps_nobody_out(bench: Bench, attempts: Attempts) -> None:
    attempts.succeeded("alice", HOME)
    for back in ({"seconds": -10}, {"minutes": -60}):
        bench.clock.advance(**back)
        assert not attempts.wait("alice", HOME)
    for _ in range(FREE["pair"]):
        attempts.failed("alice", HOME)
    assert attempts.wait("alice", HOME)  # who guesses now waits now


def test_guessing_at_many_names_is_slowed_by_address(attempts: Attempts) -> None:
    for number in range(FREE["address"]):
        assert not attempts.wait("alice", "2001:db8::1")
        attempts.failed(f"user{number}", "2001:db8::1")
    assert attempts.wait("alice", "2001:db8::1")
    assert attempts.wait("alice", "2001:db8::2")  # of the same network
    assert not attempts.wait("alice", "2001:db8:1::1")


def test_a_success_does_not_forgive_the_address(attempts: Attempts) -> None:
    for number in range(FREE["address"] - 1):
        attempts.failed(f"user{number}", HOME)
    attempts.succeeded("bob", HOME)
    attempts.failed("alice", HOME)
    assert attempts.wait("alice", HOME)


def test_strangers_keep_nobody_out_of_where_they_have_been(attempts: Attempts) -> None:
    """Guesses at one name from everywhere: it is slowed for strangers, not at the address that is known for it."""
    attempts.succeeded("alice", HOME)
    for number in range(FREE["name"]):
        attempts.failed("alice", f"198.51.100.{number}")
    assert attempts.wait("alice", "198.51.100.77")
    assert not attempts.wait("alice", HOME)


def test_counts_do_not_stay_and_acquaintance_does(bench: Bench, attempts: Attempts) -> None:
    attempts.failed("nobody", AWAY)
    attempts.succeeded("alice", HOME)
    bench.clock.advance(minutes=60 * 25)
    attempts.failed("bob", AWAY)
    with bench.store.database.read() as connection:
        rows = connection.execute(service_tables.attempts.select()).all()
    assert len(rows) == 4  # three of bob's failure, and that alice was here


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", ""),
        ("", ""),
    ],
)
def test_addresses(address: str, network: str) -> None:
    assert network_of(address) == network
