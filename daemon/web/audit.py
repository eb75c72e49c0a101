"""The page with the audit logs, for admins: of the pages, and of what CRMs asked for."""

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
        lines = await self._site.ask("visits", limit=SHOWN)
        asked = await self._site.ask("exchange_audit", limit=SHOWN)
        return self._site.show("audit.html", visit, lines=lines, asked=asked)
