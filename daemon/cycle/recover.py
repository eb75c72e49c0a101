"""Recover: what became of the updates and deletes that were announced, and whose answer nobody has heard.

The process died, or the line did, between a write and its confirmation. What the item shows now tells which: a write
that stands is our own and no edit, it goes into snapshot and history as if it had been confirmed, and what it has
overwritten stands in the conflict log. A create is simply repeated (``apply``); a delete that did not arrive is decided
anew, and one that did goes into the history, from which it can be undone.

At the end: how to tell that it is not a write but our own memory that is missing.
"""

import json
from collections.abc import Sequence
from dataclasses import replace

from crmsync.connectors.abilities import Ordered
from crmsync.connectors.columns import with_group
from crmsync.connectors.contract import Columns, Gone, Record, Side, Update, Value
from crmsync.daemon.cycle.agreed import conflict, entry
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.underway import underway
from crmsync.daemon.cycle.work import BROUGHT_BACK, Work, baseline, generation
from crmsync.daemon.plan.normalise import same
from crmsync.daemon.plan.terms import Clash
from crmsync.state.model import Action, Conflict, Entry, Intent, Pair
from crmsync.state.snapshot import Mark, Snapshot
from crmsync.state.transaction import Tx
from crmsync.state.values import decode_columns, encode_columns

INTERRUPTED = "the write was interrupted, and found again later"


def overwritten(record: Record, write: Update) -> str:
    """What an intent keeps of the columns that its write replaces."""
    return json.dumps(encode_columns({n: record.columns.get(n) for n in write.columns}))


def recover(cx: Context, works: Sequence[Work]) -> None:
    with cx.state.reading() as tx:
        left = [i for i in tx.intents.open(cx.account.name) if i.action != Action.CREATE]
    for work in works if left else ():
        if mine := [i for i in left if i.pair_id == work.pair.id]:
            _recover(cx, work, mine)


def _recover(cx: Context, work: Work, intents: Sequence[Intent]) -> None:
    entries: list[Entry] = []
    lost: list[Conflict] = []
    work.underway = underway(cx, work, intents)
    for intent in intents:
        answer = work.answer(intent.side)
        if intent.action == Action.DELETE:
            if isinstance(answer, Gone):
                entries += _deleted(cx, work, intent)
                if isinstance(work.answer(intent.side.other), Record):
                    work.pair = replace(work.pair, reason=BROUGHT_BACK)
            continue
        if isinstance(answer, Record) and answer.version == intent.expected:
            continue  # it never arrived
        now = answer.columns if isinstance(answer, Record) else {}
        lost += _lost(cx, work, intent, now)
        reached = _reached(cx, work, intent)
        arrived = reached > work.pair.generation
        stands = (
            decode_columns(work.pair.kind, intent.columns) if arrived else _standing(cx, work, intent, now)
        )
        entries += _entries(cx, work, intent, stands)
        work.snapshot = (
            _advanced(cx, work, _carried(work, intent, stands)) if arrived or stands else work.snapshot
        )
        work.pair = replace(work.pair, generation=reached)
    with cx.state.transaction() as tx:
        tx.history.add(entries)
        tx.conflicts.settle(work.pair.id, [c.column for c in lost], cx.now())
        tx.conflicts.add(lost)
        tx.pairs.save(work.pair)
        if work.snapshot is not None:
            tx.snapshots.put(work.pair.id, work.snapshot)
        tx.intents.close([i.id for i in intents if i not in work.underway])
        cx.count("conflicts", len(lost))


def _reached(cx: Context, work: Work, intent: Intent) -> int:
    """How far the item's link stamp has come. One that is newer than what we remember came with the write: that is no
    sign of an older state, but of a write that has arrived, whatever has been edited since."""
    answer = work.answer(intent.side)
    if intent.side is not Side.ECS or not isinstance(answer, Record):
        return work.pair.generation
    return max(work.pair.generation, generation(cx, work.pair, answer))


def _standing(cx: Context, work: Work, intent: Intent, now: Columns) -> Columns:
    """The columns of the write that the item shows, in whole units."""
    sent = decode_columns(work.pair.kind, intent.columns)
    shown = _place(cx, work, intent.side).connector.project(work.pair.kind, sent)
    missing = {n for n in sent if n not in now or n not in shown or not same(now[n], shown[n])}
    broken = with_group(work.pair.kind, frozenset(missing))
    return {n: v for n, v in sent.items() if n not in broken}


def _carried(work: Work, intent: Intent, stands: Columns) -> Columns:
    """Without what was there before: a write that takes an earlier one back repeats what its target shows, and the
    other side has never had that."""
    before = _before(work, intent)
    return {n: v for n, v in stands.items() if n not in before or not same(v, before[n])}


def _lost(cx: Context, work: Work, intent: Intent, now: Columns) -> list[Conflict]:
    """Edits that stood where the write went, and no longer do."""
    kind, side = work.pair.kind, intent.side
    sent, before = decode_columns(kind, intent.columns), _before(work, intent)
    place = _place(cx, work, side)
    known, shown = baseline(cx, place, work, side), place.connector.project(kind, sent)
    edits = {
        n: v
        for n, v in before.items()
        if not same(v, known.get(n)) and not same(v, shown.get(n)) and not (n in now and same(v, now[n]))
    }
    base = work.snapshot.columns if work.snapshot else {}
    return [_conflict(cx, work.pair, intent, n, base, v, sent[n], INTERRUPTED) for n, v in edits.items()]


def given_up(cx: Context, tx: Tx, pairs: Sequence[Pair]) -> None:
    """Links that end while nobody knows what became of a write: it will not be looked for. What it may have replaced
    stands in the conflict log."""
    ids = {pair.id: pair for pair in pairs}
    left = [i for i in tx.intents.open(cx.account.name) if i.pair_id in ids and i.action == Action.UPDATE]
    for intent in left:
        pair = ids[intent.pair_id or 0]
        snapshot = tx.snapshots.get(pair.id)
        base = snapshot.columns if snapshot else {}
        sent = decode_columns(pair.kind, intent.columns)
        before = decode_columns(pair.kind, json.loads(intent.native or "{}"))
        edits = {n: v for n, v in before.items() if not same(v, base.get(n)) and not same(v, sent.get(n))}
        tx.conflicts.settle(pair.id, list(edits), cx.now())
        reason = "its answer was lost, and the link then given up"
        tx.conflicts.add(_conflict(cx, pair, intent, n, base, v, sent[n], reason) for n, v in edits.items())
    tx.intents.close([i.id for i in left])


def _conflict(
    cx: Context,
    pair: Pair,
    intent: Intent,
    column: str,
    base: Columns,
    before: Value,
    sent: Value,
    reason: str,
) -> Conflict:
    side = intent.side
    ecs, crm = (before, sent) if side is Side.ECS else (sent, before)
    clash = Clash(column, base.get(column), ecs, crm, side.other, f"both sides changed; {reason}")
    return conflict(cx, intent.cycle, pair, clash)


def _entries(cx: Context, work: Work, intent: Intent, stands: Columns) -> list[Entry]:
    pair, before = work.pair, _before(work, intent)
    return [
        entry(
            cx,
            intent.cycle,
            pair,
            intent.side,
            Action.UPDATE,
            INTERRUPTED,
            column=n,
            old=before.get(n),
            new=value,
            winner=intent.side.other.value,
        )
        for n, value in stands.items()
        if not same(before.get(n), value) and not _told(cx, intent, pair, n, value)
    ]


def _told(cx: Context, intent: Intent, pair: Pair, column: str, value: Value) -> bool:
    """Another account, whose link ends at the same place, has written it since, and told so; or it was told of this
    very write, the rest of which may yet arrive."""
    side, there = intent.side, pair.on(intent.side)
    with cx.state.reading() as tx:
        lines = tx.history.find(there.id)
    return any(
        (e.side, e.column, e.on(side)) == (side, column, there)
        and same(e.new, value)
        and (
            e.at >= intent.at
            if e.account != pair.account
            else (e.cycle, e.reason) == (intent.cycle, INTERRUPTED)
        )
        for e in lines
    )


def _deleted(cx: Context, work: Work, intent: Intent) -> list[Entry]:
    whole = replace(
        entry(cx, intent.cycle, work.pair, intent.side, Action.DELETE, INTERRUPTED), native=intent.native
    )
    columns = decode_columns(work.pair.kind, intent.columns)
    return [whole, *(replace(whole, native="", column=n, old=v) for n, v in columns.items())]


def _advanced(cx: Context, work: Work, stands: Columns) -> Snapshot:
    old, pair = work.snapshot, work.pair
    if old is None:
        old = Snapshot(
            pair.kind, cx.now(), Mark(pair.ecs_id, pair.ecs_version), Mark(pair.crm_id, pair.crm_version), {}
        )
    kept = {side: {n: v for n, v in some.items() if n not in stands} for side, some in old.kept.items()}
    return replace(
        old, columns={**old.columns, **stands}, kept={side: some for side, some in kept.items() if some}
    )


def _before(work: Work, intent: Intent) -> Columns:
    return decode_columns(work.pair.kind, json.loads(intent.native or "{}"))


def _place(cx: Context, work: Work, side: Side) -> Place:
    pair = work.pair
    place = cx.place(side, pair.on(side).collection)
    assert place is not None  # it answered a moment ago
    return place


# ── How far our state can be believed ─────────────────────────────────────────────────────────────────────────


def item_is_older(cx: Context, work: Work) -> bool:
    """The item carries a stamp that we have replaced since: its server was restored from a backup, or a programme wrote
    back what it had read before. What it shows was in step once; that it differs now is nobody's edit."""
    return 0 < generation(cx, work.pair, work.record(Side.ECS)) < work.pair.generation


def record_is_older(cx: Context, work: Work) -> bool:
    """The record has a version that it had before the one that we have seen: the CRM was restored from a backup. That
    it differs from what was agreed is nobody's edit either."""
    connector = cx.objects[work.pair.crm_collection].connector
    mark = work.snapshot.crm if work.snapshot is not None else None
    # another id: it was noted of a record that the item was linked to before
    noted = mark.version if mark is not None and mark.id == work.pair.crm_id else ""
    known, version = work.pair.crm_version or noted, work.record(Side.CRM).version
    return isinstance(connector, Ordered) and known != "" and connector.precedes(version, known)


def state_is_older(cx: Context, work: Work) -> bool:
    """The item carries a stamp that we wrote later than anything we remember: our state is a restored backup. A write
    that was announced and never confirmed is none: that is a process that died in between."""
    record, pair = work.record(Side.ECS), work.pair
    if work.snapshot is None or generation(cx, pair, record) <= pair.generation:
        return False
    with cx.state.reading() as tx:
        return not tx.intents.open_for(pair.account, Side.ECS, pair.ecs_collection, [pair.ecs_id])
