"""The reference passes its own suite: as either side, with every combination of habits that matters."""

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from crmsync.connectors.contract import Cursor, Kind, Side
from crmsync.connectors.memory.connector import MemorySource
from crmsync.connectors.memory.server import MemoryServer
from crmsync.connectors.memory.traits import EVERYTHING, Traits, crm, day, dialled, groupware, minute, shorten
from tests.conformance.bench import Bench
from tests.conformance.suite import Conformance

WITHOUT_BIRTHDAYS = {k: c - {"birthday", "nickname", "show_as"} for k, c in EVERYTHING.items()}
SERVERS: dict[str, tuple[Side, Traits]] = {
    "groupware": (Side.ECS, groupware()),
    "groupware that forgets": (
        Side.ECS,
        groupware(incremental=False, tombstones=False, tells_version=False, tells_modified=False),
    ),
    "groupware that remembers": (Side.ECS, groupware(remembers=30_000)),
    "groupware in small pages": (Side.ECS, groupware(page=2, batch=3, reads_back=True)),
    "crm": (Side.CRM, crm()),
    "crm of few words": (
        Side.CRM,
        crm(
            columns=WITHOUT_BIRTHDAYS,
            rewrites={
                "notes": shorten(200),
                "last_name": shorten(80),
                "due": day,
                "end": minute,
                "phone_work": dialled,
            },
            read_only={Kind.CONTACT: frozenset({"department"})},
            computed={Kind.CONTACT: {"company": lambda columns: "Analytical Engines"}},
            conditional=False,
            page=5,
            batch=10,
        ),
    ),
    "crm without external id": (Side.CRM, crm(links=False, tombstones=False, whole_changes=False)),
}


class MemoryPerson:
    def __init__(self, server: MemoryServer, collection: str, title: str, owner: str) -> None:
        self.server, self.collection, self.title, self.owner = server, collection, title, owner

    def add(self, title: str) -> str:
        return self.server.put(
            self.collection, {self.title: title}, rest={"photo": "\x00\xff"}, owner=self.owner
        )

    def retitle(self, id: str, title: str) -> None:
        self.server.edit(id, {self.title: title})

    def delete(self, id: str) -> None:
        self.server.delete(id)

    def unmapped(self, id: str) -> object:
        return self.server.read(id).rest


@pytest.mark.parametrize("kind", [Kind.CONTACT, Kind.APPOINTMENT, Kind.TASK])
@pytest.mark.parametrize("name", SERVERS)
class TestMemory(Conformance):
    @pytest.fixture
    def bench(self, kind: Kind, name: str) -> Bench:
        side, traits = SERVERS[name]
        ticks = count()
        server = MemoryServer(
            lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(ticks)), traits
        )
        owner = server.add_user("ada@example.com") if side is Side.CRM else ""
        collection = server.add("Things", kind)
        title = "last_name" if kind is Kind.CONTACT else "subject"

        def expire(cursor: Cursor) -> Cursor:
            server.expire_cursors()
            return cursor

        person = MemoryPerson(server, collection.id, title, owner)
        source = MemorySource(server, side)
        return Bench(kind, source, collection, person, expire, "things/unknown", owner)
