"""A series as one item with two columns more: text in, text out."""

from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from crmsync.connectors.caldav import whole
from crmsync.connectors.caldav.series import Series
from crmsync.connectors.contract import Columns, Kind
from crmsync.connectors.series import written
from tests.connectors.caldav.test_series import BERLIN, WEEKLY, calendar, event

NOW = datetime(2026, 11, 1, tzinfo=UTC)
BEGIN = datetime(2026, 11, 2, tzinfo=UTC)
TEN = datetime(2026, 11, 2, 9, tzinfo=UTC)
ODD = 'X-SOMETHING;X-PARAM="a;b:c":kept\\, as it is'
MASTER = event(*BERLIN, WEEKLY, "EXDATE;TZID=Europe/Berlin:20261116T090000", "SUMMARY:Jour fixe", ODD)
MOVED = event(
    "RECURRENCE-ID;TZID=Europe/Berlin:20261109T090000",
    "DTSTART;TZID=Europe/Berlin:20261110T140000",
    "DTEND;TZID=Europe/Berlin:20261110T150000",
    "SUMMARY:Jour fixe",
    ODD,
)
CANCELLED = event("RECURRENCE-ID;TZID=Europe/Berlin:20261123T090000", *BERLIN, "STATUS:CANCELLED")
RULES = "RRULE:FREQ=WEEKLY;COUNT=4\nEXDATE:20261116"


def patched(text: str, **columns: object) -> str:
    return whole.patch(text, columns, now=NOW)  # type: ignore[arg-type]


def said(text: str) -> Columns:
    item = whole.read(text)
    assert item.untouchable == ""
    return item.columns


class TestReading:
    def test_rules_and_what_differs(self) -> None:
        columns = said(calendar(MASTER, MOVED))
        assert columns["recurrence"] == RULES
        assert columns["exceptions"] == (
            '{"date": "20261109", "end": "2026-11-10T14:00:00Z", "start": "2026-11-10T13:00:00Z"}'
        )
        assert (columns["subject"], columns["start"]) == ("Jour fixe", datetime(2026, 11, 2, 8, tzinfo=UTC))

    def test_an_occurrence_that_is_off_is_one_that_is_left_out(self) -> None:
        columns = said(calendar(MASTER, CANCELLED))
        assert columns["recurrence"] == "RRULE:FREQ=WEEKLY;COUNT=4\nEXDATE:20261116,20261123"
        assert columns["exceptions"] is None

    def test_one_event_by_itself_has_neither(self) -> None:
        columns = said(calendar(event(*BERLIN)))
        assert (columns["recurrence"], columns["exceptions"]) == (None, None)

    def test_one_private_date_makes_all_of_it_private(self) -> None:
        """The exceptions tell what it is about."""
        own = MOVED.replace("SUMMARY:", "CLASS:PRIVATE\r\nSUMMARY:Doctor, not ")
        assert whole.read(calendar(MASTER, own)).private
        assert not whole.read(calendar(MASTER, MOVED)).private

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            (
                calendar(MASTER, MOVED.replace("RECURRENCE-ID;", "RECURRENCE-ID;RANGE=THISANDFUTURE;")),
                "later",
            ),
            (calendar(MOVED), "itself"),
            (calendar(event(*BERLIN, WEEKLY, "EXRULE:FREQ=WEEKLY;INTERVAL=2")), "EXRULE"),
            (calendar(event(*BERLIN, "RRULE:FREQ=HOURLY")), "daily"),
        ],
    )
    def test_what_two_columns_cannot_tell_is_left_as_it_is(self, text: str, why: str) -> None:
        item = whole.read(text)
        assert item.untouchable.startswith("recurring, and ")
        assert why in item.untouchable
        assert patched(text, subject="Other") in (
            text,
            whole.mapping.patch(text, {"subject": "Other"}, now=NOW),
        )


class TestWriting:
    def test_the_same_again_is_nothing(self) -> None:
        text = calendar(MASTER, MOVED)
        assert whole.patch(text, said(text), now=NOW) == text

    def test_the_subject_of_the_series(self) -> None:
        """An occurrence that was moved follows in what it had in common."""
        after = patched(calendar(MASTER, MOVED), subject="Weekly")
        assert after.count("SUMMARY:Weekly") == 2
        assert after.count(ODD) == 2
        assert said(after)["recurrence"] == RULES
        assert said(after)["exceptions"] == said(calendar(MASTER, MOVED))["exceptions"]

    def test_a_series_that_is_held_an_hour_later_keeps_its_days(self) -> None:
        text = calendar(MASTER, MOVED)
        before = said(text)
        after = patched(text, start=TEN, end=datetime(2026, 11, 2, 10, tzinfo=UTC))
        assert "EXDATE;TZID=Europe/Berlin:20261116T100000" in after
        assert "RECURRENCE-ID;TZID=Europe/Berlin:20261109T100000" in after
        assert "DTSTART;TZID=Europe/Berlin:20261110T140000" in after  # where it was moved to
        assert {n: said(after)[n] for n in ("recurrence", "exceptions")} == {
            n: before[n] for n in ("recurrence", "exceptions")
        }

    def test_other_rules(self) -> None:
        after = patched(calendar(MASTER, MOVED), recurrence="rrule:freq=weekly;interval=2\nRDATE:20261104")
        assert said(after)["recurrence"] == "RRULE:FREQ=WEEKLY;INTERVAL=2\nRDATE:20261104"
        assert "RDATE;TZID=Europe/Berlin:20261104T090000" in after
        assert "EXDATE" not in after

    def test_an_exception_that_is_taken_back(self) -> None:
        after = patched(calendar(MASTER, MOVED), exceptions=None)
        assert after.count("BEGIN:VEVENT") == 1
        assert MASTER in after  # byte for byte

    def test_a_new_exception_leaves_the_others_as_they_are(self) -> None:
        text = calendar(MASTER, MOVED)
        more = f'{said(text)["exceptions"]}\n{{"date": "20261123", "location": "Room 2"}}'
        after = patched(text, exceptions=more)
        assert MASTER + MOVED in after
        assert said(after)["exceptions"] == more
        assert "RECURRENCE-ID;TZID=Europe/Berlin:20261123T090000" in after

    def test_an_exception_on_a_day_without_a_meeting_is_passed_over(self) -> None:
        text = calendar(MASTER)
        assert patched(text, exceptions='{"date": "20261117", "location": "Room 2"}') == text

    def test_one_that_was_off_takes_place_again(self) -> None:
        after = patched(calendar(MASTER, CANCELLED), recurrence=RULES)
        assert said(after)["recurrence"] == RULES
        assert "CANCELLED" not in after

    def test_the_end_of_a_series(self) -> None:
        after = patched(calendar(MASTER, MOVED), recurrence=None)
        assert said(after)["recurrence"] is None
        assert after.count("BEGIN:VEVENT") == 1
        assert ODD in after

    def test_a_new_series(self) -> None:
        columns = {**said(calendar(MASTER, MOVED))}
        text = whole.build(Kind.APPOINTMENT, "other", columns, now=NOW)
        assert {n: v for n, v in said(text).items() if n in columns} == columns

    @pytest.mark.parametrize("garbage", ["nonsense", "RRULE:FREQ=NEVER", "EXDATE:today", "RRULE:" + "X" * 99])
    def test_what_is_no_rule_is_no_opinion(self, garbage: str) -> None:
        assert "recurrence" not in whole.project(Kind.APPOINTMENT, {"recurrence": garbage})
        text = calendar(MASTER)
        assert patched(text, recurrence=garbage) == text

    @pytest.mark.parametrize(
        "garbage",
        [
            "nonsense",
            '{"date": 7}',
            '{"date": "20261399"}',
            '["date"]',
            '{"location": "x"}',
            '{"date": "20261109"}\n{"date": "20261109"}',
            '{"date": "20261109", "start": 12}',
            "[" * 5000,
        ],
    )
    def test_what_is_no_exception_is_no_opinion(self, garbage: str) -> None:
        assert "exceptions" not in whole.project(Kind.APPOINTMENT, {"exceptions": garbage})
        text = calendar(MASTER, MOVED)
        assert patched(text, exceptions=garbage) == text


def test_rules_are_written_one_way() -> None:
    text = "EXDATE:20261116,20261102\n\n rrule:freq=weekly; \nEXDATE:20261102"
    assert written.canonical_recurrence(text) == "RRULE:FREQ=WEEKLY\nEXDATE:20261102,20261116"
    assert written.canonical_recurrence("EXDATE:20261116") is None


class TestManyExceptions:
    """Neither cut off nor slow: one edit of a series is not one reading of the object for each of them."""

    @staticmethod
    def calendar(number: int) -> str:
        days = [BEGIN + timedelta(days=i) for i in range(number)]
        own = [
            event(
                f"RECURRENCE-ID;TZID=Europe/Berlin:{day:%Y%m%d}T090000",
                f"DTSTART;TZID=Europe/Berlin:{day:%Y%m%d}T090000",
                f"DTEND;TZID=Europe/Berlin:{day:%Y%m%d}T100000",
                "SUMMARY:Jour fixe",
                f"LOCATION:Room {day:%j}",
            )
            for day in days
        ]
        return calendar(event(*BERLIN, "RRULE:FREQ=DAILY;COUNT=2000", "SUMMARY:Jour fixe"), *own)

    def test_as_many_as_are_held_go_along_with_their_series(self, monkeypatch: pytest.MonkeyPatch) -> None:
        text = self.calendar(200)
        readings = []

        class Counted(Series):
            def __init__(self, text: str, default_zone: tzinfo = UTC) -> None:
                readings.append(1)
                super().__init__(text, default_zone)

        monkeypatch.setattr(whole, "Series", Counted)
        changed = patched(text, subject="Daily")
        assert len(readings) < 20
        assert changed.count("SUMMARY:Daily") == 201
        assert said(changed)["exceptions"] == said(text)["exceptions"]

    def test_all_of_them_are_made_at_once(self) -> None:
        text = self.calendar(200)
        plain = self.calendar(0)
        assert said(patched(plain, exceptions=said(text)["exceptions"])) == said(text)

    def test_more_than_are_held_are_left_as_they_are(self) -> None:
        item = whole.read(self.calendar(written.MOST + 1))
        assert item.untouchable == "recurring, and more than 1,000 of its occurrences differ"

    def test_more_lines_than_are_held_are_no_opinion(self) -> None:
        days = (BEGIN + timedelta(days=i) for i in range(written.MOST + 1))
        lines = "\n".join(f'{{"date": "{day:%Y%m%d}", "location": "Room 2"}}' for day in days)
        assert whole.project(Kind.APPOINTMENT, {"exceptions": lines}) == {}
        rules = "RRULE:FREQ=DAILY\n" * (written.MOST + 1)
        assert whole.project(Kind.APPOINTMENT, {"recurrence": rules}) == {}
