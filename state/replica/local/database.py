"""The database of one replica, on SQLite or PostgreSQL: of its own for one CRM login, which answers nobody else.

Its tables have the shapes that the upstream last described. A new description migrates them where they stand, in the
transaction that stores it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from threading import Lock
from typing import Any

import sqlalchemy as sa

from crmsync.state.locks import AdvisoryLocks, FileLocks, Hold
from crmsync.state.replica.describe import BASE, ORIGIN
from crmsync.state.replica.indexing import make_missing
from crmsync.state.replica.local.migrate import migrate
from crmsync.state.replica.local.opening import Place, explained, open_place
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import Shapes
from crmsync.state.replica.local.tables import Tables
from crmsync.state.replica.making import make

__all__ = ["ForeignLogin", "LocalDatabase"]

LEARNT = "learnt"  # how often the schemas have changed


_WRITERS_TURN = 0x7265706C  # the advisory lock on PostgreSQL; any number that nobody else uses


class ForeignLogin(Exception):
    """The file belongs to another login: what that one may see is none of this one's business."""


class LocalDatabase:
    """Readers run side by side; writers take turns. Safe to use from many threads."""

    def __init__(self, place: Place | str, *, durable: bool = True) -> None:
        """A place, or a URL as SQLAlchemy takes it. `durable=False` skips the wait for the disk, for tests. Raises
        StateError where it cannot be used."""
        self.place = place if isinstance(place, Place) else Place(place)
        with self._answering():
            self._engine = open_place(self.place, durable)
        self._writing = self._engine.execution_options(crm_write=True)
        self._reading = self._engine
        if (
            self._engine.dialect.name == "postgresql"
        ):  # else each statement would see what was committed before it
            self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ")
        self._turn = Lock()
        self.writes = 0  # how many transactions this process has written
        self.tables = Tables(Shapes({}))
        with self.write() as work:
            make(work.connection, self.tables.metadata)
            self._known: Mapping[str, Any] = self._described(work)
            self._learnt: int | None = work.property(LEARNT)
            self.tables = Tables(Shapes(self._known))
            make_missing(work.connection, self.tables.metadata)

    @contextmanager
    def read(self) -> Iterator[Work]:
        """A consistent view. Raises StateError where the database fails, as `write` does."""
        with self._answering(), self._reading.connect() as connection, connection.begin():
            yield Work(connection, self.tables)

    @contextmanager
    def write(self) -> Iterator[Work]:
        """Committed at the end, rolled back on an exception."""
        with self._turn:
            try:
                with self._transaction() as work:
                    yield work
            finally:
                self.writes += 1

    @contextmanager
    def _transaction(self) -> Iterator[Work]:
        with self._answering(), self._writing.connect() as connection, connection.begin():
            # Writers of other processes wait, as they do for a file.
            if connection.dialect.name == "postgresql":
                schema = sa.func.hashtext(sa.func.current_schema())
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITERS_TURN, schema)))
            yield Work(connection, self.tables)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            if (words := explained(error, self.place)) is error:
                raise
            raise words from error

    def alone(self, now: Callable[[], datetime]) -> AbstractContextManager[Hold]:
        """For whoever brings it in step: one thread of one process at a time. Raises Locked where another one does."""
        if (file := self.place.file) is not None:
            return FileLocks(file, now).replica()
        return AdvisoryLocks(self._engine, lambda error: explained(error, self.place)).replica(
            self.place.schema
        )

    def claim(self, organisation: str, user: str) -> None:
        """The login that this replica belongs to from now on. Raises ForeignLogin for another one than the first."""
        with self.write() as work:
            owner = work.property("login")
            if owner not in (None, [organisation, user]):
                raise ForeignLogin(
                    "this replica was filled through another CRM login, and may hold what the new one must not see: "
                    "go back to that login, or move the file away and let a new replica be filled"
                )
            work.set_property("login", [organisation, user])

    def learn(self, replies: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
        """Takes the upstream's descriptions over, by object name; returns the objects whose rows have to be read
        again, because they have fields that they did not have. Raises ValueError for a reply that cannot be used."""
        with self._turn:  # until the new tables stand: no writer may follow with the old ones
            with self._transaction() as work:
                known = self._up_to_date(work)
                work = Work(work.connection, self.tables)
                new = {name: _kept(reply) for name, reply in replies.items()}
                if all(known.get(name) == reply for name, reply in new.items()):
                    return frozenset()
                tables = Tables(Shapes({**known, **new}))
                refill = migrate(work, tables)
                learnt = self._store(work, new, refill)
            self.tables, self._known, self._learnt = tables, {**known, **new}, learnt
        return refill

    def follow(self) -> None:
        """Takes over what another process has learnt."""
        with self.read() as work:
            if work.property(LEARNT) == self._learnt:
                return
        with self._turn, self._transaction() as work:
            self._up_to_date(work)

    def _up_to_date(self, work: Work) -> Mapping[str, Any]:
        """What is known of the objects: another process may have learnt more, and migrated the tables, since."""
        if (learnt := work.property(LEARNT)) != self._learnt:
            known = self._described(work)
            self.tables, self._known, self._learnt = Tables(Shapes(known)), known, learnt
        return self._known

    def _store(self, work: Work, new: Mapping[str, Any], refill: frozenset[str]) -> int:
        """Returns how often the schemas have changed."""
        schemas = work.shared.schemas
        work.connection.execute(schemas.delete().where(schemas.c.object.in_(list(new))))
        rows = [{"object": name, "describe": reply} for name, reply in new.items()]
        work.connection.execute(schemas.insert(), rows)
        learnt = int(work.property(LEARNT) or 0) + 1
        work.set_property(LEARNT, learnt)
        work.set_property("refill", sorted({*(work.property("refill") or ()), *refill}) or None)
        return learnt

    def close(self) -> None:
        self._engine.dispose()

    def _described(self, work: Work) -> dict[str, Any]:
        schemas = work.shared.schemas
        return {row.object: row.describe for row in work.connection.execute(sa.select(schemas))}


def _kept(reply: Mapping[str, Any]) -> dict[str, Any]:
    """Its addresses without host and version: the same object behind another address has not changed."""
    kept = dict(reply)
    if isinstance(kept.get("urls"), dict):
        kept["urls"] = _placeless(kept["urls"])
    if isinstance(kept.get("recordTypeInfos"), list):
        kept["recordTypeInfos"] = [
            {**each, "urls": _placeless(each["urls"])} if isinstance(each.get("urls"), dict) else each
            for each in kept["recordTypeInfos"]
        ]
    return kept


def _placeless(urls: Mapping[str, Any]) -> dict[str, str]:
    return {name: _placeless_one(str(url)) for name, url in urls.items()}


def _placeless_one(url: str) -> str:
    path = re.sub(r"^https?://[^/]*", ORIGIN, url)
    return re.sub(r"^/services/data/v[0-9.]+", BASE, path)
