"""Everything one embedded CRM consists of, put together once and shared by its HTTP and HTTPS listeners."""

import datetime
from collections.abc import Callable, Mapping
from threading import Lock

from crmsync.state.replica.access import Access
from crmsync.state.replica.changes import Changes
from crmsync.state.replica.converting import Converter
from crmsync.state.replica.database import Database
from crmsync.state.replica.merging import Merger
from crmsync.state.replica.metadata import embedded
from crmsync.state.replica.org import Org, seed
from crmsync.state.replica.querying import Queries
from crmsync.state.replica.recycling import RecycleBin
from crmsync.state.replica.searching import Searches
from crmsync.state.replica.sessions import Sessions
from crmsync.state.replica.store import Clock, Store

__all__ = ["Crm", "Usage", "system_clock"]

DAILY_REQUESTS = 1_000_000


def system_clock() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


class Usage:
    """Counts API requests against the organisation's daily limit, as `Sforce-Limit-Info` reports them."""

    def __init__(self, clock: Clock, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.total = 0  # since the start: for tests and measurements
        self._clock = clock
        self._day = clock().date()
        self._lock = Lock()

    def count(self) -> bool:
        """Counts one request; False when the limit was already reached."""
        with self._lock:
            today = self._clock().date()
            if today != self._day:
                self._day, self.used = today, 0
            self.total += 1
            if self.used >= self.limit:
                return False
            self.used += 1
            return True

    def header(self) -> str:
        return f"api-usage={self.used}/{self.limit}"


class Crm:
    """One organisation with its records, queries and sessions. `users` are ids by username."""

    @property
    def generation(self) -> int:
        """When it is another one, what was built upon the parts has to be built anew."""
        return 0

    def __init__(
        self,
        url: str,
        org: Org,
        *,
        clock: Clock = system_clock,
        durable: bool = True,
        daily_requests: int = DAILY_REQUESTS,
    ) -> None:
        """`url` names the CRM's own database (`sqlite:////path/crm.db`, `postgresql+psycopg://…`)."""
        self.org = org
        self.clock = clock
        self.database = Database(url, embedded(), durable=durable)
        access = Access(org.sharing)
        self.store = Store(self.database, clock=clock, schema=embedded(), access=access)
        self.users: Mapping[str, str] = seed(self.store, org)
        self.sessions = Sessions(self.store, org, clock=clock)
        self.queries = Queries(self.store, clock=clock)
        self.searches = Searches(self.store, self.queries)
        self.recycle_bin = RecycleBin(self.store)
        self.merger = Merger(self.store)
        self.converter = Converter(self.store)
        self.changes = Changes(self.store)
        self.usage = Usage(clock, daily_requests)
        self.closers: list[Callable[[], None]] = []  # of what was built on top, ended first

    def close(self) -> None:
        while self.closers:
            self.closers.pop()()
        self.queries.close()
        self.database.close()
