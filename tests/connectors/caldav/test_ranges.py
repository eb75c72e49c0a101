"""This and all later occurrences (RANGE=THISANDFUTURE)."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crmsync.connectors.caldav import exceptions
from crmsync.connectors.caldav.occurrence import Occurrence
from crmsync.connectors.caldav.series import Series
from tests.connectors.caldav.test_series import BERLIN, FIRST, LAST, NOW, WEEKLY, calendar, event, slot

SERIES = event(*BERLIN, WEEKLY, "SUMMARY:Jour fixe", "LOCATION:Room 1", "X-SOMETHING:kept")
FROM = "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:20261116T090000"
LATER = (FROM, "DTSTART;TZID=Europe/Berlin:20261116T110000", "DTEND;TZID=Europe/Berlin:20261116T113000")
RANGED = calendar(SERIES, event(*LATER, "SUMMARY:Jour fixe, short", "X-OTHER:kept, too"))
DAYS = ("20261102", "20261109", "20261116", "20261123")


def shown(text: str) -> Mapping[str, Occurrence]:
    read = Series(text)
    return {name: read.occurrence(slot) for name, slot in read.between(FIRST, LAST).items()}


def told(text: str) -> Mapping[str, tuple[object, ...]]:
    """Summary, start in UTC and minutes, by name."""
    return {
        name: (c["subject"], c["start"], (c["end"] - c["start"]) // timedelta(minutes=1))  # type: ignore[operator]
        for name, found in shown(text).items()
        for c in [found.columns]
    }


def at(day: int, hour: int) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def test_it_says_what_the_later_ones_are() -> None:
    assert told(RANGED) == {
        "20261102": ("Jour fixe", at(2, 8), 60),
        "20261109": ("Jour fixe", at(9, 8), 60),
        "20261116": ("Jour fixe, short", at(16, 10), 30),
        "20261123": ("Jour fixe, short", at(23, 10), 30),
    }


def test_of_two_the_later_one_counts_from_its_own_date_on() -> None:
    more = event(*(each.replace("20261116", "20261109") for each in LATER), "SUMMARY:Before")
    text = calendar(SERIES, event(*LATER, "SUMMARY:Jour fixe, short"), more)
    assert [each[0] for each in told(text).values()] == [
        "Jour fixe",
        "Before",
        "Jour fixe, short",
        "Jour fixe, short",
    ]


def test_one_that_has_a_part_of_its_own_keeps_to_it() -> None:
    own = event("RECURRENCE-ID;TZID=Europe/Berlin:20261123T090000", *BERLIN, "SUMMARY:Own")
    assert told(calendar(SERIES, event(*LATER), own))["20261123"] == ("Own", at(2, 8), 60)


def test_the_clock_may_change_in_between() -> None:
    begun = ("DTSTART;TZID=Europe/Berlin:20261012T090000", "DTEND;TZID=Europe/Berlin:20261012T100000")
    later = event(*(each.replace("20261116", "20261019") for each in LATER))
    text = calendar(event(*begun, "RRULE:FREQ=WEEKLY;COUNT=5"), later)
    assert [start for _, start, _ in told(text).values()] == [at(2, 10), at(9, 10)]


def test_days_are_moved_as_days() -> None:
    whole = event("DTSTART;VALUE=DATE:20261102", "RRULE:FREQ=WEEKLY;COUNT=3")
    later = event("RECURRENCE-ID;RANGE=THISANDFUTURE;VALUE=DATE:20261109", "DTSTART;VALUE=DATE:20261110")
    found = shown(calendar(whole, later)).values()
    assert [each.columns["start"] for each in found] == [
        date(2026, 11, 2),
        date(2026, 11, 10),
        date(2026, 11, 17),
    ]


def test_all_later_ones_may_be_off() -> None:
    assert list(told(calendar(SERIES, event(*LATER, "STATUS:CANCELLED")))) == ["20261102", "20261109"]


def test_one_that_is_moved_into_the_window() -> None:
    later = (
        "RECURRENCE-ID;RANGE=THISANDFUTURE:20261130T080000Z",
        "DTSTART;TZID=Europe/Berlin:20261127T090000",
    )
    text = calendar(event(*BERLIN, "RRULE:FREQ=WEEKLY"), event(*later))
    assert "20261130" in Series(text).between(FIRST, at(28, 0))
    assert "20261207" not in Series(text).between(FIRST, at(28, 0))


@pytest.mark.parametrize("name", DAYS)
def test_an_edit_changes_one_and_no_other(name: str) -> None:
    series, before = Series(RANGED), told(RANGED)
    text = exceptions.changed(series, slot(series, name), {"subject": "Ours"}, tag="", now=NOW)
    assert told(text) == {**before, name: ("Ours", *before[name][1:])}
    assert "X-SOMETHING:kept" in text
    again = Series(text)
    assert exceptions.changed(again, slot(again, name), {"subject": "Ours"}, tag="", now=NOW) == text


@pytest.mark.parametrize("name", DAYS)
def test_a_delete_takes_out_one_and_no_other(name: str) -> None:
    series, before = Series(RANGED), told(RANGED)
    kept = exceptions.alone(exceptions.by_itself(series, slot(series, name)), UTC)
    text = exceptions.without(series, slot(series, name), NOW)
    assert told(text) == {n: v for n, v in before.items() if n != name}
    assert kept is not None
    left = Series(text)
    back = exceptions.put_back(left, exceptions.place_of(left, kept), kept, NOW)
    assert told(back) == before


def test_the_last_one_leaves_nothing_to_hand_on() -> None:
    text = calendar(SERIES, event(*(each.replace("20261116", "20261123") for each in LATER)))
    series = Series(text)
    written = exceptions.changed(series, slot(series, "20261123"), {"subject": "Ours"}, tag="", now=NOW)
    assert "RANGE" not in written
    assert told(written)["20261123"] == ("Ours", at(23, 10), 30)


_ranges = st.lists(
    st.tuples(st.sampled_from(DAYS), st.integers(-1440, 1440), st.integers(1, 300)),
    max_size=3,
    unique_by=lambda each: each[0],
)


@given(_ranges, st.lists(st.tuples(st.sampled_from(DAYS), st.booleans()), max_size=6))
def test_whatever_is_done_to_some_the_others_stay(
    ranges: list[tuple[str, int, int]], steps: list[tuple[str, bool]]
) -> None:
    parts = []
    for day, shift, minutes in ranges:
        start = datetime.strptime(f"{day}T0900", "%Y%m%dT%H%M") + timedelta(minutes=shift)
        end = start + timedelta(minutes=minutes)
        times = (f"{n};TZID=Europe/Berlin:{t:%Y%m%dT%H%M%S}" for n, t in (("DTSTART", start), ("DTEND", end)))
        named = f"RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:{day}T090000"
        parts.append(event(named, *times, f"SUMMARY:From {day}"))
    text = calendar(SERIES, *parts)
    expected = dict(told(text))
    for name, delete in steps:
        if name not in expected:
            continue
        series = Series(text)
        if delete:
            text = exceptions.without(series, slot(series, name), NOW)
            del expected[name]
        else:
            text = exceptions.changed(series, slot(series, name), {"subject": "Ours"}, tag="", now=NOW)
            expected[name] = ("Ours", *expected[name][1:])
        assert told(text) == expected
