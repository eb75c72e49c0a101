"""Undo of what cannot be seen now, or is not linked any more."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from crmsync.connectors.contract import Kind
from crmsync.connectors.errors import Unreachable
from crmsync.connectors.memory.faults import ALWAYS
from crmsync.daemon.plan.terms import Policy
from crmsync.state.errors import StateError
from crmsync.state.model import Action
from tests.daemon.cycle.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.close()


def cycle_that(world: World, action: Action) -> int:
    with world.state.reading() as tx:
        return next(n for n in range(1, 9) if any(e.action == action for e in tx.history.of_cycle(n)))


@pytest.mark.parametrize("how", ["hidden", "unreadable", "unreachable"])
def test_what_cannot_be_seen_is_not_told_as_deleted(world: World, how: str) -> None:
    world.record()
    world.sync()
    card, cycle = world.the_card().id, cycle_that(world, Action.CREATE)
    world.ecs.faults.fail("apply", Unreachable("no answer"), times=ALWAYS)
    assert world.engine.undo(cycle)["undone"] == 0
    world.ecs.faults.clear()
    if how == "hidden":
        world.ecs.hide(card)
    elif how == "unreadable":
        world.ecs.spoil(card, "rule 1")
    else:
        for step in ("collections", "fetch"):
            world.ecs.faults.fail(step, Unreachable("no answer"), times=ALWAYS)
    world.clock.tick(3600)
    answer = world.engine.undo(cycle)
    assert (answer["undone"], len(answer["kept"])) == (0, 1)
    assert "not known" in answer["kept"][0]["reason"]
    world.ecs.faults.clear()
    if how == "hidden":
        world.ecs.reveal(card)
    world.clock.tick(3600)
    if how != "unreadable":  # it is, with what broke it, not what the cycle made
        assert world.engine.undo(cycle)["undone"] == 1
        assert world.cards() == []


def test_what_was_unlinked_by_hand_stays_where_it_is(world: World) -> None:
    card = world.person()
    world.sync()
    cycle = cycle_that(world, Action.CREATE)
    world.engine.unlink(card)
    answer = world.engine.undo(cycle)
    assert "no longer linked" in answer["kept"][0]["reason"]
    assert len(world.contacts()) == 1


def test_nobody_is_asked_about_a_difference_to_what_is_not_linked_any_more(world: World) -> None:
    """The old value comes back, as was asked for; a question that cannot be answered would stay for ever."""
    card = world.person(job_title="Analyst")
    world.sync()
    world.crm.edit(world.the_record().id, job_title="Countess")
    world.sync()
    cycle = cycle_that(world, Action.UPDATE)
    world.ecs.untag(card, "CRM")
    world.sync()
    assert world.engine.undo(cycle)["undone"] == 1
    assert world.the_card().columns["job_title"] == "Analyst"
    assert world.engine.conflicts() == []
    world.idle()


def test_with_the_key_of_another_state_nothing_is_undone(world: World) -> None:
    """It could not tell whether a card that was made again by hand stands there already."""
    card = world.person(job_title="Analyst")
    world.sync()
    world.crm.delete(world.the_record().id)
    world.sync()
    assert world.cards() == []
    cycle = cycle_that(world, Action.DELETE)
    world.person(job_title="Analyst", tag=False)
    world.close()
    world.key = b"another key, because that is lost"
    world.start()
    with pytest.raises(StateError):
        world.engine.undo(cycle)
    assert [c.id for c in world.ecs.all()] != [card]
    assert len(world.cards()) == 1


def test_a_repair_leaves_what_an_interrupted_undo_has_announced(world: World) -> None:
    """It is all that is left of what was deleted, so that it can be put back."""
    world.record()
    world.sync()
    cycle = cycle_that(world, Action.CREATE)
    world.ecs.faults.fail("delete", Unreachable("the answer was lost"), after=True)
    (kept,) = world.engine.undo(cycle)["kept"]
    assert "not known" in kept["reason"]
    assert world.cards() == []
    checks = world.engine.check(repair=True)["checks"]
    assert [f"crmsync undo {cycle} once more"] == [c["hint"] for c in checks if c["name"] == "alice: undo"]
    assert world.engine.undo(cycle)["undone"] == 1
    with world.state.reading() as tx:
        assert any(e.native for e in tx.history.of_cycle(cycle_that(world, Action.DELETE)))


@pytest.mark.parametrize("then", ["another column", "keep ecs"])
def test_what_waits_after_both_sides_were_put_back_is_what_both_show(tmp_path: Path, then: str) -> None:
    """A person had given a third value, which nobody shows any more."""
    world = World(tmp_path)
    ask = {n: replace(rule, conflict=Policy.ASK) for n, rule in world.rules[Kind.CONTACT].items()}
    world.rules = {**world.rules, Kind.CONTACT: ask}
    world.close()
    world.start()
    card = world.person(job_title="Analyst")
    world.sync()
    world.ecs.edit(card, job_title="Countess")
    world.crm.edit(world.the_record().id, job_title="Duchess")
    world.sync()
    world.engine.resolve(card, "job_title", value="Princess")
    world.sync()
    with world.state.reading() as tx:
        cycle = max(e.cycle for e in tx.history.find(card))
    assert world.engine.undo(cycle)["undone"] == 2
    (waits,) = world.engine.conflicts(undecided=True)
    assert (waits["ecs"], waits["crm"]) == ("Countess", "Duchess")
    if then == "keep ecs":
        world.engine.resolve(card, "job_title", keep="ecs")
    else:
        world.ecs.edit(card, department="Navy")
    world.sync()
    shown = (world.the_card().columns["job_title"], world.the_record().columns["job_title"])
    world.close()
    assert shown == ("Countess", "Countess" if then == "keep ecs" else "Duchess")
