"""CalDAV over two real servers: events and tasks."""

from collections.abc import Iterator

import pytest

from crmsync.connectors.abilities import Window
from crmsync.connectors.caldav.connector import CalDavSource
from crmsync.connectors.caldav.occurrences import Occurrences
from crmsync.connectors.contract import Collection, Kind
from crmsync.connectors.dav.connector import DavConnector
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


class Unfolded(CalDavSource):
    """A calendar that shows its series by their occurrences is a calendar like any other."""

    def open(self, collection: Collection) -> Occurrences:  # type: ignore[override]
        return super().open(collection).unfolded(Window())  # type: ignore[attr-defined,no-any-return]


@pytest.mark.server
@pytest.mark.parametrize("kind", [Kind.APPOINTMENT, Kind.TASK])
class TestUnfolded(Conformance):
    @pytest.fixture
    def bench(self, on_xandikos: DavServer, kind: Kind) -> Iterator[Bench]:
        yield from dav_bench(on_xandikos, Unfolded, kind)


class Whole(CalDavSource):
    """A calendar whose series are items with two columns more is one, too."""

    def open(self, collection: Collection) -> DavConnector:
        return super().open(collection).whole()  # type: ignore[attr-defined,no-any-return]


@pytest.mark.server
@pytest.mark.parametrize("kind", [Kind.APPOINTMENT, Kind.TASK])
class TestWhole(Conformance):
    @pytest.fixture
    def bench(self, on_xandikos: DavServer, kind: Kind) -> Iterator[Bench]:
        yield from dav_bench(on_xandikos, Whole, kind)
