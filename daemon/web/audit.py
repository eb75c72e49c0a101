"""The page with the audit log, for admins."""

from starlette.responses import Response

from crmsync.daemon.web.site import Site, Visit

SHOWN = 500


class Audit:
    def __init__(self, site: Site) -> None:
        self._site = site

    async def page(self, visit: Visit) -> Response:
        if not visit.viewer.admin:
            self._site.refuse(visit.request, "the audit log is for admins", visit.viewer)
            return self._site.sorry(403, "The audit log is for admins.", visit.session)
        return self._site.show("audit.html", visit, lines=await self._site.ask("visits", limit=SHOWN))
