"""What a missing right keeps from the other side is parked with a reason, once, and goes on when the right comes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmsync.connectors.contract import Kind
from crmsync.connectors.memory.traits import crm
from crmsync.daemon.commands.syncing import exit_code
from tests.daemon.cycle.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """The CRM fills in the department by itself: nobody is allowed to write it, and nobody is to blame."""
    world = World(tmp_path, crm_traits=crm(read_only={Kind.CONTACT: frozenset({"department"})}))
    yield world
    world.close()


def lock(world: World, locked: str, *, yes: bool = True) -> None:
    """``locked``: the side that may not be written."""
    if locked == "crm":
        record = world.the_record().id
        world.crm.assign(record, world.bob)
        world.crm.restrict(world.alice, record, edit=not yes, delete=not yes)
    else:
        world.ecs.protect(world.book, writable=not yes)


def edit(world: World, locked: str, **columns: str | None) -> None:
    """By a person, on the side from which it cannot go on."""
    if locked == "crm":
        world.ecs.edit(world.the_card().id, columns)
    else:
        world.crm.edit(world.the_record().id, columns)


def shown(world: World, locked: str, column: str) -> object:
    """On the side that cannot be written."""
    item = world.the_record() if locked == "crm" else world.the_card()
    return item.columns[column]


def prepared(world: World, locked: str) -> None:
    world.person(job_title="Analyst", phone_mobile="+1 555 0100")
    world.sync()
    lock(world, locked)
    world.sync()
    assert world.engine.queue() == []


both = pytest.mark.parametrize("locked", ["ecs", "crm"])


@both
def test_an_edit_that_may_not_go_on_is_parked_with_a_reason(world: World, locked: str) -> None:
    prepared(world, locked)
    edit(world, locked, job_title="Countess")
    report = world.sync()
    assert sum(c["parked"] for c in report["cycles"]) == 1
    (error,) = report["errors"]
    assert (error["item"], error["retry"]) == (world.the_card().id, False)
    assert error["code"] == {"ecs": "read_only", "crm": "forbidden"}[locked]
    whose = {"ecs": "“Contacts”", "crm": "alice@example.com"}[locked]
    for word in (whose, "job_title", "crmsync retry", "write access" if locked == "ecs" else "administrator"):
        assert word in error["message"]
    assert "Countess" not in error["message"], "what people wrote is no part of a message"
    (standing,) = world.engine.status()["accounts"]
    assert (standing["light"], standing["parked"]) == ("failing", 1)
    assert exit_code(report, [standing]) == 1
    (row,) = world.engine.queue()
    assert (row["state"], row["code"], row["error"]) == ("parked", error["code"], error["message"])
    for id in (world.the_card().id, world.the_record().id):
        (queued,) = world.engine.explain(id)["queue"]
        assert (queued["state"], queued["error"]) == ("parked", error["message"])
    assert len(world.engine.rejected()) == 1


@both
def test_it_is_said_once(world: World, locked: str) -> None:
    prepared(world, locked)
    edit(world, locked, job_title="Countess")
    world.sync()
    for full in (False, False, True, True):
        report = world.sync(full=full)
        assert (report["errors"], report["writes"]) == ([], 0)
        assert [c["parked"] for c in report["cycles"]] == [0] * len(report["cycles"])
    assert len(world.engine.queue()) == 1


@both
def test_a_retry_without_the_right_parks_it_again(world: World, locked: str) -> None:
    prepared(world, locked)
    edit(world, locked, job_title="Countess")
    world.sync()
    assert world.engine.retry([world.the_card().id]) == {"retried": 1}
    report = world.sync()
    assert sum(c["parked"] for c in report["cycles"]) == len(report["errors"]) == 1
    assert len(world.engine.queue()) == 1


@both
@pytest.mark.parametrize("how", ["retried", "changed again"])
def test_with_the_right_it_goes_through(world: World, locked: str, how: str) -> None:
    prepared(world, locked)
    edit(world, locked, job_title="Countess")
    world.sync()
    lock(world, locked, yes=False)
    if how == "retried":
        world.engine.retry([world.the_record().id])
    else:
        edit(world, locked, phone_mobile="+1 555 0199")
    assert world.sync()["errors"] == []
    assert shown(world, locked, "job_title") == "Countess"
    assert world.engine.queue() == []
    world.idle()


@both
def test_an_edit_that_is_taken_back_is_no_longer_parked(world: World, locked: str) -> None:
    prepared(world, locked)
    edit(world, locked, job_title="Countess")
    world.sync()
    edit(world, locked, job_title="Analyst")
    assert world.sync()["errors"] == []
    assert world.engine.queue() == []
    world.idle()


@both
def test_nothing_to_be_written_is_nothing_to_be_parked(world: World, locked: str) -> None:
    """Not for a touch, not for an edit in the other direction, not for a column that is not exchanged."""
    prepared(world, locked)
    item, server = (world.the_card(), world.ecs) if locked == "crm" else (world.the_record(), world.crm)
    server.touch(item.id)
    edit(world, locked, notes="nobody's business")
    edit(world, "ecs" if locked == "crm" else "crm", job_title="Countess")
    assert world.sync()["errors"] == []
    assert world.the_card().columns["job_title"] == world.the_record().columns["job_title"] == "Countess"
    assert world.engine.queue() == []


@both
def test_the_other_direction_goes_on_while_it_is_parked(world: World, locked: str) -> None:
    prepared(world, locked)
    edit(world, locked, job_title="Countess")
    world.sync()
    edit(world, "ecs" if locked == "crm" else "crm", phone_mobile="+1 555 0199")
    report = world.sync()
    assert report["errors"] == []
    assert world.the_card().columns["phone_mobile"] == world.the_record().columns["phone_mobile"]
    assert [row["state"] for row in world.engine.queue()] == ["parked"]


@both
def test_an_edit_of_the_same_column_on_the_other_side_that_wins_ends_it(world: World, locked: str) -> None:
    prepared(world, locked)
    edit(world, locked, job_title="Countess")
    world.sync()
    world.clock.tick()
    edit(world, "ecs" if locked == "crm" else "crm", job_title="Enchantress")
    report = world.sync()
    assert report["errors"] == []
    assert world.the_card().columns["job_title"] == world.the_record().columns["job_title"] == "Enchantress"
    assert world.engine.queue() == []
    (conflict,) = world.engine.conflicts()
    assert "Countess" in (conflict["ecs"], conflict["crm"])
    world.idle()


@both
def test_when_the_parked_column_was_changed_is_not_forgotten(world: World, locked: str) -> None:
    """Else an edit of another column would make it the later one."""
    prepared(world, locked)
    edit(world, locked, job_title="Countess")
    world.sync()
    world.clock.tick()
    edit(world, "ecs" if locked == "crm" else "crm", job_title="Enchantress")
    world.clock.tick()
    edit(world, locked, phone_mobile="+1 555 0199")
    world.sync()
    assert world.the_card().columns["job_title"] == world.the_record().columns["job_title"] == "Enchantress"


def test_a_column_that_is_nobodys_to_write_is_no_fault(world: World) -> None:
    card = world.person(department="Engines")
    world.sync()
    world.ecs.edit(card, department="Maths")
    assert world.sync()["errors"] == []
    assert world.engine.queue() == []
    world.idle()


@both
def test_what_a_person_decided_is_not_taken_for_done(world: World, locked: str) -> None:
    world.person(job_title="Analyst")
    record = world.record("Ada", "Lovelace", job_title="Countess")
    world.sync()
    assert [c["winner"] for c in world.engine.conflicts()] == [None]
    lock(world, locked)
    world.engine.resolve(record, "job_title", keep="crm" if locked == "ecs" else "ecs")
    report = world.sync()
    assert [e["code"] for e in report["errors"]] == [{"ecs": "read_only", "crm": "forbidden"}[locked]]
    lock(world, locked, yes=False)
    world.engine.retry()
    assert world.sync()["errors"] == []
    assert world.the_card().columns["job_title"] == world.the_record().columns["job_title"]
    assert shown(world, locked, "job_title") == ("Countess" if locked == "ecs" else "Analyst")
    world.idle()


@both
def test_a_dry_run_says_that_it_would_be_parked(world: World, locked: str) -> None:
    prepared(world, locked)
    edit(world, locked, job_title="Countess")
    (line,) = world.sync(dry_run=True)["plan"]
    assert (line["action"], line["side"], line["columns"]) == ("park", locked, ["job_title"])
    assert line["reason"]
    assert world.engine.queue() == []


@both
def test_a_parked_item_that_is_unlinked_is_out_of_the_table(world: World, locked: str) -> None:
    prepared(world, locked)
    edit(world, locked, job_title="Countess")
    world.sync()
    world.ecs.untag(world.the_card().id, "CRM")
    assert world.sync()["errors"] == []
    assert world.engine.queue() == []


def test_a_parked_item_that_follows_a_merge_in_the_crm_stays_findable(world: World) -> None:
    prepared(world, "ecs")
    edit(world, "ecs", job_title="Countess")
    world.sync()
    survivor = world.record("Augusta", "King", owner=world.bob, job_title="Countess")
    world.crm.merge(world.the_card().stamp.record, survivor)
    world.sync()
    (row,) = world.engine.queue()
    assert (row["item"], row["state"]) == (world.the_card().id, "parked"), "the old id is nobody's any more"
    lock(world, "ecs", yes=False)
    world.engine.retry()
    world.sync()
    assert world.engine.queue() == []
