"""No request without a cause: who is asked what, and when not."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine as Database

from crmsync.connectors.contract import Kind
from crmsync.connectors.errors import Unreachable
from crmsync.connectors.memory.traits import groupware
from crmsync.daemon.plan.reconcile import DeleteRule
from tests.daemon.cycle.world import World
from tests.daemon.machine.house import House


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_only_what_was_written_to_is_asked_again_in_the_same_sync(world: World) -> None:
    card = world.person()
    world.sync()
    world.ecs.edit(card, job_title="Countess")
    asked = dict(world.ecs.faults.calls), dict(world.crm.faults.calls)
    world.sync()
    ecs, crm = (
        s.faults.calls["changes"] - a["changes"] for s, a in zip((world.ecs, world.crm), asked, strict=True)
    )
    collections, objects = len(world.ecs.collections()), len(world.crm.collections())
    assert (ecs, crm) == (collections, objects + 1)


def test_collections_are_believed_for_a_while_by_the_schedule_and_never_by_hand(world: World) -> None:
    every = timedelta(seconds=60)
    world.engine.sync(poll_every=every)
    before = world.ecs.faults.calls["collections"]
    world.clock.tick(60)
    world.engine.sync(poll_every=every)
    assert world.ecs.faults.calls["collections"] == before
    world.ecs.faults.fail("changes", Unreachable("the line is dead"))
    world.clock.tick(60)
    world.engine.sync(poll_every=every)
    world.clock.tick(60)
    world.engine.sync(poll_every=every)  # a collection that fails may have gone
    assert world.ecs.faults.calls["collections"] == before + 1
    world.engine.sync()
    assert world.ecs.faults.calls["collections"] == before + 2


def test_nobody_asks_for_objects_that_no_account_has_a_place_for(tmp_path: Path) -> None:
    house = House(tmp_path, people=("alice",))  # address books only
    house.crm.add("Event", Kind.APPOINTMENT)
    house.sync()
    before = house.crm.faults.calls["changes"]
    house.sync()
    assert house.crm.faults.calls["changes"] == before + 1
    house.close()


def test_what_is_gone_and_linked_no_more_is_asked_for_once(tmp_path: Path) -> None:
    """Of a server that tells of each delete again and again."""
    world = World(tmp_path, ecs=groupware(incremental=False), deletes={Kind.CONTACT: DeleteRule.UNLINK})
    card = world.person()
    world.sync()
    world.ecs.delete(card)
    world.sync()
    world.engine.reconcile()
    before = world.ecs.faults.calls["fetch"]
    world.ecs.hide(
        world.person("Grace", "Hopper")
    )  # something is new, and the server tells everything from the start
    world.idle()
    assert world.ecs.faults.calls["fetch"] == before
    world.close()


def test_the_last_success_of_idle_accounts_is_noted_apart(world: World) -> None:
    """A cycle in which nothing happens leaves the disk alone, and a restart knows when the last one went well."""
    written: list[str] = []

    def note(connection: object, cursor: Any, statement: str, *_: object) -> None:
        if cursor.rowcount > 0:
            written.append(statement)

    world.person()
    world.sync()
    world.sync()
    event.listen(Database, "after_cursor_execute", note)
    try:
        for _ in range(3):
            world.clock.tick(3600)
            world.sync(keep_idle=False)
    finally:
        event.remove(Database, "after_cursor_execute", note)
    assert written == []
    success = world.clock()
    world.engine.note_successes()
    world.close()
    world.clock.tick(3600)
    world.start()
    (account,) = world.engine.status()["accounts"]
    assert account["last_success"] == success.isoformat(timespec="seconds").replace("+00:00", "Z")
