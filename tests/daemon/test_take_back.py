"""A decision that is not carried out yet may be taken back; it then waits again, and history says so."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crmsync.connectors.contract import Kind
from crmsync.daemon.operations.finding import NoSuchItem
from crmsync.daemon.plan.guard import Limit
from crmsync.daemon.plan.terms import Policy, Rule
from tests.daemon.cycle.world import World

WHO = "an admin, on the status page"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def reasons(world: World, item: str) -> list[str]:
    return [line["reason"] for line in world.engine.item_history(item)]


@pytest.mark.parametrize("approve", [True, False])
def test_a_held_deletion(world: World, approve: bool) -> None:
    world.account.limits = {Kind.CONTACT: Limit(0, 100)}
    card = world.person()
    world.sync()
    world.ecs.remove(card)
    world.sync()
    world.engine.decide_deletions(approve=approve, by=WHO)
    (decided,) = world.engine.decided(["alice"])
    assert decided["what"] == f"deletion {'approved' if approve else 'rejected'}"
    world.engine.take_back(card, ["alice"], by=WHO)
    assert (world.engine.decided(), len(world.engine.deletions())) == ([], 1)
    world.sync()
    assert (len(world.contacts()), world.cards()) == (1, [])  # nothing was deleted, and nothing made again
    assert len(world.engine.deletions()) == 1
    assert f"{WHO}: the decision is taken back" in reasons(world, card)
    with pytest.raises(NoSuchItem):
        world.engine.take_back(card)


def test_a_conflict(world: World) -> None:
    rules = world.rules[Kind.CONTACT]
    world.login.rules = {**world.rules, Kind.CONTACT: {**rules, "job_title": Rule(conflict=Policy.ASK)}}
    card = world.person(job_title="Analyst")
    world.sync()
    world.ecs.edit(card, job_title="Countess")
    world.crm.edit(world.the_record().id, job_title="Engineer")
    world.sync()
    world.engine.resolve(card, "job_title", keep="crm", by=WHO)
    assert [one["what"] for one in world.engine.decided()] == ["job_title: CRM"]
    world.engine.take_back(card, by=WHO)
    world.sync()
    assert world.the_card().columns["job_title"] == "Countess"
    assert [c["column"] for c in world.engine.conflicts(undecided=True)] == ["job_title"]
    world.engine.resolve(card, "job_title", keep="ecs", by=WHO)
    world.sync()
    assert world.the_record().columns["job_title"] == "Countess"


@pytest.mark.parametrize("create", [True, False])
def test_a_match(world: World, create: bool) -> None:
    for _ in range(2):
        world.record("Ada", "Lovelace")
    world.account.crm_select = "linked"
    card = world.person()
    world.sync()
    assert len(world.engine.matches()) == 1
    (world.engine.match_create if create else world.engine.match_ignore)(card, by=WHO)
    if not create:
        world.sync()  # it is left alone, from now on
    world.engine.take_back(card, by=WHO)
    world.sync()
    assert len(world.engine.matches()) == 1
    assert len(world.contacts()) == 2
    world.engine.match_create(card)
    world.sync()
    assert len(world.contacts()) == 3


def test_of_another_account_it_is_not_there(world: World) -> None:
    world.account.limits = {Kind.CONTACT: Limit(0, 100)}
    card = world.person()
    world.sync()
    world.ecs.remove(card)
    world.sync()
    world.engine.decide_deletions(approve=True)
    world.engine.accounts = {**world.engine.accounts, "bob": replace(world.account, name="bob")}
    assert world.engine.decided(["bob"]) == []
    with pytest.raises(NoSuchItem):
        world.engine.take_back(card, ["bob"])
