"""Run by alembic, on the connection (and inside the transaction) that ``state.migration`` hands over."""

from alembic import context

from crmsync.state.migrations import VERSION_TABLE
from crmsync.state.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite alters a table by copying it
)
with context.begin_transaction():
    context.run_migrations()
