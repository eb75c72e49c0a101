"""Write-ahead intents: what may have reached a server although nobody has heard its answer yet."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection

from crmsync.connectors.contract import Kind, Side
from crmsync.state.model import Intent
from crmsync.state.rows import Rows, among, every, given
from crmsync.state.tables import intents

_c = intents.c

_ALL = every(intents, Intent)
_CREATES = _ALL.where(_c.side == given("side"), _c.action == "create")
_OPEN = _ALL.where(_c.account == given("account")).order_by(_c.id)
_OPEN_FOR = _ALL.where(
    _c.account == given("account"),
    _c.side == given("side"),
    _c.collection == given("collection"),
    _c.item.in_(among()),
)
_CREATING = _CREATES.where(_c.item.in_(among()))
_CREATING_KIND = _CREATES.where(_c.kind == given("kind")).order_by(_c.id)


class Intents:
    def __init__(self, connection: Connection) -> None:
        self._rows = Rows(connection, intents, Intent)

    def write(self, new: Sequence[Intent]) -> list[int]:
        """Their ids, in their order. Nothing may be sent before this transaction is committed."""
        return self._rows.add(new)

    def open(self, account: str) -> list[Intent]:
        """Oldest first. At the start of a cycle these are what the last process left behind."""
        return self._rows.all(_OPEN, account=account)

    def open_for(self, account: str, side: Side, collection: str, items: Iterable[str]) -> dict[str, Intent]:
        """By ``item``, the newest; an item without one is absent. ``side`` and ``collection`` as in the intent."""
        found = self._rows.by_id(_OPEN_FOR, items, account=account, side=side, collection=collection)
        return {intent.item: intent for intent in found}

    def creating(self, side: Side, items: Iterable[str]) -> list[Intent]:
        """Creates on ``side``, of every account, that stem from one of these items."""
        return self._rows.by_id(_CREATING, items, side=side)

    def creating_kind(self, side: Side, kind: Kind) -> list[Intent]:
        """Creates on ``side`` of this kind, of every account: as many as are under way."""
        return self._rows.all(_CREATING_KIND, side=side, kind=kind)

    def close(self, ids: Iterable[int]) -> None:
        """What became of these writes is known and stored."""
        self._rows.remove(ids)
