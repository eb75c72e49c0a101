"""CalDAV on real servers: which calendars there are, and the items that are left as they are.

What every connector has to do is in tests/conformance."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count

import pytest

from crmsync.connectors.caldav.connector import CalDavSource
from crmsync.connectors.contract import Create, Done, Hidden, Kind, Record, Refused, Unreadable, Update
from crmsync.connectors.dav.connector import DavConnector
from tests.servers.dav import DavServer

pytestmark = pytest.mark.server

_numbers = count()
_NINE, _TEN = datetime(2026, 3, 2, 9, tzinfo=UTC), datetime(2026, 3, 2, 10, tzinfo=UTC)


def calendar(*components: str) -> str:
    head = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//example.com//test//EN\r\n"
    return f"{head}{''.join(components)}END:VCALENDAR\r\n"


def event(uid: str, *lines: str) -> str:
    body = "".join(f"{line}\r\n" for line in (f"UID:{uid}", "DTSTAMP:20260301T080000Z", *lines))
    return f"BEGIN:VEVENT\r\n{body}END:VEVENT\r\n"


WHEN = ("DTSTART:20260302T090000Z", "DTEND:20260302T100000Z", "SUMMARY:Budget")


class Desk:
    def __init__(self, server: DavServer) -> None:
        self.server = server
        self.url = server.make_calendar(f"Calendar {next(_numbers)}")
        self.source = CalDavSource(self.url, *server.login())
        (self.collection,) = self.source.collections()
        self.connector: DavConnector = self.source.open(self.collection)

    def put(self, name: str, text: str) -> None:
        self.server.put(self.url + name, text)

    def text(self, name: str) -> str:
        return self.server.send("GET", self.url + name).data.decode()

    def fetch(self, name: str) -> object:
        (answer,) = self.connector.fetch([name])
        return answer


@pytest.fixture
def desk(dav_server: DavServer) -> Iterator[Desk]:
    opened = Desk(dav_server)
    yield opened
    opened.source.close()


class TestDiscovery:
    def test_a_calendar_says_what_it_takes(self, dav_server: DavServer) -> None:
        wanted = {
            ("VEVENT",): {Kind.APPOINTMENT},
            ("VTODO",): {Kind.TASK},
            ("VEVENT", "VTODO"): {Kind.APPOINTMENT, Kind.TASK},
        }
        names = {kinds: f"Kinds {next(_numbers)}" for kinds in wanted}
        for kinds, name in names.items():
            dav_server.make_calendar(name, kinds=kinds)
        journal = f"Kinds {next(_numbers)}"
        dav_server.make_calendar(journal, kinds=("VJOURNAL",))
        source = CalDavSource(dav_server.principal_url(), *dav_server.login())
        found = {c.name: c.kinds for c in source.collections()}
        source.close()
        assert {kinds: found[name] for kinds, name in names.items()} == wanted
        assert journal not in found

    def test_address_books_and_scheduling_boxes_are_no_calendars(self, dav_server: DavServer) -> None:
        name = f"Book {next(_numbers)}"
        dav_server.make_book(name)
        source = CalDavSource(dav_server.principal_url(), *dav_server.login())
        names = {collection.name for collection in source.collections()}
        source.close()
        assert name not in names
        assert not {"inbox", "outbox"} & names

    def test_capabilities_are_those_of_the_calendar(self, dav_server: DavServer) -> None:
        url = dav_server.make_calendar(f"Tasks {next(_numbers)}", kinds=("VTODO",))
        source = CalDavSource(url, *dav_server.login())
        (collection,) = source.collections()
        assert source.open(collection).capabilities.columns.keys() == {Kind.TASK}
        source.close()


class TestUntouchable:
    @pytest.mark.parametrize(
        "lines",
        [
            (*WHEN, "RRULE:FREQ=WEEKLY;COUNT=3"),
            (*WHEN, "RDATE:20260309T090000Z"),
        ],
    )
    def test_a_recurring_event_is_read_and_never_written(self, desk: Desk, lines: tuple[str, ...]) -> None:
        desk.put("series.ics", calendar(event("series", *lines)))
        before = desk.text("series.ics")
        record = desk.fetch("series.ics")
        assert isinstance(record, Record)
        assert record.untouchable
        (outcome,) = desk.connector.apply(
            [Update(record.id, record.version, record.kind, {"subject": "x"}, tag="CRM")]
        )
        assert isinstance(outcome, Refused)
        assert outcome.code == "untouchable"
        assert desk.text("series.ics") == before

    def test_a_series_with_an_exception_is_one_item(self, desk: Desk) -> None:
        series = event("series", *WHEN, "RRULE:FREQ=WEEKLY;COUNT=3")
        moved = event("series", "RECURRENCE-ID:20260309T090000Z", "DTSTART:20260309T110000Z", "SUMMARY:Moved")
        desk.put("series.ics", calendar(series, moved))
        record = desk.fetch("series.ics")
        assert isinstance(record, Record)
        assert record.untouchable

    def test_a_journal_entry_is_nobodys_business(self, desk: Desk) -> None:
        entry = "BEGIN:VJOURNAL\r\nUID:j\r\nDTSTAMP:20260301T080000Z\r\nSUMMARY:Notes\r\nEND:VJOURNAL\r\n"
        kind = {"Content-Type": "text/calendar; charset=utf-8"}
        answer = desk.server.send("PUT", desk.url + "j.ics", calendar(entry), headers=kind)
        found = desk.fetch("j.ics")
        assert found == Hidden("j.ics") if answer.status < 300 else not isinstance(found, Record)


class TestBadItems:
    def test_an_event_that_ends_before_it_starts(self, desk: Desk) -> None:
        desk.put("good.ics", calendar(event("good", *WHEN)))
        backwards = calendar(
            event("bad", "DTSTART:20260302T100000Z", "DTEND:20260302T090000Z", "SUMMARY:Backwards")
        )
        kind = {"Content-Type": "text/calendar; charset=utf-8"}
        answer = desk.server.send("PUT", desk.url + "bad.ics", backwards, headers=kind)
        assert isinstance(desk.fetch("good.ics"), Record)
        if answer.status < 300:
            bad = desk.fetch("bad.ics")
            assert isinstance(bad, Unreadable)
            assert bad.reason

    def test_columns_that_make_no_event(self, desk: Desk) -> None:
        (outcome,) = desk.connector.apply([Create("k", Kind.APPOINTMENT, {"subject": "When?"})])
        assert isinstance(outcome, Refused)
        assert outcome.code == "unfit"


def test_a_zone_of_the_same_name_stays_its_own(desk: Desk) -> None:
    """Two calendars' "Office" differ by six hours; parsers that keep zones process-wide move the second meeting."""
    for name, offset in (("east", "+0300"), ("west", "-0300")):
        zone = (
            "BEGIN:VTIMEZONE\r\nTZID:Office\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n"
            f"TZOFFSETFROM:{offset}\r\nTZOFFSETTO:{offset}\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
        )
        when = ("DTSTART;TZID=Office:20260302T120000", "DTEND;TZID=Office:20260302T130000", "SUMMARY:Lunch")
        desk.put(f"{name}.ics", calendar(zone, event(name, *when)))
    starts = {}
    for answer in desk.connector.fetch(["east.ics", "west.ics"]):
        assert isinstance(answer, Record)
        starts[answer.id] = answer.columns["start"]
    assert starts == {
        "east.ics": datetime(2026, 3, 2, 9, tzinfo=UTC),
        "west.ics": datetime(2026, 3, 2, 15, tzinfo=UTC),
    }


def test_an_edit_keeps_the_alarm_and_the_guests(desk: Desk) -> None:
    alarm = "BEGIN:VALARM\r\nACTION:DISPLAY\r\nDESCRIPTION:soon\r\nTRIGGER:-PT15M\r\nEND:VALARM"
    guest = "ATTENDEE;CN=Ada;PARTSTAT=ACCEPTED:mailto:ada@example.com"
    desk.put("a.ics", calendar(event("a", *WHEN, guest, alarm)))
    record = desk.fetch("a.ics")
    assert isinstance(record, Record)
    (done,) = desk.connector.apply(
        [Update("a.ics", record.version, Kind.APPOINTMENT, {"subject": "Budget 2"})]
    )
    assert isinstance(done, Done)
    text = desk.text("a.ics").replace("\r\n ", "")
    assert "SUMMARY:Budget 2" in text
    assert "TRIGGER:-PT15M" in text
    assert "PARTSTAT=ACCEPTED" in text
