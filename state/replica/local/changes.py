"""What changed in a replica in a window of time, for clients that keep copies of their own.

What the upstream has of the last minutes comes with the next pass. So the end that is covered is where the last pass
ended, and whoever begins the next window there misses nothing.
"""

import datetime

from crmsync.state.replica.access import Caller
from crmsync.state.replica.changes import Changes
from crmsync.state.replica.local.store import LocalStore
from crmsync.state.replica.metadata import ObjectType

__all__ = ["LocalChanges"]


class LocalChanges(Changes):
    def __init__(self, store: LocalStore) -> None:
        super().__init__(store)
        self._local = store

    def _checked(
        self, start: datetime.datetime, end: datetime.datetime
    ) -> tuple[datetime.datetime, datetime.datetime, datetime.datetime]:
        start, end, covered = super()._checked(start, end)
        return start, end, max(start, min(covered, self._pulled() or covered))

    def _pulled(self) -> datetime.datetime | None:
        with self._local.database.read() as connection:
            since = self._local.work(connection).property("since")
        if since is None:
            return None
        return datetime.datetime.fromisoformat(since).astimezone(datetime.UTC).replace(tzinfo=None)

    def _rows(
        self,
        caller: Caller,
        type_: ObjectType,
        start: datetime.datetime,
        end: datetime.datetime,
        *,
        deleted: bool,
    ) -> list[tuple[str, datetime.datetime]]:
        if not deleted:
            return super()._rows(caller, type_, start, end, deleted=False)
        with self._local.database.read() as connection:
            work = self._local.work(connection)
            tombs = work.shared.tombs
            of_type = (tombs.c.object == type_.name, tombs.c.at >= start, tombs.c.at < end)
            found = work.where(tombs, *of_type)
            back = work.many(work.group(type_.name).main, [row["Id"] for row in found])
        return [(row["Id"], row["at"]) for row in found if row["Id"] not in back]

    def _purged(
        self, caller: Caller, type_: ObjectType, start: datetime.datetime, end: datetime.datetime
    ) -> list[tuple[str, datetime.datetime]]:
        return []  # there is no recycle bin here
