"""CalDAV over two real servers: events and tasks."""

from collections.abc import Iterator

import pytest

from crmsync.connectors.caldav.connector import CalDavSource
from crmsync.connectors.contract import Kind
from tests.conformance.bench import Bench
from tests.conformance.dav_bench import dav_bench
from tests.conformance.suite import Conformance
from tests.servers.dav import DavServer


@pytest.mark.server
@pytest.mark.parametrize("kind", [Kind.APPOINTMENT, Kind.TASK])
class TestOnRadicale(Conformance):
    @pytest.fixture
    def bench(self, on_radicale: DavServer, kind: Kind) -> Iterator[Bench]:
        yield from dav_bench(on_radicale, CalDavSource, kind)


@pytest.mark.server
@pytest.mark.parametrize("kind", [Kind.APPOINTMENT, Kind.TASK])
class TestOnXandikos(Conformance):
    @pytest.fixture
    def bench(self, on_xandikos: DavServer, kind: Kind) -> Iterator[Bench]:
        yield from dav_bench(on_xandikos, CalDavSource, kind)
