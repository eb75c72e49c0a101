"""What takes longer than a page may: it goes on in a thread of its own, and has a page that says how far it is."""

import logging
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

from starlette.responses import RedirectResponse, Response

from crmsync.daemon.calls import Failure, Progress
from crmsync.daemon.web.access import Viewer
from crmsync.daemon.web.site import DEFECT, Site, Visit

log = logging.getLogger(__name__)

Work: TypeAlias = Callable[[Progress], Any]  # raises Failure

RUNNING = 4  # at the same time
EACH = 2  # of them one person's
KEPT = 20  # that have ended; the oldest goes first


@dataclass(slots=True)
class Job:
    id: str
    viewer: Viewer
    title: str
    template: str  # shows the answer
    begun: datetime
    counts: dict[tuple[str, str], int] = field(default_factory=dict)  # account and what
    ended: datetime | None = None
    answer: Any = None
    failure: Failure | None = None


class Jobs:
    """Safe to use from several threads."""

    def __init__(self, site: Site, after: Callable[[], None]) -> None:
        """``after``: called when one has ended."""
        self._site = site
        self._after = after
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}  # oldest first

    def start(self, visit: Visit, title: str, template: str, work: Work) -> Response:
        """The way to its page. Raises Failure while too many run."""
        job = Job(secrets.token_urlsafe(12), visit.viewer, title, template, self._site.now())
        with self._lock:
            self._make_room(job.viewer)
            self._jobs[job.id] = job
        threading.Thread(target=self._run, args=(job, work), name="page-job", daemon=True).start()
        return RedirectResponse(f"/jobs/{job.id}", 303)

    async def page(self, visit: Visit) -> Response:
        with self._lock:
            job = self._jobs.get(visit.request.path_params["id"])
        if job is None or job.viewer != visit.viewer:
            raise Failure("usage", "There is no such page any more.")
        with self._lock:
            counts = dict(job.counts)
        return self._site.show("job.html", visit, job=job, counts=counts)

    def _make_room(self, viewer: Viewer) -> None:
        running = [job for job in self._jobs.values() if job.ended is None]
        if len(running) >= RUNNING or sum(job.viewer == viewer for job in running) >= EACH:
            raise Failure("busy", "Enough is at work already. Wait until that has ended, then try again.")
        ended = [id for id, job in self._jobs.items() if job.ended is not None]
        for id in ended[: max(0, len(self._jobs) - KEPT)]:
            del self._jobs[id]

    def _run(self, job: Job, work: Work) -> None:
        def count(account: str, what: str, number: int) -> None:
            with self._lock:
                job.counts[account, what] = job.counts.get((account, what), 0) + number

        try:
            job.answer = work(count)
        except Failure as error:
            job.failure = error
        except Exception:
            log.exception("%s failed", job.title, extra={"action": "web.defect"})
            job.failure = Failure("defect", DEFECT)
        finally:
            job.ended = self._site.now()
            self._after()
