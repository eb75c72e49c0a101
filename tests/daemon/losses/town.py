"""A town of people, each with a story of their own: how they came to be, what happened to them between the backup and
the loss of the state (and was synced), and what happened while nobody synced."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from crmsync.connectors.contract import Kind, Side, Value
from crmsync.connectors.memory.native import Item
from crmsync.daemon.plan.guard import Limit
from tests.daemon.cycle.world import World

NIGHTLY = os.environ.get("CRMSYNC_MACHINE") == "nightly"
NO_LIMIT = {Kind.CONTACT: Limit(10_000, 1000)}  # the guard has tests of its own
ORIGINS = ("card", "record", "both")


@dataclass
class Person:
    name: str
    origin: str  # where they were first
    late: bool  # came to be after the backup
    before: str  # the loss
    after: str
    wrote: dict[tuple[Side, str], Value] = field(default_factory=dict)  # what people wrote last
    deleted: set[Side] = field(default_factory=set)
    untagged: bool = False

    def __str__(self) -> str:
        return f"{self.name} ({'late ' if self.late else ''}{self.origin}; {self.before}; then {self.after})"


class Town(World):
    """Everybody in one world: one loss tests all of the stories at once. By day every third of them."""

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder, limits=NO_LIMIT, **options)
        stories = list(product(ORIGINS, (False, True), STORIES, STORIES))
        self.inhabitants = [
            Person(f"P{number}", *story)
            for number, story in enumerate(stories)
            if NIGHTLY or number % 3 == 0 or "nothing" in story
        ]

    def settle_in(self, *, late: bool) -> None:
        columns = {"job_title": "at first", "department": "at first", "company": "at first"}
        for person in self.inhabitants:
            if person.late is late and person.origin != "record":
                self.person(person.name, "Inhabitant", **columns)
            if person.late is late and person.origin != "card":
                self.record(person.name, "Inhabitant", **columns)

    def happens(self, when: str) -> None:
        """``before`` or ``after`` the loss."""
        for person in self.inhabitants:
            STORIES[person.before if when == "before" else person.after](self, person, when)

    def found(self) -> Mapping[tuple[str, Side], list[Item]]:
        items: dict[tuple[str, Side], list[Item]] = {}
        for side, server in ((Side.ECS, self.ecs), (Side.CRM, self.crm)):
            for item in server.all():
                items.setdefault((str(item.columns["first_name"]), side), []).append(item)
        return items

    def one(self, person: Person, side: Side) -> Item | None:
        server = self.ecs if side is Side.ECS else self.crm
        return next((i for i in server.all() if i.columns["first_name"] == person.name), None)

    def edit(self, person: Person, side: Side, column: str, value: Value) -> None:
        if (item := self.one(person, side)) is not None:
            (self.ecs if side is Side.ECS else self.crm).edit(item.id, {column: value})
            person.wrote[side, column] = value

    def drop(self, person: Person, *sides: Side) -> None:
        for side in sides:
            if (item := self.one(person, side)) is not None:
                (self.ecs if side is Side.ECS else self.crm).delete(item.id)
                person.deleted.add(side)

    def untag(self, person: Person) -> None:
        if (item := self.one(person, Side.ECS)) is not None:
            self.ecs.untag(item.id, "CRM")
            person.untagged = True


Story = Callable[[Town, Person, str], None]


def _both(town: Town, person: Person, when: str) -> None:
    town.edit(person, Side.ECS, "job_title", f"card {when}")
    town.edit(person, Side.CRM, "department", f"record {when}")


def _same(town: Town, person: Person, when: str) -> None:
    town.edit(person, Side.ECS, "company", f"card {when}")
    town.edit(person, Side.CRM, "company", f"record {when}")


STORIES: Mapping[str, Story] = {
    "nothing": lambda town, person, when: None,
    "card edited": lambda town, person, when: town.edit(person, Side.ECS, "job_title", f"card {when}"),
    "record edited": lambda town, person, when: town.edit(person, Side.CRM, "job_title", f"record {when}"),
    "both edited": _both,
    "same column edited": _same,
    "cleared in the CRM": lambda town, person, when: town.edit(person, Side.CRM, "job_title", None),
    "cleared on the card": lambda town, person, when: town.edit(person, Side.ECS, "job_title", None),
    "card deleted": lambda town, person, when: town.drop(person, Side.ECS),
    "record deleted": lambda town, person, when: town.drop(person, Side.CRM),
    "both deleted": lambda town, person, when: town.drop(person, Side.ECS, Side.CRM),
    "untagged": lambda town, person, when: town.untag(person),
}
