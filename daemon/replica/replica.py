"""A CRM kept here: what a person does with it, with or without a network, and the passes that bring it in step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from crmsync.daemon.replica.context import Context, Progress, Tally, naive
from crmsync.daemon.replica.run import bring_in_step
from crmsync.daemon.replica.upstream import Upstream
from crmsync.state.replica.converting import Conversion, Converted
from crmsync.state.replica.local import conversions, deciding, edits
from crmsync.state.replica.local.database import LocalDatabase
from crmsync.state.replica.local.deciding import Side, Waiting
from crmsync.state.replica.local.difference import Policy
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import row_to

__all__ = ["Replica"]


def _silent(*_: object) -> None:
    """Nobody watches."""


class Replica:
    """Safe to use from many threads, except that one pass runs at a time."""

    def __init__(
        self,
        database: LocalDatabase,
        upstream: Upstream,
        objects: Sequence[str],
        *,
        clock: Callable[[], datetime],
        policy: Policy = Policy.LATEST,
        progress: Progress = _silent,
        compare: timedelta = timedelta(days=1),
        workers: int = 4,
    ) -> None:
        self.database, self._upstream, self._clock = database, upstream, clock
        self._context = Context(database, upstream, tuple(objects), policy, progress, compare, workers)

    def run(self) -> Tally:
        """Passes until nothing changes. Raises ConnectorError, and ForeignLogin."""
        return bring_in_step(self._context)

    # ── What a person does. All of it raises Fault, with Salesforce's codes. ─────────────────────────────────

    def read(self, record_id: str) -> dict[str, Any]:
        """The row as JSON values, by any id that it ever had."""
        with self.database.read() as work:
            type_, row = edits.find(work, record_id)
            return row_to(type_, row)

    def create(self, name: str, values: Mapping[str, Any]) -> str:
        """The temporary id of the new row."""
        with self._now() as (work, at):
            return edits.create(work, name, values, at)

    def update(self, record_id: str, values: Mapping[str, Any]) -> None:
        with self._now() as (work, at):
            edits.update(work, record_id, values, at)

    def delete(self, record_id: str) -> None:
        with self._now() as (work, at):
            edits.delete(work, record_id, at)

    def convert(self, asked: Conversion) -> Converted:
        """A lead; what is not given is made, with temporary ids."""
        with self._now() as (work, at):
            return conversions.convert(work, asked, at)

    def waiting(self) -> list[Waiting]:
        """What does not go on without a decision."""
        with self.database.read() as work:
            return list(deciding.waiting(work))

    def choose(
        self, record_id: str, choice: Side | Mapping[str, Any], *, fields: tuple[str, ...] = ()
    ) -> None:
        with self._now() as (work, at):
            deciding.choose(work, record_id, choice, at, fields=fields)

    def retry(self, record_id: str) -> None:
        with self.database.write() as work:
            deciding.retry(work, record_id)

    def abandon(self, record_id: str) -> None:
        with self._now() as (work, at):
            deciding.abandon(work, record_id, at)

    @contextmanager
    def _now(self) -> Iterator[tuple[Work, datetime]]:
        """A transaction, and the server's time, as far as it is known here."""
        at = naive(self._clock() + self._upstream.clock_offset())
        with self.database.write() as work:
            yield work, at
