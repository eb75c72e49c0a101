"""VALARM and the reminder."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from crmsync.connectors.caldav import exceptions, mapping
from crmsync.connectors.caldav.series import Series
from crmsync.connectors.contract import Columns, Kind

NOW = datetime(2026, 11, 22, tzinfo=UTC)
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
WHEN = ("DTSTART:20260302T090000Z", "DTEND:20260302T100000Z")


def alarm(*lines: str) -> tuple[str, ...]:
    return ("BEGIN:VALARM", "ACTION:DISPLAY", "DESCRIPTION:Soon", *lines, "END:VALARM")


def item(*lines: str, kind: str = "VEVENT") -> str:
    inner = (f"BEGIN:{kind}", "UID:u", "DTSTAMP:20260101T000000Z", *lines, f"END:{kind}")
    return "".join(f"{each}\r\n" for each in ("BEGIN:VCALENDAR", "VERSION:2.0", *inner, "END:VCALENDAR"))


def read(text: str) -> Columns:
    return mapping.read(text, default_zone=BERLIN).columns


def patch(text: str, **columns: object) -> str:
    return mapping.patch(text, columns, now=NOW, default_zone=BERLIN)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (WHEN, None),
        ((*WHEN, *alarm("TRIGGER:-PT15M")), NINE - timedelta(minutes=15)),
        ((*WHEN, *alarm("TRIGGER:PT0S")), NINE),
        ((*WHEN, *alarm("TRIGGER:-P1D")), NINE - timedelta(days=1)),
        ((*WHEN, *alarm("TRIGGER;RELATED=END:-PT15M")), NINE + timedelta(minutes=45)),
        ((*WHEN, *alarm("TRIGGER;VALUE=DATE-TIME:20260301T120000Z")), datetime(2026, 3, 1, 12, tzinfo=UTC)),
        (("DTSTART;VALUE=DATE:20260302", *alarm("TRIGGER:PT9H")), datetime(2026, 3, 2, 8, tzinfo=UTC)),
        ((*WHEN, "BEGIN:VALARM", "ACTION:EMAIL", "TRIGGER:-PT15M", "END:VALARM"), None),
    ],
)
def test_when_it_goes_off(lines: tuple[str, ...], expected: datetime | None) -> None:
    assert read(item(*lines))["reminder"] == expected


@pytest.mark.parametrize(
    "lines",
    [
        (*alarm("TRIGGER:-PT15M"), *alarm("TRIGGER:-PT1H")),
        alarm("TRIGGER:rubbish"),
        alarm(),
        alarm("TRIGGER:-P999999W"),
    ],
)
def test_what_is_not_one_reminder_has_no_column_and_stays(lines: tuple[str, ...]) -> None:
    text = item(*WHEN, *lines)
    assert "reminder" not in read(text)
    assert patch(text, reminder=None) == text


def test_a_reminder_is_changed_taken_out_and_set() -> None:
    text = item(*WHEN, *alarm("TRIGGER;RELATED=START:-PT15M", "X-NOTE:mine"))
    later = patch(text, reminder=NINE - timedelta(minutes=90))
    assert "TRIGGER:-PT1H30M\r\n" in later
    assert "X-NOTE:mine\r\n" in later
    assert patch(text, reminder=NINE - timedelta(minutes=15)) == text
    none = patch(text, reminder=None)
    assert "VALARM" not in none
    assert read(patch(none, reminder=NINE))["reminder"] == NINE
    assert read(patch(none, reminder=NINE - timedelta(days=400)))["reminder"] == NINE - timedelta(days=400)


def test_it_moves_along_unless_it_says_otherwise() -> None:
    text = item(*WHEN, *alarm("TRIGGER:-PT15M"))
    times = {"start": NINE + timedelta(days=1), "end": NINE + timedelta(days=1, hours=1)}
    moved = patch(text, **times)
    assert "TRIGGER:-PT15M" in moved
    stays = patch(text, **times, reminder=NINE - timedelta(minutes=15))
    assert read(stays)["reminder"] == NINE - timedelta(minutes=15)


def test_tasks() -> None:
    bare = item(kind="VTODO")
    assert read(patch(bare, reminder=NINE))["reminder"] == NINE
    due = item(
        "DTSTART:20260302T090000Z", "DUE:20260302T100000Z", *alarm("TRIGGER;RELATED=END:PT0S"), kind="VTODO"
    )
    assert read(due)["reminder"] == NINE + timedelta(hours=1)


def test_a_new_item() -> None:
    columns: Columns = {"subject": "x", "start": NINE, "end": NINE, "reminder": NINE - timedelta(hours=1)}
    text = mapping.build(Kind.APPOINTMENT, "u", columns, now=NOW)
    assert "TRIGGER:-PT1H\r\n" in text
    assert mapping.project(Kind.APPOINTMENT, {"reminder": date(2026, 3, 1)}) == {
        "reminder": datetime(2026, 3, 1, tzinfo=UTC)
    }


def test_an_alarm_that_goes_off_once_is_none_of_an_occurrence() -> None:
    once = alarm("TRIGGER;VALUE=DATE-TIME:20260301T120000Z")
    series = Series(item(*WHEN, "RRULE:FREQ=DAILY", *once))
    slot = series.slot("20260305")
    assert slot is not None
    assert series.occurrence(slot).columns["reminder"] is None
    assert exceptions.changed(series, slot, {"subject": "y"}, tag="", now=NOW).count("VALARM") == 2


def test_of_a_series_each_has_its_own() -> None:
    series = Series(item(*WHEN, "RRULE:FREQ=DAILY", *alarm("TRIGGER:-PT15M")))
    slot = series.slot("20260305")
    assert slot is not None
    assert series.occurrence(slot).columns["reminder"] == datetime(2026, 3, 5, 8, 45, tzinfo=UTC)
