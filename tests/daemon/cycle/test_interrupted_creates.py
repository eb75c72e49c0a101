"""Creates of which nobody knows what became of them, in a CRM that has no field for the name that we chose."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crmsync.connectors.contract import Deferred, Stale
from crmsync.connectors.errors import Unreachable
from crmsync.state.errors import StateError
from tests.daemon.cycle.world import World
from tests.daemon.machine.house import House
from tests.daemon.machine.trouble import Killed, Point

HOURS = 7200  # longer than any back-off
NAMELESS = {"email": None, "phone_mobile": None}  # nothing to find a partner by


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, ["the CRM has no external id"], people=["alice"], books=["Contacts"])
    yield made
    made.close()


def failed(id: str) -> Deferred:
    return Deferred(id, "the server failed (500)")


def fails_when_done(house: House) -> None:
    """The next create in the CRM."""

    def fail(point: Point) -> None:
        house.crm.faults.answer(point.detail, failed, applied=True)

    house.fate.plan(fail, at=lambda p: (p.where, p.what, p.after) == ("crm", "create", True))


def one_of_each(house: House) -> None:
    (card,), (record,) = house.cards(), house.contacts()
    assert card["first_name"] == record["first_name"]
    assert house.engine.matches() == [], "nobody has to say whose it is"
    house.idle()
    with house.state.reading() as tx:
        assert tx.intents.open("alice") == []
        assert len(tx.pairs.listing("alice")) == 1


def test_a_record_that_was_made_again_without_anybody_hearing_of_it_is_no_newcomer(house: House) -> None:
    """An edit wins over a delete, the CRM makes the record and says that it failed, and the poll brings it along."""
    card = house.person(job_title="Analyst")
    house.sync()
    house.crm.delete(house.the_record().id)
    house.ecs.edit(card, job_title="Countess")
    fails_when_done(house)
    house.sync()
    house.sync()  # the poll tells of the record before the create is repeated
    house.clock.tick(HOURS)
    house.sync()
    one_of_each(house)


def test_a_record_that_was_made_without_anybody_hearing_of_it_is_no_newcomer(house: House) -> None:
    """Also where nothing but its columns says whose it is."""
    house.person(**NAMELESS)
    fails_when_done(house)
    house.sync()
    house.sync()  # the poll tells of the record before the create is repeated
    assert house.engine.matches() == []
    house.clock.tick(HOURS)
    house.sync()
    one_of_each(house)


@pytest.mark.parametrize("quirks", [(), ("the CRM has no external id",)], ids=["external id", "none"])
def test_an_edit_after_a_create_that_nobody_heard_of_is_kept_when_the_next_attempt_wrote_nothing(
    tmp_path: Path, quirks: tuple[str, ...]
) -> None:
    """Of the attempt before it, that says nothing."""
    house = House(tmp_path, quirks, people=["alice"], books=["Contacts"])
    try:
        card = house.person(job_title="Analyst")
        fails_when_done(house)
        house.sync()
        house.ecs.edit(card, job_title="Countess")
        house.crm.faults.answer_next(Stale)
        house.clock.tick(HOURS)
        house.sync()
        house.sync()
        assert house.the_record().columns["job_title"] == "Countess"
        one_of_each(house)
    finally:
        house.close()


def test_a_record_that_a_person_makes_again_before_its_create_was_confirmed_is_the_partner(
    house: House,
) -> None:
    """The create is not repeated beside it, though it was not our login that made it."""
    house.person(job_title="Analyst")

    def recreate(point: Point) -> None:
        made = house.the_record()
        house.crm.delete(made.id)
        house.crm.put(house.people, made.columns, owner=made.owner)
        raise StateError("the disk is full")

    def made(point: Point) -> bool:
        return (point.what, point.after) == ("commit", False) and bool(house.contacts())

    house.fate.plan(recreate, at=made)
    house.sync()
    house.sync()
    one_of_each(house)


def test_a_record_that_was_made_again_and_edited_without_anybody_hearing_of_it_is_the_partner(
    house: House,
) -> None:
    """It no longer equals what was sent: only the match can tell, and what differs is a question."""
    card = house.person(job_title="Analyst")
    house.sync()
    house.crm.delete(house.the_record().id)
    house.ecs.edit(card, job_title="Countess")
    fails_when_done(house)
    house.sync()
    house.crm.edit(house.the_record().id, job_title="Baroness")
    house.sync()
    house.clock.tick(HOURS)
    house.sync()
    one_of_each(house)
    (conflict,) = house.engine.conflicts()
    assert (conflict["ecs"], conflict["crm"], conflict["resolved"]) == ("Countess", "Baroness", False)


@pytest.mark.parametrize("side", ["ECS", "CRM"])
def test_what_a_person_has_made_again_is_not_made_beside_it(house: House, side: str) -> None:
    """Deleted and made again by hand where it had been, edited on the other side: the edit wins, and nothing twice."""
    house.person(job_title="Analyst")
    house.sync()
    card, record = house.the_card(), house.the_record()
    if side == "CRM":
        house.ecs.edit(card.id, department="Poetry")
        house.crm.delete(record.id)
        house.crm.put(house.people, record.columns, owner=record.owner)
    else:
        house.crm.edit(record.id, department="Poetry")
        house.ecs.delete(card.id)
        house.ecs.put(house.book, card.columns)
    house.sync()
    one_of_each(house)
    assert house.the_card().columns["department"] == house.the_record().columns["department"] == "Poetry"
    assert house.the_card().tags == {"CRM"}


def test_a_card_that_is_made_again_by_hand_has_the_only_record(house: House) -> None:
    """Its former record was about to be made again for the former card, which is gone by now as well."""
    card = house.person(job_title="Analyst")
    house.sync()
    house.crm.delete(house.the_record().id)
    house.ecs.edit(card, job_title="Countess")
    house.fate.kill(at=lambda p: (p.where, p.what, p.after) == ("crm", "create", False))
    with pytest.raises(Killed):
        house.sync()
    former = house.the_card()
    house.ecs.delete(former.id)
    house.ecs.put(house.book, former.columns, tags=former.tags)
    house.restart()
    house.clock.tick(HOURS)
    house.sync()
    one_of_each(house)


def test_a_record_that_a_person_has_linked_before_anybody_heard_of_it(house: House) -> None:
    """Then the card for which it was made gets another one."""
    card = house.person(job_title="Analyst")
    house.sync()
    house.crm.delete(house.the_record().id)
    house.ecs.edit(card, job_title="Countess")
    house.fate.kill(at=lambda p: (p.where, p.what, p.after) == ("crm", "create", True))
    with pytest.raises(Killed):
        house.sync()
    house.restart()
    other = house.person("Eve", tag=False)
    house.engine.link(other, house.the_record().id)
    house.clock.tick(HOURS)
    house.sync()
    assert len(house.cards()) == len(house.contacts()) == 2
    house.idle()


def test_a_record_that_was_made_again_for_a_card_that_is_untagged_by_then_is_asked_about(
    house: House,
) -> None:
    """Nobody repeats its create any more, and edited since, it does not show all that was sent."""
    card = house.person(job_title="Analyst")
    house.sync()
    house.crm.delete(house.the_record().id)
    house.ecs.edit(card, job_title="Countess")
    fails_when_done(house)
    house.sync()
    made = house.the_record()
    house.crm.edit(made.id, job_title="Engineer", department="Engines")
    house.ecs.untag(card, "CRM")
    for _ in range(2):
        house.clock.tick(HOURS)
        house.sync()
    assert [c.id for c in house.items("alice")] == [card]
    assert [m["record"] for m in house.engine.matches()] == [made.id]
    house.engine.match_link(card, made.id)
    house.sync()
    one_of_each(house)


def test_what_was_empty_when_the_create_was_announced_is_an_edit_on_either_side(tmp_path: Path) -> None:
    """Also of a group (when it takes place) whose other columns both sides agree on."""
    world = World(tmp_path)
    nine = datetime(2026, 12, 1, 9, tzinfo=UTC)
    when = {"subject": "Jour fixe", "start": nine, "end": nine + timedelta(hours=1)}
    item = world.ecs.put("calendar", when, tags=["CRM"])
    world.crm.faults.fail("create", Unreachable("no answer"), after=True)
    world.engine.sync()
    (record,) = world.crm.all("event")
    world.ecs.edit(item, time_zone="Europe/Berlin", location="Room 1")
    world.clock.tick(HOURS)
    world.crm.edit(record.id, time_zone="Europe/Paris", location="Room 2")
    world.sync()
    assert [i.columns["time_zone"] for i in (world.ecs.read(item), world.crm.read(record.id))] == 2 * [
        "Europe/Paris"
    ]
    assert world.ecs.read(item).columns["location"] == "Room 2"
    assert {(c["column"], c["ecs"]) for c in world.engine.conflicts()} >= {("location", "Room 1")}
    world.idle()
    world.engine.close()
