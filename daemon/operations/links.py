"""Linking and unlinking by hand."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from crmsync.connectors.contract import Side
from crmsync.daemon.cycle.agreed import entry
from crmsync.daemon.cycle.context import Context
from crmsync.daemon.cycle.givenup import make_room
from crmsync.daemon.cycle.linking import met
from crmsync.daemon.cycle.work import BY_HAND
from crmsync.daemon.operations.decide import wake
from crmsync.daemon.operations.finding import (
    NoSuchItem,
    living,
    opened,
    pairs_of,
    rows_named,
    rows_of,
)
from crmsync.daemon.operations.noting import Who
from crmsync.state.database import State
from crmsync.state.model import PERSON, Action, Pair, PairState
from crmsync.state.transaction import Tx


def link(state: State, contexts: Sequence[Context], item: str, record: str, who: Who) -> dict[str, Any]:
    """``item``: of the ECS side, or the CRM record that was held; ``record``: its partner. The next sync merges them by
    the account's ``first_link``."""
    cx, pair = _both(contexts, item, record)
    with state.lock(pair.account):
        cycle = cx.cycle
        with state.transaction() as tx:
            _demand_unlinked(tx, pair)
            make_room(cx, tx, pair)
            stored = tx.pairs.add(pair)
            names = {pair.ecs_id, pair.crm_id}
            met(tx, [stored])
            tx.queue.release([r.id for name in names for r in rows_named(tx, name, who.only)])
            by_hand = f"linked by hand ({who.by})" if who.by else "linked by hand"
            tx.history.add([entry(cx, cycle, stored, Side.ECS, Action.LINK, by_hand)])
            wake(tx, stored, cx.now())
            tx.cycles.finish(cycle, cx.now(), {}, [])
    return {"item": pair.ecs_id, "record": pair.crm_id, "account": pair.account}


def _demand_unlinked(tx: Tx, pair: Pair) -> None:
    known = (
        *tx.pairs.by_ecs(pair.account, pair.ecs_collection, [pair.ecs_id]).values(),
        *tx.pairs.by_crm(pair.account, pair.crm, pair.crm_collection, [pair.crm_id]).values(),
    )
    for other in known:
        if other.state is PairState.LINKED:
            raise NoSuchItem(
                f"{other.ecs_id} is linked to {other.crm_id} already; `crmsync unlink {other.ecs_id}` first"
            )


def _both(contexts: Sequence[Context], item: str, record: str) -> tuple[Context, Pair]:
    said: list[str] = []
    for cx in opened(contexts):
        for one, other in ((item, record), (record, item)):
            for place, ecs in living(cx, Side.ECS, one):
                for table, crm in living(cx, Side.CRM, other):
                    if crm.kind is ecs.kind:
                        return cx, Pair(
                            account=cx.account.name,
                            crm=cx.crm,
                            kind=ecs.kind,
                            ecs_collection=place.key,
                            ecs_id=ecs.id,
                            ecs_uid=ecs.uid,
                            crm_collection=table.key,
                            crm_id=crm.id,
                            reason=BY_HAND,
                            linked_at=cx.now(),
                            synced_at=cx.now(),
                        )
        said += [e["message"] for e in cx.errors]
    raise NoSuchItem(
        f"no account has both an item “{item}” and a CRM record “{record}”: {_why(contexts, item, record, said)}"
    )


def _why(contexts: Sequence[Context], item: str, record: str, said: Sequence[str]) -> str:
    """Which of the two is unknown, and where the others are. ``said``: which servers could not be asked."""
    unknown = [f"“{each}”" for each in (item, record) if not _is_there(contexts, each)]
    why = f"nobody shows {' or '.join(unknown)}" if unknown else "they are of different kinds or accounts"
    where = "`crmsync matches` and `crmsync queue` show ids, `crmsync explain ID` what is known of one"
    return "; ".join([why, where, *dict.fromkeys(said)])


def _is_there(contexts: Sequence[Context], item: str) -> bool:
    return any(True for cx in opened(contexts) for side in Side for _ in living(cx, side, item))


def unlink(state: State, contexts: Sequence[Context], item: str, who: Who) -> dict[str, Any]:
    """Both stay as they are; nothing is exchanged before the item has lost its tag and got it again."""
    pairs = pairs_of(state, item)
    for pair in pairs:
        _unlink(state, contexts, pair, who)
    accounts = ", ".join(p.account for p in pairs)
    return {"item": pairs[0].ecs_id, "record": pairs[0].crm_id, "account": accounts}


def _unlink(state: State, contexts: Sequence[Context], pair: Pair, who: Who) -> None:
    cx = next((c for c in contexts if c.account.name == pair.account), None)
    if cx is None:
        raise NoSuchItem(
            f"the account {pair.account} of “{pair.ecs_id}” is not in the configuration any more"
        )
    with state.lock(pair.account):
        cycle = cx.cycle
        with state.transaction() as tx:
            pair = tx.pairs.get(pair.id) or pair  # as the last sync has left it
            tx.pairs.save(replace(pair, state=PairState.UNLINKED, reason="unlinked by hand", untagged=False))
            tx.overtake([pair.id], cx.now())
            tx.queue.done([r.id for r in rows_of(tx, pair)])
            said = f"unlinked by hand ({who.by})" if who.by else "unlinked by hand"
            by_hand = entry(cx, cycle, pair, Side.ECS, Action.UNLINK, said)
            tx.history.add([replace(by_hand, winner=PERSON)])
            tx.cycles.finish(cycle, who.now, {"unlinked": 1}, [])
