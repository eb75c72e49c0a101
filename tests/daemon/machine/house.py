"""A world with two people who share a CRM login, whose service can die at any point and start again."""

import functools
import sqlite3
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from crmsync.connectors.contract import Kind, Side, Source
from crmsync.connectors.memory.connector import MemorySource
from crmsync.connectors.memory.server import Backup, MemoryServer
from crmsync.daemon.account import Mailbox
from crmsync.state.database import State
from tests.daemon.cycle.world import Clock, World
from tests.daemon.machine.landscape import traits_of
from tests.daemon.machine.premises import NO_LIMIT, PEOPLE, SHARED, Premises
from tests.daemon.machine.trouble import Fate, Wires

__all__ = ["NO_LIMIT", "PEOPLE", "SHARED", "House"]


class House(Premises, World):
    """Over memory servers. Alice has two address books, Bob one on a server of his own; ``people`` of the CRM is
    shared, and so is, where a story wants it, an address book on a third server."""

    def __init__(
        self,
        folder: Path,
        quirks: Iterable[str] = (),
        *,
        people: Sequence[str] = PEOPLE,
        shared: bool = False,
        owner: str = "",
        books: Sequence[str] = ("Contacts", "Private"),
        batch: int = Premises.batch,
        **account: Any,
    ) -> None:
        """With contacts only, which a world has beside other kinds: every collection costs time in every cycle.
        ``owner``: whose the shared book is; otherwise nobody's."""
        ecs, crm = traits_of(quirks)
        self.owner = owner if owner in people else ""
        self.batch = batch
        self.clock = Clock()
        self.fate = Fate()
        self.ecs, bobs, both = (
            MemoryServer(now=self.clock, traits=ecs, domain=name) for name in (*PEOPLE, SHARED)
        )
        self.book, *others = (self.ecs.add(name, Kind.CONTACT).id for name in books)
        self.second = others[0] if others else ""
        bobs.add("Team", Kind.CONTACT)  # ids tell whose an item is
        both.add("Shared", Kind.CONTACT, owner=owner)
        self.boxes = {name: box for name, box in (("alice", self.ecs), ("bob", bobs)) if name in people}
        if shared:
            self.boxes[SHARED] = both
        self.crm = MemoryServer(now=self.clock, traits=crm)
        self.people = self.crm.add("Contact", Kind.CONTACT).id
        self.alice, self.bob = (self.crm.add_user(f"{name}@example.com") for name in PEOPLE)
        for name, server in self.servers.items():
            server.faults = Wires(name, self.fate)
        self.prepare(folder, people, account)
        (folder / "state.db").write_bytes(empty_state())
        self.start()

    def crm_source(self) -> Source:
        return MemorySource(self.crm, Side.CRM)

    def idle_requests(self) -> int:
        """A CRM that lists everything each time, and says of nothing whose it is, is asked for what nobody has."""
        traits = self.crm.traits
        unsaid = not traits.incremental and not traits.whole_changes
        return super().idle_requests() + len(self.seen) * unsaid

    def mailboxes(self, account: str, server: str) -> Sequence[Mailbox]:
        source = MemorySource(self.boxes[server], Side.ECS)
        return [Mailbox("memory", source, only=self.only.get((account, server), ()))]

    def restart_with_nothing(self) -> None:
        """The state database was lost; the key was not."""
        self.close()
        for leftover in self.folder.glob("state.db-*"):
            leftover.unlink()
        (self.folder / "state.db").write_bytes(empty_state())
        self.start()

    def save(self) -> "Saved":
        """Everything as it stands, at a moment when no service is at work."""
        copy = sqlite3.connect(":memory:", check_same_thread=False)
        with closing(sqlite3.connect(self.folder / "state.db")) as database:
            database.backup(copy)
        return Saved(self.clock.time, {name: s.backup() for name, s in self.servers.items()}, copy)

    def restore(self, saved: "Saved") -> None:
        """Back to that moment, with a service that has just been started. The state's file stays open: opening one
        takes longer than most of what is tried on it."""
        self.fate.clear()
        self.fate.passed.clear()
        self.clock.time = saved.time
        for name, server in self.servers.items():
            server.faults.clear()
            server.restore(saved.servers[name])
        with closing(sqlite3.connect(self.folder / "state.db")) as database:
            saved.state.backup(database)
        self.begin()


class Foreign(House):
    """Bob reaches the shared book over another protocol than Alice."""

    def mailboxes(self, account: str, server: str) -> Sequence[Mailbox]:
        type = "foreign" if (account, server) == ("bob", SHARED) else "memory"
        return [replace(m, type=type) for m in super().mailboxes(account, server)]


@dataclass(frozen=True)
class Saved:
    time: datetime
    servers: Mapping[str, Backup]
    state: sqlite3.Connection


@functools.cache
def empty_state() -> bytes:
    """A state database of today's tables with nothing in it: migrating one takes longer than a whole scenario."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state.db"
        State.open(f"sqlite:///{file}", now=Clock()).close()
        return file.read_bytes()
