"""A small world: a mailbox, a CRM, an engine between them, and a clock that only moves when it is told to."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from crmsync.connectors.columns import COLUMNS
from crmsync.connectors.contract import Columns, Kind, Side, Value
from crmsync.connectors.memory.connector import MemorySource
from crmsync.connectors.memory.server import MemoryServer
from crmsync.connectors.memory.traits import crm, groupware
from crmsync.daemon.account import Account, Crm, Mailbox
from crmsync.daemon.cycle.context import Retries
from crmsync.daemon.cycle.stamps import Signer
from crmsync.daemon.engine import Engine
from crmsync.daemon.plan.terms import Direction, Rule
from crmsync.state.database import State
from crmsync.state.witness import Witness

PRIVATE = {
    "notes",
    "phone_home",
    "nickname",
    *(f"address_home_{n}" for n in ("street", "city", "region", "postal_code", "country")),
}
RULES: Mapping[Kind, Mapping[str, Rule]] = {
    kind: {c: Rule(Direction.NONE) if c in PRIVATE or c == "categories" else Rule() for c in columns}
    for kind, columns in COLUMNS.items()
}


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 11, 22, 10, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def tick(self, seconds: float = 10) -> None:
        self.time += timedelta(seconds=seconds)


class World:
    url = ""  # of the state; a file in the folder, unless told otherwise
    key = b"k" * 32  # what the link stamps are signed with

    def __init__(self, folder: Path, *, ecs: Any = None, crm_traits: Any = None, **account: Any) -> None:
        self.clock = Clock()
        self.ecs = MemoryServer(now=self.clock, traits=ecs or groupware())
        self.book = self.ecs.add("Contacts", Kind.CONTACT).id
        self.calendar = self.ecs.add("Calendar", Kind.APPOINTMENT).id
        self.tasks = self.ecs.add("Tasks", Kind.TASK).id
        self.crm = MemoryServer(now=self.clock, traits=crm_traits or crm())
        self.people = self.crm.add("Contact", Kind.CONTACT).id
        self.events = self.crm.add("Event", Kind.APPOINTMENT).id
        self.todos = self.crm.add("Task", Kind.TASK).id
        self.alice = self.crm.add_user("alice@example.com")
        self.bob = self.crm.add_user("bob@example.com")
        self.folder = folder
        self.options = account
        self.rules = dict(RULES)
        self.start()

    def start(self) -> None:
        """The service; call it again for a restart on the same state."""
        self.state = State.open(self.url or f"sqlite:///{self.folder / 'state.db'}", now=self.clock)
        self.login = Crm("main", MemorySource(self.crm, Side.CRM), self.rules)
        self.mailbox = Mailbox("memory", MemorySource(self.ecs, Side.ECS))
        self.account = Account("alice", self.login, "alice@example.com", [self.mailbox], **self.options)
        self.engine = Engine(
            state=self.state,
            signer=Signer(self.key),
            witness=Witness(self.folder / "witness"),
            accounts={"alice": self.account},
            retries=Retries(budget=3),
            now=self.clock,
            jitter=lambda: 0.5,
        )

    def close(self) -> None:
        self.engine.close()

    # what people do

    def person(self, first: str = "Ada", last: str = "Lovelace", tag: bool = True, **more: Value) -> str:
        columns = {"first_name": first, "last_name": last, "email": f"{first}@example.com".lower(), **more}
        return self.ecs.put(self.book, columns, tags=["CRM"] if tag else [])

    def appointment(self, *, private: bool = False, tag: bool = True, **more: Value) -> str:
        start = datetime(2026, 12, 1, 9, tzinfo=UTC)
        columns: dict[str, Value] = {"subject": "Meeting", "start": start, "end": start + timedelta(hours=1)}
        columns |= {"all_day": False, "show_as": "busy", **more}
        return self.ecs.put(self.calendar, columns, tags=["CRM"] if tag else [], private=private)

    def record(self, first: str = "Grace", last: str = "Hopper", owner: str = "", **more: Value) -> str:
        columns = {"first_name": first, "last_name": last, "email": f"{first}@example.com".lower(), **more}
        return self.crm.put(self.people, columns, owner=owner or self.alice)

    # what the service does

    def sync(self, **options: Any) -> dict[str, Any]:
        """One sync by hand; the clock moves on first, as it does between an edit and a sync."""
        self.clock.tick()
        return self.engine.sync(**options)

    def idle(self) -> None:
        """A further sync finds nothing to write."""
        report = self.sync()
        assert report["writes"] == 0, report
        assert report["errors"] == []

    # what stands

    def contacts(self) -> list[Columns]:
        return [i.columns for i in self.crm.all(self.people)]

    def cards(self) -> list[Columns]:
        return [i.columns for i in self.ecs.all(self.book)]

    def the_record(self) -> Any:
        (item,) = self.crm.all(self.people)
        return item

    def the_card(self) -> Any:
        (item,) = self.ecs.all(self.book)
        return item


__all__ = ["RULES", "Clock", "World", "replace"]
