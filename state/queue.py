"""The sync table: detected changes that are not synced yet."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from functools import cache

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, or_, select, update

from crmsync.connectors.contract import Side
from crmsync.state.model import Change, Counts, Detected, QueueState
from crmsync.state.rows import Only, Rows, Upsert, among, asked, chunked, every, given, of_these, upsert
from crmsync.state.tables import index_rows, queue

_PENDING = (QueueState.DUE, QueueState.WAITING)
_c, _i = queue.c, index_rows.c

_ALL = every(queue, Change)
_DUE = (
    _ALL.where(_c.account == given("account"), _c.id > given("after_id"), _c.state.in_(_PENDING))
    .where(_c.next_at <= given("now"), _c.changed_at <= given("settled"))
    .order_by(_c.id)
    .limit(given("limit"))
)
_BY_ID = _ALL.where(_c.id.in_(among()))
_OF_SIDE = (_c.account == given("account"), _c.side == given("side"))
_GET = _ALL.where(*_OF_SIDE, _c.collection == given("collection"), _c.item.in_(among()))
_OF_COLLECTIONS = _ALL.where(*_OF_SIDE, _c.collection.in_(among()))
_COLLECTIONS = select(_c.collection).where(*_OF_SIDE).distinct()
_BY_ACCOUNT = select(_c.account, _c.item).where(
    _c.side == given("side"), _c.collection == given("collection"), _c.item.in_(among())
)
_COUNTS = select(_c.state, func.count()).where(_c.account == given("account")).group_by(_c.state)
_DONE_UNLESS_CHANGED = delete(queue).where(
    _c.id == bindparam("_id"),
    _c.version == bindparam("_version", type_=_c.version.type),
    _c.gone == bindparam("_gone"),
)


class Queue:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows = Rows(connection, queue, Change)

    def record(
        self, account: str, side: Side, collection: str, detected: Iterable[Detected], now: datetime
    ) -> int:
        """Enters changes and returns how many were news. An item that stands in the table already is due again, from
        its first attempt, if its version is another one now or it is gone; else its row stays as it is."""
        common = {
            "account": account,
            "side": side,
            "collection": collection,
            "state": QueueState.DUE,
            "attempts": 0,
            "code": "",
            "error": "",
            "detected_at": now,
            "changed_at": now,
            "next_at": now,
        }
        rows = [
            {
                **common,
                "item": change.item,
                "version": change.version,
                "gone": change.gone,
                "survivor": change.survivor,
                "kind": change.kind,
            }
            for change in detected
        ]
        if not rows:
            return 0
        query = _recorded(self._connection.dialect.name)
        return self._connection.execute(query, rows, execution_options={"preserve_rowcount": True}).rowcount

    def due(
        self, account: str, now: datetime, settle: timedelta, limit: int, after_id: int = 0
    ) -> list[Change]:
        """Rows to be synced now, oldest first: settled, and past their back-off."""
        return self._rows.all(
            _DUE, account=account, after_id=after_id, now=now, settled=now - settle, limit=limit
        )

    def unsettled(self, account: str, now: datetime, settle: timedelta, limit: int) -> list[Change]:
        """Rows that wait only for a person to finish editing."""
        return self._rows.all(
            self._rows.select()
            .where(_c.account == account, _c.state.in_(_PENDING), _c.changed_at > now - settle)
            .order_by(_c.id)
            .limit(limit)
        )

    def get(self, account: str, side: Side, collection: str, items: Iterable[str]) -> list[Change]:
        """The rows of these items, whatever their state; an item without a row is absent."""
        return self._rows.by_id(_GET, items, account=account, side=side, collection=collection)

    def of_collection(self, account: str, side: Side, collection: str) -> list[str]:
        """The items of the collection that stand in the table, whatever their state."""
        query = select(_c.item).where(_c.account == account, _c.side == side, _c.collection == collection)
        return list(self._connection.execute(query).scalars())

    def outside(self, account: str, side: Side, collections: Collection[str]) -> list[Change]:
        """The rows of all other collections, whatever their state."""
        keys = set(self._connection.scalars(_COLLECTIONS, {"account": account, "side": side}))
        return self._rows.by_id(_OF_COLLECTIONS, keys.difference(collections), account=account, side=side)

    def by_account(self, side: Side, collection: str, items: Iterable[str]) -> dict[str, frozenset[str]]:
        """Account -> those of the items of which it has a row, whatever its state."""
        found: dict[str, set[str]] = defaultdict(set)
        for account, item in asked(self._connection, _BY_ACCOUNT, items, side=side, collection=collection):
            found[account].add(item)
        return {account: frozenset(some) for account, some in found.items()}

    def coded(self, account: str, code: str) -> list[Change]:
        """The account's rows that wait for this reason, oldest first."""
        where = and_(_c.account == account, _c.state == QueueState.WAITING, _c.code == code)
        return self._rows.all(self._rows.select().where(where).order_by(_c.id))

    def waiting_with_uids(self, code: str, beginning: str) -> list[tuple[Change, str]]:
        """The ECS rows, of every account, that wait for this reason in words that begin so; each with its item's UID,
        as far as the match index has it."""
        here = and_(_i.account == _c.account, _i.collection == _c.collection, _i.item == _c.item)
        where = and_(_c.side == Side.ECS, _c.code == code, _c.error.startswith(beginning, autoescape=True))
        found = select(_c.id, _i.uid).join_from(queue, index_rows, here, isouter=True).where(where)
        uids = {id: uid or "" for id, uid in self._connection.execute(found)}
        rows = self._rows.by_id(_BY_ID, uids)
        return [(row, uids[row.id]) for row in rows]

    def named(self, item: str) -> list[Change]:
        """The rows of this id, of either side and whatever account; also written as ``collection/id``."""
        same = or_(
            _c.item == item,
            _c.collection + "/" + _c.item == item,
            _c.collection + _c.item == item,  # a collection whose name ends with a slash
        )
        return self._rows.all(self._rows.select().where(same).order_by(_c.id)) if item else []

    def done(self, ids: Iterable[int]) -> None:
        """Takes rows out, whatever was detected since they were read; see ``done_unless_changed``."""
        self._rows.remove(ids)

    def done_unless_changed(self, changes: Iterable[Change]) -> None:
        """Takes rows out; one whose item changed again since it was read stays, for the next cycle."""
        rows = [{"_id": c.id, "_version": c.version, "_gone": c.gone} for c in changes]
        if rows:
            self._connection.execute(_DONE_UNLESS_CHANGED, rows)

    def defer(self, ids: Iterable[int], next_at: datetime, code: str, error: str) -> None:
        """One more attempt failed; again at ``next_at``."""
        self._set(ids, QueueState.WAITING, code=code, error=error, attempts=_c.attempts + 1, next_at=next_at)

    def wait(self, ids: Iterable[int], next_at: datetime, code: str, error: str) -> None:
        """Nothing failed, but it is not over: again at ``next_at``."""
        self._set(ids, QueueState.WAITING, code=code, error=error, next_at=next_at)

    def bring_forward(self, ids: Iterable[int], next_at: datetime) -> None:
        """What waits need not wait so long."""
        for chunk in chunked(ids):
            self._connection.execute(
                update(queue)
                .where(_c.id.in_(chunk), _c.state == QueueState.WAITING, _c.next_at > next_at)
                .values(next_at=next_at)
            )

    def park(self, ids: Iterable[int], code: str, error: str) -> None:
        """The last attempt failed; a person has to look."""
        self._set(ids, QueueState.PARKED, code=code, error=error, attempts=_c.attempts + 1)

    def hold(self, ids: Iterable[int], code: str, error: str) -> None:
        """Nothing failed, but a person has to decide."""
        self._set(ids, QueueState.HELD, code=code, error=error)

    def abandon(self, ids: Iterable[int]) -> None:
        """Nothing more is tried with this version of the items. The row stays, so that a reconciliation does not take
        it for news; the next change makes it due."""
        self._set(ids, QueueState.ABANDONED)

    def release(self, ids: Iterable[int]) -> None:
        """What was held is due."""
        for chunk in chunked(ids):
            self._connection.execute(
                update(queue)
                .where(_c.id.in_(chunk), _c.state == QueueState.HELD)
                .values(state=QueueState.DUE, next_at=_c.changed_at, code="", error="")
            )

    def retry(self, account: str | None = None, ids: Iterable[int] | None = None) -> int:
        """What is parked or waiting is due, from its first attempt; of one account, of some ids, or everything.
        What was abandoned, only if it is named. How many rows that were."""
        states = [QueueState.PARKED, QueueState.WAITING, *([] if ids is None else [QueueState.ABANDONED])]
        query = (
            update(queue)
            .where(_c.state.in_(states))
            .values(state=QueueState.DUE, attempts=0, next_at=_c.changed_at)
        )
        if account is not None:
            query = query.where(_c.account == account)
        if ids is None:
            return self._connection.execute(query).rowcount
        return sum(self._connection.execute(query.where(_c.id.in_(chunk))).rowcount for chunk in chunked(ids))

    def listing(
        self, account: str | None = None, limit: int = 1000, *, troubled: bool = False
    ) -> list[Change]:
        """Rows that somebody still has to do something about, oldest first; ``troubled``: only those that do not get
        through."""
        over = [QueueState.ABANDONED, *([QueueState.DUE] if troubled else [])]
        query = self._rows.select().where(_c.state.not_in(over)).order_by(_c.id).limit(limit)
        return self._rows.all(query if account is None else query.where(_c.account == account))

    def parked(self, only: Only, limit: int | None = None) -> list[Change]:
        """Of these accounts (None: of all), the oldest first."""
        return self._rows.all(self._rows.select().where(*_parked(only)).order_by(_c.id).limit(limit))

    def count_parked(self, only: Only) -> int:
        query = select(func.count()).select_from(queue).where(*_parked(only))
        return self._connection.execute(query).scalar_one()

    def counts(self, account: str) -> Counts:
        found: dict[QueueState, int] = {}
        for state, count in self._connection.execute(_COUNTS, {"account": account}):
            found[state] = count
        pending = sum(found.get(state, 0) for state in _PENDING)
        return Counts(pending, found.get(QueueState.PARKED, 0), found.get(QueueState.HELD, 0))

    def earliest(self, account: str) -> datetime | None:
        """When the next row may be tried, its settle time aside; None where nothing is pending."""
        query = select(func.min(_c.next_at)).where(_c.account == account, _c.state.in_(_PENDING))
        found: datetime | None = self._connection.scalar(query)
        return found

    def _set(self, ids: Iterable[int], state: QueueState, **values: object) -> None:
        for chunk in chunked(ids):
            self._connection.execute(update(queue).where(_c.id.in_(chunk)).values(state=state, **values))


@cache
def _recorded(dialect: str) -> Upsert:
    query = upsert(dialect, queue)
    new = query.excluded
    renewed = ("version", "gone", "survivor", "state", "attempts", "code", "error", "changed_at", "next_at")
    return query.on_conflict_do_update(
        index_elements=[_c.account, _c.side, _c.collection, _c.item],
        set_={**{name: new[name] for name in renewed}, "kind": func.coalesce(new.kind, _c.kind)},
        where=or_(_c.version != new.version, _c.gone != new.gone),
    )


def _parked(only: Only) -> list[ColumnElement[bool]]:
    return [_c.state == QueueState.PARKED, *of_these(_c.account, only)]
