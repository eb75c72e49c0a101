"""Time zones of one object: known by name, or defined in it, and never remembered by TZID."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.connectors.dav.document import parse
from crmsync.connectors.dav.vtimezone import OwnZone, definition
from crmsync.connectors.dav.windows_zones import WINDOWS_ZONES
from crmsync.connectors.dav.zones import Zones, iana, to_local, to_utc, zone_name

OUTLOOK = """BEGIN:VCALENDAR
BEGIN:VTIMEZONE
TZID:Customized Time Zone
BEGIN:STANDARD
DTSTART:16010101T0{standard}0000
TZOFFSETFROM:{summer}
TZOFFSETTO:{winter}
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:{winter}
TZOFFSETTO:{summer}
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
END:VCALENDAR
"""
BERLIN = OUTLOOK.format(standard=3, summer="+0200", winter="+0100")
LONDON = OUTLOOK.format(standard=2, summer="+0100", winter="+0000")
NOON = datetime(2026, 7, 1, 12)


def zones(text: str) -> Zones:
    return Zones(parse(text).components[0])


def rules(text: str) -> OwnZone:
    found = OwnZone.of(parse(text).components[0])
    assert found is not None
    return found


def test_two_objects_that_define_one_tzid_differently() -> None:
    """The definition of one calendar must not move the meetings of the next."""
    hours = []
    for text in (BERLIN, LONDON, BERLIN):
        zone = zones(text).resolve("Customized Time Zone")
        assert zone is not None
        hours.append(to_utc(NOON, zone.rules).hour)
    assert hours == [10, 11, 10]
    assert (
        Zones(parse("BEGIN:VCALENDAR\nEND:VCALENDAR\n").components[0]).resolve("Customized Time Zone") is None
    )


@pytest.mark.parametrize(
    ("tzid", "name"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("pacific standard time", "America/Los_Angeles"),
        ("Central Standard Time (Mexico)", "America/Mexico_City"),
        ("/freeassociation.sourceforge.net/Tzfile/Europe/Berlin", "Europe/Berlin"),
        ("/softwarestudio.org/Olson_20011030_5/America/Argentina/Salta", "America/Argentina/Salta"),
        ("/America/New_York", "America/New_York"),
        ("posix/Europe/Vaduz", "Europe/Vaduz"),
    ],
)
def test_known_by_name(tzid: str, name: str) -> None:
    zone = zones(BERLIN).resolve(tzid)
    assert zone is not None
    assert zone.name == name


@pytest.mark.parametrize("tzid", ["UTC", "Etc/UTC", "GMT", "utc"])
def test_utc_has_no_name(tzid: str) -> None:
    zone = zones(BERLIN).resolve(tzid)
    assert zone is not None
    assert zone.name is None
    assert to_utc(NOON, zone.rules).hour == 12


@pytest.mark.parametrize(
    "tzid", ["", "America", "../../etc/passwd", "/etc/localtime", "Nowhere/Middle", "a" * 5000, "Ü", "x\0y"]
)
def test_unknown_names(tzid: str) -> None:
    assert zones(BERLIN).resolve(tzid) is None
    assert zone_name(tzid) is None


def test_x_lic_location_names_the_zone() -> None:
    text = BERLIN.replace("TZID:Customized Time Zone", "TZID:foo\nX-LIC-LOCATION:Europe/Paris")
    zone = zones(text).resolve("foo")
    assert zone is not None
    assert zone.name == "Europe/Paris"
    assert zones(text).tzid_of("Europe/Paris") == "foo"
    assert zones(text).tzid_of("Europe/Rome") is None


def test_every_windows_zone_exists() -> None:
    assert len(WINDOWS_ZONES) > 135
    assert [zone for zone in WINDOWS_ZONES.values() if iana(zone) is None] == []


@pytest.mark.parametrize(
    ("local", "fold", "hour"),
    [
        (datetime(2026, 3, 29, 1, 59), 0, 0),
        (datetime(2026, 3, 29, 2, 30), 0, 1),  # skipped: the offset before the gap (RFC 5545 3.3.5)
        (datetime(2026, 3, 29, 3, 0), 0, 1),
        (datetime(2026, 10, 25, 2, 30), 0, 0),  # twice: the first
        (datetime(2026, 10, 25, 2, 30), 1, 1),
        (datetime(2026, 10, 25, 3, 0), 0, 2),
    ],
)
def test_own_zone_at_its_changes(local: datetime, fold: int, hour: int) -> None:
    own = rules(BERLIN.replace("BEGIN:VCALENDAR\n", "").replace("END:VCALENDAR\n", ""))
    moment = to_utc(local.replace(fold=fold), own)
    assert moment.hour == hour
    assert moment == to_utc(local.replace(fold=fold), ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    "broken",
    [
        "BEGIN:VTIMEZONE\nTZID:x\nEND:VTIMEZONE\n",
        "BEGIN:VTIMEZONE\nTZID:x\nBEGIN:STANDARD\nDTSTART:foo\nTZOFFSETTO:+0100\nEND:STANDARD\nEND:VTIMEZONE\n",
        "BEGIN:VTIMEZONE\nTZID:x\nBEGIN:STANDARD\nDTSTART:20000101T000000\nTZOFFSETTO:+9900\nEND:STANDARD\n"
        "END:VTIMEZONE\n",
    ],
)
def test_a_definition_without_sense_is_none(broken: str) -> None:
    assert zones(f"BEGIN:VCALENDAR\n{broken}END:VCALENDAR\n").resolve("x") is None


@pytest.mark.parametrize(
    "rule", ["FREQ=SECONDLY", "FREQ=YEARLY;BYMONTH=13", "FREQ=YEARLY;BYDAY=XX", "nonsense", ""]
)
def test_a_rule_that_no_zone_has_is_one_onset(rule: str) -> None:
    own = rules(
        f"BEGIN:VTIMEZONE\nTZID:x\nBEGIN:STANDARD\nDTSTART:16010101T000000\nRRULE:{rule}\nTZOFFSETFROM:+0300\n"
        "TZOFFSETTO:+0300\nEND:STANDARD\nEND:VTIMEZONE\n"
    )
    assert to_utc(NOON, own).hour == 9


def test_until_count_and_rdate() -> None:
    own = rules(
        "BEGIN:VTIMEZONE\nTZID:x\n"
        "BEGIN:DAYLIGHT\nDTSTART:20000401T020000\nRRULE:FREQ=YEARLY;BYMONTH=4;BYDAY=1SU;UNTIL=20040404T070000Z\n"
        "TZOFFSETFROM:-0500\nTZOFFSETTO:-0400\nEND:DAYLIGHT\n"
        "BEGIN:STANDARD\nDTSTART:20001029T020000\nRRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU;COUNT=5\n"
        "RDATE:20100101T000000\nTZOFFSETFROM:-0400\nTZOFFSETTO:-0500\nEND:STANDARD\nEND:VTIMEZONE\n"
    )
    found = [own.utcoffset(datetime(year, 7, 1)) for year in (2003, 2004, 2005, 2012)]
    assert found == [timedelta(hours=-4), timedelta(hours=-4), timedelta(hours=-5), timedelta(hours=-5)]


WRITTEN = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Karachi",
    "America/Santiago",
]


@settings(max_examples=60)
@given(
    st.sampled_from(WRITTEN),
    st.datetimes(datetime(1998, 1, 1), datetime(2035, 1, 1)),
    st.sampled_from([0, 1]),
)
def test_what_is_written_is_what_the_zone_does(name: str, moment: datetime, fold: int) -> None:
    """A VTIMEZONE of ours, evaluated, agrees with the time zone database, at changes too."""
    zone = ZoneInfo(name)
    own = rules(definition(name, zone, moment.year))
    local = moment.replace(microsecond=0, fold=fold)
    assert to_utc(local, own) == to_utc(local, zone)
    utc = local.replace(tzinfo=UTC, fold=0)
    assert to_local(utc, own) == to_local(utc, zone)


class TestLikeness:
    """A name that nobody knows, and rules that some place has."""

    @pytest.mark.parametrize(
        ("text", "name"),
        [
            (BERLIN, "Europe/Berlin"),
            (LONDON, "Europe/London"),
            (OUTLOOK.format(standard=3, summer="+0130", winter="+0030"), None),  # nowhere
            (OUTLOOK.format(standard=3, summer="+0100", winter="+0100"), None),  # an offset is no place
        ],
    )
    def test_by_its_rules(self, text: str, name: str | None) -> None:
        found = zones(text).resolve("Customized Time Zone")
        assert found is not None
        assert found.name == name

    @pytest.mark.parametrize(
        "name", ["America/New_York", "Australia/Sydney", "Europe/Athens", "America/Chicago"]
    )
    def test_a_definition_of_our_own_under_another_name(self, name: str) -> None:
        text = definition(name, ZoneInfo(name), 2020, "\r\n").replace(f"TZID:{name}", "TZID:My own")
        found = zones(f"BEGIN:VCALENDAR\r\n{text}END:VCALENDAR\r\n").resolve("My own")
        assert found is not None
        assert found.name is not None
        year = [datetime(2026, month, 15, 12) for month in range(1, 13)]
        assert [to_utc(at, ZoneInfo(found.name)) for at in year] == [
            to_utc(at, ZoneInfo(name)) for at in year
        ]
