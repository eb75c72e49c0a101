"""Which place a VTIMEZONE of somebody's own is meant for, by its rules: what it is called says nothing.

"Customized Time Zone", "Zeitzone 1", a name with a typing error: the clock is put on the same days as somewhere. The
object's own rules stay what counts (RFC 5545 3.6.5); the name is for a side that knows zones by name only.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta, tzinfo
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from crmsync.connectors.dav.vtimezone import OwnZone
from crmsync.connectors.dav.windows_zones import WINDOWS_ZONES

# Of places with the same rules the best known one.
_FIRST = (
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
)
_SAMPLES = tuple(datetime(2025, 1, 1, 12) + timedelta(days=day) for day in range(0, 730, 3))  # noqa: DTZ001


@lru_cache(maxsize=256)
def place_of(rules: OwnZone) -> str | None:
    """An IANA name; None where no place has these rules, or they put no clock: a mere offset is no place."""
    return _places().get(_signature(rules))


@cache
def _places() -> Mapping[tuple[timedelta | None, ...], str]:
    names = dict.fromkeys((*_FIRST, *sorted(set(WINDOWS_ZONES.values()))))
    found: dict[tuple[timedelta | None, ...], str] = {}
    for name in names:
        signature = _signature(ZoneInfo(name))
        if len(set(signature)) > 1:
            found.setdefault(signature, name)
    return found


def _signature(rules: tzinfo) -> tuple[timedelta | None, ...]:
    return tuple(rules.utcoffset(each.replace(tzinfo=rules)) for each in _SAMPLES)
