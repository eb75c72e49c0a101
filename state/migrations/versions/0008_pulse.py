"""Charts: what moved, hour by hour."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pulse",
        sa.Column("account", sa.Text, primary_key=True, nullable=False),
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("to_ecs", sa.Integer, nullable=False),
        sa.Column("to_crm", sa.Integer, nullable=False),
        sa.Column("errors", sa.Integer, nullable=False),
        sa.Column("waiting", sa.Integer, nullable=False),
        sa.Column("took", sa.BigInteger, nullable=False),
        sa.Column("slowest", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account", "hour", name="pk_pulse"),
    )


def downgrade() -> None:
    op.drop_table("pulse")
