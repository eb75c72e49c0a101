"""The tables. ``founding`` makes them, ``migrations`` lead older ones there; a test holds the two equal.

Ids are never used again (AUTOINCREMENT): history and conflicts speak of pairs that are long gone.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from crmsync.connectors.contract import Kind, Side
from crmsync.state.model import HeldState, JobState, PairState, QueueState, What
from crmsync.state.types import Json, Moment, Verbatim, Word

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite numbers only a column whose type reads INTEGER
_ID = BigInteger().with_variant(Integer(), "sqlite")


def _id() -> Column[int]:
    return Column("id", _ID, primary_key=True)


def _text(name: str, *, primary_key: bool = False) -> Column[str]:
    """Our own words."""
    return Column(name, Text, nullable=False, primary_key=primary_key)


def _verbatim(name: str, *, primary_key: bool = False) -> Column[str]:
    """A server's words."""
    return Column(name, Verbatim, nullable=False, primary_key=primary_key)


def _count(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


queue = Table(
    "queue",
    metadata,
    _id(),
    _text("account"),
    Column("side", Word(Side), nullable=False),
    _verbatim("collection"),
    _verbatim("item"),
    _verbatim("version"),
    _flag("gone"),
    _verbatim("survivor"),
    Column("kind", Word(Kind)),
    Column("state", Word(QueueState), nullable=False),
    _count("attempts"),
    _text("code"),
    _verbatim("error"),
    Column("detected_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("next_at", Moment, nullable=False),
    UniqueConstraint("account", "side", "collection", "item"),
    Index(None, "account", "id"),
    sqlite_autoincrement=True,
)

pairs = Table(
    "pairs",
    metadata,
    _id(),
    _text("account"),
    _text("crm"),
    Column("kind", Word(Kind), nullable=False),
    _verbatim("ecs_collection"),
    _verbatim("ecs_id"),
    _verbatim("ecs_uid"),
    _verbatim("ecs_version"),
    _verbatim("crm_collection"),
    _verbatim("crm_id"),
    _verbatim("crm_version"),
    _verbatim("crm_owner"),
    Column("state", Word(PairState), nullable=False),
    _verbatim("reason"),
    _flag("untagged"),
    _count("generation"),
    Column("linked_at", Moment, nullable=False),
    Column("synced_at", Moment, nullable=False),
    UniqueConstraint("account", "ecs_collection", "ecs_id"),
    UniqueConstraint("account", "crm", "crm_collection", "crm_id"),
    Index(None, "account", "id"),
    Index(None, "crm", "crm_collection", "crm_id"),
    Index(None, "ecs_uid", "account"),
    Index(None, "account", "kind", "state"),
    sqlite_autoincrement=True,
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("pair_id", _ID, ForeignKey("pairs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    _text("xml"),
)

clocks = Table(
    "clocks",
    metadata,
    Column("pair_id", _ID, ForeignKey("pairs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("side", Word(Side), primary_key=True),
    _text("column", primary_key=True),
    _text("digest"),
    Column("changed_at", Moment, nullable=False),
)

awaited = Table(
    "awaited",
    metadata,
    Column("pair_id", _ID, ForeignKey("pairs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    _text("name", primary_key=True),
    _flag("come"),
    Index(None, "name"),
)

cursors = Table("cursors", metadata, _verbatim("scope", primary_key=True), _verbatim("cursor"))

meta = Table("meta", metadata, _verbatim("key", primary_key=True), _verbatim("value"))

intents = Table(
    "intents",
    metadata,
    _id(),
    Column("cycle", _ID, nullable=False),
    _text("account"),
    Column("side", Word(Side), nullable=False),
    _verbatim("collection"),
    _text("action"),
    _verbatim("item"),
    _text("key"),
    Column("columns", Json, nullable=False),
    _verbatim("native"),
    _verbatim("expected"),
    Column("pair_id", _ID),
    Column("kind", Word(Kind)),
    Column("at", Moment, nullable=False),
    Index(None, "account", "side", "collection", "item"),
    Index(None, "pair_id"),
    sqlite_autoincrement=True,
)

cycles = Table(
    "cycles",
    metadata,
    _id(),
    _text("account"),
    Column("started", Moment, nullable=False),
    Column("finished", Moment),
    _flag("succeeded"),
    Column("counts", Json, nullable=False),
    Column("errors", Json, nullable=False),
    Index(None, "account", "succeeded", "finished"),
    sqlite_autoincrement=True,
)

history = Table(
    "history",
    metadata,
    _id(),
    Column("cycle", _ID, nullable=False),
    _text("account"),
    Column("pair_id", _ID),
    Column("kind", Word(Kind), nullable=False),
    _verbatim("ecs_collection"),
    _verbatim("ecs_id"),
    _verbatim("crm_collection"),
    _verbatim("crm_id"),
    Column("at", Moment, nullable=False),
    Column("side", Word(Side), nullable=False),
    _text("action"),
    _text("column"),
    Column("old", Text),
    Column("new", Text),
    _text("winner"),
    _verbatim("reason"),
    _verbatim("native"),
    Index(None, "cycle"),
    Index(None, "pair_id"),
    Index(None, "at"),
    Index(None, "account", "action", "at"),
    Index(None, "account", "ecs_id"),
    Index(None, "account", "crm_id"),
    sqlite_autoincrement=True,
)

conflicts = Table(
    "conflicts",
    metadata,
    _id(),
    Column("cycle", _ID, nullable=False),
    _text("account"),
    Column("pair_id", _ID, nullable=False),
    Column("kind", Word(Kind), nullable=False),
    _verbatim("item"),
    _verbatim("record"),
    _text("column"),
    Column("base", Text),
    Column("ecs", Text),
    Column("crm", Text),
    Column("winner", Text),
    _flag("resolved"),
    Column("chosen", Text),
    _verbatim("reason"),
    Column("at", Moment, nullable=False),
    Column("resolved_at", Moment),
    Index(None, "pair_id", "column"),
    Index(None, "account", "resolved"),
    sqlite_autoincrement=True,
)

held = Table(
    "held",
    metadata,
    _id(),
    _text("account"),
    Column("what", Word(What), nullable=False),
    Column("kind", Word(Kind), nullable=False),
    Column("pair_id", _ID),
    Column("side", Word(Side), nullable=False),
    _verbatim("collection"),
    _verbatim("item"),
    _verbatim("record"),
    _verbatim("reason"),
    Column("candidates", Json, nullable=False),
    Column("cycle", _ID, nullable=False),
    Column("at", Moment, nullable=False),
    Column("state", Word(HeldState), nullable=False),
    Index(None, "pair_id"),
    Index(None, "account", "item"),
    Index(None, "account", "record"),
    Index(None, "account", "state"),
    sqlite_autoincrement=True,
)

index_rows = Table(
    "index_rows",
    metadata,
    _id(),
    _text("account"),
    _verbatim("collection"),
    _verbatim("item"),
    _verbatim("uid"),
    _verbatim("version"),
    _verbatim("name"),
    _flag("tagged"),
    UniqueConstraint("account", "collection", "item"),
    Index(None, "account", "uid"),
    sqlite_autoincrement=True,
)

index_keys = Table(
    "index_keys",
    metadata,
    Column(
        "row_id", _ID, ForeignKey("index_rows.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    ),
    _text("key", primary_key=True),
    Index(None, "key"),
)

pulse = Table(
    "pulse",
    metadata,
    _text("account", primary_key=True),
    Column("hour", Moment, primary_key=True),
    _count("to_ecs"),
    _count("to_crm"),
    _count("errors"),
    _count("waiting"),
    Column("took", BigInteger, nullable=False),
    Column("slowest", BigInteger, nullable=False),
)

visits = Table(
    "visits",
    metadata,
    _id(),
    Column("at", Moment, nullable=False),
    _text("who"),
    _text("what"),
    _verbatim("detail"),
    Index(None, "at"),
    sqlite_autoincrement=True,
)

forgotten = Table("forgotten", metadata, _text("hash", primary_key=True))

jobs = Table(
    "jobs",
    metadata,
    _id(),
    _text("name"),
    _text("credential"),
    _text("nonce"),
    _text("digest"),
    _text("direction"),
    Column("accounts", Json, nullable=False),
    Column("kinds", Json, nullable=False),
    Column("since", Moment),
    Column("state", Word(JobState), nullable=False),
    _count("attempts"),
    Column("accepted", Moment, nullable=False),
    Column("begun", Moment),
    Column("ended", Moment),
    Column("result", Json, nullable=False),
    _flag("reported"),
    UniqueConstraint("name"),
    UniqueConstraint("credential", "nonce"),
    Index(None, "state"),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    _id(),
    Column("at", Moment, nullable=False),
    _verbatim("credential"),
    _verbatim("peer"),
    _verbatim("asked"),
    _flag("allowed"),
    _text("rule"),
    _verbatim("detail"),
    _text("job"),
    Index(None, "at"),
    sqlite_autoincrement=True,
)
