"""Undo of edits: the old values are put back, where nobody has changed them since."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from crmsync.connectors.columns import with_group
from crmsync.connectors.contract import Columns, Record, Side, Update, Value
from crmsync.daemon.cycle.agreed import entry
from crmsync.daemon.cycle.apply import Task, carry_out
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.load import fetch
from crmsync.daemon.cycle.recover import overwritten
from crmsync.daemon.operations.undoing import UNDO, Undone, announced, followed, pair_of, undoes
from crmsync.daemon.operations.waiting import settle, wait
from crmsync.daemon.plan.normalise import same
from crmsync.state.model import Action, Entry, Intent, Pair, PairState
from crmsync.state.transaction import Tx
from crmsync.state.values import decode_columns

WHOLE = ""  # the column of a line of history that tells of the item itself


def columns_back(cx: Context, entries: Sequence[Entry], undone: Undone) -> None:
    first, pair = entries[0], pair_of(cx, entries[0])
    found = followed(cx, first, pair) if pair is not None else None
    if found is None or pair is None:
        for one in entries:
            undone.keep(one, "the item is no longer there, or no longer linked")
        return
    place, record = found
    open_ = announced(cx, first, Action.UPDATE, found)
    sent = open_ if open_ is not None and _of_an_undo(open_, entries) else None
    later = _written_later(cx, first, pair, place, record)
    back: dict[str, Value] = {}
    for one in entries:
        shown = place.connector.project(one.kind, {one.column: one.new})
        stands = same(record.columns.get(one.column), shown.get(one.column, one.new))
        if stands and (since := max(later.get(one.column, 0), later.get(WHOLE, 0))):
            undone.keep(one, f"written since by cycle {since}")
        elif stands:
            back[one.column] = one.old
        elif sent is not None and _shows(place, record, sent, one):
            back[one.column] = one.old  # an undo that was interrupted has put it back already
            record = replace(record, columns={**record.columns, one.column: one.new})
        else:
            undone.keep(one, "changed by someone since")
    torn = with_group(first.kind, frozenset(e.column for e in entries if e.column not in back))
    for one in (e for e in entries if e.column in back and e.column in torn):
        undone.keep(one, "it means something only together with a column that was changed since")
    back = {n: v for n, v in back.items() if n not in torn}
    if not back:
        return
    other = _other_side(cx, pair, first.side)  # before anything is written: it may not answer
    write = Update(record.id, record.version, first.kind, back)
    task = Task(place, first.side, write, record.id, first.kind, "undo", pair.id, overwritten(record, write))
    twins = _twins(cx, pair) if first.side is Side.ECS else []
    in_step = wait(cx, pair, [e for e in entries if e.column in back], other)
    for twin in twins:
        wait(cx, twin, [e for e in entries if e.column in back], other)
    carry_out(cx, [task])
    if task.done is None:
        if task.over:  # what waited before still does
            for each in (pair, *twins):
                settle(cx, each, [n for n in back if n not in in_step], task.over)
        for one in entries:
            undone.keep(one, f"not written: {getattr(task.outcome, 'reason', 'the item changed meanwhile')}")
        return
    if open_ is not None and sent is None and not open_.columns.keys() & back.keys():
        task.intents = [i for i in task.intents if i != open_.id]  # the next cycle looks what became of it
    _note_columns(cx, pair, entries, back, task, record, in_step)
    _note_agreed(cx, twins, back)
    undone.done += len(back)


def _written_later(cx: Context, first: Entry, pair: Pair, place: Place, record: Record) -> dict[str, int]:
    """By column, the last cycle after this one whose write still stands. Other accounts write to a shared item, too."""
    side = first.side
    with cx.state.reading() as tx:
        linked = tx.pairs.accounts_of(cx.crm, pair.crm_collection, [pair.crm_id]).get(pair.crm_id, ())
        lines = tx.history.of_item({pair.id, *(p.id for p in linked)})
    here = [e for e in lines if e.pair_id == pair.id or e.on(side) == (place.key, record.id)]
    return still_written(e for e in here if e.cycle > first.cycle and e.side is side)


def still_written(lines: Iterable[Entry]) -> dict[str, int]:
    """By column, the last of these cycles whose write has not been undone; ``WHOLE``: that made the item again, from
    what its partner holds. An undo takes back one write, and an undo of that brings it again; the undo of an earlier
    cycle is a write like any other, but where it puts an item back: that is as it stood there."""
    live: dict[str, dict[int, bool]] = defaultdict(dict)
    origin: dict[tuple[str, int], int] = {}
    for e in lines:
        of = undoes(e)
        write = origin.get((e.column, of), of)
        if write in live[e.column]:
            live[e.column][write] ^= True
            origin[e.column, e.cycle] = write
        elif e.action == Action.UPDATE or (e.action == Action.CREATE and not of):
            live[e.column][e.cycle] = True
    stands = {column: [c for c, holds in cycles.items() if holds] for column, cycles in live.items()}
    return {column: max(cycles) for column, cycles in stands.items() if cycles}


def _note_columns(
    cx: Context,
    pair: Pair,
    entries: Sequence[Entry],
    back: Columns,
    task: Task,
    before: Record,
    in_step: Sequence[str],
) -> None:
    """The old value is the snapshot again. What was written over had perhaps been edited in other columns, and nobody
    has looked at that: then what stands now is not what we know."""
    assert task.done is not None
    side, cycle = task.side, cx.cycle
    known = pair.ecs_version if side is Side.ECS else pair.crm_version
    version = task.done.version if before.version == known else known
    where = replace(pair, ecs_collection=task.place.key, ecs_id=before.id) if side is Side.ECS else pair
    with cx.state.transaction() as tx:
        tx.intents.close(task.intents)
        tx.conflicts.settle(pair.id, in_step, cx.now())
        _agree(tx, pair, back)
        tx.pairs.save(
            replace(pair, ecs_version=version) if side is Side.ECS else replace(pair, crm_version=version)
        )
        for one in (e for e in entries if e.column in back):
            redone = entry(cx, cycle, where, side, Action.UPDATE, f"{UNDO}{one.cycle}")
            tx.history.add(
                [replace(redone, column=one.column, old=before.columns.get(one.column), new=one.old)]
            )


def _note_agreed(cx: Context, twins: Sequence[Pair], back: Columns) -> None:
    with cx.state.transaction() as tx:
        for twin in twins:
            _agree(tx, twin, back)


def _agree(tx: Tx, pair: Pair, back: Columns) -> None:
    snapshot = tx.snapshots.get(pair.id)
    if snapshot is not None:
        kept = {s: {n: v for n, v in some.items() if n not in back} for s, some in snapshot.kept.items()}
        tx.snapshots.put(pair.id, replace(snapshot, columns={**snapshot.columns, **back}, kept=kept))


def _twins(cx: Context, pair: Pair) -> list[Pair]:
    """The links that other accounts have of this very item: to them, too, what is put back must be no edit."""
    with cx.state.reading() as tx:
        near = tx.pairs.of_uids(cx.crm, [pair.ecs_uid]).get(pair.ecs_uid, ()) if pair.ecs_uid else ()
    here = (pair.ecs_collection, pair.ecs_id, pair.crm_id, PairState.LINKED)
    return [
        p
        for p in near
        if p.account != pair.account and (p.ecs_collection, p.ecs_id, p.crm_id, p.state) == here
    ]


def _other_side(cx: Context, pair: Pair, side: Side) -> Record | None:
    key, id = pair.on(side.other)
    place = cx.place(side.other, key)
    answer = fetch(cx, place, [id]).get(id) if place is not None else None
    return answer if isinstance(answer, Record) else None


def _of_an_undo(sent: Intent, entries: Sequence[Entry]) -> bool:
    """It sends old values alone. A sync that was interrupted has announced its write likewise, and what that has
    carried over is what people have changed since."""
    old, columns = {e.column: e.old for e in entries}, decode_columns(entries[0].kind, sent.columns)
    return bool(columns) and all(n in old and same(v, old[n]) for n, v in columns.items())


def _shows(place: Place, record: Record, sent: Intent, one: Entry) -> bool:
    columns = decode_columns(one.kind, sent.columns)
    shown = place.connector.project(one.kind, columns)
    return one.column in shown and same(record.columns.get(one.column), shown[one.column])
