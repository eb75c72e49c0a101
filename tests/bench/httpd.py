"""As little of an HTTP/1.1 server as the bench's own servers need: keep-alive, Content-Length, answers after a round
trip. One thread, no checks: only the bench talks to it."""

import asyncio
import json
import resource
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import NamedTuple


class Request(NamedTuple):
    method: bytes
    path: str
    head: bytes  # the header lines as they came
    body: bytes

    def header(self, name: bytes) -> str:
        """``name`` in lower case."""
        at = self.head.lower().find(b"\r\n" + name + b":")
        if at < 0:
            return ""
        start = at + len(name) + 3
        end = self.head.find(b"\r\n", start)
        return self.head[start : end if end >= 0 else None].strip().decode("latin-1")


class Reply(NamedTuple):
    status: int
    body: bytes = b""
    headers: str = ""  # lines, each with its CRLF


Handler = Callable[[Request], Reply]

_ahead = [0.0]  # seconds that this server's clock is ahead of the machine's

_XML = "Content-Type: application/xml; charset=utf-8\r\n"
_JSON = "Content-Type: application/json\r\n"


def xml(status: int, body: bytes) -> Reply:
    return Reply(status, body, _XML)


def clock() -> float:
    """The server's, in seconds since the epoch."""
    return time.time() + _ahead[0]


def as_json(status: int, value: object) -> Reply:
    return Reply(status, json.dumps(value, separators=(",", ":")).encode(), _JSON)


class Connection(asyncio.Protocol):
    def __init__(self, handler: Handler, delay: Callable[[], float]) -> None:
        self._handler = handler
        self._delay = delay
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(1 << 30)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (request := self._next()) is not None:
            if delay := self._delay():
                asyncio.get_running_loop().call_later(delay, self._answer, request)
            else:
                self._answer(request)

    def _next(self) -> Request | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self._buffer[:end])
        request = Request(*_first_line(head), head, b"")
        length = int(request.header(b"content-length") or 0)
        if len(self._buffer) < end + 4 + length:
            return None
        body = bytes(self._buffer[end + 4 : end + 4 + length])
        del self._buffer[: end + 4 + length]
        return request._replace(body=body)

    def _answer(self, request: Request) -> None:
        reply = self._handler(request)
        if self._transport is None or self._transport.is_closing():
            return
        length = f"Content-Length: {len(reply.body)}\r\n" if reply.status != 204 else ""
        head = f"HTTP/1.1 {reply.status} -\r\nDate: {formatdate(clock(), usegmt=True)}\r\n{reply.headers}{length}\r\n"
        self._transport.write(head.encode() + reply.body)


def _first_line(head: bytes) -> tuple[bytes, str]:
    method, path, _ = head.split(b"\r\n", 1)[0].split(b" ", 2)
    return method, path.decode("latin-1")


class Steering:
    """What the bench asks of a server itself, below ``/_bench/``: its CPU time, the round trip that it plays, and to
    put its clock ahead."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.delay = 0.0

    def __call__(self, request: Request) -> Reply:
        if not request.path.startswith("/_bench/"):
            return self._handler(request)
        if request.path == "/_bench/delay":
            self.delay = float(request.body)
        elif request.path == "/_bench/ahead":
            _ahead[0] = float(request.body)
        elif request.path == "/_bench/usage":
            used = resource.getrusage(resource.RUSAGE_SELF)
            return as_json(200, {"cpu": used.ru_utime + used.ru_stime})
        else:
            return self._handler(request)
        return Reply(204)

    def pause(self) -> float:
        return self.delay


def serve(handler: Handler) -> None:
    """Listens on a free port of the loopback, prints it, and serves until the process is ended."""
    steering = Steering(handler)

    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(steering, steering.pause), "127.0.0.1", 0, backlog=256
        )
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(run())
