"""A database of the embedded CRM that was made before its objects had all the fields that they have now."""

import sqlalchemy as sa

__all__ = ["grow"]


def grow(connection: sa.Connection, metadata: sa.MetaData) -> None:
    """Adds the columns that are missing in tables that are there; a record has nothing in them. What is too much stays
    as it is: an older version of us may come back."""
    there = sa.inspect(connection)
    for name in sorted(metadata.tables.keys() & there.get_table_names()):
        table = metadata.tables[name]
        known = {column["name"] for column in there.get_columns(table.name)}
        missing = [column for column in table.columns if column.name not in known]
        if missing:
            _add(connection, table, missing)


def _add(connection: sa.Connection, table: sa.Table, missing: list[sa.Column[object]]) -> None:
    from alembic.migration import MigrationContext  # loads much, and is needed once in a long while
    from alembic.operations import Operations

    operations = Operations(MigrationContext.configure(connection))
    for column in missing:
        empty = None if column.nullable else sa.false()  # a flag is never unknown
        operations.add_column(
            table.name, sa.Column(column.name, column.type, nullable=column.nullable, server_default=empty)
        )
        if column.unique:
            operations.create_index(f"uq_{table.name}_{column.name}", table.name, [column.name], unique=True)
