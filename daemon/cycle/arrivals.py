"""Arrivals: how many items reached which side in a cycle, and how long after they were changed on the other one."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from crmsync.connectors.contract import Record, Side
from crmsync.state.model import Change
from crmsync.state.pulse import Beat

WITHIN = (1, 3, 10, 30, 60, 120, 300, 900, 3600, 21600)  # seconds; the buckets of the histogram
# A new item that says it was last changed longer ago has come into view only now: tagged, shared, or the first sync.
FRESH = timedelta(hours=1)


@dataclass(slots=True)
class Arrivals:
    to: dict[Side, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    # not cumulative; the last: longer
    within: list[int] = field(default_factory=lambda: [0] * (len(WITHIN) + 1))
    seconds: float = 0.0
    slowest: float = 0.0

    def note(self, side: Side, now: datetime, since: datetime) -> None:
        """One item has reached this side; ``since``: when it was changed."""
        took = max(0.0, (now - since).total_seconds())
        self.to[side] += 1
        self.within[bisect_left(WITHIN, took)] += 1
        self.seconds += took
        self.slowest = max(self.slowest, took)

    @property
    def all(self) -> int:
        return sum(self.to.values())

    def beat(self, errors: int, left: int) -> Beat:
        """``left``: changes that wait when the cycle ends."""
        return Beat(
            to_ecs=self.to[Side.ECS],
            to_crm=self.to[Side.CRM],
            errors=errors,
            waiting=self.all + left if self.all or errors else 0,
            took=round(self.seconds * 1000),
            slowest=round(self.slowest * 1000),
        )

    def document(self) -> dict[str, Any]:
        """For ``sync --json``, and for who counts."""
        to = {f"to_{side.value}": number for side, number in self.to.items()}
        bounds: list[int | None] = [*WITHIN, None]
        within = [[bound, number] for bound, number in zip(bounds, self.within, strict=True)]
        return {**to, "within": within, "seconds": round(self.seconds, 3)}


def since(
    rows: Iterable[Change],
    source: Side,
    record: Record | None,
    offset: timedelta,
    known: datetime | None = None,
) -> datetime | None:
    """When the change was made that brought these rows: as its server says (``offset``: of that server's clock), else
    when it was seen. ``known``: when both sides last agreed; no change is older. None: there is no row."""
    every = list(rows)
    seen = [r.changed_at for r in every if r.side is source] or [r.changed_at for r in every]
    if not seen:
        return None
    first = min(seen)
    said = record.modified - offset if record is not None and record.modified is not None else first
    return said if (known or first - FRESH) <= said <= first else first
