"""Undo of creates, deletes and unlinks: items are taken away, put back, or linked again."""

from collections.abc import Sequence
from dataclasses import replace

from crmsync.connectors.contract import (
    Columns,
    Create,
    Delete,
    Done,
    Hidden,
    Record,
    Side,
    Unreadable,
    Update,
)
from crmsync.daemon.cycle.agreed import entry
from crmsync.daemon.cycle.apply import Task, carry_out
from crmsync.daemon.cycle.candidates import born
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.load import fetch
from crmsync.daemon.cycle.stamps import item_key
from crmsync.daemon.operations.decide import wake
from crmsync.daemon.operations.twins import twins
from crmsync.daemon.operations.undoing import UNDO, Undone, announced, is_gone, pair_of, standing
from crmsync.daemon.plan.normalise import same
from crmsync.daemon.plan.reconcile import MADE_AGAIN
from crmsync.state.model import PERSON, Action, Entry, Intent, Pair, PairState
from crmsync.state.values import decode_columns


def take_away(cx: Context, one: Entry, undone: Undone) -> None:
    """What the cycle made is deleted again, unless someone has changed it since; the original stays, unlinked. It is
    unlinked first: the cycle that follows an interrupted undo must not take our delete for a person's. What is not
    deleted in the end is linked as before."""
    found, pair, reason = standing(cx, one), pair_of(cx, one), f"{UNDO}{one.cycle}"
    sent = announced(cx, one, Action.DELETE)
    if pair is not None and pair.reason == reason:  # unlinked by an undo that was interrupted
        pair = replace(pair, state=PairState.LINKED, reason="")
    if pair is None or pair.state is PairState.UNLINKED or (found is None and sent is None):
        undone.keep(one, "it is no longer there, or no longer linked")
        return
    if found is None and sent is not None:
        if not is_gone(cx, one):
            undone.keep(
                one, "it cannot be seen now, so whether it was deleted is not known; undo again later"
            )
            return
        _note_taken(cx, one, sent.native, decode_columns(one.kind, sent.columns), [sent.id])
        undone.done += 1
        return
    assert found is not None
    place, record = found
    known = pair.ecs_version if one.side is Side.ECS else pair.crm_version
    # what was announced before is repeated as it was: a copy of the CRM may have it still, and send it one day
    if sent is None and (record.version != known or _edited(cx, place, pair, one.side, record)):
        with cx.state.transaction() as tx:
            tx.pairs.save(pair)
        undone.keep(one, "changed by someone since")
        return
    if _others(cx, pair):
        undone.keep(one, "another account has linked it too")
        return
    write = Delete(record.id, record.version if sent is None else sent.expected)
    going = {n: v for n, v in record.columns.items() if v is not None}
    task = Task(place, one.side, write, record.id, one.kind, "undo", pair.id, record.native, going)
    with cx.state.transaction() as tx:
        tx.pairs.save(replace(pair, state=PairState.UNLINKED, reason=reason, untagged=False))
    carry_out(cx, [task])
    if task.done is not None:
        _note_taken(cx, one, record.native, going, task.intents)
        undone.done += 1
        return
    if task.over:
        with cx.state.transaction() as tx:
            tx.intents.close(task.over)
            tx.pairs.save(pair)
    unknown = "whether it was deleted is not known; undo again later"
    undone.keep(one, "not deleted: it changed meanwhile, or the server refused" if task.over else unknown)


def _edited(cx: Context, place: Place, pair: Pair, side: Side, record: Record) -> bool:
    """In its present version we know it; but an edit in a column that goes only the other way stands nowhere else."""
    with cx.state.reading() as tx:
        snapshot = tx.snapshots.get(pair.id)
    if snapshot is None:
        return False
    expected = {**place.connector.project(pair.kind, snapshot.columns), **snapshot.kept.get(side, {})}
    return any(n in record.columns and not same(record.columns[n], v) for n, v in expected.items())


def _note_taken(cx: Context, one: Entry, native: str, columns: Columns, intents: Sequence[int]) -> None:
    cycle, pair = cx.cycle, pair_of(cx, one)
    assert pair is not None
    whole = entry(cx, cycle, pair, one.side, Action.DELETE, f"{UNDO}{one.cycle}")
    whole = replace(whole, winner=PERSON)
    with cx.state.transaction() as tx:
        tx.intents.close(intents)
        tx.overtake([pair.id], cx.now())
        tx.history.add([replace(whole, native=native)])
        tx.history.add([replace(whole, column=n, old=v) for n, v in columns.items()])


def _others(cx: Context, pair: Pair) -> bool:
    with cx.state.reading() as tx:
        found = tx.pairs.accounts_of(cx.crm, pair.crm_collection, [pair.crm_id]).get(pair.crm_id, [])
    return any(p.account != pair.account and p.state is PairState.LINKED for p in found)


def put_back(cx: Context, entries: Sequence[Entry], undone: Undone) -> None:
    """What the cycle deleted is made again as it was, unless one like it stands there. Its partner stays deleted, so
    the two are not linked."""
    one = next((e for e in entries if not e.column), entries[0])
    columns = {e.column: e.old for e in entries if e.column}
    place = cx.place(one.side, one.on(one.side).collection)
    if place is None:
        undone.keep(one, "its collection cannot be reached")
        return
    former = _former(cx, one)
    if former is not None and (why := _stands(cx, place, one, former)):
        undone.keep(one, why)
        return
    key, sent = (
        item_key(cx.organisation, one.crm_id, cx.account.name, one.cycle),
        announced(cx, one, Action.CREATE),
    )
    others = [t for t in twins(cx, place, one.side, one.kind, columns) if t.id not in undone.made]
    if others and not any(_ours(cx, place, one, key, sent, t) for t in others):
        _give_up(cx, sent)
        undone.keep(one, f"one like it stands there: {others[0].id}")
        return
    write = Create(
        key,
        one.kind,
        {n: v for n, v in columns.items() if n in place.connector.project(one.kind, columns)},
        owner=cx.user if one.side is Side.CRM else "",
        native=one.native,
    )
    task = Task(place, one.side, write, one.on(one.side).id, one.kind, "undo")
    carry_out(cx, [task])
    if task.done is None:
        undone.keep(one, f"not made again: {getattr(task.outcome, 'reason', 'no answer')}")
        return
    undone.made.add(task.done.id)
    pair = _note_back(cx, one, place, former, task)
    if pair is None:
        undone.keep(one, "it was put back before, and is linked by now")
        return
    undone.done += 1
    if not one.native:
        undone.part(pair, one.side)


def _note_back(cx: Context, one: Entry, place: Place, former: Pair | None, task: Task) -> Pair | None:
    """It stands without a link, and nobody is asked about it any more. None: it has one, which a person wanted after
    the undo had been interrupted."""
    assert task.done is not None
    cycle, id, reason = cx.cycle, task.done.id, f"{UNDO}{one.cycle}"
    if not one.native:
        reason = f"{reason}; {MADE_AGAIN[one.side]}"
    with cx.state.transaction() as tx:
        tx.intents.close(task.intents)
        by_crm = tx.pairs.by_crm(one.account, cx.crm, place.key, [id])
        known = (tx.pairs.by_ecs(one.account, place.key, [id]) if one.side is Side.ECS else by_crm).get(id)
        if known is not None and known.state is PairState.LINKED:
            return None
        pair = _unlinked(cx, one, former or known, task.done, reason)
        if pair.id:
            tx.pairs.save(pair)
        else:
            pair = tx.pairs.add(pair)
        tx.history.add([entry(cx, cycle, pair, one.side, Action.CREATE, reason)])
        tx.queue.release(r.id for r in tx.queue.get(one.account, one.side, place.key, [id]))
        if one.side is Side.ECS:
            tx.held.unwanted_items(one.account, [(place.key, id)])
        else:
            tx.held.unwanted_records(one.account, [id])
    return pair


def _ours(cx: Context, place: Place, one: Entry, key: str, sent: Intent | None, twin: Record) -> bool:
    """It is what an undo that was interrupted has put back: it bears the name that we chose, the stamp that it had, or
    in a CRM that has no place for either, all that was sent."""
    if sent is None:
        return False
    if one.side is Side.CRM:
        return bool(born(place, twin, [sent]))
    stamp = twin.stamp
    stamped = stamp is not None and stamp.record == one.crm_id
    return (
        key in (twin.uid, twin.link)
        or key in twin.id
        or (stamped and stamp is not None and cx.signer.verifies(cx.account.name, twin.uid, stamp))
    )


def _give_up(cx: Context, sent: Intent | None) -> None:
    if sent is not None:
        with cx.state.transaction() as tx:
            tx.intents.close([sent.id])


def _former(cx: Context, one: Entry) -> Pair | None:
    """The pair of which this was a half, or which one of the two halves has become a part of."""
    with cx.state.reading() as tx:
        known = {
            **tx.pairs.by_ecs(one.account, one.ecs_collection, [one.ecs_id]),
            **tx.pairs.by_crm(one.account, cx.crm, one.crm_collection, [one.crm_id]),
        }
    return next(iter(sorted(known.values(), key=lambda p: p.state is not PairState.LINKED)), None)


def _stands(cx: Context, place: Place, one: Entry, pair: Pair) -> str:
    """Why nothing is put back, or nothing. What the cycle deleted may be answered for as what is out of sight; what an
    earlier undo has put back, under another id, is there unless the server says that it is gone."""
    there = "it was put back before, or its partner is linked to another item by now"
    if pair.state is PairState.LINKED:
        return there
    deleted, id = one.on(one.side).id, pair.on(one.side).id
    match fetch(cx, place, [id]).get(id):
        case Record() | Unreadable():
            return there
        case Hidden() if id != deleted:
            return "it was put back before, and cannot be seen with this login now"
        case _:
            return there if one.side is Side.ECS and _was_moved(cx, pair) else ""


def _was_moved(cx: Context, pair: Pair) -> bool:
    """It stands in another collection, or under another name, with its UID."""
    with cx.state.reading() as tx:
        rows = tx.index.by_uids(pair.account, [pair.ecs_uid]) if pair.ecs_uid else []
    places = [(cx.places.get(row.collection), row.item) for row in rows]
    return any(p is not None and isinstance(fetch(cx, p, [id]).get(id), Record) for p, id in places)


def _unlinked(cx: Context, one: Entry, former: Pair | None, done: Done, reason: str) -> Pair:
    pair = former or Pair(
        account=one.account,
        crm=cx.crm,
        kind=one.kind,
        ecs_collection=one.ecs_collection,
        ecs_id=one.ecs_id,
        crm_collection=one.crm_collection,
        crm_id=one.crm_id,
        linked_at=cx.now(),
        synced_at=cx.now(),
    )
    pair = replace(pair, state=PairState.UNLINKED, reason=reason, synced_at=cx.now())
    if one.side is Side.ECS:
        return replace(pair, ecs_id=done.id, ecs_version=done.version)
    return replace(pair, crm_id=done.id, crm_version=done.version)


def link_again(cx: Context, one: Entry, undone: Undone) -> None:
    """An unlink is undone by linking again; an item that had lost its tag gets it back. Never to a record that is gone:
    the next cycle would take it for one that a person has deleted. Both are looked at next: nobody has while they were
    not linked, and what was edited meanwhile is told of no more."""
    pair = pair_of(cx, one)
    found = standing(cx, replace(one, side=Side.ECS))
    if pair is None or pair.state is PairState.LINKED or found is None:
        undone.keep(one, "it is linked already, or no longer there")
        return
    partner = replace(one, side=Side.CRM, crm_collection=pair.crm_collection, crm_id=pair.crm_id)
    if standing(cx, partner) is None:
        undone.keep(one, "its partner is no longer there")
        return
    place, record = found
    version = record.version
    if not cx.account.selected(record):
        write = Update(record.id, record.version, pair.kind, {}, tag=cx.account.tag)
        task = Task(place, Side.ECS, write, record.id, pair.kind, "undo", pair.id)
        carry_out(cx, [task])
        if task.done is None:
            undone.keep(one, "the tag could not be put back")
            return
        version = task.done.version
    cycle = cx.cycle
    with cx.state.transaction() as tx:
        linked = replace(pair, state=PairState.LINKED, reason="", untagged=False)
        if record.version == pair.ecs_version:
            linked = replace(linked, ecs_version=version)
        tx.pairs.save(linked)
        wake(tx, linked, cx.now())
        tx.history.add([entry(cx, cycle, linked, Side.ECS, Action.LINK, f"{UNDO}{one.cycle}")])
    undone.done += 1
