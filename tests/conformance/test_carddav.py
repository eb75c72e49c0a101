"""CardDAV over two real servers."""

from collections.abc import Iterator

import pytest

from crmsync.connectors.carddav.connector import CardDavSource
from crmsync.connectors.contract import Kind
from tests.conformance.bench import Bench
from tests.conformance.dav_bench import dav_bench
from tests.conformance.suite import Conformance
from tests.servers.dav import DavServer


@pytest.mark.server
class TestOnRadicale(Conformance):
    @pytest.fixture
    def bench(self, on_radicale: DavServer) -> Iterator[Bench]:
        yield from dav_bench(on_radicale, CardDavSource, Kind.CONTACT)


@pytest.mark.server
class TestOnXandikos(Conformance):
    @pytest.fixture
    def bench(self, on_xandikos: DavServer) -> Iterator[Bench]:
        yield from dav_bench(on_xandikos, CardDavSource, Kind.CONTACT)
