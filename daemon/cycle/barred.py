"""Barred: what should be written to a side, but may not, for want of a right that somebody could give.

The item is parked with the reason, once. It is looked at again when it changes, or when a person asks for it: by then
the right may be there, or the edit taken back.
"""

from collections.abc import Iterator
from datetime import datetime

from crmsync.connectors.contract import Side
from crmsync.daemon.cycle.apply import park
from crmsync.daemon.cycle.context import Context
from crmsync.daemon.cycle.meetings import called_by
from crmsync.daemon.cycle.work import Work
from crmsync.daemon.plan.terms import Merged
from crmsync.state.model import Change, Detected, QueueState
from crmsync.state.transaction import Tx


def park_barred(cx: Context, tx: Tx, work: Work, merged: Merged) -> frozenset[int]:
    """The row of the sync table that stays, if there is anything to park. One row for one item."""
    if not merged.barred:
        return frozenset()
    code, reason = _why(cx, work, merged)
    row = _row(work, merged) or _new_row(tx, work, cx.now())
    known = tx.queue.get(row.account, row.side, row.collection, [row.item])
    if [(r.version, r.gone) for r in known] != [(row.version, row.gone)]:
        return frozenset()  # changed since it was read: it stays due
    if (row.state, row.code, row.error) != (QueueState.PARKED, code, reason):
        park(cx, tx, [row], work.pair.ecs_id, code, reason)
    return frozenset({row.id})


def foretell(cx: Context, work: Work, merged: Merged) -> None:
    """The lines of a dry run."""
    for side, columns in merged.barred.items():
        _, reason = _why(cx, work, merged)
        cx.intend(work.pair.ecs_id, work.pair.crm_id, side, "park", dict.fromkeys(columns), reason)


def _row(work: Work, merged: Merged) -> Change | None:
    """That of the side on which the edit was made, if it has one; else the other's. What was moved, or follows the
    survivor of a merge, may have a row under its former id only, where no one would look for it."""
    pair = work.pair
    names = {Side.ECS: (pair.ecs_collection, pair.ecs_id), Side.CRM: (pair.crm_collection, pair.crm_id)}
    rows = [r for r in work.rows if (r.collection, r.item) == names[r.side]]
    origin = next(iter(merged.barred)).other
    return next(iter(sorted(rows, key=lambda r: r.side is not origin)), None)


def _new_row(tx: Tx, work: Work, now: datetime) -> Change:
    pair, version = work.pair, work.record(Side.ECS).version
    tx.queue.record(pair.account, Side.ECS, pair.ecs_collection, [Detected(pair.ecs_id, version)], now)
    return tx.queue.get(pair.account, Side.ECS, pair.ecs_collection, [pair.ecs_id])[0]


def _why(cx: Context, work: Work, merged: Merged) -> tuple[str, str]:
    """Code and reason: what cannot go on, whose fault that is, and what to do."""
    reasons = list(_reasons(cx, work, merged))
    code = reasons[0][0]
    said = "; ".join(reason for _, reason in reasons)
    return code, f"{said}. Then `crmsync retry {work.pair.ecs_id}`; or take the edit back"


def _reasons(cx: Context, work: Work, merged: Merged) -> Iterator[tuple[str, str]]:
    pair = work.pair
    for side, columns in merged.barred.items():
        what = ", ".join(sorted(columns))
        place = cx.place(side, pair.on(side).collection)
        label = place.label if place is not None else ""
        if side is Side.ECS and place is not None and called_by(cx, place, work.record(side).columns):
            yield (
                "not_ours",
                f"{what}: not brought from the CRM into the calendar, because the meeting was called by somebody "
                "else, and what stands there is a copy of it; ask them to change it",
            )
        elif side is Side.ECS:
            yield (
                "read_only",
                f"{what}: not brought from the CRM to the item, because “{label}” cannot be written by this login; "
                "ask its owner for write access",
            )
        elif place is not None and not place.connector.capabilities.writable:
            yield (
                "read_only",
                f"{what}: not brought from the item to the CRM, because “{label}” cannot be written with the CRM "
                "login; ask an administrator of the CRM for write access",
            )
        else:
            yield (
                "forbidden",
                f"{what}: not brought from the item to the CRM, because {cx.account.crm_user} may not edit the record "
                f"{pair.crm_id} there; ask its owner or an administrator of the CRM for the right to edit it",
            )
