"""What every request asks of a replica's database, and what seldom changes: read again after each write of this
process, and now and then for what others have written."""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

from crmsync.state.replica.local.database import LocalDatabase
from crmsync.state.replica.local.rows import Work

__all__ = ["Glance"]

T = TypeVar("T")


class Glance(Generic[T]):
    """Safe for threads."""

    def __init__(
        self,
        database: LocalDatabase,
        read: Callable[[Work], T],
        seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`seconds`: how old an answer may be that another process has changed since; 0: not at all."""
        self._database, self._read = database, read
        self._seconds, self._monotonic = seconds, monotonic
        self._known: tuple[int, float, T] | None = None

    def __call__(self) -> T:
        known, writes, now = self._known, self._database.writes, self._monotonic()
        if known is not None and known[0] == writes and now - known[1] < self._seconds:
            return known[2]
        with self._database.read() as work:
            found = self._read(work)
        self._known = (
            writes,
            now,
            found,
        )  # of before it was read: what was written meanwhile is read once more
        return found
