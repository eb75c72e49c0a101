"""Delegation: what somebody tags in another person's collection enters the CRM through the account of that person, as
that person's record; the delegate's own account leaves it to that one, and never makes a second.

The owner is whoever the server says owns the collection (``Collection.owner``), never an organizer or a sender. Where
no account answers for the owner, as for an address book of a team, whoever meets the item first brings it in
(``shared.py``).
"""

from collections import defaultdict
from collections.abc import Sequence

from crmsync.connectors.contract import Record, Side
from crmsync.daemon.account import Account
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.owners import known_to, owner_account
from crmsync.daemon.cycle.survey import Newcomer, left_entry, note_left
from crmsync.state.model import WAITS_FOR_OWNER, Change
from crmsync.state.transaction import Tx

_ONLY_SEEN = ", and which this account may only read"


def own(cx: Context, newcomers: Sequence[Newcomer]) -> list[Newcomer]:
    """Those that are this account's to bring into the CRM. The others wait until their owner's account has them."""
    mine: list[Newcomer] = []
    theirs: dict[str, list[Newcomer]] = defaultdict(list)
    owners: dict[str, Account] = {}
    for newcomer in newcomers:
        owner = owner_account(cx, newcomer.place)
        if owner is None:
            mine.append(newcomer)
        else:
            owners[newcomer.place.key] = owner
            theirs[newcomer.place.key].append(newcomer)
    for key, some in theirs.items():
        _leave_to(cx, owners[key], some)
    return mine


def _leave_to(cx: Context, owner: Account, newcomers: Sequence[Newcomer]) -> None:
    """All of one collection."""
    place = newcomers[0].place
    with cx.state.reading() as tx:
        ids = known_to(tx, owner, place.key, [n.record for n in newcomers])
    known = {n.row.id for n in newcomers if n.record.id in ids}
    unwanted = {n.row.id: why for n in newcomers if (why := _unwanted(owner, place, n.record))}
    waiting = [n for n in newcomers if n.row.id not in known and n.row.id not in unwanted]
    note_left(
        cx,
        place,
        Side.ECS,
        [(n.row, n.record, unwanted[n.row.id]) for n in newcomers if n.row.id in unwanted],
    )
    if cx.dry:
        return
    _wait(cx, owner, place, waiting)
    with cx.state.transaction() as tx:
        tx.queue.done_unless_changed([n.row for n in newcomers if n.row.id in known])


def _wait(cx: Context, owner: Account, place: Place, newcomers: Sequence[Newcomer]) -> None:
    """The first time it stands in the history, too: through this account the tag was seen first."""
    why = f"{_for(owner)}“{place.label}” it is" + ("" if place.collection.writable else _ONLY_SEEN)
    tagged = f"tagged; it is in a collection of account {owner.name}, which brings it into the CRM"
    fresh = [n for n in newcomers if n.row.code != WAITS_FOR_OWNER]
    cycle = cx.cycle if fresh else 0
    with cx.state.transaction() as tx:
        for newcomer in newcomers:
            pause = cx.retries.wait(newcomer.row.attempts, None, cx.jitter())
            tx.queue.defer([newcomer.row.id], cx.now() + pause, WAITS_FOR_OWNER, why)
        tx.history.add([left_entry(cx, cycle, place, Side.ECS, n.record, tagged) for n in fresh])


def _unwanted(owner: Account, place: Place, record: Record) -> str:
    """Why the owner's account will not take it, or nothing."""
    if owner.leaves_out(place.key):
        return f"it is in a collection of account {owner.name}, which leaves that out (`collections`)"
    if not owner.selected(record):
        return f"it is in a collection of account {owner.name}, whose tag (“{owner.tag}”) it does not carry"
    return f"marked private: account {owner.name} keeps it out of the CRM" if owner.keeps_out(record) else ""


def hear_owners(cx: Context) -> None:
    """What has waited for an owner's account is over once that has a link for it, and also when this account no longer
    sees the collection: a share that was withdrawn takes nothing with it."""
    with cx.state.reading() as tx:
        rows = tx.queue.coded(cx.account.name, WAITS_FOR_OWNER)
        if not rows or cx.dry:
            return
        over = _answered(cx, tx, rows)
    if all(m.answered or m.barred for m in cx.account.mailboxes):
        over += [r for r in rows if r.collection not in cx.chosen]
    if over:
        with cx.state.transaction() as tx:
            tx.queue.done_unless_changed(over)


def _answered(cx: Context, tx: Tx, rows: Sequence[Change]) -> list[Change]:
    over: list[Change] = []
    for key in dict.fromkeys(r.collection for r in rows):
        some = [r for r in rows if r.collection == key]
        linked = tx.pairs.of_items(cx.crm, key, [r.item for r in some])
        called = _linked_by_owner(cx, tx, key, some)
        over += [
            r
            for r in some
            if r.item in called or any(p.account != cx.account.name for p in linked.get(r.item, ()))
        ]
    return over


def _linked_by_owner(cx: Context, tx: Tx, key: str, rows: Sequence[Change]) -> frozenset[str]:
    """The owner's account may see the collection under another name, or over another protocol."""
    place = cx.places.get(key)
    owner = owner_account(cx, place) if place is not None else None
    if owner is None:
        return frozenset()
    uids = {i: row.uid for i, row in tx.index.get(cx.account.name, key, [r.item for r in rows]).items()}
    known = tx.pairs.by_uids(owner.name, [uid for uid in uids.values() if uid])
    return frozenset(item for item, uid in uids.items() if uid in known)


def taggers(cx: Context, newcomers: Sequence[Newcomer]) -> dict[int, str]:
    """By row, the account of the delegate through which the item was seen to be tagged before its owner's saw it."""
    if not newcomers or all(a is cx.account for a in cx.bound):
        return {}
    with cx.state.reading() as tx:
        waiting = tx.queue.waiting_with_uids(WAITS_FOR_OWNER, _for(cx.account))
    at: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row, uid in waiting:
        if row.error.endswith(_ONLY_SEEN):
            continue
        at[row.collection, row.item].add(row.account)
        if uid:
            at["", uid].add(row.account)
    found: dict[int, str] = {}
    for newcomer in newcomers:
        here = at.get((newcomer.place.key, newcomer.record.id), set())
        names = here | (at.get(("", newcomer.record.uid), set()) if newcomer.record.uid else set())
        if names:
            found[newcomer.row.id] = ", ".join(sorted(names))
    return found


def _for(owner: Account) -> str:
    """How the note of what waits begins."""
    return f"it waits for account {owner.name}, in whose collection "
