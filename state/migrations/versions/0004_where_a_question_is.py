"""Two collections may hold items of one id: a question says which one it is about."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BEFORE, _AFTER = (
    ("id", "account", "what", "kind", "pair_id", "side"),
    ("item", "record", "reason", "candidates"),
)
_REST = ("cycle", "at", "state")
_NUMBERS = ("id", "pair_id", "cycle", "at")
_INDEXES = (("account", "item"), ("account", "record"), ("account", "state"), ("pair_id",))


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.add_column("held", sa.Column("collection", sa.Text(), nullable=False, server_default=""))
        op.alter_column("held", "collection", server_default=None)
        return
    _remake((*_BEFORE, "collection", *_AFTER, *_REST), "''")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_column("held", "collection")
        return
    _remake((*_BEFORE, *_AFTER, *_REST), "")


def _remake(columns: tuple[str, ...], new: str) -> None:
    """SQLite adds a column only with a default, and at the end; the tables shall be those of a new database."""
    for index in _INDEXES:
        op.drop_index(f"ix_held_{'_'.join(index)}", "held")
    op.rename_table("held", "held_before")
    op.create_table(
        "held",
        *(_column(name) for name in columns),
        sa.PrimaryKeyConstraint("id", name="pk_held"),
        sqlite_autoincrement=True,
    )
    kept = [name for name in columns if name != "collection"]
    values = ", ".join(f'"{name}"' for name in kept)
    into, given = (f'{values}, "collection"', f"{values}, {new}") if new else (values, values)
    op.execute(f"INSERT INTO held ({into}) SELECT {given} FROM held_before ORDER BY id")
    op.drop_table("held_before")
    for index in _INDEXES:
        op.create_index(f"ix_held_{'_'.join(index)}", "held", list(index))


def _column(name: str) -> sa.Column[object]:
    if name not in _NUMBERS:
        return sa.Column(name, sa.Text(), nullable=False)
    type = sa.BigInteger() if name == "at" else sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, type, autoincrement=name == "id", nullable=name == "pair_id")
