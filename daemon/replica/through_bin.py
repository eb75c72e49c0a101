"""The CRM's recycle bin, as far as the CRM can be asked: what it has deleted is not kept here.

A delete that has not gone out yet is taken back here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.replica.direct import Result, Through
from crmsync.daemon.replica.landing import Landing
from crmsync.state.replica import faults, ids
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault, Outcome, Rejected, Saved
from crmsync.state.replica.local.recycling import LocalBin
from crmsync.state.replica.local.store import LocalStore
from crmsync.state.replica.local.temporary import is_temporary

__all__ = ["ThroughBin"]

Ask = Callable[[Sequence[str]], Sequence[Result]]


@dataclass(frozen=True, slots=True)
class ThroughBin(LocalBin):
    store: LocalStore
    through: Through

    def undelete(self, caller: Caller, record_ids: Sequence[str]) -> list[Outcome]:
        """What went along with it in the CRM comes back with the next pass."""
        outcomes = dict(zip(record_ids, LocalBin.undelete(self, caller, record_ids), strict=True))
        there = [each for each in record_ids if isinstance(outcomes[each], Rejected) and self._there(each)]
        outcomes |= self._asked(there, self.through.writes.undelete, "UNDELETE_FAILED")
        self._landing().land(o.id for each, o in outcomes.items() if each in there and isinstance(o, Saved))
        return [outcomes[each] for each in record_ids]

    def empty(self, caller: Caller, record_ids: Sequence[str]) -> list[Outcome]:
        outcomes: dict[str, Outcome] = {
            each: Rejected((_not_in_it(each),), each) for each in record_ids if not self._there(each)
        }
        there = [each for each in record_ids if each not in outcomes]
        outcomes |= self._asked(there, self.through.writes.empty, "FUNCTIONALITY_NOT_ENABLED")
        return [outcomes[each] for each in record_ids]

    def _landing(self) -> Landing:
        return Landing(self.store, self.through)

    def _there(self, record_id: str) -> bool:
        """Whether it can be the CRM's bin in which this record lies."""
        if not ids.is_valid(record_id) or self.store.schema.of_id(record_id) is None:
            return False
        with self.store.database.read() as connection:
            work = self.store.work(connection)
            current = work.resolve(ids.to_18(record_id))
            return not is_temporary(current) and work.get(work.shared.deletelist, current) is None

    def _asked(self, asked: Sequence[str], ask: Ask, code: str) -> dict[str, Outcome]:
        line, refused = self.through.line, Fault(code, _AWAY)
        if not asked:
            return {}
        if not line.writing or self.store.main.busy:
            return {each: Rejected((refused,), each) for each in asked}
        current = [self.store.current(ids.to_18(each)) for each in asked]
        try:
            results = ask(current)
            line.answers()
        except ConnectorError as error:
            line.stays_here(error)
            return {each: Rejected((refused,), each) for each in asked}
        return {
            each: _outcome(result, now) for each, now, result in zip(asked, current, results, strict=True)
        }


_AWAY = "the recycle bin is the CRM's, which cannot be reached now; try again when it can"


def _not_in_it(record_id: str) -> Fault:
    if not ids.is_valid(record_id):
        return faults.malformed_id(record_id)
    return Fault("INVALID_ID_FIELD", "the record is not in the CRM's recycle bin")


def _outcome(result: Result, record_id: str) -> Outcome:
    if result.errors:
        return Rejected(tuple(Fault(e.code, e.message, tuple(e.fields)) for e in result.errors), record_id)
    return Saved(record_id, created=False)
