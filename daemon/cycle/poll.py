"""Poll: ask the CRM what changed, once per login and object, and give each account what is linked or selected.

Whoever is new, or selects something else than before, is first given what the CRM holds already.
"""

import json
from collections.abc import Collection, Sequence
from datetime import timedelta

from crmsync.connectors.abilities import Copying, Metered, Selecting
from crmsync.connectors.contract import Gone, Page, Record, Ref, Selection, Side
from crmsync.connectors.errors import ConnectorError, CursorExpired
from crmsync.daemon.account import Account
from crmsync.daemon.cycle.context import Context, Place, in_batches
from crmsync.daemon.cycle.detect import waiting_rows
from crmsync.daemon.cycle.meetings import arrive
from crmsync.state.model import Detected, Pair, PairState
from crmsync.state.transaction import Tx

SCARCE = 0.8  # of the CRM's daily requests: from here on it is polled less often
SLOWER = 5


def detect_crm(
    cx: Context,
    accounts: Sequence[Account],
    users: dict[str, str],
    *,
    full: bool = False,
    poll_every: timedelta = timedelta(0),
    only: frozenset[str] | None = None,
) -> None:
    """One poll per login and object, for all the accounts that are bound to it (``users``: account -> user id). Where
    another account's cycle has polled less than ``poll_every`` ago, what it found is in the sync table already.
    ``only``: keys of the objects to ask; None: all of which any of the accounts holds a kind."""
    crm = cx.account.crm
    with crm.lock:
        if not full and _recent(cx, poll_every) and all(_has_cover(cx, p) for p in cx.objects.values()):
            return
        started, whole = cx.now(), only is None
        for place in list(cx.objects.values()):
            if not _asked(place, accounts, only):
                continue
            try:
                _poll(cx, place, accounts, users, full=full)
            except ConnectorError as error:
                cx.broke(f"CRM {cx.crm}, {place.label}", error, place.login)
                if isinstance(place.connector, Copying) and place.connector.stands_in:
                    cx.absent.update(dict.fromkeys(place.collection.kinds, str(error)))
                del cx.objects[place.key]
                whole = False
        crm.polled_at = started if whole and not cx.dry else crm.polled_at


def _asked(place: Place, accounts: Sequence[Account], only: frozenset[str] | None) -> bool:
    """Nobody needs to hear of meetings where all that anyone has are address books."""
    if only is not None and place.key not in only:
        return False
    boxes = [m for a in accounts for m in a.mailboxes]
    return any(
        not m.collections or any(place.collection.kinds & c.kinds for c in m.collections) for m in boxes
    )


def _recent(cx: Context, poll_every: timedelta) -> bool:
    """The closer the CRM's daily limit, the longer a poll lasts."""
    source, last = cx.account.crm.source, cx.account.crm.polled_at
    scarce = isinstance(source, Metered) and source.usage >= SCARCE
    return last is not None and cx.now() - last < poll_every * (SLOWER if scarce else 1)


def _has_cover(cx: Context, place: Place) -> bool:
    if not place.collection.kinds & cx.kinds():
        return True
    with cx.state.reading() as tx:
        return tx.cursors.get(_coverage(cx, place, cx.account)) == _selection_mark(cx)


def _selection_mark(cx: Context) -> str:
    selection = cx.account.selection(cx.user)
    return json.dumps([selection.owner, selection.condition, selection.nothing])


def _poll(
    cx: Context, place: Place, accounts: Sequence[Account], users: dict[str, str], *, full: bool
) -> None:
    scope = f"crm/{cx.crm}/{place.key}"
    with cx.state.reading() as tx:
        cursor = tx.cursors.get(scope)
    if cursor is None:  # first the cursor, then what stood before it: nothing falls between the two
        cursor = _only_cursor(cx, place, scope)
    if place.collection.kinds & cx.kinds():
        cover(cx, place, again=full)
    try:
        with cx.state.reading() as tx:
            waiting = tx.awaited.any(cx.crm, place.key)
        for page in place.connector.changes(cursor, Selection(people=waiting)):
            _distribute(cx, place, scope, page, accounts, users)
        cx.polled.add(place.key)
    except CursorExpired:
        for account in accounts:
            with cx.state.transaction() as tx:
                tx.cursors.remove(_coverage(cx, place, account))
                tx.cursors.remove(scope)
        suspect_all(cx, place, accounts)
        cx.again = True


def _only_cursor(cx: Context, place: Place, scope: str) -> str:
    cursor = ""
    for page in place.connector.changes(None, Selection(nothing=True)):
        cursor = page.cursor
    with cx.state.transaction() as tx:
        tx.cursors.put(scope, cursor)
    return cursor


def _coverage(cx: Context, place: Place, account: Account | None = None) -> str:
    """Name of the mark that says that an account was covered; without one, what all of them begin with."""
    return f"cover/{cx.crm}/{place.key}/{account.name if account else ''}"


def cover(cx: Context, place: Place, *, again: bool) -> None:
    """An account that is new, or selects something else than before, first gets what the CRM holds for it already."""
    selection = cx.account.selection(cx.user)
    wanted = _selection_mark(cx)
    scope = _coverage(cx, place, cx.account)
    with cx.state.reading() as tx:
        if tx.cursors.get(scope) == wanted and not again:
            return
    with cx.state.reading() as tx:
        waiting = frozenset(tx.queue.of_collection(cx.account.name, Side.CRM, place.key))
    if not selection.nothing:
        for page in place.connector.changes(None, selection):
            with cx.state.transaction() as tx:
                for part in in_batches(page.items, 500):
                    there = [i for i in part if not isinstance(i, Gone)]
                    _record_crm(cx, tx, place, cx.account, there)
                    waiting -= {i.id for i in there}
            cx.progress("detected", len(page.items))
    with cx.state.transaction() as tx:
        _suspect_waiting(cx, tx, place, waiting)
        tx.cursors.put(scope, wanted)


def _suspect_waiting(cx: Context, tx: Tx, place: Place, missing: Collection[str]) -> None:
    """What waits in the sync table without a link, and is selected no more, may have gone without our hearing of it."""
    linked = tx.pairs.by_crm(cx.account.name, cx.crm, place.key, missing)
    gone = [Detected(id, gone=True) for id in missing if id not in linked]
    tx.queue.record(cx.account.name, Side.CRM, place.key, gone, cx.now())


def _covered(cx: Context, place: Place, accounts: Sequence[Account]) -> list[Account]:
    """Those who have had what was there before; the others will get all of it when they first sync."""
    with cx.state.reading() as tx:
        covered = frozenset(tx.cursors.scopes(_coverage(cx, place)))
    return [a for a in accounts if _coverage(cx, place, a) in covered]


def _distribute(
    cx: Context,
    place: Place,
    scope: str,
    page: Page,
    accounts: Sequence[Account],
    users: dict[str, str],
) -> None:
    """Everyone gets what they have linked, and what they select. Whose selection cannot be told now loses the mark that
    says they were covered, in the same transaction that moves the cursor on: they will be given all of it anew."""
    if not page.items and not page.people:
        with cx.state.transaction() as tx:
            tx.cursors.put(scope, page.cursor)
        return
    wanted: dict[str, frozenset[str]] = {}
    for account in _covered(cx, place, [a for a in accounts if a.name in users]):
        try:
            wanted[account.name] = _wanted(cx, place, account, users[account.name], page)
        except ConnectorError as error:
            if account is cx.account:
                cx.broke(f"CRM {cx.crm}, {place.label}, `crm_select` of {account.name}", error, place.login)
    with cx.state.transaction() as tx:
        for part in in_batches(page.items, 500):
            linked = tx.pairs.accounts_of(cx.crm, place.key, [i.id for i in part])
            waiting = tx.queue.by_account(Side.CRM, place.key, [i.id for i in part])
            for account in accounts:
                selected = wanted.get(account.name, frozenset())
                theirs = {id for id, pairs in linked.items() if any(p.account == account.name for p in pairs)}
                theirs |= waiting.get(account.name, frozenset())
                if mine := [i for i in part if i.id in theirs or i.id in selected]:
                    _record_crm(cx, tx, place, account, mine)
        _wake(cx, tx, place, accounts, page.people)
        for account in accounts:
            if account.name not in wanted:
                tx.cursors.remove(_coverage(cx, place, account))
        tx.cursors.put(scope, page.cursor)
    cx.progress("detected", len(page.items))


def _wake(cx: Context, tx: Tx, place: Place, accounts: Sequence[Account], addresses: frozenset[str]) -> None:
    """Somebody is known now who was not when items in which they stand were written: these are looked at again."""
    names = {a.name for a in accounts}
    for pair in tx.pairs.get_many(arrive(cx, tx, place, addresses) if addresses else []).values():
        if pair.account in names and pair.state is PairState.LINKED:
            tx.queue.record(
                pair.account,
                Side.CRM,
                place.key,
                [Detected(pair.crm_id, f"{pair.crm_version}#known")],
                cx.now(),
            )


def _wanted(cx: Context, place: Place, account: Account, user: str, page: Page) -> frozenset[str]:
    """Which of the changed records the account selects, linked or not; what a listing tells only by its version may be
    one of them, and is looked at."""
    selection = account.selection(user)
    there = [i for i in page.items if not isinstance(i, Gone)]
    if selection.nothing or not there:
        return frozenset()
    if selection.condition:
        if not isinstance(place.connector, Selecting):
            return frozenset()
        return place.connector.selected([i.id for i in there], selection)
    return frozenset(i.id for i in there if isinstance(i, Ref) or i.owner == selection.owner)


def _record_crm(
    cx: Context, tx: Tx, place: Place, account: Account, items: Sequence[Record | Ref | Gone]
) -> None:
    pairs = tx.pairs.by_crm(account.name, cx.crm, place.key, [i.id for i in items])
    waiting = waiting_rows(account.name, tx, place, Side.CRM, [i for i in items if isinstance(i, Gone)])
    detected = []
    for item in items:
        pair = pairs.get(item.id)
        if isinstance(item, Gone):
            if pair is not None or item.id in waiting:
                detected.append(Detected(item.id, gone=True, survivor=item.survivor))
        elif not _known(pair, item):
            if isinstance(item, Record):
                cx.records.put(place.key, [item])
            detected.append(Detected(item.id, item.version))
    tx.queue.record(account.name, Side.CRM, place.key, detected, cx.now())


def _known(pair: Pair | None, item: Record | Ref) -> bool:
    """Our own write coming back, or a record whose link was given up."""
    if pair is None:
        return False
    return pair.state is PairState.UNLINKED or pair.crm_version == item.version


def suspect_all(cx: Context, place: Place, accounts: Sequence[Account]) -> None:
    """The CRM cannot say what changed: every linked record is looked at, by its id."""
    for account in accounts:
        after = 0
        while True:
            with cx.state.transaction() as tx:
                pairs = tx.pairs.iterate(
                    account.name, ecs_collection=None, crm_collection=place.key, after_id=after, limit=500
                )
                linked = [p for p in pairs if p.state is PairState.LINKED]
                tx.queue.record(
                    account.name,
                    Side.CRM,
                    place.key,
                    [Detected(p.crm_id, version="?") for p in linked],
                    cx.now(),
                )
            if not pairs:
                break
            after = pairs[-1].id
