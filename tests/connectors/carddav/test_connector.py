"""CardDAV on real servers: logins, discovery, what people and other programs leave behind, and what it all costs.

What every connector has to do is in tests/conformance."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from crmsync.connectors.carddav.connector import CardDavSource
from crmsync.connectors.contract import (
    Collection,
    Create,
    Delete,
    Done,
    Gone,
    Kind,
    Record,
    Ref,
    Refused,
    Selection,
    Stale,
    Unreadable,
    Update,
)
from crmsync.connectors.dav.connector import DavConnector
from crmsync.connectors.errors import AuthExpired, CursorExpired, Forbidden, NotFound
from tests.servers.dav import DavServer
from tests.servers.radicale import radicale

pytestmark = pytest.mark.server

EVERYTHING = Selection()
_numbers = count()


def card(uid: str, name: str = "Hopper", more: str = "") -> str:
    return f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:{name}\r\nN:{name};Grace;;;\r\n{more}END:VCARD\r\n"


class Book:
    """A new address book, seen through a connector and behind its back."""

    def __init__(self, server: DavServer) -> None:
        self.server = server
        self.url = server.make_book(f"Contacts {next(_numbers)}")
        self.source = CardDavSource(self.url, *server.login())
        (self.collection,) = self.source.collections()
        self.connector: DavConnector = self.source.open(self.collection)

    def put(self, name: str, text: str | bytes) -> str:
        return self.server.put(self.url + name, text)

    def changes(self, since: str | None = None) -> tuple[list[Record | Ref | Gone], str]:
        pages = list(self.connector.changes(since, EVERYTHING))
        return [item for page in pages for item in page.items], pages[-1].cursor

    def create(self, *keys: str) -> list[Done]:
        writes = [Create(key, Kind.CONTACT, {"last_name": key}, tag="CRM") for key in keys]
        return [outcome for outcome in self.connector.apply(writes) if isinstance(outcome, Done)]

    def cost(self) -> "Cost":
        return Cost(self.source)


class Cost:
    """``with book.cost() as cost: …``, then ``cost.requests``."""

    def __init__(self, source: CardDavSource) -> None:
        self._source = source
        self.requests = 0

    def __enter__(self) -> "Cost":
        self._before = self._source.requests()
        return self

    def __exit__(self, *_: object) -> None:
        self.requests = self._source.requests() - self._before


@pytest.fixture
def book(dav_server: DavServer) -> Iterator[Book]:
    opened = Book(dav_server)
    yield opened
    opened.source.close()


@pytest.fixture(scope="module")
def two_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavServer]:
    """alice may read bob's shared book and write her own; what is bob's own she does not see."""
    rights = """
[root]
user: .+
collection:
permissions: R
[own home]
user: .+
collection: {user}
permissions: RW
[own]
user: .+
collection: {user}/[^/]+
permissions: rw
[shared home]
user: alice
collection: bob
permissions: R
[shared]
user: alice
collection: bob/Shared
permissions: r
"""
    with radicale(tmp_path_factory.mktemp("rights"), rights=rights) as server:
        server.make_book("Mine")
        server.make_book("Shared", user="bob")
        server.make_book("Private", user="bob")
        server.put(server.book_url("Shared", user="bob") + "a.vcf", card("a"), user="bob")
        yield server


def login(server: DavServer, url: str, user: str = "alice") -> CardDavSource:
    return CardDavSource(url, *server.login(user))


class TestDiscovery:
    @pytest.mark.parametrize("entry", ["server", "server without slash", "principal", "home", "well-known"])
    def test_every_way_in_leads_to_the_same_books(self, book: Book, entry: str) -> None:
        server = book.server
        url = {
            "server": server.url,
            "server without slash": server.url[:-1],
            "principal": server.principal_url(),
            "home": book.url.rsplit("/", 2)[0] + "/",
            "well-known": server.url + ".well-known/carddav",
        }[entry]
        source = login(server, url)
        found = {collection.name: collection for collection in source.collections()}
        name = book.collection.name
        assert found[name].id == book.collection.id
        assert found[name].kinds == {Kind.CONTACT}
        assert found[name].writable
        assert found[name].owner == ""
        assert source.requests() <= 5
        source.close()

    def test_a_second_look_costs_one_request_also_for_another_source(self, book: Book) -> None:
        first = login(book.server, book.server.url)
        offered = first.collections()
        second = login(book.server, book.server.url)
        second.home = first.home
        for source in (first, second):
            before = source.requests()
            assert source.collections() == offered
            assert source.requests() - before == 1
            source.close()

    def test_calendars_are_no_address_books(self, book: Book) -> None:
        name = f"No book {next(_numbers)}"
        book.server.make_calendar(name)
        source = login(book.server, book.server.principal_url())
        assert name not in {collection.name for collection in source.collections()}
        source.close()

    def test_a_collection_keeps_its_display_name_and_odd_path(self, book: Book) -> None:
        assert book.collection.name.startswith("Contacts ")
        assert "%20" in book.collection.id

    def test_who_we_are(self, book: Book) -> None:
        assert book.source.identity() == (book.server.login()[0] or "user")


class TestLogin:
    def test_a_wrong_password(self, two_users: DavServer) -> None:
        source = CardDavSource(two_users.principal_url(), "alice", "wrong")
        for ask in (source.identity, source.collections):
            with pytest.raises(AuthExpired, match="alice") as refused:
                ask()
            assert two_users.principal_url() in str(refused.value)
            assert "wrong" not in str(refused.value)
        source.close()

    def test_a_collection_that_does_not_exist(self, two_users: DavServer) -> None:
        url = two_users.book_url("None")
        source = login(two_users, url)
        with pytest.raises(NotFound, match="None"):
            source.collections()
        connector = source.open(Collection("/alice/None/", "None", frozenset({Kind.CONTACT})))
        for ask in (
            connector.listing,
            lambda: connector.changes(None, EVERYTHING),
            lambda: connector.fetch(["a"]),
        ):
            with pytest.raises(NotFound):
                list(ask())
        with pytest.raises((NotFound, Forbidden)):
            list(connector.apply([Create("k", Kind.CONTACT, {"last_name": "x"})]))
        source.close()

    def test_what_belongs_to_somebody_else(self, two_users: DavServer) -> None:
        source = login(two_users, two_users.book_url("Private", user="bob"))
        with pytest.raises(Forbidden, match="this login may not"):
            source.collections()
        source.close()

    def test_a_shared_book_is_read_only_and_its_owners(self, two_users: DavServer) -> None:
        source = login(two_users, two_users.principal_url("bob"))
        (shared,) = source.collections()
        assert (shared.name, shared.writable, shared.owner) == ("Shared", False, "bob")
        connector = source.open(shared)
        assert not connector.capabilities.writable
        (record,) = connector.fetch(["a.vcf"])
        assert isinstance(record, Record)
        writes = [
            Create("k", Kind.CONTACT, {"last_name": "x"}),
            Update("a.vcf", record.version, Kind.CONTACT, {"last_name": "x"}),
            Delete("a.vcf", record.version),
        ]
        for outcome in connector.apply(writes):
            assert isinstance(outcome, Refused)
            assert outcome.code == "forbidden"
        source.close()


class TestChanges:
    def test_nothing_changed_is_one_request(self, book: Book) -> None:
        book.create("a", "b", "c")
        _, cursor = book.changes()
        with book.cost() as cost:
            assert book.changes(cursor)[0] == []
        assert cost.requests == 1

    def test_one_change_among_many_is_one_request_and_one_to_fetch_it(self, book: Book) -> None:
        book.create(*(f"k{n}" for n in range(30)))
        _, cursor = book.changes()
        etag = book.put("k3.vcf", card("k3", "Edited"))
        book.server.send("DELETE", book.url + "k4.vcf")
        with book.cost() as cost:
            items, _ = book.changes(cursor)
        assert cost.requests == 1
        assert sorted(items, key=lambda item: item.id) == [Ref("k3.vcf", etag), Gone("k4.vcf")]
        list(book.connector.fetch(["k5.vcf"]))  # how this server tells times is learnt once
        with book.cost() as cost:
            list(book.connector.fetch(["k3.vcf"]))
        assert cost.requests <= 2

    @pytest.mark.parametrize("token", ["x", "http://radicale.org/ns/sync/" + "0" * 64, "0" * 40])
    def test_a_token_that_the_server_does_not_know(self, book: Book, token: str) -> None:
        book.create("a")
        _, cursor = book.changes()
        with pytest.raises(CursorExpired, match="listed again"):
            book.changes(" ".join([*cursor.split(" ")[:-1], token]))
        items, _ = book.changes()
        assert [item.id for item in items] == ["a.vcf"]


class TestWrites:
    def test_what_a_write_costs(self, book: Book) -> None:
        with book.cost() as cost:
            made = book.create(*(f"k{n}" for n in range(10)))
        assert cost.requests <= 12 + _locked(book)
        records = [r for r in book.connector.fetch([done.id for done in made]) if isinstance(r, Record)]
        writes = [Update(r.id, r.version, r.kind, {"company": "Navy"}) for r in records]
        with book.cost() as cost:
            outcomes = list(book.connector.apply(writes))
        assert all(isinstance(outcome, Done) and outcome.record for outcome in outcomes)
        assert cost.requests <= 11 + _locked(book)

    def test_an_update_without_effect_is_not_sent(self, book: Book) -> None:
        (done,) = book.create("a")
        (record,) = book.connector.fetch([done.id])
        assert isinstance(record, Record)
        with book.cost() as cost:
            (same,) = book.connector.apply(
                [Update(record.id, record.version, record.kind, {"last_name": "a"})]
            )
        assert isinstance(same, Done)
        assert (same.version, cost.requests) == (record.version, 0)

    def test_an_item_is_known_by_url_path_uid_and_written_name(self, book: Book) -> None:
        book.put("odd%20n%C3%A4me.vcf", card("a/b 50%"))
        path = book.collection.id + "odd%20n%C3%A4me.vcf"
        for name in (book.url + "odd%20n%C3%A4me.vcf", path, "a/b 50%", "odd%20n%C3%A4me.vcf"):
            assert book.connector.named(name) == "odd näme.vcf", name
        for nobody in ("", "odd", "a/b", "/elsewhere/odd.vcf", "https://example.com" + path):
            assert book.connector.named(nobody) is None, nobody

    def test_a_uid_that_stands_under_another_name(self, book: Book) -> None:
        """Radicale refuses the second with 409; Xandikos would take it (the check before is for undo alone)."""
        book.put("elsewhere.vcf", card("key-1"))
        (done,) = book.connector.apply([Create("key-1", Kind.CONTACT, {}, native=card("key-1"))])
        assert isinstance(done, Done)
        assert done.id == "elsewhere.vcf"
        assert len(list(book.connector.listing())) == 1

    def test_stale_is_stale_for_each_kind_of_write(self, book: Book) -> None:
        old = book.put("a.vcf", card("a"))
        new = book.put("a.vcf", card("a", "Edited"))
        writes = [Update("a.vcf", old, Kind.CONTACT, {"last_name": "x"}), Delete("a.vcf", old)]
        assert list(book.connector.apply(writes)) == [Stale("a.vcf"), Stale("a.vcf")]
        assert list(book.connector.listing()) == [Ref("a.vcf", new)]


class TestBadItems:
    def test_a_card_without_a_name(self, book: Book) -> None:
        """(Both servers refuse a card without FN; one with nothing in it they take.)"""
        book.put("a.vcf", "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:a\r\nFN:\r\nN:;;;;\r\nEND:VCARD\r\n")
        (answer,) = book.connector.fetch(["a.vcf"])
        assert isinstance(answer, Record | Unreadable)

    @pytest.mark.parametrize(
        "odd",
        [b"\xff\xfe", b"\x0b", b"&bomb;", "𝔘𝔫𝔦".encode(), b"]]><x/>"],
        ids=["bytes", "control", "entity", "astral", "xml"],
    )
    def test_odd_bytes_hurt_nobody_else(self, book: Book, odd: bytes) -> None:
        """Xandikos 0.4.10 answers 500 to a PUT that is not UTF-8, keeps it, and fails whole multigets with it."""
        made = book.create("a", "b", "c")
        text = card("odd").encode().replace(b"FN:Hopper", b"FN:" + odd)
        book.server.send(
            "PUT", book.url + "odd.vcf", text, headers={"Content-Type": "text/vcard; charset=utf-8"}
        )
        items, _ = book.changes()
        answers = {answer.id: answer for answer in book.connector.fetch([item.id for item in items])}
        assert answers.keys() == {item.id for item in items} == {ref.id for ref in book.connector.listing()}
        assert all(isinstance(answers[done.id], Record) for done in made)

    def test_a_large_note_is_parked_and_nothing_else(self, book: Book) -> None:
        made = book.create("a", "b")
        etag = book.put("large.vcf", card("large", more=f"NOTE:{'five megabytes ' * 350_000}\r\n"))
        answers = {a.id: a for a in book.connector.fetch(["a.vcf", "large.vcf", "b.vcf"])}
        large = answers["large.vcf"]
        assert isinstance(large, Unreadable)
        assert (large.version, "larger than" in large.reason) == (etag, True)
        assert all(isinstance(answers[done.id], Record) for done in made)

    def test_what_is_too_large_for_the_server_is_refused(self, tmp_path: Path) -> None:
        with radicale(tmp_path, options="max_resource_size = 10000") as server:
            book = Book(server)
            (done,) = book.create("a")
            record = done.record
            assert record is not None
            notes = {"notes": "x" * 20_000}
            writes = [
                Create("b", Kind.CONTACT, {"last_name": "b", **notes}),
                Update(record.id, record.version, record.kind, notes),
            ]
            for outcome in book.connector.apply(writes):
                assert isinstance(outcome, Refused)
                assert outcome.code in ("too_large", "precondition")
            book.source.close()


def _locked(book: Book) -> int:
    """Requests that the server answered with 423 so far, at most: one a step that the pace was lowered."""
    return 8 if not book.server.users else 0
