"""Somebody's telephone in a service that is measured: a speaker of baresip's protocol, the real adapter, call log and
cycles, and an open softphone."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from crmsync.config.load import parse
from crmsync.connectors.baresip.wire import Frames
from crmsync.connectors.calllog.connector import CallLogSource
from crmsync.connectors.calllog.store import CallStore
from crmsync.connectors.contract import Kind, Side
from crmsync.connectors.memory.connector import MemorySource
from crmsync.connectors.memory.server import MemoryServer
from crmsync.connectors.memory.traits import groupware
from crmsync.daemon.account import Mailbox
from crmsync.daemon.telephony.phones import Phones
from crmsync.daemon.turns import Turns
from tests.daemon.cycle.world import World

WHOSE = "bob"
HURRIED = 10.0  # seconds, as ``settle`` unless configured
_CONFIG = """
[state]
url = "sqlite:///{folder}/state.db"
[service]
socket = "{folder}/control.sock"
[telephony.desk]
type = "baresip"
port = {port}
domain = "127.0.0.1"
[crm.main]
type = "salesforce"
url = "http://127.0.0.1:9"
client_id = "x"
client_secret = "x"
username = "x"
password = "x"
[account.bob]
crm = "main"
crm_user = "bob@example.com"
telephone = "desk"
[[account.bob.source]]
type = "caldav"
url = "http://127.0.0.1:9/"
username = "bob"
password = "x"
"""


class Speaker:
    """What a baresip says of the calls that it gets; answers whatever it is asked."""

    def __init__(self) -> None:
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._door.getsockname()[1]
        self._line: socket.socket | None = None
        self._sending = threading.Lock()
        self._numbers = count(1)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._door.close()
        if self._line is not None:
            self._line.close()

    def _serve(self) -> None:
        try:
            self._line, _ = self._door.accept()
            frames = Frames()
            while data := self._line.recv(65536):
                for asked in frames.feed(data):
                    self._say({"response": True, "ok": True, "data": "", "token": asked.get("token", "")})
        except OSError:
            return

    def _say(self, message: dict[str, Any]) -> None:
        body = json.dumps(message).encode()
        if self._line is not None:
            with self._sending:
                self._line.sendall(b"%d:%s," % (len(body), body))

    def call(self) -> str:
        """One from beginning to end; its number."""
        number = next(self._numbers)
        peer = f"sip:+1415555{number % 10_000:04}@127.0.0.1"
        for type, param in (
            ("CALL_INCOMING", ""), ("CALL_RINGING", ""), ("CALL_ESTABLISHED", ""), ("CALL_CLOSED", "Connection reset"),
        ):  # fmt: skip
            self._say({
                "event": True, "type": type, "class": "call", "direction": "incoming", "peeruri": peer,
                "peerdisplayname": f"Caller {number}", "id": f"call-{number}", "param": param,
            })  # fmt: skip
        return f"call-{number}"


class Desk:
    """The telephone of an account of its own."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.speaker = world, Speaker()
        self._woken: set[str] = set()
        self._wake = threading.Condition()
        self._over = False
        self._account(folder)
        config = parse(
            _CONFIG.format(folder=folder, port=self.speaker.port).encode(), folder / "phone.toml", {}
        )
        self.phones = Phones(config, Turns(world.engine), world.clock, self._soon)
        self.phones.open()
        self._cycles = threading.Thread(target=self._sync, daemon=True)
        self._cycles.start()
        while self.phones.troubles() != {"desk": None}:
            time.sleep(0.05)

    def _account(self, folder: Path) -> None:
        ecs = MemoryServer(now=self.world.clock, traits=groupware())
        ecs.add("Tasks", Kind.TASK)
        own = replace(
            self.world.account,
            name=WHOSE,
            crm_user="bob@example.com",
            mailboxes=[Mailbox("memory", MemorySource(ecs, Side.ECS))],
        )
        source = CallLogSource(CallStore(folder / "calls.db"), WHOSE, self.world.clock)
        log = replace(
            own, name=f"{WHOSE}.calls", part_of=WHOSE, crm_select="linked",
            mailboxes=[Mailbox("calllog", source, kinds=frozenset({Kind.TASK}))],
        )  # fmt: skip
        self.log = source
        self.world.engine.accounts = {**self.world.engine.accounts, log.name: log, own.name: own}

    def _soon(self, account: str) -> None:
        with self._wake:
            self._woken.add(account)
            self._wake.notify()

    def _sync(self) -> None:
        """As the service's scheduler does: beside the other accounts' cycles, at once, but none of them more often than
        so (``Schedule.soon``)."""
        begun: dict[str, float] = {}
        while not self._over:
            now = time.monotonic()
            with self._wake:
                names = sorted(n for n in self._woken if now - begun.get(n, -HURRIED) >= HURRIED)
                self._woken.difference_update(names)
                if not names:
                    self._wake.wait(0.5)
            for name in names:
                begun[name] = now
                if self.world.engine.sync([name], settle=timedelta(0))["writes"]:
                    self.phones.synced(name)

    def token(self) -> str:
        assert self.phones.pairing is not None
        paired = self.phones.pairing.pair(self.phones.pairing.code(WHOSE)[0])
        assert paired is not None
        return paired[1]

    @contextmanager
    def ringing(self, a_minute: int) -> Iterator[None]:
        over = threading.Event()

        def ring() -> None:
            while not over.wait(60 / a_minute):
                self.speaker.call()

        thread = threading.Thread(target=ring, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def kept(self) -> int:
        """Calls that are in the CRM."""
        return len(self.world.crm.all(self.world.todos))

    def close(self) -> None:
        with ExitStack() as stack:
            stack.callback(self.log.close)
            stack.callback(self.speaker.close)
            self.phones.close()
            with self._wake:
                self._over = True
                self._wake.notify()
            self._cycles.join()
