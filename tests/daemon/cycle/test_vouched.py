"""A CRM record that this cycle's poll says nothing of is not read before it is written."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crmsync.connectors.contract import Kind
from crmsync.connectors.memory.faults import Faults
from crmsync.daemon.plan.terms import Direction, Policy, Rule
from tests.daemon.cycle.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


class _Colleague(Faults):
    """Edits the record once, when a write to it is on its way."""

    def __init__(self, edit: Callable[[], object]) -> None:
        super().__init__()
        self._edit: Callable[[], object] | None = edit

    def before(self, operation: str, detail: str) -> None:
        super().before(operation, detail)
        if operation == "update" and self._edit is not None:
            edit, self._edit = self._edit, None
            edit()


def _reads(world: World) -> int:
    return world.crm.faults.calls["fetch"]


def _linked(world: World) -> str:
    card = world.person(job_title="Analyst", department="Engines")
    world.sync()
    world.clock.tick(3600)
    return card


def test_a_record_that_did_not_change_is_written_without_being_read(world: World) -> None:
    card, before = _linked(world), _reads(world)
    world.ecs.edit(card, job_title="Countess")
    assert world.sync()["writes"] == 1
    assert _reads(world) == before
    assert world.the_record().columns["job_title"] == "Countess"


def test_a_record_that_changed_after_the_poll_is_not_written_over(world: World) -> None:
    """The write is refused, the record read, and both edits stand."""
    card = _linked(world)
    world.ecs.edit(card, job_title="Countess")
    record = world.the_record().id
    world.crm.faults = _Colleague(lambda: world.crm.edit(record, job_title="Baroness", department="Numbers"))
    answer = world.sync()
    assert sum(c["conflicts"] for c in answer["cycles"]) == 1
    assert world.the_card().columns["department"] == world.the_record().columns["department"] == "Numbers"
    assert world.the_card().columns["job_title"] == world.the_record().columns["job_title"]
    (conflict,) = world.engine.conflicts()
    assert {conflict["ecs"], conflict["crm"]} == {"Countess", "Baroness"}


def test_a_record_with_an_open_conflict_is_read(world: World) -> None:
    world.rules[Kind.CONTACT] = {**world.rules[Kind.CONTACT], "job_title": Rule(Direction.BOTH, Policy.ASK)}
    world.start()
    card = _linked(world)
    world.ecs.edit(card, job_title="Countess")
    world.crm.edit(world.the_record().id, job_title="Baroness")
    world.sync()
    before = _reads(world)
    world.ecs.edit(card, department="Numbers")
    world.sync()
    assert _reads(world) > before
    assert world.the_record().columns["department"] == "Numbers"
    assert world.the_record().columns["job_title"] == "Baroness"
