"""Meetings, with the CRM away: their rows go into the copy; who is invited, and their files, wait for the CRM."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crmsync.config.replica import OBJECTS
from crmsync.connectors.errors import NotFound
from crmsync.daemon.replica.upkeep import check
from tests.daemon.replica.desk_world import DeskWorld, nothing
from tests.daemon.replica.test_sync_on_replica import Ticking, back, begun, clock, crm
from tests.servers.embedded_crm import EmbeddedCrm

__all__ = ["clock", "crm"]

pytestmark = pytest.mark.server


@pytest.fixture
def world(tmp_path: Path, crm: EmbeddedCrm, clock: Ticking) -> Iterator[DeskWorld]:
    with begun(tmp_path, crm, clock, objects=OBJECTS) as made:
        yield made


def known(world: DeskWorld, *names: str) -> None:
    for name in names:
        world.make_there(LastName=name.title(), Email=f"{name}@example.com")


def meeting(world: DeskWorld, *names: str, **more: Any) -> str:
    """In step everywhere."""
    item = world.appointment(attendees=tuple(f"{n}@example.com" for n in names), **more)
    world.later()
    world.passed()
    return item


def subjects(world: DeskWorld) -> tuple[Any, Any, Any]:
    """In the mailbox, in the copy, in the CRM."""
    (item,) = world.ecs.all(world.calendar)
    (here,), (there,) = world.here("Event"), world.rows("Event")
    return item.columns["subject"], here["Subject"], there["Subject"]


def invited(world: DeskWorld) -> list[str]:
    people = {row["Id"]: row["Email"] for row in world.rows()}
    return sorted(people[row["RelationId"]] for row in world.rows("EventRelation"))


def test_an_edit_of_a_plain_one_is_in_the_copy_at_once(world: DeskWorld):
    item = meeting(world)
    world.line.cut = True
    world.ecs.edit(item, subject="Review")
    world.waits(world.later())
    assert subjects(world) == ("Review", "Review", "Meeting")
    back(world)
    assert subjects(world) == ("Review",) * 3
    world.quiet()


def test_one_with_people_too_and_they_stay(world: DeskWorld):
    known(world, "ada", "grace")
    item = meeting(world, "ada", "grace")
    assert invited(world) == ["ada@example.com", "grace@example.com"]
    world.line.cut = True
    world.ecs.edit(item, subject="Review")
    world.waits(world.later())
    assert subjects(world) == ("Review", "Review", "Meeting")
    back(world)
    assert subjects(world) == ("Review",) * 3
    assert invited(world) == ["ada@example.com", "grace@example.com"]
    assert world.engine.conflicts() == []
    world.quiet()


def test_a_new_one_stands_in_the_copy_and_its_people_come_with_the_crm(world: DeskWorld):
    known(world, "ada")
    world.passed()
    world.line.cut = True
    world.appointment(attendees=("ada@example.com",))
    world.waits(world.later())
    (row,) = world.here("Event")
    assert (row["Subject"], row["Id"][3]) == ("Meeting", "z")
    (waiting,) = world.engine.queue()
    assert "who is invited" in waiting["error"]
    back(world)
    assert subjects(world) == ("Meeting",) * 3
    assert invited(world) == ["ada@example.com"]
    assert [r["Id"] for r in world.here("Event")] == [r["Id"] for r in world.rows("Event")]
    world.quiet()


def test_who_is_invited_meanwhile_waits_and_says_so(world: DeskWorld):
    known(world, "ada", "grace")
    item = meeting(world, "ada")
    world.line.cut = True
    world.ecs.edit(item, subject="Review", attendees=("ada@example.com", "grace@example.com"))
    for _ in range(2):
        world.waits(world.later())
        (waiting,) = world.engine.queue()
        assert "who is invited" in waiting["error"]
    assert subjects(world) == ("Review", "Review", "Meeting")
    assert invited(world) == ["ada@example.com"]
    back(world)
    assert subjects(world) == ("Review",) * 3
    assert invited(world) == ["ada@example.com", "grace@example.com"]
    assert world.engine.conflicts() == []
    world.quiet()


def test_nobody_is_sent_away_by_what_the_copy_lacks(world: DeskWorld):
    """Somebody whose record the copy does not have is invited all the same."""
    known(world, "ada")
    item = meeting(world, "ada")
    with world.keeper.database.write() as work:
        work.connection.execute(work.group("Contact").main.delete())
    world.line.cut = True
    world.ecs.edit(item, subject="Review")
    world.later()
    assert world.ecs.all(world.calendar)[0].columns["attendees"] == ("ada@example.com",)
    back(world)
    assert invited(world) == ["ada@example.com"]
    assert world.ecs.all(world.calendar)[0].columns["attendees"] == ("ada@example.com",)


def test_a_delete_waits_and_happens(world: DeskWorld):
    known(world, "ada")
    item = meeting(world, "ada")
    world.line.cut = True
    world.ecs.delete(item)
    world.waits(world.later())
    assert (world.here("Event"), len(world.rows("Event"))) == ([], 1)
    back(world)
    assert (world.here("Event"), world.rows("Event"), invited(world)) == ([], [], [])
    world.quiet()


def test_a_colleague_changes_who_is_invited_meanwhile(world: DeskWorld):
    known(world, "ada", "grace")
    item = meeting(world, "ada")
    (event,) = world.rows("Event")
    world.line.cut = True
    world.ecs.edit(item, subject="Review")
    world.later()
    grace = next(r["Id"] for r in world.rows() if r["LastName"] == "Grace")
    world.make_there("EventRelation", EventId=event["Id"], RelationId=grace)
    back(world)
    assert subjects(world) == ("Review",) * 3
    (shown,) = world.ecs.all(world.calendar)
    assert shown.columns["attendees"] == ("ada@example.com", "grace@example.com")
    assert invited(world) == ["ada@example.com", "grace@example.com"]
    world.quiet()


def test_a_copy_without_people_has_no_meetings_and_says_so(tmp_path: Path, crm: EmbeddedCrm, clock: Ticking):
    some = tuple(name for name in OBJECTS if name not in ("EventRelation", "Attachment"))
    with begun(tmp_path, crm, clock, objects=some) as world:
        item = meeting(world)
        world.line.cut = True
        world.ecs.edit(item, subject="Review", attendees=("ada@example.com",))
        report = world.later()
        assert (report["writes"], report["errors"]) == (0, [])
        (waiting,) = world.engine.queue()
        assert (waiting["state"], waiting["code"]) == ("waiting", "away")
        assert "EventRelation" in waiting["error"]
        assert subjects(world) == ("Review", "Meeting", "Meeting")
        known(world, "ada")
        back(world)
        assert subjects(world) == ("Review",) * 3
        assert invited(world) == ["ada@example.com"]
        world.quiet()


# ── What the login does not see of them ──────────────────────────────────────────────────────────────────────


def unseen(method: str, url: str) -> None:
    if "/sobjects/EventRelation/" in url or "/sobjects/Attachment/" in url:
        raise NotFound("the CRM has no such thing for this login")


def test_what_comes_along_is_passed_over_where_it_cannot_be_seen(
    tmp_path: Path, crm: EmbeddedCrm, clock: Ticking
):
    with begun(tmp_path, crm, clock, objects=("Contact",)) as world:
        world.make_there(LastName="Ada")
        world.passed()
        (row,) = world.here()
        world.objects = ("Attachment", "Contact", "EventRelation")
        world.again()
        world.line.before = unseen
        world.keeper.update(row["Id"], {"Title": "Countess"})  # of objects that no pass has seen yet
        world.passed()
        assert [row["Title"] for row in world.rows()] == ["Countess"]
        assert check(world.keeper)["ok"]
        world.line.before = nothing
        world.passed()
        assert world.here("EventRelation") == []


def test_what_was_asked_for_is_not_passed_over(tmp_path: Path, crm: EmbeddedCrm, clock: Ticking):
    with begun(tmp_path, crm, clock, objects=("Contact",)) as world:
        world.objects = ("Contact", "Lead")
        world.again()

        def hidden(method: str, url: str) -> None:
            if "/sobjects/Lead/" in url:
                raise NotFound("the CRM has no Lead for this login")

        world.line.before = hidden
        with pytest.raises(NotFound):
            world.passed()
