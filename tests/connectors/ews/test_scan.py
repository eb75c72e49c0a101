"""A server that gives no synchronisation states: what was modified since the last time, newest first."""

from datetime import UTC, datetime, timedelta

import pytest

from crmsync.connectors.contract import Selection
from crmsync.connectors.errors import CursorExpired, Unreachable
from crmsync.connectors.ews.connector import EwsConnector
from tests.connectors.ews.conftest import Opened, folder, person
from tests.servers.ews.person import EwsPerson
from tests.servers.ews.server import EwsServer, Reply

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def contacts(server: EwsServer, login: Opened) -> EwsConnector:
    server.lacks.add("SyncFolderItems")
    return folder(login(), "Contacts")


@pytest.fixture
def alice(server: EwsServer) -> EwsPerson:
    return person(server, "contacts")


def at(alice: EwsPerson, id: str, seconds: int) -> None:
    alice.folder.items[id].modified = BEGAN + timedelta(seconds=seconds)


def told(connector: EwsConnector, since: str | None, tag: str = "") -> tuple[set[str], str]:
    *_, page = pages = list(connector.changes(since, Selection(tag=tag)))
    return {item.id for p in pages for item in p.items}, page.cursor


def test_what_was_modified_since(contacts: EwsConnector, alice: EwsPerson) -> None:
    ids = [alice.add(f"Person {n}") for n in range(5)]
    for n, id in enumerate(ids):
        at(alice, id, n)
    first, cursor = told(contacts, None)
    assert first == set(ids)
    assert told(contacts, cursor) == (set(), cursor)
    alice.retitle(ids[1], "Edited")
    at(alice, ids[1], 60)
    new = alice.add("New")
    at(alice, new, 60)
    assert told(contacts, cursor)[0] == {ids[1], new}


def test_a_second_edit_in_one_second_is_not_missed(contacts: EwsConnector, alice: EwsPerson) -> None:
    one, other = alice.add("One"), alice.add("Other")
    at(alice, one, 0)
    at(alice, other, 0)
    _, cursor = told(contacts, None)
    alice.retitle(one, "Edited")
    at(alice, one, 0)
    changed, cursor = told(contacts, cursor)
    assert changed == {one}
    assert told(contacts, cursor)[0] == set()


def test_the_marked_ones_at_first_and_whoever_loses_the_mark(
    contacts: EwsConnector, alice: EwsPerson
) -> None:
    marked, other = alice.add("Marked"), alice.add("Other")
    alice.tag(marked, "CRM")
    for n, id in enumerate((marked, other)):
        at(alice, id, n)
    first, cursor = told(contacts, None, "CRM")
    assert first == {marked}
    alice.tag(marked, "Blue")
    at(alice, marked, 9)
    assert told(contacts, cursor, "CRM")[0] == {marked}


def test_the_listing_is_complete_or_none(server: EwsServer, contacts: EwsConnector, alice: EwsPerson) -> None:
    server.place.page = 3
    ids = {alice.add(f"Person {n}") for n in range(10)}
    assert {ref.id for ref in contacts.listing()} == ids
    asked = [0]

    def deletes(operation: str, body: bytes) -> Reply | None:
        asked[0] += operation == "FindItem"
        if asked[0] == 2:
            alice.delete(min(ids))
        return None

    server.before = deletes
    with pytest.raises(Unreachable, match="changed while"):
        list(contacts.listing())


def test_an_empty_folder_has_a_cursor(contacts: EwsConnector, alice: EwsPerson) -> None:
    nothing, cursor = told(contacts, None)
    assert nothing == set()
    id = alice.add("First")
    assert told(contacts, cursor)[0] == {id}


@pytest.mark.parametrize("cursor", ["ews-scan1:", "ews-scan1:{}", "ews-scan1:[1]", "ews1:x"])
def test_what_is_no_cursor(contacts: EwsConnector, cursor: str) -> None:
    with pytest.raises(CursorExpired):
        told(contacts, cursor)
