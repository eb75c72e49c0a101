"""A new calendar object, before its columns are written into it."""

from datetime import datetime
from functools import lru_cache

import vobject

from crmsync.connectors.caldav.clock import Day
from crmsync.connectors.contract import Type
from crmsync.connectors.dav.values import clean, in_utc
from crmsync.connectors.dav.vtimezone import definition
from crmsync.connectors.dav.zones import iana

PRODID = "-//crmsync//crmsync//EN"


def skeleton(component: str, uid: str, start: Day | None, zone: str | None, now: datetime) -> str:
    """VCALENDAR with one ``component``, with the definition of ``zone`` (IANA name) for the year of its start.

    The VTIMEZONE is ours: what vobject 0.9.9 makes of a ``zoneinfo`` zone changes an hour late and is called by its
    abbreviation ("CET" for Europe/Berlin).
    """
    calendar = vobject.iCalendar()
    calendar.add("prodid").value = PRODID
    item = calendar.add(component)
    item.add("uid").value = clean(uid, Type.TEXT) or ""
    item.add("dtstamp").value = _of_vobject(now)
    if start is not None:
        item.add("dtstart").value = _of_vobject(start)
    text: str = calendar.serialize()
    if zone and isinstance(start, datetime):
        text = text.replace("BEGIN:VEVENT", _definition(zone, start.year) + "BEGIN:VEVENT", 1)
    return text


def _of_vobject(moment: Day) -> Day:
    """vobject takes no UTC but its own for one."""
    return in_utc(moment).replace(tzinfo=vobject.icalendar.utc) if isinstance(moment, datetime) else moment


@lru_cache(maxsize=256)
def _definition(zone: str, year: int) -> str:
    found = iana(zone)
    return definition(zone, found.rules, year) if found else ""
