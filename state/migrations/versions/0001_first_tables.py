"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in _TABLES:
        table()


def downgrade() -> None:
    raise RuntimeError("there is nothing before the first tables")


def _big(name: str, *, optional: bool = False) -> sa.Column[int]:
    """SQLite numbers only a column whose type reads INTEGER."""
    type = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, type, autoincrement=name == "id", nullable=optional)


def _text(name: str, *, optional: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=optional)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _moment(name: str, *, optional: bool = False) -> sa.Column[int]:
    """Microseconds since 1970, UTC."""
    return sa.Column(name, sa.BigInteger(), nullable=optional)


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def _unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=f"uq_{table}_{'_'.join(columns)}")


def _belongs_to(parent: str, table: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [column], [f"{parent}.id"], name=f"fk_{table}_{column}", ondelete="CASCADE"
    )


def _queue() -> None:
    op.create_table(
        "queue",
        _big("id"),
        _text("account"),
        _text("side"),
        _text("collection"),
        _text("item"),
        _text("version"),
        _flag("gone"),
        _text("survivor"),
        _text("kind", optional=True),
        _text("state"),
        _count("attempts"),
        _text("code"),
        _text("error"),
        _moment("detected_at"),
        _moment("changed_at"),
        _moment("next_at"),
        _unique("queue", "account", "side", "collection", "item"),
        sa.PrimaryKeyConstraint("id", name="pk_queue"),
        sqlite_autoincrement=True,
    )
    _index("queue", "account", "id")


def _pairs() -> None:
    op.create_table(
        "pairs",
        _big("id"),
        _text("account"),
        _text("crm"),
        _text("kind"),
        _text("ecs_collection"),
        _text("ecs_id"),
        _text("ecs_uid"),
        _text("ecs_version"),
        _text("crm_collection"),
        _text("crm_id"),
        _text("crm_version"),
        _text("crm_owner"),
        _text("state"),
        _text("reason"),
        _flag("untagged"),
        _count("generation"),
        _moment("linked_at"),
        _moment("synced_at"),
        _unique("pairs", "account", "ecs_collection", "ecs_id"),
        _unique("pairs", "account", "crm", "crm_collection", "crm_id"),
        sa.PrimaryKeyConstraint("id", name="pk_pairs"),
        sqlite_autoincrement=True,
    )
    _index("pairs", "account", "ecs_uid")
    _index("pairs", "account", "id")
    _index("pairs", "account", "kind", "state")
    _index("pairs", "crm", "crm_collection", "crm_id")


def _snapshots() -> None:
    op.create_table(
        "snapshots",
        _big("pair_id"),
        _text("xml"),
        _belongs_to("pairs", "snapshots", "pair_id"),
        sa.PrimaryKeyConstraint("pair_id", name="pk_snapshots"),
    )


def _clocks() -> None:
    op.create_table(
        "clocks",
        _big("pair_id"),
        _text("side"),
        _text("column"),
        _text("digest"),
        _moment("changed_at"),
        _belongs_to("pairs", "clocks", "pair_id"),
        sa.PrimaryKeyConstraint("pair_id", "side", "column", name="pk_clocks"),
    )


def _cursors() -> None:
    op.create_table(
        "cursors",
        _text("scope"),
        _text("cursor"),
        sa.PrimaryKeyConstraint("scope", name="pk_cursors"),
    )


def _meta() -> None:
    op.create_table(
        "meta",
        _text("key"),
        _text("value"),
        sa.PrimaryKeyConstraint("key", name="pk_meta"),
    )


def _intents() -> None:
    op.create_table(
        "intents",
        _big("id"),
        _big("cycle"),
        _text("account"),
        _text("side"),
        _text("collection"),
        _text("action"),
        _text("item"),
        _text("key"),
        _text("columns"),
        _text("native"),
        _text("expected"),
        _big("pair_id", optional=True),
        _text("kind", optional=True),
        _moment("at"),
        sa.PrimaryKeyConstraint("id", name="pk_intents"),
        sqlite_autoincrement=True,
    )
    _index("intents", "account", "side", "collection", "item")
    _index("intents", "pair_id")


def _cycles() -> None:
    op.create_table(
        "cycles",
        _big("id"),
        _text("account"),
        _moment("started"),
        _moment("finished", optional=True),
        _flag("succeeded"),
        _text("counts"),
        _text("errors"),
        sa.PrimaryKeyConstraint("id", name="pk_cycles"),
        sqlite_autoincrement=True,
    )
    _index("cycles", "account", "succeeded", "finished")


def _history() -> None:
    op.create_table(
        "history",
        _big("id"),
        _big("cycle"),
        _text("account"),
        _big("pair_id", optional=True),
        _text("kind"),
        _text("ecs_collection"),
        _text("ecs_id"),
        _text("crm_collection"),
        _text("crm_id"),
        _moment("at"),
        _text("side"),
        _text("action"),
        _text("column"),
        _text("old", optional=True),
        _text("new", optional=True),
        _text("winner"),
        _text("reason"),
        _text("native"),
        sa.PrimaryKeyConstraint("id", name="pk_history"),
        sqlite_autoincrement=True,
    )
    _index("history", "account", "action", "at")
    _index("history", "account", "crm_id")
    _index("history", "account", "ecs_id")
    _index("history", "at")
    _index("history", "cycle")
    _index("history", "pair_id")


def _conflicts() -> None:
    op.create_table(
        "conflicts",
        _big("id"),
        _big("cycle"),
        _text("account"),
        _big("pair_id"),
        _text("kind"),
        _text("item"),
        _text("record"),
        _text("column"),
        _text("base", optional=True),
        _text("ecs", optional=True),
        _text("crm", optional=True),
        _text("winner", optional=True),
        _flag("resolved"),
        _text("chosen", optional=True),
        _text("reason"),
        _moment("at"),
        _moment("resolved_at", optional=True),
        sa.PrimaryKeyConstraint("id", name="pk_conflicts"),
        sqlite_autoincrement=True,
    )
    _index("conflicts", "account", "resolved")
    _index("conflicts", "pair_id", "column")


def _held() -> None:
    op.create_table(
        "held",
        _big("id"),
        _text("account"),
        _text("what"),
        _text("kind"),
        _big("pair_id", optional=True),
        _text("side"),
        _text("item"),
        _text("record"),
        _text("reason"),
        _text("candidates"),
        _big("cycle"),
        _moment("at"),
        _text("state"),
        sa.PrimaryKeyConstraint("id", name="pk_held"),
        sqlite_autoincrement=True,
    )
    _index("held", "account", "item")
    _index("held", "account", "record")
    _index("held", "account", "state")
    _index("held", "pair_id")


def _index_rows() -> None:
    op.create_table(
        "index_rows",
        _big("id"),
        _text("account"),
        _text("collection"),
        _text("item"),
        _text("uid"),
        _text("version"),
        _text("name"),
        _flag("tagged"),
        _unique("index_rows", "account", "collection", "item"),
        sa.PrimaryKeyConstraint("id", name="pk_index_rows"),
        sqlite_autoincrement=True,
    )


def _index_keys() -> None:
    op.create_table(
        "index_keys",
        _big("row_id"),
        _text("key"),
        _belongs_to("index_rows", "index_keys", "row_id"),
        sa.PrimaryKeyConstraint("row_id", "key", name="pk_index_keys"),
    )
    _index("index_keys", "key")


def _forgotten() -> None:
    op.create_table(
        "forgotten",
        _text("hash"),
        sa.PrimaryKeyConstraint("hash", name="pk_forgotten"),
    )


_TABLES = (
    _queue,
    _pairs,
    _snapshots,
    _clocks,
    _cursors,
    _meta,
    _intents,
    _cycles,
    _history,
    _conflicts,
    _held,
    _index_rows,
    _index_keys,
    _forgotten,
)
