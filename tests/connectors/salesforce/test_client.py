import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from crmsync.connectors.abilities import Directory, Restricting, Searchable, Selecting
from crmsync.connectors.contract import Kind, Selection
from crmsync.connectors.errors import (
    AuthExpired,
    ConnectorError,
    Forbidden,
    NotFound,
    ProtocolError,
    Throttled,
    Unreachable,
)
from tests.connectors.salesforce.stub import (
    USER,
    Reply,
    Request,
    connector,
    contact,
    found,
    opened,
    refused,
    serving,
    source,
)

STAMP = "2026-01-02T03:04:05.000+0000"
EXPIRED = refused("INVALID_SESSION_ID", 401)


def test_satisfies_the_optional_protocols() -> None:
    with serving(lambda _: found()) as stub, source(stub.url) as crm:
        assert isinstance(crm, Directory)
        assert all(isinstance(opened(crm, Kind.TASK), p) for p in (Searchable, Restricting, Selecting))
        assert crm.requests() == 0


@pytest.mark.parametrize(
    "given", [{"api_version": "59"}, {"external_id": "a b"}, {"fields": {Kind.TASK: {"due": "x)"}}}]
)
def test_names_that_cannot_be_are_refused_at_once(given: dict[str, object]) -> None:
    with pytest.raises(ValueError), source("http://127.0.0.1:1", **given):
        pass


def test_a_session_that_runs_out_is_renewed_once() -> None:
    def script(request: Request) -> Reply:
        return EXPIRED if request.headers["Authorization"] == "Bearer session-1" else found(contact(1, STAMP))

    with serving(script) as stub, connector(stub.url) as contacts:
        assert [r.id for r in contacts.listing()] == ["003000000000001AAA"]
        assert len(stub.logins) == 2
        assert [r.headers["Authorization"] for r in stub.requests] == ["Bearer session-1", "Bearer session-2"]


def test_one_renewal_serves_all_waiting_threads() -> None:
    together = threading.Barrier(4, timeout=60)  # as many as Http keeps connections

    def script(request: Request) -> Reply:
        if request.headers["Authorization"] == "Bearer session-1":
            together.wait()
            return EXPIRED
        return found({"Id": USER, "IsActive": True})

    with serving(script) as stub, source(stub.url) as crm:
        crm.identity()
        with ThreadPoolExecutor(4) as threads:
            ids = list(threads.map(crm.user_id, ["alice@example.com"] * 4))
        assert ids == [USER] * 4
        assert len(stub.logins) == 2


def test_a_refused_renewal_is_not_repeated_by_every_thread() -> None:
    together = threading.Barrier(4, timeout=60)

    def script(_: Request) -> Reply:
        together.wait()
        return EXPIRED

    with serving(script) as stub, source(stub.url) as crm:
        crm.identity()
        refusal = Reply({"error": "invalid_grant", "error_description": "authentication failure"}, 400)
        stub.login = lambda _: refusal

        def ask(_: int) -> bool:
            with pytest.raises(AuthExpired):
                crm.user_id("alice@example.com")
            return True

        with ThreadPoolExecutor(4) as threads:
            assert all(threads.map(ask, range(4)))
        assert len(stub.logins) == 2


def test_a_new_session_that_is_refused_needs_a_person() -> None:
    with serving(lambda _: EXPIRED) as stub, source(stub.url) as crm:
        with pytest.raises(AuthExpired) as caught:
            crm.user_id("alice@example.com")
        assert caught.value.hint
        assert len(stub.requests) == 2


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (refused("REQUEST_LIMIT_EXCEEDED", 403), Throttled),
        (refused("API_DISABLED_FOR_ORG", 403), Forbidden),
        (refused("NOT_FOUND", 404), NotFound),
        (refused("INVALID_TYPE", 400), NotFound),
        (refused("MALFORMED_QUERY", 400), ProtocolError),
        (refused("UNKNOWN_EXCEPTION", 500), Unreachable),
        (refused("QUERY_TIMEOUT", 400), Unreachable),
        (Reply(raw=b"<html>", status=502), Unreachable),
        (Reply(status=503, headers={"Retry-After": "7"}), Throttled),
        (Reply(status=429), Throttled),
        (Reply(lost=True), Unreachable),
        (Reply(raw=b"{"), ProtocolError),
        (Reply([]), ProtocolError),
        (Reply({"records": [1], "totalSize": 1, "done": True}), ProtocolError),
        (Reply({"records": [], "totalSize": 1, "done": False}), ProtocolError),
        (found(total=3), ProtocolError),
        (found({"Id": USER}, total=2, following="//elsewhere.example.com/x"), ProtocolError),
        (Reply(status=302, headers={"Location": "http://elsewhere.example.com/"}), ProtocolError),
    ],
)
def test_conversations_that_fail(reply: Reply, expected: type[ConnectorError]) -> None:
    with serving(lambda _: reply) as stub, source(stub.url) as crm:
        with pytest.raises(ConnectorError) as caught:
            crm.user_id("alice@example.com")
        assert isinstance(caught.value, expected)
        assert "alice" not in str(caught.value)


def test_the_pause_that_the_server_asks_for() -> None:
    with (
        serving(lambda _: Reply(status=503, headers={"Retry-After": "7"})) as stub,
        source(stub.url) as crm,
        pytest.raises(Throttled) as caught,
    ):
        crm.user_id("alice@example.com")
    assert caught.value.retry_after == 7


def test_pages_to_the_end() -> None:
    rows = [contact(n, STAMP) for n in range(1, 6)]

    def script(request: Request) -> Reply:
        if request.path.endswith("/queryAll"):
            return found(*rows[:2], total=5, following="/services/data/v59.0/query/01g-2")
        if request.path.endswith("01g-2"):
            return found(*rows[2:4], total=5, following="/services/data/v59.0/query/01g-4")
        return found(*rows[4:], total=5)

    with serving(script) as stub, connector(stub.url) as contacts:
        assert [r.id for r in contacts.listing()] == [r["Id"] for r in rows]
        assert len(stub.requests) == 3


def test_a_listing_is_complete_or_an_exception() -> None:
    def script(request: Request) -> Reply:
        if "01g" in request.path:
            return refused("INVALID_QUERY_LOCATOR", 400)
        return found(contact(1, STAMP), total=2, following="/services/data/v59.0/query/01g-1")

    with serving(script) as stub, connector(stub.url) as contacts, pytest.raises(ProtocolError):
        list(contacts.listing())


def test_a_listing_that_never_ends() -> None:
    def script(_: Request) -> Reply:
        return found(total=9, following="/services/data/v59.0/query/01g-1")

    with serving(script) as stub, connector(stub.url) as contacts, pytest.raises(ProtocolError, match="end"):
        list(contacts.listing())


def test_notes_quota_and_clock() -> None:
    reply = Reply(found({"Id": USER}).data, headers={"Sforce-Limit-Info": "api-usage=12000/15000"})
    with serving(lambda _: reply) as stub, source(stub.url) as crm:
        stub.clock = lambda: datetime.now(UTC) + timedelta(hours=1)
        assert crm.usage == 0
        assert crm.clock_offset() == timedelta(0)
        crm.user_id("alice@example.com")
        assert crm.usage == 0.8
        assert abs(crm.clock_offset() - timedelta(hours=1)) < timedelta(minutes=1)
        assert crm.requests() == 2


@pytest.mark.parametrize("date", [f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -1400"])
def test_a_date_that_is_none_is_as_good_as_no_date(date: str) -> None:
    reply = Reply(found({"Id": USER, "IsActive": True}).data, headers={"Date": date, "Retry-After": date})
    with serving(lambda _: reply) as stub, source(stub.url) as crm:
        assert crm.user_id("alice@example.com") == USER
        assert crm.clock_offset() == timedelta(0)


def test_a_user_is_found_by_name_whatever_it_contains() -> None:
    with serving(lambda _: found({"Id": USER, "IsActive": True})) as stub, source(stub.url) as crm:
        assert crm.user_id("x' OR Username != '") == USER
        assert (
            stub.requests[0].soql == r"SELECT Id,IsActive FROM User WHERE Username = 'x\' OR Username != \''"
        )


@pytest.mark.parametrize("rows", [(), ({"Id": USER, "IsActive": False},)])
def test_no_active_user(rows: tuple[dict[str, object], ...]) -> None:
    with serving(lambda _: found(*rows)) as stub, source(stub.url) as crm, pytest.raises(NotFound) as caught:
        crm.user_id("alice@example.com")
    assert "alice@example.com" in caught.value.message
    assert caught.value.hint


def test_an_unreachable_server() -> None:
    with source("http://127.0.0.1:1") as crm, pytest.raises(Unreachable):
        crm.identity()


def test_a_condition_that_the_server_does_not_understand() -> None:
    with (
        serving(lambda _: refused("MALFORMED_QUERY", 400, "secret text")) as stub,
        connector(stub.url) as contacts,
        pytest.raises(ProtocolError, match="condition") as caught,
    ):
        list(contacts.changes(None, Selection(condition="nonsense")))
    assert "crm_select" in caught.value.hint
    assert "secret" not in str(caught.value)
