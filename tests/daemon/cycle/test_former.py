"""What looks like the former partner of something: deleted and made again by hand, or by an import.

Whatever becomes of the link, nobody is there twice in the end, unless a person has said so.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmsync.connectors.contract import Columns, Kind, Refused
from crmsync.connectors.errors import Unreachable
from crmsync.daemon.plan.guard import Limit
from crmsync.daemon.plan.reconcile import DeleteRule
from tests.daemon.machine.house import House

ANALYST = {"job_title": "Analyst"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, people=["alice"], books=["Contacts"])
    yield made
    made.close()


@pytest.fixture
def unlinking(house: House) -> House:
    """A delete on one side leaves the other one alone."""
    house.settings["alice"]["deletes"] = {Kind.CONTACT: DeleteRule.UNLINK}
    house.restart()
    return house


def titles(items: list[Columns]) -> list[object]:
    return [i["job_title"] for i in items]


def the_question(house: House) -> tuple[str, list[str]]:
    (asked,) = house.engine.matches()
    return asked["item"] or asked["record"], asked["candidates"]


def two_people(house: House) -> tuple[str, str, str, str]:
    """A card and its record, and another card and that one's record."""
    card = house.person(**ANALYST)
    house.sync()
    record = house.the_record().id
    other = house.person("Augusta", "King")
    house.sync()
    (its,) = (i.id for i in house.items("crm") if i.id != record)
    return card, record, other, its


# ── The link was given up ────────────────────────────────────────────────────────────────────────────────────


def test_a_card_that_is_made_again_takes_up_the_record_that_was_left_alone(unlinking: House) -> None:
    house = unlinking
    former = house.person(**ANALYST)
    house.sync()
    house.ecs.delete(former)
    house.sync()
    new = house.person(**ANALYST)
    house.sync()
    house.ecs.edit(new, job_title="Countess")
    house.sync()
    assert titles(house.contacts()) == titles(house.cards()) == ["Countess"]
    house.idle()


def test_a_dry_run_says_so_and_leaves_the_link_that_was_given_up(unlinking: House) -> None:
    house = unlinking
    former = house.person(**ANALYST)
    house.sync()
    house.ecs.delete(former)
    house.sync()
    house.person(**ANALYST)
    house.sync(dry_run=True)
    with house.state.reading() as tx:
        assert [p.ecs_id for p in tx.pairs.listing("alice")] == [former]


@pytest.mark.parametrize("answer", ["that one", "a new one"])
def test_a_card_like_one_that_is_untagged_by_now_is_asked_about(house: House, answer: str) -> None:
    former = house.person(**ANALYST)
    house.sync()
    record = house.the_record().id
    house.ecs.untag(former, "CRM")
    house.sync()
    new = house.person(**ANALYST)
    house.sync()
    assert the_question(house) == (new, [record])
    assert len(house.contacts()) == 1
    house.idle()
    if answer == "that one":
        house.engine.match_link(new, record)
    else:
        house.engine.match_create(new)
    house.sync()
    assert len(house.contacts()) == (1 if answer == "that one" else 2)
    house.ecs.edit(new, job_title="Countess")
    house.sync()
    assert "Countess" in titles(house.contacts())
    assert house.engine.matches() == []
    house.idle()


def linked_card(house: House, born: str) -> str:
    """A card that is linked, and what can be known of it: made by a person, or by the service, or made anew since."""
    if born == "in the mailbox":
        house.person(**ANALYST)
    else:
        house.record("Ada", "Lovelace", job_title="Analyst")
    house.sync()
    if born == "in the CRM, with another address since":
        house.ecs.edit(house.the_card().id, email="lovelace@example.com")
        house.sync()
    return str(house.the_card().id)


BORN = ["in the mailbox", "in the CRM", "in the CRM, with another address since"]


@pytest.mark.parametrize("how", ["left alone", "untagged"])
@pytest.mark.parametrize("answer", ["that one", "a new one"])
@pytest.mark.parametrize("born", BORN)
def test_a_record_like_one_whose_card_is_still_there_is_asked_about(
    unlinking: House, how: str, answer: str, born: str
) -> None:
    house = unlinking
    former = linked_card(house, born)
    email = house.the_record().columns["email"]
    if how == "untagged":
        house.ecs.untag(former, "CRM")
        house.sync()
    house.crm.delete(house.the_record().id)
    house.sync()
    new = house.record("Ada", "Lovelace", job_title="Analyst", email=email)
    house.sync()
    assert the_question(house) == (new, [former])
    assert len(house.cards()) == 1
    house.idle()
    if answer == "that one":
        house.engine.match_link(former, new)
    else:
        house.engine.match_create(new)
    house.sync()
    assert len(house.cards()) == (1 if answer == "that one" else 2)
    house.crm.edit(new, job_title="Countess")
    house.sync()
    assert "Countess" in titles(house.cards())
    assert house.engine.matches() == []
    house.idle()


def test_where_the_former_card_cannot_be_seen_just_now_the_new_one_waits(unlinking: House) -> None:
    house = unlinking
    former = house.person(**ANALYST)
    house.sync()
    house.ecs.delete(former)
    house.sync()
    new = house.person(**ANALYST)
    house.ecs.faults.fail("fetch", Unreachable("the line is dead"), skip=1, times=1)
    house.sync()
    assert (len(house.contacts()), house.engine.matches()) == (1, [])
    house.sync()
    house.ecs.edit(new, job_title="Countess")
    house.sync()
    assert titles(house.contacts()) == ["Countess"]
    house.idle()


def test_a_card_like_one_in_a_collection_that_was_left_out_since_is_asked_about(tmp_path: Path) -> None:
    """Nobody can look at the former one; to wait for that would be to wait for ever."""
    house = House(tmp_path, people=["alice"])
    house.ecs.put(
        house.second, {"first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com"}, tags=["CRM"]
    )
    house.sync()
    house.only["alice", "alice"] = ("Contacts",)
    house.restart()
    house.engine.reconcile()
    new = house.person()
    house.sync()
    assert the_question(house) == (new, [house.the_record().id])
    house.engine.match_link(new, house.the_record().id)
    house.ecs.edit(new, job_title="Countess")
    house.sync()
    assert titles(house.contacts()) == ["Countess"]
    house.idle()
    house.close()


def test_a_card_that_comes_back_itself_is_linked_again(unlinking: House) -> None:
    """Out of the trash, or out of a backup."""
    house = unlinking
    card = house.ecs.read(linked_card(house, "in the mailbox"))
    house.ecs.delete(card.id)
    house.sync()
    kept = {n: getattr(card, n) for n in ("uid", "columns", "tags", "stamp")}
    house.ecs.insert(card.collection, card.id, kind=card.kind, **kept)
    house.sync()
    house.crm.edit(house.the_record().id, job_title="Countess")
    house.sync()
    assert titles(house.cards()) == ["Countess"]
    assert len(house.contacts()) == 1
    house.idle()


def test_somebody_else_with_the_same_address_is_no_former_partner(unlinking: House) -> None:
    house = unlinking
    former = house.person(email="family@example.com")
    house.sync()
    house.ecs.untag(former, "CRM")
    house.sync()
    house.person("Byron", "King", email="family@example.com")
    house.record("Ralph", "Milbanke", email="family@example.com")
    house.sync()
    assert (len(house.cards()), len(house.contacts())) == (3, 3)
    assert house.engine.matches() == []


def test_a_card_that_was_unlinked_by_hand_stays_so_when_another_record_is_merged_into_its_own(
    house: House,
) -> None:
    """It has its tag still: without its link it would be news, and get a record of its own."""
    card, record, former, survivor = two_people(house)
    house.engine.unlink(former)
    house.crm.merge(record, survivor)
    house.sync()
    for each in (former, card):
        house.ecs.edit(each, job_title="Countess")
    house.sync()
    house.sync()
    assert titles(house.contacts()) == [None]
    house.idle()


@pytest.mark.parametrize("given_up", ["untagged", "deleted"])
def test_a_record_that_is_merged_into_one_that_was_let_go_keeps_its_card(
    unlinking: House, given_up: str
) -> None:
    house = unlinking
    card, record, former, survivor = two_people(house)
    if given_up == "untagged":
        house.ecs.untag(former, "CRM")
    else:
        house.ecs.delete(former)
    house.sync()
    house.crm.merge(record, survivor)
    house.sync()
    house.ecs.edit(card, job_title="Countess")
    house.sync()
    assert titles(house.contacts()) == ["Countess"]
    house.idle()


def test_a_record_that_is_merged_into_that_of_another_card_is_unlinked(house: House) -> None:
    card, record, _, survivor = two_people(house)
    house.crm.merge(record, survivor)
    house.sync()
    house.ecs.edit(card, job_title="Countess")
    house.sync()
    assert [i["first_name"] for i in house.contacts()] == ["Augusta"]
    assert len(house.cards()) == 2, "nobody has deleted it"
    house.idle()


# ── The delete waits for a decision ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
def careful(house: House) -> House:
    """Any delete has to be approved."""
    house.settings["alice"]["limits"] = {Kind.CONTACT: Limit(0, 0)}
    house.restart()
    return house


@pytest.mark.parametrize("approve", [True, False], ids=["approved", "rejected"])
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "later"])
@pytest.mark.parametrize("born", BORN)
def test_a_record_that_an_import_made_again_waits_for_what_becomes_of_the_card(
    careful: House, approve: bool, at_once: bool, born: str
) -> None:
    """All of a CRM's contacts are deleted and imported anew: nobody has each of them twice."""
    house = careful
    former = linked_card(house, born)
    email = house.the_record().columns["email"]
    house.crm.delete(house.the_record().id)
    if not at_once:
        house.sync()
    new = house.record("Ada", "Lovelace", job_title="Analyst", email=email)
    house.sync()
    assert [c.id for c in house.ecs.all(house.book)] == [former]
    house.idle()
    (waiting,) = [row for row in house.engine.queue() if row["item"] == new]
    assert waiting["code"] == "disputed"
    house.engine.decide_deletions(approve=approve)
    house.sync()
    assert [r.id for r in house.items("crm")] == [new]
    assert len(house.cards()) == 1
    assert (house.the_card().id == former) is not approve
    house.crm.edit(new, job_title="Countess")
    house.sync()
    assert titles(house.cards()) == ["Countess"]
    house.idle()


@pytest.mark.parametrize("approve", [True, False], ids=["approved", "rejected"])
def test_a_card_that_an_import_made_again_waits_for_what_becomes_of_the_record(
    careful: House, approve: bool
) -> None:
    house = careful
    former = house.person(**ANALYST)
    house.sync()
    record = house.the_record().id
    house.ecs.delete(former)
    house.sync()
    new = house.person(**ANALYST)
    house.sync()
    assert [r.id for r in house.items("crm")] == [record]
    house.idle()
    house.engine.decide_deletions(approve=approve)
    house.sync()
    assert [c.id for c in house.ecs.all(house.book)] == [new]
    assert (house.the_record().id == record) is not approve
    house.ecs.edit(new, job_title="Countess")
    house.sync()
    assert titles(house.contacts()) == ["Countess"]
    house.idle()


@pytest.mark.parametrize("given_up", [False, True])
def test_a_card_that_was_made_again_while_the_crm_refuses_the_delete_waits(
    house: House, given_up: bool
) -> None:
    former = house.person(**ANALYST)
    house.sync()
    record = house.the_record().id
    house.ecs.delete(former)
    house.crm.faults.answer(record, lambda id: Refused(id, "locked", "the record is locked"))
    house.sync()
    assert [row["state"] for row in house.engine.queue()] == ["parked"]
    new = house.person(**ANALYST)
    house.sync()
    assert [r.id for r in house.items("crm")] == [record]
    house.idle()
    if given_up:
        house.engine.reject_abandon(former)
        house.clock.tick(600)
        house.sync()
        assert the_question(house) == (new, [record])
        return
    house.engine.retry()
    house.sync()
    assert (len(house.contacts()), len(house.cards())) == (1, 1)
    house.ecs.edit(new, job_title="Countess")
    house.sync()
    assert titles(house.contacts()) == ["Countess"]
    house.idle()


def test_a_delete_that_was_held_waits_for_its_answer_though_the_card_is_moved(tmp_path: Path) -> None:
    house = House(tmp_path, people=["alice"], limits={Kind.CONTACT: Limit(0, 0)})
    former = house.person(**ANALYST)
    house.sync()
    house.crm.delete(house.the_record().id)
    house.sync()
    house.ecs.move(former, house.second)
    house.sync()
    assert len(house.engine.deletions()) == 1
    house.idle()
    house.engine.decide_deletions(approve=True)
    house.sync()
    assert (house.items("alice"), house.items("crm"), house.engine.queue()) == ([], [], [])
    house.idle()
    house.close()


def test_a_card_whose_delete_was_to_unlink_it_is_made_again_when_that_is_rejected(careful: House) -> None:
    house = careful
    house.settings["alice"]["deletes"] = {Kind.CONTACT: DeleteRule.UNLINK}
    house.restart()
    house.ecs.delete(linked_card(house, "in the mailbox"))
    house.sync()
    assert len(house.engine.deletions()) == 1
    house.engine.decide_deletions(approve=False)
    house.sync()
    assert (titles(house.cards()), house.engine.deletions()) == (["Analyst"], [])
    house.idle()


def test_a_card_like_one_in_a_collection_whose_unlinking_is_held_waits(tmp_path: Path) -> None:
    house = House(tmp_path, people=["alice"], limits={Kind.CONTACT: Limit(0, 0)})
    house.ecs.move(linked_card(house, "in the mailbox"), house.second)
    house.sync()
    house.only["alice", "alice"] = ("Contacts",)
    house.restart()
    house.engine.reconcile()
    assert len(house.engine.deletions()) == 1
    new = house.person(**ANALYST)
    for _ in range(2):
        house.sync()
        assert len(house.contacts()) == 1
        house.engine.decide_deletions(approve=True)
    house.engine.reconcile()
    house.clock.tick(600)
    house.sync()
    assert the_question(house) == (new, [house.the_record().id])
    house.close()
