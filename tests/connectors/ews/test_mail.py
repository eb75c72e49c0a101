"""Mail on an Exchange server: the server finds what is tagged, and what the CRM says reaches marks and folders."""

from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from crmsync.connectors.contract import Done, Gone, Hidden, Kind, Record, Selection, Stale, Unreadable, Update
from crmsync.connectors.errors import Throttled
from tests.connectors.ews.conftest import ALICE, BOB, Opened
from tests.connectors.ews.post import TEXT, Post
from tests.servers.ews.person import FLAG
from tests.servers.ews.place import Item
from tests.servers.ews.server import EwsServer, Reply

Make = Callable[..., Post]
_TAGGED = Selection(tag="CRM")


@pytest.fixture
def post(server: EwsServer, login: Opened) -> Make:
    return lambda **settings: Post(server, login, **settings)


def flag(item: Item) -> str:
    found = item.extended.get(FLAG)
    return str(found[1].text) if found is not None else ""


# ── What is told ─────────────────────────────────────────────────────────────────────────────────────────────


def test_the_server_selects_what_is_tagged(server: EwsServer, post: Make) -> None:
    mine = post()
    mine.put("tagged@example.com", "Inbox", "CRM", "VIP")
    mine.put("filed@example.com", "CRM/Acme deal")
    for n in range(30):
        mine.put(f"other-{n}@example.com", "Inbox", "VIP")
    told, _ = mine.changes(None)
    assert told.keys() == {"tagged@example.com", "filed@example.com"}
    shown = [etree.fromstring(server.answer_of(r.body)) for r in server.seen("FindItem")]
    named = [e.text for answer in shown for e in answer.iter("{*}InternetMessageId")]
    assert sorted(named) == ["<filed@example.com>", "<tagged@example.com>"]


def test_one_tagged_among_ten_thousand_costs_a_look_and_a_search(server: EwsServer, post: Make) -> None:
    mine = post()
    for n in range(200):
        mine.put(f"other-{n}@example.com")
    _, cursor = mine.changes(None)
    mine.person.tag("other-7@example.com", "CRM")
    connector = mine.connector
    connector.named("warm@up")
    before = len(server.requests)
    pages = list(connector.changes(cursor, _TAGGED))
    assert [i.id for page in pages for i in page.items] == ["other-7@example.com"]
    assert [r.operation for r in server.requests[before:]] == ["FindFolder", "FindItem"]
    before = len(server.requests)
    assert next(iter(connector.changes(pages[-1].cursor, _TAGGED))).items == ()
    assert [r.operation for r in server.requests[before:]] == ["FindFolder"]


def test_a_server_that_does_not_say_whether_a_folder_changed_is_searched_each_time(
    server: EwsServer, post: Make
) -> None:
    server.place.tells_commits = False
    mine = post()
    id = mine.put("a@example.com", "Inbox", "CRM")
    told, cursor = mine.changes(None)
    assert told.keys() == {id}
    assert mine.changes(cursor)[0] == {}
    mine.person.tag(id, "CRM", "VIP")
    assert mine.changes(cursor)[0] == {id: mine.record(id).version}


def test_a_server_that_refuses_such_a_question_is_asked_for_less(server: EwsServer, post: Make) -> None:
    mine = post()
    id = mine.put("a@example.com", "Inbox", "CRM")
    connector = mine.connector
    server.fail("FindFolder", "ErrorInvalidPropertyRequest")
    for _ in range(2):
        pages = list(connector.changes(None, _TAGGED))
        assert [i.id for page in pages for i in page.items] == [id]
    asked = [b"0x670a" in r.body for r in server.seen("FindFolder")]
    assert asked[-3:] == [True, False, False]


@pytest.mark.parametrize("how", ["untagged", "deleted", "moved out", "renamed", "junk"])
def test_what_happens_to_a_tagged_message_is_told(server: EwsServer, post: Make, how: str) -> None:
    mine = post()
    id = mine.put("a@example.com", "CRM/Acme deal" if how in ("moved out", "renamed") else "Inbox", "Blue")
    if how not in ("moved out", "renamed"):
        mine.person.tag(id, "CRM", "Blue")
    before, cursor = mine.changes(None)
    (item,) = mine.person.items(id)
    match how:
        case "untagged":
            mine.person.tag(id, "Blue")
        case "deleted":
            mine.person.delete(id)
        case "junk":
            mine.person.move(item, mine.mailbox.known("junkemail"))
        case "moved out":
            mine.person.move(item, mine.mailbox.known("inbox"))
        case "renamed":
            mine.person.folder("CRM/Acme deal").name = "Beta deal"
    told, after = mine.changes(cursor)
    if how in ("deleted", "junk"):
        assert told == {id: None}
        assert mine.answer(id) == Gone(id)
    else:
        assert told == {id: mine.record(id).version}
        assert told != before
        assert mine.record(id).tags == ({"CRM", "Blue"} if how == "renamed" else {"Blue"})
    if how == "renamed":
        assert mine.record(id).columns["regarding"] == "Beta deal"
    assert mine.changes(after)[0] == {}


def test_a_move_between_folders_and_a_copy_are_the_same_item(server: EwsServer, post: Make) -> None:
    mine = post()
    id = mine.put("a@example.com", "Inbox", "CRM")
    first, cursor = mine.changes(None)
    mine.person.move(mine.person.items(id)[0], mine.person.folder("Archive"))
    assert mine.changes(cursor)[0] == {}
    mine.put(id, "CRM/Acme deal")
    told, cursor = mine.changes(cursor)
    assert told == {id: mine.record(id).version}
    assert mine.record(id).columns["regarding"] == "Acme deal"
    assert next(iter(mine.connector.listing())).id == id
    assert told[id] != first[id]


def test_only_named_folders_are_looked_into(post: Make) -> None:
    mine = post(folders=("Sales",))
    mine.put("in@example.com", "Sales", "CRM")
    mine.put("out@example.com", "Inbox", "CRM")
    mine.put("filed@example.com", "CRM")
    assert mine.changes(None)[0].keys() == {"in@example.com", "filed@example.com"}


def test_meeting_requests_are_mail_and_notes_are_not(post: Make) -> None:
    mine = post()
    text = 'Subject: Plan\nContent-Type: text/calendar; method="REQUEST"\n\nBEGIN:VCALENDAR\n'
    id = mine.put("meet@example.com", "Inbox", "CRM", kind="MeetingRequest", text=text)
    assert mine.changes(None)[0].keys() == {id}
    assert mine.record(id).columns["attachments"] == ("invitation.ics",)
    assert isinstance(mine.update(id, categories=("VIP",)), Done)
    assert mine.places(id) == {"Inbox": ("CRM", "VIP")}


def test_a_message_without_a_message_id_is_one_item_all_the_same(server: EwsServer, post: Make) -> None:
    mine = post()
    mine.put("", "Inbox", "CRM")
    told, cursor = mine.changes(None)
    (id,) = told
    record = mine.record(id)
    assert record.version == told[id]
    assert record.columns["from"] == "ada@example.com"
    (item,) = mine.mailbox.known("inbox").items.values()
    mine.person.move(item, mine.person.folder("Archive"))
    assert mine.changes(cursor)[0] == {}
    assert mine.record(id).columns == record.columns


def test_long_message_ids_are_read_whole(post: Make) -> None:
    mine = post()
    id = mine.put(f"{'x' * 400}@example.com", "Inbox", "CRM")
    assert mine.changes(None)[0].keys() == {id}
    assert mine.record(id).columns["message_id"] == id


# ── What it says ─────────────────────────────────────────────────────────────────────────────────────────────


def test_its_columns_are_those_that_imap_reads(post: Make) -> None:
    """The same bytes, the same reading: ``connectors/mail``."""
    mine = post(addresses=frozenset({"alice@example.com"}), attachment_limit=10)
    id = mine.put("a@example.com", "CRM/Acme deal", "VIP", flag=2, text=_FULL)
    record = mine.record(id)
    assert record.columns == {
        "subject": "Offer",
        "body_text": "Here it is.\n\n[Not copied, because larger than 10 bytes: plan.pdf (13 bytes)]",
        "body_html": None,
        "from": "alice@example.com",
        "to": ("ada@example.com",),
        "cc": ("carol@example.com",),
        "sent_at": record.columns["sent_at"],
        "message_id": "a@example.com",
        "thread": "first@example.com",
        "direction": "outgoing",
        "attachments": ("note.txt", "plan.pdf"),
        "status": "in_progress",
        "regarding": "Acme deal",
        "categories": ("VIP",),
    }
    assert record.tags == {"CRM", "VIP"}
    (small,) = record.attachments
    assert (small.name, small.read()) == ("note.txt", b"small")


def test_a_message_that_is_too_large_is_left_alone(server: EwsServer, post: Make, monkeypatch: Any) -> None:
    mine = post()
    id = mine.put("a@example.com", "Inbox", "CRM")
    real = Item.size
    monkeypatch.setattr(Item, "size", lambda item: real(item) + 50_000_000)
    found = mine.answer(id)
    assert isinstance(found, Unreadable)
    assert "50 MB" in found.reason
    assert b"MimeContent" not in server.requests[-1].body


def test_a_glance_opens_no_message(server: EwsServer, post: Make) -> None:
    mine = post()
    id = mine.put("a@example.com", "CRM/Acme deal", "VIP", flag=2)
    before = len(server.seen("GetItem"))
    seen, gone = mine.connector.glance([id, "nobody@example.com"])
    assert isinstance(seen, Record)
    assert seen.columns == {"status": "in_progress", "categories": ("VIP",), "regarding": "Acme deal"}
    assert seen.version == mine.record(id).version
    assert gone == Gone("nobody@example.com")
    assert len(server.seen("GetItem")) == before + 1  # that of the record


def test_a_message_with_a_large_file_is_read(server: EwsServer, post: Make) -> None:
    """libxml2 takes texts of ten million characters, unless it is told otherwise."""
    server.place.largest_item = 100_000_000
    mine = post()
    id = mine.put("a@example.com", "Inbox", "CRM", text="Subject: x\n\n" + f"{'y' * 99}\n" * 90_000)
    assert mine.record(id).columns["subject"] == "x"


def test_one_that_cannot_be_read_costs_no_other(server: EwsServer, post: Make) -> None:
    mine = post()
    ids = [mine.put(f"{n}@example.com", "Inbox", "CRM") for n in range(3)]
    doomed = mine.person.items(ids[1])[0].id.encode()
    server.after = lambda operation, body: (
        Reply(200, b"<broken") if operation == "GetItem" and doomed in body else None
    )
    kinds = [type(answer) for answer in mine.connector.fetch(ids)]
    assert kinds == [Record, Unreadable, Record]


def test_a_busy_server_is_not_pressed(server: EwsServer, post: Make) -> None:
    mine = post()
    id = mine.put("a@example.com", "Inbox", "CRM")
    connector = mine.connector
    for operation in ("FindItem", "GetItem"):
        server.fail(operation, "ErrorServerBusy")
        with pytest.raises(Throttled):
            list(connector.fetch([id]))


# ── What the CRM says ────────────────────────────────────────────────────────────────────────────────────────


def test_status_is_the_flag_and_categories_are_categories(post: Make) -> None:
    mine = post()
    id = mine.put("a@example.com", "Inbox", "CRM", "work")
    before = mine.person.unmapped(id)
    assert mine.record(id).columns["status"] == "completed"
    outcome = mine.update(id, status="waiting", categories=("Große Kunden", "VIP"))
    assert isinstance(outcome, Done)
    assert outcome.record is not None
    assert outcome.record.columns["status"] == "in_progress"
    assert outcome.record.columns["categories"] == ("Große Kunden", "VIP")
    assert mine.places(id) == {"Inbox": ("CRM", "Große Kunden", "VIP")}
    assert flag(mine.person.items(id)[0]) == "2"
    assert isinstance(mine.update(id, status="completed"), Done)
    assert flag(mine.person.items(id)[0]) == "1"
    assert mine.person.unmapped(id) == before


def test_regarding_moves_what_lies_in_the_folder_and_nothing_else(post: Make) -> None:
    mine = post()
    filed = mine.put("filed@example.com", "CRM")
    loose = mine.put("loose@example.com", "Inbox", "CRM")
    before = mine.person.unmapped(filed)
    assert isinstance(mine.update(filed, regarding="Babbage & Co. / Engines"), Done)
    assert mine.record(filed).columns["regarding"] == "Babbage & Co. / Engines"
    assert isinstance(mine.update(filed, regarding=None), Done)
    assert mine.places(filed) == {"CRM": ()}
    assert mine.person.unmapped(filed) == before
    assert isinstance(mine.update(loose, regarding="Acme deal"), Done)
    assert mine.places(loose) == {"Inbox": ("CRM",)}
    assert "regarding" not in mine.record(loose).columns


def test_where_it_is_wished_for_what_is_tagged_moves_into_the_folder(post: Make) -> None:
    mine = post(file=True)
    id = mine.put("a@example.com", "Inbox", "CRM")
    assert isinstance(mine.update(id, regarding="Acme deal"), Done)
    assert mine.places(id) == {"Acme deal": ("CRM",)}


@pytest.mark.parametrize(
    ("folders", "settings", "left"),
    [
        ({"Inbox": "CRM"}, {}, {"Inbox": ()}),
        ({"CRM/Acme deal": ""}, {}, {"Inbox": ()}),
        ({"CRM/Acme deal": "", "Archive": ""}, {}, {"Archive": (), "Deleted Items": ()}),
        ({"Inbox": "CRM"}, {"delete_messages": True}, {"Deleted Items": ()}),
    ],
)
def test_what_is_deleted_in_the_crm_is_tagged_no_longer(
    post: Make, folders: dict[str, str], settings: dict[str, Any], left: dict[str, tuple[str, ...]]
) -> None:
    mine = post(**settings)
    for folder, word in folders.items():
        mine.put("a@example.com", folder, *filter(None, [word]))
    assert mine.delete("a@example.com") == Done("a@example.com", "")
    assert mine.places("a@example.com") == left
    if "Deleted Items" not in left or len(left) > 1:
        assert mine.record("a@example.com").tags == frozenset()


def test_no_receipt_is_sent_for_what_is_thrown_away_unread(server: EwsServer, post: Make) -> None:
    mine = post(delete_messages=True)
    id = mine.put("a@example.com", "Inbox", "CRM")
    mine.person.items(id)[0].put("IsReadReceiptRequested", "true")
    mine.delete(id)
    assert server.outbox == []


def test_a_mark_that_somebody_sets_meanwhile_is_not_overwritten(server: EwsServer, post: Make) -> None:
    mine = post()
    id = mine.put("a@example.com", "Inbox", "CRM")
    record, connector = mine.record(id), mine.connector
    update = Update(id, record.version, Kind.EMAIL, {"categories": ("Ours",)})
    reply = server.before
    server.before = lambda operation, body: (
        mine.person.tag(id, "CRM", "Theirs") if operation == "UpdateItem" else reply(operation, body)
    )
    assert list(connector.apply([update])) == [Stale(id)]
    server.before = reply
    assert mine.places(id) == {"Inbox": ("CRM", "Theirs")}


# ── Answers, delegates ───────────────────────────────────────────────────────────────────────────────────────


def test_answers_are_tagged_where_the_account_says_so(post: Make) -> None:
    mine = post(track_answers=True)
    first = mine.put("first@example.com", "Inbox", "CRM")
    mine.put("old-answer@example.com", text=f"In-Reply-To: <{first}>\n{TEXT}")
    _, cursor = mine.changes(None)
    answer = mine.put("answer@example.com", text=f"In-Reply-To: <{first}>\n{TEXT}", later=1)
    mine.put("other@example.com", text=f"In-Reply-To: <stranger@example.com>\n{TEXT}", later=1)
    assert mine.changes(cursor, look_only=True)[0] == {}
    told, _ = mine.changes(cursor)
    assert told == {answer: mine.record(answer).version}
    assert mine.places(answer) == {"Inbox": ("CRM",)}
    assert mine.places("old-answer@example.com") == {"Inbox": ()}


def test_a_delegate_sees_the_mail_that_is_shared_and_proves_nothing(server: EwsServer, login: Opened) -> None:
    bob = server.place.mailboxes[BOB]
    assert not [c for c in _shared(server, login) if Kind.EMAIL in c.kinds]
    bob.known("inbox").rights[ALICE] = "Editor"
    (mail,) = (c for c in _shared(server, login) if Kind.EMAIL in c.kinds)
    assert (mail.id, mail.owner) == (f"mail/{BOB}", BOB)
    theirs = Post(server, login, BOB)
    id = theirs.put("a@example.com", "Inbox", "CRM")
    _, cursor = theirs.changes(None)
    assert isinstance(theirs.update(id, status="in_progress"), Done)
    theirs.person.delete(id)
    told, _ = theirs.changes(cursor)
    assert told == {id: "?"}
    assert theirs.answer(id) == Hidden(id)


def _shared(server: EwsServer, login: Opened) -> Any:
    server.place.mailboxes[BOB].known("calendar").rights[ALICE] = "Editor"
    return login(mailbox=BOB).collections()


_FULL = """From: Alice <alice@example.com>
To: ada@example.com
Cc: carol@example.com
Subject: Offer
Date: Mon, 02 Mar 2026 10:00:00 +0100
References: <first@example.com> <second@example.com>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

Here it is.
--b
Content-Type: text/plain; name=note.txt
Content-Disposition: attachment; filename=note.txt

small
--b
Content-Type: application/pdf
Content-Disposition: attachment; filename=plan.pdf

thirteen byte
--b--
"""
