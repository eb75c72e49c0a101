"""Writes that go to the CRM at once, and into the replica with the CRM's answer.

What the CRM refuses is refused. When it cannot be asked, or the row is one that waits itself or refers to one, the
write is made here and waits for a pass. A create whose answer was lost is looked for there before it is sent again.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any, TypeVar

from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.replica.direct import Result, Through, Values
from crmsync.daemon.replica.landing import Landing
from crmsync.state.replica import faults, ids
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Ambiguous, Fault, Outcome, Rejected, Saved
from crmsync.state.replica.local import edits
from crmsync.state.replica.local.database import LocalDatabase
from crmsync.state.replica.local.identity import Identity
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.store import Birth, Change, LocalStore
from crmsync.state.replica.local.tables import CONVERTED, CREATED
from crmsync.state.replica.local.temporary import is_temporary
from crmsync.state.replica.metadata import Field, ObjectType, fold
from crmsync.state.replica.records import Row
from crmsync.state.replica.store import Clock
from crmsync.state.replica.values import decode, encode
from crmsync.state.replica.writing import Guard

__all__ = ["ThroughStore"]

MOST = 200  # rows that the upstream takes at once


R = TypeVar("R")
P = TypeVar("P")


class _Local(Exception):
    """This write cannot go out before others have."""


class ThroughStore(LocalStore):
    def __init__(
        self,
        replica: LocalDatabase,
        who: Callable[[], Identity],
        through: Through,
        *,
        clock: Clock,
        glance: float = 0.0,
    ) -> None:
        super().__init__(replica, who, clock=clock, glance=glance)
        self._through = through
        self._landing = Landing(self, through)

    def create(self, caller: Caller, rows: Sequence[Birth], *, all_or_none: bool = False) -> list[Outcome]:
        def send(bodies: Sequence[tuple[str, Values]]) -> list[Outcome]:
            results = self._through.writes.create(bodies, all_or_none=all_or_none)
            self._landing.land(r.id for r in results if not r.errors)
            return [_outcome(each, each.id, created=True) for each in results]

        def here(some: Sequence[Birth]) -> list[Outcome]:
            return LocalStore.create(self, caller, some, all_or_none=all_or_none)

        return self._mixed(rows, lambda row: self._body(*row), send, here, all_or_none, self._landing.doubt)

    def update(
        self,
        caller: Caller,
        rows: Sequence[Change],
        *,
        all_or_none: bool = False,
        guard: Guard | None = None,
    ) -> list[Outcome]:
        def send(changes: Sequence[tuple[str, str, Values]]) -> list[Outcome]:
            results = self._through.writes.update(changes, all_or_none=all_or_none)
            self._landing.land(record_id for _, record_id, _ in changes)
            pairs = zip(results, changes, strict=True)
            return [_outcome(result, change[1], created=False) for result, change in pairs]

        def here(some: Sequence[Change]) -> list[Outcome]:
            return LocalStore.update(self, caller, some, all_or_none=all_or_none, guard=guard)

        self._landing.look(row[1] for row in rows)
        seen: set[str] = set()
        return self._mixed(rows, lambda row: self._change(row, guard, seen), send, here, all_or_none)

    def upsert(
        self,
        caller: Caller,
        object_name: str,
        key_field: str,
        rows: Sequence[tuple[Any, Mapping[str, Any]]],
        *,
        all_or_none: bool = False,
    ) -> list[Outcome]:
        """By what stands here; a record that only the CRM has, and has under that key, is a duplicate to it."""

        def here(some: Sequence[tuple[Any, Mapping[str, Any]]]) -> list[Outcome]:
            return LocalStore.upsert(self, caller, object_name, key_field, some, all_or_none=all_or_none)

        if all_or_none or not self._goes_out(len(rows)):
            return here(rows)
        return [self._upserted(caller, object_name, key_field, row, here) for row in rows]

    def delete(
        self,
        caller: Caller,
        record_ids: Sequence[str],
        *,
        all_or_none: bool = False,
        object_name: str | None = None,
    ) -> list[Outcome]:
        def send(current: Sequence[str]) -> list[Outcome]:
            results = self._through.writes.delete(current, all_or_none=all_or_none)
            pairs = list(zip(current, results, strict=True))
            self._landing.gone([record_id for record_id, result in pairs if not result.errors])
            return [_outcome(result, record_id, created=False) for record_id, result in pairs]

        def here(some: Sequence[str]) -> list[Outcome]:
            return LocalStore.delete(self, caller, some, all_or_none=all_or_none, object_name=object_name)

        self._landing.look(record_ids)
        return self._mixed(record_ids, lambda each: self._leaving(each, object_name), send, here, all_or_none)

    def retrieve(self, caller: Caller, object_name: str, record_ids: Sequence[str]) -> list[Row | None]:
        self._landing.look(record_ids)
        return super().retrieve(caller, object_name, record_ids)

    def sent(self, name: str, values: Mapping[str, Any]) -> Values | None:
        """These fields as the REST API takes them; None: they name a record that only stands here. Raises Fault."""
        try:
            return self._body(name, values)[1]
        except _Local:
            return None

    # ── Whether, and what ────────────────────────────────────────────────────────────────────────────────────

    def _mixed(
        self,
        rows: Sequence[R],
        prepare: Callable[[R], P],
        send: Callable[[Sequence[P]], list[Outcome]],
        here: Callable[[Sequence[R]], list[Outcome]],
        all_or_none: bool,
        lost: Callable[[Sequence[Outcome], datetime], None] = lambda *_: None,
    ) -> list[Outcome]:
        """To the CRM what can go there, the rest here; `lost` gets what was made here after it had gone out in vain."""
        if not self._goes_out(len(rows)):
            return here(rows)
        outcomes: dict[int, Outcome] = {}
        ready: dict[int, P] = {}
        for place, row in enumerate(rows):
            try:
                ready[place] = prepare(row)
            except _Local:
                continue
            except Fault as fault:
                outcomes[place] = Rejected((fault,))
        if all_or_none and len(ready) < len(rows):
            return here(rows)
        begun, since, failed = time.monotonic(), self.now(), False
        if ready:
            try:
                outcomes |= dict(zip(ready, send(list(ready.values())), strict=True))
                self._through.line.answers()
            except ConnectorError as error:
                self._through.line.stays_here(error)
                failed = True
                # the CRM's clock may be known only since its answer to the login
                since = min(since, self.now() - timedelta(seconds=time.monotonic() - begun))
        left = [place for place in range(len(rows)) if place not in outcomes]
        # in one transaction: a pass that saw them without that doubt would send them once more
        with self.main.together() if failed else nullcontext():
            made = dict(zip(left, here([rows[place] for place in left]), strict=True)) if left else {}
            if failed:
                lost([made[place] for place in left if place in ready], since)
        outcomes |= made
        return [outcomes[place] for place in range(len(rows))]

    def _upserted(
        self,
        caller: Caller,
        name: str,
        key_field: str,
        row: tuple[Any, Mapping[str, Any]],
        here: Callable[[Sequence[tuple[Any, Mapping[str, Any]]]], list[Outcome]],
    ) -> Outcome:
        type_ = self.object_type(name)
        field = self._key_field(type_, key_field)
        key, values = row
        if field.name == "Id":
            known = (
                self.update(caller, [(type_.name, key, values)])
                if key
                else self.create(caller, [(type_.name, values)])
            )
            return known[0]
        try:
            value = decode(field, key)
        except Fault:
            value = None
        if value is None:
            return here([row])[0]  # where it is said what is wrong
        body = {k: v for k, v in values.items() if fold(k) != fold(field.name)} | {field.name: key}
        with self.database.read() as connection:
            try:
                found = self.by_key(self.work(connection), type_, field, value)
            except Ambiguous as several:
                return Rejected((several,))
        if found is None:
            return self.create(caller, [(type_.name, body)])[0]
        return self.update(caller, [(type_.name, found, body)])[0]

    def _goes_out(self, count: int) -> bool:
        """A transaction of several calls is made here: the CRM could not take back a part of it."""
        return self._through.line.writing and not self.main.busy and 0 < count <= MOST

    def _body(self, name: str, values: Mapping[str, Any]) -> tuple[str, Values]:
        type_ = self.object_type(name)
        with self.database.read() as connection:
            work = self.work(connection)
            flat = self.flat(work, type_, values)
            return type_.name, dict(self._sent(work, type_, flat))

    def _sent(self, work: Work, type_: ObjectType, values: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
        """As the REST API takes it. Raises _Local where a record is named that only stands here."""
        for name, raw in values.items():
            field = type_.find(name)
            if fold(name) in ("attributes", "id"):
                continue
            if field is None:
                yield name, raw  # the upstream says what is wrong with it
                continue
            yield field.name, self._value(work, field, raw)

    def _value(self, work: Work, field: Field, raw: Any) -> Any:
        value = decode(field, raw)
        if field.to and value is not None:
            value = work.resolve(value)
            if is_temporary(value):
                raise _Local
        return encode(field, value)

    def _change(self, change: Change, guard: Guard | None, seen: set[str]) -> tuple[str, str, Values]:
        with self.database.read() as connection:
            work = self.work(connection)
            type_, row = self.editable(work, change)
            if row["Id"] in seen or row[CREATED] or row[CONVERTED] or work.pending(type_.name, [row["Id"]]):
                raise _Local
            seen.add(row["Id"])
            if guard is not None:
                guard(row)
            return type_.name, row["Id"], dict(self._sent(work, type_, self.flat(work, type_, change[2])))

    def _leaving(self, record_id: str, name: str | None) -> str:
        """Raises _Local where something that waits would go along."""
        type_ = self.schema.of_id(record_id)
        if type_ is None or not ids.is_valid(record_id) or (name and fold(name) != fold(type_.name)):
            raise _Local  # what is wrong with it is said there
        with self.database.read() as connection:
            work = self.work(connection)
            type_, row = edits.find(work, record_id)
            if not type_.deletable:
                raise faults.no_access()
            for each, of in edits.closure(work, type_, row["Id"]):
                if is_temporary(each) or work.pending(of, [each]):
                    raise _Local
            return str(row["Id"])


def _outcome(result: Result, record_id: str, *, created: bool) -> Outcome:
    if result.errors:
        told = tuple(Fault(e.code, e.message, tuple(e.fields)) for e in result.errors)
        return Rejected(told, record_id or None)
    return Saved(result.id or record_id, created=created)
