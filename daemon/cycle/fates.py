"""What becomes of a linked pair besides a merge: created again, forgotten, left alone, parked."""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from functools import partial

from crmsync.connectors.contract import Columns, Create, Done, Gone, Record, Side, Unreadable
from crmsync.daemon.cycle.agreed import entry, fresh_columns, shown_before
from crmsync.daemon.cycle.apply import Task, carry_out, leave_queued, park, written
from crmsync.daemon.cycle.arrivals import since
from crmsync.daemon.cycle.context import Context, exchanged
from crmsync.daemon.cycle.contradicted import listed_as_gone
from crmsync.daemon.cycle.recover import record_is_older
from crmsync.daemon.cycle.remade import linked_anew
from crmsync.daemon.cycle.shared import made_again_by_others
from crmsync.daemon.cycle.stamps import item_key
from crmsync.daemon.cycle.work import Work, rules_of, with_both_halves
from crmsync.daemon.plan.reconcile import DELETED, MADE_AGAIN, UNSEEN, Unlink
from crmsync.state.model import Action, Detected, Pair
from crmsync.state.snapshot import Mark, Snapshot
from crmsync.state.transaction import Tx
from crmsync.state.values import decode_columns

STAYS = Unlink(f"{DELETED}, where it cannot be made again; the record stays")
_REMADE = "made_again"  # of a row whose record another account is making again
_BY_OTHERS = (
    "another account that is linked to the same record is making it again; once that is heard of, it is found"
)
_LOOKED = "out_of_sight"  # of a row whose record was looked for in vain


def receives(cx: Context, work: Work) -> bool:
    """Whether anything is made where its item is: mail is never made up."""
    return cx.places[work.pair.ecs_collection].connector.capabilities.receives


def recreate(cx: Context, work: Work, side: Side, reason: str) -> None:
    """The edit wins over the delete: what survives is created again where it is gone, unless it stands there by now."""
    pair, reason = work.pair, f"{reason}; {MADE_AGAIN[side]}"
    source = work.record(side.other)
    place = cx.places[pair.ecs_collection] if side is Side.ECS else cx.objects[pair.crm_collection]
    fixed = place.connector.capabilities.read_only_columns.get(pair.kind, frozenset())
    going = exchanged(rules_of(cx, pair.kind), source.columns, side)
    columns = {
        n: v for n, v in going.items() if n not in fixed
    }  # else it would count as agreed, and as emptied there
    if not cx.grant.whole(side, pair.kind, columns):
        return  # its rows stay due
    generation = pair.generation + 1
    write = _create(cx, pair, side, source, columns, generation)
    if linked_anew(cx, work, side, place, write.key):
        return
    item = pair.on(side).id
    task = Task(place, side, write, item, pair.kind, reason, pair.id, ecs_id=pair.ecs_id, crm_id=pair.crm_id)
    forestalled = partial(made_again_by_others, cx, pair, side)
    if _waits_for_others(cx, work, forestalled):
        return
    carry_out(cx, [task], forestalled)
    if not cx.dry:
        _note_again(cx, work, task, write.key, generation)


def _create(cx: Context, pair: Pair, side: Side, source: Record, columns: Columns, generation: int) -> Create:
    if side is Side.CRM:
        key = cx.signer.record_key(cx.account.name, pair.ecs_collection, source.uid or source.id, generation)
        return Create(key, pair.kind, columns, owner=cx.user, original=source)
    key = item_key(cx.organisation, pair.crm_id, cx.account.name, generation)
    stamp = cx.signer.stamp(cx.account.name, cx.organisation, pair.crm_id, key, generation)
    return Create(key, pair.kind, columns, tag=cx.account.tag, stamp=stamp)


def _waits_for_others(cx: Context, work: Work, forestalled: Callable[[Tx], Collection[str]]) -> bool:
    """Whether another account is making it again; its rows say so."""
    with cx.state.reading() as tx:
        if not forestalled(tx):
            return False
    if not cx.dry:
        with cx.state.transaction() as tx:
            tx.queue.wait([r.id for r in work.rows], cx.now() + cx.retries.first, _REMADE, _BY_OTHERS)
    return True


def _note_again(cx: Context, work: Work, task: Task, key: str, generation: int) -> None:
    pair, side, cycle = work.pair, task.side, cx.cycle
    with cx.state.transaction() as tx:
        tx.intents.close(task.over)
        done = task.done
        if done is None:
            leave_queued(cx, tx, work.rows, task, pair.ecs_id)
            return
        if _is_anothers(tx, pair, side, task.place.key, done.id):
            # without external ids its like is all that a repetition can find; the next turn sends one of its own name
            tx.pairs.save(replace(pair, generation=generation))
            cx.again = True
            return
        cx.count("created")
        cx.arrivals.note(side, cx.now(), since(work.rows, side, None, timedelta(0)) or cx.now())
        again = _moved(pair, side, done, key, generation)
        if task.repeated:
            again = replace(again, ecs_version="", crm_version="")
        tx.pairs.save(again)
        tx.snapshots.put(pair.id, _recreated_snapshot(cx, work, again, side, task))
        tx.history.add([entry(cx, cycle, again, side, Action.CREATE, task.reason)])
        tx.queue.done_unless_changed(work.rows)
        tx.held.overtaken([pair.id])
        if task.repeated or side is Side.CRM:
            # the merge looks at both again; a new CRM id has to reach the stamp which its list of changes does not say
            # twice
            gone = side is Side.CRM and listed_as_gone(work.rows)
            woken = [Detected(again.ecs_id, f"{again.ecs_version}#again", gone)]
            tx.queue.record(pair.account, Side.ECS, again.ecs_collection, woken, cx.now())
        tx.clocks.clear([pair.id])
    cx.again = True  # a new CRM id has to reach the item's stamp


def _is_anothers(tx: Tx, pair: Pair, side: Side, collection: str, id: str) -> bool:
    """Somebody has made the like by hand meanwhile, and it has a link of its own."""
    known = (
        tx.pairs.by_ecs(pair.account, collection, [id])
        if side is Side.ECS
        else tx.pairs.by_crm(pair.account, pair.crm, collection, [id])
    )
    return any(other.id != pair.id for other in known.values())


def _moved(pair: Pair, side: Side, done: Done, key: str, generation: int) -> Pair:
    pair = with_both_halves(pair)
    if side is Side.ECS:
        uid = done.record.uid if done.record else key
        return replace(pair, ecs_id=done.id, ecs_uid=uid, ecs_version=done.version, generation=generation)
    return replace(pair, crm_id=done.id, crm_version=done.version, generation=0)


def _recreated_snapshot(cx: Context, work: Work, pair: Pair, side: Side, task: Task) -> Snapshot:
    source = work.record(side.other)
    shows = {side: written(task, {}), side.other: shown_before(cx, task, source)}
    places = {Side.ECS: cx.places[pair.ecs_collection], Side.CRM: cx.objects[pair.crm_collection]}
    columns, kept = fresh_columns(pair.kind, task.columns, side, shows, places)
    return Snapshot(
        pair.kind,
        cx.now(),
        Mark(pair.ecs_id, pair.ecs_version),
        Mark(pair.crm_id, pair.crm_version),
        columns,
        kept,
    )


def forget(cx: Context, work: Work) -> None:
    """Gone on both sides. Where the one was to be made again and nobody knows whether it was, the create is repeated:
    what it made goes next, as the partner of anything that is gone."""
    if cx.dry:
        return
    with cx.state.reading() as tx:
        mine = [i for i in tx.intents.open(cx.account.name) if i.pair_id == work.pair.id]
    sent = next((i for i in mine if i.action == Action.CREATE and cx.place(i.side, i.collection)), None)
    if sent is not None:
        source = Record(sent.item, "", work.pair.kind, decode_columns(work.pair.kind, sent.columns))
        work.ecs, work.crm = (work.ecs, source) if sent.side is Side.ECS else (source, work.crm)
        recreate(cx, work, sent.side, "it was to be made again when the service was interrupted")
        return
    with cx.state.transaction() as tx:
        tx.queue.done_unless_changed(work.rows)
        tx.intents.close([i.id for i in mine])  # nothing is left of which anyone could still hear
        tx.close(work.pair.id, cx.now())


def unmeet(cx: Context, work: Work) -> None:
    """A link to something that went before the two had ever met is none: the other side's item keeps its row, and the
    next cycle looks for a partner afresh."""
    if cx.dry:
        return
    with cx.state.transaction() as tx:
        tx.queue.done_unless_changed([r for r in work.rows if isinstance(work.answer(r.side), Gone)])
        tx.queue.retry(ids=[r.id for r in work.rows if not isinstance(work.answer(r.side), Gone)])
        tx.close(work.pair.id, cx.now())
    cx.again = True


def leave(cx: Context, work: Work) -> None:
    """Untouchable for now: versions are noted, the snapshot stays; the exchange goes on when it is usual again."""
    if cx.dry:
        return
    with cx.state.transaction() as tx:
        tx.queue.done_unless_changed(work.rows)
        ecs, crm = work.ecs, work.crm
        pair = work.pair
        if isinstance(ecs, Record):
            pair = replace(pair, ecs_version=ecs.version)
        if isinstance(crm, Record) and not record_is_older(cx, work):
            pair = replace(pair, crm_version=crm.version)
        tx.pairs.save(pair)


def looked_before(work: Work) -> bool:
    return any(row.code == _LOOKED for row in work.rows)


def look_again(cx: Context, work: Work) -> None:
    """The CRM does not show a record that was there. An answer that leaves out what it should hold looks the same, and
    a link that was given up is not taken up again by itself: it has to be missed twice."""
    if cx.dry:
        return
    ids, until = [r.id for r in work.rows], cx.now() + cx.retries.first
    with cx.state.transaction() as tx:
        tx.queue.defer(ids, until, _LOOKED, f"{UNSEEN}; if it still is when looked for again, it is unlinked")


def park_unreadable(cx: Context, work: Work) -> None:
    reason = next(a.reason for a in (work.ecs, work.crm) if isinstance(a, Unreadable))
    with cx.state.transaction() as tx:
        park(cx, tx, work.rows, work.pair.ecs_id, "unreadable", reason)
