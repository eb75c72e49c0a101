"""Brings a database to today's tables, or says why not."""

import threading

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from crmsync.state.errors import StateError

_one_at_a_time = threading.Lock()  # alembic keeps the migration under way in a module


def refuse_newer(revision: str | None) -> None:
    """``revision`` is where a database stands (None: empty). Raises StateError for one that this version of crmsync
    does not know: a newer one made it."""
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise StateError(
            f"the state database was written by a newer version of crmsync (revision {revision})",
            "install that version again, or give this one another [state] url",
        )


def upgrade(connection: Connection) -> None:
    """Takes the missing steps, inside the transaction that is open."""
    config = _config()
    config.attributes["connection"] = connection
    with _one_at_a_time:
        command.upgrade(config, "head")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "crmsync.state:migrations")
    config.set_main_option("path_separator", "os")
    return config
