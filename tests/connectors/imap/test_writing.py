"""What the CRM says of a message reaches its flags and its folder, and nothing else of it."""

from collections.abc import Callable

import pytest

from crmsync.connectors.contract import Create, Delete, Done, Kind, Refused, Stale, Update, Value
from tests.connectors.imap.conftest import Box

pytestmark = pytest.mark.server
Make = Callable[..., Box]
TEXT = "From: Ada <ada@example.com>\nX-Odd:  kept \nSubject: x\n\nHello\n"


def raw(box: Box, folder: str, uid: str = "1") -> bytes:
    with box.server.session(box.user) as mail:
        mail.select(f'"{folder}"', readonly=True)
        return bytes(mail.uid("FETCH", uid, "(BODY.PEEK[])")[1][0][1])


def folders(box: Box) -> dict[str, int]:
    """How many messages each folder has that has any."""
    with box.server.session(box.user) as mail:
        names = [line.decode().rpartition('"/" ')[2].strip('"') for line in mail.list()[1]]
        counts = {name: mail.select(f'"{name}"', readonly=True) for name in names}
    return {n: int(data[0]) for n, (answer, data) in counts.items() if answer == "OK" and data[0] != b"0"}


def update(box: Box, id: str, **columns: Value) -> object:
    record = box.record(id)
    (outcome,) = box.connector.apply([Update(id, record.version, Kind.EMAIL, columns)])
    return outcome


def test_status_is_the_flag_and_categories_are_keywords(box: Make) -> None:
    mine = box()
    id = mine.put("a@example.com", flags="$CRM \\Seen work $label1", text=TEXT)
    before = raw(mine, "INBOX")
    assert mine.record(id).columns["categories"] == ("work",)
    assert mine.record(id).columns["status"] == "completed"
    outcome = update(mine, id, status="waiting", categories=("Große Kunden", "VIP"))
    assert isinstance(outcome, Done)
    assert outcome.record is not None
    assert outcome.record.columns["status"] == "in_progress"
    assert outcome.record.columns["categories"] == ("große kunden", "vip")
    with mine.server.session(mine.user) as mail:
        mail.select("INBOX", readonly=True)
        flags = mail.uid("FETCH", "1", "(FLAGS)")[1][0]
    assert all(f in flags for f in (b"$CRM", b"\\Seen", b"$label1", b"\\Flagged", b"vip"))
    assert raw(mine, "INBOX") == before


def test_regarding_moves_what_lies_in_the_folder(box: Make) -> None:
    mine = box()
    id = mine.put("a@example.com", "CRM", text=TEXT)
    before = raw(mine, "CRM")
    assert isinstance(update(mine, id, regarding="Babbage & Co. / Engines"), Done)
    assert mine.record(id).columns["regarding"] == "Babbage & Co. / Engines"
    assert isinstance(update(mine, id, regarding=None), Done)
    assert folders(mine) == {"CRM": 1}
    assert raw(mine, "CRM", "2") == before


def test_regarding_leaves_alone_what_lies_elsewhere_unless_it_is_to_be_filed(box: Make) -> None:
    mine, filing = box(), box(file=True)
    for each, folder in ((mine, "INBOX"), (filing, "CRM/Deal")):
        id = each.put("a@example.com", flags="$CRM")
        update(each, id, regarding="Deal")
        assert folders(each) == {folder: 1}


def test_a_change_since_is_stale(box: Make) -> None:
    mine = box()
    id = mine.put("a@example.com", flags="$CRM")
    version = mine.record(id).version
    mine.store("INBOX", "1", "+", "\\Flagged")
    writes = [Update(id, version, Kind.EMAIL, {"status": "completed"}), Delete(id, version)]
    assert list(mine.connector.apply(writes)) == [Stale(id), Stale(id)]


def test_a_delete_takes_the_tag_away(box: Make) -> None:
    mine = box()
    marked, filed = mine.put("a@example.com", flags="$CRM"), mine.put("b@example.com", "CRM/Deal")
    copied = mine.put("c@example.com", flags="$CRM")
    mine.put(copied, "CRM")
    for id in (marked, filed, copied):
        assert list(mine.connector.apply([Delete(id, mine.record(id).version)])) == [Done(id, "")]
    assert folders(mine) == {"INBOX": 3, "Trash": 1}  # the second copy is thrown away, not multiplied
    assert all(mine.record(id).tags == frozenset() for id in (marked, filed, copied))


def test_a_delete_goes_to_the_trash_where_that_was_switched_on(box: Make) -> None:
    mine = box(delete_messages=True)
    id = mine.put("a@example.com", flags="$CRM")
    list(mine.connector.apply([Delete(id, mine.record(id).version)]))
    assert folders(mine) == {"Trash": 1}


def test_without_the_right_to_write_it_is_refused(box: Make) -> None:
    owner, delegate = box(), box()
    id = owner.put("a@example.com", flags="$CRM")
    owner.server.share("INBOX", owner=owner.user, to=delegate.user, rights="lr")
    source = delegate.login_to(owner)
    collection = next(c for c in source.collections() if c.owner)
    connector = source.open(collection)
    (record,) = connector.fetch([id])
    (outcome,) = connector.apply([Update(id, record.version, Kind.EMAIL, {"status": "in_progress"})])  # type: ignore[union-attr]
    assert isinstance(outcome, Refused | Stale)
    source.close()


def test_what_we_made_ourselves_is_deleted(box: Make) -> None:
    mine = box()
    (made,) = mine.connector.apply([Create("k", Kind.EMAIL, {"subject": "Trial", "to": ("a@b.example",)})])
    assert isinstance(made, Done)
    assert folders(mine) == {"INBOX": 1}
    assert list(mine.connector.apply([Delete(made.id, made.version)])) == [Done(made.id, "")]
    assert folders(mine) == {}
