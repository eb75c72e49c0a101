"""`updated` and `deleted` over windows of time."""

import datetime

import pytest

from crmsync.state.replica.changes import Changes
from crmsync.state.replica.faults import Fault
from tests.state.replica.conftest import START, Bench

NOON = START.replace(tzinfo=None)


def minutes(count: float) -> datetime.datetime:
    return NOON + datetime.timedelta(minutes=count)


def test_windows_that_follow_each_other_see_every_change(bench: Bench) -> None:
    changes, expected, seen = Changes(bench.store), [], []
    start = minutes(-1)
    for number in range(12):
        expected.append(bench.create("Contact", LastName=str(number)))
        bench.clock.advance(seconds=25)
        if number % 3 == 2:
            ids, start = changes.updated(bench.sync, "contact", start, minutes(number))
            seen += ids
    bench.clock.advance(minutes=5)
    seen += changes.updated(bench.sync, "Contact", start, minutes(30))[0]
    assert list(dict.fromkeys(seen)) == expected


def test_the_covered_end_is_never_in_the_future(bench: Bench) -> None:
    changes = Changes(bench.store)
    assert changes.updated(bench.sync, "Contact", minutes(-5), minutes(60))[1] == NOON
    assert changes.updated(bench.sync, "Contact", minutes(-5), minutes(-1.5))[1] == minutes(-2)


def test_deletes_are_reported_and_no_longer_updated(bench: Bench) -> None:
    changes = Changes(bench.store)
    contact = bench.create("Contact", LastName="x")
    bench.clock.advance(minutes=2)
    bench.delete(contact)
    bench.clock.advance(minutes=2)
    found = changes.deleted(bench.sync, "Contact", minutes(0), minutes(9))
    assert found.records == ((contact, minutes(2)),)
    assert found.latest_covered == minutes(4)
    assert found.earliest_available == minutes(4) - datetime.timedelta(days=15)
    assert changes.updated(bench.sync, "Contact", minutes(0), minutes(9))[0] == []
    assert changes.deleted(bench.sync, "User", minutes(0), minutes(9)).records == ()


def test_what_the_caller_may_not_see_is_not_reported(bench: Bench) -> None:
    task = bench.create("Task", bench.alice, Subject="hers")
    bench.clock.advance(minutes=1)
    changes = Changes(bench.store)
    assert changes.updated(bench.alice, "Task", minutes(-1), minutes(5))[0] == [task]
    assert changes.updated(bench.bob, "Task", minutes(-1), minutes(5))[0] == []


@pytest.mark.parametrize(
    ("start", "end"),
    [(0, 0.9), (0, -5), (5, 10), (-31 * 24 * 60, 0)],
    ids=["same minute", "backwards", "in the future", "too long ago"],
)
def test_windows_that_cannot_be(bench: Bench, start: float, end: float) -> None:
    with pytest.raises(Fault, match="INVALID_REPLICATION_DATE"):
        Changes(bench.store).updated(bench.sync, "Contact", minutes(start), minutes(end))
