"""A replica that answers as the CRM does, on an address of its own, and its upstream, which can be away."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crmsync.connectors.http import Http
from crmsync.daemon.crm_api.server import CrmServer
from crmsync.daemon.replica.crm import ReplicaCrm
from crmsync.daemon.replica.keeper import Keeper, Settings
from crmsync.daemon.replica.modes import Mode
from crmsync.daemon.replica.serving import verifier, web_services
from crmsync.state.replica.org import Client as Application
from tests.daemon.replica.bench import Bench, Clock
from tests.servers.embedded_crm import embedded_crm

OBJECTS = ("Account", "Contact", "Event", "Lead", "Opportunity", "Profile", "Task", "User")


@dataclass
class Office(Bench):
    """As `Bench`, whose upstream goes and comes back on the same port."""

    mode: Mode = Mode.AUTO
    stack: ExitStack = field(default_factory=ExitStack)
    http: Http = field(init=False)
    keeper: Keeper = field(init=False)
    crm_here: ReplicaCrm = field(init=False)
    server: CrmServer = field(init=False)

    @property
    def address(self) -> str:
        return self.server.url

    def serve(self) -> "Office":
        self.http = Http(self.crm.url, timeout=60)
        application = Application(self.crm.client_id, self.crm.client_secret)
        settings = Settings(self.objects, policy=self.policy, mode=self.mode)
        where = self.database_url or self.file
        self.keeper = Keeper("main", where, settings, lambda: self.between, now=self.clock, durable=False)
        verify = verifier(lambda: self.http, self.crm.url)
        self.crm_here = web_services(self.keeper, verify, lambda: (application,), now=self.clock, pause=0.0)
        crm = self.crm_here
        self.server = CrmServer(crm.org, "", self.file.parent / "tls", https=True, clock=self.clock, crm=crm)
        self.server.start()
        return self

    @property
    def acting(self) -> Mode:
        return self.keeper.acting()

    def away(self) -> None:
        """The upstream is gone: its port is closed."""
        self.stack.close()

    def back(self) -> None:
        port = int(self.crm.url.rpartition(":")[2])
        credentials = (self.crm.client_id, self.crm.client_secret)
        self.crm = self.stack.enter_context(_upstream(self.file.parent, self.clock, port, credentials))

    def end(self) -> None:
        self.server.stop()
        self.http.close()
        self.keeper.close()
        self.close()
        self.stack.close()


def _upstream(path: Path, clock: Clock, port: int = 0, credentials: Any = None) -> Any:
    return embedded_crm(clock=clock, directory=path / "crm", port=port, credentials=credentials)


@contextmanager
def office(path: Path, **options: Any) -> Iterator[Office]:
    clock, stack = Clock(), ExitStack()
    crm = stack.enter_context(_upstream(path, clock))
    made = Office(crm, clock, path / "replica.db", objects=OBJECTS, stack=stack, **options)
    try:
        yield made.serve()
    finally:
        made.end()
