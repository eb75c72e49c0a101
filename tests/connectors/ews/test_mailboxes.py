"""Whose mailbox it is: delegates, shares that come and go, folders of a person's own; and the nudge."""

import threading
from datetime import date

import pytest

from crmsync.connectors.contract import Create, Done, Gone, Hidden, Kind, Record, Refused, Selection
from crmsync.connectors.errors import Forbidden, NotFound
from crmsync.connectors.ews.auth import Basic
from crmsync.connectors.ews.connector import EwsSource
from tests.connectors.ews.conftest import ALICE, BOB, SERVICE, Opened, folder, person
from tests.servers.ews.server import EwsServer


def test_a_persons_own_folders_and_no_others(server: EwsServer, login: Opened) -> None:
    alice = server.place.mailboxes[ALICE]
    server.place.add_folder(alice, "Partners", "contacts")
    gone = server.place.add_folder(alice, "Old partners", "contacts")
    gone.parent = alice.known("deleteditems")
    found = {c.name: (set(c.kinds), c.writable, c.owner) for c in login().collections()}
    assert found == {
        "Contacts": ({Kind.CONTACT}, True, ""),
        "Calendar": ({Kind.APPOINTMENT}, True, ""),
        "Tasks": ({Kind.TASK}, True, ""),
        "Partners": ({Kind.CONTACT}, True, ""),
        "Mail": ({Kind.EMAIL}, True, ""),
    }


def test_folders_in_pages(server: EwsServer, login: Opened) -> None:
    server.place.page = 7
    for n in range(30):
        server.place.add_folder(server.place.mailboxes[ALICE], f"Book {n}", "contacts")
    assert len(login().collections()) == 34


def test_a_delegate_sees_what_is_shared(server: EwsServer, login: Opened) -> None:
    bob = server.place.mailboxes[BOB]
    bob.known("calendar").rights[ALICE] = "Reviewer"
    bob.known("tasks").rights[ALICE] = "Editor"
    source = login(ALICE, mailbox=BOB)
    found = {c.name: (c.writable, c.owner) for c in source.collections()}
    assert found == {"Calendar": (False, BOB), "Tasks": (True, BOB)}
    assert source.identity() == BOB
    id = person(server, "tasks", BOB).add("Call")
    (record,) = folder(source, "Tasks").fetch([id])
    assert isinstance(record, Record)
    (refused,) = folder(source, "Calendar").apply([Create("k", Kind.APPOINTMENT, _EVENT)])
    assert isinstance(refused, Refused)
    assert refused.code == "forbidden"


_EVENT = {"subject": "x", "start": date(2026, 1, 1), "all_day": True}


def test_a_share_that_is_withdrawn_is_no_deletion(server: EwsServer, login: Opened) -> None:
    tasks = server.place.mailboxes[BOB].known("tasks")
    tasks.rights[ALICE] = "Editor"
    shared = folder(login(ALICE, mailbox=BOB), "Tasks")
    id = person(server, "tasks", BOB).add("Call")
    *_, page = shared.changes(None, Selection())
    tasks.rights.clear()
    assert list(shared.fetch([id])) == [Hidden(id)]
    with pytest.raises(Forbidden, match="share the folder"):
        list(shared.changes(page.cursor, Selection()))
    with pytest.raises(Forbidden):
        list(shared.listing())


def test_what_a_delegate_does_not_find_is_hidden_and_not_gone(server: EwsServer, login: Opened) -> None:
    """An owner's private item looks the same to a delegate; the synchronisation state tells of deletions."""
    server.place.mailboxes[BOB].known("tasks").rights[ALICE] = "Editor"
    shared = folder(login(ALICE, mailbox=BOB), "Tasks")
    bob = person(server, "tasks", BOB)
    id = bob.add("Call")
    *_, page = shared.changes(None, Selection())
    bob.delete(id)
    assert list(shared.fetch([id])) == [Hidden(id)]
    (after,) = shared.changes(page.cursor, Selection())
    assert after.items == (Gone(id),)


def test_nothing_is_shared_at_all(login: Opened) -> None:
    with pytest.raises(Forbidden, match="share"):
        login(ALICE, mailbox=BOB).collections()


def test_the_logins_own_folders_are_not_taken_for_the_owners(server: EwsServer, login: Opened) -> None:
    """Exchange has been seen to open the caller's own folder for a mailbox that it could not."""
    server.place.mailboxes["group@example.com"] = server.place.mailboxes[ALICE]
    with pytest.raises(NotFound, match="own folders instead"):
        login(ALICE, mailbox="group@example.com").collections()


def test_a_service_reads_in_the_owners_name(server: EwsServer, login: Opened) -> None:
    server.impersonators.add(SERVICE)
    source = login(SERVICE, mailbox=BOB, impersonate=True)
    assert {c.owner for c in source.collections()} == {""}
    (done,) = folder(source, "Contacts").apply([Create("k", Kind.CONTACT, {"last_name": "Ada"})])
    assert isinstance(done, Done)
    assert len(server.place.mailboxes[BOB].known("contacts").items) == 1


# ── the nudge ────────────────────────────────────────────────────────────────────────────────────────────────────


def listening(server: EwsServer, connections: int = 1) -> None:
    with server.place.lock:
        assert server.place.lock.wait_for(lambda: server.streams.open == connections, 30)


def test_a_change_nudges_at_once(server: EwsServer, login: Opened) -> None:
    source, stopped = login(), threading.Event()
    contacts = folder(source, "Contacts")
    nudges = source.watch(source.collections(), stopped.is_set)
    next(nudges)  # the first one: who knows what happened before
    changed = threading.Thread(target=lambda: (listening(server), person(server, "contacts").add("Ada")))
    changed.start()
    next(nudges)
    changed.join(30)
    assert list(contacts.listing())  # while the stream is open
    stopped.set()
    nudges.close()  # type: ignore[attr-defined]
    listening(server, 0)
    assert server.streams.subscriptions == {}


def test_a_watch_ends_with_its_connection(server: EwsServer, login: Opened) -> None:
    """A server that ends them at once is not asked for one after the other without a pause: that is the caller's."""
    server.streams.minute = 0.001
    source = login()
    for _ in range(2):
        assert len(list(source.watch(source.collections(), lambda: False))) == 1
    assert (len(server.seen("Subscribe")), server.streams.subscriptions) == (2, {})


def test_a_server_that_does_not_stream_says_so(server: EwsServer, login: Opened) -> None:
    server.fail("Subscribe", "ErrorAccessDenied")
    source = login()
    with pytest.raises(Forbidden):
        next(source.watch(source.collections(), lambda: False))


def test_closing_a_login_that_never_asked() -> None:
    EwsSource("http://127.0.0.1:9/", Basic("a", "b")).close()
