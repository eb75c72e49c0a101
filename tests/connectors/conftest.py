"""The real DAV servers, started once for all tests that want them; each test makes its own collections."""

from collections.abc import Iterator

import pytest

from tests.servers.dav import DavServer
from tests.servers.radicale import radicale
from tests.servers.xandikos import xandikos

_SERVERS = {"radicale": radicale, "xandikos": xandikos}


@pytest.fixture(scope="session", params=sorted(_SERVERS))
def dav_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DavServer]:
    with _SERVERS[request.param](tmp_path_factory.mktemp(request.param)) as server:
        yield server
