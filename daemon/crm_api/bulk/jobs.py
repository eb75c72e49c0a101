"""Jobs in the background: one thread works them off, and goes on with what the end of the service interrupted."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event

from crmsync.daemon.crm_api.crm import Crm
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.job_store import Job, JobStore, Overtaken

__all__ = ["Background", "Worker"]

log = logging.getLogger(__name__)


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


@dataclass(frozen=True, slots=True)
class Worker(ABC):
    """Of one kind of jobs."""

    crm: Crm
    background: Background
    jobs: JobStore

    @abstractmethod
    def work(self, job: Job) -> bool:
        """All that is left to do; False where the end of the service came first. Raises Fault, OverflowError and
        Overtaken."""

    def start(self, job: Job) -> None:
        self.background.run(lambda: self._attempt(job))

    def resume(self) -> None:
        """What the end of the service interrupted goes on."""
        for job in self.jobs.unfinished():
            self.start(job)

    def _attempt(self, job: Job) -> None:
        if not self.jobs.move(job, "InProgress", among=("UploadComplete", "InProgress")):
            return
        try:
            done = self.work(self.jobs.now(job))
        except Overtaken:
            return
        except (Fault, OverflowError) as error:
            what = f"{error.code} : {error.message}" if isinstance(error, Fault) else str(error)
            self.jobs.move(job, "Failed", among=("InProgress",), error=what)
        except Exception:
            what = "UNKNOWN_EXCEPTION : the CRM failed to do it; its log has the reason"
            self.jobs.move(job, "Failed", among=("InProgress",), error=what)
            raise  # to the log
        else:
            if done:
                self.jobs.move(job, "JobComplete", among=("InProgress",))
