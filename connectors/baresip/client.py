"""A connection to a baresip, and a question to it.

``ctrl_tcp`` serves one programme: a second one that connects takes the events over, and the first is told nothing. So
it is asked something whenever it is silent for a while; an answer that does not come is the only sign.
"""

import contextlib
import queue
import socket
import threading
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from crmsync.connectors.baresip.wire import Frames, command
from crmsync.connectors.errors import ConnectorError, Unreachable

PATIENCE = 5.0  # seconds for an answer
SILENCE = 10.0  # after which it is asked for a sign of life


class Client:
    """One connection: ``messages`` is read in one thread, ``ask`` may be called from any other."""

    def __init__(self, host: str, port: int, *, patience: float = PATIENCE) -> None:
        self._place = f"{host}:{port}"
        self._patience = patience
        self._answers: dict[str, queue.SimpleQueue[Mapping[str, Any]]] = {}
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._frames = Frames()
        try:
            self._socket = socket.create_connection((host, port), timeout=patience)
        except OSError as error:
            raise Unreachable(
                f"no baresip answers on {self._place} ({error.strerror or error})",
                hint="start it, with module_app ctrl_tcp.so and ctrl_tcp_listen in its configuration",
            ) from error

    def close(self) -> None:
        self._socket.close()

    def stop(self) -> None:
        """From another thread than the reader's, which hears of it at once and closes. A socket that is closed under it
        may be somebody else's by then."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def read(self, seconds: float) -> Iterator[Mapping[str, Any]]:
        """The events that came within so many seconds; answers go to who asked. Raises Unreachable, ProtocolError."""
        try:
            self._socket.settimeout(seconds)
            data = self._socket.recv(65536)
        except TimeoutError:
            return
        except OSError as error:
            raise Unreachable(f"baresip on {self._place} is gone ({error.strerror or error})") from error
        if not data:
            raise Unreachable(f"baresip on {self._place} has closed the connection")
        for message in self._frames.feed(data):
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
            with self._lock:
                self._socket.sendall(command(name, params, token))
        except OSError as error:
            del self._answers[token]
            raise Unreachable(f"baresip on {self._place} is gone ({error.strerror or error})") from error
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
                f"baresip on {self._place} does not answer",
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
