"""Text without regard to case: one lower() for both databases."""

import sqlite3
from typing import Any

from sqlalchemy import Engine, event


def ignore_case(engine: Engine) -> None:
    """Lets every later connection of a SQLite engine fold the case of all letters.

    SQLite's own lower() knows A to Z only, so that `= 'zoë'` would miss `ZOË`; PostgreSQL's knows them all and
    is left alone. An index on lower(column) is kept with this function and must be used with it.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _install)


def _install(connection: sqlite3.Connection, record: Any) -> None:
    connection.create_function("lower", 1, _lower, deterministic=True)


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value
