"""Which occurrence of a series became which, when the series is held on other days from now on. Pure."""

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise

_NEAR = 3  # days: of a single one


def survivors(vanished: Sequence[str], appeared: Sequence[str]) -> Mapping[str, str]:
    """For names of occurrences that are no longer there: the one that is held instead, on a day nearer than the next
    one of the old days. In order, none twice; for what has none nothing."""
    old = {name: _day(name) for name in sorted(vanished)}
    days = sorted(set(old.values()))
    reach = min((later - day for day, later in pairwise(days)), default=_NEAR + 1)
    free = {name: _day(name) for name in sorted(appeared)}
    found: dict[str, str] = {}
    for name, day in old.items():
        nearest = min(free, key=lambda each: (abs(free[each] - day), each), default=None)
        if nearest is not None and abs(free[nearest] - day) < reach:
            found[name] = nearest
            del free[nearest]
    return found


def _day(name: str) -> int:
    return date(int(name[:4]), int(name[4:6]), int(name[6:8])).toordinal()
