"""Two merges in series, told at random: whoever edits, and whatever comes in between, all sides agree in the end, and
each value that nobody has replaced knowingly is there, or in a log."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.daemon.replica.desk_world import DeskWorld
from tests.daemon.replica.test_sync_on_replica import Ticking, begun, clock, crm
from tests.servers.embedded_crm import EmbeddedCrm

__all__ = ["clock", "crm"]  # fixtures

pytestmark = pytest.mark.server

FIELDS = {"job_title": "Title", "department": "Department"}
EDITS = st.tuples(st.sampled_from(("mailbox", "mailbox", "replica", "crm")), st.sampled_from(sorted(FIELDS)))
STEPS = st.lists(EDITS | st.sampled_from(("cycle", "cycle", "pass", "away", "there")), min_size=3, max_size=9)


class Person:
    """One, of whom everybody has a copy. `open`: values that nobody has replaced after having seen them."""

    def __init__(self, world: DeskWorld, number: int) -> None:
        self.world, self.number, self.edits = world, number, 0
        first = {name: f"{number}-0-{name}" for name in FIELDS}
        known = {row["Id"] for row in world.rows()}
        self.card = world.person(last=f"Number {number}", email=f"n{number}@example.com", **first)
        world.later()
        world.passed()
        (self.record,) = {row["Id"] for row in world.rows()} - known
        self.open = {name: set[str]() for name in FIELDS}

    def shown(self, place: str, name: str) -> Any:
        if place == "mailbox":
            return self.world.ecs.read(self.card).columns[name]
        rows = self.world.here() if place == "replica" else self.world.rows()
        return next(row[FIELDS[name]] for row in rows if row["Id"] == self.record)

    def edit(self, place: str, name: str) -> None:
        self.edits += 1
        value = f"{self.number}-{self.edits}-{name}"
        self.world.clock.tick(60)
        self.open[name].discard(self.shown(place, name))
        self.open[name].add(value)
        match place:
            case "mailbox":
                self.world.ecs.edit(self.card, **{name: value})
            case "replica":
                self.world.keeper.update(self.record, {FIELDS[name]: value})
            case "crm":
                self.world.edit_there(self.record, **{FIELDS[name]: value})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, crm: EmbeddedCrm, clock: Ticking) -> Iterator[DeskWorld]:
    folder: Path = tmp_path_factory.mktemp("stories")
    with begun(folder, crm, clock) as made:
        yield made


def told(world: DeskWorld, person: Person, steps: list[Any]) -> None:
    for step in steps:
        match step:
            case "cycle":
                world.later()
            case "pass" if not world.line.cut:
                world.passed()
            case "away" | "there":
                world.line.cut = step == "away"
            case (place, name):
                person.edit(place, name)


@settings(
    max_examples=4,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(steps=STEPS)
@example(steps=[("replica", "job_title"), ("mailbox", "job_title"), "cycle"])
@example(steps=[("mailbox", "job_title"), "cycle", ("crm", "job_title"), ("replica", "department")])
def test_nothing_is_lost(world: DeskWorld, steps: list[Any]):
    person = Person(world, len(world.cards()))
    told(world, person, ["away", *steps, "there", *["cycle", "pass"] * 3])
    logs = [*world.engine.conflicts(), *world.replicas.replica_conflicts()]
    logged = str(logs)
    for name, values in person.open.items():
        mailbox, replica, there = (person.shown(place, name) for place in ("mailbox", "replica", "crm"))
        assert mailbox == replica == there, name
        lost = {value for value in values if value != mailbox and repr(value) not in logged}
        assert not lost, (name, mailbox)
    world.quiet()
