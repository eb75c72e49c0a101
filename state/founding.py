"""An empty database gets today's tables at once. The steps of ``migrations`` are for older ones: to take them all, and
to load what takes them, would be most of what a first command does."""

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table

from crmsync.state.ddl import creations
from crmsync.state.migrations import HEAD, VERSION_TABLE
from crmsync.state.tables import metadata

_version = Table(  # as alembic makes it
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)


def found(connection: Connection) -> None:
    """Inside the transaction that is open. Fails where tables of these names are there, which are not ours."""
    for tables in (metadata, _version.metadata):
        for statements in creations(tables, connection.dialect).values():
            for statement in statements:
                connection.exec_driver_sql(statement)
    connection.execute(_version.insert().values(version_num=HEAD))
