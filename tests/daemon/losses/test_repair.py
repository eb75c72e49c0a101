"""``crmsync check`` says what is wrong with the state and what it proposes; ``--repair`` does that, no more."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from crmsync.connectors.contract import Side
from crmsync.state.database import State
from crmsync.state.model import Intent
from crmsync.state.tables import snapshots
from tests.daemon.cycle.world import World
from tests.daemon.losses.town import NO_LIMIT


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, limits=NO_LIMIT)
    yield world
    world.close()


def lines(world: World, *, repair: bool = False) -> dict[str, dict[str, Any]]:
    """What is said of the state, by name."""
    said = world.engine.check(repair=repair)["checks"]
    about = ("state", "key", "alice: state", "alice: links", "alice: announced writes")
    return {c["name"]: c for c in said if c["name"] in about}


def other_key(world: World) -> None:
    world.close()
    world.key = b"x" * 32
    world.start()


def test_nothing_is_said_of_a_state_in_order(world: World) -> None:
    world.person()
    world.sync()
    assert list(lines(world)) == ["state"]
    assert list(lines(world, repair=True)) == ["state"]


def test_with_another_key_nothing_is_synced_until_a_person_takes_it(world: World) -> None:
    card = world.person()
    world.person("Grace", "Untagged", tag=False)
    world.sync()
    before = world.the_record()
    other_key(world)
    (error,) = world.sync()["errors"]
    assert (error["code"], "link.key" in error["message"]) == ("state_failed", True)
    (alice,) = world.engine.status()["accounts"]
    assert (alice["light"], "link.key" in alice["notices"][0]) == ("failing", True)
    proposed = lines(world)["key"]
    assert not proposed["ok"]
    assert "backup" in proposed["hint"]
    assert world.sync()["errors"]  # looking has changed nothing
    done = lines(world, repair=True)["key"]
    assert (done["ok"], "1 links" in done["message"]) == (True, True)
    world.record("Grace", "Untagged")  # her card must be found with the new key, too
    report = world.sync()
    assert (report["errors"], report["notices"]) == ([], [])
    assert (len(world.cards()), len(world.contacts())) == (2, 2)
    stamp = world.ecs.read(card).stamp
    assert stamp is not None
    assert stamp.record == before.id
    assert world.engine.signer.verifies("alice", world.ecs.read(card).uid, stamp)
    assert "key" not in lines(world, repair=True)
    world.idle()


def test_people_who_were_forgotten_are_counted_when_a_new_key_is_taken(world: World) -> None:
    world.person()
    world.sync()
    world.engine.forget("ada@example.com")
    other_key(world)
    assert "forget them again" in lines(world, repair=True)["key"]["message"]


def test_a_person_is_not_forgotten_with_the_wrong_key(world: World) -> None:
    from crmsync.state.errors import StateError

    world.person()
    world.sync()
    other_key(world)
    with pytest.raises(StateError, match=r"link\.key"):
        world.engine.forget("ada@example.com")


def test_links_without_a_snapshot_are_compared_anew(world: World) -> None:
    world.person(job_title="Analyst")
    world.sync()
    with world.state.transaction() as tx:
        tx.connection.execute(delete(snapshots))
    assert "1 links have no snapshot" in lines(world)["alice: links"]["message"]
    world.idle()
    assert "1 links are compared anew" in lines(world, repair=True)["alice: links"]["message"]
    assert "alice: links" not in lines(world, repair=True)  # they wait for the sync already
    world.idle()
    assert list(lines(world)) == ["state"]


def test_an_announced_write_that_nothing_waits_for_is_looked_at_again(world: World) -> None:
    """It arrived, and nobody heard the answer: what stands is our own, and no edit of the CRM."""
    card = world.person(job_title="Analyst")
    world.sync()
    with world.state.transaction() as tx:
        (pair,) = tx.pairs.find(card)
        announced = Intent(
            cycle=1,
            account="alice",
            side=Side.CRM,
            collection=world.people,
            action="update",
            item=pair.crm_id,
            columns={"job_title": "Countess"},
            native='{"job_title": "Analyst"}',
            expected=pair.crm_version,
            pair_id=pair.id,
            kind=pair.kind,
            at=world.clock(),
        )
        tx.intents.write([announced, replace(announced, item="long gone", pair_id=None)])
    world.ecs.edit(card, job_title="Countess")
    world.crm.edit(pair.crm_id, job_title="Countess")
    assert "2 writes were announced" in lines(world)["alice: announced writes"]["message"]
    done = lines(world, repair=True)["alice: announced writes"]["message"]
    assert "1 items are looked at in the next sync, 1 announced writes are forgotten" in done
    assert "alice: announced writes" not in lines(world, repair=True)
    world.sync()
    assert world.the_record().columns["job_title"] == "Countess"
    assert list(lines(world)) == ["state"]
    world.idle()


def test_an_account_that_is_being_synced_is_left_alone(world: World) -> None:
    world.person()
    world.sync()
    with world.state.transaction() as tx:
        tx.connection.execute(delete(snapshots))
    other = State.open(f"sqlite:///{world.folder / 'state.db'}", now=world.clock)
    with other.lock("alice"):
        line = lines(world, repair=True)["alice: links"]
    other.close()
    assert (line["ok"], "busy" in line["message"]) == (False, True)
    assert "1 links" in lines(world, repair=True)["alice: links"]["message"]


def test_a_damaged_database_is_said_so(world: World) -> None:
    for number in range(60):
        world.person(f"P{number}", f"Q{number}")
    world.sync()
    world.state.close()
    with (world.folder / "state.db").open("r+b") as file:
        file.seek(4096 * 6)
        file.write(b"\xff" * 4096 * 8)
    world.start()
    line = lines(world)["state"]
    assert (line["ok"], "damaged" in line["message"]) == (False, True)
    assert "crmsync check --repair" in line["hint"]
