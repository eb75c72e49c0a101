"""What a person has changed meanwhile, and no sync has looked at yet, is not taken for the undo's own write."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmsync.connectors.contract import Side
from tests.daemon.cycle.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def unlinked(world: World, card: str) -> int:
    """The cycle in which its tag was found to be gone."""
    world.ecs.untag(card, "CRM")
    report = world.sync()
    return int(next(c["id"] for c in report["cycles"] if c["unlinked"]))


def test_what_was_changed_before_it_is_linked_again_is_synced(world: World) -> None:
    """On both sides: while it was not linked nobody looked."""
    card = world.person()
    world.sync()
    cycle = unlinked(world, card)
    world.ecs.edit(card, job_title="Countess")
    world.crm.edit(world.the_record().id, department="Navy")
    world.sync()
    assert world.engine.undo(cycle)["undone"] == 1
    world.sync()
    shown = [
        (c["job_title"], c["department"]) for c in (world.the_card().columns, world.the_record().columns)
    ]
    assert shown == [("Countess", "Navy")] * 2
    assert world.sync()["writes"] == 0


@pytest.mark.parametrize("side", Side)
def test_what_was_changed_before_a_column_is_put_back_is_synced(world: World, side: Side) -> None:
    card = world.person(job_title="Analyst")
    world.sync()
    if side is Side.CRM:
        world.ecs.edit(card, job_title="Countess")
    else:
        world.crm.edit(world.the_record().id, job_title="Countess")
    (cycle, *_) = (c["id"] for c in world.sync()["cycles"] if c["updated"])
    if side is Side.CRM:
        world.crm.edit(world.the_record().id, department="Navy")
    else:
        world.ecs.edit(card, department="Navy")
    assert world.engine.undo(cycle)["undone"] == 1
    world.sync()
    shown = [c["department"] for c in (world.the_card().columns, world.the_record().columns)]
    assert shown == ["Navy", "Navy"]
    assert world.sync()["writes"] == 0
