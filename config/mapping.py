"""Which column goes into which CRM field: the shipped defaults, and what an administrator changes of them."""

import pkgutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Literal, TypeAlias, cast

from crmsync.config.values import KINDS, Kind

Direction: TypeAlias = Literal["both", "to_crm", "to_ecs", "none"]
Conflict: TypeAlias = Literal["latest", "ecs", "crm", "ask"]


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """How one column travels. A rule without a field stands for a column that the CRM has no place for."""

    field: str = ""  # name in the CRM; a dotted one is read through a reference
    direction: Direction = "both"
    conflict: Conflict = "latest"  # who wins when both sides changed it

    def changed(
        self, field: str | None, direction: Direction | None, conflict: Conflict | None
    ) -> "ColumnRule":
        return replace(
            self,
            field=field or self.field,
            direction=direction or self.direction,
            conflict=conflict or self.conflict,
        )


@cache
def defaults(crm_type: str) -> Mapping[Kind, Mapping[str, ColumnRule]]:
    """Every canonical column of every kind, from the data file of that kind of CRM."""
    data = pkgutil.get_data(__package__, f"{crm_type}.toml")
    assert data is not None  # shipped with the package
    tables = tomllib.loads(data.decode())
    return MappingProxyType({k: MappingProxyType(_rules(tables[k])) for k in KINDS})


def _rules(table: Mapping[str, Mapping[str, str]]) -> dict[str, ColumnRule]:
    return {
        column: ColumnRule().changed(
            row.get("field"),
            cast(Direction | None, row.get("direction")),
            cast(Conflict | None, row.get("conflict")),
        )
        for column, row in table.items()
    }


def shared_field(rules: Mapping[str, ColumnRule]) -> tuple[str, ...]:
    """Columns that would be written into one and the same field, and so overwrite each other for ever."""
    writers: dict[str, list[str]] = {}
    for column, rule in rules.items():
        if rule.field and rule.direction in ("both", "to_crm"):
            writers.setdefault(rule.field.lower(), []).append(column)
    return next((tuple(columns) for columns in writers.values() if len(columns) > 1), ())
