"""A delegate tags in another person's collection: it enters the CRM once, through the owner's account, as the owner's
record, whoever comes first."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.contract import Kind
from crmsync.connectors.errors import Unreachable
from tests.daemon.machine.house import SHARED, Foreign, House
from tests.daemon.machine.rest import twins

PERSON = {"first_name": "Ada", "last_name": "Lovelace", "job_title": "Analyst"}


@pytest.fixture(params=[House, Foreign], ids=["one protocol", "two protocols"])
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    """The shared book is Alice's; Bob is her delegate."""
    made = request.param(tmp_path, shared=True, owner="alice")
    yield made
    made.close()


def a_card(house: House, *tags: str, uid: str = "") -> str:
    return str(house.boxes[SHARED].put("shared", PERSON, tags=tags or ["CRM"], uid=uid))


def one_of_bobs(house: House, *, uid: str, **columns: str) -> str:
    return str(house.boxes["bob"].put("team", {**PERSON, **columns}, tags=["CRM"], uid=uid))


def the_record(house: House) -> Any:
    assert twins(house) == []
    (record,) = house.crm.all(house.people)
    assert record.owner == house.alice
    return record


def test_it_waits_for_the_owners_account_which_brings_it_in(house: House) -> None:
    card = a_card(house)
    for _ in range(3):
        house.sync(names=["bob"])
        house.clock.tick(3600)
    assert house.contacts() == []
    house.sync(names=["alice"])
    the_record(house)
    house.sync()
    assert house.engine.queue() == []
    created = [e for e in house.engine.item_history(card) if e["action"] == "create"]
    assert [(e["account"], e["reason"]) for e in created] == [
        ("alice", "tagged (first seen through account bob, a delegate), and not in the CRM yet")
    ]
    house.idle()


def test_the_owners_account_is_down_for_an_hour(house: House) -> None:
    card = a_card(house)
    house.sync(names=["bob"])
    house.clock.tick(3600)
    house.sync(names=["bob"])
    (row,) = house.engine.queue()
    assert (row["account"], row["state"], row["code"]) == ("bob", "waiting", "waits_for_owner")
    assert row["error"] == "it waits for account alice, in whose collection “Shared” it is"
    bob = next(a for a in house.engine.status()["accounts"] if a["name"] == "bob")
    assert (bob["light"], bob["parked"]) == ("waiting", 0)
    assert bob["notices"] == [
        "1 of what is tagged: it waits for account alice, in whose collection “Shared” it is"
    ]
    explained = house.engine.explain(card)
    assert [d["reason"] for d in explained["decisions"]] == [
        "tagged; it is in a collection of account alice, which brings it into the CRM"
    ]
    house.sync()
    the_record(house)
    assert house.engine.queue() == []
    assert all(a["notices"] == [] for a in house.engine.status()["accounts"])


def test_who_may_only_read_there_has_tagged_nothing(house: House) -> None:
    house.boxes[SHARED].protect("shared")
    card = a_card(house)
    house.sync(names=["bob"])
    house.boxes[SHARED].protect("shared", writable=True)
    house.sync()
    the_record(house)
    (created,) = [e for e in house.engine.item_history(card) if e["action"] == "create"]
    assert created["reason"] == "tagged, and not in the CRM yet"


def test_the_owners_account_cannot_reach_its_server(house: House) -> None:
    """The delegate can, and does not jump in."""
    a_card(house)
    house.boxes[SHARED].faults.fail("changes", Unreachable("down"))
    house.sync(names=["alice"])
    house.sync(names=["bob"])
    assert house.contacts() == []
    house.sync()
    the_record(house)
    house.idle()


@pytest.mark.parametrize("what", ["search", "create"])
def test_the_delegates_whole_cycle_goes_by_within_the_owners(house: House, what: str) -> None:
    a_card(house)
    house.boxes[SHARED].put("shared", {**PERSON, "email": "ada@example.com"}, tags=["CRM"])
    house.fate.plan(lambda _: house.sync(names=["bob"]), at=lambda p: p.what == what)
    house.sync(names=["alice"])
    house.sync()
    assert {r.owner for r in house.crm.all(house.people)} == {house.alice}
    assert twins(house) == []
    assert house.engine.queue() == []
    house.idle()


def test_both_accounts_sync_at_the_same_moment(house: House) -> None:
    for _ in range(20):
        a_card(house)
    threads = [threading.Thread(target=house.engine.sync, args=([n],)) for n in ("alice", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    house.sync()
    assert [r.owner for r in house.crm.all(house.people)] == [house.alice] * 20
    house.idle()


def test_tagged_by_both(house: House) -> None:
    card = a_card(house, "Blue")
    house.sync()
    house.boxes[SHARED].tag(card, "CRM")
    house.sync(names=["bob"])
    house.boxes[SHARED].tag(card, "CRM")
    house.sync()
    the_record(house)
    house.idle()


def test_what_the_owner_tags_herself_leaves_nothing_with_the_delegate(house: House) -> None:
    card = a_card(house)
    house.sync(names=["alice"])
    house.sync(names=["bob"])
    the_record(house)
    assert house.engine.queue() == []
    assert {p.account for p in _pairs(house, card)} == {"alice"}
    (created,) = [e for e in house.engine.item_history(card) if e["action"] == "create"]
    assert created["reason"] == "tagged, and not in the CRM yet"


def _pairs(house: House, card: str) -> Any:
    with house.state.reading() as tx:
        return tx.pairs.find(card)


def test_an_owners_delete_goes_to_the_crm(house: House) -> None:
    card = a_card(house)
    house.sync(names=["bob"])
    house.sync()
    house.boxes[SHARED].delete(card)
    house.sync(names=["bob"])
    assert len(house.contacts()) == 1
    house.sync()
    assert house.contacts() == []


def test_a_share_that_is_withdrawn_takes_nothing_with_it(house: House) -> None:
    a_card(house)
    house.sync(names=["bob"])
    house.seen["bob"] = ("bob",)  # type: ignore[index]
    house.restart()
    house.sync(names=["bob"])
    assert house.engine.queue() == []
    house.sync()
    the_record(house)
    assert len(house.items(SHARED)) == 1
    house.idle()


def test_what_the_owners_account_does_not_take_is_left_and_said(house: House) -> None:
    house.settings["alice"]["tag"] = "Customer"
    house.restart()
    card = a_card(house)
    house.sync()
    assert house.contacts() == []
    assert house.engine.queue() == []
    reasons = [d["reason"] for d in house.engine.explain(card)["decisions"]]
    assert "it is in a collection of account alice, whose tag (“Customer”) it does not carry" in reasons


def test_an_item_that_its_delegate_sees_no_more_is_asked_of_who_does(house: House) -> None:
    """The last word about it was the delegate's, before the share was withdrawn."""
    house.settings["alice"]["tag"] = "Customer"
    house.restart()
    card = a_card(house)
    house.sync()
    house.seen["bob"] = ("bob",)  # type: ignore[index]
    house.restart()
    told = house.engine.explain(card)
    assert [d["account"] for d in told["decisions"]] == ["bob"]
    assert (told["account"], told["tagged"], told["linked"]) == ("alice", False, False)


def test_a_collection_that_the_owners_account_leaves_out(house: House) -> None:
    house.boxes[SHARED].add("Other", *next(iter(house.boxes[SHARED].collections())).kinds, owner="alice")
    house.only["alice", SHARED] = ("Other",)
    house.restart()
    house.sync()
    card = a_card(house)
    house.sync()
    assert house.contacts() == []
    if isinstance(house, Foreign):  # which of her collections it is, two protocols do not say
        assert [row["code"] for row in house.engine.queue()] == ["waits_for_owner"]
    else:
        assert house.engine.queue() == []
        assert "leaves that out" in house.engine.explain(card)["decisions"][0]["reason"]


def test_the_delegates_own_records_do_not_go_to_the_owner(house: House) -> None:
    """Neither as new items nor by a match with what happens to stand in her book."""
    house.seen["bob"] = (SHARED, "bob")  # type: ignore[index]
    house.restart()
    house.boxes[SHARED].put("shared", {**PERSON, "email": "ada@example.com"})
    house.sync()
    house.crm.put(house.people, {**PERSON, "email": "ada@example.com"}, owner=house.bob)
    house.sync()
    (mine,) = house.items("bob")
    assert mine.columns["last_name"] == "Lovelace"
    (hers,) = house.items(SHARED)
    assert hers.tags == frozenset()
    house.idle()


def test_a_name_that_both_have_means_the_delegates_own(house: House) -> None:
    """``default_collection`` names a book, and the owner's is called the same, as calendars everywhere are."""
    house.boxes[SHARED].add("Team", Kind.CONTACT, owner="alice", id="hers")
    house.seen["bob"] = (SHARED, "bob")  # type: ignore[index]
    house.settings["bob"]["default_collection"] = {Kind.CONTACT: "Team"}
    house.restart()
    house.crm.put(house.people, PERSON, owner=house.bob)
    house.sync()
    assert len(house.items("bob")) == 1
    assert house.items(SHARED) == []


def test_a_service_login_reads_for_an_owner_without_one(house: House) -> None:
    """Carol's book; an account in her name, with somebody else's login, answers for her."""
    house.close()
    folder = house.folder / "carol"
    folder.mkdir()
    other = House(folder, shared=True, owner="carol")
    other.settings["alice"]["names"] = frozenset({"carol"})
    other.restart()
    try:
        a_card(other)
        other.sync(names=["bob"])
        assert other.contacts() == []
        other.sync()
        the_record(other)
        other.idle()
    finally:
        other.close()


def test_an_owner_whose_account_has_no_such_items(house: House) -> None:
    """It has a calendar only: nothing would ever bring the card in."""
    for mailbox in house.engine.accounts["alice"].mailboxes:
        mailbox.kinds = frozenset({Kind.APPOINTMENT})
    a_card(house)
    house.sync(names=["bob"])
    (record,) = house.crm.all(house.people)
    assert record.owner == house.bob


def test_an_owner_for_whom_no_account_answers(tmp_path: Path) -> None:
    """A team's book: whoever meets the card first brings it in, once."""
    house = House(tmp_path, shared=True, owner="team")
    try:
        a_card(house)
        house.sync(names=["bob"])
        house.sync()
        (record,) = house.crm.all(house.people)
        assert record.owner == house.bob
        house.idle()
    finally:
        house.close()


def test_a_link_does_not_follow_to_where_the_owner_has_one(house: House) -> None:
    """Two cards of one UID, Bob's own one and one in the owner's book; then his is deleted."""
    card = a_card(house, uid="one")
    mine = one_of_bobs(house, uid="one", first_name="Eve")
    house.sync()
    house.boxes["bob"].delete(mine)
    house.boxes[SHARED].edit(card, job_title="Countess")
    house.sync(names=["bob"])
    house.sync()
    the_record(house)
    house.idle()


def test_what_a_delegate_moves_into_the_owners_book_keeps_its_record(house: House) -> None:
    mine = one_of_bobs(house, uid="one")
    house.sync()
    house.boxes["bob"].delete(mine)
    a_card(house, uid="one")
    house.sync(names=["bob"])
    house.sync()
    assert len(house.contacts()) == 1
    assert twins(house) == []
    house.idle()


def test_a_link_does_not_follow_to_where_the_owners_record_is_being_made(house: House) -> None:
    """The same two cards; the owner's account has sent its record, and not heard of it yet."""
    mine = one_of_bobs(house, uid="one", first_name="Eve")
    house.sync()
    a_card(house, uid="one")

    def unheard(point: Any) -> None:
        raise Unreachable("no answer")

    house.fate.plan(unheard, at=lambda p: (p.where, p.what, p.after) == ("crm", "create", True))
    house.sync(names=["alice"])
    house.boxes["bob"].delete(mine)
    house.sync(names=["bob"])
    house.clock.tick(7200)
    house.sync()
    the_record(house)
    house.idle()
