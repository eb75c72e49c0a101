"""The match index: by which keys (hashes of addresses, numbers, …) an ECS item may be found."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select

from crmsync.state.model import IndexRow
from crmsync.state.rows import chunked, unique
from crmsync.state.tables import index_keys, index_rows

_r, _k = index_rows.c, index_keys.c
_FIELDS = (_r.id, _r.item, _r.uid, _r.version, _r.name, _r.tagged, _r.collection)


class MatchIndex:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, account: str, collection: str, rows: Iterable[IndexRow]) -> None:
        """Each row takes the place of the item's former one; the last one of an item stands."""
        for chunk in chunked({row.item: row for row in rows}.values()):
            self.drop(account, collection, [row.item for row in chunk])
            ids = self._connection.scalars(
                insert(index_rows).returning(_r.id, sort_by_parameter_order=True),
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
            self._connection.execute(
                delete(index_rows).where(
                    _r.account == account, _r.collection == collection, _r.item.in_(chunk)
                )
            )

    def find(self, account: str, keys: Iterable[str]) -> dict[str, list[IndexRow]]:
        """Key -> the items that have it, in every collection; a key that no item has is absent."""
        hits = [
            (key, id)
            for chunk in chunked(unique(keys))
            for key, id in self._connection.execute(select(_k.key, _k.row_id).where(_k.key.in_(chunk)))
        ]
        rows = self._rows(select(*_FIELDS).where(_r.account == account), sorted({id for _, id in hits}))
        found: dict[str, list[IndexRow]] = defaultdict(list)
        for key, id in sorted(hits):
            if id in rows:
                found[key].append(rows[id])
        return dict(found)

    def get(self, account: str, collection: str, items: Iterable[str]) -> dict[str, IndexRow]:
        """By item; one that is not in the index is absent."""
        where = (_r.account == account, _r.collection == collection)
        ids = [
            id
            for chunk in chunked(items)
            for id in self._connection.scalars(select(_r.id).where(*where, _r.item.in_(chunk)))
        ]
        return {row.item: row for row in self._rows(select(*_FIELDS), ids).values()}

    def by_uids(self, account: str, uids: Iterable[str]) -> list[IndexRow]:
        """The items with these UIDs, in every collection."""
        ids = [
            id
            for chunk in chunked(unique(uids))
            for id in self._connection.scalars(
                select(_r.id).where(_r.account == account, _r.uid.in_(chunk), _r.uid != "")
            )
        ]
        return list(self._rows(select(*_FIELDS), ids).values())

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

    def _rows(self, query: Select[Any], ids: list[int]) -> dict[int, IndexRow]:
        """By row id, each with all of its keys."""
        rows: dict[int, IndexRow] = {}
        for chunk in chunked(ids):
            keys: dict[int, list[str]] = defaultdict(list)
            for id, key in self._connection.execute(select(_k.row_id, _k.key).where(_k.row_id.in_(chunk))):
                keys[id].append(key)
            for id, item, uid, version, name, tagged, collection in self._connection.execute(
                query.where(_r.id.in_(chunk))
            ):
                rows[id] = IndexRow(item, uid, version, frozenset(keys[id]), name, tagged, collection)
        return rows
