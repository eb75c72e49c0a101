"""Finding a moved item by its UID must not look through all items of its account."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_index_rows_account_uid", "index_rows", ["account", "uid"])


def downgrade() -> None:
    op.drop_index("ix_index_rows_account_uid", "index_rows")
