"""HTTP: bounded, counted, never off to another host."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urljoin

import pytest

from crmsync.connectors.errors import ProtocolError, Throttled, Unreachable
from crmsync.connectors.http import Http, TooLarge, retry_after, verified
from tests.servers.certificates import certified
from tests.servers.dripping import DRIPS, dripping
from tests.servers.quirky import Quirky, Reply, Request, quirky, served

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
NEVER = "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"


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


@pytest.mark.parametrize(
    "target", ["http://[x/", "//[", "http://127.0.0.1:99999999/", "http://127.0.0.1:x/", "http://a\u2100b/"]
)
def test_what_is_no_address_is_the_servers_fault(server: Quirky, http: Http, target: str) -> None:
    with pytest.raises(ProtocolError, match="address that is none"):
        http.request("GET", target)
    server.before = lambda request: Reply(301, headers={"Location": target.encode().decode("latin-1")})
    with pytest.raises(ProtocolError):
        http.request("GET", "/a")
    assert len(server.requests) == 1


@pytest.mark.parametrize("date", [NEVER, "Fri, 31 Dec 9999 23:59:59 -1400", "yesterday"])
def test_a_date_that_is_none_is_as_good_as_no_date(server: Quirky, http: Http, date: str) -> None:
    server.before = lambda request: Reply(503, b"x", {"Date": date, "Retry-After": date})
    assert http.request("GET", "/a").status == 503
    assert http.clock_offset == timedelta(0)


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


# ── answers without an end ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("head", "drop"), DRIPS.values(), ids=DRIPS)
def test_an_answer_that_drips_comes_to_an_end(head: bytes, drop: bytes) -> None:
    """None of the waits is a time-out. The clock goes fast, so that nobody has to wait for the end."""
    with dripping(head, drop) as url:
        client = Http(url, timeout=5, clock=lambda: time.monotonic() * 500)
        with pytest.raises(Unreachable, match="in time"):
            client.request("GET", "/")
        with pytest.raises(Unreachable, match="in time"), client.stream("GET", "/") as stream:
            list(stream)
        client.close()


def test_who_reads_slowly_is_not_the_servers_fault(server: Quirky) -> None:
    now = [0.0]
    server.before = lambda request: Reply(200, b"x" * 1_000_000)
    client = Http(server.url, timeout=5, clock=lambda: now[0])
    size = 0
    with client.stream("GET", "/a") as stream:
        for piece in stream:
            size += len(piece)
            now[0] += 3600
    client.close()
    assert size == 1_000_000


# ── certificates ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize(
    ("known", "verify", "accepted"),
    [
        (False, True, ()),
        (True, True, ("127.0.0.1",)),  # the certificate is good for this address, and not for the other
        (False, False, ("127.0.0.1", "127.0.0.2")),
        (True, False, ("127.0.0.1", "127.0.0.2")),
    ],
)
def test_whose_certificate_is_accepted(
    tmp_path: Path, host: str, known: bool, verify: bool, accepted: tuple[str, ...]
) -> None:
    context, ca_file = certified(tmp_path)
    seen: list[Request] = []

    def answer(request: Request) -> Reply:
        seen.append(request)
        return Reply(200, b"ok")

    with served(answer, tls=context, host=host) as url:
        client = Http(url, headers={"Authorization": "x"}, ca_file=ca_file if known else None, verify=verify)
        if host in accepted:
            assert client.request("GET", "/a").body == b"ok"
        else:
            with pytest.raises(Unreachable, match="certificate"):
                client.request("GET", "/a")
            assert not seen, "whoever is not trusted sees no login"
        client.close()


def test_one_that_need_not_be_checked_is_one_of_a_single_host() -> None:
    assert not verified(False, "https://a.example:8443/x", "https://A.example/")
    assert verified(False, "https://a.example/", "https://b.a.example/")
    assert verified(True, "https://a.example/", "https://a.example/")


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
        (NEVER, None),
        ("Fri, 31 Dec 9999 23:59:59 -1400", None),
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
