"""A connection to a telephone system: one thread reads from it, any may write to it."""

import contextlib
import socket
import threading

from crmsync.connectors.errors import Unreachable


class Line:
    def __init__(
        self, address: tuple[str, int], patience: float, name: str, *, nobody: str = "", hint: str = ""
    ) -> None:
        """``name``: of what is there, for a person; ``nobody``: what to say where nothing is. Raises Unreachable."""
        self.name = name
        self._writing = threading.Lock()
        try:
            self._socket = socket.create_connection(address, timeout=patience)
        except OSError as error:
            said = nobody or f"{name} cannot be reached"
            raise Unreachable(f"{said} ({error.strerror or error})", hint=hint) from error

    def close(self) -> None:
        self._socket.close()

    def stop(self) -> None:
        """From another thread than the reader's, which hears of it at once and closes. A socket that is closed under it
        may be somebody else's by then."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def read(self, seconds: float) -> bytes:
        """What came within so many seconds, perhaps nothing. Raises Unreachable."""
        try:
            self._socket.settimeout(seconds)
            data = self._socket.recv(65536)
        except TimeoutError:
            return b""
        except OSError as error:
            raise self._gone(error) from error
        if not data:
            raise Unreachable(f"{self.name} has closed the connection")
        return data

    def send(self, data: bytes) -> None:
        """Raises Unreachable."""
        try:
            with self._writing:
                self._socket.sendall(data)
        except OSError as error:
            raise self._gone(error) from error

    def _gone(self, error: OSError) -> Unreachable:
        return Unreachable(f"{self.name} is gone ({error.strerror or error})")
