"""uvicorn inside of the service: in a thread of its own, and without signal handlers, which are the service's."""

import logging
import socket
import threading
import time
from collections.abc import Sequence

import uvicorn

from crmsync.daemon.accepting import HANDSHAKE_SECONDS, run
from crmsync.daemon.calls import Failure
from crmsync.daemon.prompt import PromptServer

log = logging.getLogger(__name__)

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
        deadline = time.monotonic() + START_SECONDS
        while not self._server.ready.wait(0.05):
            if not self._thread.is_alive() or time.monotonic() > deadline:
                self.stop()  # or its address would stay taken, also for whoever tries again
                raise Failure("failed", f"the {self._name} does not answer; the log of the service says why")

    def stop(self, seconds: float = 2.0) -> None:
        self._server.end()
        self._thread.join(seconds)
        for door in self._doors:
            door.close()

    def _run(self) -> None:
        try:
            run(self._server.serve(sockets=self._doors), handshake=self._handshake)
        except Exception:
            log.exception("the %s has ended", self._name, extra={"action": "listener.defect"})


class _Server(PromptServer):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()
