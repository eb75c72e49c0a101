"""The recycle bin of a replica, as far as nobody has to be asked: a delete that has not gone out yet is taken back."""

from collections.abc import Sequence

from crmsync.state.replica import faults, ids
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault, Outcome, Rejected, Saved
from crmsync.state.replica.local import deciding
from crmsync.state.replica.local.store import LocalStore
from crmsync.state.replica.recycling import RecycleBin

__all__ = ["LocalBin"]


class LocalBin(RecycleBin):
    store: LocalStore

    def undelete(self, caller: Caller, record_ids: Sequence[str]) -> list[Outcome]:
        return [self._back(each) for each in record_ids]

    def _back(self, record_id: str) -> Outcome:
        if not ids.is_valid(record_id):
            return Rejected((faults.malformed_id(record_id),), record_id)
        try:
            with self.store.database.write() as connection:
                work = self.store.work(connection)
                current = work.resolve(ids.to_18(record_id))
                if work.get(work.shared.deletelist, current) is None:
                    raise Fault("UNDELETE_FAILED", "Entity is not in the recycle bin")
                deciding.abandon(work, current, self.store.now())
            return Saved(current, created=False)
        except Fault as fault:
            return Rejected((fault,), record_id)
