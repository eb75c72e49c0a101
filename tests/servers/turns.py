"""A relay before any TCP server that counts how often the two sides take turns, and what passes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Turns:
    port: int = 0
    turns: int = 0  # times that the client spoke after the server had
    bytes: int = 0  # in both directions
    asked: bytearray = field(default_factory=bytearray)  # what clients said
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _client_spoke: bool = False
    _ends: list[socket.socket] = field(default_factory=list)

    def hang_up(self) -> None:
        """As a server does that is restarted."""
        for end in self._ends:
            with_no_complaint(end)
        self._ends.clear()

    def forget(self) -> None:
        with self._lock:
            self.turns = self.bytes = 0
            self.asked.clear()

    def pass_on(self, source: socket.socket, target: socket.socket, *, client: bool) -> None:
        try:
            while data := source.recv(65536):
                with self._lock:
                    self.bytes += len(data)
                    self.asked += data if client else b""
                    if client and not self._client_spoke:
                        self.turns += 1
                    self._client_spoke = client
                target.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, target):
                with_no_complaint(end)


def with_no_complaint(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def counted(port: int) -> Iterator[Turns]:
    """In front of ``port`` of this machine."""
    relay = Turns()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        relay.port = listener.getsockname()[1]

        def serve() -> None:
            while True:
                try:
                    near, _ = listener.accept()
                    far = socket.create_connection(("127.0.0.1", port))
                except OSError:
                    return
                relay._ends += [near, far]
                for source, target, client in ((near, far, True), (far, near, False)):
                    threading.Thread(
                        target=relay.pass_on, args=(source, target), kwargs={"client": client}, daemon=True
                    ).start()

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield relay
        finally:
            listener.shutdown(socket.SHUT_RDWR)
