"""Stamped: an item that carries our link stamp says itself what it is linked to, also when our state was lost."""

from collections.abc import Sequence
from dataclasses import replace

from crmsync.connectors.contract import Gone, Record, Side
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle import doubt
from crmsync.daemon.cycle.context import Context
from crmsync.daemon.cycle.linking import PARTNER_MISSING, hold, link, new_pair
from crmsync.daemon.cycle.load import Work, fetch
from crmsync.daemon.cycle.survey import Newcomer
from crmsync.state.model import Action, HeldState, Pair, PairState
from crmsync.state.snapshot import Mark, Snapshot
from crmsync.state.values import decode_columns


def by_stamp(cx: Context, newcomer: Newcomer) -> Work | None:
    """What the item's own link stamp says. None: nothing to go by. A work whose pair has no id: it waits."""
    record, stamp, account = newcomer.record, newcomer.record.stamp, cx.account.name
    place = cx.object_for(record.kind)
    if stamp is None or place is None or stamp.organisation != cx.organisation:
        return None
    if not cx.signer.verifies(account, record.uid, stamp):
        return None  # copied from another item, or not ours
    with cx.state.reading() as tx:
        pair = tx.pairs.by_crm(account, cx.crm, place.key, [stamp.record]).get(stamp.record)
        decided = tx.held.for_item(account, Side.CRM, record.id)
    if decided is not None and decided.state is HeldState.APPROVED:
        return None  # a person said: create it
    try:
        if pair is not None:
            return _moved_here(cx, newcomer, pair)
        partner = fetch(cx, place, [stamp.record]).get(stamp.record)
    except ConnectorError as error:
        cx.broke(f"“{place.label}”", error, place.login)
        return Work(new_pair(cx, newcomer, place, stamp.record), [newcomer.row])
    if isinstance(
        partner, Record
    ):  # our state was lost: the stamp brings the link back, differences are held
        pair = replace(new_pair(cx, newcomer, place, stamp.record), generation=stamp.generation)
        work = link(cx, pair, newcomer.row)
        if not _recall(cx, newcomer, work.pair):
            doubt.notice(cx, "an item carries a link stamp of ours that the state knows nothing of")
        return work
    reason = (
        f"it was linked to {stamp.record}, which is no longer there; say whether it shall be created again"
    )
    hold(cx, newcomer, Side.CRM, (), PARTNER_MISSING, reason)
    return Work(new_pair(cx, newcomer, place, stamp.record), [newcomer.row])


def by_uid(cx: Context, newcomers: Sequence[Newcomer]) -> dict[int, Work]:
    """By queue row, those that were moved here before they carried a stamp (or where none can be written)."""
    with cx.state.reading() as tx:
        known = tx.pairs.by_uids(cx.account.name, [n.record.uid for n in newcomers if n.record.uid])
    works = {}
    for newcomer in newcomers:
        for pair in known.get(newcomer.record.uid, ()):
            try:
                work = _moved_here(cx, newcomer, pair)
            except ConnectorError as error:
                cx.broke("the collection that an item was moved from", error)
                work = Work(replace(pair, id=0), [newcomer.row])
            if work is not None:
                works[newcomer.row.id] = work
                break
    return works


def _recall(cx: Context, newcomer: Newcomer, pair: Pair) -> bool:
    """Where we made the item ourselves and never heard the answer, what was sent is what both sides agreed on."""
    with cx.state.transaction() as tx:
        open_ones = tx.intents.open_for(pair.account, Side.ECS, newcomer.place.key, [pair.crm_id])
        intent = open_ones.get(pair.crm_id)
        if intent is None or intent.action != Action.CREATE or intent.key != newcomer.record.uid:
            return False
        columns = decode_columns(pair.kind, intent.columns)
        marks = Mark(pair.ecs_id, ""), Mark(pair.crm_id, "")
        tx.snapshots.put(pair.id, Snapshot(pair.kind, cx.now(), *marks, columns))
        tx.intents.close([intent.id])
    return True


def _moved_here(cx: Context, newcomer: Newcomer, pair: Pair) -> Work | None:
    """The link follows an item that was moved to another collection; a copy beside the original has none."""
    origin = cx.places.get(pair.ecs_collection)
    if origin is None:
        return Work(replace(pair, id=0), [newcomer.row])  # cannot be told now: it waits
    there = fetch(cx, origin, [pair.ecs_id]).get(pair.ecs_id)
    if not isinstance(there, Gone):
        return None
    moved = replace(
        pair,
        ecs_collection=newcomer.place.key,
        ecs_id=newcomer.record.id,
        ecs_uid=newcomer.record.uid,
        ecs_version="",
        state=PairState.LINKED,
        untagged=False,
    )
    with cx.state.transaction() as tx:
        gone = tx.queue.get(cx.account.name, Side.ECS, pair.ecs_collection, [pair.ecs_id])
        tx.queue.done_unless_changed(gone)
        tx.index.drop(pair.account, pair.ecs_collection, [pair.ecs_id])
        tx.pairs.save(moved)
    return Work(moved, [newcomer.row])
