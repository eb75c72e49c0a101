"""The conversation as such: logins, refusals, redirects, and servers that are none."""

import base64

import pytest

from crmsync.connectors.carddav.connector import CardDavSource
from crmsync.connectors.errors import (
    AuthExpired,
    ConnectorError,
    Forbidden,
    NotFound,
    ProtocolError,
    Throttled,
    Unreachable,
)
from tests.connectors.dav.bench import Desk
from tests.servers.process import free_port
from tests.servers.quirky import BOOK, Quirky, Reply, Request


def test_the_login_goes_with_the_first_request(at: Desk) -> None:
    at.pages()
    (request,) = at.server.requests
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"alice:secret").decode()


@pytest.mark.parametrize(
    ("status", "expected", "words"),
    [
        (401, AuthExpired, "the login was refused"),
        (403, Forbidden, "this login may not"),
        (404, NotFound, "nothing at this address"),
        (410, NotFound, "nothing at this address"),
        (429, Throttled, "slow down"),
        (500, Unreachable, "tried again"),
        (502, Unreachable, "tried again"),
        (200, ProtocolError, "multistatus was expected"),
        (405, ProtocolError, "multistatus was expected"),
    ],
)
def test_a_refused_listing(at: Desk, status: int, expected: type[ConnectorError], words: str) -> None:
    at.server.before = lambda request: Reply(status, b"<html>no</html>")
    with pytest.raises(expected, match=words) as refused:
        list(at.connector.listing())
    if status not in (429,):
        assert at.server.url in str(refused.value), "the sentence names the address"
    assert "secret" not in str(refused.value)


def test_retry_after_is_handed_on(at: Desk) -> None:
    at.server.before = lambda request: Reply(503, headers={"Retry-After": "17"})
    with pytest.raises(Throttled) as refused:
        list(at.connector.listing())
    assert refused.value.retry_after == 17


def test_a_redirect_on_the_same_server_is_followed(server: Quirky) -> None:
    def moved(request: Request) -> Reply | None:
        return Reply(301, headers={"Location": BOOK}) if request.path == "/old/" else None

    server.before = moved
    source = CardDavSource(server.url.replace(BOOK, "/old/"), "alice", "secret")
    assert [c.id for c in source.collections()] == [BOOK]
    source.close()


def test_a_redirect_to_another_host_is_not(at: Desk) -> None:
    at.server.before = lambda request: Reply(301, headers={"Location": "http://elsewhere.example.com/"})
    with pytest.raises(ProtocolError, match=r"another host.*elsewhere"):
        at.source.collections()
    assert at.asked() == 1


def test_nobody_listens() -> None:
    source = CardDavSource(f"http://127.0.0.1:{free_port()}/", "alice", "secret")
    with pytest.raises(Unreachable, match="refuses the connection"):
        source.collections()
    source.close()


def test_a_home_on_another_host_is_not_followed(at: Desk) -> None:
    home = "<CR:addressbook-home-set><href>http://elsewhere.example.com/</href></CR:addressbook-home-set>"
    body = (
        '<multistatus xmlns="DAV:" xmlns:CR="urn:ietf:params:xml:ns:carddav"><response><href>/dav/book/</href>'
        f"<propstat><prop>{home}</prop><status>HTTP/1.1 200 OK</status></propstat></response></multistatus>"
    )
    at.server.before = lambda request: Reply(207, body.encode())
    with pytest.raises(ProtocolError, match="another host"):
        at.source.collections()


@pytest.mark.parametrize("href", ["http://[x/y/", "http://127.0.0.1:99999999/y/"])
@pytest.mark.parametrize("place", ["home", "principal", "itself"])
def test_an_href_that_is_no_address(at: Desk, place: str, href: str) -> None:
    told = {
        "home": f"<CR:addressbook-home-set><href>{href}</href></CR:addressbook-home-set>",
        "principal": f"<current-user-principal><href>{href}</href></current-user-principal>",
        "itself": "<resourcetype><collection/><CR:addressbook/></resourcetype>",
    }[place]
    body = (
        '<multistatus xmlns="DAV:" xmlns:CR="urn:ietf:params:xml:ns:carddav">'
        f"<response><href>{href if place == 'itself' else BOOK}</href>"
        f"<propstat><prop>{told}</prop><status>HTTP/1.1 200 OK</status></propstat></response></multistatus>"
    )
    at.server.before = lambda request: Reply(207, body.encode())
    with pytest.raises(ProtocolError, match="address that is none"):
        at.source.collections()
    refused = body.replace("<propstat>", "<status>HTTP/1.1 404 Not Found</status><propstat>")
    at.server.before = lambda request: Reply(207, refused.encode())
    with pytest.raises(ConnectorError):
        at.source.collections()


def test_a_server_that_does_not_take_us_for_anybody(at: Desk) -> None:
    body = (
        '<multistatus xmlns="DAV:"><response><href>/dav/book/</href><propstat><prop><current-user-principal>'
        "<unauthenticated/></current-user-principal></prop><status>HTTP/1.1 200 OK</status></propstat></response>"
        "</multistatus>"
    )
    at.server.before = lambda request: Reply(207, body.encode())
    with pytest.raises(AuthExpired, match="the login was refused"):
        at.source.identity()


def test_a_url_that_is_one_collection_costs_one_request_each_time(at: Desk) -> None:
    assert [c.name for c in at.source.collections()] == ["Book"]
    first = at.asked()
    assert [c.id for c in at.source.collections()] == [BOOK]
    assert (first, at.asked()) == (2, 3)
    assert all(request.headers["Depth"] == "0" for request in at.server.requests)


def test_a_home_that_moved_is_found_again(at: Desk) -> None:
    at.source.home = at.server.url.replace(BOOK, "/gone/")
    assert [c.id for c in at.source.collections()] == [BOOK]
    assert at.source.home == "=" + at.server.url


def test_the_listing_of_something_else_is_not_believed(at: Desk) -> None:
    at.server.before = lambda request: Reply(207, b'<multistatus xmlns="DAV:"/>')
    with pytest.raises(ProtocolError, match="does not contain the collection itself"):
        list(at.connector.listing())
