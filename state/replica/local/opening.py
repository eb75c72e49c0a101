"""Where a replica stands: in a file, or in a schema of a PostgreSQL database. From there to connections, and from what
the database says to what an operator can use.
"""

from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import sqlalchemy as sa

from crmsync.state.errors import Locked, StateError
from crmsync.state.replica.database import open_engine, timed_out

__all__ = ["Place", "explained", "open_place"]

_EXPECTED = "sqlite:////absolute/path/replica.db or postgresql+psycopg://user@host/database was expected"
PATIENCE = 10  # seconds for a connection, unless the url says otherwise
_LONGEST = 63  # bytes of a name in PostgreSQL
_ONE_AT_A_TIME = 0x73636865  # the advisory lock while a schema is made; any number that nobody else uses
_NO_RIGHTS = ("42501", "3F000", "25006")  # privilege, no schema of ours, read-only (a standby)
_LIMITS = "54"  # class of a statement that is too complicated: whoever asked it is told so
_FILE_SAYS = {
    "SQLITE_FULL": (
        "no space is left for",
        "nothing that was confirmed is lost; free some space, and it goes on by itself",
    ),
    "SQLITE_READONLY": (
        "no write access to",
        "the user that runs crmsync needs it for the file and its directory",
    ),
    "SQLITE_CANTOPEN": (
        "cannot open",
        "the user that runs crmsync needs access to the file and its directory",
    ),
    "SQLITE_IOERR": ("the disk failed under", "look at the disk and its file system (dmesg, df)"),
    "SQLITE_NOTADB": ("not a database:", "give another url, or move the file away: it is filled anew"),
    "SQLITE_CORRUPT": (
        "damaged:",
        "restore it from a backup, or move it away: it is filled anew, without what was changed in it and not sent yet",
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    url: str = field(repr=False)  # it may hold a password
    schema: str = ""  # of a database server, made where it is missing; empty: whichever the url leads to

    @classmethod
    def of(cls, where: Path | str, name: str) -> "Place":
        """`where`: a file, or the URL of a database. `name`: of the CRM. On a server each has a schema of its own,
        so that several replicas, and the state, may share a database."""
        if isinstance(where, Path):
            return cls(f"sqlite:///{where}")
        return cls(where) if where.startswith("sqlite") else cls(where, _schema(name))

    @property
    def file(self) -> Path | None:
        """None: on a database server."""
        prefix = "sqlite:///"
        return Path(self.url.removeprefix(prefix)) if self.url.startswith(prefix) else None

    def __str__(self) -> str:
        """For people: without login."""
        if self.file is not None:
            return str(self.file)
        try:
            url = sa.make_url(self.url)
        except (sa.exc.ArgumentError, ValueError):
            return "the database of an unreadable url"
        where = f"{url.host or 'localhost'}{f':{url.port}' if url.port else ''}/{url.database}"
        return f"PostgreSQL {where}, schema {self.schema}" if self.schema else f"PostgreSQL {where}"


def open_place(place: Place, durable: bool) -> sa.Engine:
    """Raises StateError for a url or a server that cannot be used, and SQLAlchemy's errors."""
    try:
        url = sa.make_url(place.url)
    except (sa.exc.ArgumentError, ValueError):
        raise StateError("the url of a replica cannot be read", _EXPECTED) from None
    if url.get_backend_name() == "sqlite":
        return open_engine(place.url, durable)
    if url.drivername not in ("postgresql", "postgresql+psycopg"):
        raise StateError(
            f"the url of a replica begins with {url.drivername}:, which cannot hold it", _EXPECTED
        )
    url = url.set(drivername="postgresql+psycopg")
    if "connect_timeout" not in url.query:
        url = url.update_query_dict({"connect_timeout": str(PATIENCE)})
    try:
        if place.schema:
            _make_schema(url, place.schema)
            url = _within(url, place.schema)
        return open_engine(url.render_as_string(hide_password=False), durable)
    except ModuleNotFoundError as error:
        raise StateError(
            f"PostgreSQL needs the package {error.name}", "pip install 'crmsync[postgresql]'"
        ) from error


def explained(error: sa.exc.DBAPIError, place: Place) -> Exception:
    """What an operator can use. What is wrong with a statement stays the exception that it is: a mistake of our own,
    or a query that takes too long or says too much."""
    said = str(error.orig).strip().partition("\n")[0]  # PostgreSQL goes on with the row's values
    code = getattr(error.orig, "sqlite_errorname", "")
    if code.startswith("SQLITE_BUSY"):
        return Locked(f"{place} is busy: another process has been writing for long", "it is tried again")
    for begin, (message, hint) in _FILE_SAYS.items():
        if code.startswith(begin):
            return StateError(f"{message} {place}: {said}", hint)
    state = str(getattr(error.orig, "sqlstate", None) or "")
    if state in _NO_RIGHTS:
        return StateError(f"no write access to {place}: {said}", _rights(place))
    broken = isinstance(error, sa.exc.OperationalError) or error.connection_invalidated
    if code or timed_out(error) or state.startswith(_LIMITS) or not broken:
        return error
    return StateError(
        f"{place} failed: {said}",
        "look whether PostgreSQL runs and lets this user in: psql with the same url says more",
    )


def _schema(name: str) -> str:
    """A CRM's name has no capitals, which would fold."""
    made = f"crmsync_replica_{name}"
    return made if len(made) <= _LONGEST else f"{made[: _LONGEST - 9]}_{crc32(made.encode()):08x}"


def _within(url: sa.URL, schema: str) -> sa.URL:
    """By the options of the connection: what a session resets, it resets to that."""
    options = url.query.get("options", "")
    before = options if isinstance(options, str) else " ".join(options)
    return url.update_query_dict({"options": f'{before} -csearch_path="{schema}"'.strip()})


def _make_schema(url: sa.URL, schema: str) -> None:
    engine = sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True)
    there = sa.text("SELECT 1 FROM pg_namespace WHERE nspname = :name")
    with engine.begin() as connection:  # who may not make it may find it made
        if connection.execute(there, {"name": schema}).scalar():
            return
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
        connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))


def _rights(place: Place) -> str:
    name = place.schema or "of its own"
    return (
        "the user in the url needs a schema in which it may make tables, or may make one: "
        f'CREATE SCHEMA "{name}" AUTHORIZATION that user'
    )
