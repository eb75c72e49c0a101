"""Who took a decision, beside it in the conflict log."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from crmsync.state.replica.local.rows import Work

__all__ = ["signed"]


@contextmanager
def signed(work: Work, record_id: str, by: str) -> Iterator[None]:
    """What ends in the log meanwhile, of this record, ends with the name. Empty: nobody says who."""
    if not by:
        yield
        return
    table = work.shared.conflicts
    before = work.connection.execute(sa.select(sa.func.max(table.c.seq))).scalar() or 0
    open_ = [row["seq"] for row in work.open_conflicts(record_id)]
    yield
    of_record = table.c.Id == record_id
    now = sa.or_(table.c.seq.in_(open_), table.c.seq > before)
    for row in work.where(table, of_record, now, table.c.resolved != ""):
        named = table.update().where(table.c.seq == row["seq"])
        work.connection.execute(named.values(resolved=f"{row['resolved']}, by {by}"))
