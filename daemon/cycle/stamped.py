"""Stamped: an item that carries our link stamp says itself what it is linked to, also when our state was lost.

And moved: an item that left its collection for another one keeps its link, by its stamp or by its UID.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from crmsync.connectors.contract import Gone, Hidden, Record, Side
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle import doubt
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.givenup import ends, give_up
from crmsync.daemon.cycle.linking import PARTNER_MISSING, hold, met, new_pair
from crmsync.daemon.cycle.load import fetch, items_gone
from crmsync.daemon.cycle.owners import claimed
from crmsync.daemon.cycle.survey import Newcomer, may_be_linked_again
from crmsync.daemon.cycle.work import Answer, Work, linked_again
from crmsync.state.model import Action, HeldState, Intent, Pair, PairState
from crmsync.state.snapshot import Mark, Snapshot, from_text
from crmsync.state.transaction import Tx
from crmsync.state.values import decode_columns, qualified, split


def by_stamp(cx: Context, newcomers: Sequence[Newcomer]) -> tuple[list[Work], list[Newcomer]]:
    """The links that the items' own stamps name, and the items that have nothing to go by. What is in neither waits:
    for a server that does not answer, or for a person."""
    works: list[Work] = []
    left: list[Newcomer] = []
    stamped: dict[tuple[str, str], Newcomer] = {}
    for newcomer in newcomers:
        key = _named(cx, newcomer)
        if key is None or key in stamped:  # of two that carry the same stamp, one is a copy
            left.append(newcomer)
        else:
            stamped[key] = newcomer
    for object in dict.fromkeys(object for object, _ in stamped):
        some = {record: n for (o, record), n in stamped.items() if o == object}
        found, others = _look_up(cx, cx.objects[object], some)
        works += found
        left += others
    return works, left


def by_uid(cx: Context, newcomers: Sequence[Newcomer]) -> tuple[list[Work], list[Newcomer]]:
    """Those that were moved here before they carried a stamp (or where none can be written), and the rest."""
    with cx.state.reading() as tx:
        known = tx.pairs.by_uids(cx.account.name, [n.record.uid for n in newcomers if n.record.uid])
    return _moved_here(cx, [(n, known.get(n.record.uid, ())) for n in newcomers])


def _named(cx: Context, newcomer: Newcomer) -> tuple[str, str] | None:
    """CRM collection and record that the item's stamp names; None: it has none, it is not ours, or it was copied from
    another item."""
    record, stamp = newcomer.record, newcomer.record.stamp
    place = cx.object_for(record.kind)
    if stamp is None or place is None or stamp.organisation != cx.organisation:
        return None
    if not cx.signer.verifies(cx.account.name, record.uid, stamp):
        return None
    return place.key, stamp.record


def _look_up(cx: Context, place: Place, stamped: dict[str, Newcomer]) -> tuple[list[Work], list[Newcomer]]:
    """``stamped``: by the record that they name."""
    account = cx.account.name
    with cx.state.reading() as tx:
        pairs = tx.pairs.by_crm(account, cx.crm, place.key, stamped)
        decided = tx.held.for_items(account, [n.item for n in stamped.values()])
    to_create = {
        item for item, held in decided.items() if held.state is HeldState.APPROVED
    }  # a person said so
    left = [n for n in stamped.values() if n.item in to_create]
    rest = {record: n for record, n in stamped.items() if n.item not in to_create}
    moved, copies = _moved_here(cx, [(n, (pairs[r],)) for r, n in rest.items() if r in pairs])
    rebuilt = _rebuild(cx, place, {r: n for r, n in rest.items() if r not in pairs})
    return moved + rebuilt, left + copies


def _rebuild(cx: Context, place: Place, stamped: dict[str, Newcomer]) -> list[Work]:
    """Our state was lost: the stamp brings the link back, and differences are held."""
    if not stamped:
        return []
    try:
        partners = fetch(cx, place, list(stamped))
    except ConnectorError as error:
        cx.broke(f"“{place.label}”", error, place.login)
        return []
    sent = _announced(cx, stamped)
    there = [
        r for r in stamped if isinstance(partners.get(r), Record) or (r in sent and _gone(partners.get(r)))
    ]
    for record, newcomer in stamped.items():
        if record not in there:
            reason = (
                f"it was linked to {record}, which is no longer there; say whether it shall be created again"
            )
            hold(cx, newcomer, Side.CRM, (), PARTNER_MISSING, reason)
    with cx.state.transaction() as tx:
        pairs = tx.pairs.add_many([_stamped_pair(cx, stamped[r], place) for r in there])
        tx.snapshots.put_many(
            {
                p.id: found
                for r, p in zip(there, pairs, strict=True)
                if (
                    found := _recalled(cx, p, sent[r])
                    if r in sent
                    else _remembered(place, stamped[r], partners[r])
                )
            }
        )
        met(tx, pairs)
        give_up(tx, cx.account.name, [end for pair in pairs for end in ends(pair)])
    if any(r not in sent for r in there):
        doubt.notice(cx, "an item carries a link stamp of ours that the state knows nothing of")
    return [Work(pair, [stamped[r].row]) for r, pair in zip(there, pairs, strict=True)]


def _gone(answer: Answer | None) -> bool:
    return isinstance(answer, Gone)


def _stamped_pair(cx: Context, newcomer: Newcomer, place: Place) -> Pair:
    stamp = newcomer.record.stamp
    assert stamp is not None  # it was looked up by it
    return replace(new_pair(cx, newcomer, place, stamp.record), generation=stamp.generation)


def _announced(cx: Context, stamped: dict[str, Newcomer]) -> dict[str, Intent]:
    """The creates that were announced for these CRM records, and whose answer nobody has heard, by record."""
    found: dict[str, Intent] = {}
    with cx.state.reading() as tx:
        for key in dict.fromkeys(n.place.key for n in stamped.values()):
            records = [r for r, n in stamped.items() if n.place.key == key]
            found |= tx.intents.open_for(cx.account.name, Side.ECS, key, records)
    return {r: i for r, i in found.items() if i.action == Action.CREATE and i.key == stamped[r].record.uid}


def _made_again(cx: Context, newcomer: Newcomer, pair: Pair) -> Intent | None:
    """The create that was announced because an edit won over the delete of the item that the pair still names."""
    with cx.state.reading() as tx:
        found = tx.intents.open_for(pair.account, Side.ECS, newcomer.place.key, [pair.ecs_id])
    intent = found.get(pair.ecs_id)
    ours = intent is not None and intent.action == Action.CREATE and intent.key == newcomer.record.uid
    return intent if ours else None


def _recalled(cx: Context, pair: Pair, sent: Intent) -> Snapshot:
    """Where we made the item ourselves and never heard the answer, what was sent is what both sides agreed on."""
    marks = Mark(pair.ecs_id, ""), Mark(pair.crm_id, "")
    return Snapshot(pair.kind, cx.now(), *marks, decode_columns(pair.kind, sent.columns))


def _remembered(place: Place, newcomer: Newcomer, partner: Answer) -> Snapshot | None:
    """What both sides agreed on, as the item's stamp says, if nobody has written the record since: then it is still
    what they last agreed on, and what the item shows beyond it is an edit."""
    stamp = newcomer.record.stamp
    found = from_text(stamp.agreed) if stamp is not None and stamp.agreed else None
    if found is None or not isinstance(partner, Record) or found.kind is not newcomer.record.kind:
        return None
    same = found.crm.id == partner.id and doubt.unwritten(place, found.crm.version, partner.version)
    return found if same else None


def _moved_here(
    cx: Context, candidates: Sequence[tuple[Newcomer, Iterable[Pair]]]
) -> tuple[list[Work], list[Newcomer]]:
    """The link follows an item that was moved to another collection; a copy beside the original has none. Which of the
    pairs, if any, each of the items has moved away from."""
    works: list[Work] = []
    with cx.state.reading() as tx:
        left = [n for n, pairs in candidates if pairs and claimed(cx, tx, n.place, n.record)]
    candidates = [(n, pairs) for n, pairs in candidates if n not in left]
    gone, unknown = items_gone(cx, [pair for _, pairs in candidates for pair in pairs])
    followed: set[int] = set()
    for newcomer, pairs in candidates:
        if any(p.id in unknown for p in pairs):
            continue  # cannot be told now: it waits
        left_there = (p for p in pairs if p.id in gone or p.ecs_collection not in cx.places)
        origin = next((p for p in left_there if p.id not in followed), None)
        if origin is None:
            left.append(newcomer)
            continue
        followed.add(origin.id)
        if (work := _follow(cx, newcomer, origin)) is not None:
            works.append(work)
    return works, left


def with_announced(cx: Context, newcomers: Sequence[Newcomer]) -> list[Newcomer]:
    """The newcomers, without those of which nothing can be said now. What was moved here, after its create had been
    announced where it stood before, takes that over: one of its own would make a second record."""
    with cx.state.reading() as tx:
        creates = _creates_under_way(cx, tx)
    left: list[Newcomer] = []
    for newcomer in newcomers:
        sent = creates.get(newcomer.record.uid)
        collection, item = split(sent.item) if sent is not None else newcomer.item
        if (
            sent is None
            or (collection, item) == newcomer.item
            or (place := cx.places.get(collection)) is None
        ):
            left.append(newcomer)
            continue
        try:
            before = fetch(cx, place, [item]).get(item)
        except ConnectorError as error:
            cx.broke(f"“{place.label}”", error, place.login)
            continue  # it stays due
        if before is None or isinstance(before, Gone | Hidden):  # not every server can tell the two apart
            with cx.state.transaction() as tx:
                tx.intents.close([sent.id])
                tx.intents.write([replace(sent, id=0, item=qualified(*newcomer.item))])
                tx.index.drop(cx.account.name, collection, [item])
        left.append(newcomer)
    return left


def _creates_under_way(cx: Context, tx: Tx) -> dict[str, Intent]:
    """Of records for ECS items, by the item's UID."""
    found: dict[str, Intent] = {}
    for intent in tx.intents.open(cx.account.name):
        collection, item = split(intent.item)
        if item and (intent.action, intent.side, intent.pair_id) == (Action.CREATE, Side.CRM, None):
            known = tx.index.get(cx.account.name, collection, [item])
            found |= {row.uid: intent for row in known.values() if row.uid}
    return found


def without_moved(cx: Context, lost: Sequence[Newcomer]) -> list[Newcomer]:
    """Those of the items that stand nowhere else. Of what was moved before the create of its partner was confirmed, the
    create is that of the item where it stands now: its own row repeats it."""
    left: list[Newcomer] = []
    for newcomer in lost:
        with cx.state.transaction() as tx:
            if not _readdressed(cx, tx, newcomer):
                left.append(newcomer)
    return left


def _readdressed(cx: Context, tx: Tx, newcomer: Newcomer) -> bool:
    account, uid = cx.account.name, newcomer.record.uid
    here = qualified(newcomer.place.key, newcomer.record.id)
    open_ones = [i for i in tx.intents.open(account) if i.action == Action.CREATE and i.side is Side.CRM]
    announced = {i.item for i in open_ones}
    rows = tx.index.by_uids(account, [uid]) if uid else []
    there = [
        row
        for row in sorted(rows, key=lambda r: (r.collection, r.item))
        if row.tagged
        and qualified(row.collection, row.item) not in announced
        and not tx.pairs.by_ecs(account, row.collection, [row.item])
    ]
    if not there:
        return False
    mine = [i for i in open_ones if i.item == here]
    tx.intents.close([i.id for i in mine])
    item = qualified(there[0].collection, there[0].item)
    tx.intents.write([replace(i, id=0, item=item) for i in mine])
    tx.index.drop(account, newcomer.place.key, [newcomer.record.id])
    tx.queue.done_unless_changed([newcomer.row])
    return True


def _follow(cx: Context, newcomer: Newcomer, pair: Pair) -> Work | None:
    """Note where the item is now. None: its link was given up before, and moving it is no reason to take it up."""
    unlinked = pair.state is PairState.UNLINKED
    given_up = unlinked and not may_be_linked_again(pair)
    moved = replace(
        pair,
        ecs_collection=newcomer.place.key,
        ecs_id=newcomer.record.id,
        ecs_uid=newcomer.record.uid,
        ecs_version=newcomer.record.version if given_up else "",
    )
    if unlinked and not given_up:
        moved = linked_again(moved)
    sent = _made_again(cx, newcomer, pair)
    if sent is not None:
        moved = replace(moved, generation=newcomer.record.stamp.generation if newcomer.record.stamp else 0)
    with cx.state.transaction() as tx:
        if claimed(cx, tx, newcomer.place, newcomer.record):
            return None  # it stays due, and is left to the other account
        if sent is not None:
            tx.snapshots.put(moved.id, _recalled(cx, moved, sent))
            tx.intents.close([sent.id])
        gone = tx.queue.get(cx.account.name, Side.ECS, pair.ecs_collection, [pair.ecs_id])
        tx.queue.done_unless_changed([*gone, newcomer.row] if given_up else gone)
        tx.index.drop(pair.account, pair.ecs_collection, [pair.ecs_id])
        tx.pairs.save(moved)
    return None if given_up else Work(moved, [newcomer.row])
