"""Answers that no server should give: whatever stands in them, there is a record, a word about the item, or an error
that the engine knows."""

import random
import re
import time
from collections.abc import Callable

import pytest

from crmsync.connectors.contract import Delete, Gone, Kind, Record, Selection, Unreadable, Update
from crmsync.connectors.errors import ConnectorError, ProtocolError
from crmsync.connectors.ews.faults import conversation
from tests.connectors.ews.conftest import KINDS, Opened, folder, person
from tests.connectors.ews.post import Post
from tests.connectors.ews.test_series import Desk
from tests.servers.ews.server import EwsServer, Reply

ROUNDS = 40
_TAG = re.compile(rb"<[^>]+>")
_WORDS = (
    b"",
    b"NaN",
    b"9" * 400,
    b"true",
    b"2026-13-45T99:99:99Z",
    b"\xff\xfe",
    b"&#0;",
    b"<x/>",
    b"-1",
    b"\n" * 9,
)


def _without_a_tag(rng: random.Random, data: bytes) -> bytes:
    tags = list(_TAG.finditer(data))
    at = rng.choice(tags)
    return data[: at.start()] + data[at.end() :]


def _without_an_element(rng: random.Random, data: bytes) -> bytes:
    whole = list(re.finditer(rb"<(t|m):(\w+)[^>]*(/>|>[^<]*</\1:\2>)", data))
    at = rng.choice(whole)
    return data[: at.start()] + data[at.end() :]


def _another_text(rng: random.Random, data: bytes) -> bytes:
    texts = list(re.finditer(rb">([^<]+)<", data)) + list(re.finditer(rb'="([^"]*)"', data))
    at = rng.choice(texts)
    return data[: at.start(1)] + rng.choice(_WORDS) + data[at.end(1) :]


def _another_name(rng: random.Random, data: bytes) -> bytes:
    names = list({m[0] for m in re.finditer(rb"[tm]:\w+", data)})
    one, other = rng.choice(names), rng.choice(names)
    return data.replace(one, other)


def _twice(rng: random.Random, data: bytes) -> bytes:
    whole = list(re.finditer(rb"<(t|m):(\w+)[^>]*(/>|>[^<]*</\1:\2>)", data))
    at = rng.choice(whole)
    return data[: at.end()] + at[0] * rng.choice((1, 40)) + data[at.end() :]


SPOILS = (_without_a_tag, _without_an_element, _another_text, _another_name, _twice)


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__.strip("_"))
@pytest.mark.parametrize("known", KINDS)
def test_a_spoilt_answer_is_an_error_that_the_engine_knows(
    server: EwsServer, login: Opened, known: str, spoil: Callable[[random.Random, bytes], bytes]
) -> None:
    alice, kind = person(server, known), KINDS[known]
    ids = [alice.add(f"Number {n}") for n in range(3)]
    alice.tag(ids[0], "CRM")
    source = login()
    connector = folder(source, alice.folder.name)
    (record, *_) = (r for r in connector.fetch(ids) if isinstance(r, Record))
    title = "last_name" if kind is Kind.CONTACT else "subject"
    acts: list[Callable[[], object]] = [
        lambda: source.collections(),
        lambda: list(connector.changes(None, Selection(tag="CRM"))),
        lambda: list(connector.listing()),
        lambda: list(connector.fetch(ids)),
        lambda: list(connector.apply([Update(record.id, record.version, kind, {title: "x"})])),
        lambda: list(connector.apply([Delete(ids[2], "EQAAABYAAAAAAAAAAAA=")])),
        lambda: connector.named("somebody"),
    ]
    for number in range(ROUNDS):
        rng = random.Random(f"{known} {spoil.__name__} {number}")

        def spoilt(operation: str, body: bytes, rng: random.Random = rng) -> Reply:
            return Reply(200, spoil(rng, server.answer_of(body)))

        server.after = spoilt
        for act in acts:
            try:
                found = act()
            except ConnectorError:
                continue
            if isinstance(found, list):
                assert all(not isinstance(f, Unreadable) or f.reason for f in found)
    server.after = lambda operation, body: None
    assert {r.id for r in connector.fetch(ids) if isinstance(r, Record)} <= set(ids)


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__.strip("_"))
def test_a_spoilt_answer_about_mail_proves_nothing(
    server: EwsServer, login: Opened, spoil: Callable[[random.Random, bytes], bytes]
) -> None:
    post = Post(server, login)
    ids = [post.put(f"{n}@example.com", "CRM/Acme deal" if n else "Inbox", "CRM") for n in range(3)]
    record, connector = post.record(ids[0]), post.connector
    _, cursor = post.changes(None)
    acts: list[Callable[[], object]] = [
        lambda: list(connector.changes(None, Selection(tag="CRM"))),
        lambda: [i for page in connector.changes(cursor, Selection(tag="CRM")) for i in page.items],
        lambda: list(connector.listing()),
        lambda: list(connector.fetch(ids)),
        lambda: list(connector.apply([Update(record.id, record.version, Kind.EMAIL, {"status": "x"})])),
        lambda: connector.named("1@example.com"),
    ]
    for number in range(ROUNDS):
        rng = random.Random(f"mail {spoil.__name__} {number}")

        def spoilt(operation: str, body: bytes, rng: random.Random = rng) -> Reply:
            return Reply(200, spoil(rng, server.answer_of(body)))

        server.after = spoilt
        for act in acts:
            try:
                found = act()
            except ConnectorError:
                continue
            gone = [f for f in found if isinstance(f, Gone)] if isinstance(found, list) else []
            assert not gone or spoil in (_another_text, _without_an_element), (number, gone)
        server.after = lambda operation, body: None
        for id in ids:
            post.person.tag(id, "CRM")


@pytest.mark.parametrize("spoil", SPOILS, ids=lambda spoil: spoil.__name__.strip("_"))
def test_a_spoilt_answer_about_a_series(
    server: EwsServer, login: Opened, spoil: Callable[[random.Random, bytes], bytes]
) -> None:
    desk = Desk(server, login)
    id = desk.add()
    desk.person.occurrence(id, "2026-03-09", Location="Room 2")
    one = desk.record(f"{id}#20260316")
    acts: list[Callable[[], object]] = [
        desk.changes,
        lambda: list(desk.shown.fetch([id, one.id, f"{id}#20260309"])),
        lambda: list(desk.shown.apply([Update(one.id, one.version, Kind.APPOINTMENT, {"location": "x"})])),
        lambda: list(desk.shown.apply([Delete(one.id, "another")])),
    ]
    for number in range(ROUNDS):
        rng = random.Random(f"series {spoil.__name__} {number}")

        def spoilt(operation: str, body: bytes, rng: random.Random = rng) -> Reply:
            return Reply(200, spoil(rng, server.answer_of(body)))

        server.after = spoilt
        for act in acts:
            try:
                act()
            except ConnectorError:
                continue
        server.after = lambda operation, body: None
    assert not desk.item(id).removed


@pytest.mark.parametrize("part", ["Items", "IncludesLastItemInRange", "ItemId", "RootFolder"])
@pytest.mark.parametrize("operation", ["FindItem", "FindFolder"])
def test_a_part_of_an_answer_does_not_prove_that_a_message_is_gone(
    server: EwsServer, login: Opened, operation: str, part: str
) -> None:
    post = Post(server, login)
    id = post.put("1@example.com", "CRM/Acme deal")
    name = part.replace("Item", "Folder") if operation == "FindFolder" and "Range" not in part else part

    def cut(asked: str, body: bytes) -> Reply | None:
        if asked != operation:
            return None
        data = server.answer_of(body)
        if "Range" in name:
            return Reply(200, re.sub(rb' IncludesLastItemInRange="\w+"', b"", data))
        whole = rb"<(t|m):%s\b[^>]*?(/>|>.*</\1:%s>)" % (name.encode(), name.encode())
        return Reply(200, re.sub(whole, b"", data, count=1, flags=re.DOTALL))

    connector = post.connector
    server.after = cut
    with pytest.raises(ProtocolError):
        list(connector.fetch([id]))


@pytest.mark.parametrize("part", ["Changes", "IncludesLastItemInRange", "SyncState", "ItemId"])
def test_a_part_of_an_answer_is_no_listing(server: EwsServer, login: Opened, part: str) -> None:
    """What is missing from a complete listing is taken for deleted."""
    for n in range(3):
        person(server, "contacts").add(f"Person {n}")
    contacts = folder(login(), "Contacts")
    element = re.compile(rf"<(\w):{part}\b[^>]*(/>|>.*?</\1:{part}>)".encode(), re.DOTALL)
    server.after = lambda operation, body: Reply(200, element.sub(b"", server.answer_of(body), count=1))
    with pytest.raises(ProtocolError):
        list(contacts.listing())
    server.after = lambda operation, body: None


def test_a_server_that_never_comes_to_an_end(server: EwsServer, login: Opened) -> None:
    person(server, "contacts").add("Ada")
    contacts = folder(login(), "Contacts")
    more = (b"IncludesLastItemInRange>true", b"IncludesLastItemInRange>false")
    stuck: list[bytes] = []

    def same(operation: str, body: bytes) -> Reply:
        stuck[:] = stuck or [server.answer_of(body).replace(*more)]
        return Reply(200, stuck[0])

    server.after = same
    with pytest.raises(ProtocolError, match="does not come to the end"):
        list(contacts.listing())
    server.after = lambda operation, body: None


_BOMB = (
    '<!DOCTYPE s [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + ']><s x="&j;"/>'
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-7"])
def test_entities_are_not_let_in_where_large_texts_are(
    server: EwsServer, login: Opened, encoding: str
) -> None:
    post = Post(server, login)
    id = post.put("a@example.com", "Inbox", "CRM")
    bomb = f'<?xml version="1.0" encoding="{encoding}"?>{_BOMB}'.encode(encoding)
    server.after = lambda operation, body: Reply(200, bomb) if operation == "GetItem" else None
    began = time.monotonic()
    (answer,) = post.connector.fetch([id])
    assert isinstance(answer, Unreadable)
    assert time.monotonic() - began < 10


def test_what_it_quotes_of_an_item_is_not_told() -> None:
    error = conversation("ErrorSomethingNew", "The value 'a body' is invalid", "mail.example.com")
    assert str(error) == "mail.example.com: ErrorSomethingNew (The value … is invalid)"
