"""A connector on the quirky server, for the tests of this folder."""

from collections.abc import Iterator
from contextlib import contextmanager

from crmsync.connectors.carddav.connector import CardDavSource
from crmsync.connectors.contract import (
    Collection,
    Create,
    Gone,
    Hidden,
    Kind,
    Outcome,
    Page,
    Record,
    Ref,
    Selection,
    Stamp,
    Unreadable,
    Update,
    Write,
)
from crmsync.connectors.dav.connector import DavConnector
from crmsync.connectors.dav.source import Options
from tests.servers.quirky import BOOK, Quirky, Reply, Request

BOOK_COLLECTION = Collection(BOOK, "Book", frozenset({Kind.CONTACT}))


def card(uid: str, name: str = "Hopper", more: str = "") -> str:
    return f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:{name}\r\nN:{name};;;;\r\n{more}END:VCARD\r\n"


class Desk:
    """One login to the quirky server, its address book opened."""

    def __init__(self, server: Quirky, source: CardDavSource) -> None:
        self.server = server
        self.source = source
        self.connector: DavConnector = source.open(BOOK_COLLECTION)
        self.pauses: list[float] = []

    def pages(self, since: str | None = None) -> list[Page]:
        return list(self.connector.changes(since, Selection()))

    def changes(self, since: str | None = None) -> tuple[list[Record | Ref | Gone], str]:
        pages = self.pages(since)
        return [item for page in pages for item in page.items], pages[-1].cursor

    def fetch(self, *ids: str) -> list[Record | Gone | Hidden | Unreadable]:
        """In the order of the ids."""
        found = {answer.id: answer for answer in self.connector.fetch(ids)}
        assert found.keys() == set(ids)
        return [found[id] for id in ids]

    def apply(self, *writes: Write) -> list[Outcome]:
        return list(self.connector.apply(writes))

    def asked(self) -> int:
        return len(self.server.requests)


@contextmanager
def desk(server: Quirky, **options: "object") -> Iterator[Desk]:
    pauses: list[float] = []
    settings: Options = {"pause": pauses.append}
    settings.update(options)  # type: ignore[typeddict-item]
    source = CardDavSource(server.url, "alice", "secret", **settings)
    try:
        opened = Desk(server, source)
        opened.pauses = pauses
        yield opened
    finally:
        source.close()


def create(key: str, name: str = "Hopper") -> Create:
    return Create(key, Kind.CONTACT, {"last_name": name})


def rename(id: str, version: str, name: str = "Lovelace") -> Update:
    return Update(id, version, Kind.CONTACT, {"last_name": name})


def stamp(id: str, version: str) -> Update:
    return Update(id, version, Kind.CONTACT, {}, stamp=Stamp("crm", f"record of {id}", id, 1, "mac"))


def answering(server: Quirky, method: str, *replies: Reply | None) -> None:
    """The first requests of that method get these answers; None: the server's own."""
    left = list(replies)
    server.before = lambda request: left.pop(0) if request.method == method and left else None


def applied_but(server: Quirky, method: str, status: int) -> None:
    """The request takes effect, and then the answer is an error."""

    def before(request: Request) -> Reply | None:
        if request.method != method:
            return None
        server.before = lambda request: None
        server.answer(request)
        server.before = before
        return Reply(status)

    server.before = before
