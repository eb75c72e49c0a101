"""Who may sync what: locks that end with the process that holds them, however it dies."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from crmsync.state.errors import Locked, StateError


class Locks(Protocol):
    """Each is held until its context ends. Raises Locked at once where another process or thread has it."""

    def account(self, name: str) -> AbstractContextManager[None]: ...
    def service(self) -> AbstractContextManager[None]: ...


class FileLocks:
    """One file for each lock, flock(2): the kernel lets go of it when the process ends. Two threads that open the
    file are strangers to each other too."""

    def __init__(self, database: Path, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    def account(self, name: str) -> AbstractContextManager[None]:
        file = quote(name, safe=" @").replace(".", "%2E")
        return self._hold(self._beside(".lock.d") / file, f"account {name}")

    def service(self) -> AbstractContextManager[None]:
        return self._hold(self._beside(".lock"), "the service of this state")

    def _beside(self, suffix: str) -> Path:
        return self._database.with_name(self._database.name + suffix)

    @contextmanager
    def _hold(self, file: Path, what: str) -> Iterator[None]:
        descriptor = _open(file)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise _locked(what, _read(descriptor)) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(
                descriptor, f"process {os.getpid()} since {self._now():%Y-%m-%d %H:%M:%S %Z}".encode(), 0
            )
            yield
        finally:
            os.close(descriptor)


class AdvisoryLocks:
    """PostgreSQL's session locks, each on a connection of its own: the server lets go of it when that ends. A proxy
    that shares sessions between clients (PgBouncer in transaction mode) breaks them."""

    def __init__(self, engine: Engine, explain: Callable[[DBAPIError], Exception]) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._explain = explain

    def account(self, name: str) -> AbstractContextManager[None]:
        return self._hold(f"account {name}", f"account {name}")

    def service(self) -> AbstractContextManager[None]:
        return self._hold("service", "the service of this state")

    @contextmanager
    def _hold(self, name: str, what: str) -> Iterator[None]:
        key = int.from_bytes(hashlib.sha256(f"crmsync {name}".encode()).digest()[:8], "big", signed=True)
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(self._engine.connect())
                taken = connection.execute(
                    text("SELECT pg_try_advisory_lock(:key)"), {"key": key}
                ).scalar_one()
            except DBAPIError as error:
                raise self._explain(error) from error
            if not taken:
                raise _locked(what, "another session of this database")
            try:
                yield
            finally:
                _release(connection, key)


def _release(connection: Connection, key: int) -> None:
    try:
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
    except DBAPIError:
        connection.invalidate()  # the session is broken; the lock ends with it


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(
            f"cannot make the lock file {path}: {error.strerror}",
            "the user that runs crmsync needs write access to that directory",
        ) from error


def _locked(what: str, holder: str) -> Locked:
    return Locked(f"{what} is busy: {holder} holds it", "wait until it is done, or stop it")


def _read(descriptor: int) -> str:
    return os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"
