"""Logging in by a one-time link, and out.

Opening the link only shows a button: programs that look at links in messages before the person does would use it up.
"""

import logging

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from crmsync.daemon.web import forms
from crmsync.daemon.web.access import Viewer
from crmsync.daemon.web.forms import BadForm
from crmsync.daemon.web.refusals import Throttle
from crmsync.daemon.web.sessions import LIFE
from crmsync.daemon.web.site import Site, Visit

log = logging.getLogger(__name__)

WRONG = 10  # wrong links a minute; a right one opens all the same, so that nobody can lock others out
SPENT = "This link does not open anything: each works once, and only for ten minutes. Ask for a new one."


class Login:
    def __init__(self, site: Site, throttle: Throttle | None = None) -> None:
        self._site = site
        self._throttle = throttle or Throttle(WRONG)

    async def ask(self, request: Request) -> Response:
        link = request.query_params.get("link", "")
        viewer = self._site.links.look(link)
        if viewer is None:
            return self._wrong(request)
        return self._site.pages.html("login.html", token="", link=link, who=viewer)

    async def enter(self, request: Request) -> Response:
        try:
            link = (await forms.read(request, forms.SMALL)).one("link")
        except ClientDisconnect:
            return Response(status_code=400)
        except BadForm as error:
            return self._site.sorry(400, str(error))
        viewer = self._site.links.use(link)
        if viewer is None:
            return self._wrong(request)
        return self.let_in(request, RedirectResponse("/", 303), viewer, "by a link")

    async def named(self, request: Request) -> Response:
        """By the header of a proxy. The page is asked for again with the cookie of the new session."""
        viewer = self._site.named(request)
        if viewer is None:
            self._site.refuse(request, "a proxy that names nobody whom an account belongs to")
            return self._site.sorry(403, "No account here belongs to you. Ask your admin.")
        return self.let_in(request, RedirectResponse("/", 303), viewer, "by the proxy")

    def let_in(self, request: Request, answer: Response, viewer: Viewer, how: str) -> Response:
        log.info("%s has logged in to the status page", viewer.label, extra={"action": "web.login"})
        self._site.note("login", how, viewer)
        answer.set_cookie(
            self._site.addresses.cookie,
            self._site.sessions.begin(viewer),
            max_age=int(LIFE.total_seconds()),
            httponly=True,
            samesite="strict",
            secure=self._site.secure(request),
        )
        return answer

    def _wrong(self, request: Request) -> Response:
        if not self._throttle.take():
            self._site.refuse(request, "too many login links that open nothing")
            return self._site.sorry(429, "Too many links that open nothing. Wait a minute, then try again.")
        self._site.refuse(request, "a login link that opens nothing: unknown, used or too old")
        return self._site.sorry(403, SPENT)

    async def leave(self, visit: Visit) -> Response:
        self._site.sessions.end(visit.session)
        self._site.note("logout", "", visit.viewer)
        log.info("%s has logged out of the status page", visit.viewer.label, extra={"action": "web.logout"})
        answer = self._site.sorry(200, "You are logged out.")
        answer.delete_cookie(
            self._site.addresses.cookie,
            httponly=True,
            samesite="strict",
            secure=self._site.secure(visit.request),
        )
        return answer
