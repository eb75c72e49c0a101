"""What waits for a person about a link that is over by now waits no more: nobody could decide it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crmsync.connectors.contract import Kind
from crmsync.daemon.operations.finding import NoSuchItem
from crmsync.daemon.plan.terms import Policy, Rule
from tests.daemon.cycle.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """With a conflict that waits: the card says Countess, the record Engineer, both were Analyst."""
    world = World(tmp_path)
    world.rules[Kind.CONTACT] = {**world.rules[Kind.CONTACT], "job_title": Rule(conflict=Policy.ASK)}
    card = world.person(job_title="Analyst")
    world.sync()
    world.ecs.edit(card, job_title="Countess")
    world.crm.edit(world.the_record().id, job_title="Engineer")
    world.sync()
    assert waiting(world) == ["job_title"]
    yield world
    world.close()


def waiting(world: World) -> list[str]:
    return [c["column"] for c in world.engine.conflicts(undecided=True)]


def unlinked_by_hand(world: World) -> None:
    world.engine.unlink(world.the_card().id)


def untagged(world: World) -> None:
    world.ecs.untag(world.the_card().id, "CRM")
    world.sync()


def deleted_on_both_sides(world: World) -> None:
    world.crm.delete(world.the_record().id)
    world.ecs.delete(world.the_card().id)
    world.sync()


def linked_to_another(world: World) -> None:
    card = world.the_card().id
    world.engine.unlink(card)
    world.engine.link(card, world.record("Ada", "King"))


@pytest.mark.parametrize("end", [unlinked_by_hand, untagged, deleted_on_both_sides, linked_to_another])
def test_of_a_link_that_ends(world: World, end: Callable[[World], None]) -> None:
    card = world.the_card().id
    end(world)
    assert waiting(world) == []
    with pytest.raises(NoSuchItem):
        world.engine.resolve(card, "job_title", keep="ecs")
    (logged,) = world.engine.conflicts()
    assert (logged["ecs"], logged["crm"]) == ("Countess", "Engineer")  # nothing of it is lost


def test_of_a_card_that_was_made_again_by_hand(world: World) -> None:
    """The record survives by its edit, and meets the new card for the first time: what they differ in is asked anew, by
    the names that the two have now, and by none of the old ones."""
    old, record = world.the_card(), world.the_record()
    world.crm.edit(record.id, department="Poetry")
    world.ecs.delete(old.id)
    world.ecs.put(world.book, old.columns)
    world.sync()
    world.sync()
    for conflict in world.engine.conflicts(undecided=True):
        world.engine.resolve(conflict["item"], conflict["column"], keep="ecs")
    world.sync()
    assert waiting(world) == []
    assert len(world.cards()) == len(world.contacts()) == 1
    assert world.the_card().columns["job_title"] == world.the_record().columns["job_title"]
    world.idle()
