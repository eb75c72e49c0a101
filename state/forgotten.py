"""Keyed hashes of people who were forgotten, so that they are not imported again. No way leads back to the person."""

from collections.abc import Iterable

from sqlalchemy import Connection, delete, select

from crmsync.state.rows import among, asked, unique, upsert
from crmsync.state.tables import forgotten

_KNOWN = select(forgotten.c.hash).where(forgotten.c.hash.in_(among()))


class Forgotten:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, hashes: Iterable[str]) -> None:
        rows = [{"hash": one} for one in unique(hashes)]
        if rows:
            query = upsert(self._connection.dialect.name, forgotten).on_conflict_do_nothing()
            self._connection.execute(query, rows)

    def clear(self) -> int:
        """How many there were."""
        return self._connection.execute(delete(forgotten)).rowcount

    def any(self, hashes: Iterable[str]) -> set[str]:
        """Which of these were forgotten."""
        return {one for (one,) in asked(self._connection, _KNOWN, hashes)}
