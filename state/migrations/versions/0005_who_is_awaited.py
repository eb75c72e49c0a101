"""Attendees whom the CRM does not know are waited for."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "awaited",
        sa.Column(
            "pair_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.ForeignKey("pairs.id", name="fk_awaited_pair_id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("name", sa.Text, primary_key=True, nullable=False),
        sa.Column("come", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("pair_id", "name", name="pk_awaited"),
    )
    op.create_index("ix_awaited_name", "awaited", ["name"])


def downgrade() -> None:
    op.drop_table("awaited")
