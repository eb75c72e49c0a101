"""The thread that works jobs off, and the jobs of version 1.0: in memory, so that a restart forgets them."""

import datetime
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Generic, Protocol, TypeVar

from crmsync.state.replica import ids
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.store import Clock

__all__ = ["Background", "Register"]

log = logging.getLogger(__name__)

LIFE = datetime.timedelta(days=7)
MOST = 500


class Closeable(Protocol):
    owner: Caller
    created: datetime.datetime
    id: str

    def close(self) -> None: ...


T = TypeVar("T", bound=Closeable)


@dataclass
class Register(Generic[T]):
    """Jobs of one kind by id; the oldest make room."""

    prefix: str
    clock: Clock
    _jobs: dict[str, T] = field(default_factory=dict)
    _count: int = 0
    _lock: Lock = field(default_factory=Lock)

    def new_id(self) -> str:
        with self._lock:
            self._count += 1
            return ids.new_id(self.prefix, self._count)

    def add(self, job: T) -> T:
        with self._lock:
            old = [k for k, v in self._jobs.items() if v.created < self.clock() - LIFE]
            for each in [*old, *list(self._jobs)[: max(0, len(self._jobs) - len(old) - MOST + 1)]]:
                self._drop(each)
            self._jobs[job.id] = job
        return job

    def get(self, caller: Caller, job_id: str) -> T:
        """Raises Fault (NOT_FOUND) for one that is not there or somebody else's."""
        with self._lock:
            job = self._jobs.get(ids.to_18(job_id) if ids.is_valid(job_id) else "")
        if job is None or job.owner.user_id != caller.user_id:
            raise Fault("NOT_FOUND", "The requested resource does not exist")
        return job

    def all(self, caller: Caller) -> list[T]:
        with self._lock:
            return [each for each in self._jobs.values() if each.owner.user_id == caller.user_id]

    def remove(self, job: T) -> None:
        with self._lock:
            self._drop(job.id)

    def close(self) -> None:
        with self._lock:
            for each in list(self._jobs):
                self._drop(each)

    def _drop(self, job_id: str) -> None:
        job = self._jobs.pop(job_id, None)
        if job is not None:
            job.close()


class Background:
    """One thread that works jobs off, one after the other: writers take turns anyhow."""

    def __init__(self) -> None:
        self.stopping = Event()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="crm-bulk")

    def run(self, work: Callable[[], None]) -> None:
        self._pool.submit(self._guarded, work)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            log.exception("a bulk job failed", extra={"action": "crm.defect"})

    def close(self) -> None:
        self.stopping.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
