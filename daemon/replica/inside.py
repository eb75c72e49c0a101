"""The CRM's REST API, as far as it reads, on what the upstream has confirmed of a replica: without a network, and
without a listener that anybody else could reach."""

from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from threading import RLock
from urllib.parse import urlsplit

from crmsync.connectors.http import Response
from crmsync.daemon.crm_api.addresses import parameters, segments, version_of
from crmsync.daemon.crm_api.messages import Call, Reply, fault_reply
from crmsync.daemon.crm_api.queries import QueryHandlers
from crmsync.daemon.crm_api.routes import Route, Router
from crmsync.daemon.replica.keeper import Keeper
from crmsync.state.replica import faults
from crmsync.state.replica.access import Caller
from crmsync.state.replica.changes import Changes
from crmsync.state.replica.describe import describe_object
from crmsync.state.replica.local import identity as stored
from crmsync.state.replica.local.confirmed import ConfirmedTables
from crmsync.state.replica.local.database import LocalDatabase
from crmsync.state.replica.local.identity import Identity
from crmsync.state.replica.local.store import LocalStore
from crmsync.state.replica.local.tables import Tables
from crmsync.state.replica.querying import Queries
from crmsync.state.replica.store import Clock

__all__ = ["INSIDE", "Inside"]

INSIDE = "http://replica.invalid"  # where nobody can be (RFC 6761)


class Inside:
    """Carries requests to it. Safe to use from several threads."""

    def __init__(self, keeper: Keeper, clock: Clock) -> None:
        self.requests = 0
        self.clock_offset = timedelta(0)
        self._keeper, self._clock = keeper, clock
        self._lock = RLock()
        self._api: _Api | None = None

    def request(self, method: str, url: str, **_: object) -> Response:
        """Whatever only reads says all of it in its address."""
        address = urlsplit(url)
        path = segments(address.path.encode("latin-1"))
        reply = (
            self._token() if path[:2] == ("services", "oauth2") else self._answer(method, path, address.query)
        )
        # by which a row is known to be so young that another edit may stand under the same stamp
        clock = {"Date": format_datetime(self._clock(), usegmt=True)}
        return Response(reply.status, {**reply.headers, **clock}, reply.payload(), url)

    def close(self) -> None:
        with self._lock:
            if self._api is not None:
                self._api.close()
                self._api = None

    def _token(self) -> Reply:
        """There is nobody to be kept out."""
        me = self._who()
        found = {"access_token": "inside", "instance_url": INSIDE}
        return Reply(200, {**found, "id": f"{INSIDE}/id/{me.organisation}/{me.user}"})

    def _answer(self, method: str, path: tuple[str, ...], query: str) -> Reply:
        version = version_of(path[2]) if len(path) > 2 else None
        if version is None:
            return fault_reply(faults.not_found())
        caller = Caller(self._who().user, all_records=True)
        return self._current().router(
            Call(method, path[3:], caller, version, INSIDE, parameters(query.encode()))
        )

    def _current(self) -> "_Api":
        database = self._keeper.database
        database.follow()
        with self._lock:
            if self._api is None or self._api.tables is not database.tables:
                self.close()
                self._api = _Api(database, self._who, self._clock)
            return self._api

    def _who(self) -> Identity:
        with self._keeper.database.read() as work:
            return stored.identity(work)


class _ConfirmedStore(LocalStore):
    def __init__(self, replica: LocalDatabase, who: Callable[[], Identity], clock: Clock) -> None:
        super().__init__(replica, who, clock=clock)
        self.database = ConfirmedTables(replica)


class _Api:
    """Of the schema that the replica has now."""

    def __init__(self, replica: LocalDatabase, who: Callable[[], Identity], clock: Clock) -> None:
        self.tables: Tables = replica.tables
        self._store = _ConfirmedStore(replica, who, clock)
        self._queries = Queries(self._store, clock=clock)
        handlers = QueryHandlers(self._queries, Changes(self._store))
        self.router = Router(
            (
                Route("GET", "query", handlers.query),
                Route("GET", "queryall", handlers.query_all),
                Route("GET", "query/{locator}", handlers.more),
                Route("GET", "queryall/{locator}", handlers.more),
                Route("GET", "sobjects/{object}/describe", self._describe),
            )
        )

    def close(self) -> None:
        self._queries.close()

    def _describe(self, call: Call, object: str) -> Reply:
        type_ = self._store.schema.find(object)
        if type_ is None:
            raise faults.not_found()
        return Reply(200, describe_object(self._store.schema, type_, call.base, call.origin))
