"""Agreed: what the snapshot, the history and the conflict log hold once the writes stand."""

from collections.abc import Mapping, Sequence

from crmsync.connectors.columns import with_group
from crmsync.connectors.contract import Columns, Kind, Record, Side, Value
from crmsync.daemon.cycle.apply import Task
from crmsync.daemon.cycle.context import Context, Place, exchanged
from crmsync.daemon.cycle.work import Work, rules_of
from crmsync.daemon.plan.normalise import same
from crmsync.daemon.plan.terms import Clash, Merged
from crmsync.state.model import Action, Conflict, Entry, Pair
from crmsync.state.snapshot import Snapshot


def advance(
    kind: Kind,
    old: Snapshot | None,
    merged: Merged,
    failed: frozenset[str],
    shows: Mapping[Side, Columns],
    places: Mapping[Side, Place],
) -> tuple[Columns, Mapping[Side, Columns]]:
    """The snapshot's columns, and what each side keeps instead of them.

    A column advances only when both sides hold it: what is in ``failed`` (with its whole unit), or was not agreed on,
    stays as it was. ``shows``: the columns as each side shows them now.
    """
    reached = merged.touched - with_group(kind, failed)
    columns = dict(old.columns) if old else {}
    columns.update({n: merged.agreed[n] for n in merged.agreed if n in reached})
    kept = {
        side: {
            **{n: v for n, v in (old.kept.get(side, {}) if old else {}).items() if n not in reached},
            **_kept(kind, columns, reached, shows[side], places[side]),
        }
        for side in Side
    }
    return columns, {side: some for side, some in kept.items() if some}


def fresh_columns(
    kind: Kind,
    sent: Columns,
    target: Side,
    shows: Mapping[Side, Columns],
    places: Mapping[Side, Place],
) -> tuple[Columns, Mapping[Side, Columns]]:
    """The snapshot of an item that has just been created on ``target``: what both sides hold of it."""
    held = places[target].connector.project(kind, sent)
    columns = {n: v for n, v in sent.items() if n in held}
    # what is empty on both sides is agreed as well, so that filling it in later is an edit and not a first meeting
    source = shows[target.other]
    blank = places[target].connector.project(kind, {n: None for n, v in source.items() if same(v, None)})
    shows = {**shows, target: {**blank, **shows[target]}}  # not sent, because it is empty: so it is there
    empty = {n for n in shows[Side.ECS].keys() & shows[Side.CRM].keys() if n not in columns}
    columns.update(
        {n: None for n in empty if same(shows[Side.ECS][n], None) and same(shows[Side.CRM][n], None)}
    )
    names = frozenset(columns)
    kept = {side: _kept(kind, columns, names, shows[side], places[side]) for side in Side}
    return columns, {side: some for side, some in kept.items() if some}


def shown_before(cx: Context, task: Task, source: Record) -> Columns:
    """What ``source`` showed when the create was announced that this is the outcome of: what was sent. Whatever else it
    could have sent was empty, and is an edit by now."""
    if not task.repeated:
        return source.columns
    fixed = task.place.connector.capabilities.read_only_columns.get(task.kind, frozenset())
    able = exchanged(rules_of(cx, task.kind), source.columns, task.side)
    return {**{n: None for n in able if n not in fixed}, **task.columns}


def _kept(
    kind: Kind, columns: Columns, names: frozenset[str], shows: Columns, place: Place
) -> dict[str, Value]:
    """What this side has instead of the agreed value, beyond what its mapping predicts."""
    predicted = place.connector.project(kind, columns)
    return {
        n: shows[n]
        for n in names
        if n in shows and n in columns and not same(shows[n], predicted.get(n, columns[n]))
    }


def column_entries(
    cx: Context, cycle: int, work: Work, task: Task, merged: Merged, source: str = ""
) -> list[Entry]:
    """History, column by column: the old and the new value, who won and why."""
    before = work.record(task.side).columns
    winners = {c.column: c.winner.value for c in merged.clashes if c.winner is not None}
    reasons = {n: d.reason for d in merged.decisions for n in d.columns}
    return [
        entry(
            cx,
            cycle,
            work.pair,
            task.side,
            Action.UPDATE,
            reasons.get(name, task.reason),
            column=name,
            old=before.get(name),
            new=value,
            winner=winners.get(name, task.side.other.value),
        )
        for name, value in task.columns.items()
        if not same(before.get(name), value)
    ]


def clash_rows(cx: Context, cycle: int, pair: Pair, clashes: Sequence[Clash]) -> list[Conflict]:
    return [conflict(cx, cycle, pair, each) for each in clashes]


def entry(
    cx: Context,
    cycle: int,
    pair: Pair,
    side: Side,
    action: Action,
    reason: str,
    *,
    column: str = "",
    old: Value = None,
    new: Value = None,
    winner: str = "",
) -> Entry:
    return Entry(
        cycle=cycle,
        account=pair.account,
        pair_id=pair.id,
        kind=pair.kind,
        ecs_collection=pair.ecs_collection,
        ecs_id=pair.ecs_id,
        crm_collection=pair.crm_collection,
        crm_id=pair.crm_id,
        at=cx.now(),
        side=side,
        action=action,
        column=column,
        old=old,
        new=new,
        winner=winner,
        reason=reason,
    )


def conflict(cx: Context, cycle: int, pair: Pair, clash: Clash) -> Conflict:
    return Conflict(
        cycle=cycle,
        account=pair.account,
        pair_id=pair.id,
        kind=pair.kind,
        item=pair.ecs_id,
        record=pair.crm_id,
        column=clash.column,
        base=clash.base,
        ecs=clash.ecs,
        crm=clash.crm,
        winner=clash.winner.value if clash.winner is not None else None,
        resolved=clash.winner is not None,
        reason=clash.reason,
        at=cx.now(),
    )
