"""Edit and retry: what the CRM refused is corrected by a person, and goes through."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.contract import Kind, Outcome, Refused
from crmsync.connectors.errors import Unreachable
from crmsync.connectors.memory.traits import crm
from crmsync.daemon.operations.finding import NoSuchItem
from tests.daemon.cycle.world import World
from tests.daemon.machine.trouble import Killed

WHO = "alice, on the status page"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def refuse(world: World, item: str) -> None:
    def no(id: str) -> Outcome:
        return Refused(id, "too_long", "Title: data value too large")

    world.crm.faults.answer(item, no)


@pytest.fixture
def refused(world: World) -> str:
    """An edit of a linked card that the CRM does not take."""
    card = world.person()
    world.sync()
    refuse(world, world.the_record().id)
    world.ecs.edit(card, job_title="Countess of very many things")
    world.sync()
    assert [row["item"] for row in world.engine.rejected()] == [card]
    return card


def edit(world: World, item: str, **changes: str) -> Any:
    version = world.engine.reject_columns(item)["version"]
    return world.engine.reject_edit(item, version, list(changes), list(changes.values()), ["alice"], by=WHO)


def test_the_form_shows_what_goes_to_the_crm_and_no_more(world: World, refused: str) -> None:
    shown = world.engine.reject_columns(refused, ["alice"])
    values = {one["column"]: one["value"] for one in shown["columns"]}
    assert values["job_title"] == "Countess of very many things"
    assert shown["error"] == "Title: data value too large"
    assert not {"notes", "phone_home", "categories"} & values.keys()


def test_the_edit_reaches_both_sides_and_stands_in_the_history(world: World, refused: str) -> None:
    answer = edit(world, refused, job_title="Countess")
    assert (answer["columns"], world.the_card().columns["job_title"]) == (["job_title"], "Countess")
    world.sync()
    assert world.the_record().columns["job_title"] == "Countess"
    assert world.engine.rejected() == []
    line = next(e for e in world.engine.item_history(refused) if e["winner"] == "person")
    assert (line["column"], line["old"], line["new"]) == (
        "job_title",
        "Countess of very many things",
        "Countess",
    )
    assert WHO in line["reason"]
    world.idle()


def test_it_can_be_undone_and_says_by_whom(world: World, refused: str) -> None:
    cycle = edit(world, refused, job_title="Countess")["cycle"]
    world.sync()
    assert world.engine.undo(cycle, ["alice"], by=WHO)["undone"] == 1
    assert world.the_card().columns["job_title"] == "Countess of very many things"
    last = world.engine.item_history(refused)[-1]
    assert last["reason"] == f"undo of cycle {cycle} ({WHO})"


def test_a_new_item_that_the_crm_refused(tmp_path: Path) -> None:
    picky = replace(crm(), required={Kind.CONTACT: frozenset({"company"})})
    world = World(tmp_path, crm_traits=picky)
    card = world.person()
    world.sync()
    assert (len(world.engine.rejected()), world.contacts()) == (1, [])
    edit(world, card, company="Analytical Engines")
    world.sync()
    assert [c["company"] for c in world.contacts()] == ["Analytical Engines"]
    world.idle()
    world.close()


def test_who_was_faster_wins(world: World, refused: str) -> None:
    version = world.engine.reject_columns(refused)["version"]
    world.ecs.edit(refused, job_title="Analyst")
    with pytest.raises(NoSuchItem, match="open the form again"):
        world.engine.reject_edit(refused, version, ["job_title"], ["Countess"])
    assert world.the_card().columns["job_title"] == "Analyst"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"notes": "x"}, "notes cannot be edited here"),
        ({"birthday": "yesterday"}, "is no value for birthday"),
        ({"job_title": "Countess of very many things"}, "nothing was changed"),
        ({}, "nothing was changed"),
    ],
)
def test_what_cannot_be_edited(world: World, refused: str, changes: dict[str, str], said: str) -> None:
    before = world.the_card().version
    with pytest.raises(NoSuchItem, match=said):
        edit(world, refused, **changes)
    assert world.the_card().version == before


def test_a_field_becomes_empty(world: World, refused: str) -> None:
    edit(world, refused, job_title="")
    world.sync()
    assert world.the_record().columns["job_title"] is None


def test_another_persons_item_is_not_there(world: World, refused: str) -> None:
    world.engine.accounts = {**world.engine.accounts, "bob": replace(world.account, name="bob")}
    with pytest.raises(NoSuchItem):
        world.engine.reject_columns(refused, ["bob"])
    with pytest.raises(NoSuchItem):
        world.engine.undo(1, ["bob"])


@pytest.mark.parametrize(
    ("fault", "told"),
    [(Unreachable("the answer was lost"), NoSuchItem), (Killed(), Killed)],
    ids=["answer lost", "killed"],
)
def test_an_edit_that_was_interrupted_is_carried_on_all_the_same(
    world: World, refused: str, fault: BaseException, told: type[BaseException]
) -> None:
    world.ecs.faults.fail("update", fault, after=True)
    with pytest.raises(told):
        edit(world, refused, job_title="Countess")
    assert world.the_card().columns["job_title"] == "Countess"
    world.sync()
    world.engine.retry()
    world.sync()
    assert world.the_card().columns["job_title"] == world.the_record().columns["job_title"] == "Countess"
    assert world.engine.conflicts() == []
    world.idle()
