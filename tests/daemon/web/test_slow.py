"""A server that does not answer holds up nothing but the page that asked for it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from crmsync.daemon.crm_api import patience
from crmsync.daemon.web.site import SLOW
from tests.daemon.fakes import eventually
from tests.daemon.web.site import Scene


@pytest.fixture
def waiting(web: Scene) -> Iterator[list[threading.Thread]]:
    """More item pages than may ask servers at once, none of which gets an answer."""
    go_on = threading.Event()

    def never(**_: Any) -> Any:
        go_on.wait(60)
        return []

    web.desk.answers.update(explain=never, item_history=never)
    browser = web.browser().login()

    def ask() -> None:
        with suppress(ConnectionError):  # whoever still waits when the service stops is cut off
            browser.get("/item?id=ada")

    asking = [threading.Thread(target=ask, daemon=True) for _ in range(SLOW + 2)]
    for thread in asking:
        thread.start()
    eventually(lambda: len(web.desk.asked("explain")) + len(web.desk.asked("item_history")) == SLOW)
    yield asking
    go_on.set()
    for thread in asking:
        thread.join(60)


def test_other_pages_answer(web: Scene, waiting: list[threading.Thread]):
    browser = web.browser().login("bob")
    for path in ("/", "/decisions", "/readyz"):
        assert browser.get(path).status == 200
    assert all(thread.is_alive() for thread in waiting)


def test_the_service_stops(web: Scene, waiting: list[threading.Thread]):
    stopped = threading.Thread(target=web.server.stop, args=(1.0,))
    stopped.start()
    stopped.join(30)
    assert not stopped.is_alive()
    assert all(thread.daemon for thread in threading.enumerate() if "worker" in thread.name)


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"POST /softphone/pair HTTP/1.1\r\nHost: {}\r\nOrigin: http://{}\r\nContent-Type: application/json\r\n"
        b"Content-Length: 1000\r\n\r\n{",
    ],
)
def test_who_never_finishes_a_request_holds_no_place(
    web: Scene, monkeypatch: pytest.MonkeyPatch, begun: bytes
):
    monkeypatch.setattr(patience, "HEAD_SECONDS", 0.1)
    monkeypatch.setattr(patience, "LOOK_EVERY", 0.05)
    place = f"127.0.0.1:{web.server.port}".encode()
    with socket.create_connection(("127.0.0.1", web.server.port), timeout=60) as connection:
        connection.sendall(begun.replace(b"{}", place))
        try:
            while connection.recv(65536):
                pass
        except ConnectionResetError:
            pass
