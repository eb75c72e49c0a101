"""What was written to either side: column by column, and whole items."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, or_, select, update

from crmsync.connectors.contract import Kind
from crmsync.state.model import PERSON, Action, Entry
from crmsync.state.rows import Rows, chunked, count_series
from crmsync.state.tables import history
from crmsync.state.values import decode, encode, type_of

_c = history.c
_LOSSES = (Action.DELETE.value, Action.UNLINK.value)


class History:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows = Rows(connection, history, Entry)

    def add(self, entries: Iterable[Entry]) -> None:
        rows = [
            {**self._rows.values(entry), "old": encode(entry.old), "new": encode(entry.new)}
            for entry in entries
        ]
        if rows:
            self._connection.execute(insert(history), rows)

    def of_item(self, pair_ids: int | Iterable[int]) -> list[Entry]:
        """Everything that happened to a pair, oldest first."""
        ids = [pair_ids] if isinstance(pair_ids, int) else list(pair_ids)
        found = [
            entry
            for chunk in chunked(ids)
            for entry in self._read(self._rows.select().where(_c.pair_id.in_(chunk)))
        ]
        return sorted(found, key=lambda entry: entry.id)

    def find(self, text: str) -> list[Entry]:
        """By ECS or CRM id, oldest first; also of items whose pair is gone."""
        same = or_(
            _c.ecs_id == text,
            _c.ecs_collection + "/" + _c.ecs_id == text,
            _c.ecs_collection + _c.ecs_id == text,  # a collection whose name ends with a slash
            _c.crm_id == text,
        )
        return self._read(self._rows.select().where(same).order_by(_c.id)) if text else []

    def once_linked(self, accounts: Collection[str], collection: str, record: str) -> list[int]:
        """The pairs of these accounts that have been links to the CRM record, as far as history tells."""
        query = select(_c.pair_id).distinct().order_by(_c.pair_id)
        of_it = (_c.account.in_(accounts), _c.crm_id == record, _c.crm_collection == collection)
        return list(self._connection.scalars(query.where(*of_it, _c.pair_id.is_not(None))))

    def records_of(self, pair_ids: Iterable[int]) -> dict[int, frozenset[str]]:
        """By pair, the CRM records that it has been a link to; a pair of which history tells nothing is absent."""
        found: dict[int, set[str]] = defaultdict(set)
        for chunk in chunked(pair_ids):
            query = select(_c.pair_id, _c.crm_id).where(_c.pair_id.in_(chunk)).distinct()
            for pair, record in self._connection.execute(query):
                found[pair].add(record)
        return {pair: frozenset(records) for pair, records in found.items()}

    def of_cycle(self, cycle: int) -> list[Entry]:
        return self._read(self._rows.select().where(_c.cycle == cycle).order_by(_c.id))

    def sign(self, cycle: int, by: str) -> None:
        """Adds to everything of a cycle who wanted it; empty: nobody said."""
        if by:
            signed = _c.reason.concat(f" ({by})")
            self._connection.execute(update(history).where(_c.cycle == cycle).values(reason=signed))

    def prune(self, before: datetime) -> int:
        """Forgets what is older; how many entries that were."""
        return self._connection.execute(delete(history).where(_c.at < before)).rowcount

    def deletes_since(self, account: str, kind: Kind, since: datetime) -> int:
        """How many items (of a series, one) were deleted or unlinked as a whole since then, without a person who said
        so."""
        return count_series(
            self._connection,
            _c.ecs_id,
            _c.account == account,
            _c.kind == kind,
            _c.at >= since,
            _c.action.in_(_LOSSES),
            _c.column == "",
            _c.winner != PERSON,
        )

    def _read(self, query: Select[Any]) -> list[Entry]:
        names = self._rows.names
        entries = []
        for row in self._connection.execute(query):
            values = dict(zip(names, row, strict=True))
            type = type_of(values["kind"], values["column"])
            values["old"], values["new"] = decode(type, values["old"]), decode(type, values["new"])
            entries.append(Entry(**values))
        return entries
