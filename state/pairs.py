"""The ID mapping: which ECS item and which CRM record are one thing."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, bindparam, func, or_, select, update

from crmsync.connectors.contract import Kind, occurrence_of
from crmsync.state.model import Pair, PairState
from crmsync.state.rows import Rows, among, count_series, every, given
from crmsync.state.tables import pairs

_c = pairs.c
_SHORT = 15  # a CRM record id comes with or without its three check characters

_ALL = every(pairs, Pair)
_OF_ACCOUNT = _ALL.where(_c.account == given("account"))
_OF_CRM = _ALL.where(_c.crm == given("crm"))
_BY_ID = _ALL.where(_c.id.in_(among()))
_BY_ECS = _OF_ACCOUNT.where(_c.ecs_collection == given("collection"), _c.ecs_id.in_(among()))
_BY_CRM = _OF_ACCOUNT.where(
    _c.crm == given("crm"), _c.crm_collection == given("collection"), _c.crm_id.in_(among())
)
_BY_UID = _OF_ACCOUNT.where(_c.ecs_uid.in_(among()))
_RECORDS = _OF_CRM.where(_c.crm_collection == given("collection"), _c.crm_id.in_(among()))
_ITEMS = _OF_CRM.where(_c.ecs_collection == given("collection"), _c.ecs_id.in_(among()))
_UIDS = _ALL.where(_c.ecs_uid.in_(among()))  # of any CRM: with it, SQLite walks through all pairs of that one


class Pairs:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows = Rows(connection, pairs, Pair)

    def by_ecs(self, account: str, collection: str, ids: Iterable[str]) -> dict[str, Pair]:
        """By ECS id, linked or not; an id without a pair is absent."""
        found = self._rows.among(_BY_ECS, ids, account=account, collection=collection)
        return {pair.ecs_id: pair for pair in found}

    def by_crm(self, account: str, crm: str, collection: str, ids: Iterable[str]) -> dict[str, Pair]:
        """By CRM id, linked or not; an id without a pair is absent."""
        found = self._rows.among(_BY_CRM, ids, account=account, crm=crm, collection=collection)
        return {pair.crm_id: pair for pair in found}

    def accounts_of(self, crm: str, collection: str, ids: Iterable[str]) -> dict[str, list[Pair]]:
        """By CRM id, the pairs of every account; an id without one is absent."""
        found: dict[str, list[Pair]] = defaultdict(list)
        for pair in self._rows.among(_RECORDS, ids, crm=crm, collection=collection):
            found[pair.crm_id].append(pair)
        return dict(found)

    def of_items(self, crm: str, collection: str, ids: Iterable[str]) -> dict[str, list[Pair]]:
        """By ECS id, the pairs of every account of the CRM login, linked or not; an id without one is absent."""
        found: dict[str, list[Pair]] = defaultdict(list)
        for pair in self._rows.among(_ITEMS, ids, crm=crm, collection=collection):
            found[pair.ecs_id].append(pair)
        return dict(found)

    def by_uid(self, account: str, uid: str) -> list[Pair]:
        return self.by_uids(account, [uid]).get(uid, [])

    def by_uids(self, account: str, uids: Iterable[str]) -> dict[str, list[Pair]]:
        """By the ECS item's own UID, in whatever collection; a UID without a pair is absent."""
        found: dict[str, list[Pair]] = defaultdict(list)
        for pair in self._rows.among(_BY_UID, uids, account=account):
            found[pair.ecs_uid].append(pair)
        return dict(found)

    def of_uids(self, crm: str, uids: Iterable[str]) -> dict[str, list[Pair]]:
        """As ``by_uids``, of every account of the CRM login."""
        found: dict[str, list[Pair]] = defaultdict(list)
        for pair in self._rows.among(_UIDS, uids):
            if pair.crm == crm:
                found[pair.ecs_uid].append(pair)
        return dict(found)

    def get(self, id: int) -> Pair | None:
        return self._rows.first(self._rows.select().where(_c.id == id))

    def get_many(self, ids: Iterable[int]) -> dict[int, Pair]:
        return {pair.id: pair for pair in self._rows.among(_BY_ID, ids)}

    def find(self, text: str) -> list[Pair]:
        """What a person may mean: an ECS id, alone or after its collection; a UID; a CRM id in either length."""
        same = [
            _c.ecs_id == text,
            _c.ecs_uid == text,
            _c.crm_id == text,
            _c.ecs_collection + "/" + _c.ecs_id == text,
            _c.ecs_collection + _c.ecs_id == text,  # a collection whose name ends with a slash
        ]
        if len(text) == _SHORT:
            same.append(func.substr(_c.crm_id, 1, _SHORT) == text)
        elif len(text) == _SHORT + 3:
            same.append(_c.crm_id == text[:_SHORT])
        return self._rows.all(self._rows.select().where(or_(*same)).order_by(_c.id)) if text else []

    def add(self, pair: Pair) -> Pair:
        """The pair with its id. Raises Contradiction where one of its ends is in a pair of this account already."""
        return self.add_many([pair])[0]

    def add_many(self, new: Sequence[Pair]) -> list[Pair]:
        return [replace(pair, id=id) for pair, id in zip(new, self._rows.add(new), strict=True)]

    def save(self, pair: Pair) -> None:
        self.save_many([pair])

    def save_many(self, changed: Iterable[Pair]) -> None:
        """Writes pairs as they stand. Raises Contradiction as ``add`` does, LookupError for one that is not stored."""
        rows = [{"_id": pair.id, **self._rows.values(pair)} for pair in changed]
        if not rows:
            return
        query = update(pairs).where(_c.id == bindparam("_id"))
        saved = self._connection.execute(query, rows, execution_options={"preserve_rowcount": True}).rowcount
        if saved != len(rows):
            raise LookupError(f"{len(rows) - saved} of {len(rows)} pairs are not in the mapping (any more)")

    def remove(self, id: int) -> None:
        """Takes the pair out, and its snapshot and column clocks with it; history and conflicts stay. What waits for a
        person is over then: see ``Tx.close``."""
        self._rows.remove([id])

    def count(self, account: str, kind: Kind, state: PairState = PairState.LINKED) -> int:
        """Items; a series is one."""
        where = (_c.account == account, _c.kind == kind, _c.state == state)
        return count_series(self._connection, _c.ecs_id, *where)

    def occurrence(self, accounts: Iterable[str], collection: str) -> str:
        """An occurrence of a series in this ECS collection that one of them has linked by itself; empty: there is
        none. Each account is one step in the index."""
        query = select(_c.ecs_id).where(
            _c.account.in_(list(accounts)),
            _c.ecs_collection == collection,
            _c.state == PairState.LINKED,
            _c.ecs_id.like("%#%"),
        )
        return next((id for id in self._connection.scalars(query) if occurrence_of(id)), "")

    def iterate(
        self,
        account: str,
        *,
        ecs_collection: str | None = None,
        crm_collection: str | None = None,
        after_id: int = 0,
        limit: int = 500,
    ) -> list[Pair]:
        """A stretch of the account's pairs in the order of their ids; go on with the last one's id."""
        query = (
            self._rows.select().where(_c.account == account, _c.id > after_id).order_by(_c.id).limit(limit)
        )
        if ecs_collection is not None:
            query = query.where(_c.ecs_collection == ecs_collection)
        if crm_collection is not None:
            query = query.where(_c.crm_collection == crm_collection)
        return self._rows.all(query)

    def listing(self, account: str) -> list[Pair]:
        """All of them at once: for reports, not for the cycle."""
        return self._rows.all(self._rows.select().where(_c.account == account).order_by(_c.id))
