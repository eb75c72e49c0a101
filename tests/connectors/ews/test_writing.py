"""Writes in batches: what becomes of each when some go wrong, and that nothing is written twice, over or to anybody."""

from collections.abc import Iterator

import pytest

from crmsync.connectors.contract import (
    Create,
    Deferred,
    Delete,
    Done,
    Kind,
    Outcome,
    Record,
    Refused,
    Stale,
    Stamp,
    Update,
)
from crmsync.connectors.errors import ConnectorError, Throttled, Unreachable
from tests.connectors.ews.conftest import ALICE, KINDS, Opened, folder, person
from tests.servers.ews.server import EwsServer, Reply


def updates(records: list[Record], title: str = "job_title") -> list[Update]:
    return [Update(r.id, r.version, r.kind, {title: "Edited"}) for r in records]


@pytest.fixture
def people(server: EwsServer) -> list[str]:
    return [person(server, "contacts").add(f"Person {n}") for n in range(4)]


_FATES: dict[str, object] = {
    "ErrorIrresolvableConflict": Stale,
    "ErrorItemNotFound": Stale,
    "ErrorAccessDenied": ("forbidden", "may not write"),
    "ErrorQuotaExceeded": ("quota", "full"),
    "ErrorMessageSizeExceeded": ("too_large", "larger"),
    "ErrorSomethingNew": ("refused", "asked for by a test"),
    "ErrorServerBusy": Deferred,
    "ErrorMailboxStoreUnavailable": Deferred,
}


@pytest.mark.parametrize("code", _FATES)
def test_one_that_fails_costs_no_other(
    server: EwsServer, login: Opened, people: list[str], code: str
) -> None:
    contacts = folder(login(), "Contacts")
    records = [r for r in contacts.fetch(people) if isinstance(r, Record)]
    server.fail("UpdateItem", code, item=people[1])
    first, second, *rest = contacts.apply(updates(records))
    assert all(isinstance(o, Done) for o in (first, *rest))
    match _FATES[code], second:
        case (str(short), str(words)), Refused(id, known, reason):
            assert (id, known) == (people[1], short)
            assert words in reason
        case type() as kind, _:
            assert isinstance(second, kind)
        case other:
            pytest.fail(str(other))
    titles = [r.columns["job_title"] for r in contacts.fetch(people) if isinstance(r, Record)]
    assert titles == ["Edited", None, "Edited", "Edited"]


def test_a_create_whose_answer_was_lost_makes_no_second_item(server: EwsServer, login: Opened) -> None:
    contacts = folder(login(), "Contacts")
    creates = [Create(f"k{n}", Kind.CONTACT, {"last_name": f"New {n}"}) for n in range(3)]
    server.after = lambda operation, body: Reply(502) if operation == "CreateItem" else None
    with pytest.raises(Unreachable):
        list(contacts.apply(creates))
    server.after = lambda operation, body: None
    assert len(server.place.mailboxes[ALICE].known("contacts").items) == 3
    outcomes = [o for o in contacts.apply(creates) if isinstance(o, Done)]
    assert [(o.found, o.record is not None) for o in outcomes] == [(True, True)] * 3
    assert len(server.place.mailboxes[ALICE].known("contacts").items) == 3


def test_an_update_whose_answer_was_lost_is_seen_as_another_version(
    server: EwsServer, login: Opened, people: list[str]
) -> None:
    contacts = folder(login(), "Contacts")
    records = [r for r in contacts.fetch(people) if isinstance(r, Record)]
    server.after = lambda operation, body: Reply(502) if operation == "UpdateItem" else None
    with pytest.raises(Unreachable):
        list(contacts.apply(updates(records)))
    server.after = lambda operation, body: None
    assert [type(o) for o in contacts.apply(updates(records))] == [Stale] * 4


def test_what_was_written_is_told_even_if_it_cannot_be_read_back(
    server: EwsServer, login: Opened, people: list[str]
) -> None:
    contacts = folder(login(), "Contacts")
    records = [r for r in contacts.fetch(people) if isinstance(r, Record)]
    server.before = lambda operation, body: Reply(502) if operation == "GetItem" else None
    told, error = until_it_breaks(contacts.apply(updates(records)))
    assert isinstance(error, Unreachable)
    items = server.place.mailboxes[ALICE].known("contacts").items
    assert told == [Done(id, items[id].change_key) for id in people]


def test_what_came_before_a_pause_is_told(server: EwsServer, login: Opened) -> None:
    """Groups are sent one after the other; a pause that is asked for in between undoes none."""
    contacts = folder(login(), "Contacts")
    creates = [Create(f"k{n}", Kind.CONTACT, {"last_name": f"New {n}"}) for n in range(70)]
    sent = [0]

    def before(operation: str, body: bytes) -> Reply | None:
        sent[0] += operation == "CreateItem"
        return Reply(503, b"", {"Retry-After": "9"}) if operation == "CreateItem" and sent[0] == 2 else None

    server.before = before
    told, error = until_it_breaks(contacts.apply(creates))
    assert isinstance(error, Throttled)
    assert [type(o) for o in told] == [Done] * 50


def until_it_breaks(outcomes: Iterator[Outcome]) -> tuple[list[Outcome], ConnectorError | None]:
    told: list[Outcome] = []
    try:
        for outcome in outcomes:
            told.append(outcome)
    except ConnectorError as error:
        return told, error
    return told, None


@pytest.mark.parametrize("known", KINDS)
def test_every_write_says_that_nothing_is_to_be_sent(server: EwsServer, login: Opened, known: str) -> None:
    """Attendees on the item, and all three kinds of write; the outbox is looked at by the fixture."""
    alice, kind = person(server, known), KINDS[known]
    id = alice.add("Meeting")
    connector = folder(login(), alice.folder.name)
    (record,) = (r for r in connector.fetch([id]) if isinstance(r, Record))
    title = "last_name" if kind is Kind.CONTACT else "subject"
    (done,) = connector.apply([Update(id, record.version, kind, {title: "Moved"}, tag="CRM")])
    assert isinstance(done, Done)
    assert [type(o) for o in connector.apply([Delete(id, done.version)])] == [Done]
    for operation, attribute in (
        ("UpdateItem", b'SendMeetingInvitationsOrCancellations="SendToNone"'),
        ("DeleteItem", b'SendMeetingCancellations="SendToNone"'),
    ):
        assert all(attribute in request.body for request in server.seen(operation))
    assert all(b'ConflictResolution="NeverOverwrite"' in r.body for r in server.seen("UpdateItem"))
    assert all(b'DeleteType="MoveToDeletedItems"' in r.body for r in server.seen("DeleteItem"))
    assert len(server.place.mailboxes[ALICE].known("deleteditems").items) == 1


def test_a_deleted_item_comes_back_whole_or_from_its_columns(server: EwsServer, login: Opened) -> None:
    alice = person(server, "contacts")
    id = alice.add("Lovelace")
    contacts = folder(login(), "Contacts")
    (before,) = (r for r in contacts.fetch([id]) if isinstance(r, Record))
    unmapped = alice.unmapped(id)
    back = Create(before.uid, Kind.CONTACT, before.columns, native=before.native)
    list(contacts.apply([Delete(id, before.version)]))
    (whole,) = (o for o in contacts.apply([back]) if isinstance(o, Done))
    assert alice.unmapped(whole.id) == unmapped
    assert server.place.mailboxes[ALICE].known("deleteditems").items == {}
    list(contacts.apply([Delete(whole.id, whole.version)]))
    server.place.mailboxes[ALICE].known("deleteditems").items.clear()
    (anew,) = (o for o in contacts.apply([back]) if isinstance(o, Done))
    assert anew.record is not None
    assert anew.record.columns["last_name"] == "Lovelace"


@pytest.mark.parametrize("native", ["ews:", "ews:xyz", "ews:0", "BEGIN:VCARD"])
def test_a_text_of_somewhere_else_is_no_item_of_ours(login: Opened, native: str) -> None:
    contacts = folder(login(), "Contacts")
    (done,) = contacts.apply([Create("k", Kind.CONTACT, {"last_name": "Ada"}, native=native)])
    assert isinstance(done, Done)


def test_a_long_stamp_survives_whole(login: Opened) -> None:
    """FindItem cuts strings at 255 characters; GetItem does not."""
    contacts = folder(login(), "Contacts")
    stamp = Stamp("00D" + "x" * 200, "003" + "y" * 200, "k", 12, "m" * 64)
    (done,) = contacts.apply([Create("k", Kind.CONTACT, {"last_name": "Ada"}, stamp=stamp)])
    assert isinstance(done, Done)
    assert done.record is not None
    assert done.record.stamp == stamp


def test_a_series_is_left_alone(server: EwsServer, login: Opened) -> None:
    from lxml import etree

    from tests.servers.ews.schema import T

    alice = person(server, "calendar")
    id = alice.add("Every week")
    alice.folder.items[id].fields["Recurrence"] = etree.Element(T + "Recurrence")
    calendar = folder(login(), "Calendar")
    (record,) = (r for r in calendar.fetch([id]) if isinstance(r, Record))
    assert record.untouchable == "recurring"
    (outcome,) = calendar.apply([Update(id, record.version, Kind.APPOINTMENT, {"subject": "x"})])
    assert isinstance(outcome, Refused)
    assert server.seen("UpdateItem") == []


def test_a_distribution_list_is_left_alone(server: EwsServer, login: Opened) -> None:
    place = server.place
    with place.lock:
        item = place.add(place.mailboxes[ALICE].known("contacts"), "DistributionList")
        item.put("DisplayName", "Everybody")
        place.keep(item)
    contacts = folder(login(), "Contacts")
    assert [ref.id for ref in contacts.listing()] == [item.id]
    (record,) = (r for r in contacts.fetch([item.id]) if isinstance(r, Record))
    assert record.untouchable == "list"
