"""What a person has decided and no sync has carried out yet, and changing one's mind about it."""

from typing import Any

from crmsync.connectors.contract import Side
from crmsync.daemon.operations.decide import named
from crmsync.daemon.operations.finding import NoSuchItem, Only
from crmsync.daemon.operations.noting import Who, note
from crmsync.state.database import State
from crmsync.state.model import Conflict, Detected, HeldState, What
from crmsync.state.transaction import Tx


def take_back(state: State, item: str, who: Who) -> dict[str, Any]:
    """What was decided of it and is not carried out yet, waits again. An item that was to be left alone, too."""
    with state.transaction() as tx:
        held = [h for h in tx.held.decided(who.only) if named(h, item)]
        chosen = [c for c in tx.conflicts.decided(who.only) if item in _names(tx, c)]
        if not held and not chosen:
            raise NoSuchItem(f"nothing that is decided and not carried out is known as “{item}”")
        tx.held.set_state([h.id for h in held], HeldState.HELD)
        for one in held:
            if one.what is What.MATCH and one.collection:
                woken = Detected(one.item, f"#{int(who.now.timestamp() * 1e6)}")
                tx.queue.record(one.account, Side.ECS, one.collection, [woken], who.now)
        note(tx, who, held, "the decision is taken back")
        pairs = tx.pairs.get_many([c.pair_id for c in chosen])
        for conflict in chosen:
            tx.conflicts.reopen(conflict.id)
            about = [pairs[conflict.pair_id]] if conflict.pair_id in pairs else []
            note(tx, who, about, "the decision is taken back", conflict.column)
    return {"item": item, "taken_back": len(held) + len(chosen)}


def decided(state: State, only: Only, limit: int | None = None) -> list[dict[str, Any]]:
    """What is decided and not carried out yet, and what is left alone."""
    with state.reading() as tx:
        held = tx.held.decided(only, limit)
        chosen = tx.conflicts.decided(only, limit if limit is None else limit - len(held))
        pairs = tx.pairs.get_many({c.pair_id for c in chosen})
    rows = [
        {
            "item": h.item or h.record,
            "collection": h.collection,
            "account": h.account,
            "what": f"{'deletion' if h.what is What.DELETE else 'match'} {h.state.value}",
            "at": h.at.isoformat(timespec="seconds"),
        }
        for h in held
    ]
    return rows + [
        {
            "item": pairs[c.pair_id].ecs_id if c.pair_id in pairs else c.item,
            "collection": pairs[c.pair_id].ecs_collection if c.pair_id in pairs else "",
            "account": c.account,
            "what": f"{c.column}: {'a given value' if c.winner == 'value' else str(c.winner).upper()}",
            "at": c.at.isoformat(timespec="seconds"),
        }
        for c in chosen
    ]


def _names(tx: Tx, conflict: Conflict) -> set[str]:
    """Under which a person knows its item."""
    pair = tx.pairs.get(conflict.pair_id)
    if pair is None:
        return {conflict.item, conflict.record}
    full = f"{pair.ecs_collection.rstrip('/')}/{pair.ecs_id}"
    return {pair.ecs_id, pair.crm_id, full, f"{pair.ecs_collection}/{pair.ecs_id}"}
