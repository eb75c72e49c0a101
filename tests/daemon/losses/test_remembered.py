"""Servers whose items can carry what was agreed on (``capabilities.remembers``): a state that was lost altogether knows
again what an edit is, as long as nobody has written the record since."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crmsync.connectors.memory.traits import groupware
from crmsync.state.snapshot import from_text, to_text
from tests.daemon.cycle.world import World
from tests.daemon.losses.test_doubt import restore
from tests.daemon.losses.town import NO_LIMIT


@pytest.fixture(params=["from the card", "from the record", "edited in the CRM"])
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    """One contact, whose last agreement came about in each of the ways in which its item is stamped."""
    world = World(tmp_path, limits=NO_LIMIT, ecs=groupware(remembers=30_000))
    make = world.person if request.param == "from the card" else world.record
    make("Ada", "Lovelace", job_title="Analyst", department="Engines")
    world.sync()
    if request.param == "edited in the CRM":
        world.crm.edit(world.the_record().id, {"job_title": "Countess"})
        world.sync()
    world.idle()
    yield world
    world.close()


def test_an_edit_of_the_item_is_an_edit(world: World) -> None:
    restore(world, None)
    world.ecs.edit(world.the_card().id, {"job_title": "Programmer", "department": None})
    world.sync()
    record, card = world.the_record().columns, world.the_card().columns
    assert (record["job_title"], record["department"]) == ("Programmer", None)
    assert (card["job_title"], card["department"]) == ("Programmer", None)
    assert world.engine.conflicts() == []
    world.idle()


def test_once_the_record_has_been_written_differences_are_a_question(world: World) -> None:
    restore(world, None)
    world.ecs.edit(world.the_card().id, {"job_title": "Programmer"})
    world.crm.edit(world.the_record().id, {"department": "Poems"})
    world.sync()
    assert {c["column"] for c in world.engine.conflicts()} == {"job_title", "department"}
    assert world.the_record().columns["job_title"] != "Programmer"
    assert world.the_card().columns["department"] == "Engines"


def test_what_we_carried_over_ourselves_since_the_last_stamp_is_a_question(world: World) -> None:
    """The agreement on the item is older than the last one: it must not undo what the CRM's people did after it."""
    world.ecs.edit(world.the_card().id, {"job_title": "Programmer"})
    world.sync()
    restore(world, None)
    world.crm.edit(world.the_record().id, {"job_title": "Analyst"})
    world.sync()
    (question,) = world.engine.conflicts()
    assert (question["ecs"], question["crm"]) == ("Programmer", "Analyst")


def test_an_agreement_that_somebody_made_up_is_not_believed(world: World) -> None:
    """It is signed with the rest of the stamp."""
    card, before = world.the_card(), world.the_record().columns
    true = from_text(card.stamp.agreed)
    assert true is not None
    lie = to_text(replace(true, columns={**true.columns, "job_title": "Poet"}), 30_000)
    world.ecs.change(card.id, columns={"job_title": "Poet"}, stamp=replace(card.stamp, agreed=lie))
    restore(world, None)
    world.sync()
    assert world.the_record().columns == before
    (question,) = world.engine.conflicts()
    assert (question["column"], question["winner"]) == ("job_title", None)
