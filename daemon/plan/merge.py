"""One linked item, column by column: the table of the design, a branch a row.

The snapshot decides *whether* a column changed on a side; clocks only break the tie when both changed it. Columns that
mean something only together (``columns.Column.group``) form one *unit* and win or lose as one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from crmsync.connectors.columns import COLUMNS
from crmsync.connectors.contract import Columns, Kind, Side, Value
from crmsync.daemon.plan.each import each, is_within
from crmsync.daemon.plan.normalise import alike, same, tidy
from crmsync.daemon.plan.terms import (
    NEVER,
    Clash,
    Decision,
    Direction,
    Held,
    Merged,
    Policy,
    Rule,
    Standing,
    Verdict,
    name_of,
)


@dataclass
class _Draft:
    to: dict[Side, dict[str, Value]] = field(default_factory=lambda: {Side.ECS: {}, Side.CRM: {}})
    agreed: dict[str, Value] = field(default_factory=dict)
    clashes: list[Clash] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    settled: set[str] = field(default_factory=set)
    touched: set[str] = field(default_factory=set)
    barred: dict[Side, frozenset[str]] = field(default_factory=dict)

    def agree(self, value: Columns) -> None:
        self.agreed.update(value)
        self.touched.update(value)

    def bar(self, unit: Sequence[str], target: Side, names: Sequence[str], reason: str) -> None:
        self.barred[target] = self.barred.get(target, frozenset()) | frozenset(names)
        self.say(unit, Verdict.BARRED, f"{reason}; it may not be written in the {name_of(target)}")

    def say(self, names: Sequence[str], verdict: Verdict, reason: str) -> None:
        self.decisions.append(Decision(tuple(names), verdict, reason))


def merge(
    kind: Kind,
    snapshot: Columns | None,
    ecs: Standing,
    crm: Standing,
    rules: Mapping[str, Rule],
    *,
    first_link: Policy = Policy.ASK,
    fill: bool = True,
    held: Mapping[str, Held] | None = None,
    decided: Mapping[str, Value] | None = None,
    considered: Mapping[str, Held] | None = None,
    come: Mapping[str, frozenset[str]] | None = None,
) -> Merged:
    """What has to be written where, so that both sides agree.

    ``held``: differences that wait for a person, by column. ``decided``: values that a person has chosen, by column;
    they go to both sides whatever the rules say. ``considered``: between what there was the choice, by column.
    ``fill`` false: the two have met before, so that an empty column may have been emptied since. ``come``: members of
    a list that the CRM has come to know, by column (``members``).
    Returned columns are complete units.
    """
    held, decided, considered = held or {}, decided or {}, considered or {}
    base = snapshot or {}
    draft = _Draft(agreed=dict(base))
    for unit in _units(kind, ecs, crm):
        rule = _rule(unit, rules)
        name = unit[0]  # of one whose members are merged each by itself there is no other
        if chosen := {n: decided[n] for n in unit if n in decided}:
            _impose(draft, unit, chosen, ecs, crm)
            _log_unconsidered(draft, unit, base, ecs, crm, considered)
        elif rule.direction is Direction.NONE:
            draft.say(unit, Verdict.KEPT, "this column is not exchanged")
        elif _still_held(unit, ecs, crm, held):
            draft.say(unit, Verdict.HELD, "waits for a decision")
        elif COLUMNS[kind][name].each and not fill and name not in base and is_within(name, ecs, crm):
            draft.agree({name: ecs.columns[name]})
            draft.say(unit, Verdict.AGREED, "the CRM has nobody else; it need not know everybody")
        elif COLUMNS[kind][name].each and (fill or name in base):
            _each(draft, name, base, ecs, crm, rule, (come or {}).get(name, frozenset()))
        elif any(n in base for n in unit):
            # Of a group, a column that one side fills in by itself (when a task was completed) may not be agreed on
            # yet. It goes along with the others; by itself it is nobody's edit.
            _three_way(draft, unit, base, ecs, crm, rule)
        else:
            _first_meeting(draft, kind, unit, ecs, crm, rule, first_link, fill)
        draft.settled |= {n for n in unit if n in held and not _unsettled(draft, n)}
    return Merged(
        to_ecs=draft.to[Side.ECS],
        to_crm=draft.to[Side.CRM],
        agreed=draft.agreed,
        touched=frozenset(draft.touched),
        clashes=tuple(draft.clashes),
        decisions=tuple(draft.decisions),
        settled=frozenset(draft.settled),
        barred=draft.barred,
    )


def _three_way(
    draft: _Draft, unit: Sequence[str], base: Columns, ecs: Standing, crm: Standing, rule: Rule
) -> None:
    ecs_changed, crm_changed = ecs.changed(unit), crm.changed(unit)
    if not ecs_changed and not crm_changed:
        return  # a a a: a touch at most
    if ecs_changed and not crm_changed:  # a b a
        _send(draft, unit, Side.CRM, ecs, crm, rule, "changed on the ECS side")
    elif crm_changed and not ecs_changed:  # a a b
        _send(draft, unit, Side.ECS, crm, ecs, rule, "changed in the CRM")
    elif (common := _common(unit, ecs, crm)) is not None:  # a b b
        draft.agree(common)
        draft.say(unit, Verdict.AGREED, "both sides were changed to the same")
    else:  # a b c
        _clash(draft, unit, base, ecs, crm, rule, rule.conflict)


def _each(
    draft: _Draft,
    name: str,
    base: Columns,
    ecs: Standing,
    crm: Standing,
    rule: Rule,
    come: frozenset[str],
) -> None:
    result = each(name, ecs, crm, rule, come, known=name in base)
    if result is None:
        return
    for side, value in result.to.items():
        draft.to[side][name] = value
    draft.decisions += result.decisions
    for side in result.barred:  # it stays to be done
        draft.barred[side] = draft.barred.get(side, frozenset()) | {name}
    if not result.barred:
        draft.agree({name: result.agreed})


def _first_meeting(
    draft: _Draft,
    kind: Kind,
    unit: Sequence[str],
    ecs: Standing,
    crm: Standing,
    rule: Rule,
    policy: Policy,
    fill: bool,
) -> None:
    ecs_empty = all(tidy(ecs.columns[n]) is None for n in unit)
    crm_empty = all(tidy(crm.columns[n]) is None for n in unit)
    common = _common(unit, ecs, crm)
    if common is None and all(alike(kind, n, ecs.columns[n], crm.columns[n]) for n in unit):
        common = {n: ecs.columns[n] for n in unit}
    if common is not None:
        draft.agree(common)
        draft.say(unit, Verdict.AGREED, "both sides say the same")
    elif crm_empty and (fill or not _goes(unit, Side.CRM, crm, rule)):
        _send(draft, unit, Side.CRM, ecs, crm, rule, "empty in the CRM")
    elif ecs_empty and (fill or not _goes(unit, Side.ECS, ecs, rule)):
        _send(draft, unit, Side.ECS, crm, ecs, rule, "empty on the ECS side")
    elif rule.direction is not Direction.BOTH and rule.conflict is not Policy.ASK:
        # one way: there is nothing to ask; what has to give way stands in the conflict log
        _clash(draft, unit, {}, ecs, crm, rule, rule.conflict)
    else:
        _clash(draft, unit, {}, ecs, crm, rule, policy)


def _goes(unit: Sequence[str], target: Side, there: Standing, rule: Rule) -> bool:
    return rule.direction.allows(target) and not there.writable.isdisjoint(unit)


def _clash(
    draft: _Draft,
    unit: Sequence[str],
    base: Columns,
    ecs: Standing,
    crm: Standing,
    rule: Rule,
    policy: Policy,
) -> None:
    winner, reason = _judge(unit, ecs, crm, rule, policy)
    if winner is None:
        draft.say(unit, Verdict.HELD, reason)
    elif winner is Side.ECS:
        _send(draft, unit, Side.CRM, ecs, crm, rule, reason)
    else:
        _send(draft, unit, Side.ECS, crm, ecs, rule, reason)
    if draft.decisions[-1].verdict in (Verdict.KEPT, Verdict.BARRED):
        return  # nobody loses anything, and each cycle would log it anew
    for n in unit:
        if not same(ecs.columns[n], crm.columns[n]) and _lost(
            n, base, {Side.ECS: crm, Side.CRM: ecs}, winner
        ):
            draft.clashes.append(Clash(n, base.get(n), ecs.columns[n], crm.columns[n], winner, reason))


def _lost(name: str, base: Columns, losers: Mapping[Side, Standing], winner: Side | None) -> bool:
    """Whether something that a person may have typed gives way, or waits: not what a side works out by itself (when a
    task was completed), nor an emptiness that was there before."""
    if winner is None:
        return True
    loser = losers[winner]
    nothing = tidy(loser.columns[name]) is None and tidy(base.get(name)) is None
    return name in loser.writable and not nothing


def _judge(
    unit: Sequence[str], ecs: Standing, crm: Standing, rule: Rule, policy: Policy
) -> tuple[Side | None, str]:
    if policy is Policy.ASK:
        return None, "both sides differ; a person decides"
    if not rule.direction.allows(Side.ECS):
        return Side.ECS, "both sides differ; this column goes to the CRM only"
    if not rule.direction.allows(Side.CRM):
        return Side.CRM, "both sides differ; this column comes from the CRM only"
    if policy is Policy.ECS:
        return Side.ECS, "both sides changed; the ECS side wins by rule"
    if policy is Policy.CRM:
        return Side.CRM, "both sides changed; the CRM wins by rule"
    ecs_at, crm_at = ecs.clock(unit), crm.clock(unit)
    if ecs_at > crm_at:
        return Side.ECS, f"both sides changed; the ECS side later ({_when(ecs_at)} after {_when(crm_at)})"
    if crm_at > ecs_at:
        return Side.CRM, f"both sides changed; the CRM later ({_when(crm_at)} after {_when(ecs_at)})"
    return Side.CRM, "both sides changed at the same time; a tie goes to the CRM"


def _send(
    draft: _Draft,
    unit: Sequence[str],
    target: Side,
    source: Standing,
    there: Standing,
    rule: Rule,
    reason: str,
) -> None:
    """The source's value goes to the target, as far as direction and the target's means allow."""
    if not rule.direction.allows(target):
        draft.say(unit, Verdict.KEPT, f"{reason}; this column does not go to the {name_of(target)}")
        return
    value = {n: source.columns[n] for n in unit}
    shown = there.project(value)
    if not any(n in shown for n in unit):
        draft.say(unit, Verdict.KEPT, f"{reason}; the {name_of(target)} cannot hold it")
        return
    differing = _differing(unit, shown, there)
    writable = {n: value[n] for n in unit if n in shown and n in there.writable}
    if barred := [n for n in differing if n in there.barred]:
        draft.bar(unit, target, barred, reason)
        return
    if differing and not writable:
        draft.say(unit, Verdict.KEPT, f"{reason}; it cannot be written in the {name_of(target)}")
        return
    draft.agree(value)
    if any(n in writable for n in differing):
        draft.to[target].update(writable)
        draft.say(unit, Verdict.TO_CRM if target is Side.CRM else Verdict.TO_ECS, reason)
    else:
        draft.say(unit, Verdict.AGREED, f"{reason}; the {name_of(target)} shows it already")


def _impose(draft: _Draft, unit: Sequence[str], chosen: Columns, ecs: Standing, crm: Standing) -> None:
    """A person has chosen: the value goes wherever something else stands. What was not chosen of a group comes from the
    side that has the chosen value, so that the group stays one."""
    sides = ((Side.ECS, ecs), (Side.CRM, crm))
    from_crm = not _has(ecs, chosen) and _has(crm, chosen)
    value = {n: chosen.get(n, (crm if from_crm else ecs).columns[n]) for n in unit}
    told = len(draft.decisions)
    missing = {side: _differing(unit, there.project(value), there) for side, there in sides}
    for side, there in sides:
        if barred := [n for n in missing[side] if n in there.barred]:
            draft.bar(unit, side, barred, "decided by a person")
    if len(draft.decisions) > told:
        return  # it stays decided, for the day when it can be carried out
    for side, there in sides:
        differing = missing[side]
        if not differing:
            continue
        if there.writable.isdisjoint(differing):
            draft.say(unit, Verdict.KEPT, f"decided by a person; it cannot be written in the {name_of(side)}")
            continue
        draft.to[side].update({n: value[n] for n in unit if n in there.writable})
        draft.say(unit, Verdict.TO_CRM if side is Side.CRM else Verdict.TO_ECS, "decided by a person")
    draft.agree(value)
    draft.settled |= set(unit)
    if not draft.decisions[told:]:
        draft.say(unit, Verdict.AGREED, "decided by a person; it stands already")


def _log_unconsidered(
    draft: _Draft,
    unit: Sequence[str],
    base: Columns,
    ecs: Standing,
    crm: Standing,
    considered: Mapping[str, Held],
) -> None:
    """What somebody has typed after the choice was offered gives way to it, and nobody has seen that; nor what was
    typed in a column that only goes along with its group."""
    reason = "decided by a person, who was not shown this"
    for n in unit:
        choice = considered.get(n, Held(base.get(n), base.get(n)))
        for side, there, known in ((Side.ECS, ecs, choice.ecs), (Side.CRM, crm, choice.crm)):
            gives_way = n in draft.to[side] and not same(there.columns[n], draft.to[side][n])
            if gives_way and not any(same(there.columns[n], v) for v in (known, base.get(n))):
                clash = Clash(n, base.get(n), ecs.columns[n], crm.columns[n], side.other, reason)
                draft.clashes.append(clash)
                break


def _differing(unit: Sequence[str], shown: Columns, there: Standing) -> list[str]:
    """In what the side would show something else than it does."""
    return [n for n in unit if n in shown and not same(shown[n], there.columns[n])]


def _has(there: Standing, chosen: Columns) -> bool:
    return all(same(there.columns[n], value) for n, value in chosen.items())


def _units(kind: Kind, ecs: Standing, crm: Standing) -> Iterator[tuple[str, ...]]:
    """The columns on which both sides have an opinion, grouped. A column of one side only is no one's business."""
    groups: dict[str, list[str]] = {}
    for name, column in COLUMNS[kind].items():
        if name in ecs.columns and name in crm.columns:
            groups.setdefault(column.group or name, []).append(name)
    yield from (tuple(names) for names in groups.values())


def _rule(unit: Sequence[str], rules: Mapping[str, Rule]) -> Rule:
    """A unit follows its first column that is exchanged at all; a column without a rule is not exchanged."""
    found = [rules[n] for n in unit if n in rules]
    exchanged = [r for r in found if r.direction is not Direction.NONE]
    return next(iter(exchanged), Rule(Direction.NONE))


def _common(unit: Sequence[str], ecs: Standing, crm: Standing) -> Columns | None:
    """What both sides say: equal as it stands, or equal as one side would show the other's value, in which case the
    fuller of the two is what they say. None: they differ."""
    for source, there in ((ecs, crm), (crm, ecs)):
        value = {n: source.columns[n] for n in unit}
        if all(same(v, there.columns[n]) for n, v in value.items()):
            return value
        shown = there.project(value)
        if all(n in shown and same(shown[n], there.columns[n]) for n in unit):
            return value
    return None


def _still_held(unit: Sequence[str], ecs: Standing, crm: Standing, held: Mapping[str, Held]) -> bool:
    about = [n for n in unit if n in held]
    return bool(about) and all(
        same(ecs.columns[n], held[n].ecs) and same(crm.columns[n], held[n].crm) for n in about
    )


def _unsettled(draft: _Draft, name: str) -> bool:
    return any(name in d.columns and d.verdict is Verdict.HELD for d in draft.decisions)


def _when(moment: datetime) -> str:
    return "unknown" if moment == NEVER else moment.strftime("%Y-%m-%d %H:%M:%S")
