"""Requests to programs that an admin has named. Each comes to an end: of an answer urllib3 bounds the wait for the next
piece only, and whoever sends a byte now and then would hold up for ever whoever waits for them."""

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3

__all__ = ["Answer", "asked", "shown", "trusting"]

PATIENCE = 2.0  # times the wait for one piece


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes  # as much of it as was asked for, and a byte more where there is more


def asked(
    method: str,
    url: str,
    *,
    body: bytes | str | None = None,
    headers: Mapping[str, str] | None = None,
    trust: ssl.SSLContext | None = None,
    seconds: float,
    most: int = 0,
) -> Answer:
    """``seconds``: for each piece; ``most``: bytes of the body that are read. No redirect is followed. Raises
    urllib3's HTTPError, and OSError."""
    with (
        _Cut(seconds * PATIENCE) as cut,
        urllib3.PoolManager(ssl_context=trust, timeout=seconds, retries=False) as pools,
    ):
        pool = pools.connection_from_url(url)
        pool.ConnectionCls = cut.kept(pool.ConnectionCls)
        answer = pool.request(
            method,
            urllib3.util.parse_url(url).request_uri,
            body=body or None,
            headers=dict(headers or {}),
            redirect=False,
            preload_content=False,
        )
        with _closed(answer):
            return Answer(answer.status, answer.read(most + 1) if most else b"")


def shown(url: str) -> str:
    """For the log: whose it is. The rest of a program's address may be its secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/…"


def trusting(ca_file: Path | None, verify: bool) -> ssl.SSLContext:
    """Raises OSError."""
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    if not verify:
        # said once by the configuration, not at every request
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@contextmanager
def _closed(answer: urllib3.BaseHTTPResponse) -> Iterator[None]:
    """What else it says may have no end."""
    try:
        yield
    finally:
        answer.close()


class _Cut:
    """Breaks a connection after a time, whatever its other end does."""

    def __init__(self, seconds: float) -> None:
        self._twins: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._break)
        self._timer.daemon = True

    def __enter__(self) -> "_Cut":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        for each in self._twins:
            each.close()

    def kept(self, kind: Any) -> Any:
        twins = self._twins

        class Kept(kind):  # type: ignore[misc]
            def _new_conn(self) -> socket.socket:
                made: socket.socket = super()._new_conn()
                # another name for the same connection: TLS takes the first one away
                twins.append(socket.socket(fileno=os.dup(made.fileno())))
                return made

        return Kept

    def _break(self) -> None:
        for each in tuple(self._twins):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
