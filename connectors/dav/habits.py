"""What has been learnt of a server while talking to it, shared by all connectors of one login."""

import threading
from enum import StrEnum

MOST_AT_A_TIME = 4  # writes to one server
_STEADY = 32  # writes without push-back before one more is sent at a time


class Times(StrEnum):
    """Where a server tells when an item was last changed."""

    UNKNOWN = "unknown"
    INLINE = "inline"  # in the multiget, as RFC 4791 would have it
    ASIDE = "aside"  # only in a PROPFIND (Radicale 3.9)
    NEVER = "never"  # nowhere (Xandikos 0.4)


class Habits:
    """Facts found out by asking. Safe to use from several threads: each is one assignment."""

    def __init__(self, pace: "Pace | None" = None) -> None:
        self.times = Times.UNKNOWN
        self.without_sync: set[str] = set()  # paths of collections that refuse sync-collection
        self.keeps_stamps = False  # an item that differs by its stamp alone stands as it was sent
        self.schedules: bool | None = None  # sends invitations by itself (RFC 6638); None: not asked yet
        self.addresses: dict[str, frozenset[str]] = {}  # of a collection's owner, by its path
        self.pace = pace or Pace()


class Pace:
    """How many writes go to the server at the same time: one more after a steady stretch, one less when it pushes back,
    and then never again as many. Radicale gains nothing from parallel writes, Xandikos answers 423 to them; a server
    behind a slow line gains much."""

    def __init__(self, start: int = 2, most: int = MOST_AT_A_TIME) -> None:
        self._lock = threading.Lock()
        self._width = min(start, most)
        self._most = most
        self._streak = 0

    @property
    def width(self) -> int:
        return self._width

    def went_well(self) -> None:
        with self._lock:
            self._streak += 1
            if self._streak >= _STEADY and self._width < self._most:
                self._width += 1
                self._streak = 0

    def pushed_back(self) -> None:
        with self._lock:
            self._streak = 0
            if self._width > 1:
                self._most = self._width = self._width - 1
