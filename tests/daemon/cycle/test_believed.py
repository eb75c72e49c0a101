"""What a server says is missing is not believed when it is said once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.machine.house import House


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, people=["alice"], books=["Contacts"])
    yield made
    made.close()


def test_a_record_that_cannot_be_seen_once_keeps_its_link(house: House) -> None:
    card = house.person(job_title="Analyst")
    house.sync()
    record = house.the_record().id
    house.crm.hide(record)
    house.engine.reconcile()
    house.crm.reveal(record)
    house.clock.tick(60)
    house.sync()
    house.ecs.edit(card, job_title="Countess")
    house.sync()
    assert house.the_record().columns["job_title"] == "Countess"
    house.idle()


def test_a_record_that_cannot_be_seen_twice_is_unlinked(house: House) -> None:
    house.person(job_title="Analyst")
    house.sync()
    house.crm.hide(house.the_record().id)
    house.engine.reconcile()
    assert [row["code"] for row in house.engine.queue()] == ["out_of_sight"]
    house.clock.tick(60)
    report = house.sync()
    assert [c["unlinked"] for c in report["cycles"]] == [1]
    assert house.engine.queue() == []
    house.idle()


def test_a_card_that_is_gone_by_its_id_alone_is_not_made_again(house: House) -> None:
    """It stands there all the same: the answer was about something else."""
    house.person(job_title="Analyst")
    house.sync()
    house.crm.edit(house.the_record().id, job_title="Countess")
    _answers_for_somebody_else(house)
    house.sync()
    house.clock.tick(60)
    house.sync()
    assert house.the_card().columns["job_title"] == "Countess"
    house.idle()


def test_a_new_card_that_is_gone_by_its_id_alone_is_not_forgotten(house: House) -> None:
    house.person()
    _answers_for_somebody_else(house)
    house.sync()
    house.clock.tick(60)
    house.sync()
    assert len(house.contacts()) == len(house.cards()) == 1
    house.idle()


def _answers_for_somebody_else(house: House) -> None:
    """The next question for items finds none of them, and the list of changes knows nothing of it."""
    stood = house.ecs.backup()

    def vanish() -> None:
        for item in house.ecs.all():
            house.ecs.delete(item.id)

    for after, act in ((False, vanish), (True, lambda: house.ecs.restore(stood))):
        house.fate.plan(
            lambda _, act=act: act(),  # type: ignore[misc]
            at=lambda p, after=after: (p.where, p.what, p.after) == ("alice", "fetch", after),  # type: ignore[misc]
        )
