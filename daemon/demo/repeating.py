"""A step of the tour: a repeating event, one of whose dates is moved on either side."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from crmsync.daemon.demo import texts
from crmsync.daemon.demo.clients import quoted
from crmsync.daemon.demo.scene import NotSo, Tour

ROUND, DATES = "Tasting round", 4


def series(tour: Tour) -> None:
    """Four Mondays; the second one is moved in the calendar, the third one gets another subject in the CRM."""
    name, subject = tour.name("round.ics"), tour.subject(ROUND)
    first, hour, week = tour.monday + timedelta(hours=3), timedelta(hours=1), timedelta(days=7)
    moved = first + week + timedelta(days=1, hours=2)
    rule = f"RRULE:FREQ=WEEKLY;COUNT={DATES}"
    text = texts.event(tour.name("round"), subject, first, hour, rule, tagged=True)
    tour.calendar.put(name, _with_moved(text, first + week, moved, hour))
    tour.did(
        "calendar", f"“{subject}” is held on {DATES} Mondays, the second time on {moved:%A %H:%M} instead"
    )
    wanted = sorted(_in_utc(each) for each in (first, moved, first + 2 * week, first + 3 * week))
    rows = tour.until(
        "its dates are not in the CRM", lambda: _dates(tour, subject), lambda found: _starts(found) == wanted
    )
    tour.did("CRM", f"{len(rows)} events: {', '.join(f'{each:%d %B %H:%M}' for each in _starts(rows))} UTC")
    third = next(row for row in rows if _start(row) == _in_utc(first + 2 * week))
    tour.crm.update("Event", third["Id"], {"Location": "The big hall"})
    tour.did("CRM", "the third one is held in the big hall")
    after = tour.until(
        "the calendar does not say so",
        lambda: tour.calendar.get(name) or "",
        lambda found: "LOCATION:The big hall" in found,
    )
    if after.count("RRULE:FREQ=WEEKLY") != 1 or after.count("BEGIN:VEVENT") != 3:
        raise NotSo("the series is another one now")
    tour.did("calendar", "one series as before, with two dates that differ")


def _with_moved(text: str, slot: datetime, moved: datetime, length: timedelta) -> str:
    """The object with one more component, for the date that is moved."""
    begin = text.index("BEGIN:VEVENT")
    own = text[begin : text.index("END:VEVENT") + len("END:VEVENT\r\n")]
    own = texts.without(own, "RRULE")
    for line, moment in (("DTSTART", moved), ("DTEND", moved + length)):
        own = texts.replaced(own, f"{line};TZID=[^:;]*", f"{line};TZID={texts.ZONE}:{moment:%Y%m%dT%H%M%S}")
    mark = f"RECURRENCE-ID;TZID={texts.ZONE}:{slot:%Y%m%dT%H%M%S}"
    own = texts.with_line(own, mark, "END:VEVENT")
    return text.replace("END:VCALENDAR", f"{own}END:VCALENDAR")


def _dates(tour: Tour, subject: str) -> list[dict[str, Any]]:
    return tour.crm.query(f"SELECT Id, StartDateTime FROM Event WHERE Subject = {quoted(subject)}")


def _starts(rows: list[dict[str, Any]]) -> list[datetime]:
    return sorted(map(_start, rows))


def _start(row: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(row["StartDateTime"])


def _in_utc(local: datetime) -> datetime:
    return local.replace(tzinfo=ZoneInfo(texts.ZONE))
