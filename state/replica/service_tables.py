"""What the web services themselves remember, beside the records: in the database that they serve, whichever that is."""

import sqlalchemy as sa

from crmsync.state.replica.database import Database
from crmsync.state.replica.growing import grow
from crmsync.state.replica.making import make

__all__ = ["attempts", "chunks", "jobs", "prepare", "refresh_tokens"]

_metadata = sa.MetaData()

attempts = sa.Table(
    "crm_attempt",
    _metadata,
    sa.Column("key", sa.String(64), primary_key=True),  # a hash of who tried, and from where
    sa.Column("count", sa.Integer, nullable=False),  # of wrong passwords
    sa.Column("last", sa.DateTime, nullable=False, index=True),
    sa.Column("blocked_until", sa.DateTime, nullable=False),
    sa.Column("good", sa.DateTime),  # when the right password came
)
refresh_tokens = sa.Table(
    "crm_refresh_token",
    _metadata,
    sa.Column("hash", sa.String(64), primary_key=True),
    sa.Column("user_id", sa.String(18), nullable=False),
    sa.Column("client_id", sa.Text, nullable=False),
    sa.Column("used", sa.DateTime, nullable=False),  # when a session was last made with it
)
jobs = sa.Table(
    "crm_job",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(10), nullable=False),  # ingest, query; of version 1.0: classic, batch
    sa.Column("owner", sa.String(18), nullable=False, index=True),
    sa.Column("created", sa.DateTime, nullable=False),
    sa.Column("stamp", sa.DateTime, nullable=False),
    sa.Column("version", sa.String(8), nullable=False),
    sa.Column("asked", sa.JSON, nullable=False),  # what the client said when it made the job
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("processed", sa.Integer, nullable=False),  # rows that have a result
    sa.Column("failed", sa.Integer, nullable=False),  # of these
    sa.Column("parent", sa.Integer, index=True),  # of a batch: the number of its job
    sqlite_autoincrement=True,  # or the number of a removed job would be given out again
)
chunks = sa.Table(
    "crm_job_chunk",
    _metadata,
    sa.Column("job", sa.Integer, sa.ForeignKey(jobs.c.number), primary_key=True),
    sa.Column("part", sa.String(10), primary_key=True),  # content, results, header, rows
    sa.Column("first", sa.Integer, primary_key=True),  # row that it begins with
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("places", sa.LargeBinary, nullable=False),  # where each row ends in it
)


def prepare(database: Database) -> None:
    """Makes the tables where they are missing."""
    with database.write() as connection:
        grow(connection, _metadata)
        make(connection, _metadata)
