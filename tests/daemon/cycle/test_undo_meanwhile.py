"""What a person has changed meanwhile, and no sync has looked at yet, is not taken for the undo's own write."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crmsync.connectors.contract import Kind, Side
from crmsync.daemon.operations.undo_columns import still_written
from crmsync.state.model import Action, Entry
from tests.daemon.cycle.world import World
from tests.daemon.machine.house import House
from tests.daemon.machine.trouble import Killed


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, people=["alice"], books=["Contacts"])
    yield made
    made.close()


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


def dies_in_a_sync(house: House, where: str) -> None:
    """When its write has arrived there, and nobody has heard of it."""
    house.clock.tick()
    house.fate.kill(at=lambda p: (p.what, p.where, p.after) == ("update", where, True))
    with pytest.raises(Killed):
        house.engine.sync()
    house.restart()


@pytest.mark.parametrize("side", Side)
def test_what_an_interrupted_sync_has_carried_over_stays(house: House, side: Side) -> None:
    """Its write is announced like one of an undo that was interrupted, and is none."""
    card = house.person()
    house.sync()
    record = house.the_record().id

    def edits(**columns: str) -> None:
        if side is Side.ECS:
            house.crm.edit(record, **columns)
        else:
            house.ecs.edit(card, **columns)

    edits(job_title="Analyst", company="Babbage")
    house.sync()
    cycle = max(e["cycle"] for e in house.engine.item_history(card) if e["column"] == "job_title")
    edits(job_title="Countess", department="Navy")
    dies_in_a_sync(house, "alice" if side is Side.ECS else "crm")
    answer = house.engine.undo(cycle)
    written = house.the_card().columns if side is Side.ECS else house.the_record().columns
    assert (written["job_title"], written["company"], written["department"]) == ("Countess", None, "Navy")
    assert [(k["column"], k["reason"]) for k in answer["kept"]] == [("job_title", "changed by someone since")]
    report = house.sync()
    assert report["errors"] == []
    shown = [
        (c["job_title"], c["department"]) for c in (house.the_card().columns, house.the_record().columns)
    ]
    assert shown == [("Countess", "Navy")] * 2
    (conflict,) = [c for c in house.engine.conflicts() if not c["resolved"]]
    assert conflict["column"] == "company"
    house.idle()
    told = {e["column"] for e in house.engine.item_history(card) if e["new"] in ("Countess", "Navy")}
    assert told == {"job_title", "department"}


@pytest.mark.parametrize("back", [False, True], ids=["moved", "moved, and back before anybody looked"])
def test_an_edit_is_undone_where_its_card_is_by_now(tmp_path: Path, back: bool) -> None:
    """And its line of the history says where that was."""
    house = House(tmp_path, people=["alice"])
    card = house.person(job_title="Analyst")
    house.sync()
    house.crm.edit(house.the_record().id, job_title="Countess")
    (cycle, *_) = (c["id"] for c in house.sync()["cycles"] if c["updated"])
    there = house.ecs.move(card, house.second)
    house.sync()
    if back:
        there = house.ecs.move(there, house.book)
    answer = house.engine.undo(cycle)
    assert (answer["undone"], answer["kept"]) == (1, [])
    house.sync()
    assert house.ecs.read(there).columns["job_title"] == "Analyst"
    with house.state.reading() as tx:
        told = [e.ecs_id for e in tx.history.find(there) if e.reason == f"undo of cycle {cycle}"]
    assert told == [there]
    house.close()


def written_again(house: House, item: str, value: str) -> int:
    """The last cycle that wrote this job title, or the item."""
    with house.state.reading() as tx:
        wrote = [e for e in tx.history.find(item) if e.action in ("create", "update")]
    return max(e.cycle for e in wrote if (e.column, e.new) in (("", None), ("job_title", value)))


@pytest.mark.parametrize("again", ["edited", "made again"])
def test_what_a_later_cycle_has_written_again_stays(house: House, again: str) -> None:
    """It is the same value, and no longer the work of the cycle that is undone a second time."""
    card = house.person(job_title="Analyst")
    house.sync()
    record = house.the_record().id
    house.crm.edit(record, job_title="Countess")
    (cycle, *_) = (c["id"] for c in house.sync()["cycles"] if c["updated"])
    assert house.engine.undo(cycle)["undone"] == 1
    if again == "edited":
        house.crm.edit(record, job_title="Baroness")
        house.sync()
        house.crm.edit(record, job_title="Countess")
    else:
        house.crm.edit(record, department="Navy")
        house.ecs.delete(card)
    house.sync()
    later = written_again(house, house.the_card().id, "Countess")
    answer = house.engine.undo(cycle)
    assert (answer["undone"], [k["column"] for k in answer["kept"]]) == (0, ["job_title"])
    assert answer["kept"][0]["reason"] == f"written since by cycle {later}"
    assert house.the_card().columns["job_title"] == "Countess"
    house.sync()
    house.idle()


U, C, D = Action.UPDATE, Action.CREATE, Action.DELETE


@pytest.mark.parametrize(
    ("lines", "stands"),
    [
        ([], {}),
        ([(3, U, "job", "")], {"job": 3}),
        ([(3, U, "job", ""), (4, U, "job", "")], {"job": 4}),
        ([(3, U, "job", ""), (4, U, "team", "")], {"job": 3, "team": 4}),
        ([(3, U, "job", ""), (4, U, "job", "undo of cycle 3")], {}),
        ([(3, U, "job", ""), (4, U, "job", "undo of cycle 3 (an admin)")], {}),
        ([(3, U, "job", ""), (4, U, "job", "undo of cycle 3"), (5, U, "job", "undo of cycle 4")], {"job": 3}),
        (
            [
                (3, U, "job", ""),
                (4, U, "job", "undo of cycle 3"),
                (5, U, "job", "undo of cycle 4"),
                (6, U, "job", "undo of cycle 5"),
            ],
            {},
        ),
        ([(3, U, "job", ""), (4, U, "job", ""), (5, U, "job", "undo of cycle 4")], {"job": 3}),
        ([(3, U, "job", ""), (4, U, "team", "undo of cycle 3")], {"job": 3, "team": 4}),
        ([(3, U, "job", "undo of cycle 2")], {"job": 3}),
        ([(3, U, "job", "undo of cycle 2"), (4, U, "job", "undo of cycle 3")], {}),
        ([(3, C, "", "deleted, but edited in the CRM")], {"": 3}),
        ([(3, D, "", "deleted in the CRM"), (4, C, "", "undo of cycle 3; made again")], {}),
        ([(3, D, "", "deleted in the CRM"), (3, D, "job", "deleted in the CRM")], {}),
    ],
)
def test_what_later_cycles_wrote_and_nobody_has_undone(
    lines: list[tuple[int, Action, str, str]], stands: dict[str, int]
) -> None:
    here = {
        "account": "alice",
        "kind": Kind.CONTACT,
        "side": Side.ECS,
        "at": datetime(2026, 1, 1, tzinfo=UTC),
    }
    history = [Entry(cycle=n, action=a, column=c, reason=r, **here) for n, a, c, r in lines]  # type: ignore[arg-type]
    assert still_written(history) == stands


def test_cycles_are_undone_one_after_the_other(house: House) -> None:
    """The last one first: what the undo of a later cycle has put back is what the earlier one wrote."""
    house.person(job_title="Analyst")
    house.sync()
    record = house.the_record().id
    cycles = []
    for title in ("Countess", "Baroness"):
        house.crm.edit(record, job_title=title)
        cycles += [c["id"] for c in house.sync()["cycles"] if c["updated"]]
    for cycle, stands in zip(reversed(cycles), ("Countess", "Analyst"), strict=True):
        assert house.engine.undo(cycle)["undone"] == 1
        assert house.the_card().columns["job_title"] == stands
