"""Jobs of many rows and what belongs to them: what was uploaded, what became of each row, what a query found.

They stand in the database that they work on. A row's result is written in the transaction that writes the row, so
that a job which was interrupted goes on with the first row that has none: none is lost, and none is written twice.
"""

import datetime
import itertools
from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from crmsync.state.replica import ids, service_tables
from crmsync.state.replica.database import Database
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.service_tables import chunks, jobs
from crmsync.state.replica.store import Clock

__all__ = ["ENDED", "Job", "JobStore", "Overtaken", "erase"]

LIFE = datetime.timedelta(days=7)
MOST = 500  # of one owner; the oldest that have ended make room
MOST_BYTES = 1024 * 1024 * 1024  # of what a query finds
MOST_WAITING = 200  # jobs of one owner that are not done, of all kinds
MOST_HELD = 16 * MOST_BYTES  # of all that one owner's jobs keep
AT_ONCE = 2_000  # rows of a chunk
ENDED = ("JobComplete", "Failed", "Aborted")
PREFIX = {"ingest": "750", "query": "751", "classic": "750", "batch": "751"}


class Overtaken(Exception):
    """The job was aborted, or somebody else works on it."""


@dataclass(frozen=True, slots=True)
class Job:
    """As it stood when it was read. Times are UTC, without a zone."""

    number: int
    kind: str
    owner: str
    created: datetime.datetime
    stamp: datetime.datetime
    version: str
    asked: Mapping[str, Any]
    state: str
    error: str
    processed: int
    failed: int
    parent: int | None = None  # of a batch: the number of its job

    @property
    def id(self) -> str:
        return ids.new_id(PREFIX[self.kind], self.number)


class JobStore:
    """The jobs of one kind. Safe for threads and processes."""

    def __init__(self, database: Database, clock: Clock, kind: str) -> None:
        self._database, self._clock, self.kind = database, clock, kind
        service_tables.prepare(database)
        with database.write() as connection:
            _drop(connection, _older(connection, self._now()))

    def add(
        self,
        owner: str,
        asked: Mapping[str, Any],
        version: str,
        state: str,
        *,
        parent: Job | None = None,
        content: bytes | None = None,
    ) -> Job:
        """With its content, where that is known already. One with a parent goes when that goes. Raises Fault
        (LIMIT_EXCEEDED)."""
        now = self._now()
        with self._database.write() as connection:
            if parent is None:
                self._make_room(connection, owner, now)
                _check_waiting(connection, owner)
            _check_held(connection, owner)
            values = {"kind": self.kind, "owner": owner, "created": now, "stamp": now, "version": version}
            more = {"asked": dict(asked), "state": state, "error": "", "processed": 0, "failed": 0}
            more["parent"] = parent.number if parent else None
            made = connection.execute(jobs.insert().values(**values, **more))
            assert made.inserted_primary_key is not None
            job = self._one(connection, made.inserted_primary_key[0])
            if content is not None:
                connection.execute(_chunk(job, "content", 0, 0, content))
        return job

    def get(self, owner: str, job_id: str) -> Job:
        """Raises Fault (NOT_FOUND) for one that is not there or somebody else's."""
        wanted = ids.to_18(job_id) if ids.is_valid(job_id) else ""
        found = next((job for job in self.all(owner) if job.id == wanted), None)
        if found is None:
            raise Fault("NOT_FOUND", "The requested resource does not exist")
        return found

    def all(self, owner: str) -> list[Job]:
        return self._select(jobs.c.owner == owner)

    def below(self, job: Job) -> list[Job]:
        """Those whose parent it is, the oldest first."""
        return self._select(jobs.c.parent == job.number)

    def unfinished(self) -> list[Job]:
        """What was waiting or at work when the service ended."""
        return self._select(jobs.c.state.in_(("UploadComplete", "InProgress")))

    def move(self, job: Job, state: str, *, among: Iterable[str], error: str = "") -> bool:
        """To another state, from one of these; False where it is in none of them (any more)."""
        change = jobs.update().where(jobs.c.number == job.number, jobs.c.state.in_(tuple(among)))
        with self._database.write() as connection:
            done = connection.execute(change.values(state=state, error=error, stamp=self._now()))
        return done.rowcount == 1

    def now(self, job: Job) -> Job:
        return self.numbered(job.number)

    def numbered(self, number: int) -> Job:
        with self._database.read() as connection:
            return self._one(connection, number)

    def remove(self, job: Job) -> None:
        with self._database.write() as connection:
            _drop(connection, [job.number])

    def upload(self, job: Job, content: bytes) -> bool:
        """False where there is something already, or the job is not open any more."""
        with self._database.write() as connection:
            state = connection.scalar(sa.select(jobs.c.state).where(jobs.c.number == job.number))
            taken = connection.scalar(sa.select(sa.func.count()).where(*_of(job, "content")))
            if state != "Open" or taken:
                return False
            _check_held(connection, job.owner)
            connection.execute(_chunk(job, "content", 0, 0, content))
        return True

    def content(self, job: Job, part: str = "content") -> bytes:
        with self._database.read() as connection:
            found = connection.execute(
                sa.select(chunks.c.content).where(*_of(job, part)).order_by(chunks.c.first)
            )
            return b"".join(row[0] for row in found)

    @contextmanager
    def step(self, job: Job, done: int) -> Iterator[list[tuple[bytes, bool]]]:
        """One transaction for some rows after the first `done`. Their results, (text, whether it failed), go on the
        list. Raises Overtaken."""
        results: list[tuple[bytes, bool]] = []
        with self._database.together():
            yield results
            with self._database.write() as connection:
                failed = jobs.c.failed + sum(each[1] for each in results)
                self._claim(connection, job, done, processed=done + len(results), failed=failed)
                lines = b"".join(each[0] for each in results)
                connection.execute(_chunk(job, "results", done, len(results), lines))

    def _claim(self, connection: sa.Connection, job: Job, done: int, **values: Any) -> None:
        """Goes on from `done`, unless the job is somewhere else by now."""
        here = jobs.c.number == job.number, jobs.c.state == "InProgress", jobs.c.processed == done
        if connection.execute(jobs.update().where(*here).values(stamp=self._now(), **values)).rowcount != 1:
            raise Overtaken

    def keep_rows(self, job: Job, header: bytes, lines: Iterable[bytes]) -> int:
        """What a query found, in place of what there was; their number. Raises OverflowError, Overtaken."""
        count = size = 0
        with self._database.write() as connection:
            connection.execute(chunks.delete().where(*_of(job, "header", "rows")))
            connection.execute(jobs.update().where(jobs.c.number == job.number).values(processed=0))
            connection.execute(_chunk(job, "header", 0, 0, header))
        for some in _batched(lines, AT_ONCE):
            size += sum(map(len, some))
            if size > MOST_BYTES:
                raise OverflowError(f"the result is larger than {MOST_BYTES} bytes")
            with self._database.write() as connection:
                self._claim(connection, job, count, processed=count + len(some))
                ends = array("I", itertools.accumulate(map(len, some)))
                connection.execute(_chunk(job, "rows", count, len(some), b"".join(some), ends.tobytes()))
            count += len(some)
        return count

    def rows(self, job: Job, first: int, count: int) -> bytes:
        """Header and that many rows from `first` on."""
        wanted = chunks.c.first < first + count, chunks.c.first + chunks.c.rows > first
        query = sa.select(chunks.c.first, chunks.c.content, chunks.c.places).where(*_of(job, "rows"), *wanted)
        found = [self.content(job, "header")]
        with self._database.read() as connection:
            for start, content, places in connection.execute(query.order_by(chunks.c.first)):
                found.append(_slice(content, places, first - start, first + count - start))
        return b"".join(found)

    def _one(self, connection: sa.Connection, number: int) -> Job:
        """Raises Overtaken where it was removed meanwhile."""
        row = connection.execute(sa.select(jobs).where(jobs.c.number == number)).one_or_none()
        if row is None:
            raise Overtaken
        return Job(*row)

    def _select(self, *conditions: sa.ColumnElement[bool]) -> list[Job]:
        query = sa.select(jobs).where(jobs.c.kind == self.kind, *conditions).order_by(jobs.c.number)
        with self._database.read() as connection:
            return [Job(*row) for row in connection.execute(query)]

    def _make_room(self, connection: sa.Connection, owner: str, now: datetime.datetime) -> None:
        theirs = (jobs.c.owner == owner, jobs.c.parent.is_(None))
        ended = sa.select(jobs.c.number).where(*theirs, jobs.c.state.in_((*ENDED, "Open", "Closed")))
        surplus = ended.order_by(jobs.c.number.desc()).offset(MOST - 1)
        _drop(connection, [*_older(connection, now), *connection.scalars(surplus)])

    def _now(self) -> datetime.datetime:
        return self._clock().astimezone(datetime.UTC).replace(tzinfo=None)


def erase(connection: sa.Connection, address: str) -> int:
    """Takes away the jobs in which this address stands, whatever they are doing; how many those were. Of a batch the
    whole job goes."""
    if not sa.inspect(connection).has_table(jobs.name):
        return 0  # no services have ever stood on this database
    wanted, found = address.casefold(), set[int]()
    for number, asked in connection.execute(sa.select(jobs.c.number, jobs.c.asked)):
        if wanted in str(asked).casefold():
            found.add(number)
    for number, content in connection.execute(sa.select(chunks.c.job, chunks.c.content)):
        if number not in found and wanted in content.decode("utf-8", "replace").casefold():
            found.add(number)
    parents = connection.scalars(sa.select(jobs.c.parent).where(jobs.c.number.in_(found)))
    _drop(connection, sorted(found.union(number for number in parents if number is not None)))
    return len(found)


def _check_waiting(connection: sa.Connection, owner: str) -> None:
    """One thread works for everybody: whoever asks for more than this waits for themselves."""
    waiting = (
        jobs.c.owner == owner,
        jobs.c.parent.is_(None),
        jobs.c.state.in_(("UploadComplete", "InProgress")),
    )
    if (connection.scalar(sa.select(sa.func.count()).where(*waiting)) or 0) >= MOST_WAITING:
        raise Fault(
            "LIMIT_EXCEEDED", f"{MOST_WAITING} jobs are waiting already; try again when some are done"
        )


def _check_held(connection: sa.Connection, owner: str) -> None:
    size = sa.select(sa.func.sum(sa.func.length(chunks.c.content)))
    if (
        connection.scalar(size.join(jobs, jobs.c.number == chunks.c.job).where(jobs.c.owner == owner)) or 0
    ) >= MOST_HELD:
        what = (
            f"your jobs hold {MOST_HELD} bytes; delete some of them, or wait: they go after {LIFE.days} days"
        )
        raise Fault("LIMIT_EXCEEDED", what)


def _older(connection: sa.Connection, now: datetime.datetime) -> list[int]:
    return list(connection.scalars(sa.select(jobs.c.number).where(jobs.c.created < now - LIFE)))


def _drop(connection: sa.Connection, numbers: list[int]) -> None:
    """With the batches of those."""
    some = sa.or_(jobs.c.number.in_(numbers), jobs.c.parent.in_(numbers))
    connection.execute(chunks.delete().where(chunks.c.job.in_(sa.select(jobs.c.number).where(some))))
    connection.execute(jobs.delete().where(some))


def _of(job: Job, *parts: str) -> tuple[sa.ColumnElement[bool], ...]:
    return chunks.c.job == job.number, chunks.c.part.in_(parts)


def _chunk(job: Job, part: str, first: int, rows: int, content: bytes, places: bytes = b"") -> sa.Insert:
    values = {
        "job": job.number,
        "part": part,
        "first": first,
        "rows": rows,
        "content": content,
        "places": places,
    }
    return chunks.insert().values(**values)


def _slice(content: bytes, places: bytes, first: int, last: int) -> bytes:
    """Rows `first` up to `last` of a chunk; either may lie outside."""
    ends = array("I")
    ends.frombytes(places)
    start = ends[first - 1] if first > 0 else 0
    return content[start : ends[min(last, len(ends)) - 1]]


def _batched(lines: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    rest = iter(lines)
    while some := list(itertools.islice(rest, size)):
        yield some
