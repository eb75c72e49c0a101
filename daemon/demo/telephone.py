"""The demo's telephones, where baresip is installed: Alice's, and one of a customer's."""

import contextlib
import shutil
import tempfile
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from crmsync.connectors.baresip.client import Client
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.calls import Failure
from crmsync.daemon.demo.child import Child, free_port
from crmsync.daemon.demo.place import OWNER, write_private

INSTALL = "apt-get install baresip-core"
ATTEMPTS = 3  # a free port may be taken before it listens
_MODULES = "/usr/lib/baresip/modules"
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


@dataclass(frozen=True, slots=True)
class Telephone:
    """One that a person holds in the hand."""

    address: str
    control: int

    def tell(self, command: str, params: str = "") -> None:
        """Raises ConnectorError."""
        client = Client("127.0.0.1", self.control)
        try:
            client.send(command, params)
            list(client.read(5.0))
        finally:
            client.close()


@dataclass(frozen=True, slots=True)
class Telephones:
    inside: Telephone  # Alice's, which the service speaks to
    outside: Telephone


@contextlib.contextmanager
def started(number: str) -> Iterator[Telephones | None]:
    """None where baresip is not installed. ``number``: of the customer's. Raises Failure when it does not start."""
    program = shutil.which("baresip")
    if program is None or not Path(_MODULES).is_dir():
        yield None
        return
    with contextlib.ExitStack() as stack:
        yield Telephones(_telephone(program, OWNER, stack), _telephone(program, number, stack))


def _telephone(program: str, user: str, stack: contextlib.ExitStack) -> Telephone:
    made = tempfile.TemporaryDirectory(prefix="crmsync-phone-", ignore_cleanup_errors=True)
    folder = Path(stack.enter_context(made))
    for attempt in range(1, ATTEMPTS + 1):
        sip, control = free_port(following=1), free_port()  # SIP over TLS takes the one after
        phone = Telephone(f"sip:{user}@127.0.0.1:{sip}", control)
        prepare(folder, phone.address, sip, control)
        child = Child("baresip", (program,), ["-4", "-f", str(folder)], folder / "log")
        try:
            child.start(lambda phone=phone: _answers(phone))  # type: ignore[misc]
        except Failure:
            if attempt == ATTEMPTS:
                raise
            continue
        stack.callback(child.stop)
        return phone
    raise AssertionError("unreachable")


def prepare(folder: Path, address: str, sip: int, control: int, *, name: str = "") -> None:
    """What a baresip finds in its folder: a telephone without sound, which answers when it is told to. ``name``: how it
    presents itself."""
    with wave.open(str(folder / "silence.wav"), "wb") as sound:  # a call ends with its source
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(2 * 8000 * 120))
    text = _CONFIG.format(folder=folder, sip=sip, control=control, modules=_MODULES)
    write_private(folder / "config", text)
    shown = f'"{name}" ' if name else ""
    account = f"{shown}<{address};transport=udp>;regint=0;audio_codecs=PCMU;answermode=manual\n"
    write_private(folder / "accounts", account)
    write_private(folder / "contacts", "")


def _answers(phone: Telephone) -> bool:
    try:
        Client("127.0.0.1", phone.control, patience=0.5).close()
    except ConnectorError:
        return False
    return True
