"""The row "many deletes or unlinks": how many are held for an admin."""

import pytest

from crmsync.connectors.contract import Kind
from crmsync.daemon.plan.guard import WINDOW, Limit, storm


@pytest.mark.parametrize(
    ("kind", "count"), [(Kind.CONTACT, 250), (Kind.APPOINTMENT, 50), (Kind.TASK, 50), (Kind.PHONE_CALL, 100)]
)
def test_many_deletes_past_a_count(kind: Kind, count: int) -> None:
    assert not storm(kind, planned=count, recent=0, linked=100_000)
    assert storm(kind, planned=count + 1, recent=0, linked=100_000)


@pytest.mark.parametrize(
    ("kind", "percent", "linked"),
    [(Kind.CONTACT, 25, 400), (Kind.APPOINTMENT, 10, 400), (Kind.TASK, 75, 66), (Kind.EMAIL, 25, 396)],
)
def test_many_deletes_past_a_percentage(kind: Kind, percent: int, linked: int) -> None:
    """Of so many items that one delete is less than a percent or two, and yet fewer than the count."""
    allowed = linked * percent // 100
    assert not storm(kind, planned=allowed, recent=0, linked=linked)
    assert storm(kind, planned=allowed + 1, recent=0, linked=linked)


def test_a_percentage_counts_from_ten_items_up() -> None:
    assert not storm(Kind.CONTACT, planned=9, recent=0, linked=9)
    assert storm(Kind.CONTACT, planned=10, recent=0, linked=10)


def test_many_deletes_count_over_the_window_and_not_over_a_cycle() -> None:
    assert WINDOW.total_seconds() == 24 * 3600
    assert not storm(Kind.APPOINTMENT, planned=1, recent=0, linked=20)
    assert storm(Kind.APPOINTMENT, planned=1, recent=2, linked=18), "3 of the 20 at the window's beginning"
    assert storm(Kind.CONTACT, planned=1, recent=250, linked=100_000)


def test_a_storm_in_small_steps_is_a_storm() -> None:
    """One at a time, and yet no more than a quarter goes."""
    linked, gone = 40, 0
    while not storm(Kind.CONTACT, planned=1, recent=gone, linked=linked):
        linked, gone = linked - 1, gone + 1
    assert gone == 10


# linked now, of them waiting for a decision, removed in the window; planned: how many more may go
BEYOND = [
    (Kind.CONTACT, 40, 0, 0, 10),
    (Kind.CONTACT, 40, 9, 0, 1),
    (Kind.CONTACT, 40, 10, 0, 0),  # what is held is still linked: 11 of 40, not of 50
    (Kind.CONTACT, 30, 0, 10, 0),  # 10 of the 40 that there were are gone
    (Kind.CONTACT, 32, 1, 8, 1),
    (Kind.CONTACT, 32, 2, 8, 0),
    (Kind.CONTACT, 2_000, 250, 0, 0),
    (Kind.CONTACT, 2_000, 149, 100, 1),
    (Kind.APPOINTMENT, 40, 3, 0, 1),
    (Kind.APPOINTMENT, 40, 4, 0, 0),
    (Kind.APPOINTMENT, 1_000, 25, 25, 0),
    (Kind.TASK, 40, 29, 0, 1),
    (Kind.TASK, 40, 30, 0, 0),
    (Kind.TASK, 1_000, 50, 0, 0),
    (Kind.PHONE_CALL, 40, 10, 0, 0),
    (Kind.PHONE_CALL, 1_000, 99, 0, 1),
    (Kind.CONTACT, 9, 8, 0, 1),  # below ten items a percentage says nothing, however many wait
    (Kind.CONTACT, 8, 0, 1, 8),
    (Kind.CONTACT, 9, 0, 1, 1),  # of ten it does
]


@pytest.mark.parametrize(("kind", "linked", "waiting", "recent", "allowed"), BEYOND)
def test_what_waits_counts_as_a_removal_and_is_still_linked(
    kind: Kind, linked: int, waiting: int, recent: int, allowed: int
) -> None:
    def stops(planned: int) -> bool:
        return storm(kind, planned=planned, recent=recent, waiting=waiting, linked=linked)

    assert not stops(allowed)
    assert allowed + waiting >= linked or stops(allowed + 1)


def test_nothing_planned_is_no_storm() -> None:
    assert not storm(Kind.CONTACT, planned=0, recent=10_000, linked=0)


def test_limits_can_be_set() -> None:
    assert storm(Kind.CONTACT, planned=2, recent=0, linked=5, limits={Kind.CONTACT: Limit(1, 100)})
