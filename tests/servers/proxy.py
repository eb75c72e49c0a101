"""An HTTP proxy before a server: counts the requests that reach the server, lets a test act between them, and plays the
troubles of ``tests/servers/faults.py`` where a test wants them."""

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

_HOP = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})
_TIMEOUT = 60.0


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    status: int


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def raw(self) -> bytes:
        head = [f"HTTP/1.1 {self.status} {http.client.responses.get(self.status, 'Unknown')}"]
        head += [f"{name}: {value}" for name, value in self.headers]
        head += [f"Content-Length: {len(self.body)}", "", ""]
        return "\r\n".join(head).encode("latin-1") + self.body


@dataclass(frozen=True)
class Broken:
    """After these bytes of an answer the connection is reset."""

    sent: bytes = b""


class Server(Protocol):
    """What stands behind the proxy."""

    def __call__(self, asked: Asked) -> Reply: ...

    def begin(self, asked: Asked) -> None:
        """Sends half of the request, and hangs up."""


Trouble: TypeAlias = Callable[[Asked, Server], Reply | Broken]


@dataclass
class Proxy:
    """``before`` and ``after`` get the number of the request (from 1): before it is passed on, and after the server
    has carried it out but before the client hears of it. ``trouble`` says what happens to a request instead of being
    passed on; None: nothing."""

    url: str = ""
    trouble: Callable[[Asked], Trouble | None] = lambda asked: None
    seen: list[Seen] = field(default_factory=list)
    credentials: set[str] = field(default_factory=set)  # of all requests, as they stand in their headers
    before: Callable[[int], None] = lambda number: None
    after: Callable[[int], None] = lambda number: None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _number: int = 0

    def next_number(self) -> int:
        with self._lock:
            self._number += 1
            return self._number

    def forget(self) -> None:
        with self._lock:
            self.seen.clear()
            self._number = 0

    def writes(self) -> list[Seen]:
        """Requests that change something: log-ins and reports are none."""
        return [
            s
            for s in self.seen
            if s.method in {"PUT", "PATCH", "DELETE", "MKCOL", "PROPPATCH"}
            or (s.method == "POST" and "/oauth2/" not in s.path)
        ]


@contextmanager
def proxy(upstream: str) -> Iterator[Proxy]:
    """In front of ``upstream`` (http). ``url`` of the proxy ends as that of the upstream does."""
    parts = urlsplit(upstream)
    assert parts.hostname is not None
    state = Proxy()
    server = _Upstream(parts.hostname, parts.port or 80)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            state.credentials.add(self.headers.get("Authorization", "").rpartition(" ")[2])
            number = state.next_number()
            state.before(number)
            asked = Asked(self.command, self.path, dict(self.headers.items()), body)
            trouble = state.trouble(asked)
            reply = trouble(asked, server) if trouble is not None else server(asked)
            state.seen.append(Seen(self.command, self.path, reply.status if isinstance(reply, Reply) else 0))
            state.after(number)
            if isinstance(reply, Broken):
                self._reset(reply.sent)
                return
            shown = reply if self.command != "HEAD" else Reply(reply.status, reply.headers)
            self.wfile.write(shown.raw())
            self.wfile.flush()

        def _reset(self, sent: bytes) -> None:
            self.wfile.write(sent)
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True

        def handle(self) -> None:
            try:
                super().handle()
            except (ConnectionError, TimeoutError, ValueError):
                self.close_connection = True  # the client was killed, as some tests want it

    class Listener(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

    with Listener(("127.0.0.1", 0), Handler) as listener:
        state.url = f"http://127.0.0.1:{listener.server_address[1]}{parts.path}"
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            listener.shutdown()
            thread.join()


@dataclass(frozen=True)
class _Upstream:
    host: str
    port: int

    def __call__(self, asked: Asked) -> Reply:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_TIMEOUT)
        try:
            self._send(connection, asked, asked.body)
            answer = connection.getresponse()
            headers = tuple((n, v) for n, v in answer.getheaders() if n.lower() not in _HOP)
            return Reply(answer.status, headers, answer.read())
        finally:
            connection.close()

    def begin(self, asked: Asked) -> None:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_TIMEOUT)
        try:
            self._send(connection, asked, asked.body[: len(asked.body) // 2])
        finally:
            connection.close()

    def _send(self, connection: http.client.HTTPConnection, asked: Asked, body: bytes) -> None:
        connection.putrequest(asked.method, asked.path, skip_host=True, skip_accept_encoding=True)
        for name, value in asked.headers.items():
            if name.lower() not in _HOP:
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(asked.body)))
        connection.putheader("Connection", "close")
        connection.endheaders(body)
