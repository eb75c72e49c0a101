"""What the tests of the plan have in common: two sides, and what stands on them after a merge."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from crmsync.connectors.columns import COLUMNS
from crmsync.connectors.contract import Columns, Kind, Side
from crmsync.daemon.plan.terms import Merged, Rule, Standing, Verdict

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)


def as_it_is(columns: Columns) -> Columns:
    return columns


@dataclass(frozen=True)
class Place:
    """One side: its values, and how it changes what is written to it."""

    columns: Columns
    project: Callable[[Columns], Columns] = as_it_is
    baseline: Columns | None = None  # None: the snapshot as this side shows it
    read_only: frozenset[str] = frozenset()
    barred: bool = False  # the right to write is missing
    clocks: Mapping[str, datetime] = field(default_factory=dict)

    def standing(self, snapshot: Columns | None) -> Standing:
        shown = self.project(snapshot or {}) if self.baseline is None else self.baseline
        writable = frozenset(self.columns) - self.read_only
        nothing: frozenset[str] = frozenset()
        may, may_not = (nothing, writable) if self.barred else (writable, nothing)
        return Standing(self.columns, shown, may, self.project, self.clocks, may_not)

    def after(self, written: Columns, snapshot: Columns | None, touched: Iterable[str]) -> "Place":
        """The side once ``written`` stands; from then on what it shows of an agreed column is its baseline."""
        columns = {**self.columns, **{n: v for n, v in self.project(written).items() if n in self.columns}}
        before = self.standing(snapshot).baseline
        baseline = {**before, **{n: columns[n] for n in touched if n in columns}}
        return replace(self, columns=columns, baseline=baseline, clocks={})


def standings(snapshot: Columns | None, ecs: Place, crm: Place) -> tuple[Standing, Standing]:
    return ecs.standing(snapshot), crm.standing(snapshot)


def applied(snapshot: Columns | None, ecs: Place, crm: Place, merged: Merged) -> tuple[Place, Place]:
    """Both sides once the writes stand."""
    return (
        ecs.after(merged.writes(Side.ECS), snapshot, merged.touched),
        crm.after(merged.writes(Side.CRM), snapshot, merged.touched),
    )


def rules(kind: Kind, rule: Rule | None = None, **more: Rule) -> Mapping[str, Rule]:
    """The same rule for every column, but for those named."""
    return {**dict.fromkeys(COLUMNS[kind], rule or Rule()), **more}


def writes(merged: Merged) -> tuple[Columns, Columns]:
    return merged.to_ecs, merged.to_crm


def verdicts(merged: Merged) -> list[Verdict]:
    return [d.verdict for d in merged.decisions]
