"""The stored snapshots, one for each pair."""

from collections.abc import Iterable, Mapping
from functools import cache

from sqlalchemy import Connection, delete, select

from crmsync.connectors.contract import Kind
from crmsync.state.model import PairState
from crmsync.state.rows import Upsert, among, asked, upsert
from crmsync.state.snapshot import Snapshot, from_xml, to_xml
from crmsync.state.tables import pairs, snapshots

_c = snapshots.c
_XML = select(_c.pair_id, _c.xml).where(_c.pair_id.in_(among()))


class Snapshots:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, pair_id: int) -> Snapshot | None:
        return self.get_many([pair_id]).get(pair_id)

    def get_many(self, ids: Iterable[int]) -> dict[int, Snapshot]:
        """By pair; a pair without one is absent. Raises SnapshotError for one that cannot be read."""
        return {pair_id: from_xml(xml.encode()) for pair_id, xml in asked(self._connection, _XML, ids)}

    def with_digits(self, account: str, digits: str, *, limit: int) -> list[Snapshot]:
        """Linked contacts of the account with these digits, in this order, after the beginning of a number of theirs: a
        few more than have such a number."""
        pattern = '%name="phone!_%' + "%".join(digits) + "%"
        query = (
            select(_c.xml)
            .join(pairs, pairs.c.id == _c.pair_id)
            .where(
                pairs.c.account == account, pairs.c.kind == Kind.CONTACT, pairs.c.state == PairState.LINKED
            )
            .where(_c.xml.like(pattern, escape="!"))
            .limit(limit)
        )
        return [from_xml(xml.encode()) for xml in self._connection.scalars(query)] if digits.isdigit() else []

    def text(self, pair_id: int) -> str | None:
        """The XML as it is stored, for ``explain``."""
        return self._connection.scalar(select(_c.xml).where(_c.pair_id == pair_id))

    def put(self, pair_id: int, snapshot: Snapshot) -> None:
        self.put_many({pair_id: snapshot})

    def put_many(self, new: Mapping[int, Snapshot]) -> None:
        """Stores each in place of the pair's former one. The pairs must be in the mapping."""
        if not new:
            return
        rows = [{"pair_id": id, "xml": to_xml(snapshot).decode()} for id, snapshot in new.items()]
        self._connection.execute(_put(self._connection.dialect.name), rows)

    def remove(self, pair_id: int) -> None:
        self._connection.execute(delete(snapshots).where(_c.pair_id == pair_id))


@cache
def _put(dialect: str) -> Upsert:
    query = upsert(dialect, snapshots)
    return query.on_conflict_do_update(index_elements=[_c.pair_id], set_={"xml": query.excluded.xml})
