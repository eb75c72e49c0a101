"""The straight line: one item, tagged on one side, and what becomes of it on the other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmsync.connectors.errors import Throttled, Unreachable
from crmsync.connectors.memory.faults import ALWAYS
from crmsync.daemon.account import Private
from crmsync.daemon.operations.finding import NoSuchItem
from crmsync.state.errors import Locked
from tests.daemon.cycle.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def test_a_tagged_contact_appears_in_the_crm(world: World) -> None:
    world.person(phone_mobile="+1 555 0100")
    report = world.sync()
    assert report["errors"] == []
    assert world.the_record().columns["phone_mobile"] == "+1 555 0100"
    assert world.the_record().owner == world.alice
    assert world.the_card().stamp is not None
    world.idle()


def test_an_untagged_contact_stays_out(world: World) -> None:
    world.person(tag=False)
    world.sync()
    assert world.contacts() == []


def test_a_phone_number_changed_in_the_crm_appears_on_the_card(world: World) -> None:
    world.person(phone_mobile="1234567")
    world.sync()
    world.crm.edit(world.the_record().id, phone_mobile="7654321")
    report = world.sync()
    assert report["errors"] == []
    assert world.the_card().columns["phone_mobile"] == "7654321"
    world.idle()


def test_different_columns_edited_on_both_sides_both_survive(world: World) -> None:
    card = world.person(phone_mobile="1234567", job_title="Analyst")
    world.sync()
    world.ecs.edit(card, job_title="Countess")
    world.clock.tick()
    world.crm.edit(world.the_record().id, phone_mobile="7654321")
    world.sync()
    for there in (world.the_card(), world.the_record()):
        assert (there.columns["job_title"], there.columns["phone_mobile"]) == ("Countess", "7654321")
    assert world.engine.conflicts() == []
    world.idle()


@pytest.mark.parametrize("later", ["ecs", "crm"])
def test_the_same_column_edited_on_both_sides_the_later_wins_and_the_loser_is_logged(
    world: World, later: str
) -> None:
    card = world.person(job_title="Analyst")
    world.sync()
    edits = [
        lambda: world.ecs.edit(card, job_title="by ecs"),
        lambda: world.crm.edit(world.the_record().id, job_title="by crm"),
    ]
    for edit in edits if later == "crm" else reversed(edits):
        edit()
        world.clock.tick()
    world.sync()
    assert world.the_card().columns["job_title"] == world.the_record().columns["job_title"] == f"by {later}"
    (conflict,) = world.engine.conflicts()
    assert (conflict["base"], conflict["ecs"], conflict["crm"]) == ("Analyst", "by ecs", "by crm")
    assert (conflict["winner"], conflict["resolved"]) == (later, True)
    world.idle()


def test_a_record_of_the_user_appears_as_a_tagged_card(world: World) -> None:
    world.record(department="Navy")
    report = world.sync()
    assert report["errors"] == []
    card = world.the_card()
    assert card.columns["department"] == "Navy"
    assert "CRM" in card.tags
    world.idle()


def test_a_record_of_someone_else_stays_out(world: World) -> None:
    world.record(owner=world.bob)
    world.sync()
    assert world.cards() == []


def test_untagged_is_unlinked_and_nothing_is_deleted(world: World) -> None:
    card = world.person()
    world.sync()
    world.ecs.untag(card, "CRM")
    report = world.sync()
    assert report["cycles"][0]["unlinked"] == 1
    world.ecs.edit(card, job_title="Private")
    world.sync()
    assert world.the_record().columns.get("job_title") is None
    assert len(world.cards()) == 1


def test_tagged_again_is_linked_again(world: World) -> None:
    card = world.person()
    world.sync()
    world.ecs.untag(card, "CRM")
    world.sync()
    world.ecs.edit(card, job_title="Countess")
    world.ecs.tag(card, "CRM")
    world.sync()
    assert world.the_record().columns["job_title"] == "Countess"
    assert len(world.contacts()) == 1
    world.idle()


def test_a_deleted_card_deletes_the_record(world: World) -> None:
    card = world.person()
    world.sync()
    world.ecs.delete(card)
    report = world.sync()
    assert report["cycles"][0]["deleted"] == 1
    assert world.contacts() == []
    world.idle()


def test_a_deleted_record_deletes_the_card(world: World) -> None:
    world.person()
    world.sync()
    world.crm.delete(world.the_record().id)
    world.sync()
    assert world.cards() == []
    world.idle()


@pytest.mark.parametrize("gone", ["ecs", "crm"])
def test_an_edit_beats_a_delete(world: World, gone: str) -> None:
    card = world.person(job_title="Analyst")
    world.sync()
    record = world.the_record().id
    if gone == "ecs":
        world.ecs.delete(card)
        world.crm.edit(record, job_title="edited")
    else:
        world.crm.delete(record)
        world.ecs.edit(card, job_title="edited")
    world.sync()
    assert world.the_card().columns["job_title"] == world.the_record().columns["job_title"] == "edited"
    world.idle()


def test_a_storm_of_deletes_is_held_and_can_be_rejected(world: World) -> None:
    cards = [world.person(f"P{i}", f"Q{i}") for i in range(12)]
    world.sync()
    for card in cards[:6]:
        world.ecs.delete(card)
    report = world.sync()
    assert len(world.contacts()) == 12
    assert report["cycles"][0]["held"] == 6
    assert len(world.engine.deletions()) == 6
    assert world.engine.status()["accounts"][0]["light"] == "decision"
    world.sync()
    assert len(world.contacts()) == 12
    world.engine.decide_deletions(approve=False)
    world.sync()
    assert len(world.cards()) == len(world.contacts()) == 12
    assert world.engine.deletions() == []
    world.idle()


def test_a_storm_of_deletes_goes_on_when_approved(world: World) -> None:
    cards = [world.person(f"P{i}", f"Q{i}") for i in range(12)]
    world.sync()
    for card in cards[:6]:
        world.ecs.delete(card)
    world.sync()
    world.engine.decide_deletions(approve=True)
    world.sync()
    assert len(world.contacts()) == 6
    world.idle()


@pytest.mark.parametrize("how", ["approved", "undone", "unlinked by hand"])
def test_what_a_person_decided_is_no_part_of_the_next_storm(world: World, how: str) -> None:
    cards = [world.person(f"P{i}", f"Q{i}") for i in range(10 if how == "approved" else 16)]
    created = world.sync()["cycles"][0]["id"]
    if how == "undone":
        world.engine.undo(created)
        cards = [world.person(f"R{i}", f"S{i}") for i in range(10)]
    elif how == "approved":
        cards = [*cards, *(world.person(f"R{i}", f"S{i}") for i in range(6))]
        world.sync()
    for card in cards[10:]:
        if how == "approved":
            world.ecs.delete(card)
        else:
            world.engine.unlink(card)
    world.sync()
    world.engine.decide_deletions(approve=True)
    world.sync()
    for card in cards[:2]:
        world.ecs.delete(card)
    assert [c["held"] for c in world.sync()["cycles"]] == [0, 0]
    assert world.engine.deletions() == []


def test_a_dry_run_says_what_it_would_do_and_does_nothing(world: World) -> None:
    world.person()
    world.record()
    report = world.sync(dry_run=True)
    assert sorted((p["side"], p["action"]) for p in report["plan"]) == [("crm", "create"), ("ecs", "create")]
    assert len(world.contacts()) == len(world.cards()) == 1
    assert world.engine.queue() == []
    report = world.sync()
    assert report["errors"] == []
    assert len(world.contacts()) == len(world.cards()) == 2


def test_the_same_person_on_both_sides_is_linked_not_doubled(world: World) -> None:
    world.person("Grace", "Hopper", phone_mobile="1234567")
    world.record("Grace", "Hopper", department="Navy")
    report = world.sync()
    assert report["errors"] == []
    assert len(world.contacts()) == len(world.cards()) == 1
    assert world.the_card().columns["department"] == "Navy"
    assert world.the_record().columns["phone_mobile"] == "1234567"
    world.idle()


def test_an_untagged_card_of_the_same_person_is_found_and_tagged(world: World) -> None:
    world.person("Grace", "Hopper", tag=False)
    world.record("Grace", "Hopper", department="Navy")
    world.sync()
    assert len(world.cards()) == 1
    assert "CRM" in world.the_card().tags
    assert world.the_card().columns["department"] == "Navy"
    world.idle()


def test_a_first_meeting_that_differs_is_held(world: World) -> None:
    world.person("Grace", "Hopper", department="Yale")
    world.record("Grace", "Hopper", department="Navy")
    report = world.sync()
    assert report["cycles"][0]["held"] == 1
    assert world.the_card().columns["department"] == "Yale"
    assert world.the_record().columns["department"] == "Navy"
    world.sync()
    (conflict,) = world.engine.conflicts()
    assert conflict["winner"] is None
    world.engine.resolve(conflict["item"], "department", keep="crm")
    world.sync()
    assert world.the_card().columns["department"] == "Navy"
    assert [c["resolved"] for c in world.engine.conflicts()] == [True]
    world.idle()


def test_two_records_that_could_be_meant_are_held(world: World) -> None:
    world.record("Grace", "Hopper", owner=world.bob)
    world.record("Grace", "Hopper", owner=world.bob)
    card = world.person("Grace", "Hopper")
    world.sync()
    assert len(world.contacts()) == 2
    (held,) = world.engine.matches()
    assert held["item"] == card
    assert len(held["candidates"]) == 2
    world.engine.match_link(card, held["candidates"][0])
    world.sync()
    assert len(world.contacts()) == 2
    assert world.engine.matches() == []
    world.idle()


def test_a_record_that_could_be_two_items_is_named_like_an_item(world: World) -> None:
    cards = {world.person("Grace", "Hopper", tag=False) for _ in range(2)}
    record = world.record("Grace", "Hopper")
    world.sync()
    (held,) = world.engine.matches()
    assert (held["item"], held["record"], set(held["candidates"])) == (record, record, cards)
    world.engine.match_link(held["item"], held["candidates"][0])
    world.sync()
    assert world.engine.matches() == []
    world.idle()


def test_a_write_check_tries_every_collection_and_leaves_nothing_behind(world: World) -> None:
    world.person()
    world.sync()
    checks = world.engine.check_write()["checks"]
    assert sorted(c["name"] for c in checks if "write" in c["name"]) == sorted(
        f"alice: write {name}" for name in ("Contacts", "Calendar", "Tasks", "Contact", "Event", "Task")
    )
    assert [c for c in checks if not c["ok"]] == []
    assert (len(world.ecs.all()), len(world.crm.all())) == (1, 1)
    world.idle()


def test_a_write_check_keeps_away_from_an_account_that_is_being_synced(world: World) -> None:
    with world.state.lock("alice"), pytest.raises(Locked):
        world.engine.check_write()
    assert (world.ecs.all(), world.crm.all()) == ([], [])


def test_a_lost_state_is_rebuilt_from_the_stamps(world: World) -> None:
    world.person(job_title="Analyst")
    world.record()
    world.sync()
    world.close()
    for file in world.folder.glob("state.db*"):
        if file.is_file():
            file.unlink()
    world.start()
    report = world.sync()
    assert report["errors"] == []
    assert len(world.cards()) == len(world.contacts()) == 2
    world.idle()


def test_undo_puts_the_cycle_s_writes_back_and_holds_the_difference(world: World) -> None:
    world.person(job_title="Analyst")
    world.sync()
    world.crm.edit(world.the_record().id, job_title="Oops")
    report = world.sync()
    cycle = next(c["id"] for c in report["cycles"] if c["updated"])
    answer = world.engine.undo(cycle)
    assert answer["undone"] == 1
    assert answer["kept"] == answer["errors"] == []
    assert world.the_card().columns["job_title"] == "Analyst"
    world.sync()
    assert world.the_card().columns["job_title"] == "Analyst"
    assert world.the_record().columns["job_title"] == "Oops"
    (conflict,) = world.engine.conflicts()
    assert conflict["winner"] is None


def test_undo_of_a_create_takes_it_away_and_it_does_not_come_back(world: World) -> None:
    world.person()
    report = world.sync()
    world.engine.undo(report["cycles"][0]["id"])
    assert world.contacts() == []
    world.sync()
    assert world.contacts() == []


def test_undo_of_a_delete_puts_the_item_back(world: World) -> None:
    world.person(job_title="Analyst", notes="private")
    world.sync()
    world.crm.delete(world.the_record().id)
    report = world.sync()
    assert world.cards() == []
    world.engine.undo(next(c["id"] for c in report["cycles"] if c["deleted"]))
    assert world.the_card().columns["notes"] == "private"
    world.sync()
    assert len(world.cards()) == 1


def test_explain_knows_tagged_linked_and_untagged_items(world: World) -> None:
    card = world.person()
    other = world.person("Una", "Tagged", tag=False)
    world.sync()
    known = world.engine.explain(card)
    assert known["record"] == world.the_record().id
    assert known["tagged"] is True
    assert known["decisions"][0]["action"] == "create"
    assert world.engine.explain(other)["tagged"] is False


def test_forget_keeps_the_person_out(world: World) -> None:
    card = world.person()
    world.sync()
    world.engine.forget("ADA@example.com", everywhere=True)
    assert world.cards() == world.contacts() == []
    world.person()
    world.sync()
    assert world.contacts() == []
    del card


def test_a_restored_backup_of_the_state_holds_what_differs(world: World) -> None:
    card = world.person(job_title="Analyst", department="Engines")
    world.sync()
    world.state.close()
    backup = (world.folder / "state.db").read_bytes()
    world.start()
    world.crm.edit(world.the_record().id, job_title="Countess")
    world.sync()
    world.state.close()
    for file in world.folder.glob("state.db?*"):
        if file.is_file():
            file.unlink()
    (world.folder / "state.db").write_bytes(backup)
    world.start()
    world.ecs.edit(card, department="Maths")
    report = world.sync()
    assert report["errors"] == []
    assert world.the_card().columns["job_title"] == world.the_record().columns["job_title"] == "Countess"
    assert world.the_record().columns["department"] == "Engines"
    (conflict,) = world.engine.conflicts()
    assert (conflict["column"], conflict["winner"]) == ("department", None)
    world.engine.resolve(card, "department", keep="ecs")
    world.sync()
    assert world.the_record().columns["department"] == "Maths"
    world.idle()


def test_a_private_appointment_stays_out(world: World) -> None:
    world.appointment(private=True)
    world.sync()
    assert world.crm.all(world.events) == []


def test_a_masked_appointment_shows_when_and_nothing_else(tmp_path: Path) -> None:
    world = World(tmp_path, private=Private.MASK)
    item = world.appointment(private=True, subject="Doctor", location="Hospital")
    report = world.sync()
    assert report["errors"] == []
    (event,) = world.crm.all(world.events)
    assert event.columns["subject"] == "Private"
    assert event.columns.get("location") is None
    world.idle()
    world.crm.edit(event.id, subject="What is it?", location="Where?")
    world.sync()
    world.idle()
    assert world.ecs.read(item).columns["subject"] == "Doctor"
    assert world.ecs.read(item).columns["location"] == "Hospital"
    world.close()


# ── What a person asks about ──────────────────────────────────────────────────────────────────────────────────


def why(world: World, item: str) -> str:
    return str(world.engine.explain(item)["decisions"][-1]["reason"])


@pytest.mark.parametrize("tag", [True, False])
@pytest.mark.parametrize("synced", [True, False])
def test_an_item_may_be_named_by_its_uid(world: World, tag: bool, synced: bool) -> None:
    card = world.person(tag=tag)
    if synced:
        world.sync()
    told = world.engine.explain(world.ecs.read(card).uid)
    assert (told["item"], told["account"], told["tagged"]) == (card, "alice", tag)


def test_an_item_may_be_named_with_its_collection(world: World) -> None:
    card = world.person(tag=False)
    name = f"{world.mailbox.key(next(c for c in world.ecs.collections() if c.id == world.book))}/{card}"
    assert world.engine.explain(name)["item"] == card
    world.ecs.tag(card, "CRM")
    world.sync()
    assert world.engine.explain(name)["linked"]


def test_an_empty_text_names_nothing(world: World) -> None:
    world.person()
    world.sync()
    for ask in (
        world.engine.explain,
        world.engine.item_history,
        world.engine.unlink,
        world.engine.match_ignore,
    ):
        with pytest.raises(NoSuchItem, match="empty"):
            ask("")
    with pytest.raises(NoSuchItem, match="empty"):
        world.engine.decide_deletions(approve=True, items=[""])


def test_a_record_that_has_no_item_is_explained(world: World) -> None:
    record = world.record(owner=world.bob)
    world.sync()
    told = world.engine.explain(record)
    assert (told["record"], told["account"], told["kind"]) == (record, "alice", "contact")
    assert "`crm_select` of alice, “owned”, leaves it out" in why(world, record)


def test_a_record_that_the_user_may_not_see_is_not_explained(world: World) -> None:
    record = world.record(owner=world.bob)
    world.crm.restrict(world.alice, record, read=False)
    with pytest.raises(NoSuchItem):
        world.engine.explain(record)


def test_a_person_who_was_forgotten_is_explained_as_such(world: World) -> None:
    card = world.person()
    world.sync()
    record = world.the_record().id
    world.engine.forget("ada@example.com")
    world.sync()
    assert "forgotten on request" in why(world, card)
    assert "forgotten on request" in why(world, record)


def test_an_item_that_cannot_be_read_is_explained_as_far_as_it_goes(world: World) -> None:
    card = world.person()
    world.ecs.spoil(card, "it has no name")
    told = world.engine.explain(card)
    assert (told["account"], told["kind"], told["tagged"]) == ("alice", "contact", True)
    assert why(world, card) == "it cannot be read: it has no name"


def test_what_was_deleted_is_explained_by_either_id(world: World) -> None:
    card = world.person()
    world.sync()
    record = world.the_record().id
    world.ecs.delete(card)
    world.sync()
    for id in (card, record):
        told = world.engine.explain(id)
        assert (told["item"], told["record"], told["account"], told["kind"]) == (
            card,
            record,
            "alice",
            "contact",
        )
        assert told["decisions"][-1]["action"] == "delete"


def test_an_item_is_explained_also_while_the_crm_does_not_answer(world: World) -> None:
    card = world.person(tag=False)
    world.crm.faults.fail("identity", Unreachable("no answer"), times=ALWAYS)
    assert world.engine.explain(card)["tagged"] is False
    assert "tag" in why(world, card)


def test_a_record_that_only_waits_is_explained_as_one_also_while_the_crm_does_not_answer(
    world: World,
) -> None:
    record = world.record()
    world.ecs.faults.fail("create", Throttled("later"))
    world.sync()
    world.crm.faults.fail("identity", Unreachable("no answer"), times=ALWAYS)
    world.crm.faults.fail("fetch", Unreachable("no answer"), times=ALWAYS)
    told = world.engine.explain(record)
    assert [row["side"] for row in told["queue"]] == ["crm"]
    assert (told["item"], told["record"], told["account"]) == (record, record, "alice")
