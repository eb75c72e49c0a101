"""Charts: what moved, hour by hour. And an audit log of the pages."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
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
    op.create_table(
        "visits",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("who", "what", "detail")),
        sa.PrimaryKeyConstraint("id", name="pk_visits"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_visits_at", "visits", ["at"])


def downgrade() -> None:
    op.drop_table("visits")
    op.drop_table("pulse")
