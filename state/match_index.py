"""The match index: by which keys (hashes of addresses, numbers, …) an ECS item may be found."""

from collections import defaultdict
from collections.abc import Collection, Iterable

from sqlalchemy import Connection, delete, insert, select

from crmsync.state.model import IndexRow
from crmsync.state.rows import among, asked, chunked, given, unique
from crmsync.state.tables import index_keys, index_rows

_r, _k = index_rows.c, index_keys.c

_OF_ACCOUNT = _r.account == given("account")
# without the account: with it, SQLite walks all of the account's rows instead of looking up these few
_ROWS = select(_r.id, _r.item, _r.uid, _r.version, _r.name, _r.tagged, _r.collection, _r.account).where(
    _r.id.in_(among())
)
_KEYS = select(_k.row_id, _k.key).where(_k.row_id.in_(among()))
_BY_KEY = select(_k.key, _k.row_id).where(_k.key.in_(among()))
_HERE = (_OF_ACCOUNT, _r.collection == given("collection"), _r.item.in_(among()))
_BY_ITEM = select(_r.id).where(*_HERE)
_BY_UID = select(_r.id).where(_OF_ACCOUNT, _r.uid.in_(among()), _r.uid != "")
_PUT = insert(index_rows).returning(_r.id, sort_by_parameter_order=True)
_DROP = delete(index_rows).where(*_HERE)


class MatchIndex:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, account: str, collection: str, rows: Iterable[IndexRow]) -> None:
        """Each row takes the place of the item's former one; the last one of an item stands."""
        for chunk in chunked({row.item: row for row in rows}.values()):
            self.drop(account, collection, [row.item for row in chunk])
            ids = self._connection.scalars(
                _PUT,
                [
                    {
                        "account": account,
                        "collection": collection,
                        "item": row.item,
                        "uid": row.uid,
                        "version": row.version,
                        "name": row.name,
                        "tagged": row.tagged,
                    }
                    for row in chunk
                ],
            )
            keys = [
                {"row_id": id, "key": key} for id, row in zip(ids, chunk, strict=True) for key in row.keys
            ]
            if keys:
                self._connection.execute(insert(index_keys), keys)

    def drop(self, account: str, collection: str, items: Iterable[str]) -> None:
        for chunk in chunked(items):
            known = {"account": account, "collection": collection, "among": chunk}
            self._connection.execute(_DROP, known)

    def find(self, account: str, keys: Iterable[str]) -> dict[str, list[IndexRow]]:
        """Key -> the items that have it, in every collection; a key that no item has is absent."""
        hits = [(key, id) for key, id in asked(self._connection, _BY_KEY, unique(keys))]
        rows = self._rows(account, sorted({id for _, id in hits}))
        found: dict[str, list[IndexRow]] = defaultdict(list)
        for key, id in sorted(hits):
            if id in rows:
                found[key].append(rows[id])
        return dict(found)

    def get(self, account: str, collection: str, items: Iterable[str]) -> dict[str, IndexRow]:
        """By item; one that is not in the index is absent."""
        rows = asked(self._connection, _BY_ITEM, items, account=account, collection=collection)
        return {row.item: row for row in self._rows(account, [id for (id,) in rows]).values()}

    def by_uids(self, account: str, uids: Iterable[str]) -> list[IndexRow]:
        """The items with these UIDs, in every collection."""
        rows = asked(self._connection, _BY_UID, unique(uids), account=account)
        return list(self._rows(account, [id for (id,) in rows]).values())

    def outside(self, account: str, collections: Collection[str]) -> list[tuple[str, str]]:
        """The items of all other collections: collections and items."""
        keys = set(self._connection.scalars(select(_r.collection).where(_r.account == account).distinct()))
        query = select(_r.collection, _r.item).where(_r.account == account)
        found = (
            self._connection.execute(query.where(_r.collection == k)) for k in keys.difference(collections)
        )
        return [(collection, item) for rows in found for collection, item in rows]

    def iterate(
        self, account: str, collection: str, *, after_id: int = 0, limit: int = 500
    ) -> list[tuple[int, str]]:
        """A stretch of the collection's items, each with the id of its row; go on with the last one's."""
        query = (
            select(_r.id, _r.item)
            .where(_r.account == account, _r.collection == collection, _r.id > after_id)
            .order_by(_r.id)
            .limit(limit)
        )
        return [(id, item) for id, item in self._connection.execute(query)]

    def clear(self, account: str, collection: str) -> None:
        self._connection.execute(delete(index_rows).where(_r.account == account, _r.collection == collection))

    def _rows(self, account: str, ids: list[int]) -> dict[int, IndexRow]:
        """By row id, each with all of its keys; those of other accounts are absent."""
        keys: dict[int, list[str]] = defaultdict(list)
        for id, key in asked(self._connection, _KEYS, ids):
            keys[id].append(key)
        return {
            id: IndexRow(item, uid, version, frozenset(keys[id]), name, tagged, collection)
            for id, item, uid, version, name, tagged, collection, whose in asked(self._connection, _ROWS, ids)
            if whose == account
        }
