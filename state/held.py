"""What waits for a person: deletes past a threshold and ambiguous matches."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, func, select, update

from crmsync.connectors.contract import Kind, Side
from crmsync.state.model import Held, HeldState, What
from crmsync.state.rows import Rows, chunked, count_series
from crmsync.state.tables import held

_c = held.c


class HeldItems:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows = Rows(connection, held, Held)

    def add(self, new: Sequence[Held]) -> list[int]:
        """Their ids, in their order."""
        return self._rows.add(new)

    def listing(
        self, account: str | None = None, what: What | None = None, state: HeldState | None = HeldState.HELD
    ) -> list[Held]:
        """Oldest first; None for any."""
        query = self._rows.select().order_by(_c.id)
        if account is not None:
            query = query.where(_c.account == account)
        if what is not None:
            query = query.where(_c.what == what)
        if state is not None:
            query = query.where(_c.state == state)
        return self._rows.all(query)

    def set_state(self, ids: Iterable[int], state: HeldState) -> None:
        for chunk in chunked(ids):
            self._connection.execute(update(held).where(_c.id.in_(chunk)).values(state=state))

    def for_pair(self, pair_ids: Iterable[int]) -> dict[int, Held]:
        """By pair, the newest that is not done; a pair without one is absent."""
        query = self._rows.select().where(_c.state != HeldState.DONE)
        found = self._rows.by_id(query.where(_c.pair_id.in_(chunk)) for chunk in chunked(pair_ids))
        return {one.pair_id: one for one in found if one.pair_id is not None}

    def for_item(self, account: str, side: Side, item: str) -> Held | None:
        return self.for_items(account, side, [item]).get(item)

    def for_items(self, account: str, side: Side, items: Iterable[str]) -> dict[str, Held]:
        """By the id it was asked by, ECS or CRM, the newest that is not done. ``side``: where the write would go."""
        asked = frozenset(items)
        query = self._rows.select().where(_c.account == account, _c.side == side, _c.state != HeldState.DONE)
        found = self._rows.by_id(
            query.where(column.in_(chunk)) for column in (_c.item, _c.record) for chunk in chunked(asked)
        )
        return {id: one for one in found for id in (one.item, one.record) if id in asked}

    def unwanted(self, account: str, side: Side, items: Iterable[str]) -> None:
        """These need no partner any more: gone, or no longer selected. ``side``: where the partner would be."""
        for chunk in chunked(items):
            self._connection.execute(
                update(held)
                .where(_c.account == account, _c.side == side, _c.what == What.MATCH)
                .where(_c.state == HeldState.HELD, (_c.record if side is Side.ECS else _c.item).in_(chunk))
                .values(state=HeldState.DONE)
            )

    def overtaken(self, pair_ids: Iterable[int]) -> None:
        """These pairs are not to be deleted or unlinked any more, whatever was held or decided."""
        for chunk in chunked(pair_ids):
            self._connection.execute(
                update(held)
                .where(_c.pair_id.in_(chunk), _c.what == What.DELETE, _c.state != HeldState.DONE)
                .values(state=HeldState.DONE)
            )

    def waiting(self, account: str, kind: Kind) -> int:
        """How many deletes and unlinks of the kind nobody has decided about; of a series, one."""
        return count_series(
            self._connection,
            _c.item,
            _c.account == account,
            _c.kind == kind,
            _c.what == What.DELETE,
            _c.state == HeldState.HELD,
        )

    def remove(self, ids: Iterable[int]) -> None:
        self._rows.remove(ids)

    def count(self, account: str) -> int:
        """How many decisions a person owes."""
        query = select(func.count()).where(_c.account == account, _c.state == HeldState.HELD)
        return self._connection.execute(query).scalar_one()
