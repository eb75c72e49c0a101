"""The groupware is restored from a backup: what it shows then was in step once, and is nobody's edit."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.machine.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A card that is older than what the CRM has told it."""
    made = House(tmp_path, people=["alice"], books=["Contacts"])
    made.person(job_title="Analyst")
    made.sync()
    backup = made.ecs.backup()
    made.crm.edit(made.the_record().id, job_title="Countess")
    made.sync()
    assert made.the_card().columns["job_title"] == "Countess"
    made.ecs.restore(backup)
    made.ecs.expire_cursors()
    made.sync()
    yield made
    made.close()


def test_it_takes_nothing_back_from_the_crm_in_silence(house: House) -> None:
    assert house.the_record().columns["job_title"] == "Countess"
    (conflict,) = house.engine.conflicts()
    assert (conflict["ecs"], conflict["crm"], conflict["resolved"]) == ("Analyst", "Countess", False)
    house.idle()


def test_what_is_edited_from_then_on_is_an_edit(house: House) -> None:
    house.ecs.edit(house.the_card().id, department="Poetry")
    house.sync()
    assert house.the_record().columns["department"] == "Poetry"
    assert house.the_record().columns["job_title"] == "Countess"
    house.idle()


@pytest.mark.parametrize(("keep", "stands"), [("ecs", "Analyst"), ("crm", "Countess")])
def test_a_person_says_which_value_stands(house: House, keep: str, stands: str) -> None:
    house.engine.resolve(house.the_card().id, "job_title", keep=keep)
    house.sync()
    assert house.the_card().columns["job_title"] == house.the_record().columns["job_title"] == stands
    house.idle()
