"""Detect: ask every ECS collection what changed since the cursor, and put it into the sync table with the new cursor.
The CRM's part is ``poll``.

A lost cursor means a full listing by id and version. What is missing from it is only *suspected* to be gone: the load
phase reads each such item by its id before anything is concluded.
"""

import hashlib
import json
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from crmsync.connectors.contract import (
    Gone,
    Page,
    Record,
    Ref,
    Selection,
    Side,
    series_of,
)
from crmsync.connectors.errors import ConnectorError, CursorExpired
from crmsync.daemon.cycle.context import Context, Place, in_batches
from crmsync.daemon.cycle.contradicted import left_out
from crmsync.daemon.plan.match import matchable
from crmsync.state.model import Detected, IndexRow, Pair, PairState
from crmsync.state.transaction import Tx


def detect_ecs(cx: Context, place: Place, *, full: bool = False) -> None:
    scope = cx.scope(place)
    wanted = "" if cx.account.select_all else cx.account.tag
    selection = Selection(tag="" if matchable(place.collection.kinds) else wanted, look_only=cx.dry)
    with cx.state.reading() as tx:
        stored = json.loads(tx.cursors.get(scope) or "{}")
    rules = _rules_mark(cx, place)
    differently = bool(stored) and (stored.get("tag"), stored.get("rules", rules)) != (wanted, rules)
    cursor = None if full or differently else stored.get("cursor")
    pull = _Pull(scope, selection, wanted, rules, afresh=full or differently)
    try:
        try:
            _pull_ecs(cx, place, pull, cursor)
        except CursorExpired:
            _pull_ecs(cx, place, pull, None)
        cx.heard.add(place.key)
    except ConnectorError as error:
        cx.heard.discard(place.key)
        cx.broke(f"“{place.label}”", error, place.login)
        del cx.places[place.key]  # nothing more is asked of it in this cycle


@dataclass(frozen=True, slots=True)
class _Pull:
    scope: str
    selection: Selection  # what is asked of the server
    tag: str  # what the account wants
    rules: str  # of its columns: what was kept apart under other rules may have to be exchanged now
    afresh: bool  # look at every item again, whether its version is known or not

    def stored(self, page: Page) -> str:
        return json.dumps({"cursor": page.cursor, "tag": self.tag, "rules": self.rules})


def _rules_mark(cx: Context, place: Place) -> str:
    rules = cx.account.crm.rules
    some = [
        (k, c, r.direction, r.conflict) for k in place.collection.kinds for c, r in rules.get(k, {}).items()
    ]
    return hashlib.sha256(json.dumps(sorted(some)).encode()).hexdigest()[:16]


def _pull_ecs(cx: Context, place: Place, pull: _Pull, cursor: str | None) -> None:
    seen: set[str] = set()
    page = Page((), "")
    for page in place.connector.changes(cursor, pull.selection):
        with cx.state.transaction() as tx:
            for part in in_batches(page.items, 500):
                _record_ecs(cx, tx, place, part, pull.afresh)
            if cursor is None:
                seen.update(i.id for i in page.items)
            if cursor is not None:
                tx.cursors.put(pull.scope, pull.stored(page))
        cx.progress("detected", len(page.items))
    if (
        cursor is None
    ):  # only a listing that came to its end proves anything, and only then its cursor is worth keeping
        _suspect_missing(cx, place, seen)
        if not pull.selection.tag:
            _suspect_unlinked(cx, place, seen)
        with cx.state.transaction() as tx:
            tx.cursors.put(pull.scope, pull.stored(page))


def _record_ecs(
    cx: Context, tx: Tx, place: Place, items: Sequence[Record | Ref | Gone], afresh: bool
) -> None:
    """Our own writes coming back, and items that we have looked at in this version, are dropped here."""
    _become(cx, tx, place, [i for i in items if isinstance(i, Gone) and i.survivor])
    ids = [i.id for i in items]
    pairs = tx.pairs.by_ecs(cx.account.name, place.key, ids)
    known = tx.index.get(cx.account.name, place.key, ids)
    waiting = waiting_rows(cx.account.name, tx, place, Side.ECS, [i for i in items if isinstance(i, Gone)])
    detected = []
    for item in items:
        pair, row = pairs.get(item.id), known.get(item.id)
        if isinstance(item, Gone):
            if _concerns(item, pair, row) or item.id in waiting:
                detected.append(Detected(item.id, gone=True))
            continue
        if isinstance(item, Record):
            cx.records.put(place.key, [item])
        if not afresh and _seen_before(pair, row, item.version):
            continue
        detected.append(Detected(item.id, item.version))
    tx.queue.record(cx.account.name, Side.ECS, place.key, detected, cx.now())


def _become(cx: Context, tx: Tx, place: Place, items: Sequence[Gone]) -> None:
    """An event that has become a series, an occurrence that is held on another day: its link goes with it."""
    account = cx.account.name
    if not items:
        return
    pairs = tx.pairs.by_ecs(account, place.key, [i.id for i in items])
    taken = tx.pairs.by_ecs(account, place.key, [i.survivor for i in items])
    for item in items:
        pair = pairs.get(item.id)
        if pair is None or item.survivor in taken:
            continue
        # its UID is noted with the next merge; until then it must not be found by the one that it had
        tx.pairs.save(replace(pair, ecs_id=item.survivor, ecs_uid="", ecs_version=""))
        tx.queue.done_unless_changed(tx.queue.get(account, Side.ECS, place.key, [item.id]))
        tx.index.drop(account, place.key, [item.id])
        woken = [Detected(item.survivor, f"{item.id}#became")]
        tx.queue.record(account, Side.ECS, place.key, woken, cx.now())


def waiting_rows(
    account: str, tx: Tx, place: Place, side: Side, items: Sequence[Record | Ref | Gone]
) -> frozenset[str]:
    """What stands in the sync table, linked or not: parked or held items are looked at whatever became of them."""
    return frozenset(row.item for row in tx.queue.get(account, side, place.key, [i.id for i in items]))


def _concerns(item: Gone, pair: Pair | None, row: IndexRow | None) -> bool:
    """A server may tell of one delete again and again: of a link that was given up it is taken in once."""
    if pair is not None and pair.state is PairState.LINKED:
        return True
    # what it has become is told of as well
    return row is not None and (pair is not None or not item.survivor)


def _seen_before(pair: Pair | None, row: IndexRow | None, version: str) -> bool:
    if pair is not None and pair.state is PairState.LINKED:
        return pair.ecs_version == version
    return row is not None and row.version == version


def _suspect_missing(cx: Context, place: Place, seen: set[str]) -> None:
    _suspectwaiting_rows(cx, place, seen)
    after = 0
    while True:
        with cx.state.transaction() as tx:
            pairs = tx.pairs.iterate(
                cx.account.name, ecs_collection=place.key, crm_collection=None, after_id=after, limit=500
            )
            missing = [p for p in pairs if p.ecs_id not in seen and p.state is PairState.LINKED]
            suspects = [suspect(p.ecs_id, seen) for p in missing]
            tx.queue.record(cx.account.name, Side.ECS, place.key, suspects, cx.now())
        if not pairs:
            return
        after = pairs[-1].id


def _suspect_unlinked(cx: Context, place: Place, seen: set[str]) -> None:
    """What is known without a link and missing from a whole listing would stay in the match index for ever."""
    after = 0
    while True:
        with cx.state.transaction() as tx:
            rows = tx.index.iterate(cx.account.name, place.key, after_id=after)
            missing = [item for _, item in rows if item not in seen]
            linked = tx.pairs.by_ecs(cx.account.name, place.key, missing)
            detected = [Detected(item, gone=True) for item in missing if item not in linked]
            tx.queue.record(cx.account.name, Side.ECS, place.key, detected, cx.now())
        if not rows:
            return
        after = rows[-1][0]


def _suspectwaiting_rows(cx: Context, place: Place, seen: set[str]) -> None:
    with cx.state.transaction() as tx:
        rows = tx.queue.of_collection(cx.account.name, Side.ECS, place.key)
        missing = [suspect(item, seen) for item in rows if item not in seen]
        tx.queue.record(cx.account.name, Side.ECS, place.key, missing, cx.now())


def suspect(item: str, seen: Container[str]) -> Detected:
    """What is missing from a whole listing. An occurrence of a series that is there has perhaps only left the window:
    it is looked at, and nothing was left out."""
    return left_out(item) if series_of(item) in seen else Detected(item, gone=True)
