"""A counting proxy, in a process of its own: ``python -m tests.bench.proxy PORT``. It passes bytes on as they come, and
counts them, and the requests by what they are for. ``GET /_bench/counts`` answers with the counts and begins anew."""

import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import unquote

_WRITES = ("PUT", "PATCH", "POST", "DELETE")


@dataclass
class Counts:
    purposes: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)  # both ways, by purpose
    unread: bool = False  # something was written, and has not been read back

    def note(self, head: bytes, body: bytes) -> str:
        purpose = _purpose(head, body)
        method = purpose.split(" ", 1)[0]
        if method in _WRITES and "oauth2" not in purpose:
            self.unread = True
        elif purpose in ("REPORT multiget", "GET by id") and self.unread:
            purpose, self.unread = "read back", False
        self.purposes[purpose] += 1
        return purpose

    def told(self) -> bytes:
        value = {"purposes": dict(self.purposes), "bytes": dict(self.bytes)}
        self.purposes, self.bytes = Counter(), Counter()
        return json.dumps(value).encode()


def _purpose(head: bytes, body: bytes) -> str:
    """Method, and for what asks: about what."""
    method, path, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
    if method == "REPORT":
        return "REPORT sync-collection" if b"sync-collection" in body[:400] else "REPORT multiget"
    if method == "GET" and "/query" in path:
        text = unquote(path)
        poll, by_id = "WHERE SystemModstamp >=" in text, "WHERE Id IN" in text
        return "GET changes" if poll else "GET by id" if by_id else "GET search"
    return method if method != "POST" or "oauth2" not in path else "POST oauth2"


class _Requests:
    """Finds the requests in what a client sends."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[bytes, bytes]]:
        """Head and body of each that is complete now."""
        self._buffer += data
        found = []
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[:end])
            whole = end + 4 + _length(head)
            if len(self._buffer) < whole:
                break
            found.append((head, bytes(self._buffer[end + 4 : whole])))
            del self._buffer[:whole]
        return found


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


class _Server(asyncio.Protocol):
    """The side of the connection that leads to the server."""

    def __init__(self, client: "_Client") -> None:
        self._client = client

    def data_received(self, data: bytes) -> None:
        self._client.answer(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.close()


class _Client(asyncio.Protocol):
    def __init__(self, port: int, counts: Counts) -> None:
        self._port = port
        self._counts = counts
        self._requests = _Requests()
        self._waiting: list[bytes] = []
        self._server: asyncio.Transport | None = None
        self._purpose = ""  # of the request that is under way
        self._unnamed = 0  # bytes of a request of which it is not known yet what it is for

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._client = transport

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET /_bench/counts "):
            told = self._counts.told()
            self._client.write(b"HTTP/1.1 200 -\r\nContent-Length: %d\r\n\r\n" % len(told) + told)
            return
        self._unnamed += len(data)
        for head, body in self._requests.feed(data):
            self._purpose = self._counts.note(head, body)
            self._counts.bytes[self._purpose] += self._unnamed
            self._unnamed = 0
        if self._server is not None:
            self._server.write(data)
            return
        self._waiting.append(data)
        if len(self._waiting) == 1:
            self._connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        server, _ = await loop.create_connection(lambda: _Server(self), "127.0.0.1", self._port)
        server.write(b"".join(self._waiting))
        self._server = server

    def answer(self, data: bytes) -> None:
        self._counts.bytes[self._purpose] += len(data)
        self._client.write(data)

    def close(self) -> None:
        self._client.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._server is not None:
            self._server.close()


async def main(port: int) -> None:
    counts = Counts()
    server = await asyncio.get_running_loop().create_server(lambda: _Client(port, counts), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
