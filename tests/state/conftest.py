import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url

from crmsync.state.database import State
from tests.servers.postgresql import postgresql
from tests.state.samples import NOW

_SCHEMA = "crmsync_test"


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with postgresql() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/state.db?synchronous=off"
    url = make_url(request.getfixturevalue("server"))
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {_SCHEMA} CASCADE")
        connection.exec_driver_sql(f"CREATE SCHEMA {_SCHEMA}")
    engine.dispose()
    within = url.update_query_dict({"options": f"-csearch_path={_SCHEMA}"})
    return within.render_as_string(hide_password=False)


@pytest.fixture
def state(url: str) -> Iterator[State]:
    state = State.open(url, now=lambda: NOW)
    yield state
    state.close()


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
