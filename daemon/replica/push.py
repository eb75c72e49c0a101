"""From here to the upstream: local deletes and updates. Before either the rows are read once more, so that nothing is
written over what nobody here has seen.

A crash after the request and before its result is stored changes nothing: the next pass reads the rows first, and finds
that both sides agree.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crmsync.connectors.contract import Deferred, Done, Outcome, Refused, Stale
from crmsync.daemon.replica.context import Context, naive
from crmsync.daemon.replica.window import Window
from crmsync.state.replica.local import arrivals, deciding
from crmsync.state.replica.local.difference import Policy, Winner
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import Row, row_from, row_to, stored
from crmsync.state.replica.local.temporary import is_temporary
from crmsync.state.replica.metadata import ObjectType

__all__ = ["Seen", "local_deletes", "look", "update", "updates"]

BATCH = 200


@dataclass(frozen=True, slots=True)
class Seen:
    """Rows as the upstream has them now: living ones by id, and the ids of deleted ones. Others are not visible."""

    rows: Mapping[str, Row]
    deleted: frozenset[str]


def look(context: Context, name: str, ids: Sequence[str]) -> Seen:
    type_ = context.database.tables.shapes.of(name)
    rows = [row_from(type_, raw) for raw in context.upstream.read(name, context.fields(name), ids)]
    return Seen(
        {row["Id"]: row for row in rows if not row.get("IsDeleted")},
        frozenset(row["Id"] for row in rows if row.get("IsDeleted")),
    )


# ── Deletes ──────────────────────────────────────────────────────────────────────────────────────────────────


def local_deletes(context: Context, window: Window, only: Collection[str] | None = None) -> None:
    """A stretch at a time in their order, of it those of one object together. `only` these; None: all."""
    last = 0
    while stretch := _next_deletes(context, last, only):
        last = stretch[-1]["seq"]
        by_object: dict[str, list[Row]] = {}
        for entry in stretch:
            if not is_temporary(entry["Id"]):
                by_object.setdefault(entry["object"], []).append(entry)
        for name, batch in by_object.items():
            _delete(context, name, batch, window)


def _next_deletes(context: Context, last: int, only: Collection[str] | None) -> list[Row]:
    with context.database.read() as work:
        table = work.shared.deletelist
        due_now = (table.c.state == "ready", table.c.Id == table.c.root, *_among(table, only))
        return work.where(table, table.c.seq > last, *due_now, limit=BATCH)


def _delete(context: Context, name: str, batch: Sequence[Row], window: Window) -> None:
    seen = look(context, name, [entry["Id"] for entry in batch])
    with context.database.write() as work:
        ids = _decided(work, name, batch, seen, context.policy, window)
    if not ids:
        return
    outcomes = context.upstream.delete(name, ids)
    with context.database.write() as work:
        for record_id, outcome in zip(ids, outcomes, strict=True):
            _deleted(context, work, name, record_id, outcome, window)


def _decided(
    work: Work, name: str, batch: Sequence[Row], seen: Seen, policy: Policy, window: Window
) -> list[str]:
    """Which of them to delete; the others are gone there already, or have changed there since."""
    ids = []
    standing = work.many(work.shared.deletelist, [entry["Id"] for entry in batch])
    for entry in batch:
        record_id = entry["Id"]
        if standing.get(record_id, {}).get("state") != "ready":
            continue  # given up meanwhile
        if record_id not in seen.rows:
            arrivals.gone(work, name, [record_id], policy, naive(window.end))
            continue
        arrivals.stage(work, name, [seen.rows[record_id]], first=False)
        changes = list(_changed_there(work, entry))
        if not changes or _goes_on(work, entry, changes, policy, window):
            ids.append(record_id)
    return ids


@dataclass(frozen=True, slots=True)
class _Change:
    """A row that the delete would take along is not what the person saw who deleted it. `before` None: it is new."""

    type: ObjectType
    before: Row | None
    now: Row

    def modified(self) -> datetime:
        moment = self.now.get("LastModifiedDate") or self.now["SystemModstamp"]
        assert isinstance(moment, datetime)
        return moment


def _changed_there(work: Work, entry: Row) -> Iterator[_Change]:
    deletelist = work.shared.deletelist
    for each in work.where(deletelist, deletelist.c.root == entry["root"]):
        type_, group = work.shapes.of(each["object"]), work.group(each["object"])
        now, orig = work.get(group.synced, each["Id"]), work.get(group.orig, each["Id"])
        if now is not None and orig is not None and _edited(type_, orig, now):
            yield _Change(type_, orig, now)
        yield from _new_children(work, type_, each["Id"])


def _new_children(work: Work, type_: ObjectType, record_id: str) -> Iterator[_Change]:
    """Rows that came after the delete: nobody here has decided on them."""
    for edge in work.shapes.children(type_.name):
        if edge.rule != "cascade":
            continue
        child, group = work.shapes.of(edge.child), work.group(edge.child)
        for table in (group.synced, group.main):
            rows = work.where(table, table.c[edge.field] == record_id)
            known = work.many(work.shared.deletelist, [row["Id"] for row in rows])
            yield from (_Change(child, None, row) for row in rows if row["Id"] not in known)


def _edited(type_: ObjectType, orig: Row, now: Row) -> bool:
    return any(orig[f.name] != now[f.name] for f in stored(type_) if f.updateable)


def _goes_on(work: Work, entry: Row, changes: Sequence[_Change], policy: Policy, window: Window) -> bool:
    """Whether the delete goes on although something has changed there. Then what is lost stands in the log; else that
    the delete was not carried out."""
    if (deleted := work.get(work.shared.from_sync, entry["Id"])) is not None and deleted[
        "state"
    ] == "waiting":
        work.drop(work.shared.from_sync, [entry["Id"]])
        deciding.withdraw(work, entry["Id"], naive(window.end))
        return False  # the sync decides
    modified = max(change.modified() for change in changes)
    winner = winner_of(policy, entry["at"], modified, later=Winner.SERVER)
    if winner is Winner.LOCAL:
        for change in changes:
            _log(work, change.type, change.now["Id"], change, winner, window)
        return True
    own = next((change for change in changes if change.now["Id"] == entry["Id"]), None)
    _log(work, work.shapes.of(entry["object"]), entry["Id"], own, winner, window)
    if winner is Winner.SERVER:
        deciding.abandon(work, entry["Id"], naive(window.end))
    else:
        reason = "was changed upstream since it was deleted here"
        work.change(work.shared.deletelist, entry["Id"], state="held", code="changed", reason=reason)
    return False


def _log(
    work: Work, type_: ObjectType, record_id: str, change: _Change | None, winner: Winner, window: Window
) -> None:
    now, before = (change.now, change.before or {}) if change else ({}, {})
    differing = [f.name for f in stored(type_) if f.name in now and before.get(f.name) != now[f.name]]
    base = row_to(type_, {n: before[n] for n in differing if n in before})
    server = row_to(type_, {n: now[n] for n in differing})
    at = naive(window.end)
    work.log(type_.name, record_id, base, {}, server, fields=(), winner=winner, at=at)


def winner_of(policy: Policy, done: datetime, modified: datetime, *, later: Winner) -> Winner:
    """What was ``done`` here with a record that was changed there. ``later``: if that came after it."""
    match policy:
        case Policy.LOCAL:
            return Winner.LOCAL
        case Policy.SERVER:
            return Winner.SERVER
        case Policy.HOLD:
            return Winner.HELD
    return Winner.LOCAL if done > modified else later


def _deleted(
    context: Context, work: Work, name: str, record_id: str, outcome: Outcome, window: Window
) -> None:
    match outcome:
        case Done() | Stale():
            arrivals.gone(work, name, [record_id], context.policy, naive(window.end))
            context.count(deleted=1)
        case Refused(code=code, reason=reason):
            work.change(work.shared.deletelist, record_id, state="rejected", code=code, reason=reason)
            context.count(rejected=1)
        case Deferred():
            context.count(deferred=1)


# ── Updates ──────────────────────────────────────────────────────────────────────────────────────────────────


def updates(context: Context, window: Window, only: Collection[str] | None = None) -> None:
    """`only` of these records; None: of all."""
    standing = context.database.tables.groups  # until the first pass with more objects, those of the last one
    for name in (each for each in context.objects if each in standing):
        last = ""
        while ids := _next_updates(context, name, last, only):
            last = ids[-1]
            update(context, name, ids, window)


def _next_updates(context: Context, name: str, last: str, only: Collection[str] | None) -> list[str]:
    with context.database.read() as work:
        table = work.group(name).tosync
        due_now = (table.c.state == "ready", *_among(table, only))
        return [row["Id"] for row in work.after(table, last, BATCH, *due_now)]


def _among(table: sa.Table, only: Collection[str] | None) -> tuple[sa.ColumnElement[bool], ...]:
    return () if only is None else (table.c.Id.in_(only),)


def update(context: Context, name: str, ids: Sequence[str], window: Window) -> None:
    seen = look(context, name, ids)
    with context.database.write() as work:
        sent = {record_id: _due(work, name, record_id, seen, context.policy, window) for record_id in ids}
    sent = {record_id: row for record_id, row in sent.items() if row}
    if not sent:
        return
    type_ = context.database.tables.shapes.of(name)
    outcomes = context.upstream.update(name, {i: row_to(type_, row) for i, row in sent.items()})
    told = dict(zip(sent, outcomes, strict=True))
    done = [record_id for record_id, outcome in told.items() if isinstance(outcome, Done)]
    kept = look(context, name, done) if done else Seen({}, frozenset())
    with context.database.write() as work:
        for record_id, outcome in told.items():
            _updated(context, work, name, record_id, outcome)
        for record_id in done:
            _landed(work, name, record_id, sent[record_id], kept, context.policy, window)


def _due(work: Work, name: str, record_id: str, seen: Seen, policy: Policy, window: Window) -> Row:
    """What has to be sent of one row. What refers to a record that is not there yet waits for it."""
    at = naive(window.end)
    if work.get(work.group(name).tosync, record_id) is None:
        return {}  # undone meanwhile
    if record_id in seen.deleted:
        arrivals.gone(work, name, [record_id], policy, at)
        return {}
    if record_id not in seen.rows:
        reason = "is not visible to the CRM login any more"
        work.change(work.group(name).tosync, record_id, state="rejected", code="not_found", reason=reason)
        return {}
    send = arrivals.settle(work, name, seen.rows[record_id], policy, at)
    return {field: value for field, value in send.items() if not is_temporary(value)}


def _updated(context: Context, work: Work, name: str, record_id: str, outcome: Outcome) -> None:
    match outcome:
        case Done():
            context.count(updated=1)
        case Refused(code=code, reason=reason):
            tosync = work.group(name).tosync
            work.change(tosync, record_id, state="rejected", code=code, reason=reason)
            context.count(rejected=1)
        case Deferred() | Stale():  # gone meanwhile: the next pass sees it
            context.count(deferred=1)


def _landed(
    work: Work, name: str, record_id: str, sent: Mapping[str, Any], kept: Seen, policy: Policy, window: Window
) -> None:
    """What was sent is what the upstream has; what was changed here meanwhile differs from it, and waits."""
    group = work.group(name)
    if work.get(group.orig, record_id) is None:
        return  # deleted, or given up, meanwhile
    work.change(group.orig, record_id, **sent)
    if record_id in kept.rows:
        arrivals.settle(work, name, kept.rows[record_id], policy, naive(window.end))
