"""Events and tasks as calendars have them, and beside each what the CRM must show of it."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tests.bars.people import Sample, escaped, folded

_WORDS = (
    "Planung",
    "Réunion",
    "встреча",
    "打ち合わせ",
    "Q3; review, part 1",
    "1:1",
    "Kick-off “Alpha”",
    "Lunch 🍜",
)
_PLACES = ("Room 1", "Straße 5; Köln", "https://meet.example.com/a?b=c,d", "", "会議室")

_BERLIN = """BEGIN:VTIMEZONE
TZID:{tzid}
BEGIN:DAYLIGHT
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
TZNAME:CEST
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
BEGIN:STANDARD
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
TZNAME:CET
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
END:STANDARD
END:VTIMEZONE"""
_FIXED = """BEGIN:VTIMEZONE
TZID:Customized Time Zone
BEGIN:STANDARD
TZOFFSETFROM:{offset}
TZOFFSETTO:{offset}
TZNAME:OWN
DTSTART:16010101T000000
END:STANDARD
END:VTIMEZONE"""
_ALARM = """BEGIN:VALARM
ACTION:DISPLAY
DESCRIPTION:Reminder
TRIGGER:-PT15M
X-ALARM-NOTE:mine
END:VALARM"""


@dataclass(frozen=True)
class Facts:
    number: int
    uid: str
    subject: str
    place: str
    begins: datetime  # wall clock
    lasts: timedelta
    tag: str
    random: random.Random


Lines = list[str]
Styled = tuple[Lines, Lines, Lines, dict[str, Any]]  # of the calendar, of the event, inside of it; fields


def event(number: int, seed: int = 7, tag: str = "CRM") -> Sample:
    rng = random.Random(seed * 200_003 + number)
    facts = Facts(
        number=number,
        uid=f"event-{number}-{rng.getrandbits(48):012x}@example.com",
        subject=f"{rng.choice(_WORDS)} #{number}",
        place=rng.choice(_PLACES),
        begins=datetime(2026, 1, 5)
        + timedelta(days=number % 340, hours=7 + number % 10, minutes=15 * (number % 4)),
        lasts=timedelta(minutes=rng.choice((15, 30, 60, 90, 60 * 26))),
        tag=tag,
        random=rng,
    )
    outer, lines, inner, row = _STYLES[number % len(_STYLES)](facts)
    common = [
        f"UID:{facts.uid}",
        "DTSTAMP:20251201T080000Z",
        f"SUMMARY:{escaped(facts.subject)}",
        f"CATEGORIES:{tag}",
        *([f"LOCATION:{escaped(facts.place)}"] if facts.place else []),
    ]
    text = _calendar([*outer, "BEGIN:VEVENT", *common, *lines, *inner, "END:VEVENT"])
    full = {"Subject": facts.subject, "Location": facts.place or None, "IsPrivate": False, **row}
    return Sample(f"event-{number:04}.ics", facts.uid, text, full, facts.subject)


def task(number: int, seed: int = 7, tag: str = "CRM") -> Sample:
    rng = random.Random(seed * 300_007 + number)
    due = date(2026, 3, 1) + timedelta(days=number % 200)
    word, status = (
        ("NEEDS-ACTION", "Not Started"),
        ("IN-PROCESS", "In Progress"),
        ("COMPLETED", "Completed"),
    )[number % 3]
    mark, priority = (("1", "High"), ("5", "Normal"), ("9", "Low"))[rng.randrange(3)]
    subject = f"{rng.choice(_WORDS)} todo #{number}"
    uid = f"task-{number}@example.com"
    lines = [
        "BEGIN:VTODO",
        f"UID:{uid}",
        "DTSTAMP:20251201T080000Z",
        f"SUMMARY:{escaped(subject)}",
        f"CATEGORIES:{tag}",
        "DESCRIPTION:" + escaped(f"first, line\nsecond; {number}"),
        f"DUE;VALUE=DATE:{due:%Y%m%d}",
        f"STATUS:{word}",
        *(["PERCENT-COMPLETE:100", "COMPLETED:20260101T120000Z"] if word == "COMPLETED" else []),
        f"PRIORITY:{mark}",
        "X-KEEP;X-A=b:me",
        "END:VTODO",
    ]
    row = {
        "Subject": subject,
        "Description": f"first, line\nsecond; {number}",
        "ActivityDate": due.isoformat(),
        "Status": status,
        "Priority": priority,
    }
    return Sample(f"task-{number:04}.ics", uid, _calendar(lines), row, subject)


def _calendar(lines: Lines) -> str:
    whole = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Example//Calendar 3//EN", *lines, "END:VCALENDAR"]
    return "\r\n".join(folded(line) for line in whole) + "\r\n"


def moment(value: datetime) -> str:
    """As the CRM writes it."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def _times(start: datetime, end: datetime) -> dict[str, Any]:
    return {"StartDateTime": moment(start), "EndDateTime": moment(end), "IsAllDayEvent": False}


def _wall(value: datetime) -> str:
    return f"{value:%Y%m%dT%H%M%S}"


def _in_utc(f: Facts) -> Styled:
    start = f.begins.replace(tzinfo=UTC)
    lines = [f"DTSTART:{_wall(start)}Z", f"DTEND:{_wall(start + f.lasts)}Z", "SEQUENCE:0", "TRANSP:OPAQUE"]
    return [], lines, [], {**_times(start, start + f.lasts), "ShowAs": "Busy"}


def _in_zone(tzid: str, f: Facts) -> Styled:
    """With the zone's definition, an alarm and people: what a desktop calendar writes."""
    zone = ZoneInfo("Europe/Berlin")
    start = f.begins.replace(tzinfo=zone)
    end = (start.astimezone(UTC) + f.lasts).astimezone(zone)
    note = f"Agenda:\n1. {f.subject}\n2. más, y más; fin"
    lines = [
        f"DTSTART;TZID={tzid}:{_wall(start)}",
        f"DTEND;TZID={tzid}:{_wall(end)}",
        "CREATED:20251101T090000Z",
        "LAST-MODIFIED:20251201T080000Z",
        "SEQUENCE:3",
        "STATUS:CONFIRMED",
        "TRANSP:TRANSPARENT",
        f"DESCRIPTION:{escaped(note)}",
        'ORGANIZER;CN="Adams, Alice":mailto:alice@example.com',
        'ATTENDEE;CN="Guest; one";PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:guest@example.com',
        "X-EXAMPLE-ROOM;X-P=1:kept\\, too",
    ]
    row = {**_times(start, end), "Description": note, "ShowAs": "Free"}
    return _BERLIN.format(tzid=tzid).splitlines(), lines, _ALARM.splitlines(), row


def _own_zone(f: Facts) -> Styled:
    """A zone of the sender's own: the same TZID means something else in another event."""
    hours = (-7, -3, 2, 9)[f.number // len(_STYLES) % 4]
    offset = f"{hours:+03}00"
    start = f.begins.replace(tzinfo=UTC) - timedelta(hours=hours)
    lines = [
        f"DTSTART;TZID=Customized Time Zone:{_wall(f.begins)}",
        f"DTEND;TZID=Customized Time Zone:{_wall(f.begins + f.lasts)}",
        "X-MICROSOFT-CDO-BUSYSTATUS:OOF",
    ]
    row = {**_times(start, start + f.lasts), "ShowAs": "OutOfOffice"}
    return _FIXED.format(offset=offset).splitlines(), lines, [], row


def _floating(f: Facts) -> Styled:
    """Neither zone nor Z: the account's own zone. The length is a DURATION."""
    zone = ZoneInfo("Europe/Berlin")
    start = f.begins.replace(tzinfo=zone)
    minutes = int(f.lasts.total_seconds() // 60)
    end = start.astimezone(UTC) + f.lasts
    return [], [f"DTSTART:{_wall(start)}", f"DURATION:PT{minutes}M"], _ALARM.splitlines(), _times(start, end)


def _all_day(f: Facts) -> Styled:
    days = 1 + f.number % 3
    first = f.begins.date()
    lines = [f"DTSTART;VALUE=DATE:{first:%Y%m%d}", f"DTEND;VALUE=DATE:{first + timedelta(days=days):%Y%m%d}"]
    last = first + timedelta(days=days - 1)
    row = {
        "StartDateTime": f"{first}T00:00:00.000+0000",
        "EndDateTime": f"{last}T00:00:00.000+0000",
        "IsAllDayEvent": True,
    }
    return [], lines, [], row


def _one_day(f: Facts) -> Styled:
    """DTSTART alone, as a date: that day."""
    first = f.begins.date()
    row = {
        "StartDateTime": f"{first}T00:00:00.000+0000",
        "EndDateTime": f"{first}T00:00:00.000+0000",
        "IsAllDayEvent": True,
    }
    return [], [f"DTSTART;VALUE=DATE:{first:%Y%m%d}", "TRANSP:TRANSPARENT"], [], {**row, "ShowAs": "Free"}


_STYLES: tuple[Callable[[Facts], Styled], ...] = (
    _in_utc,
    lambda f: _in_zone("Europe/Berlin", f),
    lambda f: _in_zone("W. Europe Standard Time", f),
    _own_zone,
    _floating,
    _all_day,
    _one_day,
)
