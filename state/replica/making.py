"""The tables and indexes that are missing in a database."""

import sqlalchemy as sa

from crmsync.state.ddl import creations
from crmsync.state.replica.indexing import make_missing

__all__ = ["make"]


def make(connection: sa.Connection, metadata: sa.MetaData) -> frozenset[str]:
    """Makes the tables and indexes that are missing; returns the names of the tables that were there before."""
    present = frozenset(sa.inspect(connection).get_table_names())
    for name, statements in creations(metadata, connection.dialect).items():
        if name not in present:
            for statement in statements:
                connection.exec_driver_sql(statement)
    if not present.isdisjoint(metadata.tables):
        make_missing(connection, metadata)
    return present
