"""The numbers for the charts: added up by the hour, and bounded."""

from datetime import timedelta

from sqlalchemy import func, select

from crmsync.state.database import State
from crmsync.state.pulse import KEPT, Beat, hour_of
from crmsync.state.tables import pulse
from tests.state.samples import NOW


def test_an_hour_adds_up(state: State) -> None:
    hour = hour_of(NOW)
    with state.transaction() as tx:
        tx.pulse.add("alice", hour, Beat(to_crm=2, took=4000, slowest=3000, waiting=9))
        tx.pulse.add(
            "alice",
            hour + timedelta(minutes=59),
            Beat(to_ecs=1, took=1000, slowest=1000, errors=1, waiting=3),
        )
        tx.pulse.add("alice", hour + timedelta(minutes=60), Beat(errors=1))
    with state.reading() as tx:
        first, second = tx.pulse.since(hour)
    assert (first.begins, second.begins) == (hour, hour + timedelta(hours=1))
    assert first.beat == Beat(to_ecs=1, to_crm=2, errors=1, waiting=9, took=5000, slowest=3000)
    assert second.beat == Beat(errors=1)


def test_accounts_are_told_apart_and_taken_together(state: State) -> None:
    with state.transaction() as tx:
        tx.pulse.add("alice", NOW, Beat(to_crm=2, waiting=2))
        tx.pulse.add("bob", NOW, Beat(to_crm=3, waiting=5))
    with state.reading() as tx:
        (both,) = tx.pulse.since(NOW - timedelta(days=1))
        (bob,) = tx.pulse.since(NOW - timedelta(days=1), ["bob"])
        assert tx.pulse.since(NOW - timedelta(days=1), []) == []
    assert both.beat == Beat(to_crm=5, waiting=5)
    assert bob.beat == Beat(to_crm=3, waiting=5)


def test_it_does_not_grow_for_ever(state: State) -> None:
    for day in range(0, 80, 20):
        with state.transaction() as tx:
            tx.pulse.add("alice", NOW + timedelta(days=day), Beat(to_crm=1))
            tx.pulse.add(
                "bob", NOW, Beat(to_crm=1)
            )  # whose account is configured no more after the first day
    with state.transaction() as tx:
        assert tx.connection.scalar(select(func.count()).where(pulse.c.account == "alice")) == 2
        tx.pulse.prune(NOW + timedelta(days=80) - KEPT)
        assert tx.connection.scalar(select(func.count()).where(pulse.c.account == "bob")) == 0


def test_where_nothing_happened_nothing_is_written(state: State) -> None:
    with state.transaction() as tx:
        tx.pulse.add("alice", NOW, Beat())
        assert tx.pulse.since(NOW - timedelta(days=1)) == []
