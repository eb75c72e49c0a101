"""HTTP: bounded, counted, never off to another host."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urljoin

import pytest

from crmsync.connectors.errors import ProtocolError, Throttled, Unreachable
from crmsync.connectors.http import Http, TooLarge, retry_after
from tests.servers.quirky import Quirky, Reply, quirky

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)


@pytest.fixture
def server() -> Iterator[Quirky]:
    with quirky() as running:
        yield running


@pytest.fixture
def http(server: Quirky) -> Iterator[Http]:
    client = Http(server.url, connections=1, timeout=30)
    yield client
    client.close()


def test_a_body_is_bounded(server: Quirky, http: Http) -> None:
    server.before = lambda request: Reply(200, b"x" * 1000)
    assert len(http.request("GET", "a", limit=1000).body) == 1000
    with pytest.raises(TooLarge, match="999"):
        http.request("GET", "a", limit=999)
    assert len(http.request("GET", "a").body) == 1000


def test_requests_are_counted_redirects_too(server: Quirky, http: Http) -> None:
    server.before = lambda request: (
        Reply(302, headers={"Location": "/b"}) if request.path == "/a" else Reply(200)
    )
    assert http.request("GET", "/a").url.endswith("/b")
    assert http.requests == len(server.requests) == 2


def test_a_redirect_keeps_method_and_body(server: Quirky, http: Http) -> None:
    server.before = lambda request: (
        Reply(301, headers={"Location": "/b"}) if request.path == "/a" else Reply(200)
    )
    with http.stream("PROPFIND", "/a", body=b"<x/>") as stream:
        assert b"".join(stream) == b""
    assert [(r.method, r.body) for r in server.requests] == [("PROPFIND", "<x/>")] * 2


def test_a_circle_of_redirects_ends(server: Quirky, http: Http) -> None:
    server.before = lambda request: Reply(302, headers={"Location": "/a"})
    with pytest.raises(ProtocolError, match="keeps redirecting"):
        http.request("GET", "/a")
    assert len(server.requests) < 10


@pytest.mark.parametrize(
    "target", ["http://elsewhere.example.com/", "//elsewhere.example.com/", "https://127.0.0.1/"]
)
def test_other_hosts_are_never_asked(http: Http, target: str) -> None:
    with pytest.raises(ProtocolError, match="another host"):
        http.request("GET", target)
    assert http.requests == 0


def test_throttling_of_a_stream_leaves_the_connection_usable(server: Quirky, http: Http) -> None:
    replies = [Reply(429, b"slowly", {"Retry-After": "3"})]
    server.before = lambda request: replies.pop() if replies else Reply(200, b"ok")
    with pytest.raises(Throttled) as throttled:
        http.stream("GET", "a")
    assert throttled.value.retry_after == 3
    assert http.request("GET", "a").body == b"ok"


def test_a_stream_left_open_makes_nobody_wait_for_ever(server: Quirky) -> None:
    server.before = lambda request: Reply(200, b"x" * 10)
    http = Http(server.url, connections=1, timeout=1)
    with http.stream("GET", "a"), pytest.raises(Unreachable):
        http.request("GET", "b")
    assert http.request("GET", "b").body == b"x" * 10
    http.close()


def test_the_servers_clock_is_measured(server: Quirky) -> None:
    client = Http(server.url, now=lambda: datetime.now(UTC) - timedelta(hours=1))
    server.before = lambda request: Reply(200)
    client.request("GET", "a")
    client.close()
    assert abs(client.clock_offset - timedelta(hours=1)) < timedelta(seconds=5)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("17", 17.0),
        ("Sun, 22 Nov 2026 10:01:00 GMT", 60.0),
        ("Sun, 22 Nov 2026 09:00:00 GMT", 0.0),
        ("-5", 0.0),
        ("999999", 3600.0),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


@pytest.mark.parametrize("base", ["http://a.example/dav/", "http://a.example:8080/x"])
@pytest.mark.parametrize(
    "url",
    [
        *(
            "/",
            "/a",
            "/a/b.vcf",
            "/a/b%20c.vcf",
            "/a/../b",
            "/a/./b",
            "//b.example/c",
            "/a//b",
            "/a/..",
            "/.a",
            "/a?b",
        ),
        *("/a#b", "/a/.b/c", "b", "../b", "http://a.example/b", "http://b.example/b", ""),
    ],
)
def test_an_address_is_resolved_as_rfc_3986_says(base: str, url: str) -> None:
    client = Http(base)
    assert client._absolute(url) == urljoin(base, url)
    client.close()
