"""Which stretch of the server's time a pass looks at. Pure.

One start and one end for all objects, so that rows that refer to each other are seen together. The deletes have a
window of their own, because the server tells them by whole minutes, and no further back than fifteen days.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

__all__ = ["OVERLAP", "WAVE", "Window", "opened", "waves"]

OVERLAP = timedelta(
    minutes=10
)  # a transaction's rows bear the time it began at, and appear when it is committed
WAVE = timedelta(days=31)
KEPT = timedelta(days=14)  # the list of deletions reaches back 15 days
_AHEAD = timedelta(
    seconds=2
)  # the server's clock is told in whole seconds and renewed once a second: what is there already is looked at
_LEAST = timedelta(minutes=2)  # the list of deletions wants more than one


@dataclass(frozen=True, slots=True)
class Window:
    """Aware datetimes. `start` None: from the first row on."""

    start: datetime | None
    end: datetime
    deletes_start: datetime | None  # None: nothing stands here yet that could have been deleted
    deletes_end: datetime
    tellable: bool  # false: the list of deletions does not reach back so far, all ids have to be compared

    def encode(self) -> dict[str, Any]:
        return {
            "start": _text(self.start),
            "end": _text(self.end),
            "deletes": [_text(self.deletes_start), _text(self.deletes_end)],
            "tellable": self.tellable,
        }

    @staticmethod
    def decode(value: Mapping[str, Any]) -> "Window":
        start, end = value["deletes"]
        finish, deletes_end = _moment(value["end"]), _moment(end)
        assert finish is not None
        assert deletes_end is not None
        return Window(_moment(value["start"]), finish, _moment(start), deletes_end, value["tellable"])


def opened(now: datetime, since: datetime | None, deletes_since: datetime | None) -> Window:
    """`now`: the server's clock before anything is read. `since`: the ends of the last pass."""
    deletes_end = now.replace(second=0, microsecond=0)
    back = None if deletes_since is None else min(deletes_since - OVERLAP, deletes_end - _LEAST)
    return Window(
        start=None if since is None else since - OVERLAP,
        end=now.replace(microsecond=0) + _AHEAD,
        deletes_start=back,
        deletes_end=deletes_end,
        tellable=back is None or now - back < KEPT,
    )


def waves(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """A month at a time: what is lost when a pass breaks off is one of them."""
    while start < end:
        stop = min(start + WAVE, end)
        yield start, stop
        start = stop


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
