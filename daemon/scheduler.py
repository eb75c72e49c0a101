"""When it is an account's turn: APScheduler's jobs around ``Rounds``."""

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from crmsync.daemon.rounds import Pace, Rounds

log = logging.getLogger(__name__)

THREADS = 8  # accounts that are synced at the same time
REPLICAS = 4  # replicas that are brought in step at the same time
RECONCILING = 2  # and reconciled: in threads of their own, they take long
_MOMENT = timedelta(seconds=1)
SPREAD = 0.1  # part of the interval over which the accounts are spread


class Schedule:
    """A job for each account's cycles and one for its reconciliation; an account's cycles never overlap."""

    def __init__(
        self,
        rounds: Rounds,
        *,
        now: Callable[[], datetime],
        jitter: Callable[[], float],
        threads: int = THREADS,
    ) -> None:
        """``jitter``: 0..1."""
        self._rounds = rounds
        self._now = now
        self._jitter = jitter
        self._guard = threading.Lock()
        self._nudged: set[str] = set()  # accounts, since their last turn began
        self._awaited: set[str] = set()  # of these accounts, whatever they failed for may be there since
        self._hurried: dict[str, datetime] = {}  # when the last turn was that a nudge brought
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={
                "default": ThreadPoolExecutor(threads),
                "reconcile": ThreadPoolExecutor(RECONCILING),
                "replicas": ThreadPoolExecutor(REPLICAS),
                "here": DebugExecutor(),  # in the scheduler's own thread
            },
            job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
        )

    def start(self, accounts: Iterable[str], pace: Pace) -> None:
        self._add(accounts, pace)
        self._every(timedelta(days=1), self._rounds.tidy, "tidy", first=self._now() + timedelta(minutes=1))
        self._scheduler.start()

    def replace(self, accounts: Iterable[str], pace: Pace) -> None:
        """Other accounts, or another pace, from now on."""
        for job in self._scheduler.get_jobs():
            if ":" in job.id:
                job.remove()
        self._add(accounts, pace)

    def also(self, id: str, interval: timedelta, turn: Callable[[], timedelta | None]) -> None:
        """One more whose turn comes, until the next `replace`; `turn` says how long to leave it alone then, or nothing.
        `id` has a colon in it."""

        def due() -> None:
            pause = turn()
            if pause is not None:
                self._postpone(id, pause)

        first = self._now() + min(interval * SPREAD, timedelta(seconds=10)) * self._jitter()
        self._every(
            interval, due, id, first=first, jitter=interval.total_seconds() * SPREAD, executor="replicas"
        )

    def hurry(self, id: str) -> None:
        """Its turn comes now."""
        self._postpone(id, timedelta())

    def beat(self, every: timedelta, alive: Callable[[], None]) -> None:
        """Calls ``alive`` from the scheduler's own thread: only while that one does its work."""
        self._every(every, alive, "beat", executor="here", first=self._now())

    def watch(self, every: timedelta, look: Callable[[], None]) -> None:
        """Calls ``look``, which may have to wait for somebody."""
        self._every(every, look, f"watch:{look.__qualname__}", first=self._now() + every)

    def soon(self, name: str) -> None:
        """Something may have changed: the account's turn comes now, to note what it is, and again when that has
        settled. A server that never stops talking hurries nobody more often than that, and an account that keeps
        failing is not hurried at all."""
        with self._guard:
            failing = self._rounds.backoff.failures.get(name)
        if not failing:
            self._nudge(name)

    def back(self, name: str) -> None:
        """What the account could not do without is there again: its turn comes now, however often it has failed."""
        with self._guard:
            self._awaited.add(name)
            self._nudged.discard(name)  # of a nudge that its failing turn has left behind
        self._nudge(name)

    def _nudge(self, name: str) -> None:
        with self._guard:
            if name in self._nudged:
                return
            now = self._now()
            last = self._hurried.get(name)
            due = now if last is None else max(now, last + self._rounds.pace.settle)
            self._nudged.add(name)
            self._hurried[name] = due
        self._postpone(f"cycle:{name}", due - now)

    def due(self) -> dict[str, datetime]:
        """Account -> when its next cycle is."""
        jobs = {job.id: job.next_run_time for job in self._scheduler.get_jobs()}
        return {
            name: at
            for id, at in jobs.items()
            for kind, _, name in [id.partition(":")]
            if kind == "cycle" and at is not None
        }

    def stop(self) -> None:
        """No new cycle begins; those that run are not waited for."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _add(self, accounts: Iterable[str], pace: Pace) -> None:
        for name in accounts:
            first = self._now() + min(pace.interval * SPREAD, timedelta(seconds=10)) * self._jitter()
            self._every(
                pace.interval,
                self._cycle,
                f"cycle:{name}",
                name,
                first=first,
                jitter=pace.interval.total_seconds() * SPREAD,
            )
            due = max(self._rounds.reconcile_due(name), first + pace.interval * self._jitter())
            self._every(
                pace.reconcile, self._reconcile, f"reconcile:{name}", name, first=due, executor="reconcile"
            )

    def _every(
        self,
        interval: timedelta,
        what: Callable[..., object],
        id: str,
        *args: str,
        first: datetime,
        jitter: float | None = None,
        executor: str = "default",
    ) -> None:
        trigger = IntervalTrigger(
            seconds=interval.total_seconds(), start_date=first, timezone=UTC, jitter=jitter
        )
        options: dict[str, Any] = {"id": id, "args": args, "executor": executor, "next_run_time": first}
        self._scheduler.add_job(what, trigger, **options)

    def _cycle(self, name: str) -> None:
        with self._guard:
            nudged = name in self._nudged
            self._nudged.discard(name)
            self._awaited.discard(name)
        pause = self._rounds.cycle(name)
        with self._guard:
            nudged |= name in self._nudged  # while it was under way, when no other turn of its could begin
            awaited = name in self._awaited
        if awaited or (pause is None and nudged):
            pause = min(self._rounds.pace.settle + _MOMENT, self._rounds.pace.interval)
        if pause is not None:
            self._postpone(f"cycle:{name}", pause)

    def _reconcile(self, name: str) -> None:
        self._postpone(f"reconcile:{name}", self._rounds.reconcile(name))

    def _postpone(self, id: str, pause: timedelta) -> None:
        try:
            self._scheduler.modify_job(id, next_run_time=self._now() + pause)
        except JobLookupError:
            log.debug("%s is not scheduled any more", id, extra={"action": "schedule.gone"})
