"""The conflict log: the value that lost, and the decisions that a person still owes."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, insert, select, update

from crmsync.connectors.contract import Value
from crmsync.state.model import Conflict
from crmsync.state.rows import Only, Rows, among, asked, chunked, every, of_these
from crmsync.state.tables import conflicts
from crmsync.state.values import decode, encode, type_of

_c = conflicts.c
_VALUES = ("base", "ecs", "crm", "chosen")

_UNRESOLVED = (
    every(conflicts, Conflict).where(_c.pair_id.in_(among()), _c.resolved.is_(False)).order_by(_c.id)
)
_OPEN_FOR = _UNRESOLVED.where(_c.winner.is_(None))
_DECIDED_FOR = _UNRESOLVED.where(_c.winner.is_not(None))


class Conflicts:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows = Rows(connection, conflicts, Conflict)

    def add(self, new: Iterable[Conflict]) -> list[int]:
        """Their ids, in their order."""
        rows = [
            {**self._rows.values(one), **{name: encode(getattr(one, name)) for name in _VALUES}}
            for one in new
        ]
        if not rows:
            return []
        query = insert(conflicts).returning(_c.id, sort_by_parameter_order=True)
        return list(self._connection.scalars(query, rows))

    def open_for(self, pair_ids: Iterable[int]) -> dict[tuple[int, str], Conflict]:
        """(pair, column) -> the conflict that waits for a person."""
        return self._by_column(_OPEN_FOR, pair_ids)

    def decided_for(self, pair_ids: Iterable[int]) -> dict[tuple[int, str], Conflict]:
        """(pair, column) -> the conflict that a person has decided, and that is not carried out yet."""
        return self._by_column(_DECIDED_FOR, pair_ids)

    def of_pair(self, pair_id: int) -> list[Conflict]:
        """All of them, oldest first."""
        return self._read(self._rows.select().where(_c.pair_id == pair_id).order_by(_c.id))

    def get(self, id: int) -> Conflict | None:
        return next(iter(self._read(self._rows.select().where(_c.id == id))), None)

    def get_for_item(self, pair_id: int, column: str) -> Conflict | None:
        """The newest of this column; one that is not resolved before one that is."""
        query = self._rows.select().where(_c.pair_id == pair_id, _c.column == column)
        return next(iter(self._read(query.order_by(_c.resolved, _c.id.desc()).limit(1))), None)

    def waiting_for_a_person(self, only: Only, limit: int | None = None) -> list[Conflict]:
        """Of these accounts (None: of all), the oldest first."""
        return self._read(self._rows.select().where(*_undecided(only)).order_by(_c.id).limit(limit))

    def count(self, only: Only) -> int:
        """Of those."""
        query = select(func.count()).select_from(conflicts).where(*_undecided(only))
        return self._connection.execute(query).scalar_one()

    def listing(self, account: str | None = None, only_open: bool = False) -> list[Conflict]:
        """Oldest first."""
        query = self._rows.select().order_by(_c.id)
        if account is not None:
            query = query.where(_c.account == account)
        if only_open:
            query = query.where(_c.resolved.is_(False))
        return self._read(query)

    def choose(self, id: int, winner: str, chosen: Value) -> None:
        """A person has decided, whatever stood there before; the next sync carries it out and settles it."""
        self._connection.execute(
            update(conflicts)
            .where(_c.id == id)
            .values(winner=winner, chosen=encode(chosen), resolved=False, resolved_at=None)
        )

    def reopen(self, id: int) -> None:
        """What a person has decided waits for them again."""
        self._connection.execute(
            update(conflicts).where(_c.id == id, _c.resolved.is_(False)).values(winner=None, chosen=None)
        )

    def decided(self, only: Only, limit: int | None = None) -> list[Conflict]:
        """What a person has decided and is not carried out yet, of these accounts (None: all), oldest first."""
        return self._read(self._rows.select().where(*_decided(only)).order_by(_c.id).limit(limit))

    def count_decided(self, only: Only) -> int:
        query = select(func.count()).select_from(conflicts).where(*_decided(only))
        return self._connection.execute(query).scalar_one()

    def settle(self, pair_id: int, columns: Iterable[str], now: datetime) -> None:
        """Whatever was open in these columns is over: carried out, or overtaken."""
        for chunk in chunked(columns):
            self._connection.execute(
                update(conflicts)
                .where(_c.pair_id == pair_id, _c.column.in_(chunk), _c.resolved.is_(False))
                .values(resolved=True, resolved_at=now)
            )

    def overtaken(self, pair_ids: Iterable[int], now: datetime) -> None:
        """Nobody is to decide about these pairs any more, and what was decided is not carried out."""
        for chunk in chunked(pair_ids):
            self._connection.execute(
                update(conflicts)
                .where(_c.pair_id.in_(chunk), _c.resolved.is_(False))
                .values(resolved=True, resolved_at=now)
            )

    def resolve(self, id: int, winner: str, now: datetime) -> None:
        """``winner`` is ecs, crm, or value (a third one that a person gave)."""
        self._connection.execute(
            update(conflicts).where(_c.id == id).values(winner=winner, resolved=True, resolved_at=now)
        )

    def _by_column(self, query: Select[Any], pair_ids: Iterable[int]) -> dict[tuple[int, str], Conflict]:
        found = self._made(asked(self._connection, query, pair_ids))
        return {(one.pair_id, one.column): one for one in found}

    def _read(self, query: Select[Any]) -> list[Conflict]:
        return self._made(self._connection.execute(query))

    def _made(self, rows: Iterable[Sequence[Any]]) -> list[Conflict]:
        names = self._rows.names
        found = []
        for row in rows:
            values = dict(zip(names, row, strict=True))
            type = type_of(values["kind"], values["column"])
            values.update({name: decode(type, values[name]) for name in _VALUES})
            found.append(Conflict(**values))
        return found


def _undecided(only: Only) -> list[ColumnElement[bool]]:
    return [_c.resolved.is_(False), _c.winner.is_(None), *of_these(_c.account, only)]


def _decided(only: Only) -> list[ColumnElement[bool]]:
    return [_c.resolved.is_(False), _c.winner.is_not(None), *of_these(_c.account, only)]
