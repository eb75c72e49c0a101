"""The replica of one CRM login in the service: its place, who may be at it, its modes, and whether the CRM is there.

A pass, and whatever else talks to the CRM for this replica, holds one lock, beside the file or in the database server:
no second thread and no second process is at it at the same time. A server may lose it; then nothing more is written, so
nothing is sent. What a person does here needs none, it is a transaction of the database.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from crmsync.connectors.errors import AuthExpired, ConnectorError
from crmsync.daemon.calls import Failure
from crmsync.daemon.replica import through
from crmsync.daemon.replica.context import Context, Progress, Stage, Tally, naive
from crmsync.daemon.replica.modes import AWAY, Mode, acting
from crmsync.daemon.replica.run import bring_in_step
from crmsync.daemon.replica.stages import Stages
from crmsync.daemon.replica.upstream import Upstream
from crmsync.state.errors import Locked, StateError
from crmsync.state.locks import Hold
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local import deciding, edits
from crmsync.state.replica.local.database import ForeignLogin, LocalDatabase
from crmsync.state.replica.local.difference import Policy
from crmsync.state.replica.local.fence import fenced
from crmsync.state.replica.local.opening import Place
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import row_to

__all__ = ["Keeper", "Settings"]

log = logging.getLogger(__name__)

_ANSWERED = AWAY | {AuthExpired.code}  # troubles that are over as soon as anybody has an answer


@dataclass(frozen=True, slots=True)
class Settings:
    objects: tuple[str, ...]
    wanted: Mapping[str, frozenset[str]] = field(default_factory=dict)  # of an object only these fields
    interval: timedelta = timedelta(minutes=5)
    policy: Policy = Policy.LATEST
    mode: Mode = Mode.AUTO  # until somebody chooses another one


def unwatched(stage: Stage, what: str) -> None:
    """Nobody watches."""


class Keeper:
    """Safe to use from many threads."""

    def __init__(
        self,
        name: str,
        where: Path | str,
        settings: Settings,
        connect: Callable[[], Upstream],
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        durable: bool = True,
    ) -> None:
        """`where`: a file, or the URL of a database server. `connect`: reaches nobody yet, but may read secrets; raises
        ConnectorError."""
        self.name, self.place, self.settings = name, Place.of(where, name), settings
        self.stages, self.total = Stages(), Tally()
        self._connect, self._now, self._durable = connect, now, durable
        self._guard = threading.Lock()
        self._database: LocalDatabase | None = None
        self._upstream: Upstream | None = None
        self._hold: Hold | None = None  # of whoever talks to the CRM just now
        self.returned: Callable[[], object] = lambda: None  # called when the CRM is found to be there again
        self._late = False  # something was written here while a pass was under way

    @property
    def database(self) -> LocalDatabase:
        """Opened when it is first needed. Raises StateError."""
        with self._guard:
            if self._database is None:
                try:
                    self._database = LocalDatabase(self.place, durable=self._durable)
                except (sa.exc.DBAPIError, OSError) as error:
                    raise StateError(
                        f"the replica of crm.{self.name} cannot be opened: {self.place}: {error}",
                        "make it readable and writable for the service's user; moved away, it is filled anew, and what "
                        "was changed in it and not sent yet is lost",
                    ) from error
            return self._database

    def close(self) -> None:
        with self._guard:
            if self._database is not None:
                self._database.close()
                self._database = None

    # ── Modes ────────────────────────────────────────────────────────────────────────────────────────────────

    def mode(self) -> Mode:
        """As chosen; else as configured."""
        with self.database.read() as work:
            return self.mode_in(work)

    def mode_in(self, work: Work) -> Mode:
        return Mode(work.property("mode") or self.settings.mode)

    def choose_mode(self, mode: Mode | None) -> None:
        """None: as configured."""
        with self.database.write() as work:
            work.set_property("mode", mode)

    def resting(self) -> bool:
        """Somebody has said that it is to work offline."""
        return self.mode() is Mode.OFFLINE

    def acting(self) -> Mode:
        return acting(self.mode(), str((self.trouble() or {}).get("code", "")))

    def away(self) -> bool:
        """Whether nobody was found there the last time that somebody looked."""
        with self.database.read() as work:
            return self.away_in(work)

    def away_in(self, work: Work) -> bool:
        return (work.property("trouble") or {}).get("code") in AWAY

    def trouble(self) -> Mapping[str, Any] | None:
        """``{"code", "message", "since"}`` of the conversation that failed last; None: the last one came through."""
        with self.database.read() as work:
            found: Mapping[str, Any] | None = work.property("trouble")
            return found

    # ── Passes ───────────────────────────────────────────────────────────────────────────────────────────────

    def sync(self, watch: Progress = unwatched) -> Tally:
        """Passes until nothing changes. Raises ConnectorError, ForeignLogin, Locked, StateError, and Failure where the
        replica is to work offline."""
        if self.mode() is Mode.OFFLINE:
            raise Failure(
                "offline",
                f"the replica of crm.{self.name} is to work offline, so nothing is sent or fetched: "
                f"crmsync crm replica mode auto --crm {self.name} ends that",
            )
        tally = Tally()
        with self._alone(), self._talking(lambda: self._note(None)):
            self._late = True
            while self._late:
                self._late = False
                tally.add(self._counted(self._context(watch), bring_in_step))
        with self.database.write() as work:
            work.set_property("last success", self._now().isoformat())
        return tally

    def send(self, ids: Collection[str]) -> None:
        """What waits of these records goes out now, and nothing else, unless somebody else talks to the CRM for this
        replica. Raises ConnectorError, and ForeignLogin."""
        with self._at_once() as free:
            if free:
                with self._talking(self._answers):
                    self._counted(self._context(), partial(through.send_some, ids=ids))

    def upstream(self) -> Upstream:
        """Raises ConnectorError for secrets that cannot be read."""
        with self._guard:
            if self._upstream is None:
                self._upstream = self._connect()
            return self._upstream

    def offset(self) -> timedelta:
        """The CRM's clock, as far as it is known here."""
        return self._upstream.clock_offset() if self._upstream is not None else timedelta()

    def noted(self, error: ConnectorError | None) -> None:
        """What became of a conversation that somebody else had: None for one that came through."""
        if error is None:
            self._answers()
        else:
            self._note({"code": error.code, "message": str(error)})

    def _context(self, watch: Progress = unwatched) -> Context:
        def enter(stage: Stage, what: str) -> None:
            self.stages.enter(stage, what)
            watch(stage, what)

        upstream, chosen = self.upstream(), self.settings
        database = fenced(self.database, self._hold.check) if self._hold else self.database
        return Context(database, upstream, chosen.objects, chosen.policy, enter, wanted=chosen.wanted)

    def _counted(self, context: Context, converse: Callable[[Context], Tally]) -> Tally:
        try:
            tally = converse(context)
        except BaseException:
            self.total.add(context.tally)  # of the pass that broke off
            raise
        self.total.add(tally)
        return tally

    @property
    def usage(self) -> float:
        """Of the CRM's daily limit, as last told."""
        found: float = getattr(self._upstream, "usage", 0.0)
        return found

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Raises Locked where another thread or process is at it."""
        with self.database.alone(self._now) as self._hold:
            try:
                yield
            finally:
                self._hold = None
                self.stages.leave()

    @contextmanager
    def _talking(self, done: Callable[[], None]) -> Iterator[None]:
        """What becomes of the conversation is noted, for everybody who looks: in the file, not in this process.
        `done`: it came through."""
        try:
            yield
        except ConnectorError as error:
            self._note({"code": error.code, "message": str(error)})
            raise
        except ForeignLogin as error:
            self._note({"code": "foreign_login", "message": str(error)})
            raise
        done()

    def _answers(self) -> None:
        """The CRM is there, and the login good. What else ails the passes is over when one of them comes through."""
        if (self.trouble() or {}).get("code") in _ANSWERED:
            self._note(None)

    def _note(self, trouble: dict[str, str] | None) -> None:
        known = self.trouble()
        if trouble == known or (trouble and known and trouble["code"] == known["code"]):
            return
        since = self._now().isoformat()
        with self.database.write() as work:
            work.set_property("trouble", {**trouble, "since": since} if trouble else None)
        if trouble and trouble["code"] in AWAY:
            log.warning(
                "the replica of crm.%s works without the CRM: %s",
                self.name,
                trouble["message"],
                extra={"action": "replica.away"},
            )
        elif known and known["code"] in AWAY:
            log.info("the replica of crm.%s has its CRM again", self.name, extra={"action": "replica.back"})
            self.returned()

    # ── What a person does. All of it raises Fault; in the modes that were chosen for it, ConnectorError, too. ────

    def read(self, record_id: str) -> dict[str, Any]:
        """The row as JSON values, by any id that it ever had."""
        if self.acting() is Mode.ONLINE:
            with self._at_once() as free:
                if free:
                    with self._talking(self._answers):
                        through.refresh(self._context(), record_id)
        self.database.follow()
        with self.database.read() as work:
            type_, row = edits.find(work, record_id)
            return row_to(type_, row)

    def create(self, name: str, values: Mapping[str, Any]) -> str:
        """The id of the new row: a temporary one, unless the CRM has made it already."""
        return self._written(None, lambda work, at: edits.create(work, name, values, at))

    def update(self, record_id: str, values: Mapping[str, Any]) -> None:
        def change(work: Work, at: datetime) -> str:
            edits.update(work, record_id, values, at)
            return record_id

        self._written(record_id, change)

    def delete(self, record_id: str) -> None:
        def remove(work: Work, at: datetime) -> str:
            edits.delete(work, record_id, at)
            return record_id

        self._written(record_id, remove)

    def here(self, do: Callable[[Work, datetime], str]) -> str:
        """One transaction, with the CRM's time."""
        at = naive(self._now() + self.offset())
        with self.database.write() as work:
            return do(work, at)

    def _written(self, record_id: str | None, do: Callable[[Work, datetime], str]) -> str:
        how = self.acting()
        if how is Mode.OFFLINE:
            return self.here(do)
        with self._at_once() as free:
            if not free:  # the pass that is under way sends it, or the one after it
                written = self.here(do)
                self._late = True
                return written
            if how is Mode.ONLINE and record_id is not None:
                with self._talking(self._answers):
                    through.refresh(self._context(), record_id)
            first = record_id is None or self._standing(record_id) is None
            written = self.here(do)
            self._sent(written, first=first)
        with self.database.read() as work:
            return work.resolve(written)

    def _sent(self, record_id: str, *, first: bool) -> None:
        """`first`: nothing else of this record waited, so that what is refused can be taken back as a whole."""
        try:
            with self._talking(self._answers):
                self._counted(self._context(), through.send)
        except ConnectorError:
            if self.mode() is Mode.AUTO:
                return  # it waits
            if first:
                self._take_back(record_id)
            raise
        standing = self._standing(record_id)
        if first and standing is not None and standing["state"] == "rejected":
            self._take_back(record_id)
            raise Fault(standing["code"], standing["reason"])

    def _take_back(self, record_id: str) -> None:
        def abandon(work: Work, at: datetime) -> str:
            deciding.abandon(work, record_id, at)
            return record_id

        try:
            self.here(abandon)
        except Fault as fault:  # it may have arrived after all: the next pass finds out
            log.info("%s", fault.message, extra={"action": "replica.in_doubt"})

    def _standing(self, record_id: str) -> Mapping[str, Any] | None:
        """The entry of a queue that this record has."""
        with self.database.read() as work:
            return deciding.standing(work, record_id)

    @contextmanager
    def _at_once(self) -> Iterator[bool]:
        """Whether nobody else talks to the CRM for this replica; if so, nobody does until the end."""
        lock = self._alone()
        try:
            lock.__enter__()
        except Locked:
            yield False
            return
        try:
            yield True
        finally:
            lock.__exit__(None, None, None)
