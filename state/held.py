"""What waits for a person: deletes past a threshold and ambiguous matches."""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection, func, or_, select, update

from crmsync.connectors.contract import Kind, Side
from crmsync.state.model import Held, HeldState, What
from crmsync.state.rows import Only, Rows, among, chunked, count_series, every, given, of_these
from crmsync.state.tables import held

_c = held.c
Item: TypeAlias = tuple[str, str]  # collection and id of an ECS item

_NOT_DONE = every(held, Held).where(_c.state != HeldState.DONE)
_MATCHES = _NOT_DONE.where(_c.account == given("account"), _c.side == given("side"), _c.what == What.MATCH)
_FOR_PAIR = _NOT_DONE.where(_c.pair_id.in_(among()))
_FOR_ITEMS = _MATCHES.where(_c.item.in_(among()))  # ``side``: where the partner would be
_FOR_RECORDS = _MATCHES.where(_c.record.in_(among()))
_OVERTAKEN = (
    update(held)
    .where(_c.pair_id.in_(among()), _c.what == What.DELETE, _c.state != HeldState.DONE)
    .values(state=HeldState.DONE)
)


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

    def waiting_for_a_person(
        self, what: What, only: Only, limit: int | None = None, about: Sequence[str] = ()
    ) -> list[Held]:
        """Of these accounts (None: of all), the oldest first; ``about``: only of items or records of these ids."""
        query = self._rows.select().where(*_open(what, only)).order_by(_c.id).limit(limit)
        return self._rows.all(query.where(or_(_c.item.in_(about), _c.record.in_(about))) if about else query)

    def decided(self, only: Only, limit: int | None = None) -> list[Held]:
        """What is decided and not carried out, and what is left alone; as ``waiting_for_a_person``."""
        query = self._rows.select().where(*_decided(only)).order_by(_c.id).limit(limit)
        return self._rows.all(query)

    def count_decided(self, only: Only) -> int:
        query = select(func.count()).select_from(held).where(*_decided(only))
        return self._connection.execute(query).scalar_one()

    def mark(self, what: What, only: Only) -> tuple[int, str]:
        """How many wait, and a text that is another one when others do: a row has its id to itself."""
        query = select(func.count(), func.max(_c.id), func.sum(_c.id)).where(*_open(what, only))
        count, last, total = self._connection.execute(query).one()
        return count, f"{count}-{last or 0}-{int(total or 0)}"

    def set_state(self, ids: Iterable[int], state: HeldState) -> None:
        for chunk in chunked(ids):
            self._connection.execute(update(held).where(_c.id.in_(chunk)).values(state=state))

    def for_pair(self, pair_ids: Iterable[int]) -> dict[int, Held]:
        """By pair, the newest that is not done; a pair without one is absent."""
        found = self._rows.by_id(_FOR_PAIR, pair_ids)
        return {one.pair_id: one for one in found if one.pair_id is not None}

    def for_items(self, account: str, items: Iterable[Item]) -> dict[Item, Held]:
        """By ECS item, the newest question about its partner that is not done."""
        asked = frozenset(items)
        found = self._rows.by_id(_FOR_ITEMS, {id for _, id in asked}, account=account, side=Side.CRM)
        return {item: one for one in found for item in asked if _about(one, item)}

    def for_records(self, account: str, ids: Iterable[str]) -> dict[str, Held]:
        """By CRM id, the newest question about its partner that is not done."""
        found = self._rows.by_id(_FOR_RECORDS, ids, account=account, side=Side.ECS)
        return {one.record: one for one in found}

    def unwanted_items(self, account: str, items: Iterable[Item]) -> None:
        """These need no partner any more: gone, or no longer selected."""
        known = self.for_items(account, items).values()
        self.set_state([one.id for one in known if one.state is HeldState.HELD], HeldState.DONE)

    def unwanted_records(self, account: str, ids: Iterable[str]) -> None:
        """The same of CRM records."""
        known = self.for_records(account, ids).values()
        self.set_state([one.id for one in known if one.state is HeldState.HELD], HeldState.DONE)

    def overtaken(self, pair_ids: Iterable[int]) -> None:
        """These pairs are not to be deleted or unlinked any more, whatever was held or decided."""
        for chunk in chunked(pair_ids):
            self._connection.execute(_OVERTAKEN, {"among": chunk})

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


def _open(what: What, only: Only) -> list[ColumnElement[bool]]:
    return [_c.what == what, _c.state == HeldState.HELD, *of_these(_c.account, only)]


def _decided(only: Only) -> list[ColumnElement[bool]]:
    return [_c.state.in_([HeldState.APPROVED, HeldState.REJECTED]), *of_these(_c.account, only)]


def _about(one: Held, item: Item) -> bool:
    collection, id = item
    return one.item == id and one.collection in ("", collection)
