"""Series on an Exchange server, shown by their occurrences: read, changed one by one, and never taken apart."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from crmsync.connectors.abilities import Window
from crmsync.connectors.contract import (
    SERIES,
    Delete,
    Done,
    Gone,
    Hidden,
    Kind,
    Outcome,
    Record,
    Ref,
    Refused,
    Selection,
    Stale,
    Update,
    Value,
)
from crmsync.connectors.ews.mapping import Zone
from crmsync.connectors.ews.series.occurrences import Occurrences
from crmsync.connectors.ews.series.series import Series
from crmsync.connectors.ews.series.wire import plan
from tests.connectors.ews.conftest import ALICE, Opened, folder, person
from tests.servers.ews.person import EwsPerson
from tests.servers.ews.place import Item
from tests.servers.ews.schema import T
from tests.servers.ews.series import days
from tests.servers.ews.server import EwsServer

WEEKLY = (
    "<WeeklyRecurrence><Interval>1</Interval><DaysOfWeek>Monday</DaysOfWeek>"
    "<FirstDayOfWeek>Monday</FirstDayOfWeek></WeeklyRecurrence>"
)
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
MONDAYS = ["20260302", "20260309", "20260316", "20260323", "20260330"]


class Desk:
    def __init__(self, server: EwsServer, login: Opened) -> None:
        self.now = NOW
        self.server = server
        self.source = login(now=lambda: self.now)
        self.person: EwsPerson = person(server, "calendar")
        self.shown = self.open()

    def open(self) -> Occurrences:
        return folder(self.source, "Calendar").unfolded(Window(timedelta(days=7), timedelta(days=30)))

    def add(
        self, pattern: str = WEEKLY, zone: str = "W. Europe Standard Time", *words: str, **texts: str
    ) -> str:
        id = self.person.add("Jour fixe")
        self.person.set(id, Location="Room 1", **texts)
        element = etree.Element(T + "StartTimeZone", Id=zone)
        self.item(id).fields["StartTimeZone"] = element
        self.person.tag(id, *(words or ("CRM",)))
        self.person.repeat(id, pattern)
        return id

    def item(self, id: str) -> Item:
        return self.server.place.mailboxes[ALICE].known("calendar").items[id]

    def changes(self, since: str | None = None, tag: str = "CRM") -> tuple[dict[str, str | None], str]:
        pages = list(self.shown.changes(since, Selection(tag=tag)))
        told = [i for page in pages for i in page.items]
        return {i.id: i.version if isinstance(i, Ref | Record) else None for i in told}, pages[-1].cursor

    def record(self, id: str) -> Record:
        (found,) = self.shown.fetch([id])
        assert isinstance(found, Record), found
        return found

    def update(self, id: str, **columns: Value) -> Outcome:
        (found,) = self.shown.apply([Update(id, self.record(id).version, Kind.APPOINTMENT, columns)])
        return found

    def names(self, told: dict[str, str | None], id: str) -> list[str]:
        return sorted(
            t.removeprefix(f"{id}#") for t in told if t.startswith(f"{id}#") and told[t] is not None
        )


@pytest.fixture
def desk(server: EwsServer, login: Opened) -> Desk:
    return Desk(server, login)


# ── Days ─────────────────────────────────────────────────────────────────────────────────────────────────────

_DAY = st.sampled_from(["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"])
_MONTH = st.sampled_from(["January", "February", "April", "December"])
_NTH = st.sampled_from(["First", "Second", "Third", "Fourth", "Last"])
_SOME = st.lists(_DAY, min_size=1, max_size=3, unique=True).map(" ".join)
_ONE = _DAY | st.sampled_from(["Day", "Weekday", "WeekendDay"])
_EVERY = st.integers(1, 4)
_PATTERNS = st.one_of(
    st.builds("<DailyRecurrence><Interval>{}</Interval></DailyRecurrence>".format, _EVERY),
    st.builds(
        "<WeeklyRecurrence><Interval>{}</Interval><DaysOfWeek>{}</DaysOfWeek>"
        "<FirstDayOfWeek>{}</FirstDayOfWeek></WeeklyRecurrence>".format,
        _EVERY,
        _SOME,
        _DAY,
    ),
    st.builds(
        "<AbsoluteMonthlyRecurrence><Interval>{}</Interval><DayOfMonth>{}</DayOfMonth>"
        "</AbsoluteMonthlyRecurrence>".format,
        _EVERY,
        st.integers(1, 31),
    ),
    st.builds(
        "<RelativeMonthlyRecurrence><Interval>{}</Interval><DaysOfWeek>{}</DaysOfWeek>"
        "<DayOfWeekIndex>{}</DayOfWeekIndex></RelativeMonthlyRecurrence>".format,
        _EVERY,
        _ONE,
        _NTH,
    ),
    st.builds(
        "<AbsoluteYearlyRecurrence><DayOfMonth>{}</DayOfMonth><Month>{}</Month>"
        "</AbsoluteYearlyRecurrence>".format,
        st.integers(1, 31),
        _MONTH,
    ),
    st.builds(
        "<RelativeYearlyRecurrence><DaysOfWeek>{}</DaysOfWeek><DayOfWeekIndex>{}</DayOfWeekIndex>"
        "<Month>{}</Month></RelativeYearlyRecurrence>".format,
        _ONE,
        _NTH,
        _MONTH,
    ),
)
_RANGES = st.one_of(
    st.just("<NoEndRecurrence><StartDate>{start}</StartDate></NoEndRecurrence>"),
    st.integers(1, 12).map(
        lambda n: (
            "<NumberedRecurrence><StartDate>{start}</StartDate>"
            f"<NumberOfOccurrences>{n}</NumberOfOccurrences></NumberedRecurrence>"
        )
    ),
    st.integers(30, 500).map(
        lambda n: (
            "<EndDateRecurrence><StartDate>{start}</StartDate>"
            f"<EndDate>{date(2026, 3, 2) + timedelta(days=n)}+01:00</EndDate></EndDateRecurrence>"
        )
    ),
)


@settings(max_examples=150, deadline=None)
@given(pattern=_PATTERNS, range_=_RANGES)
def test_the_days_are_those_that_the_server_counts(pattern: str, range_: str) -> None:
    def recurrence(start: date) -> etree._Element:
        text = f'<Recurrence xmlns="{T[1:-1]}">{pattern}{range_.format(start=start)}</Recurrence>'
        return etree.fromstring(text)

    first = next(days(recurrence(date(2026, 3, 2))), None)
    if first is None:
        return
    item = etree.Element(T + "CalendarItem")
    item.append(recurrence(first))  # Exchange begins a series with the first day that it falls on
    start = datetime(first.year, first.month, first.day, 9, tzinfo=UTC)
    standing = {"Start": start, "End": start + timedelta(hours=1), "StartTimeZone": "UTC"}
    series = Series(plan(item), standing, {}, Zone(UTC, "UTC"))
    end = start + timedelta(days=800)
    expected = [f"{d:%Y%m%d}" for d in days(item[0]) if d <= end.date()]
    assert list(series.between(start, end)) == expected
    assert [series.index(series.slot(name) or start) for name in expected] == [*range(1, len(expected) + 1)]


# ── What is told ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_series_is_told_by_the_dates_in_the_window(desk: Desk) -> None:
    id = desk.add()
    told, cursor = desk.changes()
    assert desk.names(told, id) == MONDAYS
    one = desk.record(f"{id}#20260330")
    assert one.version == told[one.id]
    assert one.columns["start"] == datetime(2026, 3, 30, 9, tzinfo=UTC) - timedelta(hours=1)  # summer time
    assert (one.columns["subject"], one.columns["location"]) == ("Jour fixe", "Room 1")
    assert one.tags == {"CRM"}
    assert desk.record(id).untouchable == SERIES
    assert desk.changes(cursor)[0] == {}
    desk.now += timedelta(days=7)
    assert desk.names(desk.changes(cursor)[0], id) == ["20260406"]


def test_dates_that_were_changed_moved_or_taken_out(desk: Desk) -> None:
    id = desk.add()
    _, cursor = desk.changes()
    desk.person.occurrence(id, "2026-03-09", Location="Room 2")
    desk.person.occurrence(id, "2026-03-16", Start="2026-03-17T13:00:00Z", End="2026-03-17T14:00:00Z")
    desk.person.occurrence(id, "2026-03-23")
    told, _ = desk.changes(cursor)
    assert told[f"{id}#20260323"] is None
    assert desk.names(told, id) == ["20260302", "20260309", "20260316", "20260330"]
    assert desk.record(f"{id}#20260309").columns["location"] == "Room 2"
    assert desk.record(f"{id}#20260316").columns["start"] == datetime(2026, 3, 17, 13, tzinfo=UTC)
    (gone,) = desk.shown.fetch([f"{id}#20260323"])
    assert gone == Gone(f"{id}#20260323")
    assert desk.record(f"{id}#20260302").columns["location"] == "Room 1"


def test_a_date_alone_may_bear_the_tag(desk: Desk) -> None:
    id = desk.add(WEEKLY, "W. Europe Standard Time", "Blue")
    desk.person.occurrence(id, "2026-03-09", Location="Room 2")
    own = desk.item(id).exceptions[date(2026, 3, 9)]
    etree.SubElement(own.fields["Categories"], T + "String").text = "CRM"
    told, _ = desk.changes()
    assert f"{id}#20260309" in told
    assert desk.record(f"{id}#20260309").tags == {"Blue", "CRM"}
    assert desk.record(f"{id}#20260316").tags == {"Blue"}


def test_an_all_day_series_keeps_its_days(desk: Desk) -> None:
    id = desk.add(
        "<DailyRecurrence><Interval>7</Interval></DailyRecurrence>",
        Start="2026-03-01T23:00:00Z",
        End="2026-03-02T23:00:00Z",
        IsAllDayEvent="true",
    )
    told, _ = desk.changes()
    assert desk.names(told, id) == MONDAYS
    one = desk.record(f"{id}#20260330")
    assert (one.columns["start"], one.columns["end"]) == (date(2026, 3, 30), date(2026, 3, 31))


def test_a_series_that_becomes_one_event_and_back(desk: Desk) -> None:
    id = desk.add()
    _, cursor = desk.changes()
    del desk.item(id).fields["Recurrence"]
    desk.person.set(id, Location="Room 1")
    told, cursor = desk.changes(cursor)
    assert told[id] == desk.record(id).version
    assert [told[f"{id}#{name}"] for name in MONDAYS] == [None] * 5
    desk.person.repeat(id, WEEKLY)
    assert desk.names(desk.changes(cursor)[0], id) == MONDAYS


def test_what_is_over_and_no_longer_there_was_not_cancelled(desk: Desk) -> None:
    id = desk.add()
    desk.now = datetime(2026, 5, 1, tzinfo=UTC)
    desk.person.occurrence(id, "2026-03-09")
    assert list(desk.shown.fetch([f"{id}#20260309"])) == [Hidden(f"{id}#20260309")]


@pytest.mark.parametrize(
    ("pattern", "zone", "reason"),
    [
        (WEEKLY, "Customized Time Zone", "time zone that nobody knows"),
        ("<DailyRegeneration><Interval>2</Interval></DailyRegeneration>", "UTC", "a way that is not known"),
        ("<DailyRecurrence><Interval>0</Interval></DailyRecurrence>", "UTC", "INTERVAL"),
    ],
)
def test_what_cannot_be_counted_out_is_left_alone(desk: Desk, pattern: str, zone: str, reason: str) -> None:
    id = desk.add(pattern, zone)
    told, _ = desk.changes()
    assert told.keys() == {id}
    assert reason in desk.record(id).untouchable


# ── What is written ──────────────────────────────────────────────────────────────────────────────────────────


def master(desk: Desk, id: str) -> object:
    item = desk.item(id)
    return {n: etree.tostring(e) for n, e in item.fields.items()}, sorted(map(str, item.extended))


def test_an_edit_makes_an_exception_of_that_date_alone(desk: Desk) -> None:
    id = desk.add()
    before = master(desk, id)
    others = {n: desk.record(f"{id}#{n}").version for n in MONDAYS if n != "20260316"}
    outcome = desk.update(f"{id}#20260316", location="Room 9", subject="Budget")
    assert isinstance(outcome, Done)
    assert outcome.record is not None
    assert outcome.record.columns["location"] == "Room 9"
    assert outcome.version == desk.record(f"{id}#20260316").version
    assert list(desk.item(id).exceptions) == [date(2026, 3, 16)]
    assert master(desk, id) == before
    assert {n: desk.record(f"{id}#{n}").version for n in others} == others
    again = desk.update(f"{id}#20260316", location="Room 10")
    assert isinstance(again, Done)
    assert list(desk.item(id).exceptions) == [date(2026, 3, 16)]
    assert desk.record(f"{id}#20260316").columns["subject"] == "Budget"


def test_several_dates_in_one_go(desk: Desk) -> None:
    id = desk.add()
    records = [desk.record(f"{id}#{n}") for n in MONDAYS[1:4]]
    writes = [
        Update(records[0].id, records[0].version, Kind.APPOINTMENT, {"location": "A"}),
        Delete(records[1].id, records[1].version),
        Update(records[2].id, "another", Kind.APPOINTMENT, {"location": "C"}),
        Update(records[2].id, records[2].version, Kind.APPOINTMENT, {"location": "C"}),
    ]
    kinds = [type(o) for o in desk.shown.apply(writes)]
    assert kinds == [Done, Done, Stale, Done]
    assert {d: i.text("Location") for d, i in desk.item(id).exceptions.items()} == {
        date(2026, 3, 9): "A",
        date(2026, 3, 23): "C",
    }
    assert desk.item(id).removed == {date(2026, 3, 16)}
    assert list(desk.shown.apply([writes[1]])) == [Done(records[1].id, "")]


def test_a_date_is_moved_and_keeps_its_name(desk: Desk) -> None:
    id = desk.add()
    start = datetime(2026, 3, 17, 14, tzinfo=UTC)
    assert isinstance(desk.update(f"{id}#20260316", start=start, end=start + timedelta(hours=2)), Done)
    assert desk.record(f"{id}#20260316").columns["end"] == start + timedelta(hours=2)
    later = datetime(2026, 3, 24, 9, tzinfo=UTC)
    refused = desk.update(f"{id}#20260316", start=later, end=later + timedelta(hours=1))
    assert isinstance(refused, Refused)
    assert "another date of its series" in refused.reason


def test_a_server_that_counts_otherwise_is_not_written_to(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = desk.add()
    monkeypatch.setattr("tests.servers.ews.series.numbered", lambda place, element: _next(desk, id))
    refused = desk.update(f"{id}#20260316", location="Room 9")
    assert isinstance(refused, Refused)
    assert refused.code == "untouchable"
    assert not desk.item(id).exceptions


def _next(desk: Desk, id: str) -> str:
    from tests.servers.ews.series import id_of

    return id_of(desk.item(id), date(2026, 3, 23))


def test_nobody_is_told_of_any_of_it(desk: Desk) -> None:
    id = desk.add()
    people = etree.SubElement(etree.Element(T + "CalendarItem"), T + "RequiredAttendees")
    mailbox = etree.SubElement(etree.SubElement(people, T + "Attendee"), T + "Mailbox")
    etree.SubElement(mailbox, T + "EmailAddress").text = "ada@example.com"
    desk.item(id).fields["RequiredAttendees"] = people
    desk.update(f"{id}#20260316", location="Room 9")
    one = desk.record(f"{id}#20260309")
    (outcome,) = desk.shown.apply([Delete(one.id, one.version)])
    assert isinstance(outcome, Done)
    assert desk.server.outbox == []


def test_an_occurrence_is_named_by_people_as_it_is_printed(desk: Desk) -> None:
    id = desk.add()
    assert desk.shown.named(f"{id}#20260309") == f"{id}#20260309"
    assert desk.shown.named(id) == id
    assert desk.shown.named("nobody's#20260309") is None
