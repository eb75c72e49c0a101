"""Write-ahead intents: what may have reached a server although nobody has heard its answer yet."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from crmsync.connectors.contract import Kind, Side
from crmsync.state.model import Intent
from crmsync.state.rows import Rows, chunked
from crmsync.state.tables import intents

_c = intents.c


class Intents:
    def __init__(self, connection: Connection) -> None:
        self._rows = Rows(connection, intents, Intent)

    def write(self, new: Sequence[Intent]) -> list[int]:
        """Their ids, in their order. Nothing may be sent before this transaction is committed."""
        return self._rows.add(new)

    def open(self, account: str) -> list[Intent]:
        """Oldest first. At the start of a cycle these are what the last process left behind."""
        return self._rows.all(self._rows.select().where(_c.account == account).order_by(_c.id))

    def open_for(self, account: str, side: Side, collection: str, items: Iterable[str]) -> dict[str, Intent]:
        """By ``item``, the newest; an item without one is absent. ``side`` and ``collection`` as in the intent."""
        where = (_c.account == account, _c.side == side, _c.collection == collection)
        queries = (self._rows.select().where(*where, _c.item.in_(chunk)) for chunk in chunked(items))
        return {intent.item: intent for intent in self._rows.by_id(queries)}

    def creating(self, side: Side, items: Iterable[str]) -> list[Intent]:
        """Creates on ``side``, of every account, that stem from one of these items."""
        where = (_c.side == side, _c.action == "create")
        return self._rows.by_id(self._rows.select().where(*where, _c.item.in_(c)) for c in chunked(items))

    def creating_kind(self, side: Side, kind: Kind) -> list[Intent]:
        """Creates on ``side`` of this kind, of every account: as many as are under way."""
        where = (_c.side == side, _c.action == "create", _c.kind == kind)
        return self._rows.all(self._rows.select().where(*where).order_by(_c.id))

    def close(self, ids: Iterable[int]) -> None:
        """What became of these writes is known and stored."""
        self._rows.remove(ids)
