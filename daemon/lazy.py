"""Sources that are made when they are first needed."""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from crmsync.config.secret import SecretError
from crmsync.connectors.abilities import Homing, Lacking, Watching
from crmsync.connectors.contract import Collection, Connector, Side, Source
from crmsync.connectors.errors import AuthExpired
from crmsync.connectors.salesforce.connector import SalesforceSource
from crmsync.connectors.telephony.people import Acquainted, Person
from crmsync.daemon.replica.upstream import Upstream


class LazySource:
    """A source that is made when it is first needed: its secrets are read then, and what is wrong with them is an
    error of this login alone."""

    def __init__(self, side: Side, connect: Callable[[], Source]) -> None:
        self._side = side
        self._connect = connect
        self._lock = threading.Lock()
        self._made: Source | None = None

    @property
    def side(self) -> Side:
        return self._side

    def identity(self) -> str:
        return self._source().identity()

    def user_id(self, username: str) -> str:
        found: str = self._source().user_id(username)  # type: ignore[attr-defined]  # CRM sources are Directories
        return found

    def collections(self) -> Sequence[Collection]:
        return self._source().collections()

    def open(self, collection: Collection) -> Connector:
        return self._source().open(collection)

    def people(self, number: str, user: str) -> Sequence[Person]:
        source = self._source()
        return source.people(number, user) if isinstance(source, Acquainted) else ()

    def clock_offset(self) -> timedelta:
        return self._made.clock_offset() if self._made is not None else timedelta(0)

    def requests(self) -> int:
        return self._made.requests() if self._made is not None else 0

    def replication(self) -> Upstream:
        """Of a CRM."""
        return self.salesforce().replication()

    def salesforce(self) -> SalesforceSource:
        """Of a CRM."""
        source = self._source()
        assert isinstance(source, SalesforceSource)
        return source

    def lacking(self) -> Sequence[str]:
        source = self._source()
        return source.lacking() if isinstance(source, Lacking) else ()

    @property
    def usage(self) -> float:
        """Of the server's daily limit; zero where it has none, or has not told."""
        found: float = getattr(self._made, "usage", 0.0)
        return found

    def close(self) -> None:
        if self._made is not None:
            self._made.close()

    def _source(self) -> Source:
        with self._lock:
            if self._made is None:
                try:
                    self._made = self._connect()
                except SecretError as error:
                    raise AuthExpired(str(error)) from error
            return self._made


class LazyMailbox(LazySource):
    """An ECS source, which also knows where its collections are."""

    @property
    def home(self) -> str | None:
        found: str | None = getattr(self._source(), "home", None)
        return found

    @home.setter
    def home(self, value: str | None) -> None:
        source = self._source()
        if isinstance(source, Homing):
            source.home = value


class WatchedMailbox(LazyMailbox):
    """An ECS source whose server tells of changes."""

    def watch(self, collections: Sequence[Collection], stopped: Callable[[], bool]) -> Iterator[None]:
        source = self._source()
        assert isinstance(source, Watching)  # whoever chose this class knew its server
        return source.watch(collections, stopped)
