"""One item: everything that ``explain`` and ``history`` know of it."""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from crmsync.daemon.calls import Failure
from crmsync.daemon.web.site import NOT_THEIRS, Site, Visit

SHOWN = 20  # cycles that can be undone, the newest
LINES = 500  # of history, the newest


class Item:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def page(self, visit: Visit) -> Response:
        name = visit.request.query_params.get("id", "")
        if not name:
            return self._site.show("find.html", visit)
        names = visit.viewer.names
        try:
            known, history = await asyncio.gather(
                self._site.ask_slowly("explain", item=name, names=names), self._history(name, visit)
            )
        except Failure as error:
            if error.code != "usage":
                raise
            self._site.refuse(visit.request, NOT_THEIRS, visit.viewer)
            return self._site.show("find.html", visit, 404, sought=name)
        shown = history[-LINES:]
        return self._site.show(
            "item.html",
            visit,
            item=known,
            name=name,
            facts=_facts(known),
            history=list(reversed(shown)),
            more=len(history) - len(shown),
            cycles=sorted({int(line["cycle"]) for line in shown if line.get("cycle")}, reverse=True)[:SHOWN],
            looks=[d for d in known["decisions"] if d.get("what") == "look"],
        )

    async def _history(self, name: str, visit: Visit) -> list[Mapping[str, Any]]:
        try:
            found: list[Mapping[str, Any]] = await self._site.ask_slowly(
                "item_history", item=name, names=visit.viewer.names
            )
        except Failure as error:
            if error.code != "usage":
                raise
            return []  # seen on a server, and never written to
        return found


def _facts(known: Mapping[str, Any]) -> dict[str, Any]:
    versions = known["versions"]
    return {
        "Item": known["item"],
        "Record": known["record"],
        "Account": known["account"],
        "Kind": known["kind"],
        "Collection": known.get("collection"),
        "Linked": known.get("linked"),
        "Why": known.get("reason"),
        "Tagged": known["tagged"],
        "Cannot be written": known.get("untouchable"),
        "Last agreed": known["synced"],
        "Version on the ECS side": versions.get("ecs"),
        "Version there now": versions.get("ecs_now"),
        "Version in the CRM": versions.get("crm"),
    }
