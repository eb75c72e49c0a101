"""What changed in a window of time: `updated` and `deleted` (REST API Developer Guide, "Get Updated", "Get Deleted").

Seconds of both ends are dropped, so a window that begins where the last one ended may repeat some rows, and never
misses one. The covered end is never later than now.
"""

import datetime
from dataclasses import dataclass

import sqlalchemy as sa

from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.metadata import ObjectType
from crmsync.state.replica.store import Store

__all__ = ["Changes", "Deletions"]

UPDATED_REACH = datetime.timedelta(days=30)
DELETED_REACH = datetime.timedelta(days=15)
MOST_IDS = 600_000


@dataclass(frozen=True, slots=True)
class Deletions:
    """`records` are (id, when). A start before `earliest_available` means that deletes may be missing."""

    records: tuple[tuple[str, datetime.datetime], ...]
    earliest_available: datetime.datetime
    latest_covered: datetime.datetime


class Changes:
    """All datetimes are naive UTC."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def updated(
        self, caller: Caller, object_name: str, start: datetime.datetime, end: datetime.datetime
    ) -> tuple[list[str], datetime.datetime]:
        """Ids of living records written in the window, oldest first, and the end that is covered."""
        type_ = self._store.object_type(object_name)
        start, end, covered = self._checked(start, end)
        if start < self._store.now() - UPDATED_REACH:
            raise Fault(
                "INVALID_REPLICATION_DATE", f"startDate cannot be more than {UPDATED_REACH.days} days ago"
            )
        rows = self._rows(caller, type_, start, end, deleted=False)
        return [id_ for id_, _ in rows], covered

    def deleted(
        self, caller: Caller, object_name: str, start: datetime.datetime, end: datetime.datetime
    ) -> Deletions:
        """Records deleted in the window, oldest first."""
        type_ = self._store.object_type(object_name)
        start, end, covered = self._checked(start, end)
        rows = self._rows(caller, type_, start, end, deleted=True) if type_.deletable else []
        rows = sorted([*rows, *self._purged(caller, type_, start, end)], key=lambda row: (row[1], row[0]))
        return Deletions(tuple(rows), self._store.now() - DELETED_REACH, covered)

    def _purged(
        self, caller: Caller, type_: ObjectType, start: datetime.datetime, end: datetime.datetime
    ) -> list[tuple[str, datetime.datetime]]:
        """Those that have left the recycle bin."""
        table = self._store.database.purged
        query = sa.select(table.c.record_id, table.c.deleted_at, table.c.owner_id).where(
            table.c.object == type_.name, table.c.deleted_at >= start, table.c.deleted_at < end
        )
        with self._store.database.read() as connection:
            found = connection.execute(query).all()
        may = self._store.access.rights
        return [(row[0], row[1]) for row in found if may(caller, type_, {"OwnerId": row[2]}).read]

    def _checked(
        self, start: datetime.datetime, end: datetime.datetime
    ) -> tuple[datetime.datetime, datetime.datetime, datetime.datetime]:
        """Start and end of the rows to show, and the end that is then covered."""
        start, end = start.replace(second=0), end.replace(second=0)
        if end - start < datetime.timedelta(minutes=1):
            raise Fault(
                "INVALID_REPLICATION_DATE", "startDate before endDate by more than one minute was expected"
            )
        now = self._store.now()
        if start > now:
            raise Fault("INVALID_REPLICATION_DATE", "startDate cannot be in the future")
        return start, end, min(end, now)

    def _rows(
        self,
        caller: Caller,
        type_: ObjectType,
        start: datetime.datetime,
        end: datetime.datetime,
        *,
        deleted: bool,
    ) -> list[tuple[str, datetime.datetime]]:
        table = self._store.database.tables[type_.name]
        stamp = table.c.SystemModstamp
        query = sa.select(table.c.Id, stamp).where(stamp >= start, stamp < end).order_by(stamp, table.c.Id)
        if type_.deletable:
            query = query.where(table.c.IsDeleted.is_(deleted))
        visible = self._store.access.readable(caller, type_, table)
        if visible is not None:
            query = query.where(visible)
        with self._store.database.read() as connection:
            rows = [(row[0], row[1]) for row in connection.execute(query.limit(MOST_IDS + 1))]
        if len(rows) > MOST_IDS:
            raise Fault("EXCEEDED_ID_LIMIT", f"more than {MOST_IDS} ids: choose a shorter window")
        return rows
