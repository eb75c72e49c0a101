"""A replica whose web services cannot be opened: nobody else's concern, said once, and tried again."""

import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crmsync.config.secret import SecretError
from crmsync.connectors.errors import AuthExpired, Unreachable
from crmsync.daemon.replica.doors import Doors
from crmsync.daemon.replica.keeper import Keeper, Settings
from crmsync.daemon.replica.replicas import Place, Replicas
from crmsync.daemon.replica.serving import web_services
from tests.daemon.replica.bench import Clock


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    def connect() -> Any:
        raise Unreachable("nobody answers")

    made = Keeper("main", tmp_path / "kept.db", Settings(("Account",)), connect, now=Clock(), durable=False)
    yield made
    made.close()


@pytest.fixture
def doors() -> Iterator[Doors]:
    made = Doors()
    yield made
    made.close()


def unasked(username: str, password: str) -> Any:
    raise AssertionError("nobody logs in here")


def replicas(keeper: Keeper, make: Callable[[], Any], place: Place) -> Replicas:
    def well() -> Any:
        return web_services(keeper, unasked, now=Clock())

    here = Place("127.0.0.1", 0)
    return Replicas({}, services={"broken": make, "well": well}, places={"broken": place, "well": here})


@pytest.mark.parametrize(
    "error",
    [
        SecretError("the secret file /etc/crmsync/crm-password does not exist"),
        AuthExpired("the secret file /etc/crmsync/crm-password does not exist"),
        sa.exc.OperationalError("SELECT", {}, sqlite3.OperationalError("disk I/O error")),
    ],
)
def test_a_door_that_cannot_be_opened_keeps_no_other_one_shut(
    keeper: Keeper, doors: Doors, caplog: pytest.LogCaptureFixture, error: Exception
):
    wrong: list[Exception] = [error]

    def make() -> Any:
        if wrong:
            raise wrong[0]
        return web_services(keeper, unasked, now=Clock())

    doors.follow(replicas(keeper, make, Place("127.0.0.1", 0)))
    assert list(doors.open) == ["well"]
    doors.again()
    said = [r.getMessage() for r in caplog.records if getattr(r, "action", "") == "replica.door.shut"]
    assert len(said) == 1
    assert "crm.broken is not served" in said[0]
    wrong.clear()
    doors.again()
    assert sorted(doors.open) == ["broken", "well"]


def test_what_was_made_for_a_door_that_stays_shut_is_closed(keeper: Keeper, doors: Doors, tmp_path: Path):
    """It is tried again twice a minute."""
    closed: list[str] = []

    def make() -> Any:
        crm = web_services(keeper, unasked, now=Clock())
        crm.closers.append(lambda: closed.append("here"))
        return crm

    (tmp_path / "taken").write_text("no folder")
    with ExitStack() as stack:
        other = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        for place in (
            Place("127.0.0.1", None, 0, certificates=tmp_path / "taken" / "tls"),
            Place("127.0.0.1", other.getsockname()[1]),
        ):
            closed.clear()
            doors.follow(replicas(keeper, make, place))
            assert list(doors.open) == ["well"]
            assert closed == ["here"]
