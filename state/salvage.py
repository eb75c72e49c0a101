"""A database file that is damaged beyond use is put aside, never deleted: a person may want to look into it."""

import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from crmsync.state.errors import StateError
from crmsync.state.locks import FileLocks

_PARTS = ("", "-wal", "-shm")


def set_aside(file: Path, now: Callable[[], datetime]) -> Path | None:
    """Where the database went, if it was damaged; None where it was not. Raises Locked where a service runs on it, and
    StateError where it cannot be moved."""
    if not file.exists() or not _damaged(file):
        return None
    with FileLocks(file, now).service():
        aside = _free_name(file, now())
        try:
            for part in _PARTS:
                if (old := file.with_name(file.name + part)).exists():
                    old.rename(aside.with_name(aside.name + part))
        except OSError as error:
            raise StateError(
                f"the damaged state database {file} cannot be moved: {error.strerror}", "move it by hand"
            ) from error
    return aside


def _damaged(file: Path) -> bool:
    try:
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw", uri=True, timeout=5)
        try:
            (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            return str(said) != "ok"
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        name = str(getattr(error, "sqlite_errorname", ""))
        return bool(name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")))


def _free_name(file: Path, now: datetime) -> Path:
    wanted = file.with_name(f"{file.name}.damaged-{now:%Y%m%dT%H%M%S}")
    number = 1
    aside = wanted
    while aside.exists():
        number += 1
        aside = wanted.with_name(f"{wanted.name}-{number}")
    return aside
