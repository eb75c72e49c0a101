"""While our state is known to be older than what we have written: what is held, what people then decide, and what the
tool says of it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from crmsync.daemon.operations.finding import NoSuchItem
from crmsync.daemon.plan.terms import Policy
from tests.daemon.cycle.world import World
from tests.daemon.losses.town import NO_LIMIT


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, limits=NO_LIMIT)
    yield world
    world.close()


def saved(world: World) -> bytes:
    world.state.close()  # with nothing left in its log
    return (world.folder / "state.db").read_bytes()


def restore(world: World, backup: bytes | None) -> None:
    """None: it is lost altogether."""
    world.close()
    for file in world.folder.glob("state.db*"):
        if file.is_file():
            file.unlink()
    if backup is not None:
        (world.folder / "state.db").write_bytes(backup)
    world.start()


def standing(world: World) -> dict[str, object]:
    (alice,) = world.engine.status()["accounts"]
    return dict(alice)


def test_a_lost_state_is_said_once_and_shown_until_all_is_decided(world: World) -> None:
    world.person(job_title="Analyst")
    world.record()
    world.sync()
    restore(world, None)
    world.crm.edit(
        next(i.id for i in world.crm.all() if i.columns["first_name"] == "Ada"), job_title="Countess"
    )
    (notice,) = world.sync()["notices"]
    assert (notice["account"], notice["code"]) == ("alice", "state_older")
    assert "made anew" in notice["message"]
    assert "crmsync conflicts" in notice["message"]
    assert world.sync()["notices"] == []
    world.clock.tick(7 * 86400)
    assert standing(world)["notices"] == [notice["message"]]
    (conflict,) = world.engine.conflicts()
    world.engine.resolve(conflict["item"], "job_title", keep="crm")
    world.sync()
    assert standing(world)["notices"] == []
    assert {c.columns["job_title"] for c in world.ecs.all() if c.columns["first_name"] == "Ada"} == {
        "Countess"
    }
    world.idle()


def test_a_dry_run_says_it_too_and_leaves_the_sync_to_say_it_again(world: World) -> None:
    world.person()
    world.sync()
    restore(world, None)
    for options in ({"dry_run": True}, {"dry_run": True}, {}):
        assert [n["code"] for n in world.sync(**options)["notices"]] == ["state_older"]


@pytest.mark.parametrize("lost", ["the last cycles", "everything"])
def test_numbers_of_lost_cycles_are_not_given_out_again(world: World, lost: str) -> None:
    """Logs and people know them: an undo of one of them must not take back what another one did."""
    card = world.person(job_title="Analyst")
    world.sync()
    backup = saved(world)
    world.start()
    world.ecs.edit(card, job_title="Countess")
    (gone,) = (c["id"] for c in world.sync()["cycles"] if c["updated"])
    restore(world, backup if lost == "the last cycles" else None)
    numbers = [c["id"] for c in world.sync()["cycles"]]
    assert min(numbers) > gone
    with pytest.raises(NoSuchItem, match=f"no cycle {gone}"):
        world.engine.undo(gone)
    assert world.the_record().columns["job_title"] == "Countess"


@pytest.mark.parametrize("approve", [True, False])
@pytest.mark.parametrize("gone", ["card", "record"])
def test_a_delete_beside_a_forgotten_edit_is_decided_by_a_person(
    world: World, gone: str, approve: bool
) -> None:
    card = world.person(job_title="Analyst")
    world.sync()
    record = world.the_record().id
    backup = saved(world)
    world.start()
    world.ecs.edit(card, job_title="Countess")
    world.sync()
    restore(world, backup)
    world.ecs.delete(card) if gone == "card" else world.crm.delete(record)
    world.sync()
    world.idle()
    assert len(world.cards()) + len(world.contacts()) == 1
    (held,) = world.engine.deletions()
    assert "older than the last sync" in held["reason"]
    world.engine.decide_deletions(approve=approve)
    world.sync()
    world.sync()
    expected = 0 if approve else 1
    assert (len(world.cards()), len(world.contacts())) == (expected, expected)
    world.idle()


@pytest.mark.parametrize("create", [True, False])
def test_a_record_without_a_card_is_decided_by_a_person(world: World, create: bool) -> None:
    record = world.record()
    world.sync()
    card = world.the_card().id
    restore(world, None)
    world.ecs.delete(card)
    world.sync()
    world.idle()
    assert world.cards() == []
    (held,) = world.engine.matches()
    assert held["record"] == record
    if create:
        world.engine.match_create(record)
    else:
        world.engine.match_ignore(record)
    world.sync()
    assert len(world.cards()) == int(create)
    world.idle()


def test_it_ends_with_the_first_sync_that_has_seen_everything(world: World) -> None:
    card = world.person(job_title="Analyst")
    world.sync()
    restore(world, None)
    world.sync()
    world.record("Edsger", "Dijkstra")  # news
    world.ecs.edit(card, job_title="Countess")
    world.sync()
    assert len(world.cards()) == len(world.contacts()) == 2
    world.crm.edit(
        next(i.id for i in world.crm.all() if i.columns["first_name"] == "Ada"), job_title="Duchess"
    )
    world.ecs.delete(card)
    world.sync()
    assert len(world.cards()) == 2  # the edit wins
    assert world.engine.matches() == world.engine.deletions() == world.engine.conflicts() == []


def test_it_does_not_end_while_a_part_cannot_be_seen(world: World) -> None:
    from crmsync.connectors.errors import Unreachable
    from crmsync.connectors.memory.faults import ALWAYS

    record = world.record()
    world.sync()
    card = world.the_card().id
    restore(world, None)
    world.ecs.delete(card)
    world.crm.faults.fail("changes", Unreachable("no answer"), times=ALWAYS)
    world.sync()
    world.clock.tick(3600)
    world.crm.faults.clear()
    world.sync()
    world.sync()
    assert world.cards() == []
    assert [h["record"] for h in world.engine.matches()] == [record]


def test_what_was_untagged_stays_so_unless_a_person_links_it_by_hand(world: World) -> None:
    record = world.record(job_title="Admiral")
    world.sync()
    card = world.the_card().id
    world.ecs.untag(card, "CRM")
    world.sync()
    restore(world, None)
    world.crm.edit(record, job_title="Commodore")
    world.sync()
    world.idle()
    assert (world.the_card().tags, world.the_card().columns["job_title"]) == (frozenset(), "Admiral")
    world.engine.link(card, record)
    world.sync()
    assert "CRM" in world.the_card().tags


def test_differences_are_held_whatever_the_account_does_with_first_links(tmp_path: Path) -> None:
    world = World(tmp_path, first_link=Policy.ECS)
    world.person(job_title="Analyst")
    world.sync()
    restore(world, None)
    world.crm.edit(world.the_record().id, job_title="Countess")
    world.sync()
    (conflict,) = world.engine.conflicts()
    held = (
        conflict["winner"],
        world.the_card().columns["job_title"],
        world.the_record().columns["job_title"],
    )
    world.close()
    assert held == (None, "Analyst", "Countess")


@pytest.mark.parametrize("nonsense", [b"\xff nonsense", b"restored -1", b"restored 9" + 30 * b"9"])
def test_an_unreadable_witness_is_none(world: World, nonsense: bytes) -> None:
    world.person()
    world.sync()
    (file,) = (world.folder / "witness").iterdir()
    file.write_bytes(nonsense)
    assert world.sync()["notices"] == []
    world.idle()


def test_commits_that_never_reached_the_disk_are_noticed(world: World) -> None:
    """A disk that only says that it has written: after the power cut its newest commits are not there."""
    cards = [world.person(f"P{n}", f"Q{n}", job_title="Analyst") for n in range(3)]
    world.sync()
    backup = saved(world)
    world.start()
    world.ecs.edit(cards[0], job_title="Countess")
    world.person("Late", "Comer")
    world.crm.edit(world.crm.all()[1].id, department="Navy")
    world.sync()
    restore(world, backup)
    report = world.sync()
    assert "older than the last sync: it ends with cycle" in report["notices"][0]["message"]
    assert (report["errors"], world.engine.conflicts(), world.engine.matches()) == ([], [], [])
    assert len(world.cards()) == len(world.contacts()) == 4
    world.clock.tick(timedelta(days=2).total_seconds())
    world.idle()
    assert standing(world)["notices"] == []
