"""A column that travels in one direction only: there is nothing to decide, and nothing is lost without a trace."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmsync.connectors.contract import Kind
from crmsync.connectors.memory.traits import crm
from crmsync.daemon.plan.terms import Direction, Rule
from tests.daemon.cycle.world import RULES, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """The company is that of the contact's Account: it comes from the CRM, and cannot be written there."""
    world = World(tmp_path, crm_traits=crm(read_only={Kind.CONTACT: frozenset({"company"})}))
    world.rules[Kind.CONTACT] = {**RULES[Kind.CONTACT], "company": Rule(Direction.TO_ECS)}
    yield world
    world.close()


@pytest.mark.parametrize("typed", ["before the first link", "later"])
def test_a_company_that_only_comes_from_the_crm_asks_nobody(world: World, typed: str) -> None:
    """The Account of a contact was set, and the card has an ORG of its own."""
    before = typed == "before the first link"
    card = world.person("Grace", "Hopper", company="Yale" if before else None)
    world.sync()
    if not before:
        world.ecs.edit(card, company="Yale")
    assert world.sync()["errors"] == []
    assert (world.the_card().columns["company"], world.the_record().columns["company"]) == ("Yale", None)
    world.crm.edit(world.the_record().id, company="Navy")
    report = world.sync()
    assert [(c["held"], c["parked"]) for c in report["cycles"]] == [(0, 0)] * len(report["cycles"])
    assert world.the_card().columns["company"] == "Navy"
    (conflict,) = world.engine.conflicts()
    assert (conflict["ecs"], conflict["crm"], conflict["winner"]) == ("Yale", "Navy", "crm")
    assert conflict["resolved"]
    world.idle()
    world.engine.resolve(card, "company", keep="ecs")  # brought back
    world.sync()
    assert (world.the_card().columns["company"], world.the_record().columns["company"]) == ("Yale", "Navy")
    world.idle()


def test_a_company_of_the_crm_that_the_card_never_had_is_an_edit_too(world: World) -> None:
    """The two never agreed on one: that nobody knows what stood there before is no reason to delete it."""
    card = world.person("Grace", "Hopper", company="Yale")
    world.sync()
    world.crm.edit(world.the_record().id, company="Navy")
    world.ecs.delete(card)
    world.sync()
    assert (world.the_card().columns["company"], world.the_record().columns["company"]) == ("Navy", "Navy")
    world.idle()


def test_a_card_whose_own_company_nobody_took_is_deleted_with_its_record(world: World) -> None:
    card = world.person("Grace", "Hopper", company="Yale")
    world.sync()
    world.ecs.delete(card)
    world.sync()
    assert (world.cards(), world.contacts()) == ([], [])


def test_a_rebuilt_state_holds_also_what_goes_one_way(world: World) -> None:
    """The card had kept its own value by the rule; that the state was lost is no reason to overwrite it."""
    card = world.person("Grace", "Hopper")
    world.sync()
    world.crm.edit(world.the_record().id, company="Navy")
    world.sync()
    world.ecs.edit(card, company="Yale")
    world.idle()
    world.state.close()
    for file in world.folder.glob("state.db*"):
        if file.is_file():
            file.unlink()
    world.start()
    world.sync()
    assert world.the_card().columns["company"] == "Yale"
    (conflict,) = world.engine.conflicts()
    assert (conflict["column"], conflict["winner"]) == ("company", None)


def test_a_record_is_not_taken_away_with_an_edit_that_stands_nowhere_else(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.rules[Kind.CONTACT] = {**RULES[Kind.CONTACT], "department": Rule(Direction.TO_CRM)}
    world.person("Grace", "Hopper")
    cycle = world.sync()["cycles"][0]["id"]
    world.crm.edit(world.the_record().id, department="Computation")
    world.sync()
    world.idle()
    (kept,) = world.engine.undo(cycle)["kept"]
    assert kept["reason"] == "changed by someone since"
    world.sync()
    assert world.the_record().columns["department"] == "Computation"
    world.close()


@pytest.mark.parametrize("typed", [None, "+49 (30) 555-1000"])
def test_what_a_server_made_of_our_values_is_nobodys_edit(tmp_path: Path, typed: str | None) -> None:
    """Such a record is taken away again, as it was when it was made or after a later edit of the card."""
    world = World(tmp_path, crm_traits=crm(rewrites={"phone_mobile": lambda v: str(v).replace(" ", "")}))
    card = world.person("Grace", "Hopper", phone_mobile="+49 (30) 555-1001")
    cycle = world.sync()["cycles"][0]["id"]
    if typed is not None:
        world.ecs.edit(card, phone_mobile=typed)
        world.sync()
    world.idle()
    answer = world.engine.undo(cycle)
    assert (answer["kept"], world.contacts()) == ([], [])
    world.close()
