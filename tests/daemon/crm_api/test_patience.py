"""Connections that take their time, on purpose or not."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn

from crmsync.daemon.crm_api import patience
from crmsync.daemon.crm_api.patience import HEAD_SECONDS, SLOWEST, PatientProtocol, overdue
from crmsync.daemon.crm_api.server import CrmServer
from crmsync.daemon.crm_api.tls import Certificates, make_certificates
from crmsync.daemon.listening import Listener
from crmsync.state.replica.org import Org, Person

ORG = Org("Example", (Person("sync@example.com", "sync-password", "Sync"),))


@pytest.mark.parametrize(
    ("waited", "received", "in_head", "late"),
    [
        (HEAD_SECONDS - 1, 0, True, False),
        (HEAD_SECONDS + 1, 0, True, True),
        (HEAD_SECONDS + 1, 10**6, True, True),  # a head has no business to be long
        (HEAD_SECONDS + 1, 10 * SLOWEST, False, False),
        (HEAD_SECONDS + 11, 10 * SLOWEST, False, True),
        (3600.0, 5000 * SLOWEST, False, False),
    ],
)
def test_how_long_is_waited(waited: float, received: int, in_head: bool, late: bool) -> None:
    assert overdue(waited, received, in_head=in_head) is late


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /services/data HTTP/1.1\r\nHost: a\r\n",
        b"POST /services/oauth2/token HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc",
    ],
)
def test_who_never_finishes_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(patience, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(patience, "LOOK_EVERY", 0.05)
    with CrmServer(ORG, f"sqlite:///{tmp_path}/crm.db", tmp_path / "tls", durable=False) as server:
        port = int(server.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(begun)
            started = time.monotonic()
            try:
                while connection.recv(65536):
                    pass
            except ConnectionResetError:
                pass
            assert time.monotonic() - started < 8


@contextmanager
def endless(left: threading.Event, certificates: Certificates | None = None) -> Iterator[int]:
    """The port of a stream that says something for as long as somebody is there; `left`: nobody is any more."""

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        gone = asyncio.create_task(_gone(receive))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            await asyncio.sleep(0)
        left.set()

    async def _gone(receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    door = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(stream, http=PatientProtocol, ws="none", lifespan="off", log_config=None,
                            ssl_certfile=certificates and certificates.certificate_file,
                            ssl_keyfile=certificates and certificates.key_file,
                            timeout_graceful_shutdown=1)  # fmt: skip
    listener = Listener("stream", config, [door])
    listener.start()
    try:
        yield door.getsockname()[1]
    finally:
        listener.stop(5.0)


def test_who_reads_nothing_of_an_answer_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page whose stream nobody reads would hold its place, and what waits to be read, for ever."""
    monkeypatch.setattr(patience, "UNREAD_SECONDS", 0.2)
    left = threading.Event()
    with endless(left) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        assert left.wait(20)


@contextmanager
def encrypted(folder: Path, left: threading.Event) -> Iterator[ssl.SSLSocket]:
    """Has asked for the stream."""
    made = make_certificates(folder, datetime.now(UTC))
    assert made.ca_file is not None
    context = ssl.create_default_context(cafile=str(made.ca_file))
    with (
        endless(left, made) as port,
        socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        yield connection


def test_nor_with_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "UNREAD_SECONDS", 0.2)
    left = threading.Event()
    with encrypted(tmp_path, left):
        assert left.wait(60)


def test_how_much_of_an_encrypted_answer_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    known = patience.unread

    def noted(transport: asyncio.Transport) -> int:
        seen.append(known(transport))
        return seen[-1]

    monkeypatch.setattr(patience, "UNREAD_SECONDS", 60.0)
    monkeypatch.setattr(patience, "unread", noted)
    left = threading.Event()
    with encrypted(tmp_path, left) as connection:
        while len(seen) < 3:  # each time that the writer has to wait
            assert connection.recv(65536)
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) > 1


@pytest.mark.parametrize(("before", "left", "given_up"), [(70_000, 70_000, True), (70_000, 69_999, False)])
def test_who_reads_however_slowly_is_waited_for(before: int, left: int, given_up: bool) -> None:
    happened: list[str] = []
    protocol = PatientProtocol.__new__(PatientProtocol)
    protocol.transport = SimpleNamespace(  # type: ignore[assignment]
        get_extra_info=lambda _: None,
        get_write_buffer_size=lambda: left,
        abort=lambda: happened.append("given up"),
    )
    protocol.loop = SimpleNamespace(  # type: ignore[assignment]
        call_later=lambda *_: happened.append("looked again later")
    )
    protocol._check_reader(before)
    assert happened == ["given up" if given_up else "looked again later"]
