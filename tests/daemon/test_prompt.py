"""Listeners that end when they are told to: idle connections are dropped, answers under way go out."""

import asyncio
import http.client
import socket
import threading
from typing import Any

import pytest
import uvicorn

from crmsync.daemon.listening import Listener

LARGE = b"x" * 3_000_000  # more than the sockets of both ends hold


class App:
    """Answers as much as it is asked for, once the test lets it."""

    def __init__(self) -> None:
        self.asked, self.may_answer = threading.Event(), threading.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.set()
        await asyncio.to_thread(self.may_answer.wait, 30)
        body = LARGE if scope["path"] == "/large" else b"small"
        length = str(len(body)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def listener(app: App) -> Listener:
    door = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=20)
    listener = Listener("test", config, [door])
    listener.port = door.getsockname()[1]  # type: ignore[attr-defined]
    listener.start()
    return listener


def _asked(listener: Any, path: str) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", listener.port, timeout=30)
    connection.request("GET", path)
    return connection


def test_an_idle_connection_holds_nothing_up(app: App, listener: Listener) -> None:
    app.may_answer.set()
    connection = _asked(listener, "/")
    answer = connection.getresponse()
    assert (answer.read(), "date" in {name.lower() for name in answer.headers}) == (b"small", True)
    listener.stop(30)
    assert not listener._thread.is_alive()
    assert connection.sock.recv(1) == b""
    connection.close()


@pytest.mark.parametrize(("path", "length"), [("/", 5), ("/large", len(LARGE))])
def test_an_answer_under_way_goes_out(app: App, listener: Listener, path: str, length: int) -> None:
    connection = _asked(listener, path)
    assert app.asked.wait(30)
    ending = threading.Thread(target=listener.stop, args=(30,))
    ending.start()
    app.may_answer.set()
    assert len(connection.getresponse().read()) == length
    connection.close()
    ending.join()
    assert not listener._thread.is_alive()
