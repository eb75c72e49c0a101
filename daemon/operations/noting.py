"""Who decided what, for the history. The line is written in the decision's own transaction."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from crmsync.connectors.contract import Kind, Side
from crmsync.daemon.operations.finding import Only
from crmsync.state.model import PERSON, Action, Change, Entry, Held, Pair
from crmsync.state.transaction import Tx

NO_CYCLE = 0  # cycles count from 1: nothing was written that an undo could put back


@dataclass(frozen=True, slots=True)
class Who:
    now: datetime
    only: Only = None  # the accounts that are looked at and touched
    by: str = ""  # who says so; empty: nobody asked for a line in the history


def note(tx: Tx, who: Who, about: Iterable[Pair | Held | Change], said: str, column: str = "") -> None:
    if who.by:
        entries = [e for one in about if (e := _entry(tx, who, one, f"{who.by}: {said}", column)) is not None]
        tx.history.add(entries)


def _entry(tx: Tx, who: Who, one: Pair | Held | Change, reason: str, column: str) -> Entry | None:
    match one:
        case Pair():
            return _line(who, one.account, one.kind, one, ("", "", ""), reason, column)
        case Held():
            pair = tx.pairs.get_many([one.pair_id]).get(one.pair_id) if one.pair_id is not None else None
            return _line(
                who, one.account, one.kind, pair, (one.collection, one.item, one.record), reason, column
            )
        case Change():
            pair = next((p for p in tx.pairs.find(one.item) if p.account == one.account), None)
            kind = pair.kind if pair else one.kind
            ecs = one.side is Side.ECS
            ids = (one.collection, one.item, "") if ecs else ("", "", one.item)
            # what was never read has no kind yet, and so no line; the log has who it was
            return _line(who, one.account, kind, pair, ids, reason, column) if kind is not None else None


def _line(
    who: Who,
    account: str,
    kind: Kind,
    pair: Pair | None,
    ids: tuple[str, str, str],
    reason: str,
    column: str,
) -> Entry:
    """``ids``: collection and id of the item, id of the record, where there is no pair."""
    collection, item, record = (pair.ecs_collection, pair.ecs_id, pair.crm_id) if pair else ids
    return Entry(
        cycle=NO_CYCLE,
        account=account,
        pair_id=pair.id if pair else None,
        kind=kind,
        ecs_collection=collection,
        ecs_id=item,
        crm_collection=pair.crm_collection if pair else "",
        crm_id=record,
        at=who.now,
        side=Side.ECS,
        action=Action.DECIDE,
        column=column,
        winner=PERSON,
        reason=reason,
    )
