"""The CRM is restored from a backup: what it shows then was in step once, and is nobody's edit."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.machine.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A record that is older than what the mailbox has told the CRM."""
    made = House(tmp_path, people=["alice"], books=["Contacts"])
    made.person(job_title="Analyst", department="Poetry")
    made.sync()
    made.sync()  # hears of the version that it has made
    backup = made.crm.backup()
    made.ecs.edit(made.the_card().id, job_title="Countess")
    made.sync()
    made.sync()
    assert made.the_record().columns["job_title"] == "Countess"
    made.crm.restore(backup)
    yield made
    made.close()


def test_it_takes_nothing_back_from_the_mailbox_in_silence(house: House) -> None:
    house.engine.reconcile()
    house.sync()
    assert house.the_card().columns["job_title"] == "Countess"
    (conflict,) = house.engine.conflicts()
    assert (conflict["ecs"], conflict["crm"], conflict["resolved"]) == ("Countess", "Analyst", False)
    house.idle()


def test_what_is_edited_in_the_mailbox_before_anybody_notices_is_asked_too(house: House) -> None:
    """What else differs may have been taken back, or not have been there yet."""
    house.ecs.edit(house.the_card().id, department="Mathematics")
    house.sync()
    assert house.the_card().columns["job_title"] == "Countess"
    asked = {(c["column"], c["ecs"], c["crm"]) for c in house.engine.conflicts()}
    assert asked == {("job_title", "Countess", "Analyst"), ("department", "Mathematics", "Poetry")}


def test_who_is_deleted_before_anybody_notices_is_not_brought_back(house: House) -> None:
    house.ecs.delete(house.the_card().id)
    house.engine.reconcile()
    house.sync()
    assert house.cards() == house.contacts() == []
    house.idle()


def test_what_a_private_item_is_told_meanwhile_is_asked_once_it_is_shown_again(house: House) -> None:
    card = house.the_card().id
    house.ecs.mark(card, private=True)
    house.engine.reconcile()
    house.sync()
    house.ecs.mark(card, private=False)
    house.engine.reconcile()
    house.sync()
    assert house.the_card().columns["job_title"] == "Countess"
    assert {c["column"] for c in house.engine.conflicts()} == {"job_title"}


def test_what_is_edited_from_then_on_is_an_edit(house: House) -> None:
    house.engine.reconcile()
    house.sync()
    house.ecs.edit(house.the_card().id, department="Mathematics")
    house.sync()
    assert house.the_record().columns["department"] == "Mathematics"
    assert house.the_card().columns["job_title"] == "Countess"
    house.idle()


@pytest.mark.parametrize(("keep", "stands"), [("ecs", "Countess"), ("crm", "Analyst")])
def test_a_person_says_which_value_stands(house: House, keep: str, stands: str) -> None:
    house.engine.reconcile()
    house.sync()
    house.engine.resolve(house.the_card().id, "job_title", keep=keep)
    house.sync()
    assert house.the_card().columns["job_title"] == house.the_record().columns["job_title"] == stands
    house.idle()
