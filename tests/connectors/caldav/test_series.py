"""A series taken apart, and written to: text in, text out."""

from datetime import UTC, date, datetime

import pytest

from crmsync.connectors.caldav import exceptions
from crmsync.connectors.caldav.series import Series
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.series.recurrence import Untold

NOW = datetime(2026, 11, 1, tzinfo=UTC)
FIRST, LAST = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
BERLIN = ("DTSTART;TZID=Europe/Berlin:20261102T090000", "DTEND;TZID=Europe/Berlin:20261102T100000")
WEEKLY = "RRULE:FREQ=WEEKLY;COUNT=4"


def event(*lines: str) -> str:
    return "".join(f"{each}\r\n" for each in ("BEGIN:VEVENT", "UID:u", *lines, "END:VEVENT"))


def calendar(*parts: str) -> str:
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{''.join(parts)}END:VCALENDAR\r\n"


def series(*lines: str) -> Series:
    return Series(calendar(event(*lines)))


def names(given: Series) -> list[str]:
    return list(given.between(FIRST, LAST))


def slot(given: Series, name: str) -> datetime:
    found = given.slot(name)
    assert found is not None
    return found


class TestNames:
    @pytest.mark.parametrize(
        ("lines", "expected"),
        [
            ((*BERLIN, WEEKLY), ["20261102", "20261109", "20261116", "20261123"]),
            (("DTSTART;VALUE=DATE:20261102", "RRULE:FREQ=DAILY;COUNT=2"), ["20261102", "20261103"]),
            (("DTSTART:20261102T233000Z", "RRULE:FREQ=DAILY;COUNT=2"), ["20261102", "20261103"]),
            (("DTSTART:20261102T090000", "RRULE:FREQ=DAILY;COUNT=2"), ["20261102", "20261103"]),
            (
                (*BERLIN, "RRULE:FREQ=DAILY;COUNT=3;BYHOUR=9,15"),
                ["20261102", "20261102T150000", "20261103"],
            ),
            ((*BERLIN, "RDATE:20261105T120000Z"), ["20261102", "20261105T130000"]),
            ((*BERLIN, WEEKLY, "EXDATE:20261109T080000Z,20261116T080000Z"), ["20261102", "20261123"]),
            ((*BERLIN, WEEKLY, "EXDATE;VALUE=DATE:20261109"), ["20261102", "20261116", "20261123"]),
            ((*BERLIN, WEEKLY, "EXRULE:FREQ=WEEKLY;INTERVAL=2"), ["20261109", "20261123"]),
            (
                ("DTSTART;VALUE=DATE:20261102", "RRULE:FREQ=DAILY;COUNT=3", "EXDATE:20261103T000000"),
                ["20261102", "20261104"],
            ),
        ],
    )
    def test_by_their_local_day(self, lines: tuple[str, ...], expected: list[str]) -> None:
        assert names(series(*lines)) == expected

    def test_what_is_not_there_has_no_slot(self) -> None:
        given = series(*BERLIN, WEEKLY, "EXDATE:20261109T080000Z")
        for name in ("20261103", "20261109", "20261130", "20261102T100000", "99999999", "20261102T999999"):
            assert given.slot(name) is None

    def test_an_override_that_no_rule_meets_is_one_more(self) -> None:
        own = event("RECURRENCE-ID;TZID=Europe/Berlin:20261104T090000", *BERLIN)
        assert names(Series(calendar(event(*BERLIN, WEEKLY), own)))[:2] == ["20261102", "20261104"]

    def test_one_that_is_moved_into_the_window(self) -> None:
        far = event("RECURRENCE-ID;TZID=Europe/Berlin:20261214T090000", *BERLIN)
        given = Series(calendar(event(*BERLIN, "RRULE:FREQ=WEEKLY"), far))
        assert "20261214" in names(given)

    def test_instances_without_their_series(self) -> None:
        """What an attendee of single dates gets."""
        own = [
            event(f"RECURRENCE-ID;TZID=Europe/Berlin:{day}T090000", *BERLIN)
            for day in ("20261109", "20261123")
        ]
        assert names(Series(calendar(*own))) == ["20261109", "20261123"]

    def test_across_the_change_of_the_clocks(self) -> None:
        given = series("DTSTART;TZID=Europe/Berlin:20261024T023000", "RRULE:FREQ=DAILY;COUNT=3")
        found = given.between(datetime(2026, 10, 1, tzinfo=UTC), LAST)
        told = [given.occurrence(each).columns["start"] for each in found.values()]
        assert [f"{each:%d %H:%M}" for each in told] == ["24 00:30", "25 00:30", "26 01:30"]


class TestLengths:
    def test_dtend_gives_an_exact_one_and_duration_a_nominal_one(self) -> None:
        night = "DTSTART;TZID=Europe/Berlin:20261023T220000"
        exact = series(night, "DTEND;TZID=Europe/Berlin:20261024T220000", "RRULE:FREQ=DAILY;COUNT=3")
        nominal = series(night, "DURATION:P1D", "RRULE:FREQ=DAILY;COUNT=3")
        ends = [s.occurrence(slot(s, "20261024")).columns["end"] for s in (exact, nominal)]
        assert ends == [datetime(2026, 10, 25, 20, tzinfo=UTC), datetime(2026, 10, 25, 21, tzinfo=UTC)]

    def test_a_period_has_its_own(self) -> None:
        periods = "RDATE;VALUE=PERIOD:20261105T120000Z/PT3H,20261106T120000Z/20261106T123000Z"
        given = series(*BERLIN, periods)
        assert names(given) == ["20261102", "20261105T130000", "20261106T130000"]
        ends = [given.occurrence(slot(given, name)).columns["end"] for name in names(given)[1:]]
        assert ends == [datetime(2026, 11, 5, 15, tzinfo=UTC), datetime(2026, 11, 6, 12, 30, tzinfo=UTC)]

    def test_days(self) -> None:
        given = series("DTSTART;VALUE=DATE:20261102", "DTEND;VALUE=DATE:20261104", WEEKLY)
        assert given.occurrence(slot(given, "20261109")).columns["end"] == date(2026, 11, 11)


class TestVersions:
    def test_stay_when_others_change(self) -> None:
        before = series(*BERLIN, WEEKLY, "SUMMARY:x")
        name = "20261116"
        kept = before.occurrence(slot(before, name)).version
        text = exceptions.without(before, slot(before, "20261109"), NOW)
        text = exceptions.changed(
            Series(text), slot(before, "20261123"), {"subject": "other"}, tag="", now=NOW
        )
        after = Series(text)
        assert after.occurrence(slot(after, name)).version == kept
        longer = series(
            *BERLIN, "RRULE:FREQ=WEEKLY", "SUMMARY:x", "SEQUENCE:4", "LAST-MODIFIED:20261101T000000Z"
        )
        assert longer.occurrence(slot(longer, name)).version == kept

    def test_change_with_what_an_exception_says_beside_its_columns(self) -> None:
        def version(*more: str) -> str:
            own = event("RECURRENCE-ID;TZID=Europe/Berlin:20261109T090000", *BERLIN, *more)
            given = Series(calendar(event(*BERLIN, WEEKLY), own))
            return given.occurrence(slot(given, "20261109")).version

        assert version("X-NOTE:1") != version("X-NOTE:2")
        assert version("DTSTAMP:20261101T000000Z") == version("DTSTAMP:20261102T000000Z")


class TestWriting:
    LINES = (
        *BERLIN,
        WEEKLY,
        "SUMMARY:x",
        "ATTENDEE;CN=B:mailto:b@example.com",
        "X-CRMSYNC-LINK:v1 a b c 1 d",
    )

    def test_a_change_leaves_the_master_and_copies_what_it_says(self) -> None:
        before = series(*self.LINES)
        after = exceptions.changed(before, slot(before, "20261109"), {"subject": "y"}, tag="", now=NOW)
        master = before.text[: before.text.index("END:VCALENDAR")]
        assert after.startswith(master)
        assert after[len(master) :].split("\r\n")[:-2] == [
            "BEGIN:VEVENT",
            "UID:u",
            "DTSTART;TZID=Europe/Berlin:20261109T090000",
            "RECURRENCE-ID;TZID=Europe/Berlin:20261109T090000",
            "DTEND;TZID=Europe/Berlin:20261109T100000",
            "SUMMARY:y",
            "ATTENDEE;CN=B:mailto:b@example.com",
            "DTSTAMP:20261101T000000Z",
            "END:VEVENT",
        ]

    def test_nothing_to_change(self) -> None:
        given = series(*self.LINES)
        assert (
            exceptions.changed(given, slot(given, "20261109"), {"subject": "x"}, tag="", now=NOW)
            == given.text
        )

    @pytest.mark.parametrize("changed_first", [False, True])
    def test_what_was_taken_out_can_be_put_back(self, changed_first: bool) -> None:
        given = series(*self.LINES, "EXDATE;TZID=Europe/Berlin:20261116T090000")
        when = slot(given, "20261109")
        if changed_first:
            given = Series(exceptions.changed(given, when, {"subject": "y"}, tag="", now=NOW))
        kept = exceptions.alone(exceptions.by_itself(given, when), UTC)
        assert kept is not None
        out = Series(exceptions.without(given, when, NOW))
        assert out.slot("20261109") is None
        back = Series(exceptions.put_back(out, when, kept, NOW))
        assert back.occurrence(when) == given.occurrence(when) or changed_first
        assert back.occurrence(when).columns == given.occurrence(when).columns
        assert back.slot("20261116") is None
        assert exceptions.UNCHANGED not in back.text

    def test_the_last_instance_without_a_series_leaves_nothing(self) -> None:
        given = Series(calendar(event("RECURRENCE-ID;TZID=Europe/Berlin:20261109T090000", *BERLIN)))
        assert exceptions.without(given, slot(given, "20261109"), NOW) == ""

    def test_a_value_of_a_line_with_several(self) -> None:
        given = series(*BERLIN, WEEKLY, "EXDATE:20261109T080000Z,20261116T080000Z")
        other = series(*BERLIN, WEEKLY)
        kept = exceptions.alone(exceptions.by_itself(other, slot(other, "20261109")), UTC)
        assert kept is not None
        back = exceptions.put_back(given, slot(other, "20261109"), kept, NOW)
        assert "EXDATE:20261116T080000Z\r\n" in back


@pytest.mark.parametrize(
    "text",
    [
        calendar(event(*BERLIN, WEEKLY), event("RECURRENCE-ID;RANGE=THISANDPRIOR:20261109T080000Z", *BERLIN)),
        calendar(
            event(*BERLIN, WEEKLY),
            event("RECURRENCE-ID;RANGE=THISANDFUTURE:20261109T080000Z", "DTSTART;VALUE=DATE:20261109"),
        ),
        calendar(*[event("RECURRENCE-ID:20261109T080000Z", *BERLIN)] * 2),
    ],
)
def test_what_is_left_as_it_is(text: str) -> None:
    with pytest.raises(Untold):
        Series(text)


@pytest.mark.parametrize("line", ["EXDATE:rubbish", "RRULE:FREQ=DAILY;UNTIL=rubbish", "RECURRENCE-ID:x"])
def test_what_is_broken(line: str) -> None:
    with pytest.raises(Malformed):
        series(*BERLIN, line)
