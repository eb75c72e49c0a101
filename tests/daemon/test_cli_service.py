"""Commands beside a service: through its socket where it answers, and never a second engine at work on one state."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from crmsync.daemon.calls import invoke
from crmsync.daemon.cli import main
from crmsync.daemon.commands.shell import World
from crmsync.daemon.control import fingerprint
from crmsync.daemon.control_server import ControlServer, listen
from tests.daemon.fakes import FakeEngine, config_in, cycle, synced


@pytest.fixture
def config(tmp_path):
    return config_in(tmp_path)


@pytest.fixture
def built():
    """The configurations for which the command line wanted an engine of its own."""
    return []


@pytest.fixture
def world(config, engine, built):
    def build(config):
        built.append(config)
        return engine

    return World({}, lambda file, environ: config, build)


@contextmanager
def service(engine: FakeEngine, config, read: str | None = None) -> Iterator[None]:
    """Something that answers on the control socket; ``read``: fingerprint of the configuration that it has."""
    path = config.service.socket
    about = {"pid": 1, "config": read or fingerprint(config), "since": ""}
    server = ControlServer(listen(path), path, lambda *call: invoke(engine, *call), lambda: about)
    server.start()
    try:
        yield
    finally:
        server.stop()


def test_a_running_service_does_the_work(engine, config, world, built, capsys):
    engine.answers["sync"] = synced(cycle(created=1))
    with service(engine, config):
        assert main(["sync", "--json"], world) == 0
    assert json.loads(capsys.readouterr().out) == synced(cycle(created=1))
    assert built == []


def test_its_failures_come_through(engine, config, world, built, capsys):
    with service(engine, config):
        assert main(["sync", "bob"], world) == 2
    assert "there is no account “bob”" in capsys.readouterr().err
    assert built == []


def test_a_dead_socket_is_ignored(config, world, built):
    config.service.socket.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(config.service.socket))
    assert main(["sync"], world) == 0
    assert len(built) == 1


def test_no_sync_beside_a_service_that_cannot_be_reached(engine, world, capsys):
    with engine.state.exclusive():
        assert main(["sync"], world) == 1
        assert "a service runs on this state" in capsys.readouterr().err
        assert main(["status"], world) == 0  # looking is allowed
    assert engine.asked("sync") == []


def test_check_is_about_the_file_not_about_what_the_service_read_before(engine, config, world, built, capsys):
    engine.answers["check"] = {"ok": True, "checks": []}
    with service(engine, config, read="another"):
        assert main(["check"], world) == 0
    assert len(built) == 1
    assert "this is about the file" in capsys.readouterr().err


def test_check_through_a_service_with_the_same_file(engine, config, world, built):
    engine.answers["check"] = {"ok": True, "checks": []}
    with service(engine, config):
        assert main(["check"], world) == 0
    assert built == []


def test_the_engine_of_our_own_is_closed(engine, world):
    assert main(["status"], world) == 0
    assert engine.closed
