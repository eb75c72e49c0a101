"""Stamped: an item that carries our link stamp says itself what it is linked to, also when our state was lost."""

from collections.abc import Sequence
from dataclasses import replace

from crmsync.connectors.contract import Gone, Record, Side
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.context import Context
from crmsync.daemon.cycle.linking import PARTNER_MISSING, hold, link, new_pair
from crmsync.daemon.cycle.load import Work, fetch
from crmsync.daemon.cycle.survey import Newcomer
from crmsync.state.model import Action, HeldState, Intent, Pair, PairState
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
    # our state was lost: the stamp brings the link back, differences are held
    sent = _made_by_us(cx, newcomer, stamp.record)
    if isinstance(partner, Record) or (isinstance(partner, Gone) and sent is not None):
        pair = replace(new_pair(cx, newcomer, place, stamp.record), generation=stamp.generation)
        work = link(cx, pair, newcomer.row)
        _recall(cx, work.pair, sent)
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


def _made_by_us(cx: Context, newcomer: Newcomer, record: str) -> Intent | None:
    """The create that was announced for this CRM record, and whose answer nobody has heard."""
    with cx.state.reading() as tx:
        intent = tx.intents.open_for(cx.account.name, Side.ECS, newcomer.place.key, [record]).get(record)
    ours = intent is not None and intent.action == Action.CREATE and intent.key == newcomer.record.uid
    return intent if ours else None


def _made_again(cx: Context, newcomer: Newcomer, pair: Pair) -> Intent | None:
    """The create that was announced because an edit won over the delete of the item that the pair still names."""
    with cx.state.reading() as tx:
        found = tx.intents.open_for(pair.account, Side.ECS, newcomer.place.key, [pair.ecs_id])
    intent = found.get(pair.ecs_id)
    ours = intent is not None and intent.action == Action.CREATE and intent.key == newcomer.record.uid
    return intent if ours else None


def _recall(cx: Context, pair: Pair, sent: Intent | None) -> None:
    """Where we made the item ourselves and never heard the answer, what was sent is what both sides agreed on."""
    if sent is None:
        return
    columns = decode_columns(pair.kind, sent.columns)
    marks = Mark(pair.ecs_id, ""), Mark(pair.crm_id, "")
    with cx.state.transaction() as tx:
        tx.snapshots.put(pair.id, Snapshot(pair.kind, cx.now(), *marks, columns))


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
    if (sent := _made_again(cx, newcomer, pair)) is not None:
        moved = replace(moved, generation=newcomer.record.stamp.generation if newcomer.record.stamp else 0)
        _recall(cx, moved, sent)
    with cx.state.transaction() as tx:
        tx.intents.close([sent.id] if sent is not None else [])
        gone = tx.queue.get(cx.account.name, Side.ECS, pair.ecs_collection, [pair.ecs_id])
        tx.queue.done_unless_changed(gone)
        tx.index.drop(pair.account, pair.ecs_collection, [pair.ecs_id])
        tx.pairs.save(moved)
    return Work(moved, [newcomer.row])
