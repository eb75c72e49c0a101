"""A mailbox, an engine, and a CRM that has a replica: the line to it can be cut, and lose what it carries."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from crmsync.connectors.contract import Kind, Side
from crmsync.connectors.errors import Unreachable
from crmsync.connectors.http import Http, Response
from crmsync.connectors.salesforce.auth import ClientCredentials
from crmsync.connectors.salesforce.connector import SalesforceSource
from crmsync.connectors.salesforce.tables import DEFAULT_FIELDS
from crmsync.daemon.account import Crm
from crmsync.daemon.lazy import LazySource
from crmsync.daemon.replica.beside import beside_replica
from crmsync.daemon.replica.keeper import Keeper, Settings
from crmsync.daemon.replica.replicas import Replicas
from crmsync.state.replica.faults import Saved
from tests.daemon.cycle.world import World
from tests.servers.embedded_crm import EmbeddedCrm

OBJECTS = ("Account", "Contact", "Task")
KEY = "Crmsync_Id__c"
Hook = Callable[[str, str], None]  # method, address


def nothing(method: str, url: str) -> None:
    """Every request gets there, and its answer back."""


@dataclass
class Line:
    """To the CRM."""

    http: Http
    cut: bool = False
    before: Hook = nothing
    after: Hook = nothing  # the CRM has carried it out
    sent: list[tuple[str, str]] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return self.http.requests

    @property
    def clock_offset(self) -> timedelta:
        return timedelta(0)

    def request(self, method: str, url: str, **given: Any) -> Response:
        if self.cut:
            raise Unreachable("nobody answers")
        self.before(method, url)
        self.sent.append((method, url))
        answer = self.http.request(method, url, **given)
        self.after(method, url)
        return answer

    def writes(self) -> list[tuple[str, str]]:
        return [
            (m, u)
            for m, u in self.sent
            if m in ("PATCH", "DELETE", "PUT") or (m == "POST" and "oauth2" not in u)
        ]

    def close(self) -> None:
        self.http.close()


class DeskWorld(World):
    """As `World`, with a real CRM behind a line, and its replica.

    `external_id`: the field for external ids, if it has one; `replica`: the URL of a database server, for the copy."""

    def __init__(
        self,
        folder: Path,
        crm: EmbeddedCrm,
        *,
        external_id: str = KEY,
        clock: Any = None,
        replica: str = "",
        objects: tuple[str, ...] = OBJECTS,
    ) -> None:
        self.there, self.external_id, self.objects = crm, external_id, objects
        self.replica_at: Path | str = replica or folder / "replica.db"
        self.line = Line(Http(crm.url, timeout=60))
        super().__init__(folder)
        if clock is not None:
            self.clock = clock

    def start(self) -> None:
        super().start()
        self.keeper = Keeper(
            "main", self.replica_at, Settings(self.objects), lambda: self.live.replication(), now=self.clock,
            durable=False,
        )  # fmt: skip
        auth = ClientCredentials(self.there.client_id, self.there.client_secret)
        given: Mapping[str, Any] = {"fields": FIELDS, "external_id": self.external_id, "now": self.clock}
        self.live = SalesforceSource(self.there.url, auth=auth, transport=self.line, **given)
        lazy = LazySource(Side.CRM, lambda: self.live)
        source = beside_replica(lazy, lazy.salesforce, self.keeper, FIELDS, self.external_id, self.clock)
        self.login = Crm("main", source, self.rules)
        self.account.crm = self.login
        self.replicas = Replicas({"main": self.keeper}, self.clock)

    def close(self) -> None:
        self.engine.close()
        self.keeper.close()

    def again(self) -> None:
        """Another process."""
        self.close()
        self.line = Line(Http(self.there.url, timeout=60), cut=self.line.cut)
        self.start()

    # the CRM

    def rows(self, table: str = "Contact") -> list[Mapping[str, Any]]:
        store = self.there.crm.store
        caller = store.caller(self.there.sync.id)
        with store.database.read() as connection:
            found = connection.execute(store.database.tables[table].select()).mappings()
            ids = [row["Id"] for row in found if not row["IsDeleted"]]
        return [store.read(caller, table, i) for i in ids]

    def edit_there(self, record: str, **values: Any) -> None:
        store = self.there.crm.store
        table = {"003": "Contact", "00U": "Event", "02s": "EmailMessage"}.get(record[:3], "Task")
        (saved,) = store.update(store.caller(self.there.sync.id), [(table, record, values)])
        assert isinstance(saved, Saved), saved

    def make_there(self, table: str = "Contact", **values: Any) -> str:
        store = self.there.crm.store
        (saved,) = store.create(store.caller(self.there.alice.id), [(table, values)])
        assert isinstance(saved, Saved), saved
        return str(saved.id)

    def delete_there(self, record: str) -> None:
        store = self.there.crm.store
        store.delete(store.caller(self.there.sync.id), [record])

    # its replica

    def here(self, table: str = "Contact") -> list[Mapping[str, Any]]:
        with self.keeper.database.read() as work:
            return work.where(work.group(table).main)

    def passed(self) -> Any:
        self.clock.tick(30)
        return self.keeper.sync()

    def later(self) -> dict[str, Any]:
        self.clock.tick(90)
        return self.engine.sync()

    def waits(self, report: Mapping[str, Any]) -> None:
        assert (report["writes"], report["errors"]) == (0, [])
        assert [(r["state"], r["code"]) for r in self.engine.queue()] == [("waiting", "provisional")]

    def quiet(self) -> None:
        """A further cycle and pass have nothing to write, and nothing waits anywhere."""
        self.line.sent.clear()
        report = self.later()
        self.passed()
        assert (report["writes"], report["errors"], self.line.writes()) == (0, [], [])
        assert self.engine.queue() == []
        (standing,) = self.replicas.standing()
        assert (standing["waiting"], standing["conflicts"], standing["rejected"]) == (0, 0, 0)
        with self.keeper.database.read() as work:
            table = work.shared.from_sync
            assert work.where(table, table.c.state != "told") == []


FIELDS = {k: DEFAULT_FIELDS[k] for k in (Kind.CONTACT, Kind.TASK, Kind.APPOINTMENT, Kind.EMAIL)}
