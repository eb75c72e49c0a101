"""The conversation: logins, pauses, broken answers, certificates; and what must never be written down."""

import logging
import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.contract import Create, Done, Kind, Record, Ref, Selection, Unreadable
from crmsync.connectors.errors import (
    AuthExpired,
    CursorExpired,
    Forbidden,
    NotFound,
    ProtocolError,
    Throttled,
    Unreachable,
)
from crmsync.connectors.ews.auth import Basic, ClientCredentials, Ntlm, Token
from crmsync.connectors.ews.client import Exchange
from crmsync.connectors.ews.connector import EwsSource
from crmsync.connectors.ews.sessions import Meter, Options
from crmsync.connectors.ews.wire import element
from tests.connectors.ews.conftest import ALICE, BOB, SERVICE, Opened, folder, person
from tests.servers.certificates import certified
from tests.servers.dripping import DRIPS, dripping
from tests.servers.ews.server import EwsServer, Reply, ews

ADA = Create("key", Kind.CONTACT, {"first_name": "Ada", "last_name": "Lovelace"})


# ── logins ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_wrong_password(login: Opened) -> None:
    with pytest.raises(AuthExpired, match="check username, password"):
        login(by=Basic(ALICE, "wrong")).identity()


def test_a_password_of_any_letters(server: EwsServer, login: Opened) -> None:
    server.place.mailboxes[ALICE].password = "pässwörd: €"
    assert login().identity() == ALICE


@pytest.mark.parametrize("name", ["EXAMPLE\\alice", "alice@example.com"])
def test_ntlm(
    server: EwsServer, login: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The library's own acceptor on the other side."""
    users = tmp_path / "users"
    users.write_text("EXAMPLE:alice:hunter2\n:alice@example.com:hunter2\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(users))
    server.ntlm = True
    server.place.mailboxes["alice"] = server.place.mailboxes[ALICE]
    source = login(by=Ntlm(name, "hunter2"))
    person(server, "contacts").add("Ada")
    server.place.mailboxes[ALICE].address = name.rpartition("\\")[2]
    contacts = folder(source, "Contacts")
    before = source.requests()
    assert len(list(contacts.listing())) == 1
    assert source.requests() - before == 1  # the handshake is made once for a connection
    with pytest.raises(AuthExpired):
        login(by=Ntlm(name, "wrong")).identity()


def test_ntlm_over_tls_is_bound_to_the_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "users").write_text(f":{ALICE}:hunter2\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(tmp_path / "users"))
    context, ca_file = certified(tmp_path)
    with ews(ALICE, tls=context) as server:
        server.ntlm = True
        source = EwsSource(server.url, Ntlm(ALICE, "hunter2"), ca_file=ca_file)
        assert len(source.collections()) == 4
        source.close()


def test_a_token_that_was_given(server: EwsServer, login: Opened) -> None:
    server.tokens["fresh"] = ALICE
    assert folder(login(by=Token("fresh")), "Contacts")
    with pytest.raises(AuthExpired):
        login(by=Token("stale")).identity()


def test_client_credentials_fetch_a_token_once_and_again_when_it_is_used_up(
    server: EwsServer, login: Opened
) -> None:
    now = [datetime.now(UTC)]
    server.clients[SERVICE] = "s&cret="
    server.impersonators.add(SERVICE)
    by = ClientCredentials(SERVICE, "s&cret=", server.url.replace("EWS/Exchange.asmx", "oauth/token"))
    source = login(by=by, mailbox=ALICE, impersonate=True, now=lambda: now[0])
    source.collections()
    source.collections()
    assert len(server.tokens) == 1
    now[0] += timedelta(hours=1)
    source.collections()
    assert len(server.tokens) == 2
    server.tokens.clear()  # withdrawn: the next request fetches another
    source.collections()
    assert len(server.tokens) == 1
    assert {(r.user, r.acting) for r in server.requests} == {(SERVICE, ALICE)}


def test_a_client_that_gets_no_token(server: EwsServer, login: Opened) -> None:
    by = ClientCredentials(SERVICE, "wrong", server.url.replace("EWS/Exchange.asmx", "oauth/token"))
    with pytest.raises(AuthExpired, match="client_secret"):
        login(by=by, mailbox=ALICE, impersonate=True).identity()


def test_impersonation_without_the_role(login: Opened) -> None:
    with pytest.raises(Forbidden, match="ApplicationImpersonation"):
        login(SERVICE, mailbox=ALICE, impersonate=True).identity()


def test_a_mailbox_that_there_is_not(server: EwsServer, login: Opened) -> None:
    with pytest.raises(NotFound, match="mailbox"):
        login(SERVICE, mailbox="nobody@example.com").identity()


# ── pauses and failures ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_server_that_is_busy_says_for_how_long(server: EwsServer, login: Opened) -> None:
    contacts = folder(login(), "Contacts")
    server.busy("SyncFolderItems", 42_500)
    with pytest.raises(Throttled) as pause:
        list(contacts.listing())
    assert pause.value.retry_after == 42.5
    assert list(contacts.listing()) == []  # after a fault the next call goes through


@pytest.mark.parametrize("date", [f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -1400"])
def test_a_date_that_is_none_is_as_good_as_no_date(server: EwsServer, login: Opened, date: str) -> None:
    source = login()
    server.before = lambda operation, body: Reply(503, b"", {"Date": date, "Retry-After": date})
    with pytest.raises(Unreachable, match="failed"):
        source.identity()
    meter = Meter(lambda: datetime.now(UTC))
    meter.note_clock(date)
    assert meter.clock_offset == timedelta(0)


@pytest.mark.parametrize(("head", "drop"), DRIPS.values(), ids=DRIPS)
def test_an_answer_that_drips_comes_to_an_end(head: bytes, drop: bytes) -> None:
    """None of the waits is a time-out. The clock goes fast, so that nobody has to wait for the end."""
    with dripping(head, drop) as url:
        source = EwsSource(url, Basic(ALICE, "secret"), timeout=5, clock=lambda: time.monotonic() * 500)
        with pytest.raises(Unreachable, match="in time"):
            source.identity()
        source.close()


def test_notifications_may_drip_for_as_long_as_they_like() -> None:
    with dripping(*DRIPS["chunks"]) as url:
        options = Options(timeout=5, clock=lambda: time.monotonic() * 5000)
        exchange = Exchange(url, Basic(ALICE, "secret"), options=options)
        pieces = exchange.stream("GetStreamingEvents", element("m:GetStreamingEvents"), timeout=5)
        assert b"".join(islice(pieces, 20)) == b"x" * 20
        pieces.close()  # type: ignore[attr-defined]  # a generator
        exchange.close()


def test_busy_in_a_message(server: EwsServer, login: Opened) -> None:
    contacts = folder(login(), "Contacts")
    server.fail("SyncFolderItems", "ErrorServerBusy")
    server.operations.faults[-1].back_off = 7_000
    with pytest.raises(Throttled) as pause:
        list(contacts.listing())
    assert pause.value.retry_after == 7.0


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(503, b"later", {"Retry-After": "11"}), Throttled),
        (Reply(429, b"later", {"Retry-After": "11"}), Throttled),
        (Reply(500, b"<html>oops</html>"), Unreachable),
        (Reply(502, b"<html>oops</html>"), Unreachable),
        (Reply(302, b"", {"Location": "https://elsewhere.example.com/"}), ProtocolError),
        (Reply(404, b""), NotFound),
        (Reply(200, b"<html>a login page</html>"), ProtocolError),
        (Reply(200, b""), ProtocolError),
    ],
)
def test_what_http_says(server: EwsServer, login: Opened, reply: Reply, error: type[Exception]) -> None:
    contacts = folder(login(), "Contacts")
    server.before = lambda operation, body: reply
    with pytest.raises(error) as caught:
        list(contacts.listing())
    if isinstance(caught.value, Throttled):
        assert caught.value.retry_after == 11


def test_a_server_that_is_not_there() -> None:
    source = EwsSource("http://127.0.0.1:9/EWS/Exchange.asmx", Basic(ALICE, "x"))
    with pytest.raises(Unreachable, match="refuses the connection"):
        source.identity()
    source.close()


def test_one_request_is_sent_once(server: EwsServer, login: Opened) -> None:
    contacts = folder(login(), "Contacts")
    for code in (
        "ErrorInternalServerError",
        "ErrorInvalidServerVersion",
        "ErrorTimeoutExpired",
        "ErrorTooManyObjectsOpened",
    ):
        server.fail("SyncFolderItems", code)
        before = len(server.requests)
        with pytest.raises((Unreachable, ProtocolError, Throttled)):
            list(contacts.listing())
        assert len(server.requests) == before + 1, code


def test_an_answer_that_is_cut_off_is_no_short_listing(server: EwsServer, login: Opened) -> None:
    for n in range(20):
        person(server, "contacts").add(f"Person {n}")
    contacts = folder(login(), "Contacts")
    taken: list[bytes] = []

    def cut(operation: str, body: bytes) -> Reply | None:
        if operation != "SyncFolderItems":
            return None
        whole = server.answer_of(body)
        taken.append(whole)
        return Reply(200, whole[: len(whole) // 2])

    server.before = cut
    with pytest.raises(ProtocolError, match="not the whole of it"):
        list(contacts.listing())
    assert taken


def test_a_doctype_is_refused(server: EwsServer, login: Opened) -> None:
    contacts = folder(login(), "Contacts")
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'
    server.before = lambda operation, body: Reply(200, bomb)
    with pytest.raises(ProtocolError):
        list(contacts.listing())


def test_an_answer_that_does_not_end(server: EwsServer, login: Opened) -> None:
    contacts = folder(login(max_answer=100_000), "Contacts")
    server.before = lambda operation, body: Reply(200, b"x" * 200_000)
    with pytest.raises(ProtocolError, match="larger than"):
        list(contacts.listing())


def test_characters_that_xml_forbids_cost_only_themselves(server: EwsServer, login: Opened) -> None:
    """Exchange writes them as they stand in an item."""
    ids = [person(server, "contacts").add(name) for name in ("Good", "Bad#Name")]
    contacts = folder(login(), "Contacts")
    server.after = lambda operation, body: (
        Reply(200, server.answer_of(body).replace(b"Bad#Name", b"Bad&#x1F;Name"))
        if operation == "GetItem"
        else None
    )
    read = {r.id: r for r in contacts.fetch(ids) if isinstance(r, Record)}
    assert [read[id].columns["last_name"] for id in ids] == ["Good", "Bad?Name"]


def test_one_item_that_breaks_the_answer_costs_no_other(server: EwsServer, login: Opened) -> None:
    ids = [person(server, "contacts").add(name) for name in ("Good", "Evil#Name", "Better")]
    contacts = folder(login(), "Contacts")
    server.after = lambda operation, body: (
        Reply(200, server.answer_of(body).replace(b"Evil#Name", b"</x>")) if operation == "GetItem" else None
    )
    answers = {a.id: type(a) for a in contacts.fetch(ids)}
    assert [answers[id] for id in ids] == [Record, Unreadable, Record]


# ── certificates ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_certificates_are_checked_for_each_login_by_itself(tmp_path: Path) -> None:
    """Two logins to one server share nothing: what one of them accepts, the other does not."""
    context, ca_file = certified(tmp_path)
    with ews(ALICE, tls=context) as server:
        how: list[dict[str, Any]] = [{}, {"verify": False}, {"ca_file": ca_file}]
        sources = [EwsSource(server.url, Basic(*server.login(ALICE)), **options) for options in how]
        for source in (*sources[1:], *sources[1:]):
            assert source.identity() == ALICE
        with pytest.raises(Unreachable, match="certificate"):
            sources[0].identity()
        for source in sources:
            source.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_who_hands_out_tokens_elsewhere_shows_a_certificate_that_is_checked(
    tmp_path: Path, host: str
) -> None:
    """``verify`` False was said of the Exchange server."""
    context, _ = certified(tmp_path)
    with ews(SERVICE, tls=context) as server:
        server.clients[SERVICE] = "secret"
        server.impersonators.add(SERVICE)
        place = server.url.replace("127.0.0.1", host).replace("EWS/Exchange.asmx", "oauth/token")
        by = ClientCredentials(SERVICE, "secret", place)
        source = EwsSource(server.url, by, mailbox=SERVICE, impersonate=True, verify=False)
        if host == "127.0.0.1":
            assert source.identity() == SERVICE
        else:
            with pytest.raises(Unreachable, match="certificate"):
                source.identity()
            assert not server.tokens
        source.close()


# ── what is never written down ───────────────────────────────────────────────────────────────────────────────────


def test_neither_bodies_nor_passwords_are_logged(
    server: EwsServer, login: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.place.mailboxes[ALICE].password = "pass-7-word"
    contacts = folder(login(), "Contacts")
    (made,) = contacts.apply([Create("k", Kind.CONTACT, {"last_name": "Lovelace", "notes": "very private"})])
    assert isinstance(made, Done)
    list(contacts.fetch([made.id]))
    server.before = lambda operation, body: Reply(200, b"<very private")
    with pytest.raises(ProtocolError):
        list(contacts.listing())
    assert "very private" not in caplog.text
    assert "pass-7-word" not in caplog.text
    assert "cGFzcy03LXdvcmQ" not in caplog.text
    assert "Lovelace" not in caplog.text


# ── many requests ────────────────────────────────────────────────────────────────────────────────────────────────


def test_requests_grow_with_what_changed(server: EwsServer, login: Opened) -> None:
    people = [person(server, "contacts").add(f"Person {n}") for n in range(250)]
    source = login()
    contacts = folder(source, "Contacts")
    before = source.requests()
    pages = list(contacts.changes(None, Selection()))
    assert source.requests() - before == 1
    person(server, "contacts").retitle(people[7], "Edited")
    before = source.requests()
    (page,) = contacts.changes(pages[-1].cursor, Selection())
    (changed,) = page.items
    assert isinstance(changed, Ref)
    assert [r.id for r in contacts.fetch([changed.id])] == [people[7]]
    assert source.requests() - before == 2
    before = source.requests()
    assert len(list(contacts.fetch(people))) == 250
    assert source.requests() - before == 3
    before = source.requests()
    creates = [Create(f"k{n}", Kind.CONTACT, {"last_name": f"New {n}"}) for n in range(50)]
    assert all(isinstance(o, Done) for o in contacts.apply(creates))
    assert source.requests() - before == 3  # whether they are there, the writing, the reading back


def test_only_what_is_needed_is_asked_for(server: EwsServer, login: Opened) -> None:
    id = person(server, "contacts").add("Ada")
    contacts = folder(login(), "Contacts")
    list(contacts.fetch([id]))
    list(contacts.listing())
    (get,), (sync,) = server.seen("GetItem"), server.seen("SyncFolderItems")
    assert b"IdOnly" in get.body
    assert b"Attachments" not in get.body
    assert b"FieldURI" not in sync.body


def test_the_first_listing_is_narrowed_to_the_tag(server: EwsServer, login: Opened) -> None:
    alice = person(server, "tasks")
    tagged, other = alice.add("Tagged"), alice.add("Other")
    alice.tag(tagged, "Blue", "crm")  # capital letters make no difference
    tasks = folder(login(), "Tasks")
    (page,) = tasks.changes(None, Selection(tag="CRM"))
    assert [item.id for item in page.items] == [tagged]
    alice.tag(tagged, "Blue")
    alice.retitle(other, "Edited")
    (page,) = tasks.changes(page.cursor, Selection(tag="CRM"))
    assert {item.id for item in page.items} == {tagged, other}


def test_a_state_of_another_folder_has_expired(server: EwsServer, login: Opened) -> None:
    source = login()
    contacts, tasks = folder(source, "Contacts"), folder(source, "Tasks")
    *_, page = contacts.changes(None, Selection())
    with pytest.raises(CursorExpired):
        list(tasks.changes(page.cursor, Selection()))


def test_nobody_is_asked_for_somebody_elses_mailbox(server: EwsServer, login: Opened) -> None:
    folder(login(), "Contacts")
    assert {r.acting for r in server.requests} == {ALICE}
    assert BOB.encode() not in b"".join(r.body for r in server.requests)
