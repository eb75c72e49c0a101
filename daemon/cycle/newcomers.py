"""Newcomers: find the partner of an item that is new on one side, or make it.

No create without a match first; whatever is ambiguous waits for a person.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date

from crmsync.connectors.abilities import Selecting
from crmsync.connectors.contract import Gone, Record, Side, Unreadable
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle import doubt
from crmsync.daemon.cycle.apply import park
from crmsync.daemon.cycle.births import create_in_crm, create_in_mailbox
from crmsync.daemon.cycle.candidates import (
    Pool,
    all_own_items,
    free_for,
    own_items,
    search,
    search_all,
    spoken_for,
)
from crmsync.daemon.cycle.claims import unclaimed
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.delegation import own
from crmsync.daemon.cycle.former import Former, under_way
from crmsync.daemon.cycle.givenup import give_up
from crmsync.daemon.cycle.linking import PARTNER_MISSING, hold, link, new_pair
from crmsync.daemon.cycle.load import fetch, rights
from crmsync.daemon.cycle.shared import by_others, record_key
from crmsync.daemon.cycle.stamped import by_stamp, by_uid, with_announced, without_moved
from crmsync.daemon.cycle.stamping import Stamping
from crmsync.daemon.cycle.survey import FORGOTTEN, Newcomer, note_left, people_forgotten
from crmsync.daemon.cycle.work import ADOPTED, Work
from crmsync.daemon.plan.match import Ambiguous, Candidate, Match, NoPartner, Partner, match
from crmsync.state.model import Change, Held, HeldState, Intent
from crmsync.state.transaction import Tx
from crmsync.state.values import qualified, split


def bring_to_crm(cx: Context, newcomers: Sequence[Newcomer], stamping: Stamping) -> list[Work]:
    """Link or create what the person selected. Returns the links, for the merge.

    A create that was announced is repeated also where its item is gone by now: only so it becomes known what it made,
    and the merge can do to that what it does when the partner of any record goes."""
    create_in_crm(cx, without_moved(cx, [n for n in newcomers if n.lost]), stamping)
    works, unstamped = by_stamp(cx, with_announced(cx, [n for n in newcomers if not n.lost]))
    moved, unstamped = by_uid(cx, unstamped)
    joined, unstamped = by_others(cx, own(cx, unstamped))
    works += moved + joined
    births: list[Newcomer] = []
    for kind in dict.fromkeys(n.record.kind for n in unstamped):
        place = cx.object_for(kind)
        if place is None:
            continue  # the CRM cannot be asked just now, or has no place for this kind: it stays due
        some = [n for n in unstamped if n.record.kind is kind]
        try:
            linked, new = _match_in_crm(cx, place, some)
        except ConnectorError as error:
            cx.broke(f"CRM {cx.crm}, {place.label}", error, place.login)
            continue
        works += linked
        births += new
    create_in_crm(cx, births, stamping)
    return works


def bring_to_mailbox(cx: Context, rows: Sequence[Change]) -> list[Work]:
    """Link or create on the ECS side what the CRM holds for this account. Returns the links, for the merge."""
    works: list[Work] = []
    births: list[Newcomer] = []
    for key in dict.fromkeys(r.collection for r in rows):
        place = cx.objects.get(key)
        if place is None:
            continue
        try:
            newcomers = _wanted(cx, place, [r for r in rows if r.collection == key])
            linked, new = _match_in_mailbox(cx, place, newcomers)
        except ConnectorError as error:
            cx.broke(f"CRM {cx.crm}, {place.label}", error, place.login)
            continue
        works += linked
        births += new
    create_in_mailbox(cx, births)
    return works


# ── ECS -> CRM ───────────────────────────────────────────────────────────────────────────────────────────────


def _match_in_crm(
    cx: Context, place: Place, newcomers: Sequence[Newcomer]
) -> tuple[list[Work], list[Newcomer]]:
    account = cx.account.name
    items = [qualified(n.place.key, n.record.id) for n in newcomers]
    with cx.state.reading() as tx:
        announced = tx.intents.open_for(account, Side.CRM, place.key, items)
    candidates = {  # two collections may have items of one id
        n.row.id: _candidate(cx, n, announced.get(item)) for n, item in zip(newcomers, items, strict=True)
    }
    likes = search_all(cx, place, [n.record for n in newcomers])
    theirs, former = Pool(likes.free), Former(likes, {})
    with cx.state.reading() as tx:
        own = Pool(own_items(cx, tx, [k for c in candidates.values() for k in c.keys]))
        decided = tx.held.for_items(account, [n.item for n in newcomers])
    works: list[Work] = []
    births: list[Newcomer] = []
    for newcomer in newcomers:
        candidate = candidates[newcomer.row.id]
        near = theirs.near({*candidate.keys, candidate.born})
        found, answer = match(candidate, near, own.around(near)), decided.get(newcomer.item)
        verdict = former.unless_bound(cx, newcomer, candidate, found, answer)
        if verdict is not None:
            _settle_match(cx, newcomer, place, verdict, answer, works, births)
    return works, births


def _candidate(cx: Context, newcomer: Newcomer, announced: Intent | None) -> Candidate:
    """What was announced before the item was moved keeps its key."""
    key = announced.key if announced is not None else record_key(cx, newcomer)
    candidate = cx.signer.candidate(newcomer.record)
    return replace(candidate, id=qualified(newcomer.place.key, candidate.id), born=key)


def _settle_match(
    cx: Context,
    newcomer: Newcomer,
    place: Place,
    verdict: Match,
    decided: Held | None,
    works: list[Work],
    births: list[Newcomer],
) -> None:
    target = newcomer.side.other
    if decided is not None and decided.state is HeldState.REJECTED:  # a person said: ignore it
        with cx.state.transaction() as tx:
            tx.queue.done_unless_changed([newcomer.row])
        return
    if decided is not None and decided.state is HeldState.APPROVED:  # a person said: create it
        verdict = NoPartner()
    elif isinstance(verdict, NoPartner) and (doubtful := _doubtful(cx, newcomer, decided)) is not None:
        hold(cx, newcomer, target, doubtful.candidates, PARTNER_MISSING, doubtful.reason)
        return
    match verdict:
        case NoPartner():
            births.append(newcomer)
        case Partner(id=id):
            pair = new_pair(cx, newcomer, place, id)
            work = link(cx, replace(pair, reason=ADOPTED) if target is Side.ECS else pair, newcomer.row)
            works.append(work)
        case Ambiguous(ids=ids, reason=reason):
            meant = [split(id)[1] if target is Side.ECS else id for id in ids]
            hold(cx, newcomer, target, meant, "ambiguous", reason)


@dataclass(frozen=True, slots=True)
class _Doubtful:
    reason: str
    candidates: tuple[str, ...] = ()


_DELETED_SINCE = (
    "it may have had an item that was deleted since: our state is older than the last sync; say whether to create "
    "that again"
)


def _doubtful(cx: Context, newcomer: Newcomer, asked: Held | None) -> _Doubtful | None:
    """Why this may be no news, but something that was linked before our state was lost. Asked once (``asked``), it
    stays a question until a person has answered: that somebody saves a record, or a job touches it, is no answer."""
    record, before = newcomer.record, asked.reason if asked is not None else ""
    if newcomer.side is Side.CRM:
        doubtful = before == _DELETED_SINCE or doubt.unproven(newcomer.place, record, cx.doubt)
        return _Doubtful(_DELETED_SINCE) if doubtful else None
    stamp = record.stamp
    if stamp is None or (stamp.organisation, stamp.uid) != (cx.organisation, record.uid):
        return None
    reason = (
        f"it was linked to {stamp.record}, says a link stamp that our key does not verify; say whether that is its "
        "partner, or a new one shall be created"
    )
    doubtful = before == reason or (cx.doubt is not None and not under_way(cx, newcomer))
    return _Doubtful(reason, (stamp.record,)) if doubtful else None


# ── CRM -> ECS ───────────────────────────────────────────────────────────────────────────────────────────────


def _wanted(cx: Context, place: Place, rows: Sequence[Change]) -> list[Newcomer]:
    """Those of the records that are still selected, visible, and not to be left alone."""
    answers = {r.item: None if r.gone else cx.records.take(place.key, r.item, r.version) for r in rows}
    missing = [id for id, a in answers.items() if a is None]
    fetched = fetch(cx, place, missing) if missing else {}
    records = {id: a for id in answers if isinstance(a := answers[id] or fetched.get(id), Record)}
    selected = selected_in_crm(cx, place, list(records.values()))
    foreign = [id for id in selected if records[id].owner != cx.user]
    granted = rights(cx, place, foreign) if foreign else []
    wanted = selected - {id for id, access in zip(foreign, granted, strict=True) if not access.read}
    newcomers: list[Newcomer] = []
    left: list[tuple[Change, Record, str]] = []
    with cx.state.transaction() as tx:
        forgotten = people_forgotten(cx, tx, records.values())
        for row in rows:
            answer = records.get(row.item)
            fresh = fetched.get(row.item)
            if isinstance(fresh, Unreadable):
                park(cx, tx, [row], row.item, "unreadable", fresh.reason)
            elif isinstance(fresh, Gone) and not cx.blind():
                _gone(cx, tx, row)
            elif answer is None or row.item not in wanted or not cx.receives(answer.kind):
                tx.queue.done_unless_changed([row])
                tx.held.unwanted_records(cx.account.name, [row.item])
            elif reason := left_in_crm(cx, answer, forgotten):
                left.append((row, answer, reason))
            else:
                newcomers.append(Newcomer(place, Side.CRM, answer, row))
    note_left(cx, place, Side.CRM, left)
    return unclaimed(cx, place, newcomers)


def _gone(cx: Context, tx: Tx, row: Change) -> None:
    """What was to be made for it on the ECS side: had it been, it would have been found by its stamp before this."""
    tx.queue.done_unless_changed([row])
    tx.held.unwanted_records(cx.account.name, [row.item])
    give_up(tx, cx.account.name, [(Side.ECS, key, row.item) for key in cx.places])


def selected_in_crm(cx: Context, place: Place, records: Sequence[Record]) -> frozenset[str]:
    selection = cx.account.selection(cx.user)
    if selection.nothing or not records:
        return frozenset()
    if selection.condition:
        ids = [r.id for r in records]
        return (
            place.connector.selected(ids, selection)
            if isinstance(place.connector, Selecting)
            else frozenset()
        )
    return frozenset(r.id for r in records if r.owner == selection.owner)


def left_in_crm(cx: Context, record: Record, forgotten: Collection[str]) -> str:
    """Why a selected record is not brought to the ECS side, or nothing."""
    if record.untouchable:
        return f"{record.untouchable}: such records are not exchanged yet and stay as they are"
    start = record.columns.get("start") or record.columns.get("due")
    if record.series and isinstance(start, date) and not cx.account.window.holds(start, cx.now()):
        return f"one date of series {record.series}: it comes when its time is near"
    return FORGOTTEN if record.id in forgotten else ""


def _match_in_mailbox(
    cx: Context, place: Place, newcomers: Sequence[Newcomer]
) -> tuple[list[Work], list[Newcomer]]:
    candidates = {n.record.id: cx.signer.candidate(n.record) for n in newcomers}
    with cx.state.reading() as tx:
        likes = all_own_items(cx, tx, [k for c in candidates.values() for k in c.keys])
        others = likes.free
        taken = spoken_for(cx, tx, likes.everything())
        decided = tx.held.for_records(cx.account.name, list(candidates))
    shared = frozenset(k for o in others for k in o.keys)
    rivals = search(cx, place, [n.record for n in newcomers if candidates[n.record.id].keys & shared])
    mine, theirs, former = Pool(others), Pool(rivals), Former(likes, taken)
    works: list[Work] = []
    births: list[Newcomer] = []
    for newcomer in newcomers:
        id = newcomer.record.id
        near = free_for(id, mine.near(candidates[id].keys), taken)
        found, answer = match(candidates[id], near, theirs.around(near)), decided.get(id)
        verdict = former.unless_bound(cx, newcomer, candidates[id], found, answer)
        if verdict is not None:
            _settle_match(cx, newcomer, place, verdict, answer, works, births)
    return works, births
