"""Date and date-time properties of one calendar object, in the time zones that this object means."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import TypeAlias

from crmsync.connectors.dav.contentline import Line, parameter
from crmsync.connectors.dav.document import Component
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.dav.patch import Editor
from crmsync.connectors.dav.values import (
    format_date,
    format_moment,
    plain_date,
    plain_duration,
    plain_moment,
)
from crmsync.connectors.dav.vtimezone import definition
from crmsync.connectors.dav.zones import Zone, Zones, iana, is_unambiguous, to_local, to_utc

_ZONE_NAME = re.compile(r"[\w /+.:,()&-]+")

Day: TypeAlias = date | datetime  # a date that is no datetime; or an aware datetime in UTC

_FIRST_YEAR, _LAST_YEAR = 2, 9998  # so that no offset and no "day after" leaves the calendar


@dataclass(frozen=True, slots=True)
class Style:
    """How a property writes its time."""

    tzid: str = ""  # the TZID parameter
    zone: Zone | None = None  # what it means in this object
    floating: bool = False  # neither TZID nor Z


IN_UTC = Style()


@dataclass(frozen=True, slots=True)
class Time:
    value: Day
    style: Style = IN_UTC


def is_day(value: object) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


def within_bounds(value: Day) -> bool:
    return _FIRST_YEAR <= value.year <= _LAST_YEAR


class Clock:
    """Reads and writes the times of one object. ``default_zone`` is that of floating times."""

    def __init__(self, calendar: Component, default_zone: tzinfo) -> None:
        self.zones = Zones(calendar)
        self.default_zone = default_zone

    def read(self, line: Line) -> Time:
        """Raises Malformed for a property that names no moment."""
        text = line.value.strip()
        day = plain_date(text)
        moment = None if day else plain_moment(text)
        if moment and line.parameter("VALUE").upper() == "DATE":
            day = moment[0].date()
        found = day or (moment and moment[0])
        if not found or not within_bounds(found):
            raise Malformed(f"its {line.name} is no date or date-time (RFC 5545 3.3.4, 3.3.5)")
        if day or moment is None:
            return Time(found)
        return self._in_zone(*moment, line)

    def _in_zone(self, local: datetime, utc: bool, line: Line) -> Time:
        tzid = line.parameter("TZID").strip()
        if utc:  # some write a TZID beside the Z; the Z is plain, the TZID forbidden (RFC 5545 3.2.19)
            return Time(local.replace(tzinfo=UTC))
        if not tzid:
            return Time(to_utc(local, self.default_zone), Style(floating=True))
        zone = self.zones.resolve(tzid)
        if zone is None:
            raise Malformed(
                f"its {line.name} is in a time zone{_named(tzid)} that is neither known nor defined in it "
                "(RFC 5545 3.2.19)"
            )
        return Time(to_utc(local, zone.rules), Style(tzid, zone))

    def local(self, time: Time) -> datetime:
        """The wall clock time (naive) of a date-time."""
        moment = (
            time.value
            if isinstance(time.value, datetime)
            else datetime.combine(time.value, datetime.min.time(), UTC)
        )
        return to_local(moment, self._rules(time.style))

    def moment(self, local: datetime, style: Style) -> datetime:
        """The other way round: in UTC."""
        return to_utc(local, self._rules(style))

    def _rules(self, style: Style) -> tzinfo:
        if style.zone:
            return style.zone.rules
        return self.default_zone if style.floating else UTC

    def plus(self, start: Time, line: Line) -> Day:
        """``start`` and a DURATION: days by the calendar, hours by the clock (RFC 5545 3.3.6)."""
        found = plain_duration(line.value.strip())
        if not found:
            raise Malformed("its DURATION is none (RFC 5545 3.3.6)")
        days, exact = found
        try:
            if not isinstance(start.value, datetime):
                end: Day = start.value + timedelta(days=(days + exact) // timedelta(days=1))
            else:
                end = (
                    to_utc(self.local(start) + days, self._rules(start.style)) + exact
                    if days
                    else start.value + exact
                )
        except OverflowError:
            raise Malformed("its DURATION reaches beyond the year 9999 (RFC 5545 3.3.4)") from None
        if not within_bounds(end):
            raise Malformed("its DURATION reaches beyond the year 9998 (RFC 5545 3.3.4)")
        return end

    def style_for(self, name: str | None) -> Style:
        """How to write a time in the zone of this IANA name (None: UTC). One that the object does not define goes by
        that name, and has to be defined when it is written: see ``define``."""
        if not name:
            return IN_UTC
        tzid = self.zones.tzid_of(name) or name
        zone = self.zones.resolve(tzid)
        return Style(tzid, zone) if zone else IN_UTC

    def define(self, edit: Editor, style: Style, year: int) -> None:
        """Puts the VTIMEZONE of an IANA zone in front of the component, where the object has none (RFC 5545 3.2.19: for
        each TZID one) and the component names the zone."""
        name = style.zone.name if style.zone else None
        named = (each.parameter("TZID").strip() for each in edit.component.lines)
        if name and not self.zones.tzid_of(name) and style.tzid in named:
            text = _definition(name, year, edit.component.begin.eol or "\r\n")
            edit.document.insert_component(text, edit.component)
            edit.changed = True

    def written(self, time: Time) -> tuple[str, str]:
        """Parameters and value. A moment that its zone has no unambiguous wall clock time for is written in UTC."""
        if not isinstance(time.value, datetime):
            return ";VALUE=DATE", format_date(time.value)
        if time.style != IN_UTC and is_unambiguous(time.value, self._rules(time.style)):
            tzid = parameter("TZID", time.style.tzid) if time.style.tzid else ""
            return tzid, format_moment(self.local(time))
        return "", format_moment(time.value)

    def put(self, edit: Editor, name: str, time: Time | None) -> None:
        """Writes (or takes out) a property, with its other parameters as they are."""
        lines: Sequence[Line] = edit.component.all(name)
        if time is None:
            if lines:
                edit.remove(lines[0])
            return
        parameters, value = self.written(time)
        if lines:
            edit.rewrite(lines[0], value, drop=("VALUE", "TZID"), add=parameters)
        else:
            edit.add(name, value, parameters)


@lru_cache(maxsize=256)
def _definition(name: str, year: int, eol: str) -> str:
    found = iana(name)
    return definition(name, found.rules, year, eol) if found else ""


def _named(tzid: str) -> str:
    """For a reason that goes into logs: what is no name of a zone may be anything, an address too."""
    return f" ({tzid!r})" if len(tzid) <= 60 and _ZONE_NAME.fullmatch(tzid) else ""
