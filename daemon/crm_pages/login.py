"""Logging in with the CRM's user name and password, and out."""

import logging

import anyio
from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from crmsync.daemon.crm_pages.site import Site, Visit
from crmsync.daemon.web import forms
from crmsync.daemon.web.forms import BadForm, Form
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.sessions import LoginRefused, TooManyAttempts

__all__ = ["Login", "own_path"]

log = logging.getLogger(__name__)

AT_ONCE = 2  # a hash of a password is made to be expensive
WRONG = "The user name or the password is wrong, or this user may not log in."
WAIT = "Too many wrong passwords. Wait a minute, then try again."


class Login:
    """How many wrong passwords are looked at, the sessions say, by name and address. A number of all together would let
    anybody keep everybody out."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._limiter: anyio.CapacityLimiter | None = None

    async def ask(self, request: Request) -> Response:
        return self._page(own_path(request.query_params.get("next", "")))

    async def enter(self, request: Request) -> Response:
        try:
            form = await forms.read(request, forms.SMALL)
        except ClientDisconnect:
            return Response(status_code=400)
        except BadForm as error:
            return self._site.sorry(400, str(error))
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(AT_ONCE)
        return await run_sync(lambda: self._enter(request, form), limiter=self._limiter)

    def _enter(self, request: Request, form: Form) -> Response:
        sessions, following = self._site.crm.sessions, own_path(form.one("next"))
        username = form.one("username").strip()
        try:
            address = request.client.host if request.client else ""
            opened = sessions.open(sessions.log_in(username, form.one("password"), address))
        except TooManyAttempts:
            self._site.refuse(request, "too many wrong passwords for one user")
            return self._page(following, WAIT, username, 429)
        except LoginRefused:
            self._site.refuse(request, "a wrong user name or password")
            return self._page(following, WRONG, username, 403)
        except Fault as fault:
            return self._page(following, fault.message, username, 503)
        answer = RedirectResponse(following, 303)
        secure = self._site.origin(request).startswith("https:")
        # lax: a link in somebody's mail leads to the record; what changes something asks for more than the cookie
        answer.set_cookie(
            self._site.addresses.cookie,
            self._site.sessions.begin(opened),
            httponly=True,
            samesite="lax",
            secure=secure,
        )
        log.info("a user has logged in to the CRM's pages", extra={"action": "crm.login"})
        return answer

    def _page(self, following: str, sentence: str = "", username: str = "", status: int = 200) -> Response:
        frame = {"who": "", "token": "", "tabs": [], "here": "", "sought": ""}
        return self._site.pages.html(
            "login.html", status, **frame, following=following, sentence=sentence, username=username
        )

    def leave(self, visit: Visit) -> Response:
        self._site.sessions.end(visit.session)
        self._site.crm.sessions.end(visit.session.crm)
        answer = RedirectResponse("/crm/login", 303)
        answer.delete_cookie(self._site.addresses.cookie, httponly=True, samesite="lax")
        return answer


def own_path(text: str) -> str:
    """Where to go after the login: to a page of ours, whatever the address said."""
    ours = text == "/crm" or text.startswith(("/crm/", "/crm?"))
    plain = text.isascii() and text.isprintable() and "\\" not in text and "//" not in text.partition("?")[0]
    return text if ours and plain and not text.startswith("/crm/log") else "/crm"
