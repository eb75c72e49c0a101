"""What a merge of one item has come to so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from crmsync.connectors.contract import Columns, Side, Value
from crmsync.daemon.plan.terms import Clash, Decision, Verdict


@dataclass
class Draft:
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


def name_of(side: Side) -> str:
    return "CRM" if side is Side.CRM else "ECS side"
