"""Which occurrence of a series became which, when the series is held on other days from now on, or was split in two.

A client that changes "this and all later ones" ends the one series and makes another. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
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


@dataclass(frozen=True, slots=True)
class Held:
    """What tells an occurrence of one series from that of another."""

    day: str
    subject: object
    at: time


@dataclass(slots=True)
class Parts:
    """What one look at a calendar has found, by item."""

    ended: dict[str, Held] = field(default_factory=dict)  # of series that go on without them
    begun: dict[str, Held] = field(default_factory=dict)  # of series that nobody has told of before


def heirs(parts: Parts) -> Mapping[str, str]:
    """For occurrences that have ended in one series: that of another one which is held instead, on the same day, and
    under the same subject or at the same time. None twice."""
    free = dict(parts.begun)
    found: dict[str, str] = {}
    for item, held in sorted(parts.ended.items()):
        heir = next((id for id, other in sorted(free.items()) if _alike(held, other)), None)
        if heir is not None:
            found[item] = heir
            del free[heir]
    return found


def _alike(one: Held, other: Held) -> bool:
    return one.day == other.day and (one.subject == other.subject or one.at == other.at)


def _day(name: str) -> int:
    return date(int(name[:4]), int(name[4:6]), int(name[6:8])).toordinal()
