"""Newcomers: find the partner of an item that is new on one side, or make it.

No create without a match first; whatever is ambiguous waits for a person.
"""

from collections.abc import Sequence
from dataclasses import replace

from crmsync.connectors.contract import Gone, Record, Selecting, Side, Unreadable
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.apply import park
from crmsync.daemon.cycle.births import create_in_crm, create_in_mailbox, record_key
from crmsync.daemon.cycle.candidates import own_items, qualified, search, split
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.linking import PARTNER_MISSING, give_up, hold, link, new_pair
from crmsync.daemon.cycle.load import ADOPTED, Work, fetch, rights
from crmsync.daemon.cycle.stamped import by_stamp, by_uid
from crmsync.daemon.cycle.survey import Newcomer, is_forgotten, note_left
from crmsync.daemon.plan.match import Ambiguous, Candidate, Match, NoPartner, Partner, match
from crmsync.state.model import Change, Held, HeldState
from crmsync.state.transaction import Tx


def bring_to_crm(cx: Context, newcomers: Sequence[Newcomer]) -> list[Work]:
    """Link or create what the person selected. Returns the links, for the merge.

    A create that was announced is repeated also where its item is gone by now: only so it becomes known what it made,
    and the merge can do to that what it does when the partner of any record goes."""
    works: list[Work] = []
    unstamped: list[Newcomer] = []
    create_in_crm(cx, [n for n in newcomers if n.lost])
    for newcomer in (n for n in newcomers if not n.lost):
        work = by_stamp(cx, newcomer)
        if work is None:
            unstamped.append(newcomer)
        elif work.pair.id:
            works.append(work)
    moved = by_uid(cx, unstamped)
    works += [w for w in moved.values() if w.pair.id]
    unstamped = [n for n in unstamped if n.row.id not in moved]
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
    create_in_crm(cx, births)
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
    candidates = {n.record.id: _candidate(cx, n) for n in newcomers}
    found = search(cx, place, [n.record for n in newcomers])
    with cx.state.reading() as tx:
        own = own_items(cx, tx, [k for c in candidates.values() for k in c.keys])
        decided = tx.held.for_items(account, Side.CRM, list(candidates))
    works: list[Work] = []
    births: list[Newcomer] = []
    for newcomer in newcomers:
        candidate = candidates[newcomer.record.id]
        others = [o for o in own if o.id != qualified(newcomer.place.key, newcomer.record.id)]
        verdict = match(candidate, found, others)
        _settle_match(cx, newcomer, place, verdict, decided.get(newcomer.record.id), works, births)
    return works, births


def _candidate(cx: Context, newcomer: Newcomer) -> Candidate:
    key = record_key(cx, newcomer)
    return replace(cx.signer.candidate(newcomer.record), born=key)


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


# ── CRM -> ECS ───────────────────────────────────────────────────────────────────────────────────────────────


def _wanted(cx: Context, place: Place, rows: Sequence[Change]) -> list[Newcomer]:
    """Those of the records that are still selected, visible, and not to be left alone."""
    answers = {r.item: None if r.gone else cx.records.take(place.key, r.item, r.version) for r in rows}
    missing = [id for id, a in answers.items() if a is None]
    fetched = fetch(cx, place, missing) if missing else {}
    records = {id: a for id in answers if isinstance(a := answers[id] or fetched.get(id), Record)}
    selected = _selected(cx, place, list(records.values()))
    foreign = [id for id in selected if records[id].owner != cx.user]
    granted = rights(cx, place, foreign) if foreign else []
    wanted = selected - {id for id, access in zip(foreign, granted, strict=True) if not access.read}
    newcomers: list[Newcomer] = []
    left: list[tuple[Change, Record, str]] = []
    with cx.state.transaction() as tx:
        for row in rows:
            answer = records.get(row.item)
            fresh = fetched.get(row.item)
            if isinstance(fresh, Unreadable):
                park(cx, tx, [row], row.item, "unreadable", fresh.reason)
            elif isinstance(fresh, Gone) and not cx.blind():
                _gone(cx, tx, row)
            elif answer is None or row.item not in wanted or answer.kind not in cx.kinds():
                tx.queue.done_unless_changed([row])
            elif reason := _left_in_crm(cx, tx, answer):
                left.append((row, answer, reason))
            else:
                newcomers.append(Newcomer(place, Side.CRM, answer, row))
    note_left(cx, place, Side.CRM, left)
    return [n for n in newcomers if not _orphan(cx, n)]


def _gone(cx: Context, tx: Tx, row: Change) -> None:
    """What was to be made for it on the ECS side: had it been, it would have been found by its stamp before this."""
    tx.queue.done_unless_changed([row])
    for place in cx.places.values():
        give_up(tx, cx.account.name, Side.ECS, place.key, row.item)


def _selected(cx: Context, place: Place, records: Sequence[Record]) -> frozenset[str]:
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


def _left_in_crm(cx: Context, tx: Tx, record: Record) -> str:
    if record.untouchable:
        return f"{record.untouchable}: such records are not exchanged yet and stay as they are"
    if is_forgotten(cx, tx, record):
        return "this person was forgotten on request and is not imported again"
    return ""


def _orphan(cx: Context, newcomer: Newcomer) -> bool:
    """A record that we once made for an item of this account, which we no longer know: after a loss of our state the
    item may have been deleted since, and must not come back in silence."""
    record, account = newcomer.record, cx.account.name
    if not record.link.startswith(cx.signer.account_prefix(account) + "-"):
        return False
    with cx.state.reading() as tx:
        decided = tx.held.for_item(account, Side.ECS, record.id)
        made = [i for i in tx.intents.open(account) if i.key == record.link]
        under_way = any(
            tx.queue.named(i.item) for i in made
        )  # else the item went before its create was confirmed
    if decided is not None and decided.state is not HeldState.HELD:
        return False
    if not under_way:
        reason = "it was made for an item of this account that is no longer there; say whether to create that again"
        hold(cx, newcomer, Side.ECS, (), PARTNER_MISSING, reason)
    return True


def _match_in_mailbox(
    cx: Context, place: Place, newcomers: Sequence[Newcomer]
) -> tuple[list[Work], list[Newcomer]]:
    candidates = {n.record.id: cx.signer.candidate(n.record) for n in newcomers}
    with cx.state.reading() as tx:
        others = own_items(cx, tx, [k for c in candidates.values() for k in c.keys])
        decided = tx.held.for_items(cx.account.name, Side.ECS, list(candidates))
    shared = frozenset(k for o in others for k in o.keys)
    rivals = search(cx, place, [n.record for n in newcomers if candidates[n.record.id].keys & shared])
    works: list[Work] = []
    births: list[Newcomer] = []
    for newcomer in newcomers:
        id = newcomer.record.id
        verdict = match(candidates[id], others, rivals)
        _settle_match(cx, newcomer, place, verdict, decided.get(id), works, births)
    return works, births
