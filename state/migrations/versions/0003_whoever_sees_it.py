"""An item that several accounts see has to be found by its UID in all of them."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_pairs_ecs_uid_account", "pairs", ["ecs_uid", "account"])
    op.drop_index("ix_pairs_account_ecs_uid", "pairs")


def downgrade() -> None:
    op.create_index("ix_pairs_account_ecs_uid", "pairs", ["account", "ecs_uid"])
    op.drop_index("ix_pairs_ecs_uid_account", "pairs")
