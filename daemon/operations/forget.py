"""Forget a person: every trace in the state, and what keeps them from being imported again without naming them."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from crmsync.connectors.contract import Columns, Delete, Record, Side
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.apply import Task, carry_out
from crmsync.daemon.cycle.context import Context
from crmsync.daemon.cycle.load import fetch
from crmsync.daemon.cycle.stamps import Signer
from crmsync.daemon.operations import forget_calls
from crmsync.daemon.operations.finding import NoSuchItem, opened
from crmsync.daemon.plan.normalise import email_key
from crmsync.daemon.telephony.keeping import Keeping
from crmsync.state.database import State
from crmsync.state.model import Pair


def forget(
    state: State,
    contexts: Sequence[Context],
    signer: Signer,
    address: str,
    *,
    everywhere: bool,
    calls: Keeping | None = None,
) -> dict[str, Any]:
    """``everywhere``: delete the items on both sides too; what a server refuses is reported and can be done by hand.
    The call log is ours: a call leaves it in any case."""
    _check(address)
    pairs = _pairs_with(state, contexts, address)
    person = forget_calls.person(state, pairs, address, calls.regions if calls else ())
    logged = calls.calls_with(state, person) if calls else []
    told = [*(calls.pairs(state, logged) if calls else ())]
    told += forget_calls.linked_calls(state, person, [cx.account.name for cx in contexts])
    told = forget_calls.sharing(state, told)
    pairs = list({pair.id: pair for pair in (*pairs, *told)}.values())
    errors: list[dict[str, Any]] = []
    deleted = 0
    accounts = sorted({pair.account for pair in pairs})
    with ExitStack() as held:
        for account in accounts:
            held.enter_context(state.lock(account))
        if everywhere:
            for cx in opened(contexts):
                mine = [p for p in pairs if p.account == cx.account.name]
                deleted += sum(_delete(cx, p, side) for p in mine for side in Side)
                errors += cx.errors
        # first of all: who is known to be forgotten is found again after a crash
        with state.transaction() as tx:
            tx.forgotten.add(signer.forgotten([email_key(address)]))
            tx.forgotten.add(forget_calls.signatures(signer, told, [key for _, key in logged]))
        if calls:
            calls.erase(logged)  # before the links, which lead to it
        with state.transaction() as tx:
            for account in accounts:
                tx.erase([p.id for p in pairs if p.account == account], account)
            tx.erase_address(address)
    state.scrub()
    return {"forgotten": len(pairs), "calls": len(logged), "deleted": deleted, "errors": errors}


def _check(address: str) -> None:
    """A part of an address, or nothing, would be found in what is known of many."""
    name, at, host = address.strip().rpartition("@")
    if not (name and at and host) or any(c.isspace() for c in name + host):
        raise NoSuchItem(f"“{address}” is no e-mail address; name the whole address of the person to forget")


def _pairs_with(state: State, contexts: Sequence[Context], address: str) -> list[Pair]:
    wanted = email_key(address)
    found = []
    for cx in contexts:
        after = 0
        while True:
            with state.reading() as tx:
                pairs = tx.pairs.iterate(cx.account.name, after_id=after, limit=500)
                snapshots = tx.snapshots.get_many([p.id for p in pairs])
                histories = {p.id for p in pairs if p.id not in snapshots and _in_history(tx, p, wanted)}
            if not pairs:
                break
            after = pairs[-1].id
            found += [
                p
                for p in pairs
                if p.id in histories or (p.id in snapshots and _names(snapshots[p.id].columns, wanted))
            ]
    return found


def _in_history(tx: Any, pair: Pair, wanted: str) -> bool:
    return any(
        isinstance(v, str) and email_key(v) == wanted
        for e in tx.history.of_item(pair.id)
        for v in (e.old, e.new)
    )


def _names(columns: Columns, wanted: str) -> bool:
    texts = [t for v in columns.values() for t in (v if isinstance(v, tuple) else (v,))]
    return any(isinstance(t, str) and "@" in t and email_key(t) == wanted for t in texts)


def _delete(cx: Context, pair: Pair, side: Side) -> int:
    key, id = pair.on(side)
    place = cx.place(side, key)
    if place is None:
        return 0
    try:
        record = fetch(cx, place, [id]).get(id)
        if not isinstance(record, Record):
            return 0
        task = Task(place, side, Delete(id, record.version), id, pair.kind, "forgotten on request", pair.id)
        carry_out(cx, [task])
    except ConnectorError as error:
        cx.broke(f"“{place.label}”", error, place.login)
        return 0
    with cx.state.transaction() as tx:
        tx.intents.close(task.intents)
    if task.done is None:
        cx.fail(id, "not_deleted", f"{id} could not be deleted; delete it by hand", retry=False)
        return 0
    return 1
