"""Statements as text for SQLite, made once in a process: for the engine that reads and the one that writes, and for
each further database that is opened. To make the text takes longer than to run it.

SQLAlchemy keeps what it has compiled for each engine apart. All of ours are SQLite's with the same library and the same
settings, and databases with the same tables have the same objects for them.
"""

from collections.abc import Iterator, MutableMapping
from typing import Any

from sqlalchemy.util import LRUCache

MOST = 1000  # statements; the syncs of the tests have about a hundred

Key = tuple[Any, ...]


class Compiled(MutableMapping[Key, Any]):
    """For the option ``compiled_cache`` of engines that differ in nothing that a statement's text depends on. Safe to
    use from several threads."""

    def __init__(self) -> None:
        self._kept: LRUCache[Key, Any] = LRUCache(MOST)

    def __getitem__(self, key: Key) -> Any:
        return self._kept[_any_engines(key)]

    def __setitem__(self, key: Key, compiled: Any) -> None:
        self._kept[_any_engines(key)] = compiled

    def get(self, key: Key, default: Any = None) -> Any:
        return self._kept.get(_any_engines(key), default)

    def __delitem__(self, key: Key) -> None:
        del self._kept[_any_engines(key)]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


def _any_engines(key: Key) -> Key:
    """A key begins with the dialect, of which each engine has its own."""
    dialect, *statement = key
    return (type(dialect), *statement)


SQLITE = Compiled()
CRMS = Compiled()  # of embedded CRMs and replicas, for which people think up statements
