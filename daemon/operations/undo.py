"""Undo: put the writes of one cycle back, on whichever side they were made.

Only the service's own writes are undone, never what people did: where a CRM edit had been carried into a vCard, the
vCard gets its old value back and the CRM keeps the edit. The difference that remains waits for a person like any
conflict that is to be asked about; otherwise the next cycle would do again what has just been undone. What people have
changed since stays as it is, and is reported.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from crmsync.connectors.contract import Side
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.context import Context
from crmsync.daemon.operations.finding import NoSuchItem, opened
from crmsync.daemon.operations.twins import look_around
from crmsync.daemon.operations.undo_columns import columns_back
from crmsync.daemon.operations.undo_items import link_again, put_back, take_away
from crmsync.daemon.operations.undoing import Undone
from crmsync.state.database import State
from crmsync.state.model import Action, Entry


def undo(state: State, contexts: Sequence[Context], cycle: int, by: str = "") -> dict[str, Any]:
    """``by``: who wants it, for the history. Raises NoSuchItem when there is no such cycle of these accounts."""
    with state.reading() as tx:
        entries = tx.history.of_cycle(cycle)
        known = tx.cycles.get(cycle)
    if known is None or known.account not in {cx.account.name for cx in contexts}:
        raise NoSuchItem(f"there is no cycle {cycle}; `crmsync history ITEM` names them")
    mine = [cx for cx in contexts if cx.account.name == known.account]
    undone, errors = Undone(), []
    for cx in opened(mine):
        with state.lock(known.account):
            if any((e.action, e.side) == (Action.DELETE, Side.ECS) for e in entries):
                look_around(cx)
            for some in _by_item(entries):
                _item(cx, some, undone)
            if cx.recorded:
                with state.transaction() as tx:
                    tx.history.sign(cx.cycle, by)
                    tx.cycles.finish(cx.cycle, cx.now(), {"updated": undone.done}, cx.errors)
        errors += cx.errors
    errors += [e for cx in mine for e in cx.errors if e not in errors]
    return {
        "cycle": cycle,
        "undone": undone.done,
        "kept": undone.kept,
        "partly": undone.partly,
        "errors": errors,
    }


def _by_item(entries: Sequence[Entry]) -> list[list[Entry]]:
    groups: dict[tuple[object, ...], list[Entry]] = defaultdict(list)
    for one in entries:
        groups[one.pair_id, one.ecs_id if one.pair_id is None else "", str(one.action), one.side].append(one)
    return list(reversed(groups.values()))  # the last one first, as with any undoing


def _item(cx: Context, entries: Sequence[Entry], undone: Undone) -> None:
    first = entries[0]
    try:
        match first.action:
            case Action.UPDATE:
                columns_back(cx, entries, undone)
            case Action.CREATE:
                take_away(cx, first, undone)
            case Action.DELETE:
                put_back(cx, entries, undone)
            case Action.UNLINK:
                link_again(cx, first, undone)
            case _:
                return
    except ConnectorError as error:
        for one in entries if first.action == Action.UPDATE else [first]:
            undone.keep(one, str(error))
