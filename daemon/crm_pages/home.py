"""What waits for this person: appointments to come, and tasks that are open."""

from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from crmsync.daemon.crm_pages.cells import Row, rows
from crmsync.daemon.crm_pages.desk import quoted
from crmsync.daemon.crm_pages.site import Site, Visit

__all__ = ["Home"]

MOST = 25
EVENT = ("Subject", "StartDateTime", "EndDateTime", "Location", "WhoId")
TASK = ("Subject", "ActivityDate", "Status", "Priority", "WhoId")


class Home:
    def __init__(self, site: Site) -> None:
        self._site = site

    def page(self, visit: Visit) -> Response:
        known = visit.desk.kinds()
        events = self._events(visit) if "Event" in known else None
        tasks = self._tasks(visit) if "Task" in known else None
        return self._site.show("home.html", visit, events=events, tasks=tasks)

    def _events(self, visit: Visit) -> tuple[list[str], list[Row]]:
        now = self._site.crm.clock().astimezone(UTC)
        today = datetime.astimezone(now, visit.zone).date().isoformat()
        when = (
            f"(EndDateTime >= {now:%Y-%m-%dT%H:%M:%SZ} OR (IsAllDayEvent = true AND ActivityDate >= {today}))"
        )
        return self._listed(visit, "Event", EVENT, f"{when} AND IsChild = false", "StartDateTime")

    def _tasks(self, visit: Visit) -> tuple[list[str], list[Row]]:
        return self._listed(visit, "Task", TASK, "IsClosed = false", "ActivityDate")

    def _listed(
        self, visit: Visit, name: str, columns: tuple[str, ...], where: str, order: str
    ) -> tuple[list[str], list[Row]]:
        shape = visit.desk.shape(name)
        fields = [shape.fields[each] for each in columns if each in shape.fields]
        found: list[dict[str, Any]] = visit.desk.query(
            f"SELECT Id, {', '.join(f.name for f in fields)} FROM {name} "
            f"WHERE OwnerId = {quoted(visit.user)} AND {where} ORDER BY {order} NULLS LAST, Id LIMIT {MOST}"
        )
        made = rows(visit.desk, fields, found, shape.name_field, visit.zone)
        return [f.shown_as for f in fields], made
