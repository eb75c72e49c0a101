"""Appointments and tasks both ways: real-life objects, and what must never change."""

import re
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import vobject
from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.connectors.caldav.mapping import HOLDS, READ_ONLY, build, patch, project, read
from crmsync.connectors.columns import COLUMNS, Type
from crmsync.connectors.contract import Columns, Kind, Stamp, Value
from crmsync.connectors.dav.contentline import decode
from crmsync.connectors.dav.item import Malformed, NotOurs
from crmsync.connectors.dav.vtimezone import definition
from tests.connectors.dav.corpora import changed_names, files, lines, needs_corpora

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
STAMP = Stamp("00D1", "0031", "u-1", 3, "mac")
TOUCHED = {"DTSTAMP", "LAST-MODIFIED", "SEQUENCE"}

ZONE = """BEGIN:VTIMEZONE
TZID:Customized Time Zone
BEGIN:STANDARD
DTSTART:16010101T030000
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
END:VTIMEZONE"""
BERLIN = "DTSTART;TZID=Europe/Berlin:20260701T100000"
CUSTOM = ZONE.format(summer="+0200", winter="+0100")


def calendar(*body: str) -> str:
    text = "\n".join(("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Example//EN", *body, "END:VCALENDAR", ""))
    return text.replace("\n", "\r\n")


def component(name: str, *body: str, zone: str = "") -> str:
    inner = (f"BEGIN:{name}", "UID:u-1", "DTSTAMP:20200101T000000Z", *body, f"END:{name}")
    return calendar(*((zone,) if zone else ()), *inner)


def event(*body: str, zone: str = "") -> str:
    return component("VEVENT", *body, zone=zone)


def todo(*body: str) -> str:
    return component("VTODO", *body)


def meeting(*body: str) -> str:
    return event("DTSTART:20260701T100000Z", "DTEND:20260701T110000Z", *body)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 7, day, hour, minute, tzinfo=UTC)


def after_dtstamp(text: str) -> str:
    """The text as a patch leaves it: DTSTAMP says now."""
    return text.replace("DTSTAMP:20200101T000000Z", "DTSTAMP:20261122T100000Z")


# ── Events: reading ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "zone", "start", "end", "all_day", "name"),
    [
        ("DTSTART:20260701T100000Z\nDTEND:20260701T110000Z", "", at(1, 10), at(1, 11), False, None),
        (f"{BERLIN}\nDURATION:PT90M", "", at(1, 8), at(1, 9, 30), False, "Europe/Berlin"),
        ("DTSTART;TZID=\"W. Europe Standard Time\":20260701T100000", "", at(1, 8), at(1, 8), False, "Europe/Berlin"),
        ("DTSTART;TZID=Customized Time Zone:20260701T100000", CUSTOM, at(1, 8), at(1, 8), False, "Europe/Berlin"),
        ("DTSTART;TZID=Europe/Berlin:20260701T100000Z", "", at(1, 10), at(1, 10), False, None),  # the Z is right
        ("DTSTART:20260701T100000", "", at(1, 14), at(1, 14), False, None),  # floating: America/New_York here
        ("DTSTART;VALUE=DATE:20260701", "", date(2026, 7, 1), date(2026, 7, 2), True, None),
        ("DTSTART;VALUE=DATE:20260701\nDTEND;VALUE=DATE:20260704", "", date(2026, 7, 1), date(2026, 7, 4), True, None),
        ("DTSTART;VALUE=DATE:20260701\nDTEND;VALUE=DATE:20260701", "", date(2026, 7, 1), date(2026, 7, 2), True, None),
        ("DTSTART;VALUE=DATE:20260701\nDURATION:P2D", "", date(2026, 7, 1), date(2026, 7, 3), True, None),
        ("DTSTART;TZID=Europe/Berlin:20260701", "", date(2026, 7, 1), date(2026, 7, 2), True, None),
        (
            "DTSTART;TZID=Europe/Berlin:20260328T120000\nDURATION:P1D",  # a day of 23 hours
            "",
            datetime(2026, 3, 28, 11, tzinfo=UTC),
            datetime(2026, 3, 29, 10, tzinfo=UTC),
            False,
            "Europe/Berlin",
        ),
    ],
)  # fmt: skip
def test_when(body: str, zone: str, start: Value, end: Value, all_day: bool, name: str | None) -> None:
    columns = read(event(body, zone=zone), default_zone=ZoneInfo("America/New_York")).columns
    found = tuple(columns[each] for each in ("start", "end", "all_day", "time_zone"))
    assert found == (start, end, all_day, name)


def test_two_objects_that_define_one_tzid_differently() -> None:
    body = "DTSTART;TZID=Customized Time Zone:20260701T120000"
    texts = [
        event(body, zone=ZONE.format(summer=s, winter=w)) for s, w in (("+0200", "+0100"), ("-0400", "-0500"))
    ]
    assert [read(text).columns["start"] for text in (*texts, texts[0])] == [at(1, 10), at(1, 16), at(1, 10)]


@pytest.mark.parametrize(
    ("body", "columns"),
    [
        ("SUMMARY:Lunch\\, now, or never", {"subject": "Lunch, now, or never"}),
        ('LOCATION;ALTREP="http://x:1":Room\\; 1', {"location": "Room; 1"}),
        ("DESCRIPTION:a\\nb\n c", {"description": "a\nbc"}),
        ("STATUS:TENTATIVE", {"status": "tentative"}),
        (
            "",
            {"status": None, "show_as": "busy", "sensitivity": "public", "subject": None, "categories": None},
        ),
        ("TRANSP:TRANSPARENT", {"show_as": "free"}),
        ("TRANSP:OPAQUE\nX-MICROSOFT-CDO-BUSYSTATUS:OOF", {"show_as": "out_of_office"}),
        ("TRANSP:OPAQUE\nX-MICROSOFT-CDO-BUSYSTATUS:FREE", {"show_as": "busy"}),
        ("X-MICROSOFT-CDO-BUSYSTATUS:FREE", {"show_as": "free"}),
        ("TRANSP:TRANSPARENT\nX-MICROSOFT-CDO-BUSYSTATUS:BUSY", {"show_as": "free"}),
        ("CLASS:X-SECRET", {"sensitivity": "private"}),
        ("CATEGORIES:b,a\\,b\nCATEGORIES:c", {"categories": ("a,b", "b", "c")}),
        ("BEGIN:VALARM\nSUMMARY:alarm\nDESCRIPTION:x\nEND:VALARM", {"subject": None, "description": None}),
    ],
)
def test_read(body: str, columns: dict[str, Value]) -> None:
    found = read(meeting(*body.split("\n")) if body else meeting()).columns
    assert {name: found[name] for name in columns} == columns


def test_an_unknown_status_is_no_opinion() -> None:
    text = meeting("STATUS:X-MAYBE")
    assert "status" not in read(text).columns
    assert patch(text, {"status": None}, now=NOW) == text
    assert "STATUS:CONFIRMED" in patch(text, {"status": "confirmed"}, now=NOW)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (event("SUMMARY:x"), "no DTSTART"),
        (event("DTSTART:20260701T100000Z", "DTEND:20260701T090000Z"), "ends before it starts"),
        (event("DTSTART:20260701T100000Z", "DURATION:-PT1H"), "ends before it starts"),
        (event("DTSTART;VALUE=DATE:20260701", "DTEND;VALUE=DATE:20260630"), "ends before it starts"),
        (event("DTSTART;VALUE=DATE:20260701", "DTEND:20260702T000000Z"), "one is a date"),
        (event("DTSTART:20260231T100000Z"), "no date or date-time"),
        (event("DTSTART:tomorrow"), "no date or date-time"),
        (event("DTSTART:00010101T000000Z"), "no date or date-time"),
        (event("DTSTART:20260701T100000Z", "DURATION:P999999W"), "DURATION reaches beyond"),
        (event("DTSTART:20260701T100000Z", "DURATION:soon"), "DURATION is none"),
        (event("DTSTART;TZID=Nowhere/Middle:20260701T100000"), "neither known nor defined"),
        (meeting("DESCRIPTION:" + "x" * 5_000_000), "DESCRIPTION has 5000000 characters"),
        (meeting("SUMMARY:a\x07b"), "control character 0x07"),
        (meeting("X-Y:a\0b"), "NUL"),
        (calendar(), "without any component"),
        (calendar("BEGIN:VALARM", "END:VALARM"), "VALARM stands in it by itself"),
        (calendar("BEGIN:VCALENDAR", "END:VCALENDAR"), "VCALENDAR stands in it by itself"),
        (calendar("METHOD:REPLY", "BEGIN:VEVENT", "UID:u", "END:VEVENT"), "no calendar stores a METHOD"),
        (meeting("SUMMARY;LANGUAGE=en:a", "SUMMARY:b"), "more than one SUMMARY .RFC 5545 3.6.1"),
        (meeting("DTSTART:20260702T100000Z"), "more than one DTSTART"),
        (todo("DUE:20260701T100000Z", "DUE:20260702T100000Z"), "more than one DUE .RFC 5545 3.6.2"),
        (event("DTSTART:20260701T100000Z", "DTEND:20260701T110000Z", "DURATION:PT2H"), "do not agree"),
        (meeting("DESCRIPTION:one", "two"), "after its DESCRIPTION stands a line that is no property"),
        ("BEGIN:VEVENT\nEND:VEVENT\n", "no BEGIN:VCALENDAR"),
        (meeting().replace("END:VEVENT\r\n", ""), "closed by END:VCALENDAR"),
        (todo("DUE:never"), "no date or date-time"),
    ],
)
def test_a_broken_object_names_the_rule(text: str, rule: str) -> None:
    with pytest.raises(Malformed, match=rule) as caught:
        read(text)
    assert not isinstance(caught.value, NotOurs)


@pytest.mark.parametrize("name", ["VJOURNAL", "VFREEBUSY", "VAVAILABILITY", "VTIMEZONE", "X-VVENUE"])
def test_other_kinds_are_not_ours(name: str) -> None:
    with pytest.raises(NotOurs, match=name):
        read(component(name))


def test_a_line_after_an_alarm_is_not_the_rest_of_what_stands_before_it() -> None:
    text = meeting("SEQUENCE:0", "BEGIN:VALARM", "END:VALARM", "no property")
    after = patch(text, {"location": "x"}, now=NOW)
    assert read(after).columns["location"] == "x"


def test_a_duration_that_says_the_same_as_the_end_goes_when_they_would_differ() -> None:
    text = event("DTSTART:20260701T100000Z", "DTEND:20260701T110000Z", "DURATION:PT60M")
    assert read(text).columns["end"] == at(1, 11)
    assert "DURATION" in patch(text, {"subject": "x"}, now=NOW)
    after = patch(text, {"end": at(1, 12)}, now=NOW)
    assert "DTEND:20260701T120000Z\r\n" in after
    assert "DURATION" not in after


@pytest.mark.parametrize(
    "odd", ["X-Y:a\x07b", "no colon", "RELATED-TO;=:", "GEO:north", "TRIGGER:x", "COMPLETED:x"]
)
def test_an_odd_line_loses_nothing(odd: str) -> None:
    text = meeting(odd, "SUMMARY:a")
    assert read(text).columns["subject"] == "a"
    assert odd in patch(text, {"subject": "b"}, now=NOW)


OVERRIDE = "BEGIN:VEVENT\nUID:u-1\nRECURRENCE-ID:20260702T100000Z\nDTSTART:20260702T120000Z\nEND:VEVENT"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (meeting(), ""),
        (meeting("RRULE:FREQ=DAILY"), "recurring"),
        (meeting("RDATE:20260801T100000Z"), "recurring"),
        (meeting("RECURRENCE-ID:20260801T100000Z"), "recurring"),
        (meeting("RRULE:FREQ=DAILY", "END:VEVENT", *OVERRIDE.split("\n")[:-1]), "recurring"),
        (meeting("END:VEVENT", "BEGIN:VEVENT", "UID:u-2", "DTSTART:20260701T100000Z"), "several items"),
        (meeting() + meeting(), "several items"),
        (todo("RRULE:FREQ=DAILY"), "recurring"),
    ],
)
def test_untouchable(text: str, why: str) -> None:
    assert read(text).untouchable == why


def test_the_master_is_read_wherever_it_stands() -> None:
    text = calendar(
        *OVERRIDE.split("\n"), "BEGIN:VEVENT", "UID:u-1", "DTSTART:20260701T100000Z", "RRULE:X", "END:VEVENT"
    )
    assert read(text).columns["start"] == at(1, 10)


def test_uid_tags_stamp_and_private() -> None:
    item = read(meeting("CATEGORIES:CRM", "X-CRMSYNC-LINK:v1 00D1 0031 u-1 3 mac", "CLASS:PRIVATE"))
    assert (item.kind, item.uid, item.tags, item.stamp) == (Kind.APPOINTMENT, "u-1", {"CRM"}, STAMP)
    assert item.private
    assert not read(meeting("CLASS:PUBLIC")).private


# ── Events: patching ─────────────────────────────────────────────────────────────────────────────────────────

LOCAL = f"{BERLIN}\nDTEND;TZID=Europe/Berlin:20260701T110000"
MOVED: Columns = {"start": at(2, 8), "end": at(2, 9), "all_day": False}


@pytest.mark.parametrize(
    ("old", "columns", "new"),
    [
        (LOCAL, MOVED, "DTSTART;TZID=Europe/Berlin:20260702T100000\nDTEND;TZID=Europe/Berlin:20260702T110000"),
        (f"{BERLIN}\nDURATION:PT1H", MOVED, "DTSTART;TZID=Europe/Berlin:20260702T100000\nDURATION:PT1H"),
        (
            f"{BERLIN}\nDURATION:PT2H",
            MOVED,
            "DTSTART;TZID=Europe/Berlin:20260702T100000\nDTEND;TZID=Europe/Berlin:20260702T110000",
        ),
        (
            "DTSTART;X-A=1;TZID=Europe/Berlin:20260701T100000\nDTEND;TZID=America/New_York:20260701T100000",
            MOVED,  # a flight: each end keeps its zone
            "DTSTART;X-A=1;TZID=Europe/Berlin:20260702T100000\nDTEND;TZID=America/New_York:20260702T050000",
        ),
        (LOCAL, {"end": at(1, 10)}, f"{BERLIN}\nDTEND;TZID=Europe/Berlin:20260701T120000"),
        (LOCAL, {"start": at(1, 7)}, LOCAL.replace("T100000", "T090000")),
        (LOCAL, {**MOVED, "time_zone": None}, "DTSTART:20260702T080000Z\nDTEND:20260702T090000Z"),
        (
            LOCAL,
            {"start": date(2026, 7, 1), "end": date(2026, 7, 3), "all_day": True, "time_zone": None},
            "DTSTART;VALUE=DATE:20260701\nDTEND;VALUE=DATE:20260703",
        ),
        (
            "DTSTART;VALUE=DATE:20260701\nX-MICROSOFT-CDO-ALLDAYEVENT:TRUE",
            {"start": at(1, 8), "end": at(1, 9), "all_day": False},
            "DTSTART:20260701T080000Z\nX-MICROSOFT-CDO-ALLDAYEVENT:FALSE\nDTEND:20260701T090000Z",
        ),
        (
            "DTSTART;VALUE=DATE:20260701",
            {"start": date(2026, 7, 2), "end": date(2026, 7, 3)},
            "DTSTART;VALUE=DATE:20260702",
        ),
        ("DTSTART:20260701T100000Z", {"end": at(1, 9)}, "DTSTART:20260701T100000Z"),  # before the start: held back
        (
            "DTSTART:20260701T100000",  # floating stays floating
            {"start": at(1, 15), "end": at(1, 16)},
            "DTSTART:20260701T110000\nDTEND:20260701T120000",
        ),
        (f"{LOCAL}\nSEQUENCE:4", {"start": at(1, 7)}, LOCAL.replace("T100000", "T090000") + "\nSEQUENCE:5"),
        (f"{LOCAL}\nSEQUENCE:4", {"subject": "x"}, f"{LOCAL}\nSEQUENCE:4\nSUMMARY:x"),
    ],
)  # fmt: skip
def test_patch_when(old: str, columns: Columns, new: str) -> None:
    zone = ZoneInfo("America/New_York")
    after = patch(event(*old.split("\n")), columns, now=NOW, default_zone=zone)
    want = event(*new.split("\n"))
    assert after == (want if old == new else after_dtstamp(want))
    read(after, default_zone=zone)


def defined(text: str, zone: str, eol: str = "\r\n") -> str:
    """The text with the definition of an IANA zone for 2026 in front of its event."""
    return text.replace("BEGIN:VEVENT", definition(zone, ZoneInfo(zone), 2026, eol) + "BEGIN:VEVENT", 1)


NOON = {"start": at(1, 10), "end": at(1, 11), "all_day": False}
IN_NEW_YORK = "DTSTART;TZID=America/New_York:20260701T040000\nDTEND;TZID=America/New_York:20260701T050000"


@pytest.mark.parametrize(
    ("old", "columns", "new"),
    [
        ("DTSTART:20260701T080000Z", {"time_zone": "Europe/Berlin"}, BERLIN),  # no time at all: start is end
        (
            "DTSTART:20260701T080000Z\nDTEND:20260701T080000Z\nSEQUENCE:1",
            {"start": at(1, 8), "end": at(1, 8), "all_day": False, "time_zone": "Europe/Berlin"},
            f"{BERLIN}\nDTEND;TZID=Europe/Berlin:20260701T100000\nSEQUENCE:2",
        ),
        ("DTSTART:20260701T080000Z\nDURATION:PT1H", {"time_zone": "Europe/Berlin"}, f"{BERLIN}\nDURATION:PT1H"),
        ("DTSTART;VALUE=DATE:20260630", {**NOON, "start": at(1, 8), "time_zone": "Europe/Berlin"},
         f"{BERLIN}\nDTEND;TZID=Europe/Berlin:20260701T130000"),
        (LOCAL, {"time_zone": "America/New_York"}, IN_NEW_YORK),
        (LOCAL.replace("DTEND;TZID=Europe/Berlin", "DTEND;TZID=Asia/Tokyo").replace("T110000", "T180000"),
         {"time_zone": "America/New_York"}, IN_NEW_YORK),
        ("DTSTART:20260701T040000", {"time_zone": "America/New_York"}, "DTSTART;TZID=America/New_York:20260701T000000"),
    ],
)  # fmt: skip
def test_a_zone_that_the_object_lacks_is_defined_in_it(old: str, columns: Columns, new: str) -> None:
    zone = str(columns["time_zone"])
    text = event(*old.split("\n"), "BEGIN:VALARM", "TRIGGER:-PT5M", "END:VALARM")
    after = patch(text, columns, now=NOW)
    want = event(*new.split("\n"), "BEGIN:VALARM", "TRIGGER:-PT5M", "END:VALARM")
    assert after == defined(after_dtstamp(want), zone)
    found = read(after).columns
    assert {name: found[name] for name in columns} == project(Kind.APPOINTMENT, columns)
    assert patch(after, columns, now=NOW) == after


def test_a_new_definition_stands_beside_the_others_with_their_line_ends() -> None:
    text = event("DTSTART;TZID=Customized Time Zone:20260701T100000", zone=CUSTOM).replace("\r\n", "\n")
    assert patch(text, {"time_zone": "Europe/Berlin"}, now=NOW) == text  # by its rules it is that already
    after = patch(text, {"time_zone": "Asia/Tokyo"}, now=NOW)
    want = text.replace(
        "DTSTART;TZID=Customized Time Zone:20260701T10", "DTSTART;TZID=Asia/Tokyo:20260701T17"
    )
    assert after == defined(after_dtstamp(want), "Asia/Tokyo", "\n")
    back = patch(after, {"time_zone": "America/New_York"}, now=NOW)
    again = patch(back, {"time_zone": "Asia/Tokyo"}, now=NOW)
    assert (again.count("TZID:Asia/Tokyo\n"), again.count("BEGIN:VTIMEZONE\n")) == (1, 3)


@pytest.mark.parametrize("columns", [MOVED, {**MOVED, "time_zone": "Europe/Berlin"}])
def test_a_move_within_its_zone_defines_nothing(columns: Columns) -> None:
    after = patch(event(*LOCAL.split("\n")), columns, now=NOW)
    assert "DTSTART;TZID=Europe/Berlin:20260702T100000\r\n" in after
    assert "VTIMEZONE" not in after


def test_another_reader_reads_a_zone_that_came_later() -> None:
    after = patch(meeting(), {"time_zone": "Europe/Berlin"}, now=NOW)
    found = vobject.readOne(after).vevent
    assert (found.dtstart.value.astimezone(UTC), found.dtend.value.astimezone(UTC)) == (at(1, 10), at(1, 11))
    assert found.dtstart.params["X-VOBJ-ORIGINAL-TZID"] == ["Europe/Berlin"]


def test_a_zone_is_not_foretold_for_an_hour_that_it_has_twice() -> None:
    """Such a start is written in UTC, and the zone of an event is that of its start."""
    second = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    columns: Columns = {"start": second, "end": second, "all_day": False, "time_zone": "Europe/Berlin"}
    assert project(Kind.APPOINTMENT, columns) == {**columns, "time_zone": None}
    for text in (patch(meeting(), columns, now=NOW), build(Kind.APPOINTMENT, "u", columns, now=NOW)):
        assert read(text).columns["time_zone"] is None
        assert "VTIMEZONE" not in text
        assert patch(text, columns, now=NOW) == text


def test_a_zone_that_the_object_defines_can_be_named() -> None:
    zone = CUSTOM.replace("TZID:Customized Time Zone", "TZID:Here\nX-LIC-LOCATION:Europe/Paris")
    text = event("DTSTART:20260701T100000Z", "DTEND:20260701T110000Z", zone=zone)
    after = patch(text, {"time_zone": "Europe/Paris"}, now=NOW)
    assert "DTSTART;TZID=Here:20260701T120000\r\n" in after
    assert read(after).columns["time_zone"] == "Europe/Paris"


def test_a_place_that_never_had_the_time_of_the_definition_is_not_believed() -> None:
    """Seen in the tests of sabre/vobject: rules of Central Europe, and Los Angeles for a name."""
    zone = CUSTOM.replace("TZID:Customized Time Zone", "TZID:Mine\nX-LIC-LOCATION:America/Los_Angeles")
    columns = read(event("DTSTART;TZID=Mine:20260701T120000", zone=zone)).columns
    assert (columns["start"], columns["time_zone"]) == (at(1, 10), "Europe/Berlin")  # by its rules


def test_own_zone_of_the_object_is_written_in_its_local_time() -> None:
    text = event("DTSTART;TZID=Customized Time Zone:20260701T120000", zone=CUSTOM)
    winter = datetime(2026, 12, 1, 10, tzinfo=UTC)
    after = patch(text, {"start": winter, "end": winter + timedelta(hours=1)}, now=NOW)
    assert "DTSTART;TZID=Customized Time Zone:20261201T110000\r\n" in after
    assert CUSTOM.replace("\n", "\r\n") in after


def test_the_second_of_two_equal_hours_is_written_in_utc() -> None:
    second = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)  # 02:30 in Berlin, once more
    after = patch(event(*LOCAL.split("\n")), {"start": second, "end": second + timedelta(hours=2)}, now=NOW)
    assert "DTSTART:20261025T013000Z" in after
    assert "DTEND;TZID=Europe/Berlin:20261025T043000" in after


@pytest.mark.parametrize(
    ("old", "columns", "new"),
    [
        ("SUMMARY;LANGUAGE=en:a\nSUMMARY:", {"subject": "c"}, "SUMMARY;LANGUAGE=en:c\nSUMMARY:"),
        ("LOCATION:a", {"location": None}, ""),
        ("TRANSP:OPAQUE", {"show_as": "free"}, "TRANSP:TRANSPARENT"),
        ("X-A:1", {"show_as": "busy"}, "X-A:1"),
        ("X-A:1", {"show_as": "tentative"}, "X-A:1\nX-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE"),
        (
            "TRANSP:TRANSPARENT\nX-MICROSOFT-CDO-BUSYSTATUS:FREE",
            {"show_as": "busy"},
            "TRANSP:OPAQUE\nX-MICROSOFT-CDO-BUSYSTATUS:BUSY",
        ),
        ("CLASS:PRIVATE", {"sensitivity": "public"}, "CLASS:PUBLIC"),
        ("STATUS:CONFIRMED", {"status": "cancelled"}, "STATUS:CANCELLED"),
        ("STATUS:CONFIRMED", {"status": "perhaps"}, "STATUS:CONFIRMED"),
        (
            "BEGIN:VALARM\nSUMMARY:b\nEND:VALARM",
            {"subject": "c"},
            "SUMMARY:c\nBEGIN:VALARM\nSUMMARY:b\nEND:VALARM",
        ),
    ],
)
def test_patch(old: str, columns: Columns, new: str) -> None:
    after = patch(meeting(*old.split("\n")), columns, now=NOW)
    want = meeting(*(new.split("\n") if new else ()))
    assert after == (want if old == new else after_dtstamp(want))


def test_tag_stamp_and_time_stamps() -> None:
    text = meeting("LAST-MODIFIED:20200101T000000Z", "SEQUENCE:1")
    after = patch(text, {}, tag="CRM", stamp=STAMP, now=NOW)
    want = meeting(
        "LAST-MODIFIED:20261122T100000Z",
        "SEQUENCE:1",
        "CATEGORIES:CRM",
        "X-CRMSYNC-LINK:v1 00D1 0031 u-1 3 mac",
    )
    assert after == after_dtstamp(want)
    assert patch(after, {}, tag="CRM", stamp=STAMP, now=datetime(2027, 1, 1, tzinfo=UTC)) == after
    tagged = meeting("CATEGORIES:CRM")
    assert patch(tagged, {}, tag="CRM", stamp=STAMP, now=NOW) == meeting(
        "CATEGORIES:CRM", "X-CRMSYNC-LINK:v1 00D1 0031 u-1 3 mac"
    )


# ── Tasks ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "columns"),
    [
        ("DUE;VALUE=DATE:20260701", {"due": date(2026, 7, 1), "start": None, "status": "not_started"}),
        ("DUE;TZID=Europe/Berlin:20260701T100000", {"due": at(1, 8)}),
        ("DTSTART:20260701T100000Z\nDURATION:PT1H", {"start": at(1, 10), "due": at(1, 11)}),
        ("STATUS:IN-PROCESS\nPERCENT-COMPLETE:40", {"status": "in_progress", "percent_complete": 40}),
        (
            "COMPLETED:20260701T100000Z",
            {"status": "completed", "completed_at": at(1, 10), "percent_complete": None},
        ),
        ("PRIORITY:0", {"priority": None}),
        ("PRIORITY:3", {"priority": "high"}),
        ("PRIORITY:5", {"priority": "normal"}),
        ("PRIORITY:7", {"priority": "low"}),
    ],
)
def test_read_task(body: str, columns: dict[str, Value]) -> None:
    item = read(todo(*body.split("\n")))
    assert item.kind is Kind.TASK
    assert {name: item.columns[name] for name in columns} == columns


@pytest.mark.parametrize(
    "body", ["PERCENT-COMPLETE:101", "PERCENT-COMPLETE:x", "PRIORITY:high", "COMPLETED:x", "STATUS:X"]
)
def test_what_makes_no_sense_in_a_task_is_no_opinion(body: str) -> None:
    text = todo(body)
    columns = read(text).columns
    assert HOLDS[Kind.TASK] - columns.keys() >= {
        {"P": "percent_complete", "C": "completed_at", "S": "status"}[body[0]]
        if body[:2] != "PR"
        else "priority"
    }
    assert patch(text, columns, now=NOW) == text


@pytest.mark.parametrize(
    ("old", "columns", "new"),
    [
        ("STATUS:NEEDS-ACTION", {"status": "completed"},
         "STATUS:COMPLETED\nPERCENT-COMPLETE:100\nCOMPLETED:20261122T100000Z"),
        ("X-A:1", {"status": "completed", "percent_complete": None, "completed_at": at(1, 1)},
         "X-A:1\nSTATUS:COMPLETED\nCOMPLETED:20260701T010000Z"),
        ("STATUS:COMPLETED\nPERCENT-COMPLETE:100\nCOMPLETED:20260701T000000Z", {"status": "in_progress"},
         "STATUS:IN-PROCESS\nPERCENT-COMPLETE:0"),
        ("STATUS:COMPLETED\nPERCENT-COMPLETE:60", {"status": "waiting"}, "STATUS:NEEDS-ACTION\nPERCENT-COMPLETE:60"),
        ("STATUS:IN-PROCESS\nPERCENT-COMPLETE:60", {"percent_complete": 70}, "STATUS:IN-PROCESS\nPERCENT-COMPLETE:70"),
        ("STATUS:IN-PROCESS", {"status": "cancelled"}, "STATUS:CANCELLED"),
        ("PRIORITY:2", {"priority": "high"}, "PRIORITY:2"),
        ("PRIORITY:2", {"priority": "low"}, "PRIORITY:9"),
        ("PRIORITY:2", {"priority": None}, ""),
        ("DUE;VALUE=DATE:20260701", {"due": at(2, 8)}, "DUE:20260702T080000Z"),
        ("DUE;TZID=Europe/Berlin:20260701T100000", {"due": at(2, 8)}, "DUE;TZID=Europe/Berlin:20260702T100000"),
        ("DUE;TZID=Europe/Berlin:20260701T100000", {"due": date(2026, 7, 3)}, "DUE;VALUE=DATE:20260703"),
        ("DUE;VALUE=DATE:20260701", {"due": None}, ""),
        ("DTSTART:20260701T100000Z\nDURATION:PT1H", {"start": at(1, 9)},
         "DTSTART:20260701T090000Z\nDUE:20260701T110000Z"),
        ("DTSTART:20260701T100000Z\nDURATION:PT1H", {"start": at(2, 10), "due": at(2, 11)},
         "DTSTART:20260702T100000Z\nDURATION:PT1H"),
        ("DTSTART:20260701T100000Z\nDURATION:PT1H", {"due": None}, "DTSTART:20260701T100000Z"),
        ("DTSTART:20260701T100000Z\nDURATION:PT1H", {"start": None}, "DUE:20260701T110000Z"),
    ],
)  # fmt: skip
def test_patch_task(old: str, columns: Columns, new: str) -> None:
    after = patch(todo(*old.split("\n")), columns, now=NOW)
    want = todo(*(new.split("\n") if new else ()))
    assert after == (want if old == new else after_dtstamp(want))
    assert patch(after, columns, now=NOW) == after


# ── Building ─────────────────────────────────────────────────────────────────────────────────────────────────

APPOINTMENT: Columns = {
    "subject": "Lunch; now, or\\never",
    "location": "Café 😀",
    "description": "a\nb" * 60,
    "start": datetime(2026, 7, 1, 10, tzinfo=UTC),
    "end": datetime(2026, 7, 1, 11, tzinfo=UTC),
    "all_day": False,
    "time_zone": "Europe/Berlin",
    "show_as": "out_of_office",
    "status": "confirmed",
    "sensitivity": "private",
    "reminder": datetime(2026, 7, 1, 9, 45, tzinfo=UTC),
    "attendees": ("ada@example.com accepted", "bob@example.com"),
    "categories": ("CRM", "x,y"),
}
TASK: Columns = {
    "subject": "Call",
    "description": None,
    "start": date(2026, 7, 1),
    "due": date(2026, 7, 5),
    "status": "in_progress",
    "percent_complete": 20,
    "completed_at": None,
    "priority": "low",
    "activity": "fax",
    "sensitivity": "public",
    "reminder": datetime(2026, 7, 1, 9, 45, tzinfo=UTC),
    "categories": ("CRM",),
}


@pytest.mark.parametrize(("kind", "columns"), [(Kind.APPOINTMENT, APPOINTMENT), (Kind.TASK, TASK)])
def test_what_is_built_reads_back(kind: Kind, columns: Columns) -> None:
    text = build(kind, "u-1", columns, tag="CRM", stamp=STAMP, now=NOW)
    item = read(text)
    assert columns.keys() == HOLDS[kind] - READ_ONLY.get(kind, frozenset())
    assert item.columns == {**columns, **dict.fromkeys(READ_ONLY.get(kind, ()))}
    assert (item.kind, item.uid, item.stamp, item.private) == (kind, "u-1", STAMP, kind is Kind.APPOINTMENT)
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))


def test_another_reader_reads_what_is_built() -> None:
    found = vobject.readOne(
        build(Kind.APPOINTMENT, "u-1", APPOINTMENT, tag="CRM", stamp=STAMP, now=NOW)
    ).vevent
    assert found.summary.value == APPOINTMENT["subject"]
    assert found.description.value == APPOINTMENT["description"]
    assert found.dtstart.value.astimezone(UTC) == APPOINTMENT["start"]
    assert found.dtend.value.astimezone(UTC) == APPOINTMENT["end"]
    assert found.dtstart.params["X-VOBJ-ORIGINAL-TZID"] == ["Europe/Berlin"]
    assert found.categories.value == ["CRM", "x,y"]
    task = vobject.readOne(build(Kind.TASK, "u-1", TASK, now=NOW)).vtodo
    assert (task.due.value, task.status.value, task.priority.value) == (date(2026, 7, 5), "IN-PROCESS", "9")


def test_an_all_day_event_is_built_without_zone() -> None:
    text = build(
        Kind.APPOINTMENT,
        "u",
        {"start": date(2026, 7, 1), "all_day": True, "time_zone": "Asia/Tokyo"},
        now=NOW,
    )
    assert "VTIMEZONE" not in text
    assert "DTSTART;VALUE=DATE:20260701\r\n" in text


def test_a_new_event_must_have_a_start() -> None:
    with pytest.raises(Malformed, match="must have a start"):
        build(Kind.APPOINTMENT, "u", {"subject": "x"}, now=NOW)
    with pytest.raises(Malformed, match="cannot be a contact"):
        build(Kind.CONTACT, "u", {"last_name": "x"}, now=NOW)


# ── Properties ───────────────────────────────────────────────────────────────────────────────────────────────

MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda m: m.replace(tzinfo=UTC))
WORDS = {
    "show_as": ["free", "busy", "tentative", "out_of_office"],
    "status": ["confirmed", "tentative", "cancelled", "completed", "in_progress", "not_started", "waiting"],
    "sensitivity": ["public", "private", "confidential"],
    "priority": ["high", "normal", "low"],
    "time_zone": ["Europe/Berlin", "UTC", "Nowhere", "Pacific Standard Time"],
}


def _values(kind: Kind, name: str) -> st.SearchStrategy[Value]:
    if name in WORDS:
        return st.none() | st.sampled_from(WORDS[name])
    match COLUMNS[kind][name].type:
        case Type.MOMENT:
            return st.none() | MOMENTS | st.dates(date(1900, 1, 1), date(2100, 1, 1))
        case Type.FLAG:
            return st.booleans()
        case Type.NUMBER:
            return st.none() | st.integers(-5, 200)
        case Type.LIST:
            return st.none() | st.lists(st.text(max_size=8), max_size=4).map(tuple)
        case _:
            return st.none() | st.text(max_size=40) | st.text(alphabet=',;:\\n\r\n\t "=^BEGIN', max_size=20)


def _some_columns(kind: Kind) -> st.SearchStrategy[Columns]:
    return st.lists(
        st.sampled_from(sorted(HOLDS[kind] - READ_ONLY.get(kind, frozenset()))), unique=True, max_size=8
    ).flatmap(lambda chosen: st.fixed_dictionaries({name: _values(kind, name) for name in chosen}))


EVENTS = (
    meeting("SEQUENCE:1", "SUMMARY:a", "CATEGORIES:a,b"),
    event(
        *LOCAL.split("\n"), "X-MICROSOFT-CDO-BUSYSTATUS:OOF", "CLASS:PRIVATE", "BEGIN:VALARM", "END:VALARM"
    ),
    event("DTSTART;VALUE=DATE:20260701", "STATUS:X").replace("\r\n", "\n"),
    event(
        "DTSTART;TZID=Customized Time Zone:20260701T120000",
        "DURATION:P1DT1H",
        "TRANSP:TRANSPARENT",
        zone=CUSTOM,
    ),
    event("DTSTART:20260701T100000", "DTEND:20260701T100000"),
)
TODOS = (
    todo("SUMMARY:x"),
    todo("STATUS:COMPLETED", "PERCENT-COMPLETE:100", "COMPLETED:20260101T000000Z", "PRIORITY:3"),
    todo(
        "DTSTART;TZID=Europe/Berlin:20260701T100000",
        "DURATION:PT1H",
        "STATUS:IN-PROCESS",
        "PERCENT-COMPLETE:x",
    ),
    todo("DUE;VALUE=DATE:20260701", "COMPLETED:x", "CATEGORIES:a\\,b"),
)
ITEMS = st.sampled_from(EVENTS).map(lambda text: (Kind.APPOINTMENT, text)) | st.sampled_from(TODOS).map(
    lambda text: (Kind.TASK, text)
)
GROUPS = ({"start", "end", "all_day", "time_zone"}, {"status", "percent_complete", "completed_at"})


@settings(max_examples=300)
@given(ITEMS.flatmap(lambda item: st.tuples(st.just(item), _some_columns(item[0]))))
def test_patch_then_read(case: tuple[tuple[Kind, str], Columns]) -> None:
    (kind, text), columns = case
    after = patch(text, columns, now=NOW)
    before, found = read(text).columns, read(after).columns
    wanted = project(kind, columns)
    grouped = {name for group in GROUPS if group & wanted.keys() for name in group}
    if {"start", "end", "due", "all_day", "time_zone"} & wanted.keys():
        grouped |= {"reminder"}  # it counts from there
    for name, value in wanted.items():
        if name not in GROUPS[0] or kind is Kind.TASK:
            assert found.get(name, "unread") == value or (value is None and name not in before), name
    for name in before.keys() - wanted.keys() - grouped:
        assert found[name] == before[name], name
    assert patch(after, found, now=NOW) == after
    assert project(kind, wanted) == wanted


@settings(max_examples=200)
@given(st.sampled_from(EVENTS), MOMENTS, st.timedeltas(timedelta(0), timedelta(days=40)), st.booleans())
def test_a_whole_group_reads_back(text: str, start: datetime, length: timedelta, all_day: bool) -> None:
    group: Columns = {"start": start, "end": start + length, "all_day": all_day}
    wanted = project(Kind.APPOINTMENT, group)
    after = patch(text, group, now=NOW)
    found = read(after).columns
    assert {name: found[name] for name in group} == wanted
    assert found["start"] <= found["end"]  # type: ignore[operator]
    assert patch(after, group, now=NOW) == after
    assert changed_names(text, after) <= {"DTSTART", "DTEND", "DURATION"} | TOUCHED


@settings(max_examples=100)
@given(
    st.sampled_from(EVENTS),
    MOMENTS,
    st.timedeltas(timedelta(0), timedelta(days=40)),
    st.sampled_from([None, "Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"]),
)
def test_a_whole_group_with_its_zone_reads_back(
    text: str, start: datetime, length: timedelta, zone: str | None
) -> None:
    group: Columns = {"start": start, "end": start + length, "all_day": False, "time_zone": zone}
    after = patch(text, group, now=NOW)
    found = read(after).columns
    assert {name: found[name] for name in group} == project(Kind.APPOINTMENT, group)
    assert patch(after, group, now=NOW) == after


@settings(max_examples=100)
@given(ITEMS.flatmap(lambda item: st.tuples(st.just(item), _some_columns(item[0]))), st.text())
def test_no_value_makes_a_line(case: tuple[tuple[Kind, str], Columns], tag: str) -> None:
    (_, text), columns = case
    after = patch(text, columns, tag=tag, stamp=STAMP, now=NOW)
    zone = project(Kind.APPOINTMENT, columns).get("time_zone")
    if isinstance(zone, str):  # the definitions of zones that an event may have been given
        after = re.sub(rf"BEGIN:VTIMEZONE\r?\nTZID:{zone}\r?\n.*?END:VTIMEZONE\r?\n", "", after, flags=re.S)
    # an alarm of our own, or one that was taken out
    text, after = (re.sub(r"BEGIN:VALARM.*?END:VALARM\r?\n", "", each, flags=re.S) for each in (text, after))
    names = {line.partition(":")[0].partition(";")[0].upper() for line in lines(after)}
    known = "SUMMARY LOCATION DESCRIPTION DTSTART DTEND DUE STATUS CLASS CATEGORIES TRANSP PRIORITY COMPLETED TRIGGER"
    added = {"ATTENDEE", "PERCENT-COMPLETE", "X-CRMSYNC-LINK", "X-MICROSOFT-CDO-BUSYSTATUS"}
    assert names <= {*known.split()} | added | {
        line.partition(":")[0].partition(";")[0] for line in lines(text)
    }
    assert after.count("BEGIN:") - text.count("BEGIN:") == sum(
        part.count("BEGIN:") for part in lines(after) if not part.startswith("BEGIN:")
    )
    assert len(after.splitlines()) == after.count("\n")
    read(after)


@settings(max_examples=60)
@given(_some_columns(Kind.APPOINTMENT), MOMENTS)
def test_build_then_read(columns: Columns, start: datetime) -> None:
    columns = {**columns, "start": start, "end": start + timedelta(hours=1), "all_day": False}
    wanted = project(Kind.APPOINTMENT, columns)
    found = read(build(Kind.APPOINTMENT, "u", columns, now=NOW)).columns
    assert {name: found[name] for name in wanted.keys() - {"time_zone"}} == {
        name: value for name, value in wanted.items() if name != "time_zone"
    }
    assert found["time_zone"] in (wanted.get("time_zone"), None)  # None: in the second of two equal hours


# ── Corpora ──────────────────────────────────────────────────────────────────────────────────────────────────

PROPERTY: dict[Kind, dict[str, tuple[Value, set[str]]]] = {
    Kind.APPOINTMENT: {
        "subject": ("Xyz", {"SUMMARY"}),
        "description": ("Xyz\n" + "ü" * 100, {"DESCRIPTION", "X-ALT-DESC", "STYLED-DESCRIPTION"}),
        "attendees": (("ada@example.com accepted", "eve@example.com"), {"ATTENDEE"}),
        "location": ("Xyz", {"LOCATION"}),
        "show_as": ("tentative", {"TRANSP", "X-MICROSOFT-CDO-BUSYSTATUS"}),
        "status": ("cancelled", {"STATUS"}),
        "sensitivity": ("confidential", {"CLASS"}),
        "categories": (("Xyz",), {"CATEGORIES"}),
        "end": (
            datetime(2090, 1, 1, 10, tzinfo=UTC),
            {"DTEND", "DTSTART", "DURATION", "X-MICROSOFT-CDO-ALLDAYEVENT"},
        ),
    },
    Kind.TASK: {
        "subject": ("Xyz", {"SUMMARY"}),
        "due": (date(2090, 1, 1), {"DUE", "DURATION"}),
        "priority": ("low", {"PRIORITY"}),
        "status": ("completed", {"STATUS", "PERCENT-COMPLETE", "COMPLETED"}),
    },
}


@needs_corpora
@pytest.mark.parametrize("path", files("icalendar"), ids=lambda path: path.stem)
def test_real_objects(path: Path) -> None:
    started = time.process_time()
    try:
        text = decode(path.read_bytes())
        item = read(text)
    except Malformed:
        return
    assert patch(text, {}, now=NOW) == text
    assert patch(text, item.columns, now=NOW) == text
    for column, (value, names) in PROPERTY[item.kind].items():
        group = {"all_day": False} if column == "end" else {}
        after = patch(text, {column: value, **group}, now=NOW)
        assert changed_names(text, after) <= names | TOUCHED, column
        assert read(after).columns[column] == value
    assert time.process_time() - started < 2
