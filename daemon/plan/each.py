"""A column whose members are merged each by itself (``members``), as a part of the merge of its item."""

from collections.abc import Mapping

from crmsync.connectors.contract import Columns, Side, Value
from crmsync.daemon.plan.draft import Draft, name_of
from crmsync.daemon.plan.members import listed, merged, people
from crmsync.daemon.plan.normalise import same
from crmsync.daemon.plan.terms import Rule, Standing, Verdict


def is_within(name: str, ecs: Standing, crm: Standing) -> bool:
    return people(crm.columns[name]).keys() <= people(ecs.columns[name]).keys()


def each(
    draft: Draft,
    name: str,
    base: Columns,
    ecs: Standing,
    crm: Standing,
    rule: Rule,
    come: frozenset[str],
) -> None:
    """A list of which each member is merged by itself: nothing in it can clash."""
    known = name in base
    if known and not come and not ecs.changed([name]) and not crm.changed([name]):
        return
    ecs_was, crm_was = (people(s.baseline.get(name)) if known else {} for s in (ecs, crm))
    ecs_is, crm_is = people(ecs.columns[name]), people(crm.columns[name])
    result = merged(ecs_was, ecs_is, crm_was, crm_is, come)
    wanted: Mapping[Side, Value] = {Side.ECS: listed(result.ecs), Side.CRM: listed(result.crm)}
    agreed, told = listed(ecs_is), len(draft.decisions)
    for side, there in ((Side.ECS, ecs), (Side.CRM, crm)):
        if same(wanted[side], there.columns[name]):
            continue
        if not rule.direction.allows(side):
            draft.say([name], Verdict.KEPT, f"this column does not go to the {name_of(side)}")
        elif name in there.barred:
            draft.bar([name], side, [name], f"changed in the {name_of(side.other)}")
        elif name not in there.writable:
            draft.say([name], Verdict.KEPT, f"it cannot be written in the {name_of(side)}")
        else:
            draft.to[side][name] = wanted[side]
            verdict = Verdict.TO_CRM if side is Side.CRM else Verdict.TO_ECS
            draft.say([name], verdict, f"changed in the {name_of(side.other)}")
            agreed = wanted[side] if side is Side.ECS else agreed
    if draft.barred and any(name in names for names in draft.barred.values()):
        return  # it stays to be done
    if len(draft.decisions) == told:
        draft.say([name], Verdict.AGREED, "each side has those that it knows")
    draft.agree({name: agreed})
