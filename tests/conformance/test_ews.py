"""Exchange Web Services, over the test server; the person works on the server's own store."""

from collections.abc import Iterator

import pytest

from crmsync.connectors.abilities import Window
from crmsync.connectors.contract import Collection, Cursor, Kind
from crmsync.connectors.ews.auth import Basic
from crmsync.connectors.ews.connector import EwsSource
from crmsync.connectors.ews.series.occurrences import Occurrences
from tests.conformance.bench import Bench
from tests.conformance.suite import Conformance
from tests.servers.ews.person import EwsPerson, EwsReader
from tests.servers.ews.server import EwsServer, ews

LIKE = {Kind.CONTACT: "contacts", Kind.APPOINTMENT: "calendar", Kind.TASK: "tasks"}


@pytest.fixture(scope="module")
def server() -> Iterator[EwsServer]:
    with ews("alice@example.com") as server:
        yield server


@pytest.mark.parametrize("kind", LIKE)
class TestEws(Conformance):
    @pytest.fixture
    def bench(self, server: EwsServer, kind: Kind) -> Iterator[Bench]:
        mailbox = server.place.mailboxes["alice@example.com"]
        folder = server.place.add_folder(mailbox, "Things", LIKE[kind])
        source = EwsSource(server.url, Basic(*server.login("alice@example.com")))
        (collection,) = (c for c in source.collections() if c.id == folder.id)

        def expire(cursor: Cursor) -> Cursor:
            folder.oldest_state = server.place.tick()
            return cursor

        unknown = "QUFNay9pKzk5OTk5OTk5"
        yield Bench(kind, source, collection, EwsPerson(server.place, folder), expire, unknown)
        assert server.outbox == []
        assert server.operations.forced == []
        source.close()


class Unfolded(EwsSource):
    """A calendar that shows its series by their occurrences is a calendar like any other."""

    def open(self, collection: Collection) -> Occurrences:  # type: ignore[override]
        return super().open(collection).unfolded(Window())  # type: ignore[union-attr]


class TestUnfolded(Conformance):
    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        with ews("alice@example.com") as server:
            folder = server.place.mailboxes["alice@example.com"].known("calendar")
            source = Unfolded(server.url, Basic(*server.login("alice@example.com")))
            (collection,) = (c for c in source.collections() if c.id == folder.id)

            def expire(cursor: Cursor) -> Cursor:
                folder.oldest_state = server.place.tick()
                return cursor

            person = EwsPerson(server.place, folder)
            yield Bench(Kind.APPOINTMENT, source, collection, person, expire, "QUFNay9pKzk5OTk5OTk5")
            assert server.outbox == []
            assert server.operations.forced == []
            source.close()


class TestMail(Conformance):
    @pytest.fixture
    def bench(self) -> Iterator[Bench]:
        with ews("alice@example.com") as server:
            source = EwsSource(server.url, Basic(*server.login("alice@example.com")))
            (collection,) = (c for c in source.collections() if Kind.EMAIL in c.kinds)
            person = EwsReader(server.place, server.place.mailboxes["alice@example.com"])
            yield Bench(Kind.EMAIL, source, collection, person, lambda c: "m1" + c, "nobody@example.com")
            assert server.outbox == []
            assert server.operations.forced == []
            source.close()
