"""A real baresip, from Debian's package, on free ports of loopback: a telephone without sound."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from crmsync.connectors.baresip.client import Client
from crmsync.daemon.demo.telephone import ATTEMPTS, INSTALL, prepare
from tests.servers.process import free_port, running


@dataclass(frozen=True)
class Telephone:
    user: str
    sip: int
    control: int

    @property
    def address(self) -> str:
        return f"sip:{quote(self.user, safe='+')}@127.0.0.1:{self.sip}"

    def tell(self, command: str, params: str = "") -> None:
        """What its user does; without waiting for what comes of it."""
        client = Client("127.0.0.1", self.control)
        try:
            client.send(command, params)
            list(client.read(5.0))
        finally:
            client.close()


@contextmanager
def baresip(user: str, name: str = "") -> Iterator[Telephone]:
    """Skips the test where there is none. ``name``: how it presents itself."""
    program = shutil.which("baresip")
    if program is None:
        pytest.skip(f"baresip is not installed: {INSTALL}")
    with ExitStack() as stack:
        for attempt in range(1, ATTEMPTS + 1):
            folder = Path(tempfile.mkdtemp(prefix="baresip-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            phone = Telephone(user, free_port(following=1), free_port())  # SIP over TLS takes the one after
            prepare(folder, phone.address, phone.sip, phone.control, name=name)
            command = [program, "-4", "-f", str(folder)]
            try:
                stack.enter_context(running(command, folder / "log", lambda: _answers(phone.control)))  # noqa: B023
            except RuntimeError:
                if attempt == ATTEMPTS:
                    raise
                continue
            break
        yield phone


def _answers(port: int) -> bool:
    from crmsync.connectors.errors import Unreachable

    try:
        Client("127.0.0.1", port, patience=0.5).close()
    except Unreachable:
        return False
    return True
