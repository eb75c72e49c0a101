"""An undo that was interrupted, what people and the service do then, and the undo that is asked for again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crmsync.connectors.contract import Refused, Side
from crmsync.daemon.cycle.recover import INTERRUPTED
from crmsync.state.model import Action
from tests.daemon.machine.house import House
from tests.daemon.machine.trouble import Killed, Point

LEFT = [["the CRM has no external id"], []]


@pytest.fixture(params=LEFT, ids=["no external ids", "exact"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, request.param, people=["alice"], books=["Contacts"])
    yield made
    made.close()


def deleted_by_us(house: House, side: Side) -> int:
    """A cycle that deleted the half of a pair on this side, because a person had deleted the other one."""
    card = house.person(job_title="Analyst")
    house.sync()
    if side is Side.ECS:
        house.crm.delete(house.the_record().id)
    else:
        house.ecs.delete(card)
    house.sync()
    assert (house.cards(), house.contacts()) == ([], [])
    with house.state.reading() as tx:
        return next(n for n in range(1, 9) if any(e.action == Action.DELETE for e in tx.history.of_cycle(n)))


def dies(house: House, cycle: int, at: Callable[[Point], bool]) -> None:
    house.clock.tick()
    house.fate.kill(at=at)
    with pytest.raises(Killed):
        house.engine.undo(cycle)
    house.restart()


def after(what: str, where: str) -> Callable[[Point], bool]:
    return lambda p: (p.what, p.where, p.after) == (what, where, True)


def made_again_by_hand(house: House) -> None:
    card = house.the_card()
    house.ecs.delete(card.id)
    house.ecs.put(card.collection, card.columns, tags=card.tags)


def nothing_waits(house: House) -> None:
    assert (house.engine.matches(), house.engine.queue()) == ([], [])
    with house.state.reading() as tx:
        assert tx.intents.open("alice") == []
    house.idle()


@pytest.mark.parametrize("sync_first", [False, True])
def test_a_card_that_was_made_again_by_hand_is_not_put_back_beside_it(house: House, sync_first: bool) -> None:
    cycle = deleted_by_us(house, Side.ECS)
    dies(house, cycle, after("create", "alice"))
    made_again_by_hand(house)
    if sync_first:
        house.sync()
    answer = house.engine.undo(cycle)
    assert (answer["undone"], answer["errors"]) == (0, [])
    assert [k["reason"] for k in answer["kept"]] == [f"one like it stands there: {house.the_card().id}"]
    house.sync()
    assert len(house.cards()) == len(house.contacts()) == 1
    nothing_waits(house)


@pytest.mark.parametrize("side", Side)
def test_what_was_made_again_before_the_undo_is_not_put_back_beside_it(house: House, side: Side) -> None:
    cycle = deleted_by_us(house, side)
    house.person(job_title="Countess")
    house.sync()
    assert house.engine.undo(cycle)["undone"] == 0
    house.sync()
    assert len(house.cards()) == len(house.contacts()) == 1
    nothing_waits(house)


@pytest.mark.parametrize("side", Side)
def test_what_an_interrupted_undo_has_put_back_waits_for_the_next_one(house: House, side: Side) -> None:
    """The cycle in between takes it for nothing new, and asks."""
    cycle = deleted_by_us(house, side)
    dies(house, cycle, after("create", "alice" if side is Side.ECS else "crm"))
    house.sync()
    assert len(house.cards()) == (side is Side.ECS)
    assert len(house.contacts()) == (side is Side.CRM)
    assert len(house.engine.matches()) == 1
    answer = house.engine.undo(cycle)
    assert (answer["undone"], answer["errors"]) == (1, [])
    house.sync()
    assert len(house.cards()) == (side is Side.ECS)
    assert len(house.contacts()) == (side is Side.CRM)
    nothing_waits(house)


@pytest.mark.parametrize("side", Side)
def test_what_a_person_has_said_of_it_meanwhile_stands(house: House, side: Side) -> None:
    cycle = deleted_by_us(house, side)
    dies(house, cycle, after("create", "alice" if side is Side.ECS else "crm"))
    house.sync()
    (question,) = house.engine.matches()
    house.engine.match_create(question["item"] or question["record"])
    house.sync()
    assert len(house.cards()) == len(house.contacts()) == 1
    answer = house.engine.undo(cycle)
    assert (answer["undone"], answer["errors"]) == (0, [])
    house.sync()
    assert len(house.cards()) == len(house.contacts()) == 1
    nothing_waits(house)


def test_an_edit_in_the_middle_of_an_interrupted_undo_keeps_its_item_and_its_link(house: House) -> None:
    """Unlinked already, and its delete not announced yet."""
    house.record()
    house.sync()
    card = house.the_card().id
    cycle = min(e["cycle"] for e in house.engine.item_history(card))
    house.clock.tick()

    def unlinked(point: Point) -> bool:
        if (point.what, point.after) != ("commit", True):
            return False
        with house.state.reading() as tx:
            return tx.pairs.listing("alice")[0].state == "unlinked"

    dies(house, cycle, unlinked)
    house.ecs.edit(card, job_title="Countess")
    assert house.engine.undo(cycle)["undone"] == 0
    house.sync()
    assert house.the_record().columns["job_title"] == "Countess"
    nothing_waits(house)


@pytest.mark.parametrize("side", Side)
def test_what_is_put_back_and_out_of_sight_by_now_is_not_told_as_put_back_again(
    house: House, side: Side
) -> None:
    cycle = deleted_by_us(house, side)
    assert house.engine.undo(cycle)["undone"] == 1
    there, item = (house.ecs, house.the_card()) if side is Side.ECS else (house.crm, house.the_record())
    there.hide(item.id)
    again = house.engine.undo(cycle)
    assert (again["undone"], again["errors"], len(again["kept"])) == (0, [], 1)
    with house.state.reading() as tx:
        made = [e for n in range(1, 9) for e in tx.history.of_cycle(n) if e.reason.startswith("undo of")]
        assert len(made) == 1
        assert tx.intents.open("alice") == []


@pytest.mark.parametrize("how", ["killed before it wrote", "killed after it wrote", "refused"])
def test_an_undo_of_an_undo_that_came_to_nothing_leaves_the_question_until_it_is_answered(
    house: House, how: str
) -> None:
    """It would bring the two sides in step again, so that nothing waits for a person any more; as long as it has not,
    somebody has to say which value shall stand."""
    house.person(job_title="Analyst")
    house.sync()
    house.crm.edit(house.the_record().id, job_title="Countess")
    changed = house.sync()["cycles"][0]["id"]
    house.engine.undo(changed)
    undone = max(e["cycle"] for e in house.engine.item_history(house.the_card().id))
    assert [c["column"] for c in house.engine.conflicts() if not c["resolved"]] == ["job_title"]
    written = how == "killed after it wrote"
    if how == "refused":
        house.ecs.faults.answer(house.the_card().id, lambda id: Refused(id, "locked", "the card is locked"))
        house.engine.undo(undone)
        with house.state.reading() as tx:
            assert tx.intents.open("alice") == []
    else:
        dies(house, undone, lambda p: (p.what, p.where, p.after) == ("update", "alice", written))
    house.sync()
    shown = house.the_card().columns["job_title"]
    assert shown == ("Countess" if written else "Analyst")
    waiting = [c["column"] for c in house.engine.conflicts() if not c["resolved"]]
    assert waiting == ([] if written else ["job_title"])
    house.idle()


def test_what_was_put_back_and_moved_is_not_put_back_again(tmp_path: Path) -> None:
    """Nor where nothing but its UID says that it is the same."""
    house = House(tmp_path, people=["alice"])
    try:
        card = house.person(first_name="Ada", email=None, phone_mobile=None)
        house.sync()
        house.crm.delete(house.the_record().id)
        house.sync()
        with house.state.reading() as tx:
            cycle = next(
                n for n in range(1, 9) if any(e.action == Action.DELETE for e in tx.history.of_cycle(n))
            )
        assert house.engine.undo(cycle)["undone"] == 1
        (back,) = house.ecs.all()
        moved = house.ecs.move(back.id, house.second)
        house.sync()
        house.ecs.edit(moved, last_name="King")
        answer = house.engine.undo(cycle)
        assert (answer["undone"], len(house.ecs.all())) == (0, 1), answer
        assert card != moved
    finally:
        house.close()


@pytest.mark.parametrize("side", Side)
def test_what_an_interrupted_undo_has_replaced_stands_in_the_history(house: House, side: Side) -> None:
    card = house.person(job_title="Analyst")
    house.sync()
    if side is Side.ECS:
        house.crm.edit(house.the_record().id, job_title="Countess")
    else:
        house.ecs.edit(card, job_title="Countess")
    house.sync()
    line = house.engine.item_history(card)[-1]
    assert (line["side"], line["column"]) == (side.value, "job_title")
    dies(house, line["cycle"], after("update", "alice" if side is Side.ECS else "crm"))
    house.sync()
    told = next(e for e in house.engine.item_history(card) if e["reason"] == INTERRUPTED)
    assert (told["column"], told["old"], told["new"]) == ("job_title", "Countess", "Analyst")
    nothing_waits(house)
