"""What the CRM will make of a row, as far as it can be known here: names of people, whether a task is closed.

Only fields that nobody can write: they are shown until the upstream's own take their place, and never sent.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from crmsync.state.replica import rules
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import Row, stored
from crmsync.state.replica.metadata import ObjectType

__all__ = ["computed"]


def computed(
    work: Work, type_: ObjectType, row: Row, given: Iterable[str], before: Row | None, at: datetime
) -> Row:
    """Fields of `row` that follow from the others."""
    whole = dict(row)
    try:
        rules.derive(type_.name, rules.Change(whole, frozenset(given), before, _related(work, row), at))
    except (Fault, KeyError):
        return {}  # the upstream will say what is wrong, or has other fields than we know of
    ours = {f.name for f in stored(type_) if not f.createable and not f.updateable}
    return {name: value for name, value in whole.items() if name in ours and value != row.get(name)}


def _related(work: Work, row: Row) -> Mapping[str, Mapping[str, object]]:
    found = {}
    for name in ("WhoId", "WhatId", "RelationId"):
        of = work.shapes.schema.of_id(row.get(name) or "")
        target = of and work.get(work.group(of.name).main, row[name])
        if target:
            found[row[name]] = target
    return found
