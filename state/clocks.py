"""When each column of each side was last seen to change its value since the snapshot."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache

from sqlalchemy import Connection, delete, select

from crmsync.connectors.contract import Side
from crmsync.state.rows import Upsert, among, asked, chunked, upsert
from crmsync.state.tables import clocks

_c = clocks.c
_SEEN = select(_c.pair_id, _c.side, _c.column, _c.digest, _c.changed_at).where(_c.pair_id.in_(among()))
_CLEAR = delete(clocks).where(_c.pair_id.in_(among()))


class Clocks:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, pair_ids: Iterable[int]) -> dict[tuple[int, Side, str], tuple[str, datetime]]:
        """(pair, side, column) -> (digest of the value, when it was first seen to be this)."""
        return {
            (pair_id, side, column): (digest, changed_at)
            for pair_id, side, column, digest, changed_at in asked(self._connection, _SEEN, pair_ids)
        }

    def put(self, seen: Mapping[tuple[int, Side, str], tuple[str, datetime]]) -> None:
        """The same shape as ``get``; each takes the place of the former one. The pairs must be in the mapping."""
        if not seen:
            return
        rows = [
            {"pair_id": pair_id, "side": side, "column": column, "digest": digest, "changed_at": changed_at}
            for (pair_id, side, column), (digest, changed_at) in seen.items()
        ]
        self._connection.execute(_put(self._connection.dialect.name), rows)

    def clear(self, pair_ids: Iterable[int]) -> None:
        """A new snapshot starts all clocks anew."""
        for chunk in chunked(pair_ids):
            self._connection.execute(_CLEAR, {"among": chunk})


@cache
def _put(dialect: str) -> Upsert:
    query = upsert(dialect, clocks)
    new = query.excluded
    return query.on_conflict_do_update(
        index_elements=[_c.pair_id, _c.side, _c.column],
        set_={"digest": new.digest, "changed_at": new.changed_at},
    )
