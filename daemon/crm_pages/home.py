"""What waits for this person: appointments to come, and tasks that are open."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any, TypeAlias

from starlette.responses import Response

from crmsync.daemon.crm_pages.cells import Row, rows
from crmsync.daemon.crm_pages.desk import quoted
from crmsync.daemon.crm_pages.site import Site, Visit

__all__ = ["Home"]

MOST = 25
Condition: TypeAlias = tuple[str, frozenset[str]]  # SOQL, and the fields that it needs
EVENT = ("Subject", "StartDateTime", "EndDateTime", "Location", "WhoId")
OPEN = (("IsClosed = false", frozenset({"IsClosed"})),)
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
        return self._listed(
            visit, "Event", EVENT, coming(now, now.astimezone(visit.zone).date()), "StartDateTime"
        )

    def _tasks(self, visit: Visit) -> tuple[list[str], list[Row]]:
        return self._listed(visit, "Task", TASK, OPEN, "ActivityDate")

    def _listed(
        self, visit: Visit, name: str, columns: Sequence[str], conditions: Sequence[Condition], order: str
    ) -> tuple[list[str], list[Row]]:
        """A replica need not have all fields: what cannot be asked is not."""
        shape = visit.desk.shape(name)
        fields = [shape.fields[each] for each in columns if each in shape.fields]
        where = [soql for soql, needs in conditions if needs <= shape.fields.keys()]
        if "OwnerId" in shape.fields:
            where.append(f"OwnerId = {quoted(visit.user)}")
        begins = f"{order} NULLS LAST, " if order in shape.fields else ""
        found: list[dict[str, Any]] = visit.desk.query(
            f"SELECT {', '.join(['Id', *(f.name for f in fields)])} FROM {name}"
            f"{' WHERE ' if where else ''}{' AND '.join(where)} ORDER BY {begins}Id LIMIT {MOST}"
        )
        made = rows(visit.desk, fields, found, shape.name_field, visit.zone)
        return [f.shown_as for f in fields], made


def coming(now: datetime, today: date) -> Sequence[Condition]:
    """An appointment is to come until it ends, and a whole day until it is over where the person is."""
    timed = f"EndDateTime >= {now:%Y-%m-%dT%H:%M:%SZ}"
    return (
        (
            f"({timed} OR (IsAllDayEvent = true AND ActivityDate >= {today}))",
            frozenset({"EndDateTime", "IsAllDayEvent", "ActivityDate"}),
        ),
        ("IsChild = false", frozenset({"IsChild"})),
    )
