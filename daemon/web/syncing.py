"""Sync now: all, an account, an item; or only look what a sync would do."""

from typing import Any

from starlette.responses import Response

from crmsync.daemon.calls import Progress
from crmsync.daemon.web.jobs import Jobs
from crmsync.daemon.web.site import Site, Visit

_TOLD = ("created", "updated", "deleted", "unlinked", "parked", "held", "conflicts")


class Syncing:
    def __init__(self, site: Site, jobs: Jobs) -> None:
        self._site = site
        self._jobs = jobs

    async def accounts(self, visit: Visit) -> Response:
        account = visit.form.one("account")
        names = visit.names_of(account) if account else visit.viewer.names
        what = account or ("all accounts" if visit.viewer.admin else visit.viewer.label)
        if visit.form.one("verb") == "plan":
            return self._jobs.start(visit, f"Dry run of {what}", "plan.html", self._sync(names, dry_run=True))
        return self._jobs.start(visit, f"Sync of {what}", "synced.html", self._sync(names))

    async def item(self, visit: Visit) -> Response:
        answer = await self._site.ask("look_again", item=visit.form.one("item"), names=visit.viewer.names)
        return self._jobs.start(visit, "Sync of an item", "synced.html", self._sync(answer["accounts"]))

    def _sync(self, names: list[str], *, dry_run: bool = False) -> Any:
        def work(progress: Progress) -> Any:
            answer = self._site.asked("sync", {"names": names, "dry_run": dry_run}, progress)
            return {**answer, "totals": _totals(answer["cycles"])}

        return work


def _totals(cycles: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Account -> what was done -> how often; what was not done is absent."""
    totals: dict[str, dict[str, int]] = {}
    for cycle in cycles:
        sums = totals.setdefault(cycle["account"], {})
        for what in _TOLD:
            if number := int(cycle.get(what) or 0):
                sums[what] = sums.get(what, 0) + number
    return totals
