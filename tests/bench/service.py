"""The service as it is measured: its engine, in a process of its own, ``python -m tests.bench.service CONFIG``."""

import cProfile
import logging
import os
import pstats
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine as Database
from sqlalchemy import event

from crmsync.config.load import load
from crmsync.daemon import app
from tests.bench.meter import measured, take_commands
from tests.bench.seed import seed

_POLL_EVERY = timedelta(seconds=54)  # as the scheduler asks for it at an interval of a minute
_WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE")


class Service:
    def __init__(self, config: Path) -> None:
        self._ahead = timedelta(0)
        self._engine = app.build(load(config, os.environ), now=lambda: datetime.now(UTC) + self._ahead)
        self._rows: Counter[str] = Counter()
        event.listen(Database, "after_cursor_execute", self._note)

    def _note(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        verb, *rest = statement.split(None, 3)
        if verb.upper() in _WRITES:
            self._rows[rest[0] if verb.upper() == "UPDATE" else rest[1]] += max(cursor.rowcount, 0)

    def ahead(self, seconds: float) -> dict[str, Any]:
        self._ahead = timedelta(seconds=seconds)
        return {}

    def login(self) -> dict[str, Any]:
        """Log in and discover; a first sync afterwards begins without a position in any collection's changes."""
        answer = self._engine.sync(poll_every=_POLL_EVERY)
        if answer["errors"]:
            raise RuntimeError(str(answer["errors"]))
        self.forget()
        return {}

    def seed(self) -> dict[str, Any]:
        return {"items": seed(self._engine)}

    def forget(self) -> dict[str, Any]:
        for account in self._engine.accounts.values():
            keys = [m.key(c) for m in account.mailboxes for c in m.collections]
            with self._engine.state.transaction() as tx:
                for key in keys:
                    tx.cursors.remove(f"ecs/{account.name}/{key}")
        return {}

    def sync(self, *, profile: str = "", names: tuple[str, ...] = (), idle: bool = True) -> dict[str, Any]:
        """``profile``: a file into which cProfile writes; times are then not comparable."""
        self._rows.clear()
        told: dict[str, Any] = {}
        profiler = cProfile.Profile() if profile else None
        with measured(told):
            answer = self._run(profiler, names, idle)
        if profiler is not None:
            pstats.Stats(profiler).dump_stats(profile)
        if answer["errors"]:
            raise RuntimeError(str(answer["errors"][:3]))
        keys = ("created", "updated", "deleted", "unlinked", "held", "parked", "requests")
        sums = {k: sum(c[k] for c in answer["cycles"]) for k in keys}
        rounds = len(answer["cycles"])
        size = self._engine.state.size()
        return {
            **told,
            **sums,
            "writes": answer["writes"],
            "rounds": rounds,
            "rows": dict(self._rows),
            "size": size,
        }

    def _run(self, profiler: cProfile.Profile | None, names: tuple[str, ...], idle: bool) -> dict[str, Any]:
        """As the scheduler does it: a cycle without anything to record leaves no trace."""
        if profiler is None:
            return self._engine.sync(names, keep_idle=not idle, poll_every=_POLL_EVERY)
        return profiler.runcall(self._engine.sync, names, keep_idle=not idle, poll_every=_POLL_EVERY)

    def turns(self) -> dict[str, Any]:
        """Every account once, as the scheduler does it within an interval."""
        self._rows.clear()
        told: dict[str, Any] = {}
        errors: list[Any] = []
        with measured(told):
            for name in self._engine.accounts:
                answer = self._engine.sync(
                    [name], settle=timedelta(seconds=10), keep_idle=False, poll_every=_POLL_EVERY
                )
                errors += answer["errors"]
        if errors:
            raise RuntimeError(str(errors[:3]))
        return {**told, "rows": dict(self._rows)}

    def reconcile(self) -> dict[str, Any]:
        self._rows.clear()
        told: dict[str, Any] = {}
        with measured(told):
            answer = self._engine.reconcile()
        if answer["errors"]:
            raise RuntimeError(str(answer["errors"][:3]))
        return {**told, "writes": answer["writes"], "rows": dict(self._rows)}


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    service = Service(Path(sys.argv[1]))
    take_commands(
        {
            "login": service.login,
            "sync": service.sync,
            "reconcile": service.reconcile,
            "turns": service.turns,
            "forget": service.forget,
            "ahead": service.ahead,
            "seed": service.seed,
        }
    )
