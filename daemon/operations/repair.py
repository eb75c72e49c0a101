"""What may be wrong with the state itself: found by ``crmsync check``, which says what it would do, and put right by
``crmsync check --repair``, which says what it did. Nothing happens without the second; twice does nothing more.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from crmsync.connectors.contract import Side
from crmsync.daemon.cycle import doubt
from crmsync.daemon.cycle.context import Context
from crmsync.daemon.cycle.stamps import Signer
from crmsync.daemon.operations.undoing import UNDO
from crmsync.state.database import State
from crmsync.state.errors import Locked, StateError
from crmsync.state.model import Detected, Intent, Pair, PairState
from crmsync.state.transaction import Tx

DO_IT = "crmsync check --repair"
OTHER_KEY = (
    "the key of the link stamps (link.key) is not the one that this state was made with: nothing is synced"
)
RESTORE_KEY = f"restore the file from the backup; if it is lost for good: {DO_IT}"
_KEY = "key"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong, in words, with what helps; ``mend`` says what it did."""

    name: str
    message: str
    proposal: str
    mend: Callable[[], str] | None = None  # None: only a person can do something about it
    ok: bool = True  # false: nothing works until it is mended

    def line(self) -> dict[str, Any]:
        return {"name": self.name, "ok": self.ok, "message": self.message, "hint": self.proposal}


def findings(state: State, signer: Signer, contexts: Sequence[Context]) -> Iterator[Finding]:
    if not key_fits(state, signer):
        yield Finding("key", OTHER_KEY, RESTORE_KEY, lambda: _take_key(state, signer, contexts), ok=False)
    for cx in contexts:
        yield from _of_account(state, cx)


def mended(state: State, signer: Signer, contexts: Sequence[Context]) -> Iterator[dict[str, Any]]:
    """A line for everything that was put right, and for what was not."""
    for finding in list(findings(state, signer, contexts)):
        if finding.mend is None:
            yield finding.line()
            continue
        try:
            yield {"name": finding.name, "ok": True, "message": finding.mend(), "hint": ""}
        except Locked as error:
            yield {"name": finding.name, "ok": False, "message": error.message, "hint": error.hint}


# ── The key ──────────────────────────────────────────────────────────────────────────────────────────────────


def key_fits(state: State, signer: Signer) -> bool:
    with state.reading() as tx:
        return tx.meta.get(_KEY) in (None, signer.fingerprint)


def demand_key(state: State, signer: Signer) -> None:
    """Raises StateError where the state was made with another key: hashes of another key find nobody, neither the
    person's own card nor somebody who was forgotten on request. A state that has no key yet takes this one."""
    if not key_fits(state, signer):
        raise StateError(OTHER_KEY, RESTORE_KEY)
    with state.reading() as tx:
        known = tx.meta.get(_KEY)
    if known is None:
        with state.transaction() as tx:
            tx.meta.put(_KEY, signer.fingerprint)


def _take_key(state: State, signer: Signer, contexts: Sequence[Context]) -> str:
    """What hangs on the key is made anew: the index with the next listing, the stamps with the next merge."""
    links = 0
    for cx in contexts:
        with state.lock(cx.account.name), state.transaction() as tx:
            for scope in tx.cursors.scopes(f"ecs/{cx.account.name}/"):
                tx.cursors.remove(scope)
                tx.index.clear(cx.account.name, scope.removeprefix(f"ecs/{cx.account.name}/"))
            for pair in tx.pairs.listing(cx.account.name):
                if pair.state is PairState.LINKED:
                    tx.pairs.save(replace(pair, generation=0))
                    _wake(tx, cx, pair, "signed")
                    links += 1
    with state.transaction() as tx:
        lost = tx.forgotten.clear()
        tx.meta.put(_KEY, signer.fingerprint)
    said = f"the new key is taken; {links} links are signed with it in the next sync"
    return (
        f"{said}; {lost} people who were forgotten on request are not known any more: forget them again"
        if lost
        else said
    )


# ── An account's links and announced writes ──────────────────────────────────────────────────────────────────


def _of_account(state: State, cx: Context) -> Iterator[Finding]:
    account = cx.account.name
    with state.reading() as tx:
        found = doubt.current(tx, account)
        bare = len(_bare(tx, cx))
        stale = len(_stale(tx, cx))
        undoing = _undoing(tx, account)
    if found is not None and not found.over:
        yield Finding(
            f"{account}: state", found.sentence, f"crmsync sync {account}, then decide what is held"
        )
    if bare:
        yield Finding(
            f"{account}: links",
            f"{bare} links have no snapshot: what the two last agreed on is not known",
            f"{DO_IT} has the next sync compare them; where they differ, a person is asked about those whose items "
            "bear a link stamp, and the account's `first_link` decides about the others",
            lambda: _compare_anew(state, cx),
        )
    for cycle in undoing:
        yield Finding(
            f"{account}: undo",
            f"the undo of cycle {cycle} was interrupted: whether all that it deletes is gone is not known",
            f"crmsync undo {cycle} once more",
        )
    if stale:
        yield Finding(
            f"{account}: announced writes",
            f"{stale} writes were announced, and nothing waits for them any more",
            f"{DO_IT} looks at their items once more, and forgets those whose item is not linked",
            lambda: _look_again(state, cx),
        )


def _bare(tx: Tx, cx: Context) -> list[Pair]:
    linked = [p for p in tx.pairs.listing(cx.account.name) if p.state is PairState.LINKED]
    waiting = [p for p in linked if not tx.queue.get(p.account, Side.ECS, p.ecs_collection, [p.ecs_id])]
    known = tx.snapshots.get_many([p.id for p in waiting])
    return [p for p in waiting if p.id not in known]


def _compare_anew(state: State, cx: Context) -> str:
    with state.lock(cx.account.name), state.transaction() as tx:
        bare = _bare(tx, cx)
        for pair in bare:
            _wake(tx, cx, pair, "repair")
    return f"{len(bare)} links are compared anew in the next sync"


def _stale(tx: Tx, cx: Context) -> list[Intent]:
    """A create is repeated, or found, when its item changes; the others are looked for with their pair's row only; and
    an undo that was interrupted is asked for again: what it announced is all that is left of what it deleted."""
    account = cx.account.name
    return [
        intent
        for intent in tx.intents.open(account)
        if intent.action != "create" and not _of_undo(tx, intent) and not _awaited(tx, account, intent)
    ]


def _undoing(tx: Tx, account: str) -> list[str]:
    """The cycles whose undo was interrupted while it deleted."""
    return sorted({cycle for intent in tx.intents.open(account) if (cycle := _of_undo(tx, intent))})


def _of_undo(tx: Tx, intent: Intent) -> str:
    """The number of the cycle, or nothing."""
    pair = tx.pairs.get(intent.pair_id) if intent.pair_id is not None else None
    if pair is None or intent.action != "delete" or pair.state is not PairState.UNLINKED:
        return ""
    return pair.reason.removeprefix(UNDO) if pair.reason.startswith(UNDO) else ""


def _awaited(tx: Tx, account: str, intent: Intent) -> bool:
    if tx.queue.get(account, intent.side, intent.collection, [intent.item]):
        return True
    pair = tx.pairs.get(intent.pair_id) if intent.pair_id is not None else None
    return pair is not None and bool(
        tx.queue.get(account, Side.ECS, pair.ecs_collection, [pair.ecs_id])
        or tx.queue.get(account, Side.CRM, pair.crm_collection, [pair.crm_id])
    )


def _look_again(state: State, cx: Context) -> str:
    with state.lock(cx.account.name), state.transaction() as tx:
        stale = _stale(tx, cx)
        pairs = tx.pairs.get_many([i.pair_id for i in stale if i.pair_id is not None])
        linked = {id: p for id, p in pairs.items() if p.state is PairState.LINKED}
        for pair in linked.values():
            _wake(tx, cx, pair, "repair")
        gone = [i.id for i in stale if i.pair_id not in linked]
        tx.intents.close(gone)
    return f"{len(stale) - len(gone)} items are looked at in the next sync, {len(gone)} announced writes are forgotten"


def _wake(tx: Tx, cx: Context, pair: Pair, why: str) -> None:
    change = Detected(pair.ecs_id, f"{pair.ecs_version}#{why}")
    tx.queue.record(pair.account, Side.ECS, pair.ecs_collection, [change], cx.now())
