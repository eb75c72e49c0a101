"""The main tables of a replica, where the web services look for those of an embedded CRM."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local

import sqlalchemy as sa

from crmsync.state.replica.database import Database, limited
from crmsync.state.replica.local.database import LocalDatabase

__all__ = ["MainTables"]


class MainTables(Database):
    """As they are now: after a change of the schema upstream there are others."""

    def __init__(self, replica: LocalDatabase) -> None:
        self._replica, self._shared = replica, local()
        self.tables = {name: group.main for name, group in replica.tables.groups.items()}

    @contextmanager
    def read(self, seconds: float | None = None) -> Iterator[sa.Connection]:
        shared: sa.Connection | None = getattr(self._shared, "connection", None)
        if shared is not None:
            with limited(shared, seconds):
                yield shared
            return
        with self._replica.read() as work, limited(work.connection, seconds):
            yield work.connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        shared: sa.Connection | None = getattr(self._shared, "connection", None)
        if shared is not None:
            with shared.begin_nested():
                yield shared
            return
        with self._replica.write() as work:
            yield work.connection

    @property
    def busy(self) -> bool:
        """This thread is in the middle of a transaction of several calls."""
        return getattr(self._shared, "connection", None) is not None

    def close(self) -> None:
        """The replica's database is closed by whoever opened it."""
