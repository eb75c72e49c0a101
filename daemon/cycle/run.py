"""One cycle, in a straight line: detect, load, merge, apply, confirm; and again while the servers answer to it."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from crmsync.connectors.abilities import Acknowledging
from crmsync.connectors.contract import Gone, Kind, Side
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.account import Account
from crmsync.daemon.cycle import doubt
from crmsync.daemon.cycle.context import BATCH, Context, Place
from crmsync.daemon.cycle.delegation import hear_owners
from crmsync.daemon.cycle.detect import detect_ecs
from crmsync.daemon.cycle.linked import Removal, sync_linked, watch_unsettled
from crmsync.daemon.cycle.newcomers import bring_to_crm, bring_to_mailbox
from crmsync.daemon.cycle.opening import open_crm, open_mailboxes, user_id
from crmsync.daemon.cycle.poll import detect_crm
from crmsync.daemon.cycle.removals import remove
from crmsync.daemon.cycle.stamping import Stamping
from crmsync.daemon.cycle.survey import survey
from crmsync.daemon.cycle.waiting import put_off, take_up
from crmsync.daemon.cycle.work import Work
from crmsync.state.model import Change, Pair, PairState

DISCOVERED = timedelta(minutes=10)
WATCHED = timedelta(
    minutes=5
)  # for so long it is noted which columns of an item change while nothing is exchanged
MAX_ROUNDS = 6  # a sync repeats its cycle until nothing changes, but not for ever


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a sync."""

    settle: timedelta = timedelta(0)  # leave items alone that changed less than this ago
    full: bool = False  # list everything again instead of asking what changed
    keep_idle: bool = True  # record the cycle even if nothing happened
    poll_every: timedelta = timedelta(0)  # the CRM is not polled again sooner, whosever cycle polled it
    only: frozenset[str] | None = None  # of these collections alone it is asked what changed; None: of all
    discovered: timedelta = timedelta(0)  # for so long it is believed which collections there are
    patient: bool = False  # what the servers answer to our writes can wait for the next sync


@dataclass(slots=True)
class Report:
    """What a sync of one account did; the shape of ``crmsync sync --json``."""

    cycles: list[dict[str, Any]] = field(default_factory=list)
    writes: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)
    plan: list[dict[str, Any]] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)


def sync(make: Callable[[], Context], accounts: Sequence[Account], wish: Wish) -> Report:
    """Cycles of one account until nothing changes. ``make`` gives a fresh context for each of them; the caller holds
    the account's lock. ``accounts``: all that are bound to the same CRM login, which is polled for all of them."""
    report = Report()
    for _ in range(MAX_ROUNDS):
        cx = make()
        before = _requests(cx)
        try:
            cycle(cx, accounts, wish)
        except ConnectorError as error:  # a conversation that no step could do without
            cx.broke("the cycle ended early", error)
            cx.again = False
        _conclude(cx, report, wish.keep_idle or bool(cx.writes or cx.errors), _requests(cx) - before)
        if cx.dry or cx.paused or not (cx.again or (cx.writes and not wish.patient)):
            break
        wish = _answers(cx, wish)
    return report


def _answers(cx: Context, wish: Wish) -> Wish:
    """The next turn hears what the servers answer to what was written; everything, if something was left undone."""
    only = None if cx.again else frozenset(cx.touched)
    return replace(wish, full=False, poll_every=timedelta(0), only=only, discovered=DISCOVERED)


def cycle(cx: Context, accounts: Sequence[Account], wish: Wish) -> None:
    doubt.begin(cx)
    crm_answers = open_crm(cx, copy=True)
    open_mailboxes(cx, known_for=wish.discovered)
    for place in list(cx.places.values()):
        if wish.only is None or place.key in wish.only:
            detect_ecs(cx, place, full=wish.full)
    if not crm_answers:
        return  # what was detected waits in the sync table
    users = _users(cx, accounts)
    detect_crm(cx, accounts, users, full=wish.full, poll_every=wish.poll_every, only=wish.only)

    hear_owners(cx)
    _watch(cx, max(wish.settle, WATCHED) if cx.grant.nothing else wish.settle)
    if cx.grant.nothing:
        return  # what was detected waits in the sync table
    take_up(cx)
    put_off(cx, _due(cx, wish))
    removals: list[Removal] = []
    # first what is new on the ECS side: it has to be known before anything is made there
    with Stamping(cx) as stamping:
        for rows in _due(cx, wish):
            fresh = [c for c, pair in _with_pairs(cx, rows) if c.side is Side.ECS and not _linked(pair)]
            newcomers, again = survey(cx, fresh)
            if works := _whole(cx, again + bring_to_crm(cx, newcomers, stamping)):
                stamping.finish()
                removals += sync_linked(cx, works)
    done: set[int] = set()
    for rows in _due(cx, wish):
        removals += sync_linked(cx, [w for w in _works(cx, rows, done) if _settled(cx, w, wish)])
    for rows in _due(cx, wish):
        fresh = [c for c, pair in _with_pairs(cx, rows) if c.side is Side.CRM and pair is None]
        removals += sync_linked(cx, _whole(cx, bring_to_mailbox(cx, [c for c in fresh if _in_sight(cx, c)])))
    remove(cx, _proven(cx, removals))
    acknowledge(cx)
    doubt.end(cx)


def _in_sight(cx: Context, row: Change) -> bool:
    """With a part of the ECS side out of sight, the partner of a CRM record could be overlooked: it waits."""
    place = cx.objects.get(row.collection)
    return place is not None and not place.collection.kinds & cx.blind()


def _proven(cx: Context, removals: Sequence[Removal]) -> list[Removal]:
    """Without what may only have been moved: from one collection into another that does not answer, or that was asked
    before the move. Its rows stay due, and the next cycle finds it by its stamp."""
    left = [r for r in removals if not (_gone(r) and r.work.pair.kind in cx.blind())]
    missing = {r.work.pair.kind for r in left if _gone(r)}
    moved: set[Kind] = set()
    for place in list(cx.places.values()):
        if place.collection.kinds & missing and _elsewhere(cx, place, left) and _news(cx, place):
            moved |= place.collection.kinds
    if moved:
        cx.again = True
    return [r for r in left if not (_gone(r) and r.work.pair.kind in moved | cx.blind())]


def _gone(removal: Removal) -> bool:
    return isinstance(removal.work.ecs, Gone)


def _elsewhere(cx: Context, place: Place, removals: Sequence[Removal]) -> bool:
    """Whether something could have been moved to this collection from another one."""
    return any(_gone(r) and r.work.pair.ecs_collection != place.key for r in removals)


def _news(cx: Context, place: Place) -> bool:
    """Ask once more; whether something has come that we do not know."""
    with cx.state.reading() as tx:
        before = tx.queue.counts(cx.account.name).pending
    detect_ecs(cx, place)
    with cx.state.reading() as tx:
        return tx.queue.counts(cx.account.name).pending > before


def acknowledge(cx: Context) -> None:
    """Tell the CRM that its changes were processed, where it wants to hear it. Nothing depends on its hearing."""
    for key, ids in cx.processed.items():
        place = cx.objects.get(key)
        if cx.dry or place is None or not isinstance(place.connector, Acknowledging):
            continue
        try:
            place.connector.acknowledge(list(dict.fromkeys(ids)))
        except ConnectorError as error:
            cx.broke(f"“{place.label}” was not told what is done", error, place.login)


def _settled(cx: Context, work: Work, wish: Wish) -> bool:
    """Neither of the two is still being edited."""
    return all(r.changed_at <= cx.now() - wish.settle for r in work.rows)


def _users(cx: Context, accounts: Iterable[Account]) -> dict[str, str]:
    """Of all accounts, also of those that have not synced since we started: the poll is theirs too."""
    known = {}
    for account in accounts:
        try:
            with cx.account.crm.lock:
                known[account.name] = user_id(cx, account.crm_user)
        except ConnectorError:
            continue  # its own cycle says so
    return known


def _watch(cx: Context, settle: timedelta) -> None:
    """Items that are still being edited: note what changed by now, and let matches find them."""
    if not settle:
        return
    with cx.state.reading() as tx:
        rows = tx.queue.unsettled(cx.account.name, cx.now(), settle, BATCH)
    survey(cx, [c for c, p in _with_pairs(cx, rows) if c.side is Side.ECS and not _linked(p)], decide=False)
    watch_unsettled(cx, _works(cx, rows, set()))


def _due(cx: Context, wish: Wish) -> Iterator[list[Change]]:
    after = 0
    while True:
        with cx.state.reading() as tx:
            rows = tx.queue.due(cx.account.name, cx.now(), wish.settle, cx.batch, after)
        if not rows:
            return
        after = rows[-1].id
        if granted := [row for row in rows if _granted(cx, row)]:
            yield granted


def _granted(cx: Context, row: Change) -> bool:
    place = cx.place(row.side, row.collection)
    kinds = place.collection.kinds if place is not None else frozenset(Kind)
    return cx.grant.concerns(row.changed_at) and not kinds.isdisjoint(cx.grant.kinds)


def _with_pairs(cx: Context, rows: Sequence[Change]) -> list[tuple[Change, Pair | None]]:
    account = cx.account.name
    found: dict[int, Pair] = {}
    with cx.state.reading() as tx:
        for side, collection in dict.fromkeys((r.side, r.collection) for r in rows):
            some = [r for r in rows if (r.side, r.collection) == (side, collection)]
            ids = [r.item for r in some]
            pairs = (
                tx.pairs.by_ecs(account, collection, ids)
                if side is Side.ECS
                else tx.pairs.by_crm(account, cx.crm, collection, ids)
            )
            found.update({r.id: pairs[r.item] for r in some if r.item in pairs})
    return [(r, found.get(r.id)) for r in rows]


def _linked(pair: Pair | None) -> bool:
    return pair is not None and pair.state is PairState.LINKED


def _works(cx: Context, rows: Sequence[Change], done: set[int]) -> list[Work]:
    """The linked pairs that these rows are about, each once, with all of its rows."""
    works: dict[int, Work] = {}
    dropped = []
    for row, pair in _with_pairs(cx, rows):
        if pair is None or pair.id in done:
            continue
        if not _linked(pair):
            if row.side is Side.CRM:
                dropped.append(row)  # its link was given up: nothing the CRM says of it counts
            continue
        work = works.setdefault(pair.id, Work(pair, []))
        work.rows.append(row)
    if dropped:
        with cx.state.transaction() as tx:
            tx.queue.done_unless_changed(dropped)
    done.update(works)
    return _whole(cx, list(works.values()))


def _whole(cx: Context, works: list[Work]) -> list[Work]:
    """With all that the sync table knows of the two: the other side's row may be in another stretch of it."""
    missing: dict[tuple[Side, str], dict[str, Work]] = defaultdict(dict)
    for work in works:
        pair, told = work.pair, {row.side for row in work.rows}
        if Side.ECS not in told:
            missing[Side.ECS, pair.ecs_collection][pair.ecs_id] = work
        if Side.CRM not in told:
            missing[Side.CRM, pair.crm_collection][pair.crm_id] = work
    if missing:
        with cx.state.reading() as tx:
            for (side, collection), by_item in missing.items():
                for row in tx.queue.get(cx.account.name, side, collection, list(by_item)):
                    by_item[row.item].rows.append(row)
    return works


def _requests(cx: Context) -> int:
    return cx.account.crm.source.requests() + sum(m.source.requests() for m in cx.account.mailboxes)


def _conclude(cx: Context, report: Report, record: bool, requests: int) -> None:
    counts: Mapping[str, int] = {**cx.counts, "requests": requests}
    number = cx.cycle if record and not cx.dry else None
    if cx.recorded and not cx.dry:
        number = cx.cycle
        with cx.state.transaction() as tx:
            tx.cycles.finish(number, cx.now(), counts, cx.errors)
            left = tx.queue.counts(cx.account.name).pending
            tx.pulse.add(cx.account.name, cx.now(), cx.arrivals.beat(len(cx.errors), left))
    moved = {"arrivals": cx.arrivals.document()} if cx.arrivals.all and not cx.dry else {}
    report.cycles.append({"id": number, "account": cx.account.name, **counts, **moved})
    report.writes += cx.writes
    report.errors += [e for e in cx.errors if e not in report.errors]
    report.plan += cx.plan
    report.notices += [noticed(cx.account.name, sentence) for sentence in cx.notices]


def noticed(account: str, sentence: str) -> dict[str, Any]:
    return {"account": account, "code": doubt.CODE, "message": sentence}
