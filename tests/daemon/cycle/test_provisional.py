"""Writes that a copy of the CRM has, and the CRM does not have yet: nothing is agreed before it does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.contract import ABANDONED, Outcome, Refused, Update, Write
from crmsync.connectors.memory.faults import Faults
from tests.daemon.cycle.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def later(world: World) -> dict[str, Any]:
    world.clock.tick(60)
    return world.sync()


def agreed(world: World, item: str) -> Any:
    return world.engine.explain(item)["snapshot"]


def waits(world: World, times: int) -> None:
    """However long it takes: nothing is written, nothing fails, and the row stays."""
    for _ in range(times):
        report = later(world)
        assert (report["writes"], report["errors"]) == (0, [])
    (row,) = world.engine.queue()
    assert (row["state"], row["code"], row["attempts"]) == ("waiting", "provisional", 0)


def test_an_update_is_agreed_when_the_crm_has_it(world: World):
    card = world.person(job_title="Analyst")
    world.sync()
    before = agreed(world, card)
    world.crm.faults.postponed = True
    world.ecs.edit(card, job_title="Countess")
    waits(world, world.engine.retries.budget + 2)
    assert agreed(world, card) == before
    (account,) = world.engine.status()["accounts"]
    assert (account["light"], account["pending"], account["parked"]) == ("waiting", 1, 0)

    world.crm.faults.postponed = False
    later(world)
    assert world.the_record().columns["job_title"] == "Countess"
    assert agreed(world, card)["job_title"] == "Countess"
    assert world.engine.queue() == []
    world.idle()


def test_an_update_that_the_copy_has_brought_there_is_found_agreed(world: World):
    card = world.person(job_title="Analyst")
    world.sync()
    world.crm.faults.postponed = True
    world.ecs.edit(card, job_title="Countess")
    waits(world, 2)
    world.crm.edit(world.the_record().id, job_title="Countess")
    report = later(world)
    assert (report["writes"], report["errors"]) == (0, [])
    assert agreed(world, card)["job_title"] == "Countess"
    assert (world.engine.queue(), world.engine.conflicts()) == ([], [])


def test_a_create_is_linked_when_the_crm_has_it(world: World):
    world.crm.faults.postponed = True
    card = world.person()
    waits(world, world.engine.retries.budget + 2)
    assert world.contacts() == []
    assert world.engine.explain(card)["record"] is None
    assert world.the_card().stamp is None  # a stamp would name a record that does not exist

    world.crm.faults.postponed = False
    later(world)
    assert world.engine.explain(card)["record"] == world.the_record().id
    assert world.the_card().stamp.record == world.the_record().id
    world.idle()


def test_a_delete_is_over_when_the_crm_has_it(world: World):
    card = world.person()
    world.sync()
    world.crm.faults.postponed = True
    world.ecs.delete(card)
    waits(world, 2)
    assert len(world.contacts()) == 1
    world.crm.faults.postponed = False
    later(world)
    assert world.contacts() == []
    world.idle()


def test_what_the_crm_changes_meanwhile_is_merged(world: World):
    """By columns, as ever: the copy's write has not happened yet."""
    card = world.person(job_title="Analyst", department="Engines")
    world.sync()
    world.crm.faults.postponed = True
    world.ecs.edit(card, job_title="Countess")
    waits(world, 1)
    world.crm.edit(world.the_record().id, department="Numbers")
    later(world)
    assert world.the_card().columns["department"] == "Numbers"
    assert world.the_record().columns["job_title"] == "Analyst"
    world.crm.faults.postponed = False
    later(world)
    assert world.the_record().columns["job_title"] == world.the_card().columns["job_title"] == "Countess"
    world.idle()


def test_the_state_survives_a_restart_meanwhile(world: World):
    card = world.person()
    world.crm.faults.postponed = True
    waits(world, 1)
    world.close()
    world.start()
    waits(world, 1)
    world.crm.faults.postponed = False
    later(world)
    assert len(world.contacts()) == 1
    assert world.engine.explain(card)["record"] == world.the_record().id


# ── Not wanted any more, before the CRM has it ───────────────────────────────────────────────────────────────


def test_what_is_taken_back_meanwhile_is_taken_back_in_the_copy(world: World):
    """Else the copy would bring it to the CRM one day, and from there it would come back as somebody's edit."""
    card = world.person(job_title="Analyst")
    world.sync()
    copy = Copied(world)
    world.ecs.edit(card, job_title="Countess")
    waits(world, 2)
    assert copy.standing() == {"job_title": "Countess"}
    world.ecs.edit(card, job_title="Analyst")
    later(world)
    assert copy.standing() == {}
    world.crm.faults.postponed = False
    later(world)
    assert world.the_record().columns["job_title"] == world.the_card().columns["job_title"] == "Analyst"
    assert world.engine.conflicts() == []
    world.idle()


def test_what_loses_against_a_later_edit_of_the_crm_is_taken_back_in_the_copy(world: World):
    card = world.person(job_title="Analyst", department="Engines")
    world.sync()
    copy = Copied(world)
    world.ecs.edit(card, job_title="Countess", department="Numbers")
    waits(world, 1)
    world.crm.edit(world.the_record().id, job_title="Lady")
    world.close()  # and whoever starts anew knows of it
    world.start()
    later(world)
    assert copy.standing() == {"department": "Numbers"}
    assert world.the_card().columns["job_title"] == "Lady"
    (conflict,) = world.engine.conflicts()
    assert (conflict["ecs"], conflict["winner"]) == ("Countess", "crm")
    world.crm.faults.postponed = False
    later(world)
    columns = world.the_record().columns
    assert (columns["job_title"], columns["department"]) == ("Lady", "Numbers")
    with world.state.reading() as tx:
        assert tx.intents.open("alice") == []
    world.idle()


def test_an_undo_that_waits_in_the_copy_does_not_delete_the_card_in_the_end(world: World):
    """Asked for again while it waits, and the record has another version by then: the copy sends it all the same."""
    world.person()
    world.sync()
    (cycle, *_) = sorted(e["cycle"] for e in world.engine.item_history(world.the_record().id))
    world.crm.faults.postponed = True
    assert world.engine.undo(cycle)["undone"] == 0
    world.crm.touch(world.the_record().id)
    assert world.engine.undo(cycle)["undone"] == 0
    world.crm.delete(world.the_record().id)  # by the copy
    world.crm.faults.postponed = False
    later(world)
    later(world)
    assert (len(world.cards()), world.contacts()) == (1, [])
    assert world.engine.undo(cycle)["undone"] == 1
    world.idle()


class Copied(Faults):
    """What stands in the copy, and not in the CRM."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.postponed = True
        self.columns: dict[str, Any] = {}
        self.crm, self.crm.faults = world.crm, self

    def kept_back(self, write: Write) -> Outcome | None:
        assert isinstance(write, Update)
        self.columns |= write.columns
        return super().kept_back(write)

    def standing(self) -> dict[str, Any]:
        (record,) = self.crm.all("contact")
        return {n: v for n, v in self.columns.items() if record.columns[n] != v}


# ── Given up on the way ──────────────────────────────────────────────────────────────────────────────────────


def given_up(world: World) -> str:
    """An edit of the mailbox that the copy had, and somebody turned down there."""
    card = world.person(job_title="Analyst", department="Engines")
    world.sync()
    world.crm.faults.postponed = True
    world.ecs.edit(card, job_title="Countess")
    waits(world, 1)
    world.crm.faults.postponed = False
    world.crm.faults.answer(world.the_record().id, lambda id: Refused(id, ABANDONED, "by an admin"))
    report = later(world)
    assert (report["writes"], report["errors"]) == (0, [])
    return card


def test_it_comes_back_as_a_conflict(world: World):
    card = given_up(world)
    (conflict,) = world.engine.conflicts(undecided=True)
    assert (conflict["column"], conflict["base"], conflict["ecs"]) == ("job_title", "Analyst", "Countess")
    assert (conflict["crm"], conflict["winner"]) == ("Analyst", None)
    assert conflict["reason"] == "was given up on the way to the CRM: by an admin"
    assert world.engine.status()["accounts"][0]["light"] == "decision"
    assert (agreed(world, card)["job_title"], world.engine.queue()) == ("Analyst", [])
    for _ in range(3):
        assert later(world)["writes"] == 0  # never as an edit
    assert len(world.engine.conflicts()) == 1


@pytest.mark.parametrize(("keep", "value"), [("crm", "Analyst"), ("ecs", "Countess")])
def test_a_person_says_which_value_stands(world: World, keep: str, value: str):
    card = given_up(world)
    world.engine.resolve(card, "job_title", keep=keep)
    later(world)
    assert world.the_card().columns["job_title"] == world.the_record().columns["job_title"] == value
    assert world.engine.conflicts(undecided=True) == []
    world.idle()


def test_the_next_edit_is_one(world: World):
    card = given_up(world)
    world.ecs.edit(card, job_title="Lady")
    later(world)
    assert world.the_record().columns["job_title"] == "Lady"
    assert world.engine.status()["accounts"][0]["conflicts"] == 0


def test_other_columns_go_on(world: World):
    card = given_up(world)
    world.ecs.edit(card, department="Numbers")
    later(world)
    columns = world.the_record().columns
    assert (columns["department"], columns["job_title"]) == ("Numbers", "Analyst")


def test_a_create_that_was_given_up_is_parked(world: World):
    """Nothing is linked, so there is no column to decide on."""
    world.crm.faults.postponed = True
    card = world.person()
    waits(world, 1)
    world.crm.faults.postponed = False
    key = next(i.key for i in _intents(world))
    world.crm.faults.answer(key, lambda id: Refused(id, ABANDONED, "by an admin"))
    later(world)
    (row,) = world.engine.rejected()
    assert (row["item"], row["code"]) == (card, ABANDONED)
    assert world.contacts() == []


def _intents(world: World) -> Any:
    with world.state.reading() as tx:
        return tx.intents.open("alice")
