"""From a URL to connections, and from what a database says to what an operator can use."""

import os
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    ProgrammingError,
)

from crmsync.state.compiled import SQLITE
from crmsync.state.errors import Contradiction, Locked, StateError

BUSY_TIMEOUT = 30_000  # milliseconds that a writer waits for another process's
_SYNCHRONOUS = ("off", "normal", "full", "extra")
_EXPECTED = "sqlite:////absolute/path/state.db or postgresql+psycopg://user@host/database was expected"
_OUR_MISTAKES = (DataError, InterfaceError, NotSupportedError, ProgrammingError)
_NO_RIGHTS = ("42501", "3F000", "25006")  # PostgreSQL: privilege, no schema of ours, read-only (a replica)
_ENGINE: dict[str, Any] = {
    "pool_size": 4,
    "max_overflow": -1,  # the engine bounds the threads
    "hide_parameters": True,  # people's data have no place in a log
}


def parse(url: str) -> URL:
    """The URL with its driver spelt out. Raises StateError, which never repeats a password."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # a port that is no number, too
        raise StateError("the [state] url cannot be read", _EXPECTED) from None
    match parsed.drivername:
        case "sqlite" | "sqlite+pysqlite":
            _check_file(parsed)
            return parsed.set(drivername="sqlite+pysqlite")
        case "postgresql" | "postgresql+psycopg":
            return parsed.set(drivername="postgresql+psycopg")
        case other:
            raise StateError(f"the [state] url begins with {other}:, which cannot hold the state", _EXPECTED)


def engines(url: URL) -> tuple[Engine, Engine]:
    """For writing and for reading. SQLite's file is made here, for nobody else to read."""
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        _make_file(path)
        return _sqlite(url, read=False), _sqlite(url, read=True)
    try:
        writer = create_engine(url, pool_pre_ping=True, **_ENGINE)
    except ModuleNotFoundError as error:
        raise StateError(
            f"PostgreSQL needs the package {error.name}", "pip install 'crmsync[postgresql]'"
        ) from error
    return writer, writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def explained(error: DBAPIError, name: str) -> Exception:
    """What an operator can use; a mistake of our own stays the exception that it is. ``name``: of the database."""
    said = str(error.orig).strip().partition("\n")[0]  # PostgreSQL goes on with the row's values
    code = getattr(error.orig, "sqlite_errorname", "")
    if isinstance(error, IntegrityError):
        return Contradiction(f"the state database {name} refused a write: {said}", "please report this")
    if getattr(error.orig, "sqlstate", None) in _NO_RIGHTS:
        return StateError(
            f"no write access to the state database {name}: {said}",
            "the user in the [state] url needs a schema in which it may write and make tables (GRANT, or OWNER)",
        )
    if isinstance(error, _OUR_MISTAKES):
        return error
    if code.startswith("SQLITE_BUSY"):
        return Locked(
            f"the state database {name} is busy: another process has been writing for {BUSY_TIMEOUT // 1000} s",
            "it is tried again; if it stays so, look for a hanging crmsync process",
        )
    for begin, (message, hint) in _SQLITE_SAYS.items():
        if code.startswith(begin):
            return StateError(f"{message} {name}: {said}", hint)
    return StateError(f"the state database {name} failed: {said}", _hint(code))


def damaged(name: str, said: str) -> StateError:
    message, hint = _SQLITE_SAYS["SQLITE_CORRUPT"]
    return StateError(f"{message} {name}: {said}", hint)


_SQLITE_SAYS = {
    "SQLITE_FULL": (
        "no space is left for the state database",
        "nothing that was confirmed is lost; free some space, and the sync goes on by itself",
    ),
    "SQLITE_READONLY": (
        "no write access to the state database",
        "the user that runs crmsync needs write access to the file and its directory",
    ),
    "SQLITE_CANTOPEN": (
        "cannot open the state database",
        "the user that runs crmsync needs write access to the file and its directory",
    ),
    "SQLITE_NOTADB": (
        "not a state database:",
        "give another [state] url, or have `crmsync check --repair` move the file away: link stamps rebuild the state",
    ),
    "SQLITE_CORRUPT": (
        "damaged: the state database",
        "restore it from a backup, or have `crmsync check --repair` move it away: the link stamps rebuild the state",
    ),
}


def _hint(code: str) -> str:
    if code:
        return "look at the disk and its file system (dmesg, df)"
    return "look whether PostgreSQL runs and lets this user in: psql with the [state] url says the same"


def _check_file(url: URL) -> None:
    if url.host or not url.database or url.database.startswith((":memory:", "file:")):
        raise StateError("the [state] url names no file", _EXPECTED)
    if set(url.query) - {"synchronous"} or url.query.get("synchronous", "full") not in _SYNCHRONOUS:
        raise StateError(
            "the [state] url has an unknown part after the question mark",
            f"only synchronous={'|'.join(_SYNCHRONOUS)} is known",
        )


def _make_file(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StateError(
            f"cannot open the state database {path}: {error.strerror}",
            "the user that runs crmsync needs write access to the file and its directory; or change [state] url",
        ) from error


def _sqlite(url: URL, *, read: bool) -> Engine:
    engine = create_engine(
        url.set(query={}),
        connect_args={"timeout": BUSY_TIMEOUT / 1000},
        execution_options={"compiled_cache": SQLITE},
        **_ENGINE,
    )
    synchronous = str(url.query.get("synchronous", "full"))

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver begins no transactions of its own
        if not read and connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA query_only = {'ON' if read else 'OFF'}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if read:
            connection.connection.cursor().execute("BEGIN")  # takes no lock, and cannot fail: kept short
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
