"""A series that was made in the CRM: each of its dates is a record, and those that are near come to the calendar."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.daemon.cycle.world import World

FIRST = datetime(2026, 11, 2, 9, tzinfo=UTC)  # three weeks ago


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def weekly(world: World, number: int = 30) -> list[str]:
    found = []
    for week in range(number):
        start = FIRST + timedelta(weeks=week)
        columns = {
            "subject": "Jour fixe",
            "start": start,
            "end": start + timedelta(hours=1),
            "all_day": False,
        }
        found.append(world.crm.put(world.events, columns, owner=world.alice, series="series-1"))
    return found


def days(world: World) -> list[str]:
    return sorted(f"{i.columns['start']:%m-%d}" for i in world.ecs.all() if i.collection == world.calendar)


def test_the_dates_that_are_near_come_to_the_calendar(world: World) -> None:
    weekly(world)
    world.sync()
    assert (days(world)[0], days(world)[-1], len(days(world))) == ("01-04", "12-28", 14)
    assert "11-09" not in days(world)
    assert world.sync()["writes"] == 0


def test_explain_says_of_the_others_when_they_come(world: World) -> None:
    dates = weekly(world)
    world.sync()
    told = world.engine.explain(dates[-1])
    assert "it comes when its time is near" in told["decisions"][-1]["reason"]


def test_time_goes_by(world: World) -> None:
    """What has come near is found by the daily comparison; what is over stays where it is."""
    weekly(world)
    world.sync()
    before = days(world)
    world.clock.tick(14 * 86400)
    world.engine.reconcile()
    world.sync()
    assert set(before) < set(days(world))
    assert len(days(world)) == len(before) + 2
    assert world.sync()["writes"] == 0


def test_one_date_is_moved_and_another_deleted_on_either_side(world: World) -> None:
    dates = weekly(world)
    world.sync()
    item = next(i for i in world.ecs.all() if i.columns.get("start") == FIRST + timedelta(weeks=5))
    later = FIRST + timedelta(weeks=5, hours=2)
    world.ecs.edit(item.id, start=later, end=later + timedelta(hours=1))
    world.crm.delete(dates[6])
    world.clock.tick()
    world.sync()
    assert world.crm.read(dates[5]).columns["start"] == later
    assert f"{FIRST + timedelta(weeks=6):%m-%d}" not in days(world)
    assert world.crm.read(dates[7]).columns["start"] == FIRST + timedelta(weeks=7)
    assert world.sync()["writes"] == 0
