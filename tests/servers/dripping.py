"""A server whose answers never end, although no wait for the next byte is long."""

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseRequestHandler, ThreadingTCPServer

DRIPS = {  # how an answer begins, and what follows for ever
    "status line": (b"", b"x"),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-Drop: x\r\n"),
    "one header": (b"HTTP/1.1 200 OK\r\nX-Drop: ", b"x"),
    "informational": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "no length": (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
}


@contextmanager
def dripping(head: bytes, drop: bytes) -> Iterator[str]:
    """A server that sends ``head`` in answer to whatever it is asked, and then a drop now and then; its address."""
    over = threading.Event()

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(head)
            with contextlib.suppress(OSError):
                while not over.wait(0.02):
                    self.request.sendall(drop)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads, server.block_on_close = True, False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            over.set()
            server.shutdown()
            thread.join()
