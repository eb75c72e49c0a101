"""An HTTP proxy before a server: counts the requests that reach the server, and lets a test act between them."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})
_TIMEOUT = 60.0


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    status: int


@dataclass
class Proxy:
    """``before`` and ``after`` get the number of the request (from 1): before it is passed on, and after the server
    has carried it out but before the client hears of it."""

    url: str = ""
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
            status, headers, answer = _passed_on(parts.hostname or "", parts.port or 80, self, body)
            state.seen.append(Seen(self.command, self.path, status))
            state.after(number)
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)
            self.wfile.flush()

        def handle(self) -> None:
            try:
                super().handle()
            except (ConnectionError, TimeoutError):
                self.close_connection = True  # the client was killed, as some tests want it

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}{parts.path}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


def _passed_on(
    host: str, port: int, request: BaseHTTPRequestHandler, body: bytes
) -> tuple[int, list[tuple[str, str]], bytes]:
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT)
    try:
        connection.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            if name.lower() not in _HOP:
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.putheader("Connection", "close")
        connection.endheaders(body)
        answer = connection.getresponse()
        headers = [(n, v) for n, v in answer.getheaders() if n.lower() not in _HOP]
        return answer.status, headers, answer.read()
    finally:
        connection.close()
