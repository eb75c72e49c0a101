"""Linking: note that two items are one, or hold the question for a person."""

from collections.abc import Sequence

from crmsync.connectors.abilities import Copying
from crmsync.connectors.contract import Side
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.givenup import ends, give_up, make_room
from crmsync.daemon.cycle.survey import Newcomer
from crmsync.daemon.cycle.work import Work
from crmsync.state.model import Action, Change, Held, HeldState, Pair, What
from crmsync.state.transaction import Tx
from crmsync.state.values import split

PARTNER_MISSING = "partner_missing"


def new_pair(cx: Context, newcomer: Newcomer, place: Place, other: str) -> Pair:
    """``other``: the partner's id; of an ECS item with its collection before it."""
    record = newcomer.record
    if newcomer.side is Side.ECS:
        ecs_collection, ecs_id, crm_id = newcomer.place.key, record.id, other
        uid = record.uid
    else:
        ecs_collection, ecs_id = split(other)
        crm_id, uid = record.id, ""
    return Pair(
        account=cx.account.name,
        crm=cx.crm,
        kind=record.kind,
        ecs_collection=ecs_collection,
        ecs_id=ecs_id,
        ecs_uid=uid,
        crm_collection=place.key,
        crm_id=crm_id,
        linked_at=cx.now(),
        synced_at=cx.now(),
    )


def link(cx: Context, pair: Pair, row: Change) -> Work:
    """A create that was announced for one of the two is over: what it made is the other, or has gone."""
    _tell_copy(cx, pair)
    with cx.state.transaction() as tx:
        make_room(cx, tx, pair)
        stored = tx.pairs.add(pair)
        met(tx, [stored])
        give_up(tx, pair.account, ends(pair))
    return Work(stored, [row])


def met(tx: Tx, pairs: Sequence[Pair]) -> None:
    """Nobody has to say any more whose partner these are, and what somebody said of it is no answer to what may be
    asked of them later; what waited for that is due. All of one account."""
    account = pairs[0].account if pairs else ""
    items = tx.held.for_items(account, [(p.ecs_collection, p.ecs_id) for p in pairs])
    records = tx.held.for_records(account, [p.crm_id for p in pairs])
    tx.held.set_state([h.id for h in (*items.values(), *records.values())], HeldState.DONE)
    for pair in pairs:
        if (pair.ecs_collection, pair.ecs_id) in items or pair.crm_id in records:
            rows = (
                *tx.queue.get(account, Side.ECS, pair.ecs_collection, [pair.ecs_id]),
                *tx.queue.get(account, Side.CRM, pair.crm_collection, [pair.crm_id]),
            )
            tx.queue.release(row.id for row in rows)


def _tell_copy(cx: Context, pair: Pair) -> None:
    """Where the create stands in a copy, that would make a second record of it. Before the link is noted: a process
    that dies in between tells it once more."""
    place = cx.objects.get(pair.crm_collection)
    if place is None or not isinstance(place.connector, Copying) or cx.dry:
        return
    side, collection, item = ends(pair)[0]
    with cx.state.reading() as tx:
        open_ = tx.intents.open_for(pair.account, side, collection, [item])
    for intent in open_.values():
        if intent.action == Action.CREATE:
            place.connector.joined(intent.key, pair.crm_id)


def hold(
    cx: Context, newcomer: Newcomer, target: Side, candidates: Sequence[str], code: str, reason: str
) -> None:
    """Nothing is done before a person has said which partner it is, or that there is none."""
    record = newcomer.record
    cx.count("held")
    if cx.dry:
        cx.intend(record.id, "", target, "hold", {}, reason)
        return
    cycle = cx.cycle
    ecs = newcomer.side is Side.ECS
    with cx.state.transaction() as tx:
        tx.queue.hold([newcomer.row.id], code, reason)
        if _question(cx, tx, newcomer) is None:
            tx.held.add(
                [
                    Held(
                        account=cx.account.name,
                        what=What.MATCH,
                        kind=record.kind,
                        side=target,
                        collection=newcomer.place.key if ecs else "",
                        item=record.id if ecs else "",
                        record="" if ecs else record.id,
                        reason=reason,
                        candidates=list(candidates),
                        cycle=cycle,
                        at=cx.now(),
                    )
                ]
            )


def _question(cx: Context, tx: Tx, newcomer: Newcomer) -> Held | None:
    """That is asked about it already."""
    if newcomer.side is Side.ECS:
        return tx.held.for_items(cx.account.name, [newcomer.item]).get(newcomer.item)
    return tx.held.for_records(cx.account.name, [newcomer.record.id]).get(newcomer.record.id)
