"""A column whose members are merged each by itself (``members``), as a part of the merge of its item."""

from collections.abc import Mapping
from dataclasses import dataclass

from crmsync.connectors.contract import Side, Value
from crmsync.daemon.plan.members import listed, merged, people
from crmsync.daemon.plan.normalise import same
from crmsync.daemon.plan.terms import Decision, Rule, Standing, Verdict, name_of


@dataclass(frozen=True, slots=True)
class Each:
    """What becomes of the column."""

    to: Mapping[Side, Value]  # what has to be written
    agreed: Value
    decisions: tuple[Decision, ...]
    barred: frozenset[Side] = frozenset()  # where something should be written, and may not


def each(
    name: str, ecs: Standing, crm: Standing, rule: Rule, come: frozenset[str], *, known: bool
) -> Each | None:
    """Nothing in it can clash. ``known``: it was agreed on before. None: there is nothing to say of it."""
    if known and not come and not ecs.changed([name]) and not crm.changed([name]):
        return None
    ecs_was, crm_was = (people(s.baseline.get(name)) if known else {} for s in (ecs, crm))
    ecs_is, crm_is = people(ecs.columns[name]), people(crm.columns[name])
    result = merged(ecs_was, ecs_is, crm_was, crm_is, come)
    wanted: Mapping[Side, Value] = {Side.ECS: listed(result.ecs), Side.CRM: listed(result.crm)}
    differing = {s: t for s, t in ((Side.ECS, ecs), (Side.CRM, crm)) if not same(wanted[s], t.columns[name])}
    decisions = {side: _decided(name, side, there, rule) for side, there in differing.items()}
    to = {s: wanted[s] for s, d in decisions.items() if d.verdict in (Verdict.TO_ECS, Verdict.TO_CRM)}
    return Each(
        to,
        agreed=wanted[Side.ECS] if Side.ECS in to else listed(ecs_is),
        decisions=tuple(decisions.values())
        or (Decision((name,), Verdict.AGREED, "each side has those that it knows"),),
        barred=frozenset(s for s, d in decisions.items() if d.verdict is Verdict.BARRED),
    )


def _decided(name: str, side: Side, there: Standing, rule: Rule) -> Decision:
    reason = f"changed in the {name_of(side.other)}"
    if not rule.direction.allows(side):
        return Decision((name,), Verdict.KEPT, f"this column does not go to the {name_of(side)}")
    if name in there.barred:
        return Decision((name,), Verdict.BARRED, f"{reason}; it may not be written in the {name_of(side)}")
    if name not in there.writable:
        return Decision((name,), Verdict.KEPT, f"it cannot be written in the {name_of(side)}")
    return Decision((name,), Verdict.TO_CRM if side is Side.CRM else Verdict.TO_ECS, reason)


def is_within(name: str, ecs: Standing, crm: Standing) -> bool:
    """Whether the CRM has nobody whom the ECS side does not have."""
    return people(crm.columns[name]).keys() <= people(ecs.columns[name]).keys()
