"""Links that say what is not so: stamps that were copied, made up, or are another account's, and external ids alike."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crmsync.connectors.contract import Kind, Side, Stamp
from crmsync.connectors.memory.connector import MemorySource
from crmsync.connectors.memory.server import MemoryServer
from crmsync.connectors.memory.traits import crm, groupware
from crmsync.daemon.account import Account, Mailbox
from tests.daemon.cycle.world import World
from tests.daemon.losses.town import NO_LIMIT


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, limits=NO_LIMIT)
    yield world
    world.close()


def with_bob(world: World) -> MemoryServer:
    """A second account of the same CRM login, with an address book of its own."""
    server = MemoryServer(now=world.clock, traits=groupware())
    server.add("Team", Kind.CONTACT)
    mailbox = Mailbox("memory", MemorySource(server, Side.ECS))
    bob = Account("bob", world.login, "bob@example.com", [mailbox], limits=NO_LIMIT)
    world.engine.accounts = {**world.engine.accounts, "bob": bob}
    return server


@pytest.mark.parametrize("known", [True, False])
def test_a_stamp_that_somebody_made_up_links_nothing(world: World, known: bool) -> None:
    """The record it names is another person's, whose columns must not come onto the card."""
    secret = world.record("Secret", "Agent", owner=world.bob, job_title="undercover")
    card = world.person(job_title="Analyst")
    uid = world.ecs.read(card).uid
    forged = Stamp(world.crm.name, secret if known else "contact/none", uid, 7, "f" * 32)
    world.ecs.change(card, stamp=forged)
    report = world.sync()
    assert (report["errors"], report["notices"]) == ([], [])
    assert world.ecs.read(card).columns["job_title"] == "Analyst"
    assert world.crm.read(secret).columns["job_title"] == "undercover"
    assert sorted(str(c["first_name"]) for c in world.contacts()) == ["Ada", "Secret"]
    stamp = world.ecs.read(card).stamp
    assert stamp is not None
    assert stamp.record != secret
    world.idle()


def test_a_stamp_that_was_copied_to_another_card_links_nothing(world: World) -> None:
    card = world.person(job_title="Analyst")
    world.sync()
    other = world.person("Grace", "Hopper", job_title="Admiral")
    world.ecs.change(other, stamp=world.ecs.read(card).stamp)
    world.sync()
    titles = {c["first_name"]: c["job_title"] for c in world.contacts()}
    assert titles == {"Ada": "Analyst", "Grace": "Admiral"}
    world.idle()


def test_a_stamp_whose_record_was_exchanged_links_nothing(world: World) -> None:
    card = world.person(job_title="Analyst")
    target = world.record("Secret", "Agent", owner=world.bob, job_title="undercover")
    world.sync()
    stamp = world.ecs.read(card).stamp
    assert stamp is not None
    world.ecs.change(card, stamp=replace(stamp, record=target, generation=99))
    world.ecs.edit(card, job_title="Countess")
    world.sync()
    assert world.crm.read(target).columns["job_title"] == "undercover"
    assert {c["job_title"] for c in world.contacts()} == {"Countess", "undercover"}


def test_another_accounts_stamp_links_nothing(world: World) -> None:
    """Alice gives Bob her card as it is, stamp and UID included: it is his own from then on."""
    card = world.ecs.read(world.person(job_title="Analyst"))
    world.sync()
    stamped = world.ecs.read(card.id)
    bobs = with_bob(world)
    given = bobs.put("team", {**stamped.columns, "job_title": "Bob's view"}, tags=["CRM"], uid=stamped.uid)
    bobs.change(given, stamp=stamped.stamp)
    record = world.the_record()
    world.sync()
    assert world.ecs.read(card.id).columns["job_title"] == "Analyst"
    assert world.crm.read(record.id).columns["job_title"] == "Analyst"


@pytest.mark.parametrize("prefix_of", ["alice", "bob"])
def test_a_record_with_an_external_id_of_another_item_reaches_nobody_elses_card(
    world: World, prefix_of: str
) -> None:
    """Who may edit a record can write anything into its external id."""
    bobs = with_bob(world)
    card = world.person(job_title="Analyst")
    world.sync()
    key = world.the_record().link
    mine = world.record("Mallory", "Record", owner=world.bob, job_title="mine")
    prefix = world.engine.signer.account_prefix(prefix_of)
    world.crm.change(mine, link=prefix + key[8:] + "x")
    report = world.sync()
    assert report["errors"] == []
    assert world.ecs.read(card).columns["job_title"] == "Analyst"
    assert [c["first_name"] for c in world.cards()] == ["Ada"]
    held = [h["record"] for h in world.engine.matches()]
    assert (len(bobs.all()), held) == ((1, []) if prefix_of == "alice" else (0, [mine]))
    world.idle()


@pytest.mark.parametrize("reads_back", [True, False])
def test_a_record_that_stands_under_our_key_before_we_made_one_is_not_taken_for_ours(
    tmp_path: Path, reads_back: bool
) -> None:
    """Whoever knows a card's UID can guess the rest of the key."""
    world = World(tmp_path, limits=NO_LIMIT, crm_traits=crm(reads_back=reads_back))
    card = world.person(job_title="Analyst")
    planted = world.record("Mallory", "Record", owner=world.bob, job_title="mine")
    uid = world.ecs.read(card).uid
    world.crm.change(planted, link=world.engine.signer.record_key("alice", f"memory:{world.book}", uid))
    for _ in range(3):
        world.sync()
    world.crm.edit(planted, department="evil")
    world.sync()
    held = {(c["column"], c["winner"]) for c in world.engine.conflicts()}
    columns = world.ecs.read(card).columns
    planted_now = world.crm.read(planted).columns
    world.close()
    assert (columns["first_name"], columns["job_title"]) == ("Ada", "Analyst")
    assert planted_now["job_title"] == "mine"
    assert held >= {("first_name", None), ("job_title", None)}


def test_a_stamp_of_ours_does_not_show_what_the_person_may_not_see(world: World) -> None:
    card = world.person(job_title="Analyst")
    world.sync()
    record = world.the_record().id
    world.crm.assign(record, world.bob)
    world.crm.restrict(world.alice, record, read=False)
    world.crm.edit(record, job_title="undercover")
    world.close()
    (world.folder / "state.db").unlink()
    world.start()
    world.sync()
    world.sync()
    assert world.ecs.read(card).columns["job_title"] == "Analyst"
    assert world.crm.read(record).columns["job_title"] == "undercover"
