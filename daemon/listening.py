"""uvicorn inside of the service: in a thread of its own, and without signal handlers, which are the service's."""

import contextlib
import socket
import threading
from collections.abc import Generator, Sequence

import uvicorn

from crmsync.daemon.accepting import HANDSHAKE_SECONDS, run
from crmsync.daemon.calls import Failure

START_SECONDS = 15.0


class Listener:
    """Serves what ``config`` says on these sockets until ``stop``; closes them then."""

    def __init__(
        self,
        name: str,
        config: uvicorn.Config,
        doors: Sequence[socket.socket],
        *,
        handshake: float = HANDSHAKE_SECONDS,
    ) -> None:
        """``name``: of the thread, and in the sentence when it does not start."""
        self._name, self._handshake = name, handshake
        self._doors = list(doors)
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Returns when it answers. Raises Failure."""
        self._thread.start()
        if not self._server.ready.wait(START_SECONDS):
            raise Failure("failed", f"the {self._name} does not answer")

    def stop(self, seconds: float = 2.0) -> None:
        self._server.should_exit = True
        self._thread.join(seconds)
        for door in self._doors:
            door.close()

    def _run(self) -> None:
        run(self._server.serve(sockets=self._doors), handshake=self._handshake)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()
