"""A new calendar object, before its columns are written into it."""

from datetime import datetime

import vobject

from crmsync.connectors.caldav.clock import Day
from crmsync.connectors.columns import Type
from crmsync.connectors.dav.values import clean, in_utc

PRODID = "-//crmsync//crmsync//EN"


def skeleton(component: str, uid: str, start: Day | None, now: datetime) -> str:
    """VCALENDAR with one ``component``. Its start is in UTC: what vobject 0.9.9 makes of a ``zoneinfo`` zone changes an
    hour late and is called by its abbreviation ("CET" for Europe/Berlin). The zone is written as into any event."""
    calendar = vobject.iCalendar()
    calendar.add("prodid").value = PRODID
    item = calendar.add(component)
    item.add("uid").value = clean(uid, Type.TEXT) or ""
    item.add("dtstamp").value = _of_vobject(now)
    if start is not None:
        item.add("dtstart").value = _of_vobject(start)
    text: str = calendar.serialize()
    return text


def _of_vobject(moment: Day) -> Day:
    """vobject takes no UTC but its own for one."""
    return in_utc(moment).replace(tzinfo=vobject.icalendar.utc) if isinstance(moment, datetime) else moment
