"""What is found of a mailbox, and what it costs."""

from collections.abc import Callable

import pytest

from crmsync.connectors.contract import Gone, Hidden, Ref, Selection
from crmsync.connectors.errors import CursorExpired
from crmsync.connectors.imap.client import Server
from crmsync.connectors.imap.settings import Settings
from tests.connectors.imap.conftest import Box
from tests.servers.dovecot import dovecot
from tests.servers.turns import counted

pytestmark = pytest.mark.server
Make = Callable[..., Box]


def test_one_newly_tagged_message_among_ten_thousand(box: Make) -> None:
    """At most five round trips, the opening of the folder among them, and two thousand bytes."""
    mine = box()
    mine.server.fill(mine.user, 10_000)
    with counted(mine.server.port) as relay:
        mine.source = mine.login(at=Server("127.0.0.1", relay.port, tls="plain"))
        connector = mine.connector
        (first,) = connector.changes(None, Selection(tag="CRM"))
        assert first.items == ()
        relay.forget()
        (same,) = connector.changes(first.cursor, Selection(tag="CRM"))
        assert (same.items, same.cursor) == ((), first.cursor)
        assert relay.turns <= 2  # one to leave the folder, one to ask how all of them stand
        (page,) = connector.changes(same.cursor, Selection(tag="CRM"))
        relay.forget()
        mine.store("INBOX", "7000", "+", "$CRM")
        (page,) = connector.changes(page.cursor, Selection(tag="CRM"))
        assert [item.id for item in page.items] == ["old-6999@example.com"]
        assert relay.turns <= 5
        assert relay.bytes < 2000


def test_without_extensions_the_same_is_found() -> None:
    """No CONDSTORE, ESEARCH, LIST-STATUS, MOVE, UIDPLUS, NAMESPACE: RFC 3501 alone."""
    with dovecot(capability="IMAP4rev1") as plain:
        mine = Box(plain)
        tagged = mine.put("a@example.com", flags="$CRM")
        filed = mine.put("b@example.com", "CRM/Deal")
        mine.put("c@example.com")
        told, cursor = mine.changes(None)
        assert set(told) == {tagged, filed}
        assert mine.record(filed).columns["regarding"] == "Deal"
        mine.store("INBOX", "2", "+", "$CRM")
        mine.store("INBOX", "1", "+", "\\Flagged")
        told, cursor = mine.changes(cursor)
        assert {"c@example.com", tagged} <= set(told)
        mine.store("INBOX", "1", "-", "$CRM")
        told, cursor = mine.changes(cursor)
        assert told[tagged] == mine.record(tagged).version
        assert mine.record(tagged).tags == frozenset()
        mine.source.close()


def test_a_message_that_moves_stays_the_same_item(box: Make) -> None:
    mine = box()
    id = mine.put("a@example.com", flags="$CRM")
    _, cursor = mine.changes(None)
    with mine.server.session(mine.user) as mail:
        mail.create("Archive")
        mail.select("INBOX")
        mail._simple_command("UID", "MOVE", "1", "Archive")  # type: ignore[attr-defined]
    told, cursor = mine.changes(cursor)
    assert told == {id: mine.record(id).version}
    assert mine.changes(cursor)[0] == {}


def test_a_copy_is_no_second_item_and_its_folder_tells(box: Make) -> None:
    mine = box()
    id = mine.put("a@example.com", flags="$CRM")
    _, cursor = mine.changes(None)
    assert "regarding" not in mine.record(id).columns
    mine.put(id, "CRM/Acme deal")
    told, cursor = mine.changes(cursor)
    assert told == {id: mine.record(id).version}
    assert mine.record(id).columns["regarding"] == "Acme deal"


def test_untagged_is_told_with_its_version_and_thrown_away_as_gone(box: Make) -> None:
    mine = box()
    untagged, trashed = (mine.put(f"{n}@example.com", flags="$CRM") for n in "ab")
    _, cursor = mine.changes(None)
    mine.store("INBOX", "1", "-", "$CRM")
    with mine.server.session(mine.user) as mail:
        mail.select("INBOX")
        mail._simple_command("UID", "MOVE", "2", "Trash")  # type: ignore[attr-defined]
    told, _ = mine.changes(cursor)
    assert told == {untagged: mine.record(untagged).version, trashed: None}


def test_reading_a_message_is_no_change_of_it_and_marks_nothing(box: Make) -> None:
    mine = box()
    id = mine.put("a@example.com", flags="$CRM")
    told, cursor = mine.changes(None)
    mine.record(id)
    with mine.server.session(mine.user) as mail:
        mail.select("INBOX", readonly=True)
        assert b"\\Seen" not in mail.uid("FETCH", "1", "(FLAGS)")[1][0]
    mine.store("INBOX", "1", "+", "\\Seen")
    assert mine.changes(cursor)[0] in ({}, told)


def test_a_message_without_an_id_is_known_by_its_headers(box: Make) -> None:
    mine = box()
    text = "From: a@example.com\nDate: Mon, 02 Mar 2026 10:00:00 +0000\nSubject: {}\n\nx\n"
    for subject in ("One", "Two"):
        mine.put("", flags="$CRM", text=text.format(subject))
    told, cursor = mine.changes(None)
    assert sorted(str(mine.record(id).columns["subject"]) for id in told) == ["One", "Two"]
    again = mine.login()
    connector = again.open(again.collections()[0])
    assert {r.id for r in connector.fetch(list(told))} == set(told)  # by somebody who has not seen them yet
    again.close()
    assert mine.changes(cursor)[0] == {}


def test_numbered_anew_is_a_lost_cursor(box: Make) -> None:
    mine = box()
    with mine.server.session(mine.user) as mail:
        mail.create("Projects")
    mine.put("a@example.com", "Projects", "$CRM")
    _, cursor = mine.changes(None)
    with mine.server.session(mine.user) as mail:
        mail.delete("Projects")
        mail.create("Projects")
    mine.put("a@example.com", "Projects", "$CRM")
    with pytest.raises(CursorExpired):
        mine.changes(cursor)


def test_only_the_folders_that_were_asked_for(box: Make) -> None:
    mine = box(folders=("Projects",))
    mine.put("a@example.com", flags="$CRM")
    told = {mine.put("b@example.com", "Projects", "$CRM"), mine.put("c@example.com", "CRM")}
    assert set(mine.changes(None)[0]) == told


def test_shared_folders_are_their_owners(box: Make) -> None:
    """A delegate tags in the owner's folder: the owner's account finds it, the delegate's does not. A login that was
    given the owner's mailbox by name finds it there."""
    owner, delegate = box(), box()
    owner.put("a@example.com")
    owner.server.share("INBOX", owner=owner.user, to=delegate.user)
    with delegate.server.session(delegate.user) as mail:
        mail.select(f"shared/{owner.user}")
        assert mail.uid("STORE", "1", "+FLAGS", "($CRM)")[0] == "OK"
    assert delegate.changes(None)[0] == {}
    assert list(owner.changes(None)[0]) == ["a@example.com"]
    service = delegate.login_to(owner)
    collections = {c.name: c for c in service.collections()}
    assert collections[owner.user].owner == owner.user
    (page,) = service.open(collections[owner.user]).changes(None, Selection(tag="CRM"))
    assert [item.id for item in page.items] == ["a@example.com"]
    service.close()


@pytest.mark.parametrize("rights", ["lr", "lrw"])
def test_a_shared_mailbox_says_who_may_tag_there(box: Make, rights: str) -> None:
    owner, reader = box(), box()
    owner.server.share("INBOX", owner=owner.user, to=reader.user, rights=rights)
    source = reader.login_to(owner)
    assert [(c.name, c.writable) for c in source.collections()] == [
        ("Mail", True),
        (owner.user, rights == "lrw"),
    ]
    source.close()


@pytest.mark.parametrize("ours", [False, True])
def test_answers_in_a_shared_mailbox_are_its_owners_to_track(box: Make, ours: bool) -> None:
    """``ours``: the login reads for the owner."""
    owner, reader = box(), box()
    owner.put("a@example.com", flags="$CRM")
    owner.server.share("INBOX", owner=owner.user, to=reader.user)
    addresses = frozenset({owner.user if ours else reader.user})
    source = reader.login_to(owner, Settings(track_answers=True, addresses=addresses))
    (shared,) = (c for c in source.collections() if c.owner)
    connector, selection = source.open(shared), Selection(tag="CRM")
    (page,) = connector.changes(None, selection)
    owner.put("b@example.com", text="In-Reply-To: <a@example.com>\nSubject: Re\n\nYes\n")
    (page,) = connector.changes(page.cursor, selection)
    assert [item.id for item in page.items] == (["b@example.com"] if ours else [])
    source.close()


@pytest.mark.parametrize("tag", ["CRM", "Sales team", "Ärger"])
def test_the_tag_is_the_accounts(box: Make, tag: str) -> None:
    mine = box(tag=tag)
    keyword = mine.source._settings.own
    id = mine.put("a@example.com", flags=keyword)
    assert list(mine.changes(None, tag)[0]) == [id]
    assert tag in mine.record(id).tags


def test_a_share_that_was_withdrawn_proves_nothing(box: Make) -> None:
    owner, delegate = box(), box()
    id = owner.put("a@example.com", flags="$CRM")
    owner.server.share("INBOX", owner=owner.user, to=delegate.user, rights="lrwts")
    source = delegate.login_to(owner)
    collection = next(c for c in source.collections() if c.owner)
    (page,) = source.open(collection).changes(None, Selection(tag="CRM"))
    source.close()
    owner.server.share("INBOX", owner=owner.user, to=delegate.user, rights="")
    source = delegate.login_to(owner)
    (later,) = source.open(collection).changes(page.cursor, Selection(tag="CRM"))
    assert later.items == (Ref(id, "?"),)
    assert list(source.open(collection).fetch([id])) == [Hidden(id)]
    source.close()


def test_a_broken_message_id_is_found_again_and_proves_nothing_when_it_is_not(box: Make) -> None:
    mine = box()
    mine.put("", flags="$CRM", text="Message-ID: <with blanks in it>\nSubject: x\n\nx\n")
    ((id, _),) = mine.changes(None)[0].items()
    again = mine.login()
    connector = again.open(again.collections()[0])
    assert [r.id for r in connector.fetch([id])] == [id]
    odd = "br\xf6ken@example.com"
    assert list(connector.fetch([odd])) == [Hidden(odd)]
    assert list(connector.fetch(["none@example.com"])) == [Gone("none@example.com")]
    again.close()
