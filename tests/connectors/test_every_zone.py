"""In every zone there is, at the edges of its clock too: a trip through a connector's form and back moves nothing."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest

from crmsync.connectors.caldav import exceptions
from crmsync.connectors.caldav import mapping as caldav
from crmsync.connectors.caldav.series import Series
from crmsync.connectors.contract import Columns, Kind
from crmsync.connectors.ews import mapping as ews
from crmsync.connectors.salesforce.describe import parse
from crmsync.connectors.salesforce.mapping import Mapper
from crmsync.connectors.salesforce.tables import DEFAULT_FIELDS
from tests.connectors.salesforce.stub import described

EVENT = Kind.APPOINTMENT
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
YEAR = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ZONES = sorted(available_timezones() - {"Factory", "localtime"})
FEW = [*ZONES[::12], "Africa/Casablanca", "Australia/Lord_Howe", "Europe/Berlin", "America/St_Johns"]
SCHEMA, MAPPER = parse(described(EVENT).data), Mapper(EVENT, DEFAULT_FIELDS[EVENT])


@cache
def edges(name: str) -> tuple[datetime, ...]:
    """The moments of a year at which the clock is put, and some usual ones."""
    zone, found = ZoneInfo(name), [YEAR + timedelta(hours=9), YEAR + timedelta(days=180, hours=15)]
    for hour in range(365 * 24):
        at = YEAR + timedelta(hours=hour)
        if at.astimezone(zone).utcoffset() != (at + HOUR).astimezone(zone).utcoffset():
            found += [at - HOUR, at, at + HOUR, at + 2 * HOUR]
    return tuple(found)


def timed(name: str) -> Iterator[Columns]:
    for at in edges(name):
        times: Columns = {"start": at, "end": at + HOUR, "all_day": False, "time_zone": name}
        yield {"subject": "x", **times}


def days() -> Iterator[Columns]:
    for day in (date(2026, 3, 29), date(2026, 10, 25), date(2026, 12, 31)):
        times: Columns = {"start": day, "end": day + timedelta(days=2), "all_day": True, "time_zone": None}
        yield {"subject": "x", **times}


def when(columns: Columns) -> tuple[object, ...]:
    return columns["start"], columns["end"], columns["all_day"]


@pytest.mark.parametrize("name", ZONES)
def test_calendar_objects(name: str) -> None:
    for columns in (*timed(name), *days()):
        text = caldav.build(EVENT, "u", columns, now=NOW, default_zone=ZoneInfo(name))
        back = caldav.read(text, default_zone=ZoneInfo(name)).columns
        assert when(back) == when(columns)
        assert caldav.patch(text, columns, now=NOW, default_zone=ZoneInfo(name)) == text
        edited = caldav.patch(text, {"subject": "y"}, now=NOW, default_zone=ZoneInfo(name))
        again = caldav.read(edited, default_zone=ZoneInfo(name)).columns
        assert when(again) == when(columns)


@pytest.mark.parametrize("name", ZONES)
def test_exchange(name: str) -> None:
    zone = ews.Zone(ZoneInfo(name), name)
    for columns in (*timed(name), *days()):
        stands = ews.write(EVENT, None, columns, zone=zone)
        assert when(ews.read(EVENT, "id", stands, zone).columns) == when(columns)


@pytest.mark.parametrize("name", ZONES)
def test_the_crm(name: str) -> None:
    for columns in (*timed(name), *days()):
        row = MAPPER.row(columns, SCHEMA)
        assert when(MAPPER.columns({"IsAllDayEvent": columns["all_day"], **row})) == when(columns)


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("floating", [False, True])
def test_an_occurrence_that_gets_a_text_of_its_own(name: str, floating: bool) -> None:
    """Daily, in the middle of the hour that is left out or comes twice in many places."""
    head = "" if floating else f";TZID={name}"
    text = (
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:u\r\n"
        f"DTSTART{head}:20260101T023000\r\nDTEND{head}:20260101T033000\r\nRRULE:FREQ=DAILY\r\n"
        "END:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    series = Series(text, ZoneInfo(name))
    around = {f"{at.astimezone(ZoneInfo(name)):%Y%m%d}" for at in edges(name)}
    for day in around & set(series.between(YEAR, YEAR + timedelta(days=366))):
        slot = series.slot(day)
        assert slot is not None
        before = series.occurrence(slot)
        edited = exceptions.changed(series, slot, {"subject": "y"}, tag="", now=NOW)
        after = Series(edited, ZoneInfo(name)).occurrence(slot)
        assert after.columns == {**before.columns, "subject": "y"}, day
        assert after.name == day
