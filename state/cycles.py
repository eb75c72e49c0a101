"""The cycles that ran: when, with what counts and errors."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, text, update

from crmsync.state.model import Cycle
from crmsync.state.rows import Rows, given
from crmsync.state.tables import cycles

_c = cycles.c
_START = insert(cycles).returning(_c.id)
_FINISH = update(cycles).where(_c.id == given("_id"))
# Where the next number comes from; SQLite has a line for a table that had a row.
_SKIP: Mapping[str, Sequence[str]] = {
    "sqlite": (
        "INSERT INTO sqlite_sequence (name, seq) SELECT 'cycles', 0"
        " WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'cycles')",
        "UPDATE sqlite_sequence SET seq = :last WHERE name = 'cycles' AND seq < :last",
    ),
    "postgresql": (
        "SELECT setval(numbers, :last) FROM (SELECT pg_get_serial_sequence('cycles', 'id')::regclass AS numbers) AS one"
        " WHERE coalesce(pg_sequence_last_value(numbers), 0) < :last",
    ),
}


class Cycles:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows = Rows(connection, cycles, Cycle)

    def start(self, account: str, now: datetime) -> int:
        row = {"account": account, "started": now, "succeeded": False, "counts": {}, "errors": []}
        id: int = self._connection.execute(_START, row).scalar_one()
        return id

    def skip_to(self, last: int) -> None:
        """Numbers up to this one have been given out, by a state that was lost: none of them is given out again."""
        for statement in _SKIP[self._connection.dialect.name] if last else ():
            self._connection.execute(text(statement), {"last": last})

    def finish(
        self,
        id: int,
        now: datetime,
        counts: Mapping[str, int],
        errors: Sequence[Mapping[str, Any]] = (),
        *,
        succeeded: bool | None = None,
    ) -> None:
        """Unless told otherwise, a cycle succeeded if each of its errors names an ``item``: a parked contact does not
        make the account stale, an unreachable server does."""
        if succeeded is None:
            succeeded = all(error.get("item") for error in errors)
        self._connection.execute(
            _FINISH,
            {
                "_id": id,
                "finished": now,
                "succeeded": succeeded,
                "counts": dict(counts),
                "errors": [dict(e) for e in errors],
            },
        )

    def get(self, id: int) -> Cycle | None:
        return self._rows.first(self._rows.select().where(_c.id == id))

    def last(self, account: str) -> Cycle | None:
        """The newest, finished or not."""
        return next(iter(self.recent(account, 1)), None)

    def recent(self, account: str, n: int) -> list[Cycle]:
        """The newest first."""
        return self._rows.all(
            self._rows.select().where(_c.account == account).order_by(_c.id.desc()).limit(n)
        )
