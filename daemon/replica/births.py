"""Creates, in the order in which they were made here.

Salesforce cannot repeat a create, so each is noted before it goes out, with what was sent. One whose answer is not
known is looked for first, by who made it, since when and with which values; only if it is not there it goes out
again. A record that refers to another one of the queue waits for it if that one stands earlier, and goes without the
reference, which follows, if it stands later.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from crmsync.connectors.contract import Deferred, Done, Outcome, Refused, Stale
from crmsync.daemon.replica.context import Context, naive
from crmsync.daemon.replica.converting import convert, resolve_conversions
from crmsync.daemon.replica.push import look
from crmsync.daemon.replica.queue import Birth, next_batch
from crmsync.daemon.replica.window import Window
from crmsync.state.replica.local import arrivals
from crmsync.state.replica.local.births import born
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import Row, row_from, row_to, stored
from crmsync.state.replica.metadata import ObjectType

__all__ = ["creates"]

_MARGIN = timedelta(seconds=10)


def creates(context: Context, window: Window) -> None:
    _resolve_doubts(context, window)
    resolve_conversions(context, window)
    last = 0
    while batch := next_batch(context, last):
        last = batch[-1].entry["seq"]
        if births := [each for each in batch if isinstance(each, Birth)]:
            _create(context, births, window)
        else:
            convert(context, [each.entry for each in batch], window)


def _create(context: Context, batch: Sequence[Birth], window: Window) -> None:
    type_ = context.database.tables.shapes.of(batch[0].entry["object"])
    with context.database.write() as work:
        batch = [b for b in batch if _noted(work, type_, b, window)]
    if not batch:
        return
    outcomes = context.upstream.create(type_.name, [_body(type_, b.row) for b in batch])
    made = {}
    with context.database.write() as work:
        for birth, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Done):
                made[birth.entry["Id"]] = outcome.id
            _told(context, work, birth, outcome, window)
    if made:
        _complete(context, type_.name, list(made.values()), window)


def _noted(work: Work, type_: ObjectType, birth: Birth, window: Window) -> bool:
    """That it goes out, and as what; False if it was given up or deleted since."""
    createlist, temporary = work.shared.createlist, birth.entry["Id"]
    if work.get(createlist, temporary) is None:
        return False
    work.change(createlist, temporary, sent=row_to(type_, birth.row), since=naive(window.end))
    return True


def _body(type_: ObjectType, row: Row) -> Row:
    names = {f.name for f in stored(type_) if f.createable and row[f.name] is not None}
    return row_to(type_, {name: row[name] for name in row if name in names})


def _told(context: Context, work: Work, birth: Birth, outcome: Outcome, window: Window) -> None:
    createlist, temporary = work.shared.createlist, birth.entry["Id"]
    match outcome:
        case Done(id=record_id):
            entry = work.get(createlist, temporary)
            assert entry is not None
            born(work, entry, record_id, naive(window.end))
            context.count(created=1)
        case Refused(code=code, reason=reason):
            values = {"state": "rejected", "code": code, "reason": reason}
            work.change(createlist, temporary, sent=None, since=None, **values)
            context.count(rejected=1)
        case Stale():
            values = {
                "state": "rejected",
                "code": "reference",
                "reason": "refers to what the CRM does not have",
            }
            work.change(createlist, temporary, sent=None, since=None, **values)
            context.count(rejected=1)
        case Deferred():
            context.count(deferred=1)  # the next pass looks whether it is there


def _complete(context: Context, name: str, ids: Sequence[str], window: Window) -> None:
    """With what the CRM has computed."""
    kept = look(context, name, ids)
    with context.database.write() as work:
        deleting = work.many(work.shared.deletelist, ids)
        for record_id, row in kept.rows.items():
            if record_id in deleting:  # meanwhile: what the CRM has filled in is nobody's edit
                work.put(work.group(name).orig, [row])
            else:
                arrivals.settle(work, name, row, context.policy, naive(window.end))


# ── Whose answer is not known ────────────────────────────────────────────────────────────────────────────────


def _resolve_doubts(context: Context, window: Window) -> None:
    with context.database.read() as work:
        table, conversions = work.shared.createlist, work.shared.conversions
        of_leads = conversions.select().with_only_columns(conversions.c.Id)
        doubtful = work.where(table, table.c.sent.is_not(None), table.c.Id.not_in(of_leads))
    by_object: dict[str, list[Row]] = {}
    for entry in doubtful:
        by_object.setdefault(entry["object"], []).append(entry)
    for name, entries in by_object.items():
        _search(context, name, entries, window)


def _search(context: Context, name: str, entries: list[Row], window: Window) -> None:
    type_ = context.database.tables.shapes.of(name)
    since: datetime = min(entry["since"] for entry in entries).replace(tzinfo=UTC) - _MARGIN
    found: dict[str, str] = {}  # temporary -> real
    for page in context.upstream.created(name, context.fields(name), context.user, since):
        rows = [row_from(type_, raw) for raw in page]
        with context.database.read() as work:
            known = {*work.many(work.group(name).main, [row["Id"] for row in rows])}
        for row in rows:
            twin = _twin(type_, entries, row, found) if row["Id"] not in known else None
            if twin is not None:
                found[twin] = row["Id"]
    with context.database.write() as work:
        for entry in entries:
            _resolved(context, work, entry, found.get(entry["Id"]), window)
    if found:
        _complete(context, name, list(found.values()), window)


def _twin(type_: ObjectType, entries: Sequence[Row], row: Row, found: dict[str, str]) -> str | None:
    """The entry that this row was made from. Equal ones are equal: any of them will do."""
    for entry in entries:
        if entry["Id"] not in found:
            sent = row_from(type_, entry["sent"])
            body = _body(type_, sent)
            if all(_alike(row[n], sent[n]) for n in body):
                return str(entry["Id"])
    return None


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one.casefold() == other.casefold()
    return bool(one == other)


def _resolved(context: Context, work: Work, entry: Row, real: str | None, window: Window) -> None:
    shared = work.shared
    if real is not None:
        born(work, entry, real, naive(window.end))
        context.count(created=1)
        return
    deleting = work.get(shared.deletelist, entry["Id"])
    if deleting is None:
        work.change(shared.createlist, entry["Id"], sent=None, since=None)
        return
    # Neither made there nor wanted here.
    arrivals.gone(work, entry["object"], [entry["Id"]], context.policy, naive(window.end))
    work.drop(shared.createlist, [entry["Id"]])
