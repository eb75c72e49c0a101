"""A configuration that changes between two syncs: what it says now holds for what is there already."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmsync.connectors.contract import Kind
from crmsync.connectors.errors import Unreachable
from crmsync.daemon.plan.terms import Direction, Rule
from tests.daemon.machine.house import House
from tests.daemon.machine.trouble import Killed


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def test_what_was_kept_apart_is_exchanged_once_its_column_goes_both_ways(house: House) -> None:
    house.person(job_title="Analyst")
    house.sync()
    house.rules[Kind.CONTACT]["job_title"] = Rule(Direction.TO_CRM)
    house.restart()
    house.crm.edit(house.the_record().id, job_title="Countess")
    house.sync()
    assert house.the_card().columns["job_title"] == "Analyst"
    house.rules[Kind.CONTACT]["job_title"] = Rule()
    house.restart()
    house.sync()
    assert house.the_card().columns["job_title"] == "Countess"
    house.idle()


def test_what_was_kept_apart_does_not_go_with_a_record_that_never_had_it(house: House) -> None:
    """The record is deleted before the column is exchanged for the first time. It is to be exchanged by now, and stands
    on the card only: whoever deleted the record has not seen it."""
    house.rules[Kind.CONTACT]["job_title"] = Rule(Direction.NONE)
    house.restart()
    house.person(job_title="Analyst")
    house.sync()
    house.rules[Kind.CONTACT]["job_title"] = Rule()
    house.restart()
    house.crm.delete(house.the_record().id)
    house.sync()
    assert house.the_card().columns["job_title"] == house.the_record().columns["job_title"] == "Analyst"
    house.idle()


def test_a_collection_that_is_taken_in_again_is_linked_again(house: House) -> None:
    house.person(job_title="Analyst")
    house.sync()
    house.only["alice", "alice"] = ("Private",)
    house.restart()
    house.engine.reconcile()
    house.crm.edit(house.the_record().id, job_title="Countess")
    house.sync()
    assert house.the_card().columns["job_title"] == "Analyst"
    house.only.clear()
    house.restart()
    house.sync()
    assert house.the_card().columns["job_title"] == "Countess"
    assert len(house.contacts()) == 1
    house.idle()


def test_nothing_waits_of_a_collection_that_is_left_out(house: House) -> None:
    """Otherwise the status would speak of a pending item for ever; when the collection is back, all is looked at."""
    linked = house.person(job_title="Analyst")
    house.sync()
    house.crm.faults.fail("update", Unreachable("the line is dead"), times=9)
    house.crm.faults.fail("search", Unreachable("the line is dead"), times=9)
    house.ecs.edit(linked, job_title="Countess")
    house.person("Grace", "Hopper")
    house.sync()
    assert len(house.engine.queue()) == 2
    house.crm.faults.clear()
    house.only["alice", "alice"] = ("Private",)
    house.restart()
    house.engine.reconcile()
    assert house.engine.queue() == []
    house.idle()
    house.only.clear()
    house.restart()
    house.sync()
    assert {(r["first_name"], r["job_title"]) for r in house.contacts()} == {
        ("Ada", "Countess"),
        ("Grace", None),
    }
    house.idle()


def _while_the_tag_was_another(house: House, *, deleted: bool) -> None:
    house.person(job_title="Analyst")
    house.sync()
    house.settings["alice"]["tag"] = "Customers"
    house.restart()
    house.engine.reconcile()
    if deleted:
        house.crm.delete(house.the_record().id)
        house.sync()
    house.settings["alice"]["tag"] = "CRM"
    house.restart()


@pytest.mark.parametrize("trouble", ["the CRM did not answer", "killed before the create"])
def test_what_is_selected_again_has_a_record_made_however_long_that_takes(house: House, trouble: str) -> None:
    """That its old record is gone is no delete of the item: the link was given up when that happened."""
    _while_the_tag_was_another(house, deleted=True)
    if trouble == "the CRM did not answer":
        house.crm.faults.fail("fetch", Unreachable("the line is dead"), times=1)
        house.engine.reconcile()
    else:
        house.fate.kill(at=lambda point: (point.where, point.what) == ("crm", "create"))
        with pytest.raises(Killed):
            house.engine.reconcile()
    house.restart()
    house.clock.tick(3600)
    house.sync()
    assert house.the_card().columns["job_title"] == "Analyst"
    assert [r["job_title"] for r in house.contacts()] == ["Analyst"]
    house.idle()


@pytest.mark.parametrize("gone", [True, False], ids=["its record made anew", "its record there"])
def test_the_record_of_what_was_selected_again_may_be_deleted_like_any_other(
    house: House, gone: bool
) -> None:
    _while_the_tag_was_another(house, deleted=gone)
    house.engine.reconcile()
    house.crm.delete(house.the_record().id)
    house.sync()
    assert (house.cards(), house.contacts()) == ([], [])
    house.idle()


def test_the_record_of_what_was_selected_again_may_be_deleted_before_it_was_looked_at(house: House) -> None:
    """The service dies once the record has been made anew, and it is deleted before the service is back."""
    _while_the_tag_was_another(house, deleted=True)
    house.fate.kill(
        at=lambda p: (p.where, p.after, p.writes) == ("state", True, True) and house.contacts() != []
    )
    with pytest.raises(Killed):
        house.engine.reconcile()
    house.restart()
    house.crm.delete(house.the_record().id)
    house.sync()
    assert (house.cards(), house.contacts()) == ([], [])
    house.idle()


def test_a_card_that_is_moved_out_of_a_collection_that_is_left_out_by_now_is_linked_again(
    tmp_path: Path,
) -> None:
    house = House(tmp_path, people=["alice"])
    card = house.ecs.move(house.person(job_title="Analyst"), house.second)
    house.sync()
    house.only["alice", "alice"] = ("Contacts",)
    house.restart()
    house.engine.reconcile()
    moved = house.ecs.move(card, house.book)
    house.sync()
    house.ecs.edit(moved, job_title="Countess")
    house.sync()
    assert [r["job_title"] for r in house.contacts()] == ["Countess"]
    assert house.engine.queue() == []
    house.idle()
    house.close()
