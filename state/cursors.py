"""Two small key-value tables: the cursors of collections, and everything else that is one text under one name."""

from functools import cache

from sqlalchemy import Connection, Table, delete, func, select

from crmsync.connectors.contract import Cursor
from crmsync.state.rows import Upsert, given, upsert
from crmsync.state.tables import cursors, meta

_CURSOR = select(cursors.c.cursor).where(cursors.c.scope == given("scope"))
_VALUE = select(meta.c.value).where(meta.c.key == given("key"))


class Cursors:
    """``scope`` names the collection that a cursor belongs to, in the engine's words."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, scope: str) -> Cursor | None:
        return self._connection.scalar(_CURSOR, {"scope": scope})

    def put(self, scope: str, cursor: Cursor) -> None:
        query = _put(self._connection.dialect.name, cursors, "scope", "cursor")
        self._connection.execute(query, {"scope": scope, "cursor": cursor})

    def remove(self, scope: str) -> None:
        """The next detection lists everything."""
        self._connection.execute(delete(cursors).where(cursors.c.scope == scope))

    def scopes(self, prefix: str = "") -> list[str]:
        begins = func.substr(cursors.c.scope, 1, len(prefix)) == prefix
        return sorted(self._connection.scalars(select(cursors.c.scope).where(begins)))


class Meta:
    """Discovery caches, schedule times, the id of the installation."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, key: str) -> str | None:
        return self._connection.scalar(_VALUE, {"key": key})

    def put(self, key: str, value: str) -> None:
        query = _put(self._connection.dialect.name, meta, "key", "value")
        self._connection.execute(query, {"key": key, "value": value})

    def remove(self, key: str) -> None:
        self._connection.execute(delete(meta).where(meta.c.key == key))

    def listing(self, prefix: str = "") -> dict[str, str]:
        """Key -> value of every key that begins so, in the order of the keys."""
        begins = func.substr(meta.c.key, 1, len(prefix)) == prefix
        return dict(
            sorted(
                (key, value)
                for key, value in self._connection.execute(select(meta.c.key, meta.c.value).where(begins))
            )
        )


@cache
def _put(dialect: str, table: Table, key: str, value: str) -> Upsert:
    """What stands there already is not written again: an idle cycle leaves the disk alone."""
    query = upsert(dialect, table)
    new = query.excluded[value]
    return query.on_conflict_do_update(
        index_elements=[table.c[key]], set_={value: new}, where=table.c[value] != new
    )
