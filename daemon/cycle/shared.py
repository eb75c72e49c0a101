"""Shared: an item that several accounts see is one item, and has one record, whoever sees it.

Each account has a link of its own. The first one to meet the item brings it into the CRM, the others link what that one
has linked, and follow it when the record, or the item, is made again. It is the same item where collection, id and UID
are the same. Of a mail everybody has a copy, in a mailbox that may be reached in any way, and of a meeting one in their
calendar: there the UID is enough (``meetings`` says who speaks for a meeting).
"""

from collections.abc import Sequence
from dataclasses import replace

from crmsync.connectors.abilities import Joining
from crmsync.connectors.contract import Columns, Gone, Record, Side
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.apply import park
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.linking import hold, met, new_pair
from crmsync.daemon.cycle.load import fetch, rights
from crmsync.daemon.cycle.meetings import has_copies
from crmsync.daemon.cycle.owners import seen_by_delegate
from crmsync.daemon.cycle.survey import Newcomer
from crmsync.daemon.cycle.work import Work
from crmsync.daemon.plan.match import keys_of
from crmsync.daemon.plan.normalise import same
from crmsync.state.model import HeldState, Pair, PairState, QueueState
from crmsync.state.snapshot import Mark, Snapshot
from crmsync.state.transaction import Tx
from crmsync.state.values import decode_columns, qualified

TAKEN = "already_linked"  # of a row whose item's former record is another one's by now
OUT_OF_REACH = "another account has brought it into the CRM, where this account's user may not see the record"


def by_others(cx: Context, newcomers: Sequence[Newcomer]) -> tuple[list[Work], list[Newcomer]]:
    """The links to what other accounts have linked, and the items that none of them has. What is in neither waits:
    until the other account knows what became of its create, or for a person."""
    with cx.state.reading() as tx:
        twins, under_way = _twins(cx, tx, newcomers), _under_way(cx, tx, newcomers)
    works: list[Work] = []
    left: list[Newcomer] = []
    for newcomer in newcomers:
        if newcomer.row.id in twins:
            joined = _joined(cx, newcomer, twins[newcomer.row.id])
            works += joined or ()
            left += [newcomer] if joined is None else []
        elif newcomer.row.id not in under_way:
            left.append(newcomer)
    return works, left


def forestalled(cx: Context, newcomers: Sequence[Newcomer], tx: Tx) -> frozenset[str]:
    """Those of the items, with their collections, that another account has brought into the CRM, or is about to."""
    linked = {row for row, pair in _twins(cx, tx, newcomers).items() if pair.state is PairState.LINKED}
    rows = linked | _under_way(cx, tx, newcomers)
    return frozenset(qualified(n.place.key, n.record.id) for n in newcomers if n.row.id in rows)


def made_again_by_others(cx: Context, pair: Pair, side: Side, tx: Tx) -> frozenset[str]:
    """The record of the pair, where another account that is linked to it is making it again and will go on trying, and
    ours has not begun to; or none."""
    again = tx.intents.creating(Side.CRM, [pair.crm_id]) if side is Side.CRM else []
    makers = tx.pairs.get_many(i.pair_id for i in again if i.pair_id is not None)
    here = (PairState.LINKED, pair.crm_collection, pair.crm_id)
    makers = {id: p for id, p in makers.items() if (p.state, p.crm_collection, p.crm_id) == here}
    there = {a.name for a in cx.bound}  # nobody else will ever say what became of it
    others = [p for p in makers.values() if p.account in there and _is_pending(tx, p)]
    return frozenset({pair.crm_id}) if others and pair.id not in makers else frozenset()


def _is_pending(tx: Tx, pair: Pair) -> bool:
    rows = (
        *tx.queue.get(pair.account, Side.ECS, pair.ecs_collection, [pair.ecs_id]),
        *tx.queue.get(pair.account, Side.CRM, pair.crm_collection, [pair.crm_id]),
    )
    return any(row.state in (QueueState.DUE, QueueState.WAITING) for row in rows)


def record_key(cx: Context, newcomer: Newcomer, account: str = "") -> str:
    """The external id of the record that is made for this item, by this account or another one."""
    uid, generation = newcomer.record.uid or newcomer.record.id, int(newcomer.row.code == TAKEN)
    return cx.signer.record_key(account or cx.account.name, newcomer.place.key, uid, generation)


def _under_way(cx: Context, tx: Tx, newcomers: Sequence[Newcomer]) -> frozenset[int]:
    """By row, those whose record another account is making at this moment."""
    items = [qualified(n.place.key, n.record.id) for n in newcomers]
    announced = tx.intents.creating(Side.CRM, items)
    there = {a.name for a in cx.bound} - {cx.account.name}  # nobody else will ever say what became of it
    others = [(i.account, i.key) for i in announced if i.account in there]
    copies = _copies_under_way(cx, tx, [n for n in newcomers if _has_copies(n)])
    return copies | frozenset(
        n.row.id for n in newcomers if any(key == record_key(cx, n, account) for account, key in others)
    )


def _copies_under_way(cx: Context, tx: Tx, newcomers: Sequence[Newcomer]) -> frozenset[int]:
    """Wherever the other account's copy stands: by what the record says."""
    found: set[int] = set()
    for kind in {n.record.kind for n in newcomers}:
        announced = [i for i in tx.intents.creating_kind(Side.CRM, kind) if i.account != cx.account.name]
        sent = {key for i in announced for key in keys_of(kind, decode_columns(kind, i.columns))}
        some = [n for n in newcomers if n.record.kind is kind]
        found |= {n.row.id for n in some if not sent.isdisjoint(keys_of(kind, n.record.columns))}
    return frozenset(found)


def _is_copy(newcomer: Newcomer) -> bool:
    """What is never made in its collection has come there from outside, to everybody for themselves."""
    return not newcomer.place.connector.capabilities.receives


def _has_copies(newcomer: Newcomer) -> bool:
    return _is_copy(newcomer) or has_copies(newcomer.record)


def _is_twin(cx: Context, newcomer: Newcomer, pair: Pair) -> bool:
    """Of one UID they are; but two collections may have items of one UID that are not the same."""
    if _has_copies(newcomer):
        return pair.kind is newcomer.record.kind
    here = (pair.ecs_collection, pair.ecs_id) == newcomer.item
    return here or seen_by_delegate(cx, newcomer.place, pair)


def _twins(cx: Context, tx: Tx, newcomers: Sequence[Newcomer]) -> dict[int, Pair]:
    """By row, another account's link of this very item, or else the one that it gave up when its own tag went: the
    record is still the item's. Of none about which a person has said what it is."""
    decided = tx.held.for_items(cx.account.name, [n.item for n in newcomers])
    answered = {item for item, held in decided.items() if held.state is not HeldState.HELD}
    known = tx.pairs.of_uids(cx.crm, [n.record.uid for n in newcomers if n.record.uid])
    found: dict[int, Pair] = {}
    for newcomer in newcomers:
        near = [p for p in known.get(newcomer.record.uid, ()) if _is_twin(cx, newcomer, p)]
        once = (p for p in near if p.account != cx.account.name and p.untagged)
        twin = next((p for p in near if _theirs(cx, p)), None) or next(once, None)
        if twin is not None and newcomer.item not in answered:
            found[newcomer.row.id] = twin
    return found


def _theirs(cx: Context, pair: Pair) -> bool:
    return pair.account != cx.account.name and pair.state is PairState.LINKED


def _joined(cx: Context, newcomer: Newcomer, twin: Pair) -> list[Work] | None:
    """What the two agreed on is what the other account's sides have agreed on. None: it is nobody's record any more."""
    place = cx.objects.get(twin.crm_collection)
    if place is None:
        return []
    try:
        (access,) = rights(cx, place, [twin.crm_id])
        if twin.state is PairState.UNLINKED and not (access.read and _stands(cx, place, twin.crm_id)):
            return None
        if access.read and not cx.dry and isinstance(place.connector, Joining):
            place.connector.join(twin.crm_id, cx.user)  # first: whoever dies after it does it again
    except ConnectorError as error:
        cx.broke(f"“{place.label}”", error, place.login)
        return []
    with cx.state.transaction() as tx:
        if not access.read:
            park(cx, tx, [newcomer.row], newcomer.record.id, "out_of_reach", OUT_OF_REACH)
            return []
        before = tx.pairs.by_crm(cx.account.name, cx.crm, place.key, [twin.crm_id]).get(twin.crm_id)
        if (
            before is not None and before.state is PairState.UNLINKED
        ):  # it was linked to what stood here before
            tx.close(before.id, cx.now())
            before = None
    if before is not None:
        reason = f"another account has linked it to {twin.crm_id}, which is linked to another item here"
        hold(cx, newcomer, Side.CRM, [twin.crm_id], TAKEN, reason)
        return []
    with cx.state.transaction() as tx:
        pair = tx.pairs.add(replace(new_pair(cx, newcomer, place, twin.crm_id), crm_owner=twin.crm_owner))
        met(tx, [pair])
        snapshot = tx.snapshots.get(twin.id)
        if snapshot is not None:
            marked = replace(snapshot, ecs=Mark(pair.ecs_id, ""), crm=Mark(pair.crm_id, ""))
            if _is_copy(newcomer):
                marked = replace(marked, kept={**marked.kept, Side.ECS: _own_marks(newcomer.record, marked)})
            tx.snapshots.put(pair.id, marked)
    return [Work(pair, [newcomer.row])]


def _stands(cx: Context, place: Place, record: str) -> bool:
    return isinstance(fetch(cx, place, [record]).get(record), Record)


def _own_marks(record: Record, snapshot: Snapshot) -> Columns:
    """A mail has a copy in each mailbox, with marks of its own: that they differ is nobody's edit."""
    agreed = snapshot.columns
    return {n: v for n, v in record.columns.items() if n in agreed and not same(v, agreed[n])}


# ── What another account has made again ──────────────────────────────────────────────────────────────────────


def follow_others(cx: Context, works: Sequence[Work]) -> None:
    """Where a record or an item is gone, another account may have made it again already: that is where it is now. Where
    that is linked to something else here, this account leaves it to the other one: made once more, it would be two."""
    for work in works:
        if isinstance(work.crm, Gone) and isinstance(work.ecs, Record):
            _follow_record(cx, work)
        elif isinstance(work.ecs, Gone) and isinstance(work.crm, Record):
            _follow_item(cx, work)


def _follow_record(cx: Context, work: Work) -> None:
    pair = work.pair
    with cx.state.reading() as tx:
        near = (p for p in _once_of_one_record(cx, tx, pair) if _theirs(cx, p))
        other = next((p for p in near if p.crm_id != pair.crm_id), None)
        taken = other and tx.pairs.by_crm(cx.account.name, cx.crm, other.crm_collection, [other.crm_id])
    place = cx.objects.get(other.crm_collection) if other is not None else None
    if other is None or place is None or (taken and not _let_go(cx, work, taken[other.crm_id], other.crm_id)):
        return
    try:
        answer = fetch(cx, place, [other.crm_id]).get(other.crm_id)
        (access,) = rights(cx, place, [other.crm_id])
    except ConnectorError as error:
        cx.broke(f"“{place.label}”", error, place.login)
        work.crm = None
        return
    if isinstance(answer, Record) and access.read:
        _moved(cx, work, replace(pair, crm_id=other.crm_id, crm_version=""))
        work.crm, work.access = answer, access


def _once_of_one_record(cx: Context, tx: Tx, pair: Pair) -> list[Pair]:
    """Links of the pair's very item, and of other items that had the record, too: of one customer two people have a
    card each, and of a call there is one in the log and one among the tasks."""
    found = tx.pairs.of_uids(cx.crm, [pair.ecs_uid]).get(pair.ecs_uid, []) if pair.ecs_uid else []
    same = [p for p in found if (p.ecs_collection, p.ecs_id) == (pair.ecs_collection, pair.ecs_id)]
    others = {a.name for a in cx.bound} - {cx.account.name}
    once = tx.history.once_linked(others, pair.crm_collection, pair.crm_id)
    return [*same, *tx.pairs.get_many(once).values()]


def let_go_before(cx: Context, tx: Tx, place: Place, records: Sequence[str]) -> dict[str, Pair]:
    """By record that another account has made again: the link that this account had to its former self, and gave up
    when that was deleted. Its item stands there still."""
    known = tx.pairs.accounts_of(cx.crm, place.key, records)
    theirs = {p.id: id for id, pairs in known.items() for p in pairs if _theirs(cx, p)}
    once = tx.history.records_of(theirs)
    former = {r: theirs[pair] for pair, some in once.items() for r in some if r != theirs[pair]}
    mine = tx.pairs.by_crm(cx.account.name, cx.crm, place.key, former)
    return {former[r]: pair for r, pair in mine.items() if pair.state is PairState.UNLINKED}


def _let_go(cx: Context, work: Work, before: Pair, id: str) -> bool:
    """Whether what it was linked to here is nothing any more."""
    if before.state is PairState.LINKED:
        work.taken = f"another account has made it again as {id}, which is linked to another item here"
        return False
    with cx.state.transaction() as tx:
        tx.close(before.id, cx.now())
    return True


def _follow_item(cx: Context, work: Work) -> None:
    pair = work.pair
    with cx.state.reading() as tx:
        found = tx.pairs.accounts_of(cx.crm, pair.crm_collection, [pair.crm_id]).get(pair.crm_id, [])
        near = [p for p in found if _theirs(cx, p) and p.ecs_collection == pair.ecs_collection]
        other = next((p for p in near if p.ecs_id != pair.ecs_id), None)
        taken = other and tx.pairs.by_ecs(cx.account.name, other.ecs_collection, [other.ecs_id])
    place = cx.places.get(pair.ecs_collection) if other is not None else None
    if other is None or place is None or (taken and not _let_go(cx, work, taken[other.ecs_id], other.ecs_id)):
        return
    try:
        answer = fetch(cx, place, [other.ecs_id]).get(other.ecs_id)
    except ConnectorError as error:
        cx.broke(f"“{place.label}”", error, place.login)
        work.ecs = None
        return
    if isinstance(answer, Record):
        _moved(cx, work, replace(pair, ecs_id=other.ecs_id, ecs_uid=other.ecs_uid, ecs_version=""))
        work.ecs = answer


def _moved(cx: Context, work: Work, pair: Pair) -> None:
    work.pair = pair
    with cx.state.transaction() as tx:
        tx.pairs.save(pair)
