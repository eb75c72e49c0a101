"""A real PostgreSQL server with nothing in it, from Debian's package: for the state, which may live in one."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from tests.servers.process import free_port, running

_INSTALL = "apt-get install postgresql"
_NOBODY = 65534  # the server refuses to run as root


def binary(name: str) -> str | None:
    """Debian keeps them beside its version, out of the PATH."""
    found = [*Path("/usr/lib/postgresql").glob(f"*/bin/{name}")]
    return shutil.which(name) or (str(max(found)) if found else None)


class PostgreSQL:
    def __init__(
        self, url: str, start: Callable[[], AbstractContextManager[subprocess.Popen[bytes]]]
    ) -> None:
        self.url = url
        self._begin = start
        self.start()

    def restart(self) -> None:
        """Fast, as systemd does it: whoever is connected is thrown out."""
        self.close()
        self.start()

    def start(self) -> None:
        self._running = self._begin()
        self._process = self._running.__enter__()

    def close(self) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)
        self._running.__exit__(None, None, None)


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of its database. Skips the test where the server or its driver is not installed."""
    with postgresql_server() as server:
        yield server.url


@contextmanager
def postgresql_server() -> Iterator[PostgreSQL]:
    """The same, to be restarted."""
    initdb, program = binary("initdb"), binary("postgres")
    if initdb is None or program is None:
        pytest.skip(f"PostgreSQL is not installed: {_INSTALL}")
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'crmsync[postgresql]'")
    folder = Path(tempfile.mkdtemp(prefix="crmsync-pg-"))
    try:
        as_user = _given_away(folder)
        data = folder / "data"
        make = [
            initdb,
            "-D",
            str(data),
            "-U",
            "crmsync",
            "--auth=trust",
            "--no-sync",
            "--no-locale",
            "-E",
            "UTF8",
        ]
        subprocess.run([*as_user, *make], check=True, capture_output=True, timeout=120)
        port = free_port()
        options = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": folder,
            "fsync": "off",
        }
        command = [
            *as_user,
            program,
            "-D",
            str(data),
            *(w for k, v in options.items() for w in ("-c", f"{k}={v}")),
        ]
        url = f"postgresql+psycopg://crmsync@127.0.0.1:{port}/postgres"
        made = PostgreSQL(url, lambda: running(command, folder / "log", lambda: _answers(url)))
        try:
            yield made
        finally:
            made.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answers(url: str) -> bool:
    """It listens before it lets anybody in."""
    engine = create_engine(url)
    try:
        engine.connect().close()
    except OperationalError:
        return False
    finally:
        engine.dispose()
    return True


def _given_away(folder: Path) -> list[str]:
    """What a command begins with so that it runs as the folder's owner."""
    if os.getuid() != 0:
        return []
    os.chown(folder, _NOBODY, _NOBODY)
    return ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
