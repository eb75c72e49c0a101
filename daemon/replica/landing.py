"""What the CRM has, into the replica: of records that are looked at or written right now, without a pass."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.replica.direct import Through
from crmsync.state.replica import ids
from crmsync.state.replica.faults import Fault, Outcome, Saved
from crmsync.state.replica.local import arrivals, edits
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import row_from, row_to, stored
from crmsync.state.replica.local.store import LocalStore
from crmsync.state.replica.local.temporary import is_temporary
from crmsync.state.replica.metadata import ObjectType

__all__ = ["Landing"]


@dataclass(frozen=True, slots=True)
class Landing:
    store: LocalStore
    through: Through

    def look(self, record_ids: Iterable[str]) -> None:
        """`online`: each record is read once more before it is edited."""
        if not self.through.line.reading or self.store.main.busy:
            return
        try:
            self._refresh(record_ids)
            self.through.line.answers()
        except ConnectorError as error:
            self.through.line.fails(error)

    def _refresh(self, record_ids: Iterable[str]) -> None:
        """Records that stand here and have nothing that waits, as they are in the CRM now."""
        with self.store.database.read() as connection:
            work = self.store.work(connection)
            current = [work.resolve(ids.to_18(i)) for i in record_ids if ids.is_valid(i)]
            by_object = _grouped(self.store.schema.of_id, current)
            free = {
                name: [i for i in some if not is_temporary(i) and not work.pending(name, [i])]
                for name, some in by_object.items()
            }
        for name, wanted in free.items():
            self._take(name, wanted)

    def land(self, record_ids: Iterable[str]) -> None:
        """What has just been written, with what the CRM has computed. If it cannot be read, the next pass brings it."""
        try:
            for name, wanted in _grouped(self.store.schema.of_id, record_ids).items():
                self._take(name, wanted)
        except ConnectorError as error:
            self.through.line.fails(error)

    def _take(self, name: str, wanted: Sequence[str]) -> None:
        if not wanted:
            return
        shape = self.store.replica.tables.shapes.of(name)
        fields = [f.name for f in stored(shape)]
        rows = [row_from(shape, raw) for raw in self.through.upstream.read(name, fields, wanted)]
        with self.store.database.write() as connection:
            work, policy, at = self.store.work(connection), self.through.policy, self.store.now()
            for row in rows:
                if row.get("IsDeleted"):
                    arrivals.gone(work, name, [row["Id"]], policy, at)
                elif not work.get(work.shared.deletelist, row["Id"]):
                    arrivals.settle(work, name, row, policy, at)

    def gone(self, record_ids: Sequence[str]) -> None:
        """Out of main, with all that the CRM has deleted along."""
        with self.store.database.write() as connection:
            work, at = self.store.work(connection), self.store.now()
            for record_id in record_ids:
                try:
                    with connection.begin_nested():
                        edits.delete(work, record_id, at)
                        _settled(work, record_id)
                except Fault:  # it went with another one, or our describe sees something in the way
                    type_ = work.type_of(record_id)
                    arrivals.gone(work, type_.name, [record_id], self.through.policy, at)

    def doubt(self, outcomes: Sequence[Outcome], since: datetime) -> None:
        """The request may have arrived: the next pass looks for these records before it sends them."""
        with self.store.database.write() as connection:
            work = self.store.work(connection)
            for outcome in outcomes:
                if isinstance(outcome, Saved):
                    type_, row = edits.find(work, outcome.id)
                    sent = row_to(type_, {n: row[n] for n in work.group(type_.name).orig.c.keys()})  # noqa: SIM118
                    work.change(work.shared.createlist, outcome.id, sent=sent, since=since)


def _settled(work: Work, root: str) -> None:
    """Nothing of this delete has to be sent any more."""
    deletelist = work.shared.deletelist
    for entry in work.where(deletelist, deletelist.c.root == root):
        group = work.group(entry["object"])
        for table in (deletelist, group.orig, group.synced):
            work.drop(table, [entry["Id"]])


def _grouped(of_id: Callable[[str], ObjectType | None], record_ids: Iterable[str]) -> dict[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for each in dict.fromkeys(record_ids):
        type_ = of_id(each)
        if type_ is not None:
            groups.setdefault(type_.name, []).append(each)
    return groups
