"""Whose may a new record be? Some are no news: we made them, and have not heard of it, or do not know it any more.

What is nobody's is matched; what is left out here waits, for the create that made it or for a person.
"""

from collections.abc import Sequence
from dataclasses import replace

from crmsync.connectors.contract import Record, Side
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.candidates import born
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.linking import PARTNER_MISSING, hold
from crmsync.daemon.cycle.load import fetch
from crmsync.daemon.cycle.shared import let_go_before
from crmsync.daemon.cycle.survey import Newcomer
from crmsync.state.model import Change, HeldState, Intent, Pair, QueueState
from crmsync.state.transaction import Tx
from crmsync.state.values import decode_columns, split

PUT_BACK = (
    "it was made by an undo, or a create, that was interrupted; ask for the undo again, or say whether an item shall "
    "be created for it"
)
MADE_AGAIN_ELSEWHERE = (
    "another account has made it again of a record that was deleted, and whose former item is still here; say whether "
    "that is to be its item"
)


def unclaimed(cx: Context, place: Place, newcomers: Sequence[Newcomer]) -> list[Newcomer]:
    """Those of the records that are news."""
    known = [n for n in newcomers if not _orphan(cx, n)]
    return _not_let_go(cx, place, _not_under_way(cx, place, known))


def _orphan(cx: Context, newcomer: Newcomer) -> bool:
    """A record that we once made for an item of this account, which we no longer know: after a loss of our state the
    item may have been deleted since, and must not come back in silence."""
    record, account = newcomer.record, cx.account.name
    if not record.link.startswith(cx.signer.account_prefix(account) + "-"):
        return False
    with cx.state.reading() as tx:
        decided = tx.held.for_records(account, [record.id]).get(record.id)
        made = [i for i in tx.intents.open(account) if i.key == record.link]
        # else the item went before its create was confirmed
        under_way = any(_rows_of(tx, i) for i in made)
    if decided is not None and decided.state is not HeldState.HELD:
        return False
    if not under_way:
        reason = "it was made for an item of this account that is no longer there; say whether to create that again"
        hold(cx, newcomer, Side.ECS, (), PARTNER_MISSING, reason)
    return True


def _not_under_way(cx: Context, place: Place, newcomers: Sequence[Newcomer]) -> list[Newcomer]:
    """Without what a create under way may have made. Whose it is comes out when that is repeated, in its own time;
    until then it waits. An undo that was interrupted is repeated only if a person asks for it, and a create not at all
    once its item is untagged."""
    with cx.state.reading() as tx:
        sent = [i for i in tx.intents.open(cx.account.name) if i.key and i.collection == place.key]
        rows = {i.id: _rows_of(tx, i) for i in sent}
        decided = tx.held.for_records(cx.account.name, [n.record.id for n in newcomers] if sent else [])
    due = [i for i in sent if any(r.state is not QueueState.ABANDONED for r in rows[i.id])]
    left: list[Newcomer] = []
    for newcomer in newcomers:
        if _may_be_born(cx, newcomer, due):
            continue
        held = decided.get(newcomer.record.id)
        if _may_be_born(cx, newcomer, sent) and (held is None or held.state is HeldState.HELD):
            hold(cx, newcomer, Side.ECS, (), PARTNER_MISSING, PUT_BACK)
        else:
            left.append(newcomer)
    return left


def _rows_of(tx: Tx, create: Intent) -> list[Change]:
    """By which it will be repeated."""
    collection, item = split(create.item)
    if not item:
        return tx.queue.named(create.item)  # a record that is made once more
    return tx.queue.get(create.account, Side.ECS, collection, [item])


def _may_be_born(cx: Context, newcomer: Newcomer, under_way: Sequence[Intent]) -> bool:
    record = newcomer.record
    return bool(born(newcomer.place, record, under_way)) or _made_again(cx, record, under_way)


def _made_again(cx: Context, record: Record, under_way: Sequence[Intent]) -> bool:
    """It may be what a card's lost record is made again as: edited since, it is recognised only by the match, which
    comes before the create is repeated."""
    candidate = cx.signer.candidate(record)
    for intent in under_way:
        if intent.pair_id is not None and intent.kind is record.kind:
            sent = cx.signer.candidate(replace(record, columns=decode_columns(record.kind, intent.columns)))
            if sent.keys & candidate.keys and sent.name.agrees(candidate.name):
                return True
    return False


def _not_let_go(cx: Context, place: Place, newcomers: Sequence[Newcomer]) -> list[Newcomer]:
    """Without those that were made again of a record whose item is still here: whether that is to be its item again, a
    person says."""
    ids = [n.record.id for n in newcomers]
    with cx.state.reading() as tx:
        before = let_go_before(cx, tx, place, ids)
        decided = tx.held.for_records(cx.account.name, before)
    answered = {id for id, held in decided.items() if held.state is not HeldState.HELD}
    left: list[Newcomer] = []
    for newcomer in newcomers:
        pair = before.get(newcomer.record.id)
        if pair is None or newcomer.record.id in answered or not _stands(cx, pair):
            left.append(newcomer)
        else:
            hold(cx, newcomer, Side.ECS, [pair.ecs_id], "ambiguous", MADE_AGAIN_ELSEWHERE)
    return left


def _stands(cx: Context, pair: Pair) -> bool:
    """Its item, as far as that can be said."""
    place = cx.places.get(pair.ecs_collection)
    try:
        return place is None or isinstance(fetch(cx, place, [pair.ecs_id]).get(pair.ecs_id), Record)
    except ConnectorError:
        return True  # whoever reads it next says what is wrong with it
