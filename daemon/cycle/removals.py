"""Removals: deletes and unlinks, judged together by the guard, then carried out or held.

They come last in a cycle, when all of them are known: only a storm that is seen whole can be recognised as one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from crmsync.connectors.contract import Delete, Gone, Kind, Record, Side, Update, series_of
from crmsync.daemon.cycle import doubt
from crmsync.daemon.cycle.agreed import entry
from crmsync.daemon.cycle.apply import Task, carry_out, leave_queued
from crmsync.daemon.cycle.arrivals import since
from crmsync.daemon.cycle.context import Context
from crmsync.daemon.cycle.fates import STAYS, receives, recreate
from crmsync.daemon.cycle.linked import Removal
from crmsync.daemon.cycle.recover import given_up
from crmsync.daemon.cycle.work import Work
from crmsync.daemon.plan import guard
from crmsync.daemon.plan.reconcile import MADE_AGAIN, DeleteOn, Unlink
from crmsync.state.model import PERSON, Action, Entry, Held, HeldState, PairState, What


def remove(cx: Context, removals: Sequence[Removal]) -> None:
    with cx.state.reading() as tx:
        decided = tx.held.for_pair([r.work.pair.id for r in removals])
    fresh: list[Removal] = []
    going: list[Removal] = []
    waiting: list[Removal] = []
    for removal in removals:
        held = decided.get(removal.work.pair.id)
        match held.state if held is not None else None:
            case HeldState.APPROVED if held is not None and _same_fate(held, removal):
                going.append(removal)
            case HeldState.REJECTED if held is not None and _same_fate(held, removal):
                _restore(cx, removal, held)
            case HeldState.HELD if held is not None and _same_fate(held, removal):
                waiting.append(removal)  # a person was asked: that there are fewer by now is no answer
            case _:
                fresh.append(removal)
    allowed, stopped = _guarded(cx, [r for r in fresh if not r.ask], decided)
    _hold(cx, waiting + stopped + [r for r in fresh if r.ask])
    now = [r for r in going + allowed if _granted(cx, r)]
    _unlink(cx, [r for r in now if not isinstance(r.fate, DeleteOn)], decided)
    _delete(cx, [r for r in now if isinstance(r.fate, DeleteOn)], decided)


def _granted(cx: Context, removal: Removal) -> bool:
    """The others stay due; the guard has seen them, so that a storm is recognised whole. To give a link up belongs to
    no direction."""
    kind = removal.work.pair.kind
    if isinstance(removal.fate, DeleteOn):
        return cx.grant.sends(removal.fate.side, kind)
    return cx.grant.touches(kind)


def _guarded(
    cx: Context, removals: Sequence[Removal], decided: dict[int, Held]
) -> tuple[list[Removal], list[Removal]]:
    """Kind by kind: what may go on, and what is too much to be believed. What a person does to a series is one act,
    however many of its occurrences go."""
    planned = _acts(removals)
    # held for another reason until now: planned, and not waiting as well
    twice = _acts(
        r for r in removals if r.work.pair.id in decided and decided[r.work.pair.id].state is HeldState.HELD
    )
    with cx.state.reading() as tx:
        stormy = {
            kind
            for kind, number in planned.items()
            if guard.storm(
                kind,
                planned=number,
                recent=tx.history.deletes_since(cx.account.name, kind, cx.now() - guard.WINDOW),
                waiting=tx.held.waiting(cx.account.name, kind) - twice[kind],
                linked=tx.pairs.count(cx.account.name, kind),
                limits=cx.account.limits,
            )
        }
    allowed = [r for r in removals if r.work.pair.kind not in stormy]
    return allowed, [r for r in removals if r.work.pair.kind in stormy]


def _acts(removals: Iterable[Removal]) -> Counter[Kind]:
    pairs = (r.work.pair for r in removals)
    return Counter(kind for kind, _, _ in {(p.kind, p.ecs_collection, series_of(p.ecs_id)) for p in pairs})


def _hold(cx: Context, removals: Sequence[Removal]) -> None:
    if not removals:
        return
    cx.count("held", len(removals))
    if cx.dry:
        for removal in removals:
            pair = removal.work.pair
            cx.intend(pair.ecs_id, pair.crm_id, _side(removal), "hold", {}, removal.fate.reason)
        return
    cycle = cx.cycle
    with cx.state.transaction() as tx:
        known = tx.held.for_pair([r.work.pair.id for r in removals])
        stale = [
            r.work.pair.id for r in removals if (h := known.get(r.work.pair.id)) and not _same_fate(h, r)
        ]
        tx.held.overtaken(stale)
        asked = {id: one for id, one in known.items() if id not in stale}
        counts = Counter(r.work.pair.kind for r in removals if not r.ask and r.work.pair.id not in asked)
        for removal in removals:
            id, rows = removal.work.pair.id, [r.id for r in removal.work.rows]
            why = asked[id].reason if id in asked else _why(counts, removal)
            tx.queue.hold(rows, doubt.CODE if why.endswith(doubt.FORGOTTEN) else "delete_storm", why)
            if id not in asked:
                tx.held.add([_held(cx, cycle, removal, why)])


def _same_fate(held: Held, removal: Removal) -> bool:
    """A person decided about this, not about something that happened to the item since."""
    return held.reason.startswith(f"{removal.fate.reason}; ")


def _why(counts: Counter[Kind], removal: Removal) -> str:
    if removal.ask:
        return f"{removal.fate.reason}; held: {doubt.FORGOTTEN}"
    kind = removal.work.pair.kind
    many = f"{counts[kind]} {kind.value.replace('_', ' ')} deletes or unlinks"
    why = f"{removal.fate.reason}; held: {many} at once are more than this account allows"
    match removal.fate:
        case DeleteOn(side=side):
            return f"{why}; if you reject it, the deleted one is {MADE_AGAIN[side.other]}"
        case Unlink():
            return why


def _side(removal: Removal) -> Side:
    return removal.fate.side if isinstance(removal.fate, DeleteOn) else Side.CRM


def _held(cx: Context, cycle: int, removal: Removal, why: str) -> Held:
    pair = removal.work.pair
    return Held(
        account=cx.account.name,
        what=What.DELETE,
        kind=pair.kind,
        collection=pair.ecs_collection,
        pair_id=pair.id,
        side=_side(removal),
        item=pair.ecs_id,
        record=pair.crm_id,
        reason=why,
        cycle=cycle,
        at=cx.now(),
    )


def _unlink(cx: Context, removals: Sequence[Removal], decided: dict[int, Held]) -> None:
    cx.count("unlinked", len(removals))
    if cx.dry or not removals:
        for removal in removals:
            pair = removal.work.pair
            cx.intend(pair.ecs_id, pair.crm_id, Side.ECS, "unlink", {}, removal.fate.reason)
        return
    cycle = cx.cycle
    with cx.state.transaction() as tx:
        given_up(cx, tx, [r.work.pair for r in removals])
        for removal in removals:
            pair = removal.work.pair
            untagged = removal.fate.reason == "untagged"
            tx.pairs.save(
                replace(pair, state=PairState.UNLINKED, reason=removal.fate.reason, untagged=untagged)
            )
            one = entry(cx, cycle, pair, Side.ECS, Action.UNLINK, removal.fate.reason)
            tx.history.add([replace(one, winner=_who(removal, decided))])
            tx.queue.done_unless_changed(removal.work.rows)
            tx.overtake([pair.id], cx.now())


def _delete(cx: Context, removals: Sequence[Removal], decided: dict[int, Held]) -> None:
    tasks = [(r, _task(cx, r)) for r in removals]
    carry_out(cx, [t for _, t in tasks])
    if cx.dry:
        cx.count("deleted", len(tasks))
        return
    if not tasks:
        return
    cycle = cx.cycle
    with cx.state.transaction() as tx:
        for removal, task in tasks:
            pair = removal.work.pair
            tx.intents.close(task.over)
            if task.done is None:
                leave_queued(cx, tx, removal.work.rows, task, pair.ecs_id)
                continue
            cx.count("deleted")
            when = since(removal.work.rows, task.side.other, None, timedelta(0))
            cx.arrivals.note(task.side, cx.now(), when or cx.now())
            tx.history.add(_entries(cx, cycle, removal, task, _who(removal, decided)))
            tx.queue.done_unless_changed(removal.work.rows)
            if task.side is Side.ECS:  # it is nobody's partner any more
                tx.index.drop(pair.account, pair.ecs_collection, [pair.ecs_id])
            tx.close(pair.id, cx.now())


def _task(cx: Context, removal: Removal) -> Task:
    work, fate = removal.work, removal.fate
    assert isinstance(fate, DeleteOn)
    pair, record = work.pair, work.record(fate.side)
    place = cx.place(fate.side, pair.on(fate.side).collection)
    assert place is not None  # it answered a moment ago
    return Task(
        place,
        fate.side,
        Delete(record.id, record.version),
        item=record.id,
        kind=pair.kind,
        reason=fate.reason,
        pair_id=pair.id,
        native=record.native,
        going={n: v for n, v in record.columns.items() if v is not None},
        ecs_id=pair.ecs_id,
        crm_id=pair.crm_id,
    )


def _who(removal: Removal, decided: dict[int, Held]) -> str:
    """What an admin approved is no part of the next storm."""
    held = decided.get(removal.work.pair.id)
    approved = held is not None and held.state is HeldState.APPROVED and _same_fate(held, removal)
    return PERSON if approved else ""


def _entries(cx: Context, cycle: int, removal: Removal, task: Task, who: str) -> Iterator[Entry]:
    """The delete itself, with the text of the item, and every column that went with it: enough to put it back."""
    pair, record = removal.work.pair, removal.work.record(task.side)
    whole = replace(entry(cx, cycle, pair, task.side, Action.DELETE, task.reason), winner=who)
    yield replace(whole, native=record.native)
    for name, value in record.columns.items():
        if value is not None:
            yield replace(whole, column=name, old=value)


def _gone_on(work: Work) -> Side | None:
    """Where the half is missing whose other half is there."""
    gone = [side for side in Side if isinstance(work.answer(side), Gone)]
    return gone[0] if len(gone) == 1 and isinstance(work.answer(gone[0].other), Record) else None


def _restore(cx: Context, removal: Removal, held: Held) -> None:
    """A person said that this delete or unlink was a mistake: what is gone comes back, what lost its tag gets it."""
    work, pair = removal.work, removal.work.pair
    gone = _gone_on(work)
    if gone is Side.ECS and not receives(cx, work):
        _unlink(cx, [replace(removal, fate=STAYS)], {pair.id: held})
        return
    if gone is not None:
        recreate(cx, work, gone, "the delete was rejected by a person")
        return  # done with the confirmation; until then it stays rejected
    if isinstance(work.ecs, Record) and not cx.account.selected(work.ecs):
        place = cx.places[pair.ecs_collection]
        write = Update(pair.ecs_id, work.ecs.version, pair.kind, {}, tag=cx.account.tag)
        reason = "the unlink was rejected by a person"
        task = Task(place, Side.ECS, write, pair.ecs_id, pair.kind, reason, pair.id, ecs_id=pair.ecs_id)
        carry_out(cx, [task])
        if cx.dry:
            return
        with cx.state.transaction() as tx:
            tx.intents.close(task.over)
            if task.done is None:
                leave_queued(cx, tx, work.rows, task, pair.ecs_id)
                return
    if cx.dry:
        return
    with cx.state.transaction() as tx:
        tx.held.set_state([held.id], HeldState.DONE)
    cx.again = True
