"""How SQLite answers what a repository asks: by an index, or row by row."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from crmsync.state.database import State
from crmsync.state.transaction import Tx
from tests.state.samples import NOW


def plans_of(folder: Path, ask: Callable[[Tx], object], table: str) -> list[list[str]]:
    """A plan for each statement that names the table, in a state that is made in ``folder`` when it is not there."""
    asked: list[tuple[str, Any]] = []
    state = State.open(f"sqlite:///{folder / 'state.db'}", now=lambda: NOW)

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        asked.append((statement, parameters))

    try:
        with state.reading() as tx:
            event.listen(Engine, "before_cursor_execute", note)
            ask(tx)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
        state.close()
    with closing(sqlite3.connect(folder / "state.db")) as database:
        return [
            [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
            for statement, parameters in asked
            if table in statement
        ]
