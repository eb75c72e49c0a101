"""This and all later occurrences of a series (RANGE=THISANDFUTURE, RFC 5545 3.2.13).

Such a part says what its occurrence and the later ones are, up to the next part of its kind; one that has a part of its
own keeps to that. Moved by two hours, it moves all of them by two hours of the wall clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from crmsync.connectors.dav.document import Component

THIS_AND_FUTURE = "THISANDFUTURE"


@dataclass(frozen=True, slots=True)
class Range:
    slot: datetime  # where it begins, in the wall clock of the series
    component: Component
    shift: timedelta  # of the wall clock: what it moves each of them by


def begins_range(component: Component) -> bool:
    return any(each.parameter("RANGE").upper() == THIS_AND_FUTURE for each in component.all("RECURRENCE-ID"))


def governing(ranges: Sequence[Range], slot: datetime) -> Range | None:
    """``ranges``: in order."""
    return next((each for each in reversed(ranges) if each.slot <= slot), None)
