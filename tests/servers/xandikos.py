"""A real Xandikos, from PyPI: one user, no login, everything below ``/user/``."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.dav import DavServer
from tests.servers.process import free_port, listens, running


@contextmanager
def xandikos(directory: Path) -> Iterator[DavServer]:
    """The server in ``directory``, with an address book ``addressbook`` and a calendar ``calendar`` of its own making.
    Address books and calendars have separate homes, ``contacts`` and ``calendars``."""
    (directory / "data").mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, "-m", "xandikos", "serve", "--directory", str(directory / "data")]
    command += ["--state-dir", str(directory / "state"), "--no-detect-systemd"]
    command += ["--listen-address", "127.0.0.1", "--port", str(port), "--defaults"]
    with running(command, directory / "log", lambda: listens(port)) as process:
        server = DavServer(
            f"http://127.0.0.1:{port}/", {}, "user/", "user/contacts/", "user/calendars/", process.pid
        )
        try:
            yield server
        finally:
            server.pool.clear()
