"""The hard cases: races, lost answers, moves, storms in slices, several accounts on one login, restored states."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.contract import Kind, Side
from crmsync.connectors.errors import ProtocolError, Throttled, Unreachable
from crmsync.connectors.memory.connector import MemorySource
from crmsync.connectors.memory.faults import ALWAYS
from crmsync.connectors.memory.server import MemoryServer
from crmsync.connectors.memory.traits import crm, groupware
from crmsync.daemon.account import Account, Mailbox
from crmsync.daemon.operations.finding import NoSuchItem
from tests.daemon.cycle.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def down() -> Unreachable:
    return Unreachable("down")


def two_accounts(world: World, **bob: Any) -> MemoryServer:
    ecs2 = MemoryServer(now=world.clock, traits=groupware(), name="bobs")
    ecs2.add("Contacts", Kind.CONTACT)
    attach_bob(world, ecs2, **bob)
    return ecs2


def attach_bob(world: World, ecs2: MemoryServer, **bob: Any) -> None:
    account = Account(
        "bob", world.login, "bob@example.com", [Mailbox("memory", MemorySource(ecs2, Side.ECS))], **bob
    )
    world.engine.accounts = {"alice": world.account, "bob": account}


def restart(world: World) -> None:
    world.close()
    world.start()


# ── retag after the record is gone deletes the person's card ───────────────────────────────────────────────


def test_tagging_again_after_the_record_was_deleted_does_not_delete_the_card(world: World) -> None:
    card = world.person()
    world.sync()
    world.ecs.untag(card, "CRM")
    world.sync()
    world.crm.delete(world.the_record().id)
    world.sync()
    world.ecs.tag(card, "CRM")
    world.sync()
    assert len(world.cards()) == 1
    assert len(world.contacts()) == 1


def test_tagging_again_after_undo_of_a_create(world: World) -> None:
    card = world.person()
    report = world.sync()
    world.engine.undo(report["cycles"][0]["id"])
    world.sync()
    world.ecs.untag(card, "CRM")
    world.sync()
    world.ecs.tag(card, "CRM")
    world.sync()
    assert len(world.cards()) == 1


# ── the poll of one account swallows new records of another ────────────────────────────────────────────────


def test_a_record_for_bob_is_not_lost_when_alice_polls_first_after_a_restart(world: World) -> None:
    ecs2 = two_accounts(world)
    world.sync()
    restart(world)
    attach_bob(world, ecs2)
    world.record(owner=world.bob)
    world.sync(names=["alice"])
    world.sync(names=["bob"])
    assert len(ecs2.all("contacts")) == 1


# ── dry run deadlock ───────────────────────────────────────────────────────────────────────────────────────


def test_a_dry_run_beside_a_sync_of_another_account_does_not_deadlock(world: World) -> None:
    two_accounts(world)
    world.person()
    world.sync()
    inside, go = threading.Event(), threading.Event()
    real = world.crm.faults.before

    def before(operation: str, detail: str) -> None:
        if operation == "changes" and threading.current_thread().name == "cycle":
            inside.set()
            go.wait(60)
        real(operation, detail)

    world.crm.faults.before = before  # type: ignore[method-assign]
    world.record()
    cycle = threading.Thread(target=lambda: world.engine.sync(["alice"]), name="cycle", daemon=True)
    cycle.start()
    assert inside.wait(60)
    dry = threading.Thread(target=lambda: world.engine.sync(["bob"], dry_run=True), daemon=True)
    dry.start()
    time.sleep(1.0)  # let it take the writer's turn and wait for the CRM's lock
    go.set()
    cycle.join(60)
    dry.join(60)
    assert not cycle.is_alive()
    assert not dry.is_alive()


# ── moved into a collection that fails just now ────────────────────────────────────────────────────────────


def test_an_item_moved_to_a_collection_that_fails_now_is_not_deleted_in_the_crm(tmp_path: Path) -> None:
    world = World(tmp_path)
    other = world.ecs.add("Second", Kind.CONTACT).id
    card = world.person()
    world.sync()
    world.ecs.move(card, other)
    world.ecs.faults.fail("changes", down(), detail=other, times=1)
    world.sync()
    left = len(world.contacts())
    world.close()
    assert left == 1


# ── two sources with the same collection path ──────────────────────────────────────────────────────────────


def test_two_mailboxes_with_the_same_collection_id_do_not_delete_each_others_items(world: World) -> None:
    world.person()
    world.sync()
    assert len(world.contacts()) == 1
    ecs2 = MemoryServer(now=world.clock, traits=groupware(), name="second")
    ecs2.add("Contacts", Kind.CONTACT)
    world.account.mailboxes = [world.mailbox, Mailbox("memory", MemorySource(ecs2, Side.ECS))]
    for _ in range(3):
        world.sync()
        world.engine.reconcile()
    assert len(world.contacts()) == 1


# ── guard: stale decisions ─────────────────────────────────────────────────────────────────────────────────


def test_a_hold_that_was_overtaken_does_not_let_a_later_storm_through(world: World) -> None:
    cards = [world.person(f"P{i}", f"Q{i}") for i in range(12)]
    world.sync()
    for card in cards[:6]:
        world.ecs.untag(card, "CRM")
    world.sync()
    assert len(world.engine.deletions()) == 6
    for card in cards[:6]:
        world.ecs.tag(card, "CRM")
    world.sync()
    assert world.engine.deletions() == []  # nothing is left to decide


def test_approving_unlinks_does_not_approve_deletes(world: World) -> None:
    cards = [world.person(f"P{i}", f"Q{i}") for i in range(12)]
    world.sync()
    for card in cards[:6]:
        world.ecs.untag(card, "CRM")
    world.sync()
    world.engine.decide_deletions(approve=True)
    for card in cards[:6]:
        world.ecs.tag(card, "CRM")
        world.ecs.delete(card)
    world.sync()
    assert len(world.contacts()) == 12  # a storm of deletes is another storm than the one that was approved


def test_held_deletes_count_against_the_threshold(world: World) -> None:
    cards = [world.person(f"P{i}", f"Q{i}") for i in range(40)]
    world.sync()
    for card in cards[:20]:
        world.ecs.delete(card)
    world.sync()
    assert len(world.contacts()) == 40
    for card in cards[20:30]:
        world.ecs.delete(card)
    world.sync()
    assert len(world.contacts()) == 40


def test_held_deletes_do_not_make_room_for_more(world: World) -> None:
    """11 held and 1 more are 12 of 40: what is held is still linked, and no part of a larger whole."""
    cards = [world.person(f"P{i}", f"Q{i}") for i in range(40)]
    world.sync()
    for card in cards[:11]:
        world.ecs.delete(card)
    world.sync()
    world.ecs.delete(cards[11])
    world.sync()
    assert len(world.engine.deletions()) == 12
    assert len(world.contacts()) == 40


def test_what_a_person_was_asked_about_waits_for_the_answer(world: World) -> None:
    """10 of 40 alone would be no storm, but they were part of one, and nobody has said yet that they may go."""
    cards = [world.person(f"P{i}", f"Q{i}") for i in range(40)]
    world.sync()
    for card in cards[:11]:
        world.ecs.untag(card, "CRM")
    world.sync()
    world.ecs.tag(cards[0], "CRM")
    world.sync()
    reasons = {held["reason"] for held in world.engine.deletions()}
    for card in cards[1:11]:
        world.ecs.touch(card)
    assert world.sync()["cycles"][0]["held"] == 10
    assert len(world.engine.deletions()) == 10
    assert {held["reason"] for held in world.engine.deletions()} == reasons
    assert {row["error"] for row in world.engine.queue()} == reasons


def test_a_rejected_delete_is_not_carried_out_because_putting_back_failed_once(world: World) -> None:
    cards = [world.person(f"P{i}", f"Q{i}") for i in range(12)]
    world.sync()
    for card in cards[:4]:
        world.ecs.delete(card)
    world.sync()
    assert len(world.engine.deletions()) == 4
    world.engine.decide_deletions(approve=False)
    world.ecs.faults.fail("create", down(), times=2)
    for _ in range(4):
        world.clock.tick(3600)
        world.sync()
    assert len(world.contacts()) == 12


# ── repeated create with other columns ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("searchable", [False, True])
@pytest.mark.parametrize("reads_back", [False, True])
def test_an_edit_between_a_create_whose_answer_was_lost_and_its_repetition_survives(
    tmp_path: Path, reads_back: bool, searchable: bool
) -> None:
    world = World(tmp_path, crm_traits=crm(reads_back=reads_back, searchable=searchable))
    card = world.person(phone_mobile="1111111")
    world.crm.faults.fail("create", down(), after=True)
    world.sync()
    world.ecs.edit(card, phone_mobile="2222222")
    world.sync()
    world.sync()
    world.crm.touch(world.the_record().id)
    world.sync()
    got = (world.the_card().columns["phone_mobile"], world.the_record().columns["phone_mobile"])
    world.close()
    assert got == ("2222222", "2222222")


def test_no_duplicate_in_a_crm_without_external_ids(tmp_path: Path) -> None:
    world = World(tmp_path, crm_traits=crm(links=False, searchable=False))
    card = world.person(phone_mobile="1111111")
    world.crm.faults.fail("create", down(), after=True)
    world.sync()
    world.ecs.edit(card, phone_mobile="2222222")
    world.sync()
    n = len(world.contacts())
    world.close()
    assert n == 1


# ── adopted lost ──────────────────────────────────────────────────────────────────────────────────────────


def test_an_adopted_card_whose_tag_could_not_be_written_at_once_stays_linked(world: World) -> None:
    world.person("Grace", "Hopper", tag=False)
    world.record("Grace", "Hopper", department="Navy")
    world.ecs.faults.fail("update", down())
    world.sync()
    world.sync()
    world.sync()
    assert "CRM" in world.the_card().tags
    assert world.the_card().columns["department"] == "Navy"


def test_linking_an_untagged_item_by_hand_lasts(world: World) -> None:
    card = world.person("Grace", "Hopper", tag=False)
    record = world.record("Admiral", "Grace", owner=world.bob)
    world.sync()
    world.engine.link(card, record)
    world.sync()
    assert world.engine.explain(card)["linked"]


# ── exceptions that escape ────────────────────────────────────────────────────────────────────────────────


def test_a_failing_access_check_is_an_error_and_no_exception(world: World) -> None:
    world.person()
    world.sync()
    record = world.the_record().id
    world.crm.assign(record, world.bob)
    world.crm.faults.fail("access", down())
    assert world.sync()["errors"]


def test_two_items_of_one_person_with_different_addresses_are_held_not_a_crash(world: World) -> None:
    world.record("Grace", "Hopper", email="a@example.com", email_2="b@example.com")
    world.account.crm_select = "linked"
    world.person("Grace", "Hopper", email="a@example.com")
    world.person("Grace", "Hopper", email="b@example.com")
    world.sync()
    world.sync()
    assert len(world.contacts()) == 1


def test_the_same_from_the_crm_side(world: World) -> None:
    world.person("Grace", "Hopper", tag=False, email="a@example.com", email_2="b@example.com")
    world.record("Grace", "Hopper", email="a@example.com")
    world.record("Grace", "Hopper", email="b@example.com")
    world.sync()


def test_undoing_twice_is_no_crash(world: World) -> None:
    world.person()
    world.sync()
    world.crm.delete(world.the_record().id)
    report = world.sync()
    cycle = next(c["id"] for c in report["cycles"] if c["deleted"])
    world.engine.undo(cycle)
    world.engine.undo(cycle)
    assert len(world.cards()) == 1


def test_undo_that_cannot_read_the_other_side_does_not_flow_on_to_it(world: World) -> None:
    world.person(job_title="Analyst")
    world.sync()
    world.crm.edit(world.the_record().id, job_title="Promoted")
    report = world.sync()
    cycle = next(c["id"] for c in report["cycles"] if c["updated"])
    world.crm.faults.fail("fetch", down())
    world.engine.undo(cycle)
    world.sync()
    assert world.the_record().columns["job_title"] == "Promoted"


# ── one part broken stops others ──────────────────────────────────────────────────────────────────────────


def test_a_mailbox_without_collections_does_not_stop_the_crm_side_in_silence(world: World) -> None:
    empty = MemoryServer(now=world.clock, traits=groupware(), name="empty")
    world.account.mailboxes = [world.mailbox, Mailbox("other", MemorySource(empty, Side.ECS))]
    world.record()
    report = world.sync()
    assert report["errors"] or len(world.cards()) == 1


def test_a_broken_calendar_does_not_stop_new_contacts(world: World) -> None:
    world.ecs.faults.fail("changes", down(), detail=world.calendar, times=ALWAYS)
    world.record()
    world.sync()
    assert len(world.cards()) == 1


def test_a_condition_of_bob_that_fails_does_not_stop_alice(world: World) -> None:
    two_accounts(world, crm_select="nonsense")
    world.sync()
    world.crm.faults.fail("selected", ProtocolError("malformed query"), times=ALWAYS)
    world.record()
    world.sync()
    assert len(world.cards()) == 1


def test_a_match_in_a_read_only_address_book_does_not_block_the_record(tmp_path: Path) -> None:
    world = World(tmp_path, default_collection={Kind.CONTACT: "Contacts"})
    company = world.ecs.add("Company", Kind.CONTACT, writable=False).id
    world.ecs.put(company, {"first_name": "Grace", "last_name": "Hopper", "email": "grace@example.com"})
    world.record("Grace", "Hopper")
    world.sync()
    report = world.sync()
    cards = world.cards()
    world.close()
    assert report["errors"] == []
    assert len(cards) == 1


# ── rows dropped when a place vanishes mid-cycle ──────────────────────────────────────────────────────────


def test_a_calendar_that_fails_in_mid_cycle_loses_no_crm_event(world: World) -> None:
    start = datetime(2026, 12, 1, 9, tzinfo=UTC)
    world.sync()
    world.ecs.put(world.calendar, {"subject": "mine", "start": start, "end": start + timedelta(hours=1)})
    world.crm.put(
        world.events,
        {"subject": "Demo", "start": start, "end": start + timedelta(hours=1)},
        owner=world.alice,
    )
    world.ecs.faults.fail("fetch", down(), detail=world.calendar)
    world.sync()
    world.sync()
    assert any(i.columns["subject"] == "Demo" for i in world.ecs.all(world.calendar))


def test_a_calendar_added_later_gets_what_the_crm_holds(world: World) -> None:
    contacts_only = Mailbox("memory", MemorySource(world.ecs, Side.ECS), only=("Contacts",))
    world.account.mailboxes = [contacts_only]
    start = datetime(2026, 12, 1, 9, tzinfo=UTC)
    world.crm.put(
        world.events,
        {"subject": "Demo", "start": start, "end": start + timedelta(hours=1)},
        owner=world.alice,
    )
    world.sync()
    world.account.mailboxes = [world.mailbox]
    world.sync()
    assert len(world.ecs.all(world.calendar)) == 1


# ── collection left out of the configuration ──────────────────────────────────────────────────────────────


def test_links_of_a_collection_that_was_left_out_of_the_configuration_come_to_an_end(world: World) -> None:
    world.person()
    world.sync()
    world.account.mailboxes = [Mailbox("memory", MemorySource(world.ecs, Side.ECS), only=("Tasks",))]
    world.crm.edit(world.the_record().id, job_title="x")
    for _ in range(3):
        world.sync()
        world.engine.reconcile()
    assert world.engine.queue() == []


# ── hidden and visible again ──────────────────────────────────────────────────────────────────────────────


def test_an_item_that_was_out_of_sight_once_is_linked_again(world: World) -> None:
    card = world.person(job_title="a")
    world.sync()
    world.ecs.touch(card)
    world.clock.tick()
    hidden = world.ecs.hide
    hidden(card)
    world.crm.edit(world.the_record().id, department="x")
    world.sync()
    world.ecs.reveal(card)
    world.ecs.edit(card, job_title="b")
    world.sync()
    assert world.the_record().columns["job_title"] == "b"


# ── reconcile hides its errors ────────────────────────────────────────────────────────────────────────────


def test_a_reconciliation_that_could_not_list_says_so(world: World) -> None:
    world.person()
    world.sync()
    world.ecs.faults.fail("listing", down(), times=ALWAYS)
    assert world.engine.reconcile()["errors"]


# ── forget leaks ──────────────────────────────────────────────────────────────────────────────────────────


def files(world: World) -> bytes:
    text = b""
    for file in world.folder.glob("state.db*"):
        if file.is_file():
            text += file.read_bytes()
    return text


def sql(world: World, needle: str) -> list[str]:
    from sqlalchemy import inspect, text

    found = []
    with world.state.reading() as tx:
        for table in inspect(tx.connection).get_table_names():
            for row in tx.connection.execute(text(f"SELECT * FROM {table}")):
                if needle in repr(tuple(row)):
                    found.append(table)
                    break
    return found


def test_forget_erases_the_history_of_an_item_that_was_deleted(world: World) -> None:
    card = world.person()
    world.sync()
    world.ecs.delete(card)
    world.sync()
    world.engine.forget("ada@example.com")
    assert sql(world, "ada@example.com") == []


def test_forget_erases_a_former_address(world: World) -> None:
    card = world.person()
    world.sync()
    world.ecs.edit(card, email="countess@example.com")
    world.sync()
    world.engine.forget("ada@example.com")
    assert sql(world, "ada@example.com") == []


def test_forget_erases_an_announced_create(world: World) -> None:
    world.person()
    world.crm.faults.fail("create", down(), after=True)
    world.sync()
    world.engine.forget("ada@example.com")
    assert sql(world, "ada@example.com") == []


@pytest.mark.parametrize(
    "nobody", ["", " ", "a", "@", "ada", "example.com", "@example.com", "ada @example.com"]
)
def test_forget_wants_a_whole_address(world: World, nobody: str) -> None:
    world.ecs.edit(world.person(), job_title="Analyst")
    world.sync()
    with pytest.raises(NoSuchItem, match="no e-mail address"):
        world.engine.forget(nobody)
    assert world.engine.item_history(world.the_card().id)


def test_forget_leaves_those_alone_whose_address_is_only_alike(world: World) -> None:
    card = world.person("Granada", email="granada@example.com")
    twin = world.person("Ida", email="ada@example.com.example")
    world.sync()
    for gone in (card, twin):
        world.ecs.delete(gone)
    world.sync()
    world.engine.forget("ada@example.com")
    assert [bool(world.engine.item_history(one)) for one in (card, twin)] == [True, True]


def test_forget_reaches_the_write_ahead_log(world: World) -> None:
    card = world.person()
    world.sync()
    world.ecs.delete(card)
    world.sync()
    world.engine.forget("ada@example.com")
    assert b"ada@example.com" not in files(world)  # the database is still open


# ── announced create, item gone ───────────────────────────────────────────────────────────────────────────


def test_a_record_whose_item_went_before_the_create_was_confirmed_is_settled(world: World) -> None:
    card = world.person()
    world.crm.faults.fail("create", down(), after=True)
    world.sync()
    world.ecs.delete(card)
    for _ in range(3):
        world.sync()
    # either it is held for a person, or deleted: but it is not left behind in silence
    assert world.contacts() == [] or world.engine.matches()


# ── restored backup ───────────────────────────────────────────────────────────────────────────────────────


def test_after_a_restored_backup_differences_are_held(world: World) -> None:
    world.person(job_title="a")
    world.sync()
    world.close()
    backup = {f: f.read_bytes() for f in world.folder.glob("state.db*") if f.is_file()}
    world.start()
    world.crm.edit(world.the_record().id, job_title="b")
    world.sync()  # b stands on both sides
    assert world.the_card().columns["job_title"] == "b"
    world.close()
    for file in world.folder.glob("state.db*"):
        if file.is_file():
            file.unlink()
    for file, data in backup.items():
        file.write_bytes(data)
    world.start()
    world.crm.edit(world.the_record().id, job_title="a")  # a person puts it back in the CRM
    world.sync()
    assert world.the_record().columns["job_title"] == "a"  # the person's edit is not reverted in silence


# ── settle, conflicts, others ─────────────────────────────────────────────────────────────────────────────


def test_an_edit_in_the_crm_does_not_cut_the_settle_time_of_the_card_short(world: World) -> None:
    card = world.person(job_title="a")
    world.sync()
    world.crm.edit(world.the_record().id, department="x")
    world.sync(settle=timedelta(seconds=30))
    world.clock.tick(25)
    world.ecs.edit(card, job_title="half-typ")
    world.sync(settle=timedelta(seconds=30))
    assert world.the_record().columns["job_title"] == "a"


def test_conflicts_of_an_item_that_is_gone_do_not_wait_for_ever(world: World) -> None:
    card = world.person("Grace", "Hopper", department="Yale")
    world.record("Grace", "Hopper", department="Navy")
    world.sync()
    world.ecs.untag(card, "CRM")
    world.sync()
    assert world.engine.status()["accounts"][0]["light"] == "in_step"


def test_the_stamp_follows_a_record_that_was_created_again(world: World) -> None:
    card = world.person(job_title="a")
    world.sync()
    world.crm.delete(world.the_record().id)
    world.ecs.edit(card, job_title="b")
    world.sync()
    world.sync()
    assert world.the_card().stamp.record == world.the_record().id


def test_a_deleted_record_does_not_take_an_edited_card_with_it(world: World) -> None:
    card = world.person(notes="old")
    world.sync()
    world.ecs.edit(card, notes="an hour's work")
    world.crm.delete(world.the_record().id)
    world.sync()
    assert len(world.cards()) == 1


def test_a_throttled_server_is_left_alone(world: World) -> None:
    world.person()
    world.sync()
    world.record()  # something to write on the ECS side, so that the cycle repeats
    world.crm.edit(next(i.id for i in world.crm.all(world.people)), job_title="x")
    world.crm.faults.fail(
        "changes", Throttled("slow down", retry_after=900), detail=world.events, times=ALWAYS
    )
    before = world.crm.faults.calls["changes"]
    world.sync()
    assert world.crm.faults.calls["changes"] - before <= 3


def test_completed_task_whose_completion_time_the_crm_sets_is_no_conflict(tmp_path: Path) -> None:
    done_at = datetime(2026, 11, 22, 9, tzinfo=UTC)
    traits = crm(
        computed={Kind.TASK: {"completed_at": lambda c: done_at if c.get("status") == "completed" else None}}
    )
    world = World(tmp_path, crm_traits=traits)
    task = world.ecs.put(
        world.tasks, {"subject": "Call", "due": date(2026, 12, 1), "status": "completed"}, tags=["CRM"]
    )
    world.sync()
    world.ecs.edit(task, subject="Call back")
    world.sync()
    conflicts = world.engine.conflicts()
    world.close()
    assert conflicts == []


# ── added after the first run ─────────────────────────────────────────────────────────────────────────────────


def test_a_stale_approval_lets_a_storm_of_deletes_through(world: World) -> None:
    cards = [world.person(f"P{i}", f"Q{i}") for i in range(12)]
    world.sync()
    for card in cards[:6]:
        world.ecs.untag(card, "CRM")
    world.sync()
    for card in cards[:6]:
        world.ecs.tag(card, "CRM")
    world.sync()  # the mistake was put right by the person; what is listed as held is stale
    world.engine.decide_deletions(approve=True)  # an admin clears the list
    world.sync()
    world.clock.tick(30 * 86400)
    for card in cards[:6]:
        world.ecs.delete(card)  # a month later: a real storm
    world.sync()
    assert len(world.contacts()) == 12


def test_a_group_is_undone_as_one(world: World) -> None:
    start = datetime(2026, 12, 1, 9, tzinfo=UTC)
    event = world.ecs.put(
        world.calendar,
        {
            "subject": "x",
            "start": start,
            "end": start + timedelta(hours=1),
            "all_day": False,
            "time_zone": "Europe/Berlin",
        },
        tags=["CRM"],
    )
    world.sync()
    (record,) = world.crm.all(world.events)
    earlier = start - timedelta(days=1)
    world.crm.edit(record.id, start=earlier, end=earlier + timedelta(hours=1))
    report = world.sync()
    cycle = next(c["id"] for c in report["cycles"] if c["updated"])
    world.ecs.edit(event, end=earlier + timedelta(hours=2))  # a person makes it longer since
    world.engine.undo(cycle)
    (item,) = world.ecs.all(world.calendar)
    assert item.columns["start"] < item.columns["end"]


@pytest.mark.parametrize("reads_back", [False, True])
def test_a_task_that_is_completed_in_the_crm_is_completed_on_the_ecs_side(
    tmp_path: Path, reads_back: bool
) -> None:
    world = World(tmp_path, ecs=groupware(reads_back=reads_back), crm_traits=crm(reads_back=reads_back))
    todo = world.crm.put(world.todos, {"subject": "Call", "status": "not_started"}, owner=world.alice)
    world.sync()
    world.crm.edit(todo, status="completed", percent_complete=100)
    world.sync()
    (task,) = world.ecs.all(world.tasks)
    conflicts = world.engine.conflicts()
    world.close()
    assert (task.columns["status"], conflicts) == ("completed", [])


@pytest.mark.parametrize("reads_back", [False, True])
def test_an_event_without_a_zone_moves(tmp_path: Path, reads_back: bool) -> None:
    world = World(tmp_path, ecs=groupware(reads_back=reads_back), crm_traits=crm(reads_back=reads_back))
    start = datetime(2026, 12, 1, 9, tzinfo=UTC)
    world.ecs.put(
        world.calendar, {"subject": "x", "start": start, "end": start + timedelta(hours=1)}, tags=["CRM"]
    )
    world.sync()
    (record,) = world.crm.all(world.events)
    world.crm.edit(record.id, start=start + timedelta(days=1), end=start + timedelta(days=1, hours=1))
    world.sync()
    (item,) = world.ecs.all(world.calendar)
    world.close()
    assert item.columns["start"] == start + timedelta(days=1)


def test_a_masked_appointment_keeps_its_subject_to_itself(tmp_path: Path) -> None:
    from crmsync.daemon.account import Private

    world = World(tmp_path, ecs=groupware(whole_changes=True), private=Private.MASK)
    start = datetime(2026, 12, 1, 9, tzinfo=UTC)
    event = world.ecs.put(
        world.calendar,
        {"subject": "Secret", "start": start, "end": start + timedelta(hours=1)},
        tags=["CRM"],
        private=True,
    )
    world.sync()
    first = world.crm.all(world.events)[0].columns["subject"]
    world.ecs.edit(event, location="Doctor")
    world.sync()
    (record,) = world.crm.all(world.events)
    world.close()
    assert (first, record.columns["subject"], record.columns["location"]) == ("Private", "Private", None)


def test_what_is_marked_private_later_is_masked_whole(tmp_path: Path) -> None:
    from crmsync.daemon.account import Private

    world = World(tmp_path, private=Private.MASK)
    start = datetime(2026, 12, 1, 9, tzinfo=UTC)
    event = world.ecs.put(
        world.calendar,
        {"subject": "Secret", "location": "Doctor", "start": start, "end": start + timedelta(hours=1)},
        tags=["CRM"],
    )
    world.sync()
    world.ecs.mark(event, private=True)
    world.sync()
    (record,) = world.crm.all(world.events)
    world.close()
    assert (record.columns["subject"], record.columns["location"]) == ("Private", None)


def test_a_foreign_edit_of_the_written_column_before_the_read_back_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Salesforce connector reads a batch back in a request of its own; here the same window is made by hand."""
    from crmsync.connectors.memory.writing import Writer

    world = World(tmp_path, crm_traits=crm(reads_back=True))
    card = world.person(phone_mobile="1111111")
    world.sync()
    real = Writer._done
    pending = ["3333333"]

    def done(self: Writer, item: Any) -> Any:
        if self._side is Side.CRM and pending:
            world.crm.edit(item.id, phone_mobile=pending.pop())
        return real(self, self._server.read(item.id))

    monkeypatch.setattr(Writer, "_done", done)
    world.ecs.edit(card, phone_mobile="2222222")
    world.sync()
    for _ in range(3):
        world.sync()
    got = (world.the_card().columns["phone_mobile"], world.the_record().columns["phone_mobile"])
    world.close()
    assert got == ("3333333", "3333333")


def test_a_projection_that_has_to_ask_the_server_fails_as_a_conversation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``SalesforceConnector.project`` describes the object on first use: a request, which can fail."""
    from crmsync.connectors.memory.connector import MemoryCrmConnector

    def project(self: Any, kind: Kind, columns: Any) -> Any:
        raise down()

    monkeypatch.setattr(MemoryCrmConnector, "project", project)
    world.person()
    assert world.sync()["errors"]


def test_the_crm_hears_what_has_been_processed(world: World) -> None:
    world.record()
    world.sync()
    assert world.crm.acknowledged


def test_a_card_whose_create_lost_its_answer_takes_a_later_crm_edit(world: World) -> None:
    record = world.record(phone_mobile="1111111")
    world.ecs.faults.fail("create", down(), after=True)
    world.sync()
    world.crm.edit(record, phone_mobile="2222222")
    world.sync()
    world.sync()
    assert (world.the_card().columns["phone_mobile"], world.engine.conflicts()) == ("2222222", [])


def test_the_users_id_expires_in_a_running_service(world: World) -> None:
    world.sync()
    before = world.crm.faults.calls["user_id"]
    world.clock.tick(3 * 86400)
    world.sync()
    assert world.crm.faults.calls["user_id"] > before


def test_a_pause_that_the_server_asked_for_is_kept(world: World) -> None:
    world.sync()
    world.crm.faults.fail("changes", Throttled("slow down", retry_after=900))
    world.sync(settle=timedelta(seconds=10), keep_idle=False)
    before = world.crm.faults.calls["changes"]
    world.clock.tick(60)
    world.sync(settle=timedelta(seconds=10), keep_idle=False)
    assert world.crm.faults.calls["changes"] == before


def test_an_item_that_was_moved_while_we_detected_is_not_deleted_in_the_crm(tmp_path: Path) -> None:
    world = World(tmp_path)
    other = world.ecs.add("Archive", Kind.CONTACT).id
    world.ecs._collections = dict(sorted(world.ecs._collections.items()))  # Archive is asked before Contacts
    card = world.person()
    world.sync()
    real, moved = world.ecs.faults.before, []

    def before(operation: str, detail: str) -> None:
        if operation == "changes" and detail == world.book and not moved:
            moved.append(world.ecs.move(card, other))
        real(operation, detail)

    world.ecs.faults.before = before  # type: ignore[method-assign]
    world.ecs.touch(card)
    world.sync()
    left = len(world.contacts())
    world.close()
    assert left == 1


def test_a_column_of_a_group_that_was_empty_at_birth_is_an_edit_when_it_is_filled_in(world: World) -> None:
    start = datetime(2026, 12, 1, 9, tzinfo=UTC)
    event = world.ecs.put(
        world.calendar, {"subject": "x", "start": start, "end": start + timedelta(hours=1)}, tags=["CRM"]
    )
    world.sync()
    world.ecs.edit(event, time_zone="Europe/Berlin")
    world.sync()
    (record,) = world.crm.all(world.events)
    assert record.columns["time_zone"] == "Europe/Berlin"


def test_one_poll_serves_all_accounts_of_a_login(world: World) -> None:
    two_accounts(world)
    world.sync()
    before = world.crm.faults.calls["changes"]
    for name in ("alice", "bob", "alice", "bob"):
        world.engine.sync([name], poll_every=timedelta(seconds=60), keep_idle=False)
    assert world.crm.faults.calls["changes"] == before
    world.record(owner=world.bob)
    world.clock.tick(61)
    world.engine.sync(["alice"], poll_every=timedelta(seconds=60), keep_idle=False)
    polled = world.crm.faults.calls["changes"]
    report = world.engine.sync(["bob"], poll_every=timedelta(seconds=60), keep_idle=False)
    assert sum(c["created"] for c in report["cycles"]) == 1
    assert (
        world.crm.faults.calls["changes"] == polled
    )  # it wrote to the other side: the CRM has nothing to answer


def test_the_poll_slows_down_near_the_crms_limit(world: World) -> None:
    world.sync()
    world.login.source.usage = 0.85  # type: ignore[attr-defined]
    before = world.crm.faults.calls["changes"]
    world.clock.tick(61)
    world.engine.sync(poll_every=timedelta(seconds=60), keep_idle=False)
    assert world.crm.faults.calls["changes"] == before
    world.clock.tick(300)
    world.engine.sync(poll_every=timedelta(seconds=60), keep_idle=False)
    assert world.crm.faults.calls["changes"] > before


# ── what waits for a person, and goes before one has decided ──────────────────────────────────────────────


@pytest.mark.parametrize("listed", [False, True])
def test_a_parked_item_that_is_deleted_leaves_the_sync_table(world: World, listed: bool) -> None:
    card = world.person()
    world.ecs.spoil(card, "it has no name")
    assert world.sync()["errors"]
    world.ecs.delete(card)
    assert world.sync(full=listed)["errors"] == []
    assert world.engine.queue() == []
    assert world.engine.status()["accounts"][0]["light"] == "in_step"


@pytest.mark.parametrize("how", ["deleted", "untagged"])
def test_an_ambiguous_item_that_nobody_wants_any_more_waits_for_nobody(world: World, how: str) -> None:
    for _ in range(2):
        world.record("Ada", "Lovelace", owner=world.bob)
    card = world.person()
    world.sync()
    assert [m["item"] for m in world.engine.matches()] == [card]
    if how == "deleted":
        world.ecs.delete(card)
    else:
        world.ecs.untag(card, "CRM")
    world.sync()
    assert (world.engine.matches(), world.engine.queue()) == ([], [])


@pytest.mark.parametrize("how", ["deleted", "handed over"])
def test_an_ambiguous_record_that_nobody_wants_any_more_waits_for_nobody(world: World, how: str) -> None:
    for _ in range(2):
        world.person(tag=False)
    record = world.record("Ada", "Lovelace")
    world.sync()
    assert [m["record"] for m in world.engine.matches()] == [record]
    if how == "deleted":
        world.crm.delete(record)
    else:
        world.crm.assign(record, world.bob)
    world.sync()
    assert (world.engine.matches(), world.engine.queue()) == ([], [])
