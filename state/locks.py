"""Who may sync what: locks that end with the process that holds them, however it dies."""

import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from crmsync.state.errors import Locked, StateError


class Claim(Protocol):
    def renew(self) -> None:
        """Takes the lock again if it was lost. Raises Locked where somebody else has it by now."""


class Hold(Protocol):
    def check(self) -> None:
        """Raises StateError where the lock was lost. Safe to use from several threads."""


class Locks(Protocol):
    """Each is held until its context ends. Raises Locked at once where another process or thread has it."""

    def account(self, name: str) -> AbstractContextManager[None]: ...
    def service(self) -> AbstractContextManager[Claim]: ...

    def writing(self) -> AbstractContextManager[Connection | None]:
        """On which connection this thread has to write, so that nothing is committed without the locks of accounts
        that it holds; None: on any. Raises StateError where one of them was lost."""


class FileLocks:
    """One file for each lock, flock(2): the kernel lets go of it when the process ends. Two threads that open the
    file are strangers to each other too."""

    def __init__(self, database: Path, now: Callable[[], datetime]) -> None:
        self._database = database.resolve()  # one state has one set of locks, by whatever name it is called
        self._now = now

    def account(self, name: str) -> AbstractContextManager[None]:
        file = quote(name, safe=" @").replace(".", "%2E")
        return self._hold(self._beside(".lock.d") / file, f"account {name}")

    @contextmanager
    def service(self) -> Iterator[Claim]:
        with self._hold(self._beside(".lock"), "the service of this state"):
            yield _OfFiles(self._database, self._beside(".lock"))

    @contextmanager
    def replica(self) -> Iterator[Hold]:
        """Of a replica, rather than a state: who brings it in step."""
        with self._hold(self._beside(".lock"), "the replica"):
            yield _Lasting()

    def call_log(self) -> AbstractContextManager[None]:
        """Of a call log, rather than a state: whose calls are heard."""
        return self._hold(self._beside(".lock"), "the call log")

    def writing(self) -> AbstractContextManager[Connection | None]:
        return nullcontext()

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


class _Lasting:
    """The kernel takes no lock away."""

    def renew(self) -> None: ...

    def check(self) -> None: ...


class _OfFiles:
    """Nor this one; but whoever removes or replaces the files leaves it with what nobody will ever see again."""

    def __init__(self, *files: Path) -> None:
        self._files = {file: here for file in files if (here := _identity(file))}

    def renew(self) -> None:
        for file, was in self._files.items():
            if _identity(file) != was:
                raise Locked(
                    f"{file} was removed or replaced while the service ran",
                    "stop the service before its state is removed or put back",
                )


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


class AdvisoryLocks:
    """PostgreSQL's session locks, each on a connection of its own: the server lets go of it when that ends, also when
    the server was restarted or a firewall ended it. So whoever holds the lock of an account writes on its connection:
    the commit fails with it. A proxy that shares sessions between clients (PgBouncer in transaction mode) breaks them.
    """

    def __init__(self, engine: Engine, explain: Callable[[DBAPIError], Exception]) -> None:
        self._engine = engine
        self._explain = explain
        self._of_thread = threading.local()

    @contextmanager
    def account(self, name: str) -> Iterator[None]:
        with self._hold(f"account {name}", f"account {name}") as session:
            self._mine.append(session)
            try:
                yield
            finally:
                self._mine.remove(session)

    def service(self) -> AbstractContextManager[Claim]:
        return self._hold("service", "the service of this state")

    def replica(self, schema: str) -> "AbstractContextManager[Hold]":
        """Of a replica, rather than a state: its writers are many, and look at the hold themselves."""
        return self._hold(f"replica {schema}", "the replica")

    @contextmanager
    def writing(self) -> Iterator[Connection | None]:
        for session in self._mine[:-1]:
            session.check()
        if not self._mine:
            yield None
            return
        with self._mine[-1].writing() as connection:
            yield connection

    @property
    def _mine(self) -> "list[_Session]":
        held: list[_Session] = self._of_thread.__dict__.setdefault("sessions", [])
        return held

    @contextmanager
    def _hold(self, name: str, what: str) -> "Iterator[_Session]":
        key = int.from_bytes(hashlib.sha256(f"crmsync {name}".encode()).digest()[:8], "big", signed=True)
        with ExitStack() as stack:
            try:
                session = _Session(stack.enter_context(self._engine.connect()), key, what, self._explain)
                session.take()
            except DBAPIError as error:
                raise self._explain(error) from error
            try:
                yield session
            finally:
                session.release()


@dataclass(slots=True, eq=False)
class _Session:
    """The connection that holds a lock, without a transaction under way."""

    connection: Connection
    key: int
    what: str
    explain: Callable[[DBAPIError], Exception]
    looking: threading.Lock = field(default_factory=threading.Lock)  # one statement at a time

    def take(self) -> None:
        if not self._ask("SELECT pg_try_advisory_lock(:key)"):
            self.connection.invalidate()  # not one that looks as if it held it
            raise _locked(self.what, "another session of this database")

    def release(self) -> None:
        if self.connection.invalidated:
            return
        try:
            self._ask("SELECT pg_advisory_unlock(:key)")
        except DBAPIError:
            self.connection.invalidate()  # the session is broken; the lock ends with it

    def renew(self) -> None:
        try:
            if not self._stands():
                self.take()
        except DBAPIError as error:
            self.connection.rollback()
            raise self.explain(error) from error

    def check(self) -> None:
        with self.looking:
            stands = self._stands()
        if not stands:
            raise self._lost()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        if self.connection.invalidated:  # it would connect again, as if nothing had happened
            raise self._lost()
        try:
            yield self.connection
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            raise self._lost() from error

    def _stands(self) -> bool:
        if not self.connection.invalidated:
            try:
                self._ask("SELECT :key")
            except DBAPIError as error:
                self.connection.rollback()
                if not error.connection_invalidated:
                    raise
        return not self.connection.invalidated

    def _ask(self, question: str) -> object:
        answer: object = self.connection.execute(text(question), {"key": self.key}).scalar_one()
        self.connection.commit()
        return answer

    def _lost(self) -> StateError:
        return StateError(
            f"the lock on {self.what} was lost: the database server ended the session that held it",
            "nothing more was written, and the next sync takes it again; if it happens often, look for timeouts of "
            "PostgreSQL or of a firewall or proxy before it",
        )


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
