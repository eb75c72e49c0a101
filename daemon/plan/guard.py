"""How many deletes and unlinks are too many to be believed without asking."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from crmsync.connectors.contract import Kind

WINDOW = timedelta(hours=24)
PERCENT_FROM = 10  # items: below that a percentage says nothing


@dataclass(frozen=True, slots=True)
class Limit:
    count: int
    percent: float

    def exceeded(self, removals: int, linked: int) -> bool:
        """``removals`` in the window, the planned ones included, of ``linked`` items at its beginning."""
        if removals > self.count:
            return True
        return linked >= PERCENT_FROM and removals * 100 > self.percent * linked


DEFAULT = Limit(100, 25)
LIMITS: Mapping[Kind, Limit] = {
    Kind.CONTACT: Limit(250, 25),
    Kind.APPOINTMENT: Limit(50, 10),
    Kind.TASK: Limit(50, 75),
}


def storm(
    kind: Kind,
    *,
    planned: int,
    recent: int,
    linked: int,
    waiting: int = 0,
    limits: Mapping[Kind, Limit] = LIMITS,
) -> bool:
    """Whether ``planned`` removals are held, after ``recent`` ones in the window and with ``waiting`` ones that are
    held already. ``linked``: items linked now; what is planned or waits is still among them, what went is not."""
    if not planned:
        return False
    return limits.get(kind, DEFAULT).exceeded(planned + recent + waiting, linked + recent)
