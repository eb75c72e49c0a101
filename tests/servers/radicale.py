"""A real Radicale, from PyPI: users alice and bob, each alone in their own collections."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.servers.dav import DavServer
from tests.servers.process import free_port, listens, running

USERS: Mapping[str, str] = {"alice": "alice-secret", "bob": "bob-secret"}

_CONFIG = """[server]
hosts = 127.0.0.1:{port}
max_connections = 20
{options}

[auth]
type = htpasswd
htpasswd_filename = {users}
htpasswd_encryption = plain
delay = 0

[rights]
{rights}

[storage]
filesystem_folder = {folder}

[logging]
level = warning
"""


@contextmanager
def radicale(
    directory: Path,
    *,
    users: Mapping[str, str] = USERS,
    rights: str = "",
    options: str = "",
    port: int = 0,
) -> Iterator[DavServer]:
    """The server in ``directory``. ``rights``: the text of a rights file (Radicale's documentation, "Rights"), which it
    reads when it starts; empty: everybody owns what is below their own name. ``options``: more lines for its [server]
    section. ``port``: the one that it had, else a free one."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "users").write_text("".join(f"{name}:{password}\n" for name, password in users.items()))
    (directory / "rights").write_text(rights)
    port = port or free_port()
    (directory / "config").write_text(
        _CONFIG.format(
            port=port,
            options=options,
            users=directory / "users",
            folder=directory / "collections",
            rights=f"type = from_file\nfile = {directory / 'rights'}" if rights else "type = owner_only",
        )
    )
    command = [sys.executable, "-m", "radicale", "--config", str(directory / "config")]
    with running(command, directory / "log", lambda: listens(port)) as process:
        server = DavServer(f"http://127.0.0.1:{port}/", users, pid=process.pid)
        try:
            yield server
        finally:
            server.pool.clear()
