"""A real baresip, from Debian's package, on free ports of loopback: a telephone without sound."""

import shutil
import tempfile
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from crmsync.connectors.baresip.client import Client
from tests.servers.process import free_port, running

ATTEMPTS = 3  # it takes the port after its own as well (SIP over TLS), which may not be free
INSTALL = "apt-get install baresip-core"
_MODULES = Path("/usr/lib/baresip/modules")
_CONFIG = """
sip_listen 127.0.0.1:{sip}
net_interface 127.0.0.1
audio_source aufile,{folder}/silence.wav
audio_player none,none
audio_alert none,none
ausrc_srate 8000
auplay_srate 8000
rtp_ports 10000-20000
module_path {modules}
module g711.so
module aufile.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
"""


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
            _prepare(folder, phone, name)
            command = [program, "-4", "-f", str(folder)]
            try:
                stack.enter_context(running(command, folder / "log", lambda: _answers(phone.control)))  # noqa: B023
            except RuntimeError:
                if attempt == ATTEMPTS:
                    raise
                continue
            break
        yield phone


def _prepare(folder: Path, phone: Telephone, name: str) -> None:
    with wave.open(str(folder / "silence.wav"), "wb") as sound:  # a call ends with its source
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(2 * 8000 * 120))
    text = _CONFIG.format(folder=folder, sip=phone.sip, control=phone.control, modules=_MODULES)
    (folder / "config").write_text(text)
    shown = f'"{name}" ' if name else ""
    account = f"{shown}<{phone.address};transport=udp>;regint=0;audio_codecs=PCMU;answermode=manual\n"
    (folder / "accounts").write_text(account)
    (folder / "contacts").write_text("")


def _answers(port: int) -> bool:
    from crmsync.connectors.errors import Unreachable

    try:
        Client("127.0.0.1", port, patience=0.5).close()
    except Unreachable:
        return False
    return True
