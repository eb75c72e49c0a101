"""Who stands in an item, and is not known in the CRM: waited for, until somebody there has that address.

Names are keyed hashes, made by the engine, so that no address stands here in clear.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, delete, select, update

from crmsync.state.rows import among, asked, chunked, given, upsert
from crmsync.state.tables import awaited, pairs

_c = awaited.c
_COME = select(_c.pair_id, _c.name).where(_c.pair_id.in_(among()), _c.come.is_(True))
_OF_CRM = (pairs.c.crm == given("crm"), pairs.c.crm_collection == given("collection"))
# of the two tables the short one is gone through, whatever a database thinks of them: each poll asks this
_ANY = (
    select(_c.pair_id).where(select(pairs.c.id).where(pairs.c.id == _c.pair_id, *_OF_CRM).exists()).limit(1)
)


class Awaited:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, missing: Mapping[int, frozenset[str]]) -> None:
        """By pair, who is missing there as of now, beside those who were before."""
        rows = [
            {"pair_id": p, "name": n, "come": False} for p, names in missing.items() for n in sorted(names)
        ]
        if rows:
            query = upsert(self._connection.dialect.name, awaited)
            index = [_c.pair_id, _c.name]
            self._connection.execute(
                query.on_conflict_do_update(index_elements=index, set_={"come": False}), rows
            )

    def come(self, pair_ids: Iterable[int]) -> Mapping[int, frozenset[str]]:
        """By pair, those who have come since."""
        found: dict[int, set[str]] = defaultdict(set)
        for pair_id, name in asked(self._connection, _COME, pair_ids):
            found[pair_id].add(name)
        return {pair_id: frozenset(names) for pair_id, names in found.items()}

    def seen(self, pair_ids: Iterable[int]) -> None:
        """Those who have come were dealt with."""
        for chunk in chunked(pair_ids):
            self._connection.execute(delete(awaited).where(_c.pair_id.in_(chunk), _c.come.is_(True)))

    def arrive(self, names: Iterable[str], crm: str, collection: str) -> list[int]:
        """Somebody of that name is known in this CRM now: the pairs that wait for them."""
        found: set[int] = set()
        for chunk in chunked(names):
            of_crm = select(pairs.c.id).where(pairs.c.crm == crm, pairs.c.crm_collection == collection)
            query = select(_c.pair_id).where(_c.name.in_(chunk), _c.pair_id.in_(of_crm))
            ids = [pair_id for (pair_id,) in self._connection.execute(query)]
            for some in chunked(ids):
                self._connection.execute(
                    update(awaited).where(_c.pair_id.in_(some), _c.name.in_(chunk)).values(come=True)
                )
            found.update(ids)
        return sorted(found)

    def any(self, crm: str, collection: str) -> bool:
        """Whether anybody is waited for at all."""
        return self._connection.execute(_ANY, {"crm": crm, "collection": collection}).first() is not None
