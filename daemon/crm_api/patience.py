"""uvicorn's HTTP/1.1 with an end to its patience: a request that comes by the byte would hold a place for ever.

uvicorn bounds how long a connection may be idle between two requests, and nothing else. A request's head, from the
connection or the end of the answer before, has to come within `HEAD_SECONDS`; its body at `SLOWEST` bytes a second,
after a grace of as long. Of an answer that waits to be read, something has to be read within `UNREAD_SECONDS`: who does
not would hold its place, and what waits to be read, for ever. With TLS the buffer that we see is not the one that is
read from, so there the system is asked how much has been acknowledged.
"""

import asyncio
import socket
import struct
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

_ACKED = struct.Struct("=120xQ")  # tcpi_bytes_acked of tcp_info (linux/tcp.h, since 4.1)

__all__ = ["HEAD_SECONDS", "SLOWEST", "UNREAD_SECONDS", "PatientProtocol", "overdue"]

HEAD_SECONDS = 20.0
SLOWEST = 1_000  # bytes a second
UNREAD_SECONDS = 60.0
LOOK_EVERY = 1.0


def overdue(waited: float, received: int, *, in_head: bool) -> bool:
    """Whether a request that has been coming for so long, with so many bytes of it here, is given up."""
    if in_head:
        return waited > HEAD_SECONDS
    return waited > HEAD_SECONDS + received / SLOWEST


def unread(transport: asyncio.Transport) -> int:
    """Less than before, if any of it has been read since; with TLS only the difference means something."""
    if transport.get_extra_info("ssl_object") is None:
        return transport.get_write_buffer_size()
    told = transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED.size)
    (acknowledged,) = _ACKED.unpack(told)
    return -int(acknowledged)


class PatientProtocol(H11Protocol):
    """Looks at the clock while a request is coming in, and only then."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._begun: float | None = None
        self._received = 0
        self._look: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch(0)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look is not None:
            self._look.cancel()
        self._read_on()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._watch(len(data))
        super().data_received(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait_for_reader()

    def resume_writing(self) -> None:
        self._read_on()
        super().resume_writing()

    def _wait_for_reader(self) -> None:
        self._unread = self.loop.call_later(UNREAD_SECONDS, self._check_reader, unread(self.transport))

    def _check_reader(self, before: int) -> None:
        if unread(self.transport) >= before:
            self.transport.abort()
        else:
            self._wait_for_reader()

    def _read_on(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _watch(self, count: int) -> None:
        self._received += count
        if self._begun is None:
            self._begun = self.loop.time()
        if self._look is None:
            self._look = self.loop.call_later(LOOK_EVERY, self._check)

    def _check(self) -> None:
        self._look = None
        answering = self.cycle is not None and not self.cycle.more_body
        if answering or self._begun is None or self.timeout_keep_alive_task is not None:
            self._begun, self._received = None, 0
            return
        waited = self.loop.time() - self._begun
        if overdue(waited, self._received, in_head=self.cycle is None or self.cycle.response_complete):
            self.transport.abort()
            return
        self._look = self.loop.call_later(LOOK_EVERY, self._check)
