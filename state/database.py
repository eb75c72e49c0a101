"""The state database: opening it, its transactions and its locks.

    state = State.open("sqlite:////var/lib/crmsync/state.db", now=clock)
    with state.lock("alice"), state.transaction() as tx:
        tx.queue.record(…)

SQLite runs in WAL mode with synchronous=FULL (what is committed survives a power cut); ``?synchronous=normal`` in the
URL trades that for speed. Readers never wait for a writer.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from crmsync.state.errors import Contradiction, Locked, SnapshotError, StateError
from crmsync.state.founding import found
from crmsync.state.locks import AdvisoryLocks, Claim, FileLocks, Locks
from crmsync.state.migrations import HEAD, VERSION_TABLE
from crmsync.state.opening import damaged, engines, explained, parse
from crmsync.state.transaction import Tx

__all__ = ["Contradiction", "Locked", "SnapshotError", "State", "StateError", "Tx"]


class State:
    """Safe to use from several threads; every transaction has a connection of its own."""

    def __init__(self, url: URL, now: Callable[[], datetime]) -> None:
        self.now = now
        self._url = url
        self._writer, self._reader = engines(url)
        self._turn: threading.Lock | _NoTurns = _NoTurns()
        self._locks: Locks
        if self.path is None:
            self._locks = AdvisoryLocks(self._writer, self._explained)
        else:
            self._locks = FileLocks(self.path, now)
            # SQLite has one writer; its own way to wait is to sleep and try again
            self._turn = threading.Lock()
        self._writing = threading.local()

    @classmethod
    def open(cls, url: str, *, now: Callable[[], datetime], migrate: bool = True) -> "State":
        """Opens the database, makes it where there is none, and brings it to today's tables.

        Raises StateError where it cannot be: a wrong URL, no write access, a damaged file, a server that does not
        answer, a database of a newer version; and with ``migrate=False`` also for one that is older or empty.
        """
        state = cls(parse(url), now)
        try:
            state._bring_up_to_date(migrate)
        except BaseException:
            state.close()
            raise
        return state

    @property
    def path(self) -> Path | None:
        """The file; None for a database server."""
        return Path(self._url.database or "") if self._url.get_backend_name() == "sqlite" else None

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        """Commits at the end, rolls back on an exception. Raises StateError where the database fails, Contradiction
        where it refuses; RuntimeError for a transaction inside another one of the same thread."""
        if getattr(self._writing, "now", False):
            raise RuntimeError("a transaction is open in this thread already")
        with (
            self._turn,
            self._answering(),
            self._locks.writing() as session,
            _begun(session, self._writer) as connection,
        ):
            self._writing.now = True
            try:
                yield Tx(connection)
            finally:
                self._writing.now = False

    @contextmanager
    def reading(self) -> Iterator[Tx]:
        """The state as it stands now, unchanged while the context lasts; writing in it fails."""
        with self._answering(), self._reader.begin() as connection:
            yield Tx(connection)

    @contextmanager
    def rehearsal(self) -> Iterator["State"]:
        """This state to try things on, in this thread: what is written in it can be read in it, and at the end nothing
        has happened. No one else writes meanwhile."""
        with self._turn, self._answering(), self._writer.connect() as connection:
            whole = connection.begin()
            self._writing.now = True
            try:
                yield _Rehearsed(self, connection)
            finally:
                self._writing.now = False
                whole.rollback()

    def lock(self, account: str) -> AbstractContextManager[None]:
        """One process and thread at a time syncs an account. Raises Locked at once where another one does. Should the
        lock be lost, this thread's next transaction raises StateError."""
        return self._locks.account(account)

    def exclusive(self) -> AbstractContextManager[Claim]:
        """One service for each state. Raises Locked at once where another one runs. A database server may lose the
        lock: whoever holds it for long renews the claim now and then."""
        return self._locks.service()

    def size(self) -> int:
        """Bytes on disk, the write-ahead log included."""
        if self.path is None:
            with self.reading() as tx:
                return int(
                    tx.connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
                )
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def verify(self) -> None:
        """Raises StateError where the database is damaged; reads all of it."""
        if self.path is not None:
            with self.reading() as tx:
                said = tx.connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
            if said != "ok":
                raise damaged(self._name, str(said).partition("\n")[0])

    def scrub(self) -> None:
        """What was erased leaves SQLite's write-ahead log too; there it stood until the log was written over."""
        if self.path is None:
            return
        with self._turn:
            raw = self._writer.raw_connection()
            try:
                raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
            finally:
                raw.close()

    def close(self) -> None:
        self._reader.dispose()
        self._writer.dispose()

    def _bring_up_to_date(self, migrate: bool) -> None:
        with self._answering():
            with self._reader.begin() as connection:
                revision = _revision(connection)
            if revision == HEAD:
                return
            if revision is not None:
                from crmsync.state import migration  # alembic loads slowly, and is rarely needed

                migration.refuse_newer(revision)
            if not migrate:
                raise StateError(
                    f"the state database {self._name} is empty, or of an older version of crmsync",
                    "start the service or `crmsync sync` once: it brings the database up to date",
                )
            with self._turn, self._writer.begin() as connection:
                _one_migration_at_a_time(connection)
                revision = _revision(connection)
                if revision is None:
                    found(connection)
                elif revision != HEAD:
                    from crmsync.state import migration

                    migration.upgrade(connection)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise self._explained(error) from error

    def _explained(self, error: DBAPIError) -> Exception:
        return explained(error, self._name)

    @property
    def _name(self) -> str:
        return str(self.path or self._url.render_as_string(hide_password=True))


class _Rehearsed(State):
    """One connection, whose outermost transaction is rolled back; the transactions in it are savepoints."""

    def __init__(self, real: State, connection: Connection) -> None:
        self.now = real.now
        self._url = real._url
        self._locks = real._locks
        self._connection = connection

    @contextmanager
    def transaction(self) -> Iterator[Tx]:
        with self._answering(), self._connection.begin_nested():
            yield Tx(self._connection)

    @contextmanager
    def reading(self) -> Iterator[Tx]:
        yield Tx(self._connection)

    def close(self) -> None:
        """The real one is not ours to close."""


class _NoTurns:
    """PostgreSQL's writers wait for each other by themselves, row by row."""

    def __enter__(self) -> None: ...

    def __exit__(self, *exception: Any) -> None: ...


@contextmanager
def _begun(session: Connection | None, engine: Engine) -> Iterator[Connection]:
    if session is None:
        with engine.begin() as connection:
            yield connection
    else:
        with session.begin():
            yield session


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    revision: str | None = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()
    return revision


def _one_migration_at_a_time(connection: Connection) -> None:
    """SQLite's BEGIN IMMEDIATE is enough; PostgreSQL needs a lock of its own."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('crmsync migration'))")
