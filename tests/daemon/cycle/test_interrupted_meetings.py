"""Two that meet for the first time have agreed on nothing yet, and the service is interrupted at it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crmsync.connectors.errors import Unreachable
from tests.daemon.machine.house import House
from tests.daemon.machine.trouble import Killed, Point


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A card and a record of one person, each with something that the other has not."""
    made = House(tmp_path, people=["alice"], books=["Contacts"])
    made.person("Bea", "Byron", job_title="Analyst")
    made.record("Bea", "Byron", department="Engines")
    made.clock.tick()
    yield made
    made.close()


def update(where: str, *, after: bool = True) -> Callable[[Point], bool]:
    return lambda p: (p.what, p.where, p.after) == ("update", where, after)


def interrupted(house: House, at: Callable[[Point], bool]) -> None:
    house.fate.kill(at=at)
    with pytest.raises(Killed):
        house.engine.sync()
    house.restart()
    house.clock.tick()


def agree_on(house: House, **columns: str) -> None:
    house.sync()
    card, record = house.the_card().columns, house.the_record().columns
    assert {n: card[n] for n in columns} == {n: record[n] for n in columns} == columns
    assert [c for c in house.engine.conflicts() if not c["resolved"]] == []
    house.idle()


def test_what_is_edited_after_the_first_write_to_the_card_is_an_edit(house: House) -> None:
    """The link stamp on it says that the write has arrived."""
    interrupted(house, update("alice"))
    house.ecs.edit(house.the_card().id, job_title="Countess", department="Poetry")
    agree_on(house, job_title="Countess", department="Poetry")


def test_what_is_edited_before_the_first_write_to_the_card_is_none(house: House) -> None:
    interrupted(house, update("alice", after=False))
    house.ecs.edit(house.the_card().id, job_title="Countess", department="Poetry")
    house.sync()
    (conflict,) = [c for c in house.engine.conflicts() if not c["resolved"]]
    assert (conflict["column"], conflict["ecs"], conflict["crm"]) == ("department", "Poetry", "Engines")
    assert house.the_record().columns["job_title"] == "Countess"


@pytest.mark.parametrize("how", ["killed", "lost"])
def test_what_is_edited_after_the_first_write_to_the_record_is_an_edit(house: House, how: str) -> None:
    if how == "killed":
        interrupted(house, update("crm"))
        house.ecs.edit(house.the_card().id, job_title="Countess", department="Poetry")
    else:

        def edit(point: Point) -> None:
            house.ecs.edit(house.the_card().id, job_title="Countess", department="Poetry")
            raise Unreachable("no answer")

        house.fate.plan(edit, at=update("crm"))
        house.sync()
    agree_on(house, job_title="Countess", department="Poetry")
