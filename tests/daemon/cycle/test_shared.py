"""An address book that several accounts see: each item in it is one item and has one record, whoever sees it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmsync.connectors.contract import Deferred, Kind
from crmsync.connectors.errors import Unreachable
from crmsync.daemon.plan.terms import Direction, Policy, Rule
from crmsync.state.model import PairState
from tests.daemon.machine.house import SHARED, House
from tests.daemon.machine.rest import twins

PERSON = {"first_name": "Ada", "last_name": "Lovelace", "job_title": "Analyst"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, shared=True)
    yield made
    made.close()


def a_card(house: House) -> str:
    """Tagged, in the shared book, of someone who cannot be found again by an address."""
    return str(house.boxes[SHARED].put("shared", PERSON, tags=["CRM"]))


def one_record(house: House) -> dict[str, object]:
    assert twins(house) == []
    (columns,) = house.contacts()
    return dict(columns)


def test_the_second_account_links_what_the_first_has_brought_into_the_crm(house: House) -> None:
    a_card(house)
    house.sync()
    assert one_record(house)["job_title"] == "Analyst"
    house.idle()


def test_what_the_two_sides_agreed_on_holds_for_the_second_account(house: House) -> None:
    card = a_card(house)
    house.sync(names=["alice"])
    house.boxes[SHARED].edit(card, job_title="Countess")
    house.crm.edit(house.the_record().id, department="Navy")
    house.sync(names=["bob"])
    house.sync()
    assert (one_record(house)["job_title"], one_record(house)["department"]) == ("Countess", "Navy")
    assert house.boxes[SHARED].read(card).columns["department"] == "Navy"
    assert house.engine.conflicts() == []
    house.idle()


def test_the_second_account_waits_while_the_first_does_not_know_what_became_of_its_create(
    house: House,
) -> None:
    a_card(house)
    house.crm.faults.fail("create", Unreachable("no answer"), after=True)
    house.sync(names=["alice"])
    house.sync(names=["bob"])
    assert one_record(house)["job_title"] == "Analyst"
    house.sync()
    house.sync()
    assert one_record(house)["job_title"] == "Analyst"
    house.idle()


def test_nobody_waits_for_an_account_that_does_not_want_the_item_any_more(house: House) -> None:
    """Its create was announced; then its tag became another one, and it finds out what it made all the same."""
    a_card(house)
    house.crm.faults.answer_next(lambda id: Deferred(id, "the server failed (500)"))
    house.sync(names=["alice"])
    house.settings["alice"]["tag"] = "Customers"
    house.restart()
    house.clock.tick(7200)
    for names in (["bob"], ["alice"], ["bob"], ["bob"]):
        house.sync(names=names)
        house.clock.tick(7200)
    assert one_record(house)["job_title"] == "Analyst"
    with house.state.reading() as tx:
        assert tx.intents.open("alice") == []
        assert [p.crm_id for p in tx.pairs.listing("bob")] == [house.the_record().id]


@pytest.mark.parametrize("there", [True, False])
def test_what_one_account_has_given_up_is_the_same_record_for_the_other(house: House, there: bool) -> None:
    """As long as it is there."""
    card = a_card(house)
    house.settings["bob"]["tag"] = "Customers"
    house.restart()
    house.sync()
    house.boxes[SHARED].untag(card, "CRM")
    house.sync()
    first = house.the_record().id
    if not there:
        house.crm.delete(first)
    house.boxes[SHARED].tag(card, "Customers")
    house.boxes[SHARED].edit(card, job_title="Countess")
    house.sync()
    house.sync()
    assert one_record(house)["job_title"] == "Countess"
    assert (house.the_record().id == first) is there
    house.idle()


def test_nobody_waits_for_an_account_that_is_not_there_any_more(house: House) -> None:
    a_card(house)
    house.crm.faults.answer_next(lambda id: Deferred(id, "the server failed (500)"))
    house.sync(names=["alice"])
    del house.engine.accounts["alice"]
    house.clock.tick(7200)
    house.sync(names=["bob"])
    assert one_record(house)["job_title"] == "Analyst"


def test_two_accounts_that_meet_a_card_at_the_same_moment_make_one_record(house: House) -> None:
    """The other account's whole sync goes by between this one's look and its create."""
    house.boxes[SHARED].put("shared", {**PERSON, "email": "ada@example.com"}, tags=["CRM"])
    house.fate.plan(lambda _: house.sync(names=["bob"]), at=lambda p: (p.what, p.after) == ("search", True))
    house.sync(names=["alice"])
    house.sync()
    assert one_record(house)["job_title"] == "Analyst"
    house.idle()


def test_a_record_that_its_user_may_not_see_is_not_made_a_second_time(house: House) -> None:
    a_card(house)
    house.sync(names=["alice"])
    house.crm.restrict(house.bob, house.the_record().id, read=False)
    report = house.sync(names=["bob"])
    assert [e["code"] for e in report["errors"]] == ["out_of_reach"]
    assert one_record(house)["job_title"] == "Analyst"


def test_a_deleted_record_of_an_edited_card_is_made_again_once(house: House) -> None:
    card = a_card(house)
    house.sync()
    house.crm.delete(house.the_record().id)
    house.boxes[SHARED].edit(card, job_title="Countess")
    house.sync()
    house.sync()
    assert one_record(house)["job_title"] == "Countess"
    house.idle()


@pytest.mark.parametrize("after", ["heard of", "given up", "parked", "left"])
def test_a_record_that_waits_to_be_made_again_in_a_copy_is_made_once(house: House, after: str) -> None:
    """The copy of the CRM has it, and the second account cannot see it there; it waits for what becomes of it."""
    card = a_card(house)
    house.sync()
    house.crm.delete(house.the_record().id)
    house.boxes[SHARED].edit(card, job_title="Countess")
    house.crm.faults.postponed = True
    house.sync()
    with house.state.reading() as tx:
        assert [len(tx.intents.open(name)) for name in ("alice", "bob")] == [1, 0]
    assert {r["code"] for r in house.engine.queue() if r["account"] == "bob"} == {"made_again"}
    house.crm.faults.postponed = False
    if after == "given up":
        house.settings["alice"]["tag"] = "Customers"
        house.restart()
        house.clock.tick(7200)
        house.sync(names=["alice"])
    elif after == "left":
        del house.engine.accounts["alice"]
    elif after == "parked":
        with house.state.transaction() as tx:
            tx.queue.park([r.id for r in tx.queue.listing("alice")], "deferred", "given up after 8 attempts")
    for _ in range(2):
        house.clock.tick(7200)
        house.sync(names=["bob"] if after == "parked" else ())
    assert [dict(c)["job_title"] for c in house.contacts()] == ["Countess"]
    assert [r["account"] for r in house.engine.queue() if r["account"] == "bob"] == []


def test_a_record_that_two_cards_of_an_account_have_made_again_is_one(house: House) -> None:
    """The first account finds that a person has made it again; the second has a card of its own that goes with that."""
    card = house.boxes[SHARED].put("shared", {**PERSON, "email": "ada@example.com"}, tags=["CRM"])
    house.sync()
    house.crm.delete(house.the_record().id)
    house.boxes[SHARED].edit(card, job_title="Countess")
    somebody = {n: v for n, v in PERSON.items() if n != "job_title"} | {"email": "ada@example.com"}
    house.crm.put(house.people, somebody, owner=house.bob)
    house.boxes["bob"].put(house.boxes["bob"].collections()[0].id, somebody, tags=["CRM"])
    house.sync(names=["alice"])
    house.sync(names=["bob"])
    house.sync()
    assert one_record(house)["job_title"] == "Countess"
    house.idle()


def test_a_deleted_card_of_an_edited_record_is_made_again_once(house: House) -> None:
    card = a_card(house)
    house.sync()
    house.boxes[SHARED].delete(card)
    house.crm.edit(house.the_record().id, job_title="Countess")
    house.sync()
    house.sync()
    assert one_record(house)["job_title"] == "Countess"
    (now,) = house.items(SHARED)
    assert now.columns["job_title"] == "Countess"
    house.idle()


def test_a_card_that_one_account_gave_up_and_the_other_made_again_is_linked_by_both(house: House) -> None:
    card = a_card(house)
    house.sync()
    house.boxes[SHARED].delete(card)
    house.sync(names=["alice"])  # unlinks it: the other one links the record too
    house.crm.edit(house.the_record().id, job_title="Countess")
    house.sync(names=["bob"])
    house.sync()
    assert one_record(house)["job_title"] == "Countess"
    (now,) = house.items(SHARED)
    with house.state.reading() as tx:
        assert {p.account for p in tx.pairs.find(now.id) if p.state is PairState.LINKED} == {"alice", "bob"}
    house.idle()


def test_a_conflict_of_a_shared_item_is_decided_for_everyone(house: House) -> None:
    card = a_card(house)
    house.sync()
    house.rules[Kind.CONTACT]["job_title"] = Rule(Direction.BOTH, Policy.ASK)
    house.restart()
    house.boxes[SHARED].edit(card, job_title="Countess")
    house.crm.edit(house.the_record().id, job_title="Duchess")
    house.sync()
    assert {c["account"] for c in house.engine.conflicts()} == {"alice", "bob"}
    house.engine.resolve(card, "job_title", keep="ecs")
    house.sync()
    assert one_record(house)["job_title"] == "Countess"
    assert all(c["resolved"] for c in house.engine.conflicts())
    house.idle()


def test_a_shared_item_is_unlinked_for_everyone(house: House) -> None:
    card = a_card(house)
    house.sync()
    assert house.engine.unlink(card)["account"] == "alice, bob"
    house.crm.edit(house.the_record().id, job_title="Duchess")
    house.sync()
    assert house.boxes[SHARED].read(card).columns["job_title"] == "Analyst"
    house.idle()


def test_a_write_that_another_account_made_is_not_told_as_one_of_ours_that_was_interrupted(
    house: House,
) -> None:
    """It was announced here, and the line was dead; the other account, which sees the same item, wrote the same."""
    card = a_card(house)
    house.sync()
    house.boxes[SHARED].edit(card, job_title="Countess")
    house.crm.faults.fail("update", Unreachable("the line is dead"))
    house.sync(names=["alice"])
    house.sync(names=["bob"])
    house.clock.tick(3600)
    house.sync()
    told = [e for e in house.engine.item_history(house.the_record().id) if e["column"] == "job_title"]
    assert [(e["account"], e["new"]) for e in told] == [("bob", "Countess")]
    house.idle()


def test_an_item_that_another_account_has_linked_is_nobody_elses_partner(house: House) -> None:
    """A record was alice's, and is bob's by now, who has it linked to a card that both of them see; hers is another.
    Then she gets a second record of that person."""
    person = {**PERSON, "email": "ada@example.com"}
    first = house.crm.put(house.people, person, owner=house.alice)
    house.sync()
    card = house.boxes[SHARED].put("shared", person)
    house.sync()
    house.crm.assign(first, house.bob)
    house.sync()
    second = house.crm.put(house.people, person, owner=house.alice)
    house.sync()
    house.sync()
    with house.state.reading() as tx:
        assert {(p.account, p.crm_id) for p in tx.pairs.find(card)} == {("bob", first)}
        assert [p.account for p in tx.pairs.find(second)] == ["alice"]
    assert twins(house) == []
    house.idle()


def test_two_cards_of_one_record_that_was_made_again_for_one_of_them(tmp_path: Path) -> None:
    """Edited, they would not be found to be of one person; that they had one record is known."""
    house = House(tmp_path)
    mine, theirs = (
        house.boxes[n].put(
            house.book if n == "alice" else "team", PERSON | {"email": "ada@example.com"}, tags=["CRM"]
        )
        for n in ("alice", "bob")
    )
    house.sync()
    former = house.the_record().id
    house.crm.delete(former)
    house.boxes["alice"].edit(mine, email="countess@example.com")
    house.boxes["bob"].edit(theirs, job_title="Countess")
    house.sync()
    house.sync()
    record = house.the_record()
    assert record.id != former
    assert (record.columns["email"], record.columns["job_title"]) == ("countess@example.com", "Countess")
    assert {house.boxes[n].read(i).columns["email"] for n, i in (("alice", mine), ("bob", theirs))} == {
        "countess@example.com"
    }
    house.idle()
    house.close()


@pytest.mark.parametrize("stands", [True, False], ids=["it stands", "it is gone"])
def test_a_record_that_was_made_again_and_comes_back_to_who_had_let_it_go_is_asked_about(
    tmp_path: Path, stands: bool
) -> None:
    """Its former card stands there still, and may have nothing in common with it any more to be found by."""
    house = House(tmp_path, books=["Contacts"])
    former = house.record("Grace", "Hopper", email=None)
    house.sync()
    (card,) = house.cards()
    house.crm.assign(former, house.bob)
    house.sync()
    house.crm.delete(former)
    house.boxes["bob"].edit(house.items("bob")[0].id, job_title="Admiral")
    house.sync(names=["alice"])
    house.sync(names=["bob"])
    record = house.the_record()
    assert record.id != former
    house.crm.assign(record.id, house.alice)
    if not stands:
        house.ecs.delete(house.the_card().id)
        house.sync()
        assert house.the_card().columns["job_title"] == "Admiral"
        house.close()
        return
    house.sync()
    assert house.cards() == [card]
    (question,) = house.engine.matches()
    assert (question["record"], question["candidates"]) == (record.id, [house.the_card().id])
    house.engine.match_link(house.the_card().id, record.id)
    house.sync()
    assert house.the_card().columns["job_title"] == "Admiral"
    house.idle()
    house.close()
