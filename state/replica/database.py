"""The database of the embedded CRM: one table per object and some of our own, on SQLite or PostgreSQL.

A row of an object table is a record, deleted ones included. Columns carry the fields' names; a unique field has
a second column, `<field>__key`, with its folded value while the record is not deleted: the unique index on that
is what makes uniqueness ignore case and forget deleted records, on every database alike.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock, local
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import QueuePool

from crmsync.state.compiled import CRMS
from crmsync.state.replica.growing import grow
from crmsync.state.replica.indexing import with_indexes
from crmsync.state.replica.making import make
from crmsync.state.replica.metadata import DECIMAL_TYPES, Field, ObjectType, Schema
from crmsync.state.replica.soql.collation import ignore_case

__all__ = ["Database", "column_type", "limited", "open_engine", "timed_out"]

WRITERS_TURN = 0x63726D73  # the advisory lock on PostgreSQL; any number that nobody else uses
BUSY_SECONDS = 30
STEPS = 20_000  # of SQLite's virtual machine between two looks at the clock: about a millisecond


class Database:
    """Tables and transactions. Readers run side by side; writers take turns, within and across processes."""

    def __init__(self, url: str, schema: Schema, *, durable: bool = True) -> None:
        """`url` as SQLAlchemy takes it. `durable=False` skips the wait for the disk, for tests and demos."""
        self.engine = open_engine(url, durable)
        self._writing = self.engine.execution_options(crm_write=True)
        self._turn = Lock()
        self._shared = local()
        made = _tables(schema)
        self.tables: Mapping[str, sa.Table] = made.objects
        self.sequences, self.logins = made.sequences, made.logins
        self.deletions, self.purged = made.deletions, made.purged
        with self.write() as connection:
            grow(connection, made.metadata)
            make(connection, made.metadata)

    @contextmanager
    def read(self, seconds: float | None = None) -> Iterator[sa.Connection]:
        """A consistent view for several SELECTs, each of which may take so many seconds.

        The database then ends the statement itself, with a DBAPIError that `timed_out` knows.
        """
        shared: sa.Connection | None = getattr(self._shared, "connection", None)
        if shared is not None:
            with limited(shared, seconds):
                yield shared
            return
        with self.engine.connect() as connection, connection.begin(), limited(connection, seconds):
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that no other writer overlaps; committed at the end, rolled back on an exception."""
        shared: sa.Connection | None = getattr(self._shared, "connection", None)
        if shared is not None:
            with shared.begin_nested():
                yield shared
            return
        with self._turn, self._writing.connect() as connection, connection.begin():
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(WRITERS_TURN)))
            yield connection

    @contextmanager
    def together(self) -> Iterator[None]:
        """Everything that this thread reads and writes inside is one transaction, whichever calls do it."""
        with self.write() as connection:
            self._shared.connection = connection
            try:
                yield
            finally:
                self._shared.connection = None

    def take_numbers(self, connection: sa.Connection, name: str, count: int) -> range:
        """The next `count` numbers of a sequence, from 1 up."""
        table = self.sequences
        last = connection.execute(sa.select(table.c.last).where(table.c.name == name)).scalar()
        if last is None:
            connection.execute(table.insert().values(name=name, last=count))
            return range(1, count + 1)
        connection.execute(table.update().where(table.c.name == name).values(last=last + count))
        return range(last + 1, last + count + 1)

    def close(self) -> None:
        self.engine.dispose()


@contextmanager
def limited(connection: sa.Connection, seconds: float | None) -> Iterator[None]:
    """Each statement inside may take so many seconds."""
    if seconds is None:
        yield
    elif connection.dialect.name == "postgresql":
        connection.execute(sa.text(f"SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}"))
        yield
        connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
    else:
        raw: Any = connection.connection.driver_connection
        end = time.monotonic() + seconds
        raw.set_progress_handler(lambda: time.monotonic() > end, STEPS)
        try:
            yield
        finally:
            raw.set_progress_handler(None, 0)


def timed_out(error: sa.exc.DBAPIError) -> bool:
    """Whether the statement was ended because of the seconds that `read` allowed."""
    interrupted = getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT
    return interrupted or getattr(error.orig, "sqlstate", None) == "57014"  # query_canceled


@dataclass(frozen=True, slots=True)
class _Tables:
    metadata: sa.MetaData
    objects: Mapping[str, sa.Table]
    sequences: sa.Table
    logins: sa.Table
    deletions: sa.Table
    purged: sa.Table


@lru_cache(8)
def _tables(schema: Schema) -> _Tables:
    """The same ones for each database with this schema, so that they share what is compiled of them."""
    metadata = sa.MetaData()
    return _Tables(
        metadata,
        {o.name: _table(o, metadata) for o in schema},
        sa.Table(
            "crm_sequence",
            metadata,
            sa.Column("name", sa.String(80), primary_key=True),
            sa.Column("last", sa.BigInteger, nullable=False),
        ),
        sa.Table(
            "crm_login",
            metadata,
            sa.Column("user_id", sa.String(18), primary_key=True),
            sa.Column("password", sa.Text, nullable=False),  # scheme$parameters$salt$hash, never the password
        ),
        sa.Table(
            "crm_deletion",
            metadata,
            sa.Column("record_id", sa.String(18), primary_key=True),
            sa.Column("root_id", sa.String(18), nullable=False, index=True),  # the record it was deleted with
        ),
        sa.Table(
            "crm_purged",
            metadata,
            sa.Column("record_id", sa.String(18), primary_key=True),
            sa.Column("object", sa.String(80), nullable=False),
            sa.Column("deleted_at", sa.DateTime, nullable=False, index=True),
            sa.Column("owner_id", sa.String(18)),
        ),
    )


def _table(object_type: ObjectType, metadata: sa.MetaData) -> sa.Table:
    columns = [_column(field) for field in object_type.stored]
    keys = [f.key_column for f in object_type.fields if f.key_column]
    columns += [sa.Column(key, sa.Text, unique=True) for key in keys]
    table = sa.Table(object_type.name, metadata, *columns)
    with_indexes(table, object_type)
    return table


def _column(field: Field) -> sa.Column[Any]:
    if field.name == "Id":
        return sa.Column("Id", sa.String(18), primary_key=True)
    return sa.Column(field.name, column_type(field), nullable=field.type != "boolean")


def column_type(field: Field) -> sa.types.TypeEngine[Any]:
    if field.type in DECIMAL_TYPES:
        return sa.Float(53)
    match field.type:
        case "boolean":
            return sa.Boolean()
        case "datetime":
            return sa.DateTime()
        case "date":
            return sa.Date()
        case "int":
            return sa.Integer()
        case "id" | "reference":
            return sa.String(18)
    return sa.Text()


def open_engine(url: str, durable: bool) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return sa.create_engine(
            parsed, pool_size=10, max_overflow=30, pool_pre_ping=True, hide_parameters=True
        )
    if parsed.database in (None, "", ":memory:"):
        raise ValueError("the embedded CRM needs a file: sqlite:////path/crm.db")
    file = Path(str(parsed.database))
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)  # people's data; what SQLite puts beside it gets the same mode
    engine = sa.create_engine(
        parsed,
        poolclass=QueuePool,
        pool_size=10,
        max_overflow=50,
        hide_parameters=True,  # people's data have no place in a log
        execution_options={"compiled_cache": CRMS},
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS},
    )
    event.listen(engine, "connect", _configure_durable if durable else _configure_fast)
    event.listen(engine, "begin", _begin)
    ignore_case(engine)
    return engine


def _configure_durable(connection: Any, record: object) -> None:
    _configure(connection, "FULL")


def _configure_fast(connection: Any, record: object) -> None:
    _configure(connection, "OFF")


def _configure(connection: Any, synchronous: str) -> None:
    connection.isolation_level = None  # BEGIN is ours, or a reader would be upgraded to a writer and fail
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={synchronous}")


def _begin(connection: sa.Connection) -> None:
    writing = connection.get_execution_options().get("crm_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
