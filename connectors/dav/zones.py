"""Time zones of one calendar object.

Libraries keep what a VTIMEZONE says process-wide under its TZID, and the first definition wins: "Customized Time
Zone" in one calendar then moves the meetings of the next. Here nothing outlives the object but what its name alone
settles: an IANA name, or a Windows name that CLDR maps to one.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from crmsync.connectors.dav.contentline import unescape
from crmsync.connectors.dav.document import Component
from crmsync.connectors.dav.likeness import place_of
from crmsync.connectors.dav.vtimezone import OwnZone
from crmsync.connectors.dav.windows_zones import WINDOWS_ZONES

_IANA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+/-]{0,63}", re.ASCII)
_UTC_NAMES = frozenset(
    {"utc", "etc/utc", "gmt", "etc/gmt", "etc/zulu", "zulu", "uct", "etc/uct", "z", "universal"}
)
# Files that stand beside the zones where a system keeps its own copy of them.
_OF_THIS_MACHINE = ("localtime", "posix", "right/", "Factory")


@dataclass(frozen=True, slots=True)
class Zone:
    rules: tzinfo
    name: str | None  # IANA name; None: UTC, or a zone that has none


_UTC_ZONE = Zone(UTC, None)


@lru_cache(maxsize=1024)
def iana(name: str) -> Zone | None:
    """The zone of an IANA or Windows name, whatever the object says about it."""
    name = WINDOWS_ZONES.get(name.lower(), name)
    if name.lower() in _UTC_NAMES:
        return _UTC_ZONE
    if not _IANA_NAME.fullmatch(name) or name.startswith(_OF_THIS_MACHINE):
        return None
    try:
        return Zone(ZoneInfo(name), name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: "America" is a directory
        return None


@lru_cache(maxsize=1024)
def _by_name(tzid: str) -> Zone | None:
    """Also ``/example.org/20200101_1/Europe/Berlin``, ``/Europe/Berlin`` and ``posix/Europe/Berlin``: a globally unique
    TZID (RFC 5545 3.8.3.1) of the libraries that put an IANA name behind their own prefix."""
    found = iana(tzid)
    if found or "/" not in tzid:
        return found
    words = tzid.strip("/").split("/")
    if not tzid.startswith(("/", "posix/", "right/")):
        return None
    tails = ("/".join(words[-count:]) for count in (3, 2) if len(words) >= count)
    return next((zone for tail in tails if (zone := iana(tail))), None)


class Zones:
    """The zones of one object: ``resolve`` by TZID, ``tzid_of`` the other way round."""

    def __init__(self, calendar: Component) -> None:
        self._definitions: dict[str, Component] = {}
        for inner in calendar.components:
            if inner.name == "VTIMEZONE" and (line := inner.first("TZID")):
                self._definitions.setdefault(unescape(line.value).strip(), inner)
        self._resolved: dict[str, Zone | None] = {}

    def resolve(self, tzid: str) -> Zone | None:
        """None: neither known by name nor (well) defined in the object."""
        if tzid not in self._resolved:
            self._resolved[tzid] = _by_name(tzid) or self._defined(tzid)
        return self._resolved[tzid]

    def _defined(self, tzid: str) -> Zone | None:
        definition = self._definitions.get(tzid)
        if definition is None:
            return None
        rules = OwnZone.of(definition)
        for name in ("X-LIC-LOCATION", "TZID-ALIAS-OF"):  # the IANA name, as some producers add it
            line = definition.first(name)
            zone = iana(unescape(line.value).strip()) if line else None
            if zone and (rules is None or _could_be(rules, zone.rules)):
                return zone
        return Zone(rules, place_of(rules)) if rules else None

    def tzid_of(self, name: str) -> str | None:
        """The TZID under which the object defines the zone of this IANA name."""
        for tzid in self._definitions:
            zone = self.resolve(tzid)
            if zone and zone.name == name:
                return tzid
        return None


def _could_be(defined: tzinfo, named: tzinfo) -> bool:
    """Whether a definition and a place have ever had one time: where they never had, the definition is what the object
    means (RFC 5545 3.6.5), and the name a mistake. More is not asked: definitions grow old."""
    samples = (datetime(year, month, 1) for year in (1995, 2005, 2015, 2025) for month in (1, 7))  # noqa: DTZ001
    return any(defined.utcoffset(each) == named.utcoffset(each) for each in samples)


def zone_name(name: str | None) -> str | None:
    """An IANA or Windows name as its IANA name; None for UTC and for what nobody knows."""
    zone = iana(name.strip()) if name else None
    return zone.name if zone else None


def to_utc(local: datetime, rules: tzinfo) -> datetime:
    """A wall clock time (naive). One that was skipped is read with the offset before the gap, one that came twice is
    the first (RFC 5545 3.3.5). Raises OverflowError at the ends of the calendar."""
    return local.replace(tzinfo=rules).astimezone(UTC)


def is_unambiguous(moment: datetime, rules: tzinfo) -> bool:
    """Whether its wall clock time says which moment it is: that of the second of two equal hours is the first's."""
    return to_utc(to_local(moment, rules), rules) == moment.astimezone(UTC)


def to_local(moment: datetime, rules: tzinfo) -> datetime:
    """An aware moment as wall clock time, naive."""
    return moment.astimezone(rules).replace(tzinfo=None, fold=0)
