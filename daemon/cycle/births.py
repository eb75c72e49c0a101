"""Births: make the partner of an item that has none, and note the link.

The key of a create is derived from the item's identity, so that it is the same one however often it is tried.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial

from crmsync.connectors.contract import Columns, Create, Done, Kind, Record, Side
from crmsync.daemon.cycle.agreed import entry, fresh_columns, shown_before
from crmsync.daemon.cycle.apply import Task, carry_out, foreign, leave_queued, park, written
from crmsync.daemon.cycle.arrivals import since
from crmsync.daemon.cycle.context import Context, Place, bears_stamps, exchanged
from crmsync.daemon.cycle.delegation import taggers
from crmsync.daemon.cycle.linking import met
from crmsync.daemon.cycle.meetings import missing
from crmsync.daemon.cycle.notes import Notes
from crmsync.daemon.cycle.owners import owner_account
from crmsync.daemon.cycle.shared import TAKEN, forestalled, record_key
from crmsync.daemon.cycle.stamping import Stamping
from crmsync.daemon.cycle.stamps import item_key
from crmsync.daemon.cycle.strangers import named_in
from crmsync.daemon.cycle.survey import Newcomer
from crmsync.daemon.cycle.work import rules_of
from crmsync.state.model import Action, Entry, Pair
from crmsync.state.snapshot import Mark, Snapshot, to_text
from crmsync.state.transaction import Tx
from crmsync.state.values import qualified


def create_in_crm(cx: Context, newcomers: Sequence[Newcomer], stamping: Stamping) -> None:
    newcomers = _granted(cx, newcomers, Side.CRM)
    tasks, tagged = [], taggers(cx, newcomers)
    for newcomer in newcomers:
        record = newcomer.record
        target = cx.object_for(record.kind)
        if target is None:
            continue
        columns, cut = _columns(cx, target, record.kind, record.columns, Side.CRM)
        write = Create(record_key(cx, newcomer), record.kind, columns, owner=cx.user, original=record)
        task = _task(newcomer, target, write, _tagged(cx, newcomer, tagged.get(newcomer.row.id, "")), cut)
        tasks.append((newcomer, task))
    pairs = _bring_forth(cx, tasks, partial(forestalled, cx, [n for n, _ in tasks]))
    repeated = {n.row.id for n, t in tasks if t.repeated or t.met or t.cut}
    stamping.begin([(n, p) for n, p in pairs if n.row.id not in repeated])  # the merge stamps the others


def _tagged(cx: Context, newcomer: Newcomer, delegate: str) -> str:
    """As far as it is known by whom. That an account of a delegate saw the tag first is no proof that it was them."""
    seen = f"first seen through account {delegate}, a delegate" if delegate else ""
    name = "" if cx.dry else newcomer.record.changed_by  # a plan is printed, history is asked for
    changed = f"last changed by {name}" if name else ""
    by = "; ".join(words for words in (seen, changed) if words)
    return f"tagged{by and f' ({by})'}, and not in the CRM yet"


def create_in_mailbox(cx: Context, newcomers: Sequence[Newcomer]) -> None:
    tasks = []
    for newcomer in _granted(cx, newcomers, Side.ECS):
        record = newcomer.record
        target = default_place(cx, record.kind)
        if target is None:
            _no_collection(cx, newcomer)
            continue
        columns, cut = _columns(cx, target, record.kind, record.columns, Side.ECS)
        key = item_key(cx.organisation, record.id, cx.account.name)
        agreed = "" if cut else _agreed(cx, target, Mark(key, ""), record, columns)
        stamp = cx.signer.stamp(cx.account.name, cx.organisation, record.id, key, 1, agreed)
        write = Create(key, record.kind, columns, tag=cx.account.tag, stamp=stamp)
        tasks.append(
            (newcomer, _task(newcomer, target, write, "in the CRM, and not on the ECS side yet", cut))
        )
    _bring_forth(cx, tasks)


def _granted(cx: Context, newcomers: Sequence[Newcomer], target: Side) -> list[Newcomer]:
    """The others stay due."""
    return [n for n in newcomers if cx.grant.sends(target, n.record.kind)]


def _agreed(cx: Context, target: Place, ecs: Mark, record: Record, columns: Columns) -> str:
    """What both sides will hold of an item that is made for this record."""
    limit = target.connector.capabilities.remembers
    snapshot = Snapshot(record.kind, cx.now(), ecs, Mark(record.id, record.version), columns)
    return to_text(snapshot, limit) if limit else ""


def default_place(cx: Context, kind: Kind) -> Place | None:
    """Where items that come from the CRM are made: as configured, else the first collection that can be written, but
    not another account's: what is made there would have to enter the CRM through that one."""
    able = [p for p in cx.places.values() if kind in p.collection.kinds and p.connector.capabilities.receives]
    mine = [p for p in able if owner_account(cx, p) is None]
    wanted = cx.account.default_collection.get(kind)
    if wanted is not None:  # calendars of two people are often called the same
        named = (p for p in (*mine, *able) if wanted in (p.collection.name, p.collection.id))
        return next(named, None)
    return next((p for p in mine if p.connector.capabilities.writable), None)


def _no_collection(cx: Context, newcomer: Newcomer) -> None:
    kind = newcomer.record.kind
    wanted = cx.account.default_collection.get(kind)
    reason = (
        f"there is no collection “{wanted}” for a {kind}: correct `default_collection.{kind}` in the configuration"
        if wanted
        else f"no collection of this account can be written and holds a {kind}"
    )
    with cx.state.transaction() as tx:
        park(cx, tx, [newcomer.row], newcomer.record.id, "no_collection", reason)


def _columns(cx: Context, target: Place, kind: Kind, columns: Columns, side: Side) -> tuple[Columns, bool]:
    """What goes along: exchanged in this direction, held by the target, and not empty; and whether something of it
    stays behind that is not granted."""
    going = exchanged(rules_of(cx, kind), columns, side)
    held = target.connector.project(kind, going)
    fixed = target.connector.capabilities.read_only_columns.get(kind, frozenset())
    wanted = {n: v for n, v in going.items() if n in held and n not in fixed and v is not None}
    granted = cx.grant.part(side, kind, wanted)
    return granted, len(granted) < len(wanted)


def _task(newcomer: Newcomer, target: Place, write: Create, reason: str, cut: bool) -> Task:
    ecs = newcomer.side is Side.ECS
    id = newcomer.record.id
    return Task(
        target,
        newcomer.side.other,
        write,
        item=qualified(newcomer.place.key, id) if ecs else id,
        kind=newcomer.record.kind,
        reason=reason,
        ecs_id=id if ecs else "",
        crm_id="" if ecs else id,
        cut=cut,
    )


def _bring_forth(
    cx: Context,
    births: Sequence[tuple[Newcomer, Task]],
    forestalled: Callable[[Tx], Collection[str]] = lambda tx: (),
) -> list[tuple[Newcomer, Pair]]:
    """Create, then note mapping, snapshot and history in one transaction. Returns the pairs that stand."""
    carry_out(cx, [task for _, task in births], forestalled)
    if cx.dry or not births:
        return []
    cycle = cx.cycle
    born: list[tuple[Newcomer, Task, Done]] = []
    notes = Notes()
    notes.heard(task for _, task in births)
    with cx.state.transaction() as tx:
        taken = _taken(cx, tx, births)
        for newcomer, task in births:
            if task.done is None:
                leave_queued(cx, tx, [newcomer.row], task, newcomer.record.id)
            elif (task.place.key, task.done.id) in taken:
                _already_linked(cx, tx, newcomer, task.done.id)
            else:
                taken.add((task.place.key, task.done.id))
                born.append((newcomer, task, task.done))
        pairs = tx.pairs.add_many([_pair(cx, *birth) for birth in born])
        met(tx, pairs)
        for (newcomer, task, _), pair in zip(born, pairs, strict=True):
            _note(cx, cycle, newcomer, task, pair, notes)
        notes.write(tx)
    cx.progress("synced", len(born))
    return [(newcomer, pair) for (newcomer, _, _), pair in zip(born, pairs, strict=True)]


def _already_linked(cx: Context, tx: Tx, newcomer: Newcomer, other: str) -> None:
    """What was made for it once belongs to another item by now: it gets one of its own, under the next name."""
    reason = f"what was made for it once, {other}, is linked to another item"
    if newcomer.side is Side.CRM or newcomer.row.code == TAKEN:
        park(cx, tx, [newcomer.row], newcomer.record.id, TAKEN, f"{reason}; unlink that one first")
        return
    tx.queue.defer([newcomer.row.id], cx.now(), TAKEN, reason)
    cx.again = True


def _taken(cx: Context, tx: Tx, births: Sequence[tuple[Newcomer, Task]]) -> set[tuple[str, str]]:
    """A create that was answered with something that is linked already must not be linked twice."""
    found: set[tuple[str, str]] = set()
    for key in {t.place.key for _, t in births}:
        ids = [t.done.id for _, t in births if t.place.key == key and t.done is not None]
        side = next(t.side for _, t in births if t.place.key == key)
        linked = (
            tx.pairs.by_ecs(cx.account.name, key, ids)
            if side is Side.ECS
            else tx.pairs.by_crm(cx.account.name, cx.crm, key, ids)
        )
        found |= {(key, id) for id in linked}
    return found


def _note(cx: Context, cycle: int, newcomer: Newcomer, task: Task, pair: Pair, notes: Notes) -> None:
    notes.history.append(birth_entry(cx, cycle, pair, task))
    if task.met:
        return  # its row stays: the merge treats it as a first meeting, and stamps it
    notes.snapshots[pair.id] = _snapshot(cx, newcomer, task, pair)
    notes.awaited[pair.id] = named_in(cx, task.place, pair.kind, task.columns)
    if task.done is not None and task.done.record is not None:
        shown = task.done.record.columns
        notes.awaited[pair.id] |= missing(cx, task.place, pair.kind, task.columns, shown)
    cx.count("created")
    offset = newcomer.place.clock_offset()
    when = since([newcomer.row], newcomer.side, newcomer.record, offset)
    cx.arrivals.note(task.side, cx.now(), when or cx.now())
    stamped = pair.generation > 0 or not bears_stamps(newcomer.place, newcomer.record.id)
    if task.repeated or task.cut:
        return  # its row stays: the merge looks at what both sides show by now
    if newcomer.side is Side.CRM or stamped or not newcomer.place.connector.capabilities.writable:
        notes.done.append(newcomer.row)
        if newcomer.side is Side.CRM:
            cx.processed.setdefault(newcomer.place.key, []).append(newcomer.record.id)
    # else its row stays until the item carries its stamp


def _pair(cx: Context, newcomer: Newcomer, task: Task, done: Done) -> Pair:
    ecs = newcomer.side is Side.ECS
    record = newcomer.record
    made_uid = done.record.uid if done.record is not None else ""
    write = task.write
    assert isinstance(write, Create)
    # else either side may have been edited since the create was sent first
    known = not task.repeated and not task.met
    made = "" if task.repeated or task.met or foreign(task, {}) else done.version
    return Pair(
        account=cx.account.name,
        crm=cx.crm,
        kind=record.kind,
        ecs_collection=newcomer.place.key if ecs else task.place.key,
        ecs_id=record.id if ecs else done.id,
        ecs_uid=record.uid if ecs else made_uid or write.key,
        ecs_version=(record.version if known else "") if ecs else made,
        crm_collection=task.place.key if ecs else newcomer.place.key,
        crm_id=done.id if ecs else record.id,
        crm_version=made if ecs else (record.version if known else ""),
        crm_owner=cx.user if ecs else record.owner,
        generation=0 if ecs or task.met else 1,
        linked_at=cx.now(),
        synced_at=cx.now(),
    )


def _snapshot(cx: Context, newcomer: Newcomer, task: Task, pair: Pair) -> Snapshot:
    source, target = newcomer.side, newcomer.side.other
    shows = {source: shown_before(cx, task, newcomer.record), target: written(task, {})}
    places = {source: newcomer.place, target: task.place}
    columns, kept = fresh_columns(pair.kind, task.columns, target, shows, places)
    return Snapshot(
        kind=pair.kind,
        synced=cx.now(),
        ecs=Mark(pair.ecs_id, pair.ecs_version),
        crm=Mark(pair.crm_id, pair.crm_version),
        columns=columns,
        kept=kept,
    )


def birth_entry(cx: Context, cycle: int, pair: Pair, task: Task) -> Entry:
    action = Action.LINK if task.met else Action.CREATE
    reason = "an item stood under its key already" if task.met else task.reason
    return entry(cx, cycle, pair, task.side, action, reason, winner=task.side.other.value)
