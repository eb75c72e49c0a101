"""Undo: put the writes of one cycle back, on whichever side they were made.

Only the service's own writes are undone, never what people did: where a CRM edit had been carried into a vCard, the
vCard gets its old value back and the CRM keeps the edit. The difference that remains waits for a person like any
conflict that is to be asked about; otherwise the next cycle would do again what has just been undone. What people have
changed since stays as it is, and is reported.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from crmsync.connectors.contract import Columns, Create, Delete, Done, Record, Side, Update, Value, with_group
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.apply import Task, carry_out
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.fates import entry
from crmsync.daemon.cycle.load import fetch
from crmsync.daemon.cycle.stamps import item_key
from crmsync.daemon.operations.finding import NoSuchItem, opened
from crmsync.daemon.operations.waiting import settle, wait
from crmsync.daemon.plan.normalise import same
from crmsync.daemon.plan.reconcile import MADE_AGAIN
from crmsync.state.database import State
from crmsync.state.model import PERSON, Action, Entry, Intent, Pair, PairState
from crmsync.state.values import decode_columns


@dataclass(slots=True)
class Undone:
    """What came of it; ``kept``: what was left as it is, ``partly``: what was put back without all that it had; each
    with the reason."""

    done: int = 0
    kept: list[dict[str, Any]] = field(default_factory=list)
    partly: list[dict[str, Any]] = field(default_factory=list)

    def keep(self, one: Entry, reason: str) -> None:
        item = one.ecs_id if one.side is Side.ECS else one.crm_id
        self.kept.append({"item": item, "side": one.side.value, "column": one.column, "reason": reason})

    def part(self, pair: Pair, side: Side) -> None:
        theirs = "record in the CRM" if side is Side.ECS else "item on the ECS side"
        reason = f"{MADE_AGAIN[side]}; the {theirs} stays deleted"
        self.partly.append(
            {"item": pair.ecs_id if side is Side.ECS else pair.crm_id, "side": side.value, "reason": reason}
        )


def undo(state: State, contexts: Sequence[Context], cycle: int) -> dict[str, Any]:
    """Raises NoSuchItem when there is no such cycle."""
    with state.reading() as tx:
        entries = tx.history.of_cycle(cycle)
        known = tx.cycles.get(cycle)
    if known is None:
        raise NoSuchItem(f"there is no cycle {cycle}; `crmsync history ITEM` names them")
    mine = [cx for cx in contexts if cx.account.name == known.account]
    undone, errors = Undone(), []
    for cx in opened(mine):
        with state.lock(known.account):
            for some in _by_item(entries):
                _item(cx, some, undone)
            if cx.recorded:
                with state.transaction() as tx:
                    tx.cycles.finish(cx.cycle, cx.now(), {"updated": undone.done}, cx.errors)
        errors += cx.errors
    errors += [e for cx in mine for e in cx.errors if e not in errors]
    return {
        "cycle": cycle,
        "undone": undone.done,
        "kept": undone.kept,
        "partly": undone.partly,
        "errors": errors,
    }


def _by_item(entries: Sequence[Entry]) -> list[list[Entry]]:
    groups: dict[tuple[object, ...], list[Entry]] = defaultdict(list)
    for one in entries:
        groups[one.pair_id, one.ecs_id if one.pair_id is None else "", str(one.action), one.side].append(one)
    return list(reversed(groups.values()))  # the last one first, as with any undoing


def _item(cx: Context, entries: Sequence[Entry], undone: Undone) -> None:
    first = entries[0]
    try:
        match first.action:
            case Action.UPDATE:
                _columns_back(cx, entries, undone)
            case Action.CREATE:
                _take_away(cx, first, undone)
            case Action.DELETE:
                _put_back(cx, entries, undone)
            case Action.UNLINK:
                _link_again(cx, first, undone)
            case _:
                return
    except ConnectorError as error:
        undone.keep(first, str(error))


def _standing(cx: Context, one: Entry) -> tuple[Place, Record] | None:
    key, id = (one.ecs_collection, one.ecs_id) if one.side is Side.ECS else (one.crm_collection, one.crm_id)
    place = cx.place(one.side, key)
    if place is None:
        return None
    answer = fetch(cx, place, [id]).get(id)
    return (place, answer) if isinstance(answer, Record) else None


def _pair(cx: Context, one: Entry) -> Pair | None:
    if one.pair_id is None:
        return None
    with cx.state.reading() as tx:
        return tx.pairs.get(one.pair_id)


# ── Columns ──────────────────────────────────────────────────────────────────────────────────────────────────


def _columns_back(cx: Context, entries: Sequence[Entry], undone: Undone) -> None:
    first, found, pair = entries[0], _standing(cx, entries[0]), _pair(cx, entries[0])
    if found is None or pair is None:
        for one in entries:
            undone.keep(one, "the item is no longer there, or no longer linked")
        return
    place, record = found
    sent = _sent(cx, first, Action.UPDATE)
    back: dict[str, Value] = {}
    for one in entries:
        shown = place.connector.project(one.kind, {one.column: one.new})
        if same(record.columns.get(one.column), shown.get(one.column, one.new)):
            back[one.column] = one.old
        elif sent is not None and _shows(place, record, sent, one):
            back[one.column] = one.old  # an undo that was interrupted has put it back already
            record = replace(record, columns={**record.columns, one.column: one.new})
        else:
            undone.keep(one, "changed by someone since")
    torn = with_group(first.kind, frozenset(e.column for e in entries if e.column not in back))
    for one in (e for e in entries if e.column in back and e.column in torn):
        undone.keep(one, "it means something only together with a column that was changed since")
    back = {n: v for n, v in back.items() if n not in torn}
    if not back:
        return
    other = _other_side(cx, pair, first.side)  # before anything is written: it may not answer
    write = Update(record.id, record.version, first.kind, back)
    task = Task(place, first.side, write, record.id, first.kind, "undo", pair.id)
    wait(cx, pair, [e for e in entries if e.column in back], other)
    carry_out(cx, [task])
    if task.done is None:
        if task.over:
            settle(cx, pair, back)
        for one in entries:
            undone.keep(one, f"not written: {getattr(task.outcome, 'reason', 'the item changed meanwhile')}")
        return
    _note_columns(cx, pair, entries, back, task, record)
    undone.done += len(back)


def _note_columns(
    cx: Context,
    pair: Pair,
    entries: Sequence[Entry],
    back: Columns,
    task: Task,
    before: Record,
) -> None:
    """The old value is the snapshot again."""
    assert task.done is not None
    side, cycle = task.side, cx.cycle
    version = task.done.version
    with cx.state.transaction() as tx:
        tx.intents.close(task.intents)
        snapshot = tx.snapshots.get(pair.id)
        if snapshot is not None:
            kept = {s: {n: v for n, v in some.items() if n not in back} for s, some in snapshot.kept.items()}
            tx.snapshots.put(pair.id, replace(snapshot, columns={**snapshot.columns, **back}, kept=kept))
        tx.pairs.save(
            replace(pair, ecs_version=version) if side is Side.ECS else replace(pair, crm_version=version)
        )
        for one in (e for e in entries if e.column in back):
            redone = entry(cx, cycle, pair, side, Action.UPDATE, f"undo of cycle {one.cycle}")
            tx.history.add(
                [replace(redone, column=one.column, old=before.columns.get(one.column), new=one.old)]
            )


def _other_side(cx: Context, pair: Pair, side: Side) -> Record | None:
    key, id = (pair.crm_collection, pair.crm_id) if side is Side.ECS else (pair.ecs_collection, pair.ecs_id)
    place = cx.place(side.other, key)
    answer = fetch(cx, place, [id]).get(id) if place is not None else None
    return answer if isinstance(answer, Record) else None


def _sent(cx: Context, one: Entry, action: Action) -> Intent | None:
    """What an interrupted undo has announced for the item, and nobody has heard of."""
    key, id = (one.ecs_collection, one.ecs_id) if one.side is Side.ECS else (one.crm_collection, one.crm_id)
    with cx.state.reading() as tx:
        found = tx.intents.open_for(one.account, one.side, key, [id]).get(id)
    return found if found is not None and found.action == action else None


def _shows(place: Place, record: Record, sent: Intent, one: Entry) -> bool:
    columns = decode_columns(one.kind, sent.columns)
    shown = place.connector.project(one.kind, columns)
    return one.column in shown and same(record.columns.get(one.column), shown[one.column])


# ── Whole items ──────────────────────────────────────────────────────────────────────────────────────────────


def _take_away(cx: Context, one: Entry, undone: Undone) -> None:
    """What the cycle made is deleted again, unless someone has changed it since; the original stays, unlinked. It is
    unlinked first: the cycle that follows an interrupted undo must not take our delete for a person's."""
    found, pair, reason = _standing(cx, one), _pair(cx, one), f"undo of cycle {one.cycle}"
    sent = _sent(cx, one, Action.DELETE)
    if pair is None or (found is None and sent is None):
        undone.keep(one, "it is no longer there, or no longer linked")
        return
    if found is None and sent is not None:
        _note_taken(cx, one, sent.native, decode_columns(one.kind, sent.columns), [sent.id])
        undone.done += 1
        return
    assert found is not None
    place, record = found
    known = pair.ecs_version if one.side is Side.ECS else pair.crm_version
    if record.version != known:
        if sent is not None:  # an undo that was interrupted before its delete arrived
            with cx.state.transaction() as tx:
                tx.intents.close([sent.id])
                tx.pairs.save(replace(pair, state=PairState.LINKED, reason=""))
        undone.keep(one, "changed by someone since")
        return
    if _others(cx, pair):
        undone.keep(one, "another account has linked it too")
        return
    write = Delete(record.id, record.version)
    going = {n: v for n, v in record.columns.items() if v is not None}
    task = Task(place, one.side, write, record.id, one.kind, "undo", pair.id, record.native, going)
    with cx.state.transaction() as tx:
        tx.pairs.save(replace(pair, state=PairState.UNLINKED, reason=reason, untagged=False))
    carry_out(cx, [task])
    if task.done is not None:
        _note_taken(cx, one, record.native, going, task.intents)
        undone.done += 1
        return
    if task.over:
        with cx.state.transaction() as tx:
            tx.intents.close(task.over)
            tx.pairs.save(pair)
    undone.keep(one, "not deleted: it changed meanwhile, or the server refused")


def _note_taken(cx: Context, one: Entry, native: str, columns: Columns, intents: Sequence[int]) -> None:
    cycle, pair = cx.cycle, _pair(cx, one)
    assert pair is not None
    whole = entry(cx, cycle, pair, one.side, Action.DELETE, f"undo of cycle {one.cycle}")
    whole = replace(whole, winner=PERSON)
    with cx.state.transaction() as tx:
        tx.intents.close(intents)
        tx.history.add([replace(whole, native=native)])
        tx.history.add([replace(whole, column=n, old=v) for n, v in columns.items()])


def _others(cx: Context, pair: Pair) -> bool:
    with cx.state.reading() as tx:
        found = tx.pairs.accounts_of(cx.crm, pair.crm_collection, [pair.crm_id]).get(pair.crm_id, [])
    return any(p.account != pair.account and p.state is PairState.LINKED for p in found)


def _put_back(cx: Context, entries: Sequence[Entry], undone: Undone) -> None:
    """What the cycle deleted is made again as it was. Its partner stays deleted, so the two are not linked."""
    one = next((e for e in entries if not e.column), entries[0])
    columns = {e.column: e.old for e in entries if e.column}
    place = cx.place(one.side, one.ecs_collection if one.side is Side.ECS else one.crm_collection)
    if place is None:
        undone.keep(one, "its collection cannot be reached")
        return
    former = _former(cx, one)
    if former is not None and _stands(cx, place, one, former):
        undone.keep(one, "it was put back before, or its partner is linked to another item by now")
        return
    write = Create(
        item_key(cx.organisation, one.crm_id, cx.account.name, one.cycle),
        one.kind,
        {n: v for n, v in columns.items() if n in place.connector.project(one.kind, columns)},
        owner=cx.user if one.side is Side.CRM else "",
        native=one.native,
    )
    task = Task(place, one.side, write, one.ecs_id or one.crm_id, one.kind, "undo")
    carry_out(cx, [task])
    if task.done is None:
        undone.keep(one, f"not made again: {getattr(task.outcome, 'reason', 'no answer')}")
        return
    reason = f"undo of cycle {one.cycle}"
    if not one.native:
        reason = f"{reason}; {MADE_AGAIN[one.side]}"
    cycle = cx.cycle
    with cx.state.transaction() as tx:
        tx.intents.close(task.intents)
        pair = _unlinked(cx, one, former, task.done, reason)
        if former is None:
            pair = tx.pairs.add(pair)
        else:
            tx.pairs.save(pair)
        tx.history.add([entry(cx, cycle, pair, one.side, Action.CREATE, reason)])
    undone.done += 1
    if not one.native:
        undone.part(pair, one.side)


def _former(cx: Context, one: Entry) -> Pair | None:
    """The pair of which this was a half, or which one of the two halves has become a part of."""
    with cx.state.reading() as tx:
        known = {
            **tx.pairs.by_ecs(one.account, one.ecs_collection, [one.ecs_id]),
            **tx.pairs.by_crm(one.account, cx.crm, one.crm_collection, [one.crm_id]),
        }
    return next(iter(sorted(known.values(), key=lambda p: p.state is not PairState.LINKED)), None)


def _stands(cx: Context, place: Place, one: Entry, pair: Pair) -> bool:
    if pair.state is PairState.LINKED:
        return True
    id = pair.ecs_id if one.side is Side.ECS else pair.crm_id
    return isinstance(fetch(cx, place, [id]).get(id), Record)


def _unlinked(cx: Context, one: Entry, former: Pair | None, done: Done, reason: str) -> Pair:
    pair = former or Pair(
        account=one.account,
        crm=cx.crm,
        kind=one.kind,
        ecs_collection=one.ecs_collection,
        ecs_id=one.ecs_id,
        crm_collection=one.crm_collection,
        crm_id=one.crm_id,
        linked_at=cx.now(),
        synced_at=cx.now(),
    )
    pair = replace(pair, state=PairState.UNLINKED, reason=reason, synced_at=cx.now())
    if one.side is Side.ECS:
        return replace(pair, ecs_id=done.id, ecs_version=done.version)
    return replace(pair, crm_id=done.id, crm_version=done.version)


def _link_again(cx: Context, one: Entry, undone: Undone) -> None:
    """An unlink is undone by linking again; an item that had lost its tag gets it back."""
    pair = _pair(cx, one)
    found = _standing(cx, replace(one, side=Side.ECS))
    if pair is None or pair.state is PairState.LINKED or found is None:
        undone.keep(one, "it is linked already, or no longer there")
        return
    place, record = found
    version = record.version
    if not cx.account.selected(record):
        write = Update(record.id, record.version, pair.kind, {}, tag=cx.account.tag)
        task = Task(place, Side.ECS, write, record.id, pair.kind, "undo", pair.id)
        carry_out(cx, [task])
        if task.done is None:
            undone.keep(one, "the tag could not be put back")
            return
        version = task.done.version
    cycle = cx.cycle
    with cx.state.transaction() as tx:
        linked = replace(pair, state=PairState.LINKED, reason="", untagged=False, ecs_version=version)
        tx.pairs.save(linked)
        tx.history.add([entry(cx, cycle, linked, Side.ECS, Action.LINK, f"undo of cycle {one.cycle}")])
    undone.done += 1
