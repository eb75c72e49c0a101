"""What a person decides about held deletes, ambiguous matches, conflicts, and rows that were parked.

A decision is only noted here; the next sync carries it out, with everything it checks before any other write.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from crmsync.connectors.columns import with_group
from crmsync.connectors.contract import Side, Value
from crmsync.daemon.operations.finding import NoSuchItem, Only, pairs_of, rows_named, rows_of, within
from crmsync.daemon.operations.noting import Who, note
from crmsync.daemon.plan.reconcile import MADE_AGAIN
from crmsync.state.database import State
from crmsync.state.model import (
    DISPUTED,
    Change,
    Conflict,
    Detected,
    Held,
    HeldState,
    Pair,
    PairState,
    QueueState,
    What,
)
from crmsync.state.transaction import Tx
from crmsync.state.values import decode, type_of


def retry(state: State, items: Sequence[str], who: Who) -> dict[str, Any]:
    with state.transaction() as tx:
        if not items:
            accounts = [None] if who.only is None else sorted(who.only)
            return {"retried": sum(tx.queue.retry(account) for account in accounts)}
        found: list[Change] = []
        for item in items:
            rows = rows_named(tx, item, who.only)
            if not rows:
                raise NoSuchItem(f"“{item}” has no row in the sync table; `crmsync queue` lists them")
            found += rows
        note(tx, who, found, "it is tried again")
        return {"retried": tx.queue.retry(ids=[r.id for r in found])}


def abandon(state: State, item: str, who: Who) -> dict[str, Any]:
    """Give up on a parked change; the next edit of the item brings it back, or `retry` with its name."""
    with state.transaction() as tx:
        rows = [r for r in rows_named(tx, item, who.only) if r.state is QueueState.PARKED]
        if not rows:
            raise NoSuchItem(f"nothing parked is known as “{item}”; `crmsync rejected` lists what is")
        tx.queue.abandon([r.id for r in rows])
        note(tx, who, rows, "this change is given up")
        return {"abandoned": len(rows)}


def resolve(
    state: State, item: str, column: str, *, keep: str, value: str | None, who: Who
) -> dict[str, Any]:
    """Of an item that several accounts see, in each of them that has the conflict."""
    pairs = [p for p in pairs_of(state, item, who.only) if p.state is PairState.LINKED]
    if not pairs:
        raise NoSuchItem(f"“{item}” is not linked any more, so there is nothing to decide")
    said = f"the value of the {keep.upper()} side stands" if keep else "a value that was given stands"
    with state.transaction() as tx:
        waiting = [(p, c) for p in pairs if (c := tx.conflicts.get_for_item(p.id, column)) is not None]
        if not waiting:
            raise NoSuchItem(f"“{item}” has no conflict in column {column}; `crmsync conflicts` lists them")
        for pair, conflict in waiting:
            unit = with_group(pair.kind, frozenset({column}))
            together = [
                c for c in tx.conflicts.of_pair(pair.id) if c.cycle == conflict.cycle and c.column in unit
            ]
            for one in together:
                chosen = _chosen(one, keep, value if one.column == column else None)
                tx.conflicts.choose(one.id, keep or "value", chosen)
            wake(tx, pair, who.now)
            note(tx, who, [pair], said, column)
    return {"item": pairs[0].ecs_id, "column": column, "winner": keep or "value"}


def _chosen(conflict: Conflict, keep: str, value: str | None) -> Value:
    if keep:
        return conflict.ecs if keep == Side.ECS else conflict.crm
    if value is None:  # a column of the same group: it goes with what stands on the ECS side
        return conflict.ecs
    try:
        return decode(type_of(conflict.kind, conflict.column), value or None)
    except ValueError as error:
        raise NoSuchItem(f"what is given is no value for column {conflict.column}") from error


def look_again(state: State, item: str, who: Who) -> dict[str, Any]:
    """The next sync looks at it, whatever the servers report, and whether it was parked or waits for its turn."""
    with state.transaction() as tx:
        pairs = [p for p in tx.pairs.find(item) if within(who.only, p.account)]
        linked = [p for p in pairs if p.state is PairState.LINKED]
        rows = rows_named(tx, item, who.only)
        if not linked and not rows:
            raise NoSuchItem(f"“{item}” is neither linked nor in the sync table, so there is nothing to sync")
        tx.queue.retry(ids=[r.id for r in rows])
        for pair in linked:
            wake(tx, pair, who.now)
    return {"accounts": sorted({p.account for p in linked} | {r.account for r in rows})}


def wake(tx: Tx, pair: Pair, now: datetime) -> None:
    """Put a linked pair into the sync table, so that the next sync looks at it whatever the servers report."""
    woken = f"{pair.ecs_version}#{int(now.timestamp() * 1e6)}"
    tx.queue.record(pair.account, Side.ECS, pair.ecs_collection, [Detected(pair.ecs_id, woken)], now)


def deletions(state: State, *, approve: bool, items: Sequence[str], who: Who) -> dict[str, Any]:
    """Approve: carry them out. Reject: they were a mistake, and the next sync puts back what is gone; ``notes`` say
    what of it nobody has any more."""
    decision = HeldState.APPROVED if approve else HeldState.REJECTED
    with state.transaction() as tx:
        held = _named(_held(tx, What.DELETE, who.only), items)
        tx.held.set_state([h.id for h in held], decision)
        pairs = tx.pairs.get_many([h.pair_id for h in held if h.pair_id is not None])
        tx.queue.release([r.id for p in pairs.values() for r in rows_of(tx, p)])
        for account in {h.account for h in held}:
            tx.queue.bring_forward([r.id for r in tx.queue.coded(account, DISPUTED)], who.now)
        note(tx, who, held, f"the deletion is {decision.value}")
    if approve:
        return {"approved": len(held)}
    notes = [
        f"What was deleted is {text}." for text in MADE_AGAIN.values() if any(text in h.reason for h in held)
    ]
    return {"rejected": len(held), "notes": notes}


def match(state: State, item: str, *, create: bool, who: Who) -> dict[str, Any]:
    """Create: it has no partner. Otherwise it is ignored from now on."""
    decision = HeldState.APPROVED if create else HeldState.REJECTED
    with state.transaction() as tx:
        held = _named(_held(tx, What.MATCH, who.only), [item])
        tx.held.set_state([h.id for h in held], decision)
        tx.queue.release([r.id for h in held for r in _rows(tx, h, who.only)])
        note(tx, who, held, "it gets a partner of its own" if create else "it is left alone")
    return {"item": item, "decision": "create" if create else "ignore"}


def _held(tx: Tx, what: What, only: Only) -> list[Held]:
    return [h for h in tx.held.listing(None, what, HeldState.HELD) if within(only, h.account)]


def _rows(tx: Tx, held: Held, only: Only) -> list[Change]:
    """Of the sync table, that wait for the answer."""
    if held.collection:
        return tx.queue.get(held.account, Side.ECS, held.collection, [held.item])
    return rows_named(tx, held.item or held.record, only)


def _named(held: Sequence[Held], items: Sequence[str]) -> list[Held]:
    if not items:
        return list(held)
    chosen = []
    for item in items:
        some = [h for h in held if named(h, item)]
        if not some:
            raise NoSuchItem(f"nothing is held that is known as “{item}”")
        if len(places := {_full(h) for h in some if h.collection}) > 1:
            raise NoSuchItem(f"“{item}” stands in several places; name one: {', '.join(sorted(places))}")
        chosen += some
    return chosen


def named(held: Held, item: str) -> bool:
    if item in (held.item, held.record):
        return True
    if held.collection:
        return item in (_full(held), f"{held.collection}/{held.item}")
    return bool(held.item) and item.endswith(f"/{held.item}")


def _full(held: Held) -> str:
    return f"{held.collection.rstrip('/')}/{held.item}"
