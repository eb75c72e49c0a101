"""uvicorn that begins and ends when it is told to.

Its own loop looks ten times a second whether it shall end, and its end waits a tenth of a second for connections also
where there are none.
"""

import asyncio
import contextlib
import socket
from collections.abc import Generator
from typing import Any

import uvicorn

__all__ = ["PromptServer"]

_TURNS = (
    8  # of the loop, until a connection that was dropped is forgotten; with TLS there are two layers of it
)


class PromptServer(uvicorn.Server):
    """Without signal handlers of its own: servers in one process would take them from each other."""

    _loop: asyncio.AbstractEventLoop | None = None
    _told: asyncio.Event

    def end(self) -> None:
        """From any thread, and from a signal handler. Requests under way are finished."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended meanwhile
                self._loop.call_soon_threadsafe(self._told.set)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def main_loop(self) -> None:
        self._told = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), 1.0 if self.config.date_header else None)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drops idle connections first: a TLS client that keeps one open would hold up the end."""
        for each in (*self.servers, *(sockets or ())):
            each.close()
        for connection in list(self.server_state.connections):
            if _idle(connection):
                connection.transport.abort()
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)


def _idle(connection: Any) -> bool:
    """The last answer, if there was one, has gone out."""
    cycle, transport = getattr(connection, "cycle", None), getattr(connection, "transport", None)
    answered = cycle is None or cycle.response_complete
    return transport is not None and answered and not transport.get_write_buffer_size()
