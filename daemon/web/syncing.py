"""Sync now: all, an account, an item; or only look what a sync would do."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from starlette.responses import Response

from crmsync.daemon.calls import Failure, Progress
from crmsync.daemon.web import words
from crmsync.daemon.web.jobs import Jobs, Work
from crmsync.daemon.web.site import Site, Visit

_TOLD = ("created", "updated", "deleted", "unlinked", "parked", "held", "conflicts")


SHOWN = 500  # rows of a plan, and sentences
RESTS = 9  # times as long as the last dry run took


class Rehearsals:
    """Nobody else writes to the state while a dry run lasts: there is one at a time, and people (an admin aside) have
    them a tenth of the time at most. Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._begun: float | None = None
        self._rested = clock()  # from then on people may have one again

    @contextmanager
    def one(self, *, admin: bool) -> Iterator[None]:
        """Raises Failure when it is not the time for it."""
        with self._lock:
            now = self._clock()
            if self._begun is not None or (now < self._rested and not admin):
                when = words.span(timedelta(seconds=max(1.0, self._rested - now)))
                raise Failure("busy", f"A dry run is under way, or has just been. Try again in {when}.")
            self._begun = now
        try:
            yield
        finally:
            with self._lock:
                ended = self._clock()
                self._rested, self._begun = ended + RESTS * (ended - now), None


class Syncing:
    def __init__(self, site: Site, jobs: Jobs) -> None:
        self._site = site
        self._jobs = jobs
        self._rehearsals = Rehearsals()

    async def accounts(self, visit: Visit) -> Response:
        account = visit.form.one("account")
        names = visit.names_of(account) if account else visit.viewer.names
        what = account or ("all accounts" if visit.viewer.admin else visit.viewer.label)
        if visit.form.one("verb") == "plan":
            return self._jobs.start(visit, f"Dry run of {what}", "plan.html", self._rehearsal(visit, names))
        return self._jobs.start(visit, f"Sync of {what}", "synced.html", self._sync(names))

    async def item(self, visit: Visit) -> Response:
        answer = await self._site.ask("look_again", item=visit.form.one("item"), names=visit.viewer.names)
        return self._jobs.start(visit, "Sync of an item", "synced.html", self._sync(answer["accounts"]))

    def _rehearsal(self, visit: Visit, names: list[str]) -> Work:
        sync = self._sync(names, dry_run=True)

        def work(progress: Progress) -> Any:
            with self._rehearsals.one(admin=visit.viewer.admin):
                return sync(progress)

        return work

    def _sync(self, names: list[str], *, dry_run: bool = False) -> Work:
        def work(progress: Progress) -> Any:
            answer = self._site.asked("sync", {"names": names, "dry_run": dry_run}, progress)
            return _outcome(answer)

        return work


def _outcome(answer: dict[str, Any]) -> dict[str, Any]:
    """What the page shows, and no more: it is kept until others have come after it."""
    lists = {what: answer.get(what, []) for what in ("plan", "errors", "notices")}
    return {
        "totals": _totals(answer["cycles"]),
        **{what: rows[:SHOWN] for what, rows in lists.items()},
        "more": {what: max(0, len(rows) - SHOWN) for what, rows in lists.items()},
    }


def _totals(cycles: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Account -> what was done -> how often; what was not done is absent."""
    totals: dict[str, dict[str, int]] = {}
    for cycle in cycles:
        sums = totals.setdefault(cycle["account"], {})
        for what in _TOLD:
            if number := int(cycle.get(what) or 0):
                sums[what] = sums.get(what, 0) + number
    return totals
