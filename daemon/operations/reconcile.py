"""Reconciliation: compare completely what is there with what is linked, one listing per collection, no fetches.

What is missing is only suspected to be gone: it is put into the sync table, and the next cycle reads each such item by
its id before it concludes anything. What is there and unknown, though no change listing has told of it (it became
visible, or a server was restored from a backup), is put there too.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from crmsync.connectors.abilities import Settling
from crmsync.connectors.contract import Ref, Side, series_of
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.context import Context, Place, in_batches
from crmsync.daemon.cycle.linked import Removal
from crmsync.daemon.cycle.opening import open_crm, open_mailboxes
from crmsync.daemon.cycle.poll import cover
from crmsync.daemon.cycle.removals import remove
from crmsync.daemon.cycle.work import Work
from crmsync.daemon.plan.match import matchable
from crmsync.daemon.plan.reconcile import OUT_OF_SIGHT, Unlink
from crmsync.state.model import Detected, Pair, PairState
from crmsync.state.transaction import Tx
from crmsync.state.values import qualified


def reconcile(cx: Context) -> None:
    """The caller holds the account's lock, and syncs afterwards."""
    open_mailboxes(cx)
    answers = open_crm(cx)
    for place in list(cx.places.values()):
        _compare(cx, place, Side.ECS)
    if answers:
        for place in list(cx.objects.values()):
            _compare(cx, place, Side.CRM)
    _vanished_collections(cx)


def _compare(cx: Context, place: Place, side: Side) -> None:
    try:
        there = {ref.id: ref for ref in place.connector.listing()}  # complete, or an exception
        _notice_missing(cx, place, side, there)
        if side is Side.ECS:
            _notice_items(cx, place, there)
        elif place.collection.kinds & cx.kinds():
            _notice_records(cx, place, there)
    except ConnectorError as error:
        cx.broke(f"“{place.label}”", error, place.login)


def _notice_missing(cx: Context, place: Place, side: Side, there: Mapping[str, Ref]) -> None:
    ecs, crm = (place.key if side is s else None for s in Side)
    for pairs in _linked(cx, ecs, crm):
        suspects = [d for p in pairs if (d := _suspect(p, place, side, there)) is not None]
        if suspects:
            with cx.state.transaction() as tx:
                tx.queue.record(cx.account.name, side, place.key, suspects, cx.now())
    with cx.state.transaction() as tx:  # and what waits there without a link
        waiting = tx.queue.of_collection(cx.account.name, side, place.key)
        missing = [Detected(id, gone=True) for id in waiting if series_of(id) not in there]
        tx.queue.record(cx.account.name, side, place.key, missing, cx.now())


def _suspect(pair: Pair, place: Place, side: Side, there: Mapping[str, Ref]) -> Detected | None:
    id, version = (pair.ecs_id, pair.ecs_version) if side is Side.ECS else (pair.crm_id, pair.crm_version)
    if id not in there:  # of a series, the listing says that it is there, and no more
        return None if series_of(id) in there else Detected(id, gone=True)
    connector, told = place.connector, there[id].version
    settled = connector.settled(version) if isinstance(connector, Settling) else version
    if told not in (version, settled):
        return Detected(id, told)  # a change that no change listing has told us of
    return None


def _notice_items(cx: Context, place: Place, there: Mapping[str, Ref]) -> None:
    """Where the match index knows every item. Where the server does the selecting, it knows only what was selected."""
    if not matchable(place.collection.kinds):
        return
    for some in in_batches(there.values(), 500):
        with cx.state.transaction() as tx:
            unknown = _without_pair(cx, tx, place, Side.ECS, some)
            known = tx.index.get(cx.account.name, place.key, [r.id for r in unknown])
            told = [Detected(r.id, r.version) for r in unknown if r.id not in known]
            tx.queue.record(cx.account.name, Side.ECS, place.key, told, cx.now())


def _notice_records(cx: Context, place: Place, there: Mapping[str, Ref]) -> None:
    selection = cx.account.selection(cx.user)
    if selection.condition:  # only the CRM can say what meets it
        cover(cx, place, again=True)
    if not selection.owner:
        return
    for some in in_batches((r for r in there.values() if r.owner == selection.owner), 500):
        with cx.state.transaction() as tx:
            told = [Detected(r.id, r.version) for r in _without_pair(cx, tx, place, Side.CRM, some)]
            tx.queue.record(cx.account.name, Side.CRM, place.key, told, cx.now())


def _without_pair(cx: Context, tx: Tx, place: Place, side: Side, refs: list[Ref]) -> list[Ref]:
    account, ids = cx.account.name, [r.id for r in refs]
    pairs = (
        tx.pairs.by_ecs(account, place.key, ids)
        if side is Side.ECS
        else tx.pairs.by_crm(account, cx.crm, place.key, ids)
    )
    return [r for r in refs if r.id not in pairs or (side is Side.ECS and _was_out_of_sight(pairs[r.id]))]


def _was_out_of_sight(pair: Pair) -> bool:
    """Its collection came back, and the listing of all of it may have left this one out."""
    return pair.state is PairState.UNLINKED and pair.reason.startswith(OUT_OF_SIGHT)


def _linked(cx: Context, ecs: str | None = None, crm: str | None = None) -> Iterator[list[Pair]]:
    """In stretches; of one collection of either side, or of all."""
    after = 0
    while True:
        with cx.state.reading() as tx:
            pairs = tx.pairs.iterate(cx.account.name, ecs_collection=ecs, crm_collection=crm, after_id=after)
        if not pairs:
            return
        after = pairs[-1].id
        yield [p for p in pairs if p.state is PairState.LINKED]


def _vanished_collections(cx: Context) -> None:
    """A folder or share that is no longer offered or configured: its items are unlinked, never deleted. Only what the
    server itself said counts; a login that failed proves nothing. When it is back, all of it is looked at anew."""
    barred = _barred_again(cx)
    if not all(m.answered or n in barred for n, m in enumerate(cx.account.mailboxes)):
        return
    offered = cx.chosen.keys()
    lost = [p for pairs in _linked(cx) for p in pairs if p.ecs_collection not in offered]
    with cx.state.transaction() as tx:
        waiting = _let_go(cx, tx, offered)
        known: dict[str, list[str]] = defaultdict(list)
        for key, item in [*((p.ecs_collection, p.ecs_id) for p in lost), *waiting]:
            known[key].append(item)
        for key, items in known.items():
            cx.list_anew(tx, f"ecs/{cx.account.name}/{key}")
            tx.index.drop(cx.account.name, key, items)
    reason = Unlink(f"{OUT_OF_SIGHT}: its collection is no longer there")
    remove(cx, [Removal(Work(p, []), reason) for p in lost])


def _let_go(cx: Context, tx: Tx, offered: Collection[str]) -> list[tuple[str, str]]:
    """Nothing of the other collections waits any more, for the service or for a person, or is anybody's partner; but
    what may be under way to the CRM is heard of first. Collections and items."""
    under_way = {i.item for i in tx.intents.open(cx.account.name)}
    rows = tx.queue.outside(cx.account.name, Side.ECS, offered)
    over = [r for r in rows if qualified(r.collection, r.item) not in under_way]
    items = [(r.collection, r.item) for r in over]
    tx.queue.done(r.id for r in over)
    tx.held.unwanted_items(cx.account.name, items)
    findable = tx.index.outside(cx.account.name, offered)
    return items + [at for at in findable if qualified(*at) not in under_way]


def _barred_again(cx: Context) -> frozenset[int]:
    """Logins, by number, for which nothing was there at the last reconciliation either: a server in disorder forbids,
    or does not find, anything for a while."""
    scopes = {n: f"barred/{cx.account.name}/{n}/{m.address}" for n, m in enumerate(cx.account.mailboxes)}
    found: set[int] = set()
    with cx.state.transaction() as tx:
        for number, mailbox in enumerate(cx.account.mailboxes):
            if not mailbox.barred:
                tx.meta.remove(scopes[number])
            elif tx.meta.get(scopes[number]):
                found.add(number)
            else:
                tx.meta.put(scopes[number], cx.now().isoformat())
    return frozenset(found)
