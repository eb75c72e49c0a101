"""Operations for one account: they see and touch nothing of another one; and the history says who decided."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.contract import Side
from crmsync.daemon.engine import Engine, NoSuchAccount
from crmsync.daemon.operations.finding import NoSuchItem
from crmsync.state.model import Conflict, Detected, Held, HeldState, QueueState, What
from tests.daemon.machine.house import PEOPLE, SHARED, House

WHO = "bob, on the status page"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, shared=True)
    yield made
    made.close()


@pytest.fixture
def card(house: House) -> str:
    """Seen and linked by both accounts."""
    card = str(
        house.boxes[SHARED].put("shared", {"first_name": "Ada", "last_name": "Lovelace"}, tags=["CRM"])
    )
    house.sync()
    return card


def waiting_for(house: House, card: str) -> None:
    """A conflict and a held deletion of it, in both accounts."""
    with house.state.transaction() as tx:
        for pair in tx.pairs.find(card):
            common = {"cycle": 1, "account": pair.account, "pair_id": pair.id, "kind": pair.kind}
            common |= {"item": card, "record": pair.crm_id, "at": house.clock()}
            values = {"base": None, "ecs": "Countess", "crm": "Analyst"}
            tx.conflicts.add([Conflict(column="job_title", **values, **common)])
            tx.held.add([Held(what=What.DELETE, side=Side.CRM, collection=pair.ecs_collection, **common)])


def test_lists_are_of_these_accounts(house: House, card: str) -> None:
    waiting_for(house, card)
    for ask in (house.engine.conflicts, house.engine.deletions):
        assert [row["account"] for row in ask()] == list(PEOPLE)
        assert [row["account"] for row in ask(["bob"])] == ["bob"]


@pytest.mark.parametrize("ask", [Engine.explain, Engine.item_history])
def test_an_item_of_another_account_is_not_there(house: House, ask: Callable[..., Any]) -> None:
    mine = house.person(first="Grace", last="Hopper")
    house.sync()
    assert ask(house.engine, mine, ["alice"])
    with pytest.raises(NoSuchItem):
        ask(house.engine, mine, ["bob"])


def test_of_its_record_nothing_is_told_but_what_the_other_persons_crm_user_may_see(house: House) -> None:
    house.person(first="Grace", last="Hopper")
    house.sync()
    record = house.the_record().id
    with pytest.raises(NoSuchItem):
        house.engine.item_history(record, ["bob"])
    told = house.engine.explain(record, ["bob"])
    assert (told["account"], told["linked"], told["snapshot"]) == ("bob", False, None)
    house.crm.restrict(house.bob, record, read=False)
    with pytest.raises(NoSuchItem):
        house.engine.explain(record, ["bob"])


def test_of_a_shared_item_each_account_knows_its_own(house: House, card: str) -> None:
    told = house.engine.explain(card, ["bob"])
    assert told["account"] == "bob"
    assert {line["account"] for line in house.engine.item_history(card, ["bob"])} <= {"bob"}


def test_a_conflict_is_decided_in_these_accounts_alone(house: House, card: str) -> None:
    waiting_for(house, card)
    house.engine.resolve(card, "job_title", keep="crm", names=["bob"], by=WHO)
    assert {c["account"]: c["winner"] for c in house.engine.conflicts()} == {"alice": None, "bob": "crm"}
    assert [c["account"] for c in house.engine.conflicts(undecided=True)] == ["alice"]


def test_all_held_deletions_are_all_of_these_accounts(house: House, card: str) -> None:
    waiting_for(house, card)
    assert house.engine.decide_deletions(approve=False, names=["bob"], by=WHO)["rejected"] == 1
    with house.state.reading() as tx:
        states = {h.account: h.state for h in tx.held.listing(state=None)}
    assert states == {"alice": HeldState.HELD, "bob": HeldState.REJECTED}


def test_a_change_of_another_account_is_neither_retried_nor_given_up(house: House) -> None:
    mine = house.person(first="Grace", last="Hopper")
    house.sync()
    house.ecs.edit(mine, job_title="Admiral")
    with house.state.transaction() as tx:
        (pair,) = tx.pairs.find(mine)
        tx.queue.record("alice", Side.ECS, pair.ecs_collection, [Detected(mine, "edited")], house.clock())
        (row,) = tx.queue.named(mine)
        tx.queue.park([row.id], "refused", "no")
    for decide in (house.engine.reject_retry, house.engine.reject_abandon):
        with pytest.raises(NoSuchItem):
            decide(mine, ["bob"], by=WHO)
    assert house.engine.retry(names=["bob"]) == {"retried": 0}
    assert [row["state"] for row in house.engine.queue(["alice"], troubled=True)] == [QueueState.PARKED]
    house.engine.reject_retry(mine, ["alice"], by="alice")
    assert house.engine.queue(["alice"], troubled=True) == []
    (line,) = [e for e in house.engine.item_history(mine) if e["action"] == "decide"]
    assert line["reason"] == "alice: it is tried again"


def test_the_history_says_who_decided(house: House, card: str) -> None:
    waiting_for(house, card)
    house.engine.resolve(card, "job_title", keep="crm", names=["bob"], by=WHO)
    house.engine.decide_deletions(approve=True, items=[card], names=["bob"], by=WHO)
    lines = [e for e in house.engine.item_history(card) if e["action"] == "decide"]
    assert [(e["account"], e["winner"], e["column"]) for e in lines] == [
        ("bob", "person", "job_title"),
        ("bob", "person", ""),
    ]
    assert [e["reason"] for e in lines] == [
        f"{WHO}: the value of the CRM side stands",
        f"{WHO}: the deletion is approved",
    ]


def test_a_decision_is_nothing_that_an_undo_could_take_for_a_write(house: House, card: str) -> None:
    waiting_for(house, card)
    house.engine.resolve(card, "job_title", keep="crm", names=["bob"], by=WHO)
    with pytest.raises(NoSuchItem):
        house.engine.undo(0)


def test_an_account_that_is_none_is_an_error(house: House) -> None:
    with pytest.raises(NoSuchAccount):
        house.engine.conflicts(["eve"])
