"""Confirm: new versions, snapshot, history and conflict log of pairs whose writes were sent, and the end of their rows:
one transaction for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from crmsync.connectors.columns import with_group
from crmsync.connectors.contract import ABANDONED, Columns, Refused, Side, Stale, Update
from crmsync.daemon.cycle.agreed import advance, clash_rows, column_entries
from crmsync.daemon.cycle.apply import Task, foreign, leave_queued, written
from crmsync.daemon.cycle.arrivals import since
from crmsync.daemon.cycle.barred import park_barred
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.meetings import missing
from crmsync.daemon.cycle.notes import Notes
from crmsync.daemon.cycle.strangers import named_in
from crmsync.daemon.cycle.work import Work, baseline, generation
from crmsync.daemon.plan.normalise import same
from crmsync.daemon.plan.terms import Clash, Merged
from crmsync.state.model import Pair
from crmsync.state.snapshot import Mark, Snapshot
from crmsync.state.transaction import Tx


@dataclass(slots=True)
class Draft:
    """A pair in the middle of its merge."""

    work: Work
    merged: Merged
    tasks: dict[Side, Task] = field(default_factory=dict)
    # what is not granted, by where it should go
    withheld: dict[Side, frozenset[str]] = field(default_factory=dict)

    def done(self, side: Side) -> bool:
        """Whether nothing is missing on this side: no write was needed, or it stands."""
        return self.sent(side) and not self.withheld.get(side)

    def sent(self, side: Side) -> bool:
        """Whether what was to be sent there stands."""
        return side not in self.tasks or self.tasks[side].done is not None

    def missing(self) -> frozenset[str]:
        """The columns of which one side lacks what the other one has."""
        failed = {n for s in self.tasks if not self.sent(s) for n in self.merged.writes(s)}
        return with_group(self.work.pair.kind, frozenset(failed).union(*self.withheld.values()))


def confirm(cx: Context, drafts: Sequence[Draft]) -> None:
    cycle = cx.cycle if any(_something(d) for d in drafts) else 0
    notes = Notes()
    with cx.state.transaction() as tx:
        for draft in drafts:
            _confirm(cx, tx, draft, cycle, notes)
        notes.write(tx)


def _something(draft: Draft) -> bool:
    """Whether the cycle has anything to record of it. That both sides came to the same by themselves is something: the
    witness has to see that a state is from before it."""
    old = draft.work.snapshot
    learned = old is None or old.columns != draft.merged.agreed
    return learned or bool(draft.tasks) or any(_arrived(draft, c) for c in draft.merged.clashes)


def _confirm(cx: Context, tx: Tx, draft: Draft, cycle: int, notes: Notes) -> None:
    work, merged = draft.work, draft.merged
    notes.heard(draft.tasks.values())
    for task in draft.tasks.values():
        if task.done is not None:
            notes.history += column_entries(cx, cycle, work, task, merged)
            if task.columns:
                cx.count("updated")
                _note_arrival(cx, work, task.side)
    notes.staying.append(work.pair.id)
    sent = draft.tasks.get(Side.CRM)
    if sent is not None and sent.done is not None:
        shown = sent.done.record.columns if sent.done.record is not None else {}
        notes.awaited[work.pair.id] = missing(cx, sent.place, sent.kind, sent.columns, shown)
    if work.snapshot is None:
        met, columns = _place(cx, work.pair, Side.CRM), work.record(Side.ECS).columns
        notes.awaited.setdefault(work.pair.id, named_in(cx, met, work.pair.kind, columns))
    _note_clashes(cx, tx, draft, cycle)
    _note_abandoned(cx, tx, draft, cycle)
    pair = _confirmed_pair(cx, draft)
    if pair != work.pair:
        notes.pairs.append(pair)
    snapshot = _snapshot(cx, draft, pair)
    if work.snapshot is None or (snapshot.columns, snapshot.kept) != (
        work.snapshot.columns,
        work.snapshot.kept,
    ):
        notes.snapshots[pair.id] = snapshot
    if not all(draft.done(side) for side in Side):
        notes.clocks.update({(pair.id, s, c): seen for (s, c), seen in work.clocks.items()})
        for task in draft.tasks.values():
            if _abandoned(task):
                cx.again = True  # it waits for a decision, as the next look finds
            else:
                leave_queued(cx, tx, work.rows, task, pair.ecs_id)
        return
    notes.met.append(pair.id)
    parked = park_barred(cx, tx, work, merged)
    over = [r for r in work.rows if r.id not in parked]
    notes.done += over
    for row in (r for r in over if r.side is Side.CRM):
        cx.processed.setdefault(row.collection, []).append(row.item)
    if work.clocks:
        notes.in_step.append(pair.id)
        notes.clocks.update(_still_apart(cx, draft, snapshot))


def _note_arrival(cx: Context, work: Work, side: Side) -> None:
    source, known = side.other, work.pair.synced_at
    offset = _place(cx, work.pair, source).clock_offset()
    when = since(work.rows, source, work.record(source), offset, known)
    cx.arrivals.note(side, cx.now(), when or cx.now())


def _still_apart(
    cx: Context, draft: Draft, snapshot: Snapshot
) -> dict[tuple[int, Side, str], tuple[str, datetime]]:
    """The clocks of columns that a side shows otherwise than agreed, because they are not exchanged: when that came
    about must not be forgotten, nor that it is so."""
    work, shows = draft.work, _shows(draft)
    after = replace(work, snapshot=snapshot)
    known = {side: baseline(cx, _place(cx, work.pair, side), after, side) for side in Side}
    return {
        (work.pair.id, side, name): seen
        for (side, name), seen in work.clocks.items()
        if any(name in names for names in draft.merged.barred.values())
        or (name in shows[side] and name in known[side] and not same(shows[side][name], known[side][name]))
    }


def _note_clashes(cx: Context, tx: Tx, draft: Draft, cycle: int) -> None:
    work, merged = draft.work, draft.merged
    pair = work.pair
    arrived = [c for c in merged.clashes if _arrived(draft, c)]
    settled = merged.settled - draft.missing()
    if settled or arrived:
        tx.conflicts.settle(pair.id, settled | {c.column for c in arrived}, cx.now())
    rows = clash_rows(cx, cycle, pair, arrived)
    for row in rows:
        tx.conflicts.add([row])
        cx.count("conflicts")
        if row.winner is None:
            cx.count("held")


def _abandoned(task: Task) -> bool:
    return isinstance(task.outcome, Refused) and task.outcome.code == ABANDONED


def _note_abandoned(cx: Context, tx: Tx, draft: Draft, cycle: int) -> None:
    """A write that a copy had, and that was turned down there since, is no edit that is made once more: a person says
    which value shall stand."""
    work, task = draft.work, draft.tasks.get(Side.CRM)
    if task is None or not _abandoned(task):
        return
    base = work.snapshot.columns if work.snapshot is not None else {}
    ecs, crm = (work.record(side).columns for side in Side)
    reason = f"was given up on the way to the CRM: {getattr(task.outcome, 'reason', '')}"
    wanted = ((n, v) for n, v in draft.merged.to_crm.items() if n in task.columns)
    clashes = [Clash(n, base.get(n), ecs.get(n, v), crm.get(n), None, reason) for n, v in wanted]
    tx.conflicts.settle(work.pair.id, [c.column for c in clashes], cx.now())
    tx.conflicts.add(clash_rows(cx, cycle, work.pair, clashes))
    cx.count("conflicts", len(clashes))
    cx.count("held", len(clashes))


def _arrived(draft: Draft, clash: Clash) -> bool:
    """A decision is noted once its write stands; until then it may still turn out differently."""
    return clash.winner is None or clash.column not in draft.missing()


def _confirmed_pair(cx: Context, draft: Draft) -> Pair:
    work = draft.work
    ecs, crm = work.record(Side.ECS), work.record(Side.CRM)
    pair = replace(
        work.pair, ecs_uid=ecs.uid or work.pair.ecs_uid, crm_owner=crm.owner or work.pair.crm_owner
    )
    if all(draft.done(side) for side in Side) or (Side.ECS in draft.tasks and draft.sent(Side.ECS)):
        pair = replace(pair, reason="")  # adopted: it carries the tag; selected again: they have met
    if task := draft.tasks.get(Side.ECS):
        if task.done is not None:
            stamp = task.write.stamp if isinstance(task.write, Update) else None
            pair = replace(
                pair,
                ecs_version=_version(task, work, Side.ECS),
                generation=stamp.generation if stamp is not None else pair.generation,
                synced_at=cx.now(),
            )
    else:
        pair = replace(
            pair, ecs_version=ecs.version, generation=max(pair.generation, generation(cx, pair, ecs))
        )
    if task := draft.tasks.get(Side.CRM):
        if task.done is not None:
            pair = replace(pair, crm_version=_version(task, work, Side.CRM), synced_at=cx.now())
        elif isinstance(task.outcome, Stale):
            # whatever told us of that version: the next look is at the record
            pair = replace(pair, crm_version="")
    else:
        pair = replace(pair, crm_version=crm.version)
    return pair


def _version(task: Task, work: Work, side: Side) -> str:
    """The version that is our own echo. Empty when someone else's edit stands in it too: then it must be looked at."""
    assert task.done is not None
    return "" if foreign(task, work.record(side).columns) else task.done.version


def _snapshot(cx: Context, draft: Draft, pair: Pair) -> Snapshot:
    work, shows = draft.work, _shows(draft)
    places = {side: _place(cx, pair, side) for side in Side}
    columns, kept = advance(pair.kind, work.snapshot, draft.merged, draft.missing(), shows, places)
    return Snapshot(
        kind=pair.kind,
        synced=cx.now(),
        ecs=Mark(pair.ecs_id, pair.ecs_version, work.record(Side.ECS).modified),
        crm=Mark(pair.crm_id, pair.crm_version, work.record(Side.CRM).modified),
        columns=columns,
        kept=kept,
    )


def _shows(draft: Draft) -> dict[Side, Columns]:
    """What each side shows now."""
    shows = {}
    for side in Side:
        before, task = draft.work.record(side).columns, draft.tasks.get(side)
        shows[side] = written(task, before) if task is not None and task.done is not None else before
    return shows


def _place(cx: Context, pair: Pair, side: Side) -> Place:
    """It answered a moment ago."""
    return cx.places[pair.ecs_collection] if side is Side.ECS else cx.objects[pair.crm_collection]
