"""A cycle with a grant: what is not granted waits, and is found by the next one. Nothing is lost on the way."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.connectors.contract import Kind, Side
from crmsync.connectors.errors import Unreachable
from crmsync.daemon.plan.grant import ALL, NOTHING, Grant
from tests.daemon.cycle.world import World

REVERSE = Grant(to=frozenset({Side.CRM}))
FORWARD = Grant(to=frozenset({Side.ECS}))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def pending(world: World) -> int:
    return int(world.engine.status()["accounts"][0]["pending"])


# ── Nothing is granted: what changed is noted ────────────────────────────────────────────────────────────────


def test_without_a_grant_changes_are_noted_and_nothing_is_written(world: World) -> None:
    world.person("Ada", "Lovelace")
    world.record("Grace", "Hopper")
    report = world.sync(grant=NOTHING)
    assert (report["writes"], report["errors"]) == (0, [])
    assert (len(world.contacts()), len(world.cards())) == (1, 1)
    assert pending(world) == 2
    world.sync(grant=NOTHING)
    assert pending(world) == 2
    world.sync(grant=ALL)
    assert (len(world.contacts()), len(world.cards())) == (2, 2)
    world.idle()


def test_without_a_grant_nothing_is_decided_either(world: World) -> None:
    """Who belongs to whom is said when it is exchanged."""
    card = world.person("Ada", "Lovelace")
    world.record("Ada", "Lovelace")
    world.sync(grant=NOTHING)
    with world.state.reading() as tx:
        assert tx.pairs.find(card) == []
    world.sync(grant=REVERSE)
    assert len(world.contacts()) == len(world.cards()) == 1


def test_the_engine_does_by_itself_what_it_is_told_to(world: World) -> None:
    world.engine.by_itself = NOTHING
    world.person()
    assert world.sync()["writes"] == 0
    assert world.sync(grant=REVERSE)["writes"] > 0
    assert len(world.contacts()) == 1


def test_a_dry_run_says_what_would_be_exchanged_with_a_grant(world: World) -> None:
    world.engine.by_itself = NOTHING
    world.person()
    (line,) = world.sync(dry_run=True)["plan"]
    assert (line["side"], line["action"]) == ("crm", "create")


def test_while_nothing_is_granted_it_is_noted_when_each_column_changed(world: World) -> None:
    """The card's title was edited before the record's, its mail after: each is decided by its own time."""
    card = world.person(job_title="Analyst")
    world.sync()
    record = world.the_record().id
    world.ecs.edit(card, job_title="Countess")
    world.sync(grant=NOTHING)
    world.crm.edit(record, job_title="Engineer", phone_mobile="+44 20 7946 0001")
    world.sync(grant=NOTHING)
    world.ecs.edit(card, email="countess@example.com")
    world.sync(grant=NOTHING)
    world.sync(grant=ALL)
    assert world.the_card().columns["job_title"] == "Engineer"
    assert world.the_record().columns["email"] == "countess@example.com"
    world.idle()


# ── One direction ────────────────────────────────────────────────────────────────────────────────────────────


def test_to_the_crm_only(world: World) -> None:
    card = world.person()
    world.sync()
    world.ecs.edit(card, job_title="Countess")
    world.crm.edit(world.the_record().id, department="Engines")
    world.sync(grant=REVERSE)
    assert world.the_record().columns["job_title"] == "Countess"
    assert world.the_card().columns.get("department") is None
    assert pending(world) > 0
    world.sync(grant=FORWARD)
    assert world.the_card().columns["department"] == "Engines"
    assert pending(world) == 0
    world.idle()


def test_a_column_is_agreed_on_only_when_both_sides_hold_it(world: World) -> None:
    """The CRM's edit is overwritten there before it ever reached the card: it is an edit no more, and no conflict."""
    card = world.person(job_title="Analyst")
    world.sync()
    record = world.the_record().id
    world.crm.edit(record, job_title="Engineer")
    world.sync(grant=REVERSE)
    with world.state.reading() as tx:
        (pair,) = tx.pairs.find(card)
        snapshot = tx.snapshots.get_many([pair.id])[pair.id]
    assert snapshot.columns["job_title"] == "Analyst"
    world.crm.edit(record, job_title="Analyst")
    world.sync(grant=ALL)
    assert world.the_card().columns["job_title"] == "Analyst"
    assert world.engine.conflicts() == []
    world.idle()


def test_who_is_new_comes_in_the_direction_that_is_granted(world: World) -> None:
    world.person("Ada", "Lovelace")
    world.record("Grace", "Hopper")
    world.sync(grant=REVERSE)
    assert (len(world.contacts()), len(world.cards())) == (2, 1)
    assert next(i for i in world.ecs.all(world.book)).stamp is not None  # the mark goes with it
    world.sync(grant=FORWARD)
    assert (len(world.contacts()), len(world.cards())) == (2, 2)
    world.idle()


def test_a_delete_goes_in_its_direction_only(world: World) -> None:
    ada, grace = world.person("Ada", "Lovelace"), world.person("Grace", "Hopper")
    world.sync()
    records = {i.columns["first_name"]: i.id for i in world.crm.all(world.people)}
    world.ecs.delete(ada)
    world.crm.delete(records["Grace"])
    world.sync(grant=FORWARD)
    assert [i.id for i in world.crm.all(world.people)] == [records["Ada"]]
    assert grace not in [i.id for i in world.ecs.all(world.book)]
    world.sync(grant=REVERSE)
    assert world.contacts() == []
    world.idle()


# ── Kinds, columns, since ────────────────────────────────────────────────────────────────────────────────────


def test_other_kinds_wait(world: World) -> None:
    world.person()
    world.appointment()
    world.sync(grant=Grant(kinds=frozenset({Kind.APPOINTMENT})))
    assert (len(world.contacts()), len(world.crm.all(world.events))) == (0, 1)
    world.sync()
    assert len(world.contacts()) == 1
    world.idle()


def test_columns_that_are_not_granted_wait_also_of_what_is_made(world: World) -> None:
    some = Grant(columns={Kind.CONTACT: frozenset({"first_name", "last_name", "email"})})
    card = world.person(job_title="Countess")
    world.sync(grant=some)
    assert world.the_record().columns["first_name"] == "Ada"
    assert world.the_record().columns.get("job_title") is None
    assert pending(world) == 1
    world.ecs.edit(card, last_name="King", department="Engines")
    world.sync(grant=some)
    assert (world.the_record().columns["last_name"], world.the_record().columns.get("department")) == (
        "King",
        None,
    )
    world.sync()
    assert (world.the_record().columns["job_title"], world.the_record().columns["department"]) == (
        "Countess",
        "Engines",
    )
    world.idle()


@pytest.mark.parametrize("side", list(Side))
def test_what_was_made_in_part_is_no_reason_to_delete_the_whole(world: World, side: Side) -> None:
    """Its other columns were never anywhere else: that the part is deleted says nothing about them."""
    names = frozenset({"first_name", "last_name"})
    grant = Grant(to=frozenset({side.other}), columns={Kind.CONTACT: names})
    if side is Side.ECS:
        world.person(job_title="Analyst")
        world.sync(grant=grant)
        world.crm.delete(world.the_record().id)
    else:
        world.record(job_title="Analyst")
        world.sync(grant=grant)
        world.ecs.delete(world.the_card().id)
    world.sync()
    assert [c["job_title"] for c in (*world.cards(), *world.contacts())] == ["Analyst", "Analyst"]
    world.idle()


def test_a_value_that_gave_way_is_in_the_log_although_another_column_waits(world: World) -> None:
    card = world.person(job_title="Analyst")
    world.sync()
    world.crm.edit(world.the_record().id, job_title="Engineer")
    world.clock.tick()
    world.ecs.edit(card, job_title="Countess", department="Engines")
    world.sync(grant=Grant(columns={Kind.CONTACT: frozenset({"job_title"})}))
    (conflict,) = world.engine.conflicts()
    assert (conflict["column"], conflict["winner"], conflict["crm"]) == ("job_title", "ecs", "Engineer")
    assert world.the_record().columns.get("department") is None
    world.sync()
    assert world.the_record().columns["department"] == "Engines"
    assert len(world.engine.conflicts()) == 1


def test_what_was_noted_before_waits(world: World) -> None:
    world.person("Ada", "Lovelace")
    world.sync(grant=NOTHING)
    world.clock.tick(100)
    since = world.clock()
    world.person("Grace", "Hopper")
    world.sync(grant=Grant(since=since))
    assert [c["first_name"] for c in world.contacts()] == ["Grace"]
    world.sync()
    assert len(world.contacts()) == 2


# ── A reverse and a forward message are an ordinary cycle ────────────────────────────────────────────────────


class Quick(World):
    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'state.db'}?synchronous=normal"
        super().__init__(folder)


COLUMNS = ("job_title", "department", "phone_mobile")
EDITS = st.one_of(
    st.tuples(
        st.sampled_from(["ecs", "crm"]), st.integers(0, 2), st.sampled_from(COLUMNS), st.sampled_from("abc")
    ),
    st.tuples(st.sampled_from(["ecs gone", "crm gone"]), st.integers(0, 2), st.just(""), st.just("")),
    st.tuples(st.sampled_from(["ecs new", "crm new"]), st.integers(3, 9), st.just(""), st.just("")),
    st.tuples(st.just("noted"), st.just(0), st.just(""), st.just("")),  # a cycle of our own timers
)


def _play(folder: str, edits: list[tuple[str, int, str, str]], grants: list[Grant]) -> tuple[Any, ...]:
    world = Quick(Path(folder))
    try:
        cards = [world.person(f"P{n}", f"Person{n}") for n in range(3)]
        world.sync()
        records = {str(i.columns["first_name"]): i.id for i in world.crm.all(world.people)}
        gone: set[tuple[str, int]] = set()
        for what, n, column, value in edits:
            world.clock.tick()
            _edit(world, cards, records, gone, what, n, {column: value})
        for grant in grants:
            assert world.sync(grant=grant)["errors"] == []
        log = sorted(
            (c["column"], str(c["ecs"]), str(c["crm"]), c["winner"]) for c in world.engine.conflicts()
        )
        assert pending(world) == 0
        world.idle()
        return _sorted(world.contacts()), _sorted(world.cards()), log
    finally:
        world.close()


def _edit(
    world: World,
    cards: list[str],
    records: dict[str, str],
    gone: set[tuple[str, int]],
    what: str,
    n: int,
    value: dict[str, str],
) -> None:
    side = what.partition(" ")[0]
    match what:
        case "noted":
            world.sync(grant=NOTHING)
        case "ecs new":
            world.person(f"E{n}", f"New{n}")
        case "crm new":
            world.record(f"C{n}", f"New{n}")
        case _ if (side, n) in gone:
            return
        case "ecs":
            world.ecs.edit(cards[n], **value)
        case "crm":
            world.crm.edit(records[f"P{n}"], **value)
        case "ecs gone":
            gone.add((side, n))
            world.ecs.delete(cards[n])
        case "crm gone":
            gone.add((side, n))
            world.crm.delete(records[f"P{n}"])


def _sorted(some: Any) -> list[Any]:
    return sorted(sorted((k, str(v)) for k, v in c.items() if v is not None) for c in some)


@settings(max_examples=int(os.environ.get("CRMSYNC_EXAMPLES", "12")), deadline=None)
@given(edits=st.lists(EDITS, max_size=8), forward_first=st.booleans())
def test_a_reverse_and_a_forward_message_end_as_an_ordinary_cycle_does(
    edits: list[tuple[str, int, str, str]], forward_first: bool
) -> None:
    halves = [FORWARD, REVERSE] if forward_first else [REVERSE, FORWARD]
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        assert _play(one, edits, halves) == _play(other, edits, [ALL])


def test_what_takes_back_an_earlier_write_is_nothing_that_the_two_agree_on(world: World) -> None:
    """The card's edit is sent, and nobody hears of it; the record is edited later, and wins. The earlier write, which
    may yet arrive, is taken back by one that repeats what the CRM shows. The card may not be told of that yet."""
    card = world.person(job_title="Analyst", department="Poetry")
    world.sync()
    world.ecs.edit(card, job_title="Duchess")
    world.crm.faults.fail("update", Unreachable("the line is dead"))
    world.sync()
    world.crm.edit(world.the_record().id, job_title="Countess")
    world.ecs.edit(card, department="Engines")
    world.crm.faults.fail("update", Unreachable("no answer"), after=True)
    for _ in range(2):
        world.clock.tick(7200)
        world.sync(grant=REVERSE)
    world.clock.tick(7200)
    world.sync()
    assert world.the_card().columns["job_title"] == world.the_record().columns["job_title"] == "Countess"
    assert [(c["column"], c["ecs"], c["crm"]) for c in world.engine.conflicts()] == [
        ("job_title", "Duchess", "Countess")
    ]
    world.idle()
