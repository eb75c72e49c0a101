"""The control socket: there and back, with progress; and what it keeps out."""

import os
import socket
import stat
import threading

import pytest

from crmsync.daemon.calls import Failure, checked, invoke
from crmsync.daemon.control import Client
from crmsync.daemon.control_server import LARGEST, ControlServer, allowed, listen
from crmsync.daemon.turns import Stopping
from crmsync.state.errors import Locked
from tests.daemon.fakes import eventually, synced


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "control.sock"


@pytest.fixture
def server(engine, path):
    made = ControlServer(listen(path), path, lambda *call: invoke(engine, *call), lambda: {"pid": 7})
    made.start()
    yield made
    made.stop()


@pytest.fixture
def client(server, path):
    return Client(path)


def unwatched(account, what, count):
    pass


def test_an_answer_comes_back(client, engine):
    engine.answers["queue"] = [{"item": "ä\n", "attempts": 3, "next": None}]
    assert client.call("queue", {}, unwatched) == [{"item": "ä\n", "attempts": 3, "next": None}]


def test_progress_comes_before_the_answer(client, engine):
    def work(names, progress, **more):
        for _ in range(500):
            progress("alice", "written", 1)
        progress("bob", "loaded", 20)
        return synced()

    engine.answers["sync"] = work
    seen = {}
    answer = client.call(
        "sync", {"names": []}, lambda a, w, n: seen.update({(a, w): seen.get((a, w), 0) + n})
    )
    assert answer == synced()
    assert seen == {("alice", "written"): 500, ("bob", "loaded"): 20}


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (Failure("usage", "no"), "usage"),
        (Locked("somebody is at it"), "busy"),
        (Stopping(), "stopping"),
        (ZeroDivisionError(), "defect"),
    ],
)
def test_errors_come_back_as_errors(client, engine, raised, code):
    engine.answers["queue"] = raised
    with pytest.raises(Failure) as caught:
        client.call("queue", {}, unwatched)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("close", {}),
        ("__init__", {}),
        ("sync", {"names": "alice"}),
        ("sync", {"names": [1]}),
        ("sync", {"settle": 3}),
        ("undo", {"cycle": True}),
        ("undo", {}),
        ("explain", {"item": None}),
        ("queue", ["alice"]),
        ("queue", None),
    ],
)
def test_only_what_is_in_the_table_can_be_called(engine, client, method, arguments):
    with pytest.raises(Failure):
        checked(method, arguments)
    with pytest.raises(Failure) as caught:
        client.call(method, arguments, unwatched)
    assert caught.value.code == "usage"
    assert engine.calls == []


def test_a_request_is_bounded(engine, client):
    with pytest.raises(Failure) as caught:
        client.call("explain", {"item": "x" * LARGEST}, unwatched)
    assert caught.value.code in ("usage", "service_silent")  # it may hang up before we have sent everything
    assert engine.calls == []


def test_what_is_no_json_is_refused(server, path, engine):
    answer = raw(
        path, b"POST /v1/queue HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\n[[[["
    )
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"usage"' in answer
    assert engine.calls == []


def raw(path, request: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as door:
        door.settimeout(20)
        door.connect(str(path))
        door.sendall(request)
        answer = b""
        while data := door.recv(65536):
            answer += data
        return answer


def test_only_the_owner_may_use_it(server, path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_kernel_says_who_is_there():
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert allowed(ours, os.geteuid())
        assert allowed(ours, os.geteuid() + 1) is (os.geteuid() == 0)


def test_a_command_runs_on_when_its_client_is_gone(server, path, engine):
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def work(**more):
        begun.set()
        go_on.wait(60)
        done.set()
        return synced()

    engine.answers["sync"] = work
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(str(path))
        door.sendall(b"POST /v1/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        assert begun.wait(60)
    go_on.set()
    assert done.wait(60)


def test_a_service_that_ends_in_between_is_told_apart_from_an_answer(path, tmp_path):
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()

        def die():
            connection, _ = door.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n\n\r\n")

        thread = threading.Thread(target=die)
        thread.start()
        with pytest.raises(Failure) as caught:
            Client(path).call("sync", {}, unwatched)
        thread.join()
    assert caught.value.code == "service_silent"
    assert "stands" in caught.value.message


def test_nobody_there_is_no_error(path):
    assert Client(path).about() is None
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert Client(path).about() is None


def test_somebody_there_says_who(client):
    assert client.about() == {"pid": 7}


def test_what_a_dead_service_left_is_replaced(path, engine):
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    listen(path).close()


def test_a_living_one_is_not(server, path):
    with pytest.raises(Failure, match="another service listens"):
        listen(path)


def test_a_place_where_it_cannot_be_says_what_to_type(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Failure, match=r"\[service\]\n  socket = ") as caught:
        listen(tmp_path / "file" / "control.sock")
    assert caught.value.exit_code == 2


def test_the_socket_goes_with_its_server(engine, path):
    server = ControlServer(listen(path), path, lambda *call: invoke(engine, *call), dict)
    server.start()
    server.stop()
    eventually(lambda: not path.exists())
