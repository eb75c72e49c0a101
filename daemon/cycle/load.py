"""Load: fetch both native items of linked pairs, in batches, and see what became of each."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from crmsync.connectors.abilities import Access, Copying, Glancing
from crmsync.connectors.contract import Gone, Hidden, Record, Side
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.account import Mailbox
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.contradicted import contradicted
from crmsync.daemon.cycle.givenup import make_room
from crmsync.daemon.cycle.glances import completed, said_before
from crmsync.daemon.cycle.opening import restricting
from crmsync.daemon.cycle.owners import claimed
from crmsync.daemon.cycle.vouched import vouch
from crmsync.daemon.cycle.waiting import UNASKED, UNKNOWN, stands_in, wait_for_crm
from crmsync.daemon.cycle.work import FULL_ACCESS, Answer, Work
from crmsync.state.model import Change, Pair, PairState


def load(cx: Context, works: Sequence[Work]) -> list[Work]:
    """Those of the works for which both sides answered; a conversation that failed leaves its rows for later."""
    with cx.state.reading() as tx:
        snapshots = tx.snapshots.get_many([w.pair.id for w in works])
        clocks = tx.clocks.get([w.pair.id for w in works])
    by_pair: dict[int, dict[tuple[Side, str], tuple[str, datetime]]] = defaultdict(dict)
    for (pair, side, column), seen in clocks.items():
        by_pair[pair][side, column] = seen
    for work in works:
        work.snapshot = snapshots.get(work.pair.id)
        work.clocks = by_pair.get(work.pair.id, {})
    _load_side(cx, works, Side.ECS)
    contradicted(cx, works)
    vouch(cx, works)
    _load_side(cx, works, Side.CRM)
    _read_what_may_be_made_again(cx, works)
    _follow_moves(cx, works)
    _follow_survivors(cx, works)
    _check_access(cx, works)
    return [w for w in works if w.ecs is not None and w.crm is not None]


def fetch(cx: Context, place: Place, ids: Sequence[str]) -> dict[str, Answer]:
    """One answer per id. Raises ConnectorError."""
    answers: dict[str, Answer] = {}
    for answer in place.connector.fetch(ids):
        answers[answer.id] = cx.account.shown(answer) if isinstance(answer, Record) else answer
    cx.progress("loaded", len(ids))
    return answers


def fetch_told(cx: Context, place: Place, versions: Mapping[str, str]) -> dict[str, Answer]:
    """As ``fetch``, of ECS items that the login was told of in these versions; empty: in none. What another account has
    fetched of the same is not asked for again."""
    return _in_common(cx, place, versions, _where(cx, place), place.connector.fetch)


def glance_told(cx: Context, place: Place, versions: Mapping[str, str]) -> dict[str, Answer]:
    """As ``fetch_told``, without what cannot have changed."""
    assert isinstance(place.connector, Glancing)
    where = _where(cx, place)
    return _in_common(cx, place, versions, where and f"{where}\x1fglance", place.connector.glance)


def _in_common(
    cx: Context,
    place: Place,
    versions: Mapping[str, str],
    where: str,
    ask: Callable[[Sequence[str]], Iterable[Answer]],
) -> dict[str, Answer]:
    known = {id: r for id, v in versions.items() if where and (r := cx.commons.look(where, id, v))}
    missing = [id for id in versions if id not in known]
    answers = list(ask(missing)) if missing else []
    if where:
        cx.commons.put(where, [a for a in answers if isinstance(a, Record) and a.version and not a.private])
    found: dict[str, Answer] = {a.id: a for a in (*known.values(), *answers)}
    cx.progress("loaded", len(versions))
    return {id: cx.account.shown(a) if isinstance(a, Record) else a for id, a in found.items()}


def _where(cx: Context, place: Place) -> str:
    """Where the collection is, for all who are shown the same of it; empty: it is not known to be shown to us. Mail
    never is: each has a copy of a message, whose id is the same in every mailbox."""
    mailbox = place.login
    if not isinstance(mailbox, Mailbox) or not mailbox.outlook or place.key not in cx.heard:
        return ""
    if not place.connector.capabilities.receives and not place.collection.owner:
        return ""  # everybody's own mailbox has one name, and whoever sends a message chooses its id
    return f"{mailbox.outlook}\x1f{place.key}"


def items_gone(cx: Context, pairs: Iterable[Pair]) -> tuple[set[int], set[int]]:
    """Ids of the pairs whose item is gone from where it was, and of those of which nobody can tell just now. What is in
    a collection that is left out, or was withdrawn, is in neither: nobody will ever be able to tell."""
    gone: set[int] = set()
    unknown: set[int] = set()
    by_collection: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_collection[pair.ecs_collection].append(pair)
    for key, some in by_collection.items():
        place = cx.places.get(key)
        if place is None:
            unknown.update(p.id for p in some if p.kind in cx.blind())
            continue
        try:
            answers = fetch(cx, place, [p.ecs_id for p in some])
        except ConnectorError as error:
            cx.broke(f"“{place.label}”", error, place.login)
            unknown.update(p.id for p in some)
            continue
        gone.update(p.id for p in some if isinstance(answers.get(p.ecs_id), Gone))
    return gone, unknown


def told(rows: Iterable[Change]) -> dict[str, str]:
    """By item, the version that its row of the sync table was made for."""
    return {r.item: "" if r.gone else r.version for r in rows}


def _load_side(cx: Context, works: Sequence[Work], side: Side) -> None:
    by_place: dict[str, list[Work]] = defaultdict(list)
    for work in works:
        if work.answer(side) is None:
            by_place[work.pair.on(side).collection].append(work)
    for key, some in by_place.items():
        place = cx.place(side, key)
        if place is None:
            continue  # its login or collection failed in this cycle, and that has been said
        try:
            _load_place(cx, place, some, side)
        except ConnectorError as error:
            cx.broke(f"“{place.label}”", error, place.login)


def _load_place(cx: Context, place: Place, works: Sequence[Work], side: Side) -> None:
    wanted = []
    for work in works:
        id = work.pair.on(side).id
        row = next((r for r in work.rows if r.side is side), None)
        cached = cx.records.take(place.key, id, row.version) if row is not None else None
        if cached is not None:
            _set(work, side, cx.account.shown(cached) if side is Side.ECS else cached)
        else:
            wanted.append(work)
    if isinstance(place.connector, Copying) and wanted:  # of the others nothing is known now: their rows stay
        here = place.connector.here([w.pair.on(side).id for w in wanted])
        for work in (w for w in wanted if w.pair.on(side).id not in here):
            wait_for_crm(cx, work.rows, UNKNOWN)
        wanted = [w for w in wanted if w.pair.on(side).id in here]
    if not wanted:
        return
    ecs = side is Side.ECS
    answers = _fetch_ecs(cx, place, wanted) if ecs else fetch(cx, place, [w.pair.crm_id for w in wanted])
    for work in wanted:
        _set(work, side, answers.get(work.pair.on(side).id, Hidden(work.pair.on(side).id)))
    if side is Side.ECS and any(_denied(w) for w in wanted):
        _doubt(cx, place)


def _fetch_ecs(cx: Context, place: Place, works: Sequence[Work]) -> dict[str, Answer]:
    versions = told(r for w in works for r in w.rows if r.side is Side.ECS)
    known = {w.pair.ecs_id: w for w in works if said_before(cx, place, w)}
    unknown = [w.pair.ecs_id for w in works if w.pair.ecs_id not in known]
    answers = fetch_told(cx, place, {id: versions.get(id, "") for id in unknown}) if unknown else {}
    if known:
        glances = glance_told(cx, place, {id: versions.get(id, "") for id in known})
        answers |= {id: completed(cx, place, known[id], answer) for id, answer in glances.items()}
    return answers


def _read_what_may_be_made_again(cx: Context, works: Sequence[Work]) -> None:
    """A record that is gone may have to be made again, from all that the item says."""
    again = [w for w in works if isinstance(w.ecs, Record) and isinstance(w.crm, Gone)]
    for key in dict.fromkeys(w.pair.ecs_collection for w in again):
        place = cx.places.get(key)
        some = [w for w in again if w.pair.ecs_collection == key]
        if place is None or not isinstance(place.connector, Glancing):
            continue
        try:
            answers = fetch(cx, place, [w.pair.ecs_id for w in some])
        except ConnectorError as error:
            cx.broke(f"“{place.label}”", error, place.login)
            answers = {}
        for work in some:
            work.ecs = answers.get(work.pair.ecs_id)


def _denied(work: Work) -> bool:
    """It is there, although a listing or the server's list of deletes said otherwise."""
    return isinstance(work.ecs, Record) and any(r.side is Side.ECS and r.gone for r in work.rows)


def _doubt(cx: Context, place: Place) -> None:
    """What was left out once may not have been all: the collection is listed anew, and until then proves nothing."""
    cx.doubted.add(place.key)
    cx.again = True
    with cx.state.transaction() as tx:
        cx.list_anew(tx, cx.scope(place))


def _set(work: Work, side: Side, answer: Answer) -> None:
    if side is Side.ECS:
        work.ecs = answer
    else:
        work.crm = answer


def _follow_moves(cx: Context, works: Sequence[Work]) -> None:
    """An item that is gone from its collection, but stands in another one with the same UID, was moved. What else was
    done to it there counts: it may have lost its tag, or a person may still be editing it."""
    gone = [w.pair for w in works if isinstance(w.ecs, Gone)]
    if not gone:
        return
    account = cx.account.name
    lost = {w.pair.ecs_uid: w for w in works if isinstance(w.ecs, Gone) and w.pair.ecs_uid}
    with cx.state.transaction() as tx:
        for pair in gone:  # nobody's partner any more
            tx.index.drop(account, pair.ecs_collection, [pair.ecs_id])
        rows = tx.index.by_uids(account, lost)
        taken = {(r.collection, r.item) for r in rows if tx.pairs.by_ecs(account, r.collection, [r.item])}
    for row in rows:
        work, place = lost[row.uid], cx.places.get(row.collection)
        if (row.collection, row.item) not in taken and place is not None and isinstance(work.ecs, Gone):
            try:
                _move(cx, work, place, fetch(cx, place, [row.item]).get(row.item, Hidden(row.item)))
            except ConnectorError as error:
                cx.broke(f"“{place.label}”", error, place.login)
                work.ecs = None


def _move(cx: Context, work: Work, place: Place, found: Answer) -> None:
    if not isinstance(found, Record) or found.uid != work.pair.ecs_uid:
        return
    moved = replace(work.pair, ecs_collection=place.key, ecs_id=found.id, ecs_version="")
    with cx.state.transaction() as tx:
        if claimed(cx, tx, place, found):
            return
        work.ecs, work.pair = found, moved
        tx.pairs.save(moved)
        work.rows += tx.queue.get(cx.account.name, Side.ECS, place.key, [found.id])


def _follow_survivors(cx: Context, works: Sequence[Work]) -> None:
    """A record that was merged or converted lives on in another one, and so does the link."""
    for work in works:
        survivor = work.crm.survivor if isinstance(work.crm, Gone) else ""
        survivor = survivor or next((r.survivor for r in work.rows if r.survivor), "")
        if not survivor or not isinstance(work.crm, Gone):
            continue
        place = cx.objects[work.pair.crm_collection]
        with cx.state.reading() as tx:
            taken = tx.pairs.by_crm(cx.account.name, cx.crm, place.key, [survivor]).get(survivor)
        if taken and not _let_go(cx, work, taken):
            work.crm = Hidden(work.pair.crm_id)  # unlinked, not deleted: its twin is linked already
            continue
        try:
            answer = fetch(cx, place, [survivor]).get(survivor, Hidden(survivor))
        except ConnectorError as error:
            cx.broke(f"“{place.label}”", error, place.login)
            work.crm = None
            continue
        if taken and not isinstance(answer, Record):
            work.crm = Hidden(work.pair.crm_id)
            continue
        work.pair = replace(work.pair, crm_id=survivor, crm_version="")
        work.crm = answer
        with cx.state.transaction() as tx:
            if taken:
                make_room(cx, tx, work.pair)
            tx.pairs.save(work.pair)


def _let_go(cx: Context, work: Work, taken: Pair) -> bool:
    """Whether the link to the survivor was given up, and its item will not come back as news without it."""
    if taken.state is PairState.LINKED or work.pair.state is PairState.UNLINKED:
        return False
    return taken.untagged or taken.id in items_gone(cx, [taken])[0]


def _check_access(cx: Context, works: Sequence[Work]) -> None:
    """What the account's own CRM user may not see is hidden here too, whatever our login sees."""
    by_place: dict[str, list[Work]] = defaultdict(list)
    for work in works:
        if isinstance(work.crm, Record) and work.crm.owner != cx.user:
            by_place[work.pair.crm_collection].append(work)
    for key, some in by_place.items():
        place = cx.objects[key]
        try:
            granted = _granted(cx, place, some)
        except ConnectorError as error:
            cx.broke(f"“{place.label}”", error, place.login)
            for work in some:
                work.crm = None
            continue
        for work, access in zip(some, granted, strict=True):
            if access is None:
                work.crm = None
                continue
            work.access = access
            if not access.read:
                work.crm = Hidden(work.pair.crm_id)


def _granted(cx: Context, place: Place, works: Sequence[Work]) -> Sequence[Access | None]:
    """None: a copy was never told, and that work waits for the CRM. Raises ConnectorError."""
    if not stands_in(place):
        return rights(cx, place, [w.pair.crm_id for w in works])
    granted: list[Access | None] = []
    for work in works:  # one of which nothing is known keeps no other back
        try:
            granted += rights(cx, place, [work.pair.crm_id])
        except ConnectorError:
            wait_for_crm(cx, work.rows, UNASKED)
            granted.append(None)
    return granted


def rights(cx: Context, place: Place, ids: Sequence[str]) -> list[Access]:
    """Of the account's CRM user, in the order of the ids. Raises ConnectorError."""
    connector = restricting(place)
    if connector is None:
        return [FULL_ACCESS] * len(ids)
    granted = connector.access(cx.user, ids)
    return [granted.get(id, Access(read=False, edit=False, delete=False)) for id in ids]
