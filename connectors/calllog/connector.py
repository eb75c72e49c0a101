"""The call log as a login on the ECS side, with one collection: the calls of one account."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import count

from crmsync.connectors.calllog import mapping
from crmsync.connectors.calllog.store import CallStore, Row
from crmsync.connectors.contract import (
    Capabilities,
    Collection,
    Columns,
    Create,
    Cursor,
    Delete,
    Done,
    Gone,
    Hidden,
    Kind,
    Outcome,
    Page,
    Record,
    Ref,
    Refused,
    Selection,
    Side,
    Stale,
    Unreadable,
    Update,
    Write,
)
from crmsync.connectors.errors import CursorExpired

CALLS = Collection("calls", "Calls", frozenset({Kind.TASK}))
_PAGE = 200


class CallLogSource:
    """Safe to use from several threads."""

    side = Side.ECS

    def __init__(self, store: CallStore, account: str, now: Callable[[], datetime]) -> None:
        self._store, self._account, self._now = store, account, now
        self._numbers = count(1)
        self._requests = 0

    def identity(self) -> str:
        return f"the calls of {self._account}"

    def collections(self) -> Sequence[Collection]:
        return [CALLS]

    def open(self, collection: Collection) -> "CallLogConnector":
        return CallLogConnector(self._store, self._account, self._now, self._count)

    def clock_offset(self) -> timedelta:
        return timedelta(0)

    def requests(self) -> int:
        return self._requests

    def close(self) -> None:
        self._store.close()

    def _count(self) -> None:
        self._requests = next(self._numbers)


class CallLogConnector:
    def __init__(
        self, store: CallStore, account: str, now: Callable[[], datetime], count: Callable[[], None]
    ) -> None:
        self._store, self._account, self._now, self._count = store, account, now, count

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities({Kind.TASK: mapping.HELD}, tags=True, stamps=True)

    def changes(self, since: Cursor | None, selection: Selection) -> Iterator[Page]:
        self._count()
        epoch, last = self._store.epoch()
        serial = 0 if since is None else _serial(since, epoch, last)
        while True:
            rows = self._store.since(self._account, serial, _PAGE)
            serial = rows[-1].serial if rows else serial
            told = (
                Gone(r.id) if r.gone else self._record(r) for r in rows if not r.gone or since is not None
            )
            yield Page(tuple(told), f"{epoch}:{serial}")
            if len(rows) < _PAGE:
                return

    def listing(self) -> Iterator[Ref]:
        serial = 0
        while True:
            self._count()
            rows = self._store.since(self._account, serial, _PAGE)
            yield from (Ref(r.id, str(r.serial)) for r in rows if not r.gone)
            if len(rows) < _PAGE:
                return
            serial = rows[-1].serial

    def fetch(self, ids: Sequence[str]) -> Iterator[Record | Gone | Hidden | Unreadable]:
        for start in range(0, len(ids), _PAGE):
            some = ids[start : start + _PAGE]
            self._count()
            found = self._store.get(self._account, some)
            for id in some:
                row = found.get(id)
                if row is None:  # the log was lost, or is an older one: that says nothing of the call
                    yield Hidden(id)
                else:
                    yield Gone(id) if row.gone else self._record(row)

    def apply(self, writes: Sequence[Write]) -> Iterator[Outcome]:
        for write in writes:
            self._count()
            match write:
                case Create():
                    yield self._create(write)
                case Update():
                    yield self._update(write)
                case Delete():
                    yield self._delete(write)

    def project(self, kind: Kind, columns: Columns) -> Columns:
        return mapping.kept(columns) if kind is Kind.TASK else {}

    def _create(self, write: Create) -> Outcome:
        if write.kind is not Kind.TASK:
            return Refused(write.key, "kind", "the call log holds calls only")
        content = mapping.content(
            mapping.kept(write.columns),
            tags=frozenset({write.tag} - {""}),
            stamp=write.stamp,
            uid=write.key,
            rest={},
        )
        if write.native:
            content = {**json.loads(write.native), "stamp": content["stamp"]}
        made = self._store.put(self._account, write.key, content, self._now(), expected=0)
        if made is not None:
            return Done(made.id, str(made.serial))
        standing = self._store.get(self._account, [write.key])[write.key]
        return Done(standing.id, str(standing.serial), self._record(standing), found=True)

    def _update(self, write: Update) -> Outcome:
        row = self._store.get(self._account, [write.id]).get(write.id)
        if row is None or row.gone or str(row.serial) != write.expected:
            return Stale(write.id)
        before = self._record(row)
        content = mapping.content(
            {**before.columns, **mapping.kept(write.columns)},
            tags=before.tags | ({write.tag} - {""}),
            stamp=write.stamp or before.stamp,
            uid=before.uid,
            rest=row.content["rest"],
        )
        done = self._store.put(self._account, write.id, content, self._now(), expected=row.serial)
        return Done(done.id, str(done.serial)) if done is not None else Stale(write.id)

    def _delete(self, write: Delete) -> Outcome:
        row = self._store.get(self._account, [write.id]).get(write.id)
        if row is None or row.gone:
            return Done(write.id, "")
        if str(row.serial) != write.expected:
            return Stale(write.id)
        done = self._store.remove(self._account, write.id, self._now(), expected=row.serial)
        return Done(write.id, "") if done is not None else Stale(write.id)

    def _record(self, row: Row) -> Record:
        return mapping.record(row.id, str(row.serial), row.content, row.modified, json.dumps(row.content))


def _serial(cursor: Cursor, epoch: str, last: int) -> int:
    """A log that was restored has not come as far as the cursor."""
    told, _, serial = cursor.partition(":")
    known = serial.isdigit() and serial.isascii() and len(serial) < 19
    if told != epoch or not known or int(serial) > last:
        raise CursorExpired(f"the call log no longer knows the cursor {cursor[:40]!r}")
    return int(serial)
