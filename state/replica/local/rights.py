"""What the upstream last said that a user may do with a record, for when it cannot be asked."""

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from crmsync.connectors.abilities import Access
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.records import AT_ONCE

__all__ = ["note", "owned", "told"]


def told(work: Work, user: str, ids: Iterable[str]) -> dict[str, Access]:
    table, wanted = work.shared.rights, list(ids)
    found: dict[str, Access] = {}
    for start in range(0, len(wanted), AT_ONCE):
        some = table.c.Id.in_(wanted[start : start + AT_ONCE])
        for row in work.connection.execute(sa.select(table).where(table.c.user == user, some)).mappings():
            found[row["Id"]] = Access(row["read"], row["edit"], row["delete"])
    return found


def owned(work: Work, user: str, ids: Iterable[str]) -> set[str]:
    """Those of the records that are the user's own."""
    wanted, found = list(ids), set[str]()
    for group in work.tables.groups.values():
        if "OwnerId" in group.main.c:
            for start in range(0, len(wanted), AT_ONCE):
                some = group.main.c.Id.in_(wanted[start : start + AT_ONCE])
                query = sa.select(group.main.c.Id).where(group.main.c.OwnerId == user, some)
                found.update(work.connection.execute(query).scalars())
    return found


def note(work: Work, user: str, rights: Mapping[str, Access]) -> None:
    table, ids = work.shared.rights, list(rights)
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        work.connection.execute(table.delete().where(table.c.user == user, table.c.Id.in_(some)))
        rows = [
            {"user": user, "Id": i, "read": r.read, "edit": r.edit, "delete": r.delete}
            for i in some
            for r in [rights[i]]
        ]
        work.connection.execute(table.insert(), rows)
