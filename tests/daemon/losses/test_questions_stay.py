"""What is asked because our state is older than what we have written, and that it stays a question until a person has
answered. Each of these was a story in which something came back, or was written over, in silence."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmsync.connectors.errors import Unreachable
from crmsync.connectors.memory.faults import ALWAYS, Faults
from crmsync.connectors.memory.traits import groupware
from tests.daemon.cycle.world import World
from tests.daemon.losses.test_doubt import restore, saved
from tests.daemon.losses.town import NO_LIMIT
from tests.daemon.machine.trouble import Killed

DAY = 86400


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, limits=NO_LIMIT)
    yield world
    world.close()


def after(world: World, backup: bytes | None) -> None:
    restore(world, backup)
    world.clock.tick(60)


def copied(world: World) -> bytes:
    """A backup of a state that goes on."""
    backup = saved(world)
    world.start()
    return backup


def test_a_job_that_touches_a_record_does_not_answer_whether_its_card_was_deleted(world: World) -> None:
    record = world.record()
    world.sync()
    card = world.the_card().id
    after(world, None)
    world.ecs.delete(card)
    world.sync()
    world.clock.tick(DAY)
    world.crm.touch(record)
    world.sync()
    assert world.cards() == []
    assert [h["record"] for h in world.engine.matches()] == [record]


def test_nor_does_an_edit_answer_whether_a_delete_shall_happen(world: World) -> None:
    record = world.record(job_title="Analyst")
    world.sync()
    backup = copied(world)
    world.crm.edit(record, job_title="Countess")
    world.sync()
    card = world.the_card().id
    after(world, backup)
    world.ecs.delete(card)
    world.sync()
    world.clock.tick(DAY)
    world.crm.edit(record, department="Navy")
    world.sync()
    assert (world.cards(), len(world.engine.deletions())) == ([], 1)
    world.engine.decide_deletions(approve=False)
    world.sync()
    assert world.the_card().columns["department"] == "Navy"
    assert world.engine.deletions() == []


def test_saving_a_card_with_a_stamp_of_another_key_does_not_make_a_second_record(world: World) -> None:
    card = world.person()
    world.sync()
    record = world.the_record().id
    world.key = b"another key, because that is lost"
    after(world, None)
    world.crm.edit(record, email="new@example.com")  # nothing matches any more
    world.sync()
    world.clock.tick(DAY)
    world.ecs.touch(card)
    world.sync()
    assert len(world.contacts()) == 1
    assert card in {h["item"] for h in world.engine.matches()}


def test_one_new_edit_does_not_make_the_old_snapshot_true(world: World) -> None:
    card = world.person(job_title="Analyst")
    world.sync()
    record = world.the_record().id
    backup = copied(world)
    world.ecs.edit(card, job_title="Countess")
    world.sync()
    after(world, backup)
    world.crm.edit(record, job_title="Analyst")  # a colleague puts it back
    world.crm.faults.fail("changes", Unreachable("no answer"), times=ALWAYS)
    world.sync()
    world.crm.faults.clear()
    world.clock.tick(3600)
    world.ecs.edit(card, department="Navy")
    world.sync()
    assert world.the_record().columns["job_title"] == "Analyst"
    assert "job_title" in {c["column"] for c in world.engine.conflicts()}


@pytest.mark.parametrize("how", ["untag", "unlink"])
def test_a_card_that_is_deleted_may_have_been_given_up_before(world: World, how: str) -> None:
    card = world.person()
    world.sync()
    backup = copied(world)
    world.ecs.untag(card, "CRM") if how == "untag" else world.engine.unlink(card)
    world.sync()
    after(world, backup)
    world.ecs.delete(card)
    world.sync()
    world.idle()
    assert (len(world.contacts()), len(world.engine.deletions())) == (1, 1)


def test_what_is_deleted_may_have_been_edited_and_edited_back(world: World) -> None:
    card = world.person(job_title="Analyst")
    world.sync()
    backup = copied(world)
    world.ecs.edit(card, job_title="Countess")
    world.sync()
    after(world, backup)
    world.crm.edit(world.the_record().id, job_title="Analyst")
    world.ecs.delete(card)
    world.sync()
    assert (len(world.contacts()), len(world.engine.deletions())) == (1, 1)


def test_a_create_that_the_backup_knows_as_announced_may_have_been_deleted_since(world: World) -> None:
    world.sync()
    world.record()
    world.ecs.faults.fail("apply", Unreachable("no answer"), times=ALWAYS)
    world.sync()
    backup = copied(world)
    world.ecs.faults.clear()
    world.clock.tick(3600)
    world.sync()
    card = world.the_card().id
    after(world, backup)
    world.clock.tick(DAY)
    world.ecs.delete(card)
    world.sync()
    assert world.cards() == []
    assert len(world.engine.matches()) == 1


def test_where_items_bear_no_stamps_an_emptied_column_is_asked_about(tmp_path: Path) -> None:
    world = World(tmp_path, limits=NO_LIMIT, ecs=groupware(stamps=False))
    card = world.person(job_title="Analyst")
    world.sync()
    world.ecs.edit(card, job_title=None)
    after(world, None)
    world.sync()
    shown = (world.the_card().columns["job_title"], [c["column"] for c in world.engine.conflicts()])
    world.close()
    assert shown == (None, ["job_title"])


# ── How it is seen that the state is older ───────────────────────────────────────────────────────────────────


def dies(operation: str, detail: str) -> None:
    if operation == "update":
        raise Killed


def lost(world: World, backup: bytes) -> None:
    """The state is put back to before a record had its card, which a person has deleted meanwhile."""
    world.record()
    world.sync(keep_idle=False)
    card = next(c.id for c in world.ecs.all() if c.columns["first_name"] == "Grace")
    after(world, backup)
    world.ecs.delete(card)


@pytest.mark.parametrize("first", ["unlink", "undo", "link"])
def test_a_command_before_the_first_sync_does_not_hide_it(world: World, first: str) -> None:
    other = world.person()
    world.sync()
    free = world.person("Free", "Card", tag=False)
    lone = world.crm.put(world.people, {"first_name": "Zed", "last_name": "Lone"}, owner="")
    world.sync()
    lost(world, copied(world))
    if first == "unlink":
        world.engine.unlink(other)
    elif first == "undo":
        world.engine.undo(1)
    else:
        world.engine.link(free, lone)
    world.sync()
    assert "Grace" not in {card["first_name"] for card in world.cards()}
    assert any("older than the last sync" in h["reason"] for h in world.engine.matches())


def test_nor_does_a_newer_copy_that_is_put_back_after_the_older_one(world: World) -> None:
    world.sync()
    old = copied(world)
    for n in range(3):
        world.person(f"P{n}", f"Q{n}")
        world.sync(keep_idle=False)
    newer = copied(world)
    restore(world, old)
    world.sync(keep_idle=False)
    lost(world, newer)
    world.sync()
    assert "Grace" not in {card["first_name"] for card in world.cards()}
    assert len(world.engine.matches()) == 1


def test_nor_a_cycle_that_only_learned_that_both_sides_say_the_same(world: World) -> None:
    card = world.person(job_title="Analyst")
    world.sync()
    record = world.the_record().id
    backup = copied(world)
    world.ecs.edit(card, job_title="Countess")
    world.crm.edit(record, job_title="Countess")
    world.sync(keep_idle=False)
    after(world, backup)
    world.crm.edit(record, job_title="Analyst")
    world.sync()
    assert world.the_record().columns["job_title"] == "Analyst"
    assert [c["column"] for c in world.engine.conflicts()] == ["job_title"]


def test_nor_a_power_cut_in_the_middle_of_a_cycle(world: World) -> None:
    """The write had reached the CRM, and of the state nothing the disk."""
    card = world.person(job_title="Analyst")
    world.sync()
    record = world.the_record().id
    backup = copied(world)
    world.ecs.edit(card, job_title="Countess")
    world.crm.faults.after = dies  # type: ignore[method-assign]
    with pytest.raises(Killed):
        world.sync()
    world.crm.faults = Faults()
    after(world, backup)
    world.crm.edit(record, job_title="Analyst")
    (notice,) = world.sync()["notices"]
    assert "older than the last sync" in notice["message"]
    assert world.the_record().columns["job_title"] == "Analyst"
    assert [c["column"] for c in world.engine.conflicts()] == ["job_title"]
