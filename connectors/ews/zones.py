"""Time zones: Exchange calls them by their Windows names, everybody else by their IANA names (Unicode CLDR)."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

from exchangelib.winzone import IANA_TO_MS_TIMEZONE_MAP

from crmsync.connectors.dav.zones import Zone, iana, zone_name

UTC_ID = "UTC"


@lru_cache(maxsize=1024)
def windows(name: str | None) -> str:
    """The Windows name of an IANA zone; that of UTC for None and for what Windows has no zone for."""
    found = IANA_TO_MS_TIMEZONE_MAP.get(zone_name(name) or "") or IANA_TO_MS_TIMEZONE_MAP.get(name or "")
    return found[0] if found and iana(found[0]) else UTC_ID


def held(name: str | None) -> str | None:
    """The IANA name as it comes back: there are 600 of them, and 140 zones of Windows."""
    return zone_name(windows(name))


def known(id: str) -> Zone | None:
    """Of a Windows name; None for one that nobody knows, such as "Customized Time Zone"."""
    return iana(id) if id else None


def midnight(day: date, rules: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=rules).astimezone(UTC)


def nearest_day(at: datetime, rules: tzinfo) -> date:
    """The day that begins at this moment; where that is midnight in another zone, the one that begins next to it."""
    return (at.astimezone(rules).replace(tzinfo=None) + timedelta(hours=12)).date()
