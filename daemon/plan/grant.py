"""Grants: what may be exchanged just now. Whoever plans the exchange (our own timers, or the CRM) hands one in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from crmsync.connectors.columns import with_group
from crmsync.connectors.contract import Columns, Kind, Side


@dataclass(frozen=True, slots=True)
class Grant:
    """What is not granted is left as it was found: it stays in the sync table, its column's snapshot does not advance,
    and a later grant finds it there."""

    to: frozenset[Side] = frozenset(Side)  # the sides that may be written to
    kinds: frozenset[Kind] = frozenset(Kind)
    # of a kind that stands here, no others
    columns: Mapping[Kind, frozenset[str]] = field(default_factory=dict)
    since: datetime | None = None  # only what was noted since then

    @property
    def nothing(self) -> bool:
        return not self.to or not self.kinds

    def touches(self, kind: Kind) -> bool:
        """Whether items of this kind are exchanged at all, in whichever direction. Marks (a link stamp, the tag) carry
        none of the other side's data: they go with either."""
        return bool(self.to) and kind in self.kinds

    def sends(self, target: Side, kind: Kind) -> bool:
        """Whether items of this kind may be made, changed and deleted on that side."""
        return target in self.to and kind in self.kinds

    def part(self, target: Side, kind: Kind, columns: Columns) -> Columns:
        """Those of the columns that may be written there; what means something only together goes together."""
        if not self.sends(target, kind):
            return {}
        if kind not in self.columns:
            return columns
        left_out = with_group(kind, frozenset(columns) - self.columns[kind])
        return {n: v for n, v in columns.items() if n not in left_out}

    def whole(self, target: Side, kind: Kind, columns: Columns) -> bool:
        """Whether all of it may be written there."""
        return self.sends(target, kind) and len(self.part(target, kind, columns)) == len(columns)

    def concerns(self, noted: datetime) -> bool:
        """Whether a change that was noted then is meant."""
        return self.since is None or noted >= self.since


ALL = Grant()
NOTHING = Grant(to=frozenset())
