"""Unagreed: what stands in one half of a pair only, although no exchanged column differs from the snapshot.

It must not go when the other half is deleted: nobody who deleted that has seen it.
"""

from crmsync.connectors.contract import Side
from crmsync.daemon.cycle import doubt
from crmsync.daemon.cycle.context import Context
from crmsync.daemon.cycle.work import Work, rules_of
from crmsync.daemon.plan.terms import Direction, Standing


def item_says_more(cx: Context, work: Work, ecs: Standing) -> bool:
    return _edited_beyond_us(work) or _unsent(cx, work, Side.ECS, ecs)


def record_says_more(cx: Context, work: Work, crm: Standing) -> bool:
    return _perhaps_edited(cx, work, crm) or _unsent(cx, work, Side.CRM, crm)


def _edited_beyond_us(work: Work) -> bool:
    """The item is another one than we last saw, though no exchanged column says so: a person may have written what we
    do not map (notes, a photo), and that must not go with a deleted record."""
    known = work.pair.ecs_version
    return bool(known) and work.record(Side.ECS).version != known


def _perhaps_edited(cx: Context, work: Work, crm: Standing) -> bool:
    """The record is another one than we last saw, and shows something in an exchanged column on which the two sides
    have never agreed (the CRM lets nobody but itself write there): a person may have written just that."""
    rules, place = rules_of(cx, work.pair.kind), cx.objects[work.pair.crm_collection]
    known = work.pair.crm_version
    if not known or doubt.unwritten(place, known, work.record(Side.CRM).version):
        return False
    exchanged_ones = {n for n, rule in rules.items() if rule.direction is not Direction.NONE}
    never_agreed = (v for n, v in crm.columns.items() if n in exchanged_ones and n not in crm.baseline)
    return any(v is not None for v in never_agreed)


def _unsent(cx: Context, work: Work, side: Side, there: Standing) -> bool:
    """It was exchanged only in part, as far as that was granted or configured, and waits to be looked at again: what it
    shows besides stands nowhere else."""
    if not any(row.side is side and not row.gone for row in work.rows):
        return False
    kind, rules = work.pair.kind, rules_of(cx, work.pair.kind)
    place = cx.place(side.other, work.pair.on(side.other).collection)
    if place is None:
        return False
    held = place.connector.capabilities
    able = held.columns.get(kind, frozenset()) - held.read_only_columns.get(kind, frozenset())
    going = (n for n in able & there.columns.keys() if n in rules and rules[n].direction.allows(side.other))
    return any(there.columns[n] is not None and n not in there.baseline for n in going)
