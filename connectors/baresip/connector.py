"""baresip, the telephone on the person's own machine, as a switch."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from crmsync.connectors.baresip.client import PATIENCE, SILENCE, Client, accepted
from crmsync.connectors.baresip.events import Reader
from crmsync.connectors.errors import Unreachable
from crmsync.connectors.telephony.contract import (
    Action,
    Answer,
    Cause,
    Dial,
    Ended,
    Event,
    HangUp,
    Held,
    Hold,
    Resume,
    Resumed,
    Transfer,
    Transferred,
)

LOOK = 0.5  # seconds between two looks whether it is time to stop


class Baresip:
    """``domain``: the host to which numbers are dialled, as ``pbx.example.com`` in ``sip:+4930…@pbx.example.com``;
    empty: baresip's own account knows."""

    actions = frozenset({Dial, Answer, HangUp, Hold, Resume, Transfer})

    def __init__(
        self,
        host: str,
        port: int,
        *,
        domain: str = "",
        now: Callable[[], datetime],
        silence: float = SILENCE,
        patience: float = PATIENCE,
    ) -> None:
        self._host, self._port, self._domain = host, port, domain
        self._now, self._silence, self._patience = now, silence, patience
        self._client: Client | None = None
        self._acting = threading.Lock()  # "the current call" is one for all who speak to it
        self._told: list[Event] = []  # what nobody tells us but our own doing

    def events(self, going: Sequence[str], stopped: Callable[[], bool]) -> Iterator[Event | None]:
        client, reader = Client(self._host, self._port, patience=self._patience), Reader()
        early: list[Mapping[str, Any]] = []
        try:
            yield from self._missed(client, reader, going, early)
            self._client = client
            yield None
            for message in early:
                yield from reader.events(message, self._now())
            yield from self._heard(client, reader, stopped)
        finally:
            self._client = None
            client.close()

    def _missed(
        self, client: Client, reader: Reader, going: Sequence[str], early: list[Mapping[str, Any]]
    ) -> Iterator[Event]:
        for call in going:
            if _asked(client, call, self._patience, early):
                reader.remember(call)
            else:
                yield Ended(call, Cause.LOST, self._now())

    def _heard(self, client: Client, reader: Reader, stopped: Callable[[], bool]) -> Iterator[Event | None]:
        heard = asked = time.monotonic()
        sign = ""
        while not stopped():
            for message in client.read(min(LOOK, self._silence)):
                heard = time.monotonic()
                yield from reader.events(message, self._now())
            while self._told:
                yield self._told.pop(0)
            if sign and client.take(sign) is not None:
                client.forget(sign)
                sign, heard = "", time.monotonic()
                yield None
            elif sign and time.monotonic() - asked > self._patience:
                raise Unreachable(
                    f"baresip on {self._host}:{self._port} does not answer",
                    hint="another programme may have taken its control connection over: it serves one at a time",
                )
            elif not sign and time.monotonic() - heard > self._silence:
                sign, asked = client.send("listcalls"), time.monotonic()

    def act(self, action: Action) -> None:
        client = self._client
        if client is None:
            raise Unreachable(f"baresip on {self._host}:{self._port} is not connected")
        with self._acting:
            if not isinstance(action, Dial):
                client.ask("callfind", action.call)  # it becomes the current one
            match action:
                case Dial(number):
                    client.ask("dial", self._address(number))
                case Answer():
                    client.ask("accept")
                case HangUp():
                    client.ask("hangup")
                case Hold(call):
                    client.ask("hold")
                    self._told.append(Held(call, self._now()))
                case Resume(call):
                    client.ask("resume")
                    self._told.append(Resumed(call, self._now()))
                case Transfer(call, to):
                    client.ask("transfer", self._address(to))
                    self._told.append(Transferred(call, to, self._now()))

    def _address(self, number: str) -> str:
        return f"sip:{number}@{self._domain}" if self._domain else number

    def close(self) -> None:
        if (client := self._client) is not None:
            client.stop()


def _asked(client: Client, call: str, patience: float, early: list[Mapping[str, Any]]) -> bool:
    """Whether the call is still there; by the thread that reads. ``early``: takes what else is told meanwhile."""
    token = client.send("callfind", call)
    deadline = time.monotonic() + patience
    try:
        while time.monotonic() < deadline:
            early.extend(client.read(0.1))
            if (answer := client.take(token)) is not None:
                return accepted(answer)
    finally:
        client.forget(token)
    raise Unreachable("baresip does not answer")
