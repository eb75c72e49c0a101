"""Glances: of an item that never says anything else than what it has said, only what may change is asked for."""

from dataclasses import replace

from crmsync.connectors.abilities import Glancing
from crmsync.connectors.contract import Record, Side
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.work import Answer, Work, baseline, rules_of
from crmsync.daemon.plan.terms import Direction


def said_before(cx: Context, place: Place, work: Work) -> bool:
    """Whether the snapshot has all that it says, as far as that is exchanged: it has been merged before, and nothing
    was configured since that asks for more."""
    target = cx.objects.get(work.pair.crm_collection)
    if not isinstance(place.connector, Glancing) or target is None or work.snapshot is None or work.again:
        return False
    kind = work.pair.kind
    exchanged = {n for n, rule in rules_of(cx, kind).items() if rule.direction is not Direction.NONE}
    held = target.connector.capabilities.columns.get(kind, frozenset())
    fixed = place.connector.capabilities.read_only_columns.get(kind, frozenset())
    return bool(work.pair.ecs_version) and exchanged & held & fixed <= work.snapshot.columns.keys()


def completed(cx: Context, place: Place, work: Work, answer: Answer) -> Answer:
    """With what it has said, as this side shows it."""
    if not isinstance(answer, Record):
        return answer
    fixed = place.connector.capabilities.read_only_columns.get(work.pair.kind, frozenset())
    said = {n: v for n, v in baseline(cx, place, work, Side.ECS).items() if n in fixed}
    return replace(answer, columns={**said, **answer.columns})
