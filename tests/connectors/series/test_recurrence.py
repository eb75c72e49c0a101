"""When a series happens: against an independent library, and what is not counted out."""

from datetime import UTC, datetime, timedelta

import icalendar
import pytest
import recurring_ical_events
from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.connectors.caldav.series import Series
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.series.recurrence import Recurrence, Untold, rule

START = datetime(2026, 1, 5, 9)
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@st.composite
def rules(draw: st.DrawFn) -> str:
    often = draw(st.sampled_from(("DAILY", "WEEKLY", "MONTHLY", "YEARLY")))
    parts = [f"FREQ={often}", f"INTERVAL={draw(st.integers(1, 4))}"]
    days = draw(st.lists(st.sampled_from(DAYS), max_size=3, unique=True))
    if often == "WEEKLY" and days:
        parts.append(f"BYDAY={','.join(days)}")
    if often == "MONTHLY":
        parts.append(
            draw(
                st.sampled_from(
                    ("BYMONTHDAY=5", "BYMONTHDAY=-1", "BYDAY=1MO", "BYDAY=-1FR", "BYDAY=MO,TU;BYSETPOS=-1")
                )
            )
        )
    if often == "YEARLY":
        parts.append(draw(st.sampled_from(("BYMONTH=3;BYDAY=-1SU", "BYMONTH=1,7;BYMONTHDAY=5"))))
    ending = draw(st.sampled_from(("", "COUNT=7", "UNTIL=20260901T070000Z")))
    return ";".join([*parts, ending]).rstrip(";")


def object_of(*lines: str) -> str:
    head = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:u\r\nDTSTAMP:20260101T000000Z\r\n"
    )
    return head + "".join(f"{each}\r\n" for each in lines) + "END:VEVENT\r\nEND:VCALENDAR\r\n"


@settings(max_examples=150, deadline=None)
@given(rules(), st.sampled_from(("Europe/Berlin", "America/New_York", "Asia/Kathmandu")))
def test_it_counts_as_an_independent_library_does(text: str, zone: str) -> None:
    made = object_of(
        f"DTSTART;TZID={zone}:20260105T090000", f"DTEND;TZID={zone}:20260105T100000", f"RRULE:{text}"
    )
    series = Series(made)
    first, last = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)
    ours = [series.occurrence(slot).columns["start"] for slot in series.between(first, last).values()]
    known = recurring_ical_events.of(icalendar.Calendar.from_ical(made)).between(first, last)
    theirs = sorted(each["DTSTART"].dt.astimezone(UTC) for each in known)
    assert ours == theirs


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=HOURLY",
        "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=31",
        "FREQ=DAILY;BYSETPOS=2",
        "FREQ=WEEKLY;BYDAY=MO,TU;BYSETPOS=3",
        "FREQ=DAILY;BYYEARDAY=366;BYMONTH=1",
        "RSCALE=CHINESE;FREQ=YEARLY",
        "FREQ=YEARLY;BYEASTER=1",
        "",
    ],
)
def test_what_no_day_meets_or_nobody_knows_is_not_counted_out(text: str) -> None:
    with pytest.raises(Untold):
        rule(text, START, None)


@pytest.mark.parametrize(
    "text",
    ["FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;COUNT=-1", "FREQ=WEEKLY;BYDAY=XX", "FREQ=MONTHLY;BYDAY=0MO"],
)
def test_a_broken_rule(text: str) -> None:
    with pytest.raises(Malformed):
        rule(text, START, None)


def test_too_many_are_not_counted_out() -> None:
    many = rule("FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9;BYMINUTE=0,10,20,30,40,50", START, None)
    with pytest.raises(Untold):
        Recurrence(START, [many]).up_to(START + timedelta(days=400))


class TestWhatComesNext:
    NOW = datetime(2026, 1, 6, tzinfo=UTC)

    @staticmethod
    def next_after(rule: str) -> datetime | None:
        return Series(object_of("DTSTART:20260105T090000Z", rule)).next_after(TestWhatComesNext.NOW)

    def test_the_next_one(self) -> None:
        assert self.next_after("RRULE:FREQ=WEEKLY") == datetime(2026, 1, 12, 9, tzinfo=UTC)
        assert self.next_after("RDATE:20260107T090000Z") == datetime(2026, 1, 7, 9, tzinfo=UTC)

    def test_when_to_look_again(self) -> None:
        assert self.next_after("RRULE:FREQ=YEARLY") == self.NOW + timedelta(days=60)
        assert self.next_after("RDATE:20270107T090000Z") == self.NOW + timedelta(days=60)

    @pytest.mark.parametrize(
        "rule",
        ["RRULE:FREQ=WEEKLY;COUNT=1", "RRULE:FREQ=WEEKLY;UNTIL=20260105T120000Z", "RDATE:20260101T090000Z"],
    )
    def test_nothing(self, rule: str) -> None:
        assert self.next_after(rule) is None


def test_the_start_is_the_first_instance_whether_the_rule_meets_it_or_not() -> None:
    tuesdays = Recurrence(START, [rule("FREQ=WEEKLY;BYDAY=TU", START, None)])
    assert tuesdays.up_to(datetime(2026, 1, 14)) == [
        START,
        datetime(2026, 1, 6, 9),
        datetime(2026, 1, 13, 9),
    ]


def test_a_day_as_the_end_is_the_last_one() -> None:
    """RFC 5545 wants a moment beside a start that is one; RFC 2445 did not, and said "inclusive"."""
    daily = Series(object_of("DTSTART:20260105T090000Z", "RRULE:FREQ=DAILY;UNTIL=20260107"))
    found = daily.between(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    assert list(found) == ["20260105", "20260106", "20260107"]
