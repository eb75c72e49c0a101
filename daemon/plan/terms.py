"""The words of the merge: rules, what stands on a side, and what was decided."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from crmsync.connectors.contract import Columns, Side, Value
from crmsync.daemon.plan.normalise import same

NEVER = datetime.min.replace(tzinfo=UTC)  # a clock that no one has seen


class Direction(StrEnum):
    BOTH = "both"
    TO_CRM = "to_crm"
    TO_ECS = "to_ecs"
    NONE = "none"

    def allows(self, target: Side) -> bool:
        return self is Direction.BOTH or self.value == f"to_{target.value}"


class Policy(StrEnum):
    """Who wins when both sides changed a column. HOLD and ASK are one: a person decides."""

    LATEST = "latest"
    ECS = "ecs"
    CRM = "crm"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Rule:
    direction: Direction = Direction.BOTH
    conflict: Policy = Policy.LATEST


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands on one side, and how to compare it."""

    columns: Columns  # as read; absent: no opinion
    baseline: Columns  # the snapshot as this side would show it
    writable: frozenset[str]
    project: Callable[[Columns], Columns]
    # last change of the column's value since the snapshot
    clocks: Mapping[str, datetime] = field(default_factory=dict)
    barred: frozenset[str] = frozenset()  # not writable for want of a right, which somebody could give

    def changed(self, names: Sequence[str]) -> bool:
        return any(not same(self.columns[n], self.baseline[n]) for n in names if n in self.baseline)

    def clock(self, names: Sequence[str]) -> datetime:
        moved = [n for n in names if n not in self.baseline or not same(self.columns[n], self.baseline[n])]
        return max((self.clocks[n] for n in moved if n in self.clocks), default=NEVER)


class Verdict(StrEnum):
    TO_ECS = "to_ecs"
    TO_CRM = "to_crm"
    AGREED = "agreed"  # both sides say the same, without a write
    HELD = "held"  # a person decides
    KEPT = "kept"  # differs, and may: direction, or the other side cannot hold it
    BARRED = "barred"  # should be written, but the right to do so is missing


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided of one unit, and why; printable."""

    columns: tuple[str, ...]
    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Clash:
    """Both sides changed a column. ``winner`` None: held for a person."""

    column: str
    base: Value
    ecs: Value
    crm: Value
    winner: Side | None
    reason: str


@dataclass(frozen=True, slots=True)
class Held:
    """A difference that already waits for a person: the values it was about."""

    ecs: Value
    crm: Value


@dataclass(frozen=True, slots=True)
class Merged:
    to_ecs: Columns
    to_crm: Columns
    agreed: Columns  # the snapshot's columns once the writes stand
    touched: frozenset[
        str
    ]  # columns that both sides agree on from here on, whatever each of them shows of it
    clashes: tuple[Clash, ...]
    decisions: tuple[Decision, ...]
    settled: frozenset[str]  # columns whose open conflict is over
    # columns that should be written there
    barred: Mapping[Side, frozenset[str]] = field(default_factory=dict)

    def writes(self, side: Side) -> Columns:
        return self.to_ecs if side is Side.ECS else self.to_crm


def name_of(side: Side) -> str:
    return "CRM" if side is Side.CRM else "ECS side"
