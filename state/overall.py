"""How accounts stand, of many at once: a few statements, however many there are."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select, true

from crmsync.state.model import Counts, Cycle, HeldState, QueueState, What
from crmsync.state.rows import CHUNK, Rows
from crmsync.state.tables import conflicts, cycles, held, queue

_q, _c, _h, _y = queue.c, conflicts.c, held.c, cycles.c
_NOTHING = Counts(pending=0, parked=0, held=0)


@dataclass(slots=True)
class Overall:
    counts: Counts = _NOTHING  # of the sync table
    conflicts: int = 0  # that are not resolved
    deletions: int = 0  # and unlinks that nobody has decided about
    last_success: datetime | None = None  # when the last cycle that succeeded had finished
    last: Cycle | None = None  # the newest, finished or not
    waits: dict[str, int] = field(
        default_factory=dict
    )  # rows that wait for the asked reasons, by their sentence


class Overalls:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, accounts: Collection[str], *codes: str) -> dict[str, Overall]:
        """``codes``: the reasons of ``waits``."""
        found = {name: Overall() for name in accounts}
        self._count(found)
        for account, sentence, number in self._grouped(
            found, _q.account, [_q.error], func.count(), _q.state == QueueState.WAITING, _q.code.in_(codes)
        ):
            found[account].waits[sentence] = number
        for account, number in self._grouped(found, _c.account, [], func.count(), _c.resolved.is_(False)):
            found[account].conflicts = number
        undecided = (_h.what == What.DELETE, _h.state == HeldState.HELD)
        for account, number in self._grouped(found, _h.account, [], func.count(), *undecided):
            found[account].deletions = number
        for account, moment in self._grouped(
            found, _y.account, [], func.max(_y.finished), _y.succeeded.is_(True)
        ):
            found[account].last_success = moment
        self._newest(found)
        return found

    def _count(self, found: dict[str, Overall]) -> None:
        states: dict[str, dict[QueueState, int]] = {}
        for account, state, number in self._grouped(found, _q.account, [_q.state], func.count()):
            states.setdefault(account, {})[state] = number
        for account, each in states.items():
            pending = each.get(QueueState.DUE, 0) + each.get(QueueState.WAITING, 0)
            parked, held_ = each.get(QueueState.PARKED, 0), each.get(QueueState.HELD, 0)
            found[account].counts = Counts(pending, parked, held_)

    def _newest(self, found: dict[str, Overall]) -> None:
        rows = Rows(self._connection, cycles, Cycle)
        newest = select(func.max(_y.id)).where(_these(_y.account, found)).group_by(_y.account)
        for cycle in rows.all(rows.select().where(_y.id.in_(newest))):
            if cycle.account in found:
                found[cycle.account].last = cycle

    def _grouped(
        self,
        found: dict[str, Overall],
        account: ColumnElement[str],
        by: Sequence[ColumnElement[Any]],
        number: ColumnElement[Any],
        *where: ColumnElement[bool],
    ) -> Iterable[Any]:
        """By account and ``by``, in their order."""
        query = select(account, *by, number).where(_these(account, found), *where)
        rows = self._connection.execute(query.group_by(account, *by).order_by(account, *by))
        return (row for row in rows if row[0] in found)


def _these(account: ColumnElement[str], found: Collection[str]) -> ColumnElement[bool]:
    """All of them, where they are too many to name."""
    return account.in_(list(found)) if len(found) <= CHUNK else true()
