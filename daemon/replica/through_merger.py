"""Merges, which only the CRM can make: it moves records that do not stand here, and notes whose each loser is now.
What refers to a loser and has not been sent yet refers to the master afterwards.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.replica.direct import Through
from crmsync.daemon.replica.landing import Landing
from crmsync.daemon.replica.through_store import ThroughStore
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local import edits
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.tables import CREATED
from crmsync.state.replica.local.temporary import is_temporary
from crmsync.state.replica.merging import Merged, Merger
from crmsync.state.replica.metadata import ObjectType
from crmsync.state.replica.records import read_id

__all__ = ["ThroughMerger"]


@dataclass(frozen=True, slots=True)
class ThroughMerger(Merger):
    store: ThroughStore
    through: Through

    def merge(
        self,
        caller: Caller,
        object_name: str,
        master_id: str,
        fields: Mapping[str, Any],
        losers: Sequence[str],
    ) -> Merged:
        type_ = self.store.object_type(object_name)
        master, *others = (self.store.current(read_id(type_, each)) for each in (master_id, *losers))
        self._check(type_, master, others)
        line = self.through.line
        if not line.writing or self.store.main.busy:
            raise _away()
        self._check_nothing_waits(type_, [master, *others])
        row = self.store.sent(type_.name, fields)
        if row is None:
            raise _waits(master)
        try:
            told = self.through.writes.merge(type_.name, master, row, others)
            line.answers()
        except ConnectorError as error:
            line.stays_here(error)
            raise _away() from error
        if told.errors:
            first = told.errors[0]
            raise Fault(first.code, first.message, tuple(first.fields))
        self._landing().land([master, *told.moved])
        self._follow(type_, master, others)
        self._landing().land(others)
        return Merged(master, tuple(others), tuple(sorted(set(told.moved) - {master, *others})))

    def _landing(self) -> Landing:
        return Landing(self.store, self.through)

    def _check_nothing_waits(self, type_: ObjectType, record_ids: Sequence[str]) -> None:
        """What was changed here and not sent would be merged as it is there."""
        with self.store.database.read() as connection:
            work = self.store.work(connection)
            waiting = work.pending(type_.name, record_ids)
        for each in record_ids:
            if each in waiting or is_temporary(each):
                raise _waits(each)

    def _follow(self, type_: ObjectType, master: str, losers: Sequence[str]) -> None:
        """What waits here and refers to a loser would be refused. Everything else comes as the CRM has it."""
        with self.store.database.write() as connection:
            work = self.store.work(connection)
            for edge in work.shapes.children(type_.name):
                main = work.group(edge.child).main
                for row in work.where(main, main.c[edge.field].in_(losers)):
                    if _waiting(work, edge.child, row):
                        edits.update(work, row["Id"], {edge.field: master}, self.store.now())


def _waiting(work: Work, name: str, row: Mapping[str, Any]) -> bool:
    return bool(row[CREATED] or work.pending(name, [row["Id"]]))


def _away() -> Fault:
    return Fault(
        "FUNCTIONALITY_NOT_ENABLED",
        "records are merged in the CRM itself, which cannot be reached now; a merge cannot be kept and made later",
    )


def _waits(record_id: str) -> Fault:
    what = f"unable to obtain exclusive access to this record: changes of {record_id} have to reach the CRM first"
    return Fault("UNABLE_TO_LOCK_ROW", what)
