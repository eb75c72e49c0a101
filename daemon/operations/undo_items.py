"""Undo of creates, deletes and unlinks: items are taken away, put back, or linked again."""

from collections.abc import Sequence
from dataclasses import replace

from crmsync.connectors.contract import Columns, Create, Delete, Done, Record, Side, Update
from crmsync.daemon.cycle.apply import Task, carry_out
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.fates import entry
from crmsync.daemon.cycle.load import fetch
from crmsync.daemon.cycle.stamps import item_key
from crmsync.daemon.operations.undoing import Undone, announced, pair_of, standing
from crmsync.daemon.plan.reconcile import MADE_AGAIN
from crmsync.state.model import PERSON, Action, Entry, Pair, PairState
from crmsync.state.values import decode_columns


def take_away(cx: Context, one: Entry, undone: Undone) -> None:
    """What the cycle made is deleted again, unless someone has changed it since; the original stays, unlinked. It is
    unlinked first: the cycle that follows an interrupted undo must not take our delete for a person's."""
    found, pair, reason = standing(cx, one), pair_of(cx, one), f"undo of cycle {one.cycle}"
    sent = announced(cx, one, Action.DELETE)
    if pair is None or (found is None and sent is None):
        undone.keep(one, "it is no longer there, or no longer linked")
        return
    if found is None and sent is not None:
        _note_taken(cx, one, sent.native, decode_columns(one.kind, sent.columns), [sent.id])
        undone.done += 1
        return
    assert found is not None
    place, record = found
    known = pair.ecs_version if one.side is Side.ECS else pair.crm_version
    if record.version != known:
        if sent is not None:  # an undo that was interrupted before its delete arrived
            with cx.state.transaction() as tx:
                tx.intents.close([sent.id])
                tx.pairs.save(replace(pair, state=PairState.LINKED, reason=""))
        undone.keep(one, "changed by someone since")
        return
    if _others(cx, pair):
        undone.keep(one, "another account has linked it too")
        return
    write = Delete(record.id, record.version)
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
    undone.keep(one, "not deleted: it changed meanwhile, or the server refused")


def _note_taken(cx: Context, one: Entry, native: str, columns: Columns, intents: Sequence[int]) -> None:
    cycle, pair = cx.cycle, pair_of(cx, one)
    assert pair is not None
    whole = entry(cx, cycle, pair, one.side, Action.DELETE, f"undo of cycle {one.cycle}")
    whole = replace(whole, winner=PERSON)
    with cx.state.transaction() as tx:
        tx.intents.close(intents)
        tx.history.add([replace(whole, native=native)])
        tx.history.add([replace(whole, column=n, old=v) for n, v in columns.items()])


def _others(cx: Context, pair: Pair) -> bool:
    with cx.state.reading() as tx:
        found = tx.pairs.accounts_of(cx.crm, pair.crm_collection, [pair.crm_id]).get(pair.crm_id, [])
    return any(p.account != pair.account and p.state is PairState.LINKED for p in found)


def put_back(cx: Context, entries: Sequence[Entry], undone: Undone) -> None:
    """What the cycle deleted is made again as it was. Its partner stays deleted, so the two are not linked."""
    one = next((e for e in entries if not e.column), entries[0])
    columns = {e.column: e.old for e in entries if e.column}
    place = cx.place(one.side, one.ecs_collection if one.side is Side.ECS else one.crm_collection)
    if place is None:
        undone.keep(one, "its collection cannot be reached")
        return
    former = _former(cx, one)
    if former is not None and _stands(cx, place, one, former):
        undone.keep(one, "it was put back before, or its partner is linked to another item by now")
        return
    write = Create(
        item_key(cx.organisation, one.crm_id, cx.account.name, one.cycle),
        one.kind,
        {n: v for n, v in columns.items() if n in place.connector.project(one.kind, columns)},
        owner=cx.user if one.side is Side.CRM else "",
        native=one.native,
    )
    task = Task(place, one.side, write, one.ecs_id or one.crm_id, one.kind, "undo")
    carry_out(cx, [task])
    if task.done is None:
        undone.keep(one, f"not made again: {getattr(task.outcome, 'reason', 'no answer')}")
        return
    reason = f"undo of cycle {one.cycle}"
    if not one.native:
        reason = f"{reason}; {MADE_AGAIN[one.side]}"
    cycle = cx.cycle
    with cx.state.transaction() as tx:
        tx.intents.close(task.intents)
        pair = _unlinked(cx, one, former, task.done, reason)
        if former is None:
            pair = tx.pairs.add(pair)
        else:
            tx.pairs.save(pair)
        tx.history.add([entry(cx, cycle, pair, one.side, Action.CREATE, reason)])
    undone.done += 1
    if not one.native:
        undone.part(pair, one.side)


def _former(cx: Context, one: Entry) -> Pair | None:
    """The pair of which this was a half, or which one of the two halves has become a part of."""
    with cx.state.reading() as tx:
        known = {
            **tx.pairs.by_ecs(one.account, one.ecs_collection, [one.ecs_id]),
            **tx.pairs.by_crm(one.account, cx.crm, one.crm_collection, [one.crm_id]),
        }
    return next(iter(sorted(known.values(), key=lambda p: p.state is not PairState.LINKED)), None)


def _stands(cx: Context, place: Place, one: Entry, pair: Pair) -> bool:
    if pair.state is PairState.LINKED:
        return True
    id = pair.ecs_id if one.side is Side.ECS else pair.crm_id
    return isinstance(fetch(cx, place, [id]).get(id), Record)


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
    """An unlink is undone by linking again; an item that had lost its tag gets it back."""
    pair = pair_of(cx, one)
    found = standing(cx, replace(one, side=Side.ECS))
    if pair is None or pair.state is PairState.LINKED or found is None:
        undone.keep(one, "it is linked already, or no longer there")
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
        linked = replace(pair, state=PairState.LINKED, reason="", untagged=False, ecs_version=version)
        tx.pairs.save(linked)
        tx.history.add([entry(cx, cycle, linked, Side.ECS, Action.LINK, f"undo of cycle {one.cycle}")])
    undone.done += 1
