"""Records that stand one below the other form no circle: Salesforce refuses the write that would close it, as it does
such a merge (CIRCULAR_DEPENDENCY)."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from crmsync.state.replica.drafts import Draft
from crmsync.state.replica.faults import Fault

__all__ = ["ABOVE", "check"]

ABOVE: Mapping[str, str] = {"Account": "ParentId"}  # object -> its reference to what it stands below


def check(connection: sa.Connection, table: sa.Table, name: str, drafts: Sequence[Draft]) -> None:
    """`name`: of the reference. Of rows that would close a circle together, the last one is refused."""
    moved: dict[str, str | None] = {}
    for draft in drafts:
        if draft.id is None or draft.before is None or draft.row[name] == draft.before[name]:
            continue  # nothing stands below a new record
        if _leads_to(connection, table, name, draft.row[name], draft.id, moved):
            draft.reject(Fault("CIRCULAR_DEPENDENCY", f"{draft.id} would stand below itself", (name,)))
        else:
            moved[draft.id] = draft.row[name]


def _leads_to(
    connection: sa.Connection,
    table: sa.Table,
    name: str,
    start: str | None,
    record_id: str,
    moved: Mapping[str, str | None],
) -> bool:
    seen: set[str] = set()
    above = start
    while above and above not in seen:
        if above == record_id:
            return True
        seen.add(above)
        if above in moved:
            above = moved[above]
        else:
            above = connection.execute(sa.select(table.c[name]).where(table.c.Id == above)).scalar()
    return False
