"""A replica's database for whoever holds the turn at it: nothing is written once that was lost."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from crmsync.state.replica.local.database import LocalDatabase
from crmsync.state.replica.local.rows import Work

__all__ = ["fenced"]


def fenced(database: LocalDatabase, check: Callable[[], None]) -> LocalDatabase:
    """`check` raises StateError when the turn is somebody else's. A pass notes what it sends before it sends it, so
    that without its turn it sends nothing either."""
    return cast(LocalDatabase, _Fenced(database, check))


class _Fenced:
    def __init__(self, database: LocalDatabase, check: Callable[[], None]) -> None:
        self._database, self._check = database, check

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    @contextmanager
    def write(self) -> Iterator[Work]:
        with self._database.write() as work:  # writers take turns: whoever has ours by now comes after this
            self._check()
            yield work

    def learn(self, replies: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
        self._check()
        return self._database.learn(replies)
