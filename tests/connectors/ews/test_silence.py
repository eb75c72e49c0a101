"""Nobody is ever told of what we write: neither attendees, nor senders who want a receipt. The outbox stays empty."""

import re
from datetime import UTC

import pytest
from lxml import etree

from crmsync.connectors.abilities import Window
from crmsync.connectors.contract import Create, Delete, Done, Kind, Record, Stamp, Update
from crmsync.connectors.ews import wire
from crmsync.connectors.ews.people import Attendees, Organizer
from tests.connectors.ews.conftest import ALICE, Opened, folder, person
from tests.servers.ews.schema import T
from tests.servers.ews.server import EwsServer

_WRITES = ("CreateItem", "UpdateItem", "DeleteItem", "MoveItem")
_PEOPLE = """
<t:Organizer><t:Mailbox><t:EmailAddress>Alice@Example.com</t:EmailAddress></t:Mailbox></t:Organizer>
<t:RequiredAttendees>
  <t:Attendee><t:Mailbox><t:EmailAddress>Ada@example.com</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType></t:Mailbox>
    <t:ResponseType>Accept</t:ResponseType></t:Attendee>
  <t:Attendee><t:Mailbox><t:EmailAddress>/O=ORG/CN=GRACE</t:EmailAddress><t:RoutingType>EX</t:RoutingType></t:Mailbox>
    <t:ResponseType>Decline</t:ResponseType></t:Attendee>
</t:RequiredAttendees>
<t:OptionalAttendees>
  <t:Attendee><t:Mailbox><t:EmailAddress>bob@example.com</t:EmailAddress></t:Mailbox>
    <t:ResponseType>NoResponseReceived</t:ResponseType></t:Attendee>
  <t:Attendee><t:Mailbox><t:EmailAddress>carol@example.com</t:EmailAddress></t:Mailbox>
    <t:ResponseType>Tentative</t:ResponseType></t:Attendee>
</t:OptionalAttendees>
"""


def people() -> etree._Element:
    return etree.fromstring(f'<t:CalendarItem xmlns:t="{T[1:-1]}">{_PEOPLE}</t:CalendarItem>')


def meeting(server: EwsServer) -> str:
    alice = person(server, "calendar")
    id = alice.add("Budget")
    with server.place.lock:
        alice.folder.items[id].fields |= {etree.QName(e).localname: e for e in people()}
        server.place.keep(alice.folder.items[id])
    return id


def test_a_meeting_is_written_to_moved_and_deleted_in_silence(server: EwsServer, login: Opened) -> None:
    calendar, id = folder(login(), "Calendar"), meeting(server)
    (record,) = calendar.fetch([id])
    assert isinstance(record, Record)
    stamp = Stamp("org", "record", record.uid, 1, "mac")
    columns = {"location": "Room 9", "subject": "Another"}
    (done,) = calendar.apply([Update(id, record.version, Kind.APPOINTMENT, columns, stamp=stamp, tag="CRM")])
    assert isinstance(done, Done)
    (gone,) = calendar.apply([Delete(id, done.version)])
    assert isinstance(gone, Done)
    back = Create("k", Kind.APPOINTMENT, record.columns, native=record.native)
    (put,) = calendar.apply([back])
    assert isinstance(put, Done)
    item = server.place.mailboxes[ALICE].known("calendar").items[put.id]
    assert [etree.tostring(item.fields[etree.QName(e).localname]) for e in people()] == [
        etree.tostring(e) for e in people()
    ]
    assert server.outbox == []
    for request in (r for r in server.requests if r.operation in _WRITES):
        assert set(re.findall(rb'Send\w+="(\w+)"', request.body)) <= {b"SendToNone"}
        assert set(re.findall(rb'MessageDisposition="(\w+)"', request.body)) <= {b"SaveOnly"}


def test_the_test_server_would_have_sent_it(server: EwsServer, login: Opened) -> None:
    """Else an empty outbox would prove nothing."""
    source, id = login(), meeting(server)
    payload = wire.element(
        "m:DeleteItem",
        wire.element("m:ItemIds", wire.item_id(id)),
        DeleteType="HardDelete",
        SendMeetingCancellations="SendToAllAndSaveCopy",
    )
    source._exchange.one("DeleteItem", payload)
    assert server.outbox == [(ALICE, "cancellation", "Budget")]
    server.outbox.clear()


# ── Who is asked ─────────────────────────────────────────────────────────────────────────────────────────────


def test_who_has_called_a_meeting_and_who_is_asked_to_it_is_read() -> None:
    told = wire.properties(Kind.APPOINTMENT, people())
    assert Organizer().read(told, UTC) == "alice@example.com"
    assert Attendees().read(told, UTC) == (
        "ada@example.com accepted",
        "bob@example.com",
        "carol@example.com tentative",
    )


def test_whose_calendar_it_is(server: EwsServer, login: Opened) -> None:
    calendar, id = folder(login(), "Calendar"), meeting(server)
    (record,) = calendar.fetch([id])
    assert isinstance(record, Record)
    assert record.columns["organizer"] == "alice@example.com"
    assert calendar.addresses() == {"alice@example.com"}
    assert calendar.unfolded(Window()).addresses() == {"alice@example.com"}
    assert {"organizer", "attendees"} <= calendar.capabilities.read_only_columns[Kind.APPOINTMENT]


def test_an_appointment_of_ones_own_is_no_meeting() -> None:
    alone = people()
    for each in list(alone)[1:]:
        alone.remove(each)
    told = wire.properties(Kind.APPOINTMENT, alone)
    assert Organizer().read(told, UTC) is None
    assert Attendees().read(told, UTC) is None


@pytest.mark.parametrize("row", [Organizer(), Attendees()])
def test_people_are_never_written(row: Organizer | Attendees) -> None:
    with pytest.raises(AssertionError):
        row.write("ada@example.com", UTC)
