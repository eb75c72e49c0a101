"""A connection to a baresip, and a question to it.

``ctrl_tcp`` serves one programme: a second one that connects takes the events over, and the first is told nothing. So
it is asked something whenever it is silent for a while; an answer that does not come is the only sign.
"""

import queue
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from crmsync.connectors.baresip.wire import Frames, command
from crmsync.connectors.errors import ConnectorError, Unreachable
from crmsync.connectors.telephony.line import Line

PATIENCE = 5.0  # seconds for an answer
SILENCE = 10.0  # after which it is asked for a sign of life


class Client:
    """One connection: ``messages`` is read in one thread, ``ask`` may be called from any other."""

    def __init__(self, host: str, port: int, *, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._answers: dict[str, queue.SimpleQueue[Mapping[str, Any]]] = {}
        self._numbers = count(1)
        self._frames = Frames()
        self._line = Line(
            (host, port),
            patience,
            f"baresip on {host}:{port}",
            nobody=f"no baresip answers on {host}:{port}",
            hint="start it, with module_app ctrl_tcp.so and ctrl_tcp_listen in its configuration",
        )
        self.close, self.stop = self._line.close, self._line.stop

    def read(self, seconds: float) -> Iterator[Mapping[str, Any]]:
        """The events that came within so many seconds; answers go to who asked. Raises Unreachable, ProtocolError."""
        data = self._line.read(seconds)
        for message in self._frames.feed(data) if data else ():
            if message.get("response") is True:
                self._answered(message)
            else:
                yield message

    def _answered(self, message: Mapping[str, Any]) -> None:
        waiting = self._answers.get(str(message.get("token", "")))
        if waiting is not None:
            waiting.put(message)

    def send(self, name: str, params: str = "") -> str:
        """The token under which the answer will come."""
        token = str(next(self._numbers))
        self._answers[token] = queue.SimpleQueue()
        try:
            self._line.send(command(name, params, token))
        except Unreachable:
            del self._answers[token]
            raise
        return token

    def take(self, token: str, seconds: float = 0.0) -> Mapping[str, Any] | None:
        """The answer, if it comes in time; where it does not, it is not waited for any more."""
        try:
            return self._answers[token].get(timeout=seconds) if seconds else self._answers[token].get_nowait()
        except queue.Empty:
            return None

    def forget(self, token: str) -> None:
        self._answers.pop(token, None)

    def ask(self, name: str, params: str = "") -> None:
        """From another thread than the reader's. Raises ConnectorError where it is refused, or not answered."""
        token = self.send(name, params)
        try:
            answer = self.take(token, self._patience)
        finally:
            self.forget(token)
        if answer is None:
            raise Unreachable(
                f"{self._line.name} does not answer",
                hint="another programme may have taken its control connection over",
            )
        if not accepted(answer):
            raise Refusal(f"baresip does not do that ({str(answer.get('data', ''))[:100].strip()})")


def accepted(answer: Mapping[str, Any]) -> bool:
    """1.0.0 says of a call that is not there: ok, and “call not found (id=…)”."""
    return answer.get("ok") is True and not str(answer.get("data", "")).startswith("call not found")


class Refusal(ConnectorError):
    """It was understood, and cannot be done: the call is over, or there is none."""

    code = "refused"
    retry = False
