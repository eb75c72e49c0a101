"""One transaction's view of the local tables: rows by id, properties, aliases, the conflict log. It decides nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from crmsync.state.replica import faults
from crmsync.state.replica.ids import RESERVED
from crmsync.state.replica.local import veil
from crmsync.state.replica.local.shape import Row, Shapes, row_to, storable
from crmsync.state.replica.local.tables import CONVERTED, CREATED, LEAD, UPDATED, Group, Shared, Tables
from crmsync.state.replica.metadata import ObjectType
from crmsync.state.replica.records import AT_ONCE

__all__ = ["TOLD", "Work"]

TOLD = timedelta(days=15)  # how long what was deleted is told of


@dataclass(frozen=True, slots=True)
class Work:
    """Of no use after its transaction."""

    connection: sa.Connection
    tables: Tables

    @property
    def shapes(self) -> Shapes:
        return self.tables.shapes

    @property
    def shared(self) -> Shared:
        return self.tables.shared

    def group(self, name: str) -> Group:
        return self.tables.groups[name]

    def type_of(self, record_id: str) -> ObjectType:
        """Raises Fault for an id of no object that stands here."""
        type_ = self.shapes.schema.of_id(record_id)
        if type_ is None:
            raise faults.not_found()
        return type_

    # ── Rows ─────────────────────────────────────────────────────────────────────────────────────────────────

    def get(self, table: sa.Table, record_id: str) -> Row | None:
        return self.many(table, [record_id]).get(record_id)

    def many(self, table: sa.Table, record_ids: Iterable[str]) -> dict[str, Row]:
        found: dict[str, Row] = {}
        for some in _slices(record_ids):
            query = sa.select(table).where(table.c.Id.in_(some))
            found |= {row["Id"]: dict(row) for row in self.connection.execute(query).mappings()}
        return found

    def put(self, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Whole rows, in place of those that had their ids."""
        if rows:
            self.drop(table, (row["Id"] for row in rows))
            names = table.c.keys()
            self.connection.execute(table.insert(), [{n: row[n] for n in names if n in row} for row in rows])

    def main(self, name: str, rows: Iterable[Row], *, created: bool = False, updated: bool = False) -> None:
        """What a person shall see of these rows. Of a lead that waits to be converted that is the converted one."""
        shown = self._covered(rows) if name == LEAD else [{**row, CONVERTED: False} for row in rows]
        self.put(self.group(name).main, [{**row, CREATED: created, UPDATED: updated} for row in shown])

    def change(self, table: sa.Table, record_id: str, **values: Any) -> None:
        given = {name: storable(v) if isinstance(v, str) else v for name, v in values.items()}
        self.connection.execute(table.update().where(table.c.Id == record_id).values(given))

    def drop(self, table: sa.Table, record_ids: Iterable[str]) -> None:
        for some in _slices(record_ids):
            self.connection.execute(table.delete().where(table.c.Id.in_(some)))

    def after(self, table: sa.Table, last: str, count: int, *conditions: sa.ColumnElement[bool]) -> list[Row]:
        """The next rows by id: a walk through a table that does not hold it in memory."""
        query = sa.select(table).where(table.c.Id > last, *conditions).order_by(table.c.Id).limit(count)
        return [dict(row) for row in self.connection.execute(query).mappings()]

    def where(
        self, table: sa.Table, *conditions: sa.ColumnElement[bool], limit: int | None = None
    ) -> list[Row]:
        query = sa.select(table).where(*conditions).order_by(*table.primary_key.columns).limit(limit)
        return [dict(row) for row in self.connection.execute(query).mappings()]

    def count(self, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(table).where(*conditions)
        return int(self.connection.execute(query).scalar_one())

    # ── Leads that wait to be converted ──────────────────────────────────────────────────────────────────────

    def converting(self, leads: Iterable[str]) -> dict[str, Row]:
        """Their conversions, by lead."""
        table = self.shared.conversions
        found: dict[str, Row] = {}
        for some in _slices(leads):
            query = sa.select(table).where(table.c.lead.in_(some))
            found |= {row["lead"]: dict(row) for row in self.connection.execute(query).mappings()}
        return found

    def bare(self, name: str, rows: Mapping[str, Row]) -> dict[str, Row]:
        """Rows of main, by id, without what a conversion shows of them."""
        waiting = self.converting(rows) if name == LEAD else {}
        covered = {i: veil.bare(self.shapes.of(LEAD), each, rows[i]) for i, each in waiting.items()}
        return {**rows, **covered}

    def _covered(self, rows: Iterable[Row]) -> list[Row]:
        given = {row["Id"]: row for row in rows}
        type_, waiting = self.shapes.of(LEAD), self.converting(given)
        for record_id, each in waiting.items():
            under = veil.under(type_, given[record_id])
            self.change(self.shared.conversions, each["Id"], under=under)
            given[record_id] = veil.covered(each, given[record_id])
        return [{**row, CONVERTED: record_id in waiting} for record_id, row in given.items()]

    # ── What waits to be sent ────────────────────────────────────────────────────────────────────────────────

    def pending(self, name: str, record_ids: Iterable[str]) -> set[str]:
        """Of these, the ones with a local update or delete under way."""
        wanted = list(record_ids)
        return {*self.many(self.group(name).tosync, wanted), *self.many(self.shared.deletelist, wanted)}

    def in_step(self, name: str, record_id: str) -> None:
        """Nothing of this row waits any more."""
        group = self.group(name)
        for table in (group.orig, group.synced, group.tosync):
            self.drop(table, [record_id])
        self.change(group.main, record_id, **{UPDATED: False})
        self._sync_is_through(record_id)

    # ── What of that the sync of mailboxes has written (`from_sync`) ─────────────────────────────────────────

    def by_sync(self, record_id: str) -> frozenset[str]:
        """The fields of this record that the sync has written, and that wait to be sent."""
        entry = self.get(self.shared.from_sync, record_id)
        waits = entry is not None and entry["state"] != "told" and entry["action"] != "delete"
        return frozenset(entry["fields"]) if entry is not None and waits else frozenset()

    def not_by_sync(self, record_id: str, fields: Iterable[str]) -> None:
        """A person has changed them here since, or they wait no more."""
        entry = self.get(self.shared.from_sync, record_id)
        if entry is not None and entry["action"] == "update":
            left = {n: when for n, when in entry["fields"].items() if n not in set(fields)}
            self.change(self.shared.from_sync, record_id, fields=left)

    def _sync_is_through(self, record_id: str) -> None:
        table = self.shared.from_sync
        over = (table.c.Id == record_id, table.c.state == "waiting", table.c.action == "update")
        self.connection.execute(table.delete().where(*over))

    # ── Properties ───────────────────────────────────────────────────────────────────────────────────────────

    def property(self, name: str) -> Any:
        table = self.shared.properties
        return self.connection.execute(sa.select(table.c.value).where(table.c.name == name)).scalar()

    def set_property(self, name: str, value: Any) -> None:
        table = self.shared.properties
        self.connection.execute(table.delete().where(table.c.name == name))
        if value is not None:
            self.connection.execute(table.insert().values(name=name, value=value))

    # ── Aliases ──────────────────────────────────────────────────────────────────────────────────────────────

    def resolve(self, record_id: str) -> str:
        """The id that this one has become; ids that were never given a new one are returned."""
        table, current = self.shared.aliases, record_id
        while new := self.connection.execute(sa.select(table.c.new).where(table.c.old == current)).scalar():
            current = new
        return current

    def reborn(self) -> frozenset[str]:
        """Ids of the upstream that mean other records now: what was deleted there was made again here."""
        old = self.shared.aliases.c.old
        query = sa.select(old).where(sa.func.substr(old, 4, 1) != RESERVED)
        return frozenset(self.connection.execute(query).scalars())

    # ── Tombs ────────────────────────────────────────────────────────────────────────────────────────────────

    def bury(self, name: str, record_ids: Iterable[str], at: datetime) -> None:
        """What left main, for those who ask what was deleted; the list reaches back as far as the CRM's own."""
        tombs = self.shared.tombs
        self.connection.execute(tombs.delete().where(tombs.c.at < at - TOLD))
        self.put(tombs, [{"Id": each, "object": name, "at": at} for each in dict.fromkeys(record_ids)])

    # ── Conflicts ────────────────────────────────────────────────────────────────────────────────────────────

    def log(
        self,
        name: str,
        record_id: str,
        base: Mapping[str, Any],
        local: Mapping[str, Any],
        server: Mapping[str, Any],
        *,
        fields: Sequence[str],
        winner: str,
        at: datetime,
        resolved: str = "",
    ) -> None:
        """A held conflict stands there once, with the values as they are now."""
        table = self.shared.conflicts
        if winner == "held":
            for old in self.open_conflicts(record_id):
                if old["fields"] == list(fields):
                    self.connection.execute(table.delete().where(table.c.seq == old["seq"]))
        self.connection.execute(
            table.insert().values(
                object=name,
                Id=record_id,
                fields=list(fields),
                base=dict(base),
                local=dict(local),
                server=dict(server),
                winner=winner,
                resolved=resolved,
                at=at,
            )
        )

    def give_up(
        self,
        name: str,
        record_id: str,
        fields: Iterable[str],
        orig: Row,
        main: Row,
        why: str,
        at: datetime,
    ) -> None:
        """Values that somebody gave this row here will never be sent: they can be read in the log."""
        names, type_ = sorted({*fields} - self.by_sync(record_id)), self.shapes.of(name)
        if not names:
            return  # the sync's own log has them
        base, local = (row_to(type_, {n: row.get(n) for n in names}) for row in (orig, main))
        self.log(name, record_id, base, local, {}, fields=names, winner="server", resolved=why, at=at)

    def open_conflicts(self, record_id: str | None = None) -> list[Row]:
        one = sa.true() if record_id is None else self.shared.conflicts.c.Id == record_id
        return self.where(self.shared.conflicts, *self._undecided(), one)

    def count_open_conflicts(self) -> int:
        return self.count(self.shared.conflicts, *self._undecided())

    def _undecided(self) -> tuple[sa.ColumnElement[bool], ...]:
        table = self.shared.conflicts
        return table.c.winner == "held", table.c.resolved == ""

    def close_conflicts(self, record_id: str, resolved: str, *, but: Sequence[Sequence[str]] = ()) -> None:
        """`but`: groups of fields that still wait."""
        table, waiting = self.shared.conflicts, [list(fields) for fields in but]
        for conflict in self.open_conflicts(record_id):
            if conflict["fields"] not in waiting:
                closed = table.update().where(table.c.seq == conflict["seq"]).values(resolved=resolved)
                self.connection.execute(closed)


def _slices(values: Iterable[str]) -> Iterator[list[str]]:
    wanted = list(dict.fromkeys(values))
    return (wanted[start : start + AT_ONCE] for start in range(0, len(wanted), AT_ONCE))
