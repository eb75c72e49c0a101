"""The sync on a replica: mailboxes go on while the CRM is away, and nothing is lost, doubled or sent back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.abilities import Access
from crmsync.connectors.contract import Kind, Side
from crmsync.connectors.errors import Unreachable
from crmsync.daemon.plan.grant import ALL, NOTHING, Grant
from crmsync.daemon.replica.desk import ReplicaDesk
from crmsync.state.replica.ids import new_id
from tests.daemon.replica.bench import Killed
from tests.daemon.replica.desk_world import KEY, DeskWorld
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm

pytestmark = pytest.mark.server


class Ticking:
    """One clock for the CRM and all the worlds that use it: it never goes back."""

    def __init__(self) -> None:
        self.world: DeskWorld | None = None
        self.time = datetime(2026, 11, 22, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        if self.world is not None:
            self.time = self.world.clock.time
        return self.time


@pytest.fixture(scope="module")
def clock() -> Ticking:
    return Ticking()


@pytest.fixture(scope="module")
def crm(clock: Ticking, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCrm]:
    with embedded_crm(clock=clock, directory=tmp_path_factory.mktemp("crm")) as made:
        yield made


@contextmanager
def begun(folder: Path, crm: EmbeddedCrm, clock: Ticking, **options: Any) -> Iterator[DeskWorld]:
    """A world in which the account has synced once, and the replica is filled."""
    with crm.crm.store.database.write() as connection:
        for table in ("EventRelation", "Attachment", "EmailMessage", "Contact", "Task", "Event"):
            connection.execute(crm.crm.store.database.tables[table].delete())
    made = DeskWorld(folder, crm, **options)
    made.clock.time = clock.time
    clock.world = made
    made.clock.tick(3600)
    made.later()  # who Alice is, and what she has there, only the CRM can say
    made.passed()
    yield made
    clock.time, clock.world = made.clock.time, None
    made.close()


@pytest.fixture(params=[KEY])
def world(tmp_path: Path, crm: EmbeddedCrm, clock: Ticking, request: Any) -> Iterator[DeskWorld]:
    with begun(tmp_path, crm, clock, external_id=request.param) as made:
        yield made


either_key = pytest.mark.parametrize("world", [KEY, ""], ids=["key", "no key"], indirect=True)


def linked(world: DeskWorld, **more: Any) -> tuple[str, str]:
    """A card and its record, in step everywhere."""
    card = world.person(job_title="Analyst", department="Engines", **more)
    world.later()
    world.passed()
    (row,) = world.rows()
    return card, row["Id"]


def edited_while_away(world: DeskWorld) -> tuple[str, str]:
    """A card and its record, in step until the CRM is away; since then the card has another title, and the replica."""
    card, record = linked(world)
    world.line.cut = True
    world.ecs.edit(card, job_title="Countess")
    world.later()
    return card, record


def done_while_away(world: DeskWorld, what: str) -> list[str]:
    """Not brought to the replica yet; and the titles that there are in the end."""
    card = "" if what == "create" else linked(world)[0]
    world.line.cut = True
    match what:
        case "create":
            world.person(job_title="Countess")
        case "update":
            world.ecs.edit(card, job_title="Countess")
        case "delete":
            world.ecs.delete(card)
    return [] if what == "delete" else ["Countess"]


def titles(world: DeskWorld) -> tuple[Any, Any, Any]:
    """In the mailbox, in the replica, in the CRM."""
    (card,), (here,), (there,) = world.cards(), world.here(), world.rows()
    return card["job_title"], here["Title"], there["Title"]


def back(world: DeskWorld) -> None:
    world.line.cut = False
    for _ in range(2):
        world.later()
        world.passed()


def test_with_the_crm_there_it_is_the_crm(world: DeskWorld):
    card, _ = linked(world)
    world.ecs.edit(card, job_title="Countess")
    assert world.later()["errors"] == []
    world.passed()
    assert titles(world) == ("Countess",) * 3
    world.quiet()


def test_an_edit_is_in_the_replica_at_once_and_in_the_crm_once(world: DeskWorld):
    card, record = edited_while_away(world)
    for _ in range(3):
        world.waits(world.later())
    assert titles(world) == ("Countess", "Countess", "Analyst")
    assert world.engine.explain(card)["snapshot"]["job_title"] == "Analyst"
    world.line.cut = False
    world.line.sent.clear()
    world.later()
    assert titles(world) == ("Countess",) * 3
    assert len([u for m, u in world.line.writes() if m == "PATCH"]) == 1
    assert world.engine.explain(card)["snapshot"]["job_title"] == "Countess"
    assert world.engine.conflicts() == []
    world.quiet()
    assert world.rows()[0]["Id"] == record


def test_what_is_changed_back_never_gets_there(world: DeskWorld):
    card, _ = edited_while_away(world)
    world.ecs.edit(card, job_title="Analyst")
    world.later()
    assert titles(world) == ("Analyst",) * 3
    back(world)
    assert titles(world) == ("Analyst",) * 3
    assert world.engine.conflicts() == []
    world.quiet()


def test_a_pass_brings_it_there_too(world: DeskWorld):
    edited_while_away(world)
    world.line.cut = False
    world.passed()
    assert titles(world) == ("Countess",) * 3
    world.line.sent.clear()
    world.later()
    assert world.line.writes() == []
    world.quiet()


@either_key
def test_a_create_and_its_update_are_one_record(world: DeskWorld):
    world.line.cut = True
    card = world.person(job_title="Analyst")
    world.waits(world.later())
    (row,) = world.here()
    assert (row["LastName"], row["Title"], row["Id"][3]) == ("Lovelace", "Analyst", "z")
    world.ecs.edit(card, job_title="Countess")
    world.waits(world.later())
    assert len(world.here()) == 1
    back(world)
    assert titles(world) == ("Countess",) * 3
    assert world.engine.explain(card)["record"] == world.rows()[0]["Id"]
    world.quiet()


def test_nothing_waits_longer_than_the_crm_is_away(world: DeskWorld):
    world.line.cut = True
    world.person()
    world.waits(world.later())
    world.clock.tick(1)
    world.line.cut = False
    assert world.engine.sync()["errors"] == []
    assert len(world.rows()) == 1
    world.passed()
    world.quiet()


def test_only_what_is_granted_goes_out(world: DeskWorld):
    """A pass covers more than any grant of a kind or direction, and is the CRM's scheduler's to begin."""
    card, _ = linked(world)
    task = world.make_there("Task", Subject="Call her")
    world.passed()
    world.line.cut = True
    world.engine.by_itself = NOTHING
    world.ecs.edit(card, job_title="Countess")
    world.later()
    assert titles(world) == ("Countess", "Analyst", "Analyst")  # not even in the copy
    world.clock.tick(90)
    world.engine.sync(grant=Grant(to=frozenset({Side.CRM})))
    assert titles(world) == ("Countess", "Countess", "Analyst")
    world.keeper.update(task, {"Subject": "Write to her"})
    world.line.cut = False
    world.line.sent.clear()
    world.later()
    assert world.line.writes() == []
    world.engine.sync(grant=Grant(to=frozenset({Side.ECS})))
    assert world.line.writes() == []
    world.engine.sync(grant=Grant(to=frozenset({Side.CRM}), kinds=frozenset({Kind.CONTACT})))
    assert titles(world) == ("Countess",) * 3
    assert [row["Subject"] for row in world.rows("Task")] == ["Call her"]
    world.engine.by_itself = ALL
    back(world)
    assert [row["Subject"] for row in world.rows("Task")] == ["Write to her"]


def test_a_pass_leaves_a_create_to_the_sync(world: DeskWorld):
    """Which looks for its like first: a colleague may have made that meanwhile."""
    world.line.cut = True
    world.person(job_title="Analyst")
    world.later()
    theirs = world.make_there(FirstName="Ada", LastName="Lovelace", Email="ada@example.com")
    world.line.cut = False
    world.passed()
    assert [row["Id"] for row in world.rows()] == [theirs]
    back(world)
    assert [row["Id"] for row in world.rows()] == [row["Id"] for row in world.here()] == [theirs]
    assert titles(world) == ("Analyst",) * 3
    world.quiet()


def test_what_refers_to_it_goes_along(world: DeskWorld):
    world.line.cut = True
    world.person()
    world.later()
    (person,) = world.here()
    task = world.keeper.create("Task", {"Subject": "Call her", "WhoId": person["Id"]})
    back(world)
    (there,) = world.rows("Task")
    assert (there["Subject"], there["WhoId"]) == ("Call her", world.rows()[0]["Id"])
    assert world.keeper.read(task)["Id"] == there["Id"]


def test_a_delete_waits_and_happens(world: DeskWorld):
    card, _ = linked(world)
    world.line.cut = True
    world.ecs.delete(card)
    world.later()
    assert (world.here(), len(world.rows())) == ([], 1)
    back(world)
    assert (world.here(), world.rows()) == ([], [])
    world.quiet()


def test_a_delete_gives_way_to_an_edit(world: DeskWorld):
    card, record = linked(world)
    world.line.cut = True
    world.ecs.delete(card)
    world.later()
    world.clock.tick(60)
    world.edit_there(record, Title="Countess")
    back(world)
    assert titles(world) == ("Countess",) * 3
    world.quiet()


# ── Both sides ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("first", "by"), [("mailbox", "sync"), ("mailbox", "pass"), ("crm", "pass")])
def test_the_later_one_wins_by_the_clock_of_the_mailbox(world: DeskWorld, first: str, by: str):
    """Not by the moment at which it came to the replica, or to the CRM."""
    card, record = linked(world)
    world.line.cut = True
    if first == "crm":
        world.edit_there(record, Title="Lady")
        world.clock.tick(600)
    world.ecs.edit(card, job_title="Countess")
    world.later()
    if first == "mailbox":
        world.clock.tick(600)
        world.edit_there(record, Title="Lady")
    world.clock.tick(600)
    world.line.cut = False
    if by == "pass":
        world.passed()
    back(world)
    winner, loser = ("Lady", "Countess") if first == "mailbox" else ("Countess", "Lady")
    assert titles(world) == (winner,) * 3
    (conflict,) = world.engine.conflicts()
    assert (conflict["base"], conflict["column"]) == ("Analyst", "job_title")
    assert loser in (conflict["ecs"], conflict["crm"])
    assert world.replicas.replica_conflicts() == []
    world.quiet()


def test_other_fields_of_the_same_record_are_merged(world: DeskWorld):
    _, record = edited_while_away(world)
    world.edit_there(record, Department="Numbers")
    back(world)
    assert titles(world) == ("Countess",) * 3
    assert world.cards()[0]["department"] == "Numbers"
    assert world.engine.conflicts() == []
    world.quiet()


def test_a_person_at_the_replica_goes_along(world: DeskWorld):
    _, record = edited_while_away(world)
    world.keeper.update(record, {"Department": "Numbers"})
    back(world)
    assert titles(world) == ("Countess",) * 3
    assert world.cards()[0]["department"] == "Numbers"
    world.quiet()


@pytest.mark.parametrize("first", ["mailbox", "replica"])
def test_a_person_at_the_replica_has_edited_the_same(world: DeskWorld, first: str):
    card, record = linked(world)
    world.line.cut = True
    if first == "replica":
        world.keeper.update(record, {"Title": "Lady"})
        world.clock.tick(600)
    world.ecs.edit(card, job_title="Countess")
    world.later()
    if first == "mailbox":
        world.clock.tick(600)
        world.keeper.update(record, {"Title": "Lady"})
    back(world)
    assert titles(world) == (("Lady",) * 3 if first == "mailbox" else ("Countess",) * 3)
    logs = [*world.engine.conflicts(), *world.replicas.replica_conflicts()]
    assert len(logs) == 1
    world.quiet()


def test_it_was_deleted_there(world: DeskWorld):
    """Gone on one side, edited on the other: the edit wins, by the sync's word."""
    _, record = edited_while_away(world)
    world.delete_there(record)
    back(world)
    assert titles(world) == ("Countess",) * 3
    assert world.replicas.replica_conflicts() == []
    world.quiet()


# ── Given up on the way ──────────────────────────────────────────────────────────────────────────────────────


def given_up(world: DeskWorld, card: str) -> None:
    (conflict,) = world.engine.conflicts(undecided=True)
    assert (conflict["column"], conflict["base"], conflict["ecs"]) == ("job_title", "Analyst", "Countess")
    assert (conflict["crm"], conflict["winner"]) == ("Analyst", None)
    assert titles(world) == ("Countess", "Analyst", "Analyst")
    assert world.replicas.replica_conflicts() == []
    assert world.replicas.replica_rejected() == []
    world.quiet()
    assert len(world.engine.conflicts()) == 1
    assert world.engine.explain(card)["snapshot"]["job_title"] == "Analyst"


def test_what_a_person_abandons_is_a_conflict(world: DeskWorld):
    card, record = edited_while_away(world)
    world.replicas.replica_abandon(record)
    world.later()
    back(world)
    given_up(world, card)


def refuse(world: DeskWorld, table: str, refused: str) -> None:
    """By a rule of the CRM's own."""
    store = world.there.crm.store
    update = type(store).update

    def strict(self: Any, caller: Any, rows: Any, **options: Any) -> Any:
        from crmsync.state.replica.faults import Fault, Rejected

        bad = Rejected((Fault("FIELD_CUSTOM_VALIDATION_EXCEPTION", "no such title here"),))
        kept = [row for row in rows if row[2].get("Title") != refused]
        done = iter(update(self, caller, kept, **options) if kept else [])
        return [bad if row[2].get("Title") == refused else next(done) for row in rows]

    store.update = strict.__get__(store)  # type: ignore[method-assign]


@pytest.fixture
def refusing(world: DeskWorld) -> Iterator[DeskWorld]:
    refuse(world, "Contact", "Countess")
    yield world
    del world.there.crm.store.__dict__["update"]


@pytest.mark.parametrize("by", ["pass", "sync"])
def test_what_the_crm_refuses_is_a_conflict(refusing: DeskWorld, by: str):
    world = refusing
    card, _ = edited_while_away(world)
    world.line.cut = False
    if by == "pass":
        world.passed()
        assert len(world.replicas.replica_rejected()) == 1
    back(world)
    given_up(world, card)


def test_what_a_person_changed_beside_it_goes_out(refusing: DeskWorld):
    world = refusing
    card, record = edited_while_away(world)
    world.keeper.update(record, {"Department": "Numbers"})
    back(world)
    assert (world.rows()[0]["Department"], world.cards()[0]["department"]) == ("Numbers", "Numbers")
    given_up(world, card)


@pytest.mark.parametrize(
    ("keep", "value", "away"),
    [("crm", "Analyst", True), ("ecs", "Countess", True), ("ecs", "Countess", False)],
)
def test_a_person_says_which_value_stands(world: DeskWorld, keep: str, value: str, away: bool):
    card, record = edited_while_away(world)
    world.replicas.replica_abandon(record)
    world.later()
    world.line.cut = away
    world.engine.resolve(card, "job_title", keep=keep)
    world.later()
    back(world)
    assert titles(world) == (value,) * 3
    assert world.engine.conflicts(undecided=True) == []
    world.quiet()


def test_a_create_that_was_abandoned_is_parked(world: DeskWorld):
    world.line.cut = True
    card = world.person()
    world.later()
    (row,) = world.here()
    world.replicas.replica_abandon(row["Id"])
    world.later()
    world.line.cut = False
    world.later()
    world.passed()
    assert (world.here(), world.rows()) == ([], [])
    (parked,) = world.engine.rejected()
    assert (parked["item"], parked["code"]) == (card, "abandoned")
    world.engine.retry([card])
    back(world)
    assert len(world.rows()) == len(world.here()) == 1
    world.quiet()


# ── Killed, and answers lost ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("world", "what", "when", "how"),
    [
        (KEY, "create", "before", "killed"),
        (KEY, "create", "after", "killed"),
        ("", "create", "after", "killed"),
        ("", "create", "after", "lost"),
        (KEY, "update", "before", "killed"),
        (KEY, "update", "after", "killed"),
        (KEY, "update", "after", "lost"),
        (KEY, "delete", "after", "killed"),
        (KEY, "delete", "after", "lost"),
    ],
    indirect=["world"],
)
def test_once_whatever_happens_on_the_way_back(world: DeskWorld, what: str, when: str, how: str):
    """Killed before or after the CRM has carried it out, or the answer lost."""
    expected = done_while_away(world, what)
    world.later()
    world.again()
    world.line.cut = False

    def trouble(method: str, url: str) -> None:
        if (method, "composite" in url or "sobjects/Contact" in url) in (
            ("POST", True),
            ("PATCH", True),
            ("DELETE", True),
        ):
            world.line.before = world.line.after = lambda *_: None
            raise Killed if how == "killed" else Unreachable("the answer is lost")

    setattr(world.line, when, trouble)
    try:
        world.later()
    except Killed:
        world.again()
    back(world)
    assert [row["Title"] for row in world.rows()] == [row["Title"] for row in world.here()] == expected
    assert [row["Id"] for row in world.rows()] == [row["Id"] for row in world.here()]
    assert world.engine.conflicts() == []
    world.quiet()


@pytest.mark.parametrize(
    ("what", "when"), [("create", "before"), ("create", "after"), ("update", "after"), ("delete", "after")]
)
def test_killed_while_it_is_kept(world: DeskWorld, what: str, when: str):
    """On either side of the replica's own commit."""
    expected = done_while_away(world, what)
    here = world.keeper.here

    def dying(do: Any) -> str:
        if when == "after":
            here(do)
        raise Killed

    world.keeper.here = dying  # type: ignore[method-assign]
    with pytest.raises(Killed):
        world.later()
    world.again()
    world.later()
    back(world)
    assert [row["Title"] for row in world.rows()] == [row["Title"] for row in world.here()] == expected
    world.quiet()


# ── What only the CRM can tell ───────────────────────────────────────────────────────────────────────────────


def test_nothing_is_concluded_from_what_the_copy_lacks(world: DeskWorld):
    """A record that was linked after the last pass does not stand in it: nothing is unlinked, and others go on."""
    old, _ = linked(world)
    new = world.person("Grace", "Hopper", job_title="Captain")
    world.later()  # no pass since
    world.line.cut = True
    world.ecs.edit(new, job_title="Admiral")
    world.ecs.edit(old, job_title="Countess")
    report = world.later()
    assert (report["writes"], report["errors"]) == (0, [])
    assert [row["Title"] for row in world.here()] == ["Countess"]
    world.engine.sync(full=True)
    world.engine.reconcile()
    assert len(world.rows()) == 2
    back(world)
    assert sorted(row["Title"] for row in world.rows()) == ["Admiral", "Countess"]
    assert sorted(card["job_title"] for card in world.cards()) == ["Admiral", "Countess"]
    world.quiet()


def test_meetings_wait_for_the_crm(world: DeskWorld):
    """Who is invited stands in records of its own, which no replica has: an edit of that would be missed."""
    world.appointment()
    world.line.cut = True
    report = world.later()
    assert (report["writes"], report["errors"]) == (0, [])
    back(world)
    assert len(world.rows("Event")) == 1
    assert world.engine.queue() == []


def test_rights_are_remembered(world: DeskWorld):
    desk, record = ReplicaDesk(world.keeper), new_id("003", 1)
    known, none = Access(read=True, edit=False, delete=True), Access(read=False, edit=False, delete=False)
    desk.grant(world.there.alice.id, [record, new_id("003", 2)], {record: known})
    desk.grant(world.there.alice.id, [record], {record: known})
    asked = [record, new_id("003", 2), new_id("003", 3)]
    assert desk.granted(world.there.alice.id, asked) == {record: known, asked[1]: none}
    assert desk.granted(world.there.bob.id, asked) == {}


def test_a_replica_that_was_never_filled_stands_in_for_nothing(tmp_path: Path, crm: EmbeddedCrm):
    world = DeskWorld(tmp_path, crm)
    world.line.cut = True
    world.person()
    (error,) = world.later()["errors"]
    assert "never been filled" in error["message"]
    world.close()


def test_what_nobody_would_repeat_is_not_left_in_it(world: DeskWorld):
    """An undo, say, or the item that a check makes to try whether it can."""
    card, _ = linked(world)
    world.ecs.edit(card, job_title="Countess")
    cycle = world.later()["cycles"][0]["id"]
    world.passed()
    world.line.cut = True
    assert "will not do" in str(world.engine.check_write()["checks"])
    world.engine.undo(cycle)
    assert titles(world) == ("Countess",) * 3
    world.line.cut = False
    world.quiet()


def test_a_dry_run_leaves_nothing_in_it(world: DeskWorld):
    world.line.cut = True
    world.person()
    world.clock.tick()
    plan = world.engine.sync(dry_run=True)["plan"]
    assert [step["action"] for step in plan] == ["create"]
    assert world.here() == []
