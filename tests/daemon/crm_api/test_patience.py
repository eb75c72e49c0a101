"""Connections that take their time, on purpose or not."""

import socket
import time
from pathlib import Path

import pytest

from crmsync.daemon.crm_api import patience
from crmsync.daemon.crm_api.patience import HEAD_SECONDS, SLOWEST, overdue
from crmsync.daemon.crm_api.server import CrmServer
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
