"""The CRM's own web services on a replica: what `daemon/crm_api` needs to answer, made of the replica's tables.

The schema is the upstream's, and changes with it: then the parts are made anew, and `generation` says so.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import RLock

from crmsync.daemon.crm_api.crm import DAILY_REQUESTS, Crm, Usage
from crmsync.daemon.replica.direct import Through
from crmsync.daemon.replica.login import Login, ReplicaSessions
from crmsync.daemon.replica.through_bin import ThroughBin
from crmsync.daemon.replica.through_merger import ThroughMerger
from crmsync.daemon.replica.through_queries import ThroughQueries
from crmsync.daemon.replica.through_store import ThroughStore
from crmsync.state.replica.local.changes import LocalChanges
from crmsync.state.replica.local.database import LocalDatabase
from crmsync.state.replica.local.glance import Glance
from crmsync.state.replica.local.identity import Identity, identity
from crmsync.state.replica.local.leads import LocalConverter
from crmsync.state.replica.local.tables import Tables
from crmsync.state.replica.org import Client, Org
from crmsync.state.replica.searching import Searches
from crmsync.state.replica.store import Clock

__all__ = ["GLANCE", "ReplicaCrm"]

GLANCE = 0.5  # seconds between two looks at what other processes have changed of the schema


@dataclass(frozen=True, slots=True)
class ReplicaOrg(Org):
    """The upstream's organisation, known since the first login."""

    known_as: str = ""

    @property
    def id(self) -> str:
        return self.known_as


class ReplicaCrm(Crm):
    def __init__(
        self,
        replica: LocalDatabase,
        login: Login,
        through: Through,
        *,
        clients: tuple[Client, ...] = (),
        clock: Clock,
        daily_requests: int = DAILY_REQUESTS,
        glance: float = GLANCE,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` tells the server's time, as far as it is known here. `clients`: the applications that may log in."""
        self.replica, self.login, self.through = replica, login, through
        self._clients, self.clock = clients, clock
        self.usage = Usage(clock, daily_requests)
        self.closers = []
        self._lock, self._generation = RLock(), 0
        self._glance, self._monotonic, self._looked = glance, monotonic, monotonic()
        self._tables, self._who = replica.tables, login.who()
        self._make()
        self._own = ReplicaSessions(self.store, self.org, login, self.look, clock=clock)
        self.sessions = self._own

    @property
    def generation(self) -> int:
        with self._lock:
            tables, who = self.replica.tables, self._who
            if self._monotonic() - self._looked >= self._glance:
                tables, who = self._look()
            if tables is not self._tables or who != self._who:
                self._tables, self._who = tables, who
                self.queries.close()
                self._make()
                self._own.belong_to(self.org)
                self._generation += 1
            return self._generation

    def look(self) -> None:
        """What may be of another generation now."""
        with self._lock:
            self._looked = float("-inf")
            self.generation  # noqa: B018

    def _look(self) -> tuple[Tables, Identity]:
        """What another process has learnt, too."""
        self._looked = self._monotonic()
        self.replica.follow()
        return self.replica.tables, self.login.who()

    def _make(self) -> None:
        who = self._who
        self.org = ReplicaOrg(
            who.organisation_name or "Replica", (), self._clients, known_as=who.organisation
        )
        self.users: Mapping[str, str] = {who.username: who.user} if who.username else {}
        asked = Glance(self.replica, identity, self._glance)
        store = ThroughStore(self.replica, asked, self.through, clock=self.clock, glance=self._glance)
        self.store, self.database = store, store.database
        self.queries = ThroughQueries(store, self.through, clock=self.clock)
        self.searches = Searches(store, self.queries)
        self.recycle_bin = ThroughBin(store, self.through)
        self.merger = ThroughMerger(store, self.through)
        self.converter = LocalConverter(store)
        self.changes = LocalChanges(store)

    def close(self) -> None:
        while self.closers:
            self.closers.pop()()
        self.queries.close()
