"""The rules that make a sync trustworthy, each by itself: what is looked at only where it is broken.

Most of them are kept by the other tests as well; here the first thing that fails says which one it was.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.contract import Deferred, Side
from crmsync.connectors.errors import Unreachable
from crmsync.connectors.memory.traits import EVERYTHING, crm, groupware, shorten
from tests.daemon.cycle.world import World
from tests.daemon.machine.house import House
from tests.daemon.machine.trouble import Killed, Point

WITHOUT_BIRTHDAYS = {kind: columns - {"birthday"} for kind, columns in EVERYTHING.items()}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def world(**options: object) -> World:
        worlds.append(World(tmp_path, **options))
        return worlds[-1]

    yield world
    for one in worlds:
        one.close()


@pytest.fixture
def world(make: Callable[..., World]) -> World:
    return make()


# ── Nothing is acknowledged before it is durable ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("side", list(Side))
def test_what_was_detected_is_on_disk_before_the_cursor(tmp_path: Path, side: Side) -> None:
    """Killed after each commit of the sync that finds an edit, in turn: the edit arrives all the same."""
    commit: Callable[[Point], bool] = lambda p: (p.what, p.after) == ("commit", True)  # noqa: E731
    for number in range(6):
        (tmp_path / str(number)).mkdir()
        house = House(tmp_path / str(number))
        card = house.person(job_title="Analyst")
        house.sync()
        house.sync()
        if side is Side.ECS:
            house.ecs.edit(card, job_title="Countess")
        else:
            house.crm.edit(house.the_record().id, job_title="Countess")
        house.fate.kill(at=commit, skip=number)
        try:
            house.sync()
        except Killed:
            house.restart()
        house.fate.clear()
        house.sync()
        titles = house.the_card().columns["job_title"], house.the_record().columns["job_title"]
        house.close()
        assert titles == ("Countess", "Countess"), f"killed after commit {number}"


def test_the_cursor_of_a_listing_that_broke_off_is_not_kept(make: Callable[..., World]) -> None:
    """Whoever went on from there would never compare the whole listing with what is linked."""
    world = make(ecs=groupware(page=2, tombstones=False))
    cards = [world.person(name) for name in ("Ada", "Bea", "Cid", "Dan", "Eve")]
    world.sync()
    world.ecs.delete(cards[0])
    world.ecs.expire_cursors()
    world.ecs.faults.fail("changes", Unreachable("down"), skip=2)
    assert world.sync()["errors"]
    world.sync()
    assert len(world.contacts()) == 4


def test_what_is_detected_while_its_item_is_being_synced_stays_due(tmp_path: Path) -> None:
    """Another account's poll finds the next edit of a record while the one before is still on its way to the card."""
    house = House(tmp_path)
    house.person(job_title="Analyst")
    house.sync()
    record = house.the_record().id
    house.crm.edit(record, job_title="Countess")

    def edited_and_polled(point: Point) -> None:
        house.crm.edit(record, department="Navy")
        house.engine.sync(["bob"])

    house.fate.plan(edited_and_polled, at=lambda p: (p.where, p.what, p.after) == ("alice", "update", True))
    house.sync()
    house.sync()
    assert house.the_card().columns["department"] == "Navy"
    house.close()


# ── No delete without proof ──────────────────────────────────────────────────────────────────────────────────


def test_a_deleted_card_takes_no_record_of_somebody_else_with_it(world: World) -> None:
    card = world.person()
    world.sync()
    world.crm.assign(world.the_record().id, world.bob)
    world.sync()
    world.ecs.delete(card)
    world.sync()
    assert len(world.contacts()) == 1


def test_a_deleted_card_takes_no_record_with_it_that_another_account_links(tmp_path: Path) -> None:
    house = House(tmp_path)
    card = house.person()
    house.sync()
    bobs = house.boxes["bob"]
    bobs.put("team", house.the_card().columns, tags=["CRM"])
    house.sync()
    assert len(house.contacts()) == 1
    house.ecs.delete(card)
    house.sync()
    assert len(house.contacts()) == 1
    house.close()


# ── No create without a match ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["made up", "copied"])
def test_a_stamp_that_is_not_ours_links_nothing(world: World, how: str) -> None:
    """A made up one names a record of its maker's choice; a copied one stands on another item than it was made for."""
    world.person()
    world.sync()
    record, stamp = world.the_record().id, world.the_card().stamp
    uid = "uid-of-eve" if how == "made up" else stamp.uid
    forged = replace(stamp, uid=uid, mac="0" * len(stamp.mac) if how == "made up" else stamp.mac)
    eve = world.person("Eve", "Other")
    world.ecs.change(eve, uid="uid-of-eve", stamp=forged)
    _lose_state(world, keep=eve)
    world.sync()
    world.sync()
    assert world.crm.read(record).columns["first_name"] == "Ada"
    with world.state.reading() as tx:
        assert [p for p in tx.pairs.listing("alice") if (p.ecs_id, p.crm_id) == (eve, record)] == []
    if how == "made up":  # it may be of a key that was lost with the state: a person says
        assert {m["item"] for m in world.engine.matches()} >= {eve}
    else:
        assert len(world.contacts()) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"mac": "é"},
        {"mac": "", "record": "x" * 10_000, "generation": 10**18 - 1},
        {"mac": "\ud800", "record": "\ud800", "organisation": "\x00"},
    ],
    ids=["not ASCII", "too long", "no text"],
)
def test_whatever_stands_in_a_stamp_it_holds_up_nobody(world: World, wrong: dict[str, Any]) -> None:
    """Anybody who may write to an address book may write one."""
    world.person()
    world.sync()
    stamp = world.the_card().stamp
    eve = world.person("Eve", "Other")
    world.ecs.change(eve, uid="uid-of-eve", stamp=replace(stamp, uid="uid-of-eve", **wrong))
    world.person("Grace", "Hopper")
    world.sync()
    world.sync()
    assert "Grace" in {columns["first_name"] for columns in world.contacts()}


def _lose_state(world: World, keep: str) -> None:
    """And the item that the stamp was made for, so that only the other one is there to claim the record."""
    for item in world.ecs.all(world.book):
        if item.id != keep:
            world.ecs.delete(item.id)
    world.close()
    (world.folder / "state.db").unlink()
    world.start()


# ── What is an edit, and what is not ─────────────────────────────────────────────────────────────────────────


def test_what_one_side_did_not_take_is_tried_again(world: World) -> None:
    card = world.person(job_title="Analyst")
    world.sync()
    world.ecs.edit(card, job_title="Countess")
    world.crm.faults.answer(world.the_record().id, lambda id: Deferred(id, "locked", 20.0))
    world.sync()
    assert world.the_record().columns["job_title"] == "Analyst"
    world.clock.tick(3600)
    world.sync()
    assert world.the_record().columns["job_title"] == world.the_card().columns["job_title"] == "Countess"


@pytest.mark.parametrize("side", list(Side))
def test_our_own_writes_are_not_looked_at_again(world: World, side: Side) -> None:
    """One look at the item, to merge it with what its partner is known to show; the echo of the write costs none."""
    card = world.person(job_title="Analyst")
    world.sync()
    if side is Side.ECS:
        world.crm.edit(world.the_record().id, job_title="Countess")
    else:
        world.ecs.edit(card, job_title="Countess")
    before = _fetches(world)
    assert world.sync()["writes"] == 1
    assert _fetches(world) == before + 1


def test_an_echo_that_comes_without_its_version_costs_no_look_at_the_item(make: Callable[..., World]) -> None:
    world = make(crm_traits=crm(tells_version=False, whole_changes=True))
    card = world.person(job_title="Analyst")
    world.sync()
    world.ecs.edit(card, job_title="Countess")
    before = world.ecs.faults.calls["fetch"]
    assert world.sync()["writes"] == 1
    assert world.ecs.faults.calls["fetch"] == before + 1  # for the edit itself


def _fetches(world: World) -> int:
    return world.ecs.faults.calls["fetch"] + world.crm.faults.calls["fetch"]


@pytest.mark.parametrize("when", ["never had", "no longer has"])
def test_a_crm_without_birthdays_erases_none(make: Callable[..., World], when: str) -> None:
    poor, born = crm(columns=WITHOUT_BIRTHDAYS), date(1815, 12, 10)
    world = make(crm_traits=poor if when == "never had" else crm())
    card = world.person(birthday=born)
    world.sync()
    world.crm.traits = poor
    world.close()
    world.start()
    world.ecs.edit(card, job_title="Countess")
    world.sync()
    world.crm.edit(world.the_record().id, department="Poetry")
    world.sync()
    assert world.the_card().columns["department"] == "Poetry"
    assert world.the_card().columns["birthday"] == born


def test_what_the_crm_cuts_off_is_no_edit(make: Callable[..., World]) -> None:
    world = make(crm_traits=crm(rewrites={"job_title": shorten(5)}))
    card = world.person(job_title="Countess of Lovelace")
    world.sync()
    world.ecs.edit(card, department="Poetry")
    world.sync()
    world.crm.touch(world.the_record().id)
    world.sync()
    assert world.the_card().columns["job_title"] == "Countess of Lovelace"
    assert world.engine.conflicts() == []


# ── Whose turn it is ─────────────────────────────────────────────────────────────────────────────────────────


def test_an_item_that_keeps_failing_is_parked_after_its_last_attempt(world: World) -> None:
    card = world.person(job_title="Analyst")
    world.sync()
    world.ecs.edit(card, job_title="Countess")
    budget = world.engine.retries.budget
    world.crm.faults.answer(world.the_record().id, lambda id: Deferred(id, "locked"), times=budget)
    for _ in range(budget):
        world.clock.tick(3600)
        world.sync()
    (row,) = world.engine.queue()
    assert (row["state"], row["attempts"]) == ("parked", budget)


def test_an_account_that_another_process_syncs_is_left_alone(world: World) -> None:
    world.person()
    with world.state.lock("alice"):
        report = world.sync()
    assert [e["code"] for e in report["errors"]] == ["busy"]
    assert world.contacts() == []


# ── What people may see, and what they did since ─────────────────────────────────────────────────────────────


def test_undo_leaves_alone_what_people_have_changed_since(world: World) -> None:
    card = world.person(job_title="Analyst", department="Engines")
    world.sync()
    world.crm.edit(world.the_record().id, job_title="Oops", department="Oops")
    report = world.sync()
    world.ecs.edit(card, job_title="Countess")
    answer = world.engine.undo(next(c["id"] for c in report["cycles"] if c["updated"]))
    assert [k["column"] for k in answer["kept"]] == ["job_title"]
    columns = world.the_card().columns
    assert (columns["job_title"], columns["department"]) == ("Countess", "Engines")


def test_undo_of_a_create_leaves_alone_what_people_have_changed_since(world: World) -> None:
    world.person()
    report = world.sync()
    world.crm.edit(world.the_record().id, job_title="Countess")
    answer = world.engine.undo(report["cycles"][0]["id"])
    assert len(answer["kept"]) == 1
    assert len(world.contacts()) == 1


def test_a_record_that_its_user_may_no_longer_see_is_unlinked_and_not_read(world: World) -> None:
    world.person(job_title="Analyst")
    world.sync()
    record = world.the_record().id
    world.crm.assign(record, world.bob)
    world.crm.restrict(world.alice, record, read=False)
    world.crm.edit(record, job_title="Secret")
    world.sync()
    assert world.the_card().columns["job_title"] == "Analyst"
    assert len(world.contacts()) == 1


def test_a_record_that_the_user_may_not_see_is_no_partner(world: World) -> None:
    record = world.record("Ada", "Lovelace", owner=world.bob, job_title="Secret")
    world.crm.restrict(world.alice, record, read=False)
    world.person()
    world.sync()
    assert world.the_card().columns.get("job_title") is None
    assert len(world.contacts()) == 2
