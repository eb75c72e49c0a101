"""Logging in by OpenID Connect: off to the provider, and back with a code."""

import hmac
import logging
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from crmsync.daemon.web.login import Login
from crmsync.daemon.web.provider import NotLoggedIn, Provider
from crmsync.daemon.web.site import Site

log = logging.getLogger(__name__)

LIFE = timedelta(minutes=10)
MOST = 500  # who are at the provider; the oldest goes first
SORRY = (
    "The login did not work. Try again; if it does not help, your admin finds the reason in the audit log."
)


@dataclass(frozen=True, slots=True)
class Away:
    """Somebody who is at the provider; ``browser``: what their cookie says."""

    browser: str
    nonce: str
    verifier: str
    until: datetime


class Oidc:
    """Safe to use from several threads."""

    def __init__(self, site: Site, login: Login, provider: Provider | None) -> None:
        self._site = site
        self._login = login
        self._provider = provider
        self._lock = threading.Lock()
        self._away: dict[str, Away] = {}  # by state, oldest first

    @property
    def _cookie(self) -> str:
        return f"{self._site.addresses.cookie}-oidc"

    @property
    def _redirect(self) -> str:
        return f"{self._site.addresses.public}/login/oidc/done"

    async def leave(self, request: Request) -> Response:
        provider = self._provider
        if provider is None:
            return self._site.sorry(404, "There is no such page.")
        state, browser, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(4))
        try:
            place = await self._site.in_thread(
                lambda: provider.address(self._redirect, state, nonce, verifier), slow=True
            )
        except NotLoggedIn as error:
            return self._refused(request, str(error))
        with self._lock:
            self._away[state] = Away(browser, nonce, verifier, self._site.now() + LIFE)
            while len(self._away) > MOST:
                del self._away[next(iter(self._away))]
        answer = RedirectResponse(place, 303)
        answer.set_cookie(
            self._cookie,
            browser,
            max_age=int(LIFE.total_seconds()),
            path="/login/oidc",
            httponly=True,
            samesite="lax",  # it has to come along when the provider sends the browser back
            secure=self._site.secure(request),
        )
        return answer

    async def back(self, request: Request) -> Response:
        provider, given = self._provider, request.query_params
        if provider is None:
            return self._site.sorry(404, "There is no such page.")
        with self._lock:
            away = self._away.pop(given.get("state", ""), None)
        if away is None or self._site.now() >= away.until:
            return self._refused(request, "a state that we did not give out, or too long ago")
        if not hmac.compare_digest(away.browser.encode(), request.cookies.get(self._cookie, "").encode()):
            return self._refused(request, "a login that another browser began")
        if not given.get("code"):
            return self._refused(request, f"the provider says {given.get('error', 'nothing')[:40]!r}")
        now = self._site.now()
        try:
            name = await self._site.in_thread(
                lambda: provider.name(given["code"], self._redirect, away.nonce, away.verifier, now),
                slow=True,
            )
        except NotLoggedIn as error:
            return self._refused(request, str(error))
        viewer = self._site.desk.who(name)
        if viewer is None:
            return self._refused(request, "somebody whom no account belongs to")
        # no redirect: a browser that comes from another site would not send the new cookie along (SameSite=Strict)
        answer = self._site.pages.html("welcome.html", token="", who=viewer)
        answer.delete_cookie(self._cookie, path="/login/oidc")
        return self._login.let_in(request, answer, viewer, "by OpenID Connect")

    def _refused(self, request: Request, reason: str) -> Response:
        self._site.refuse(request, f"OpenID Connect: {reason}")
        return self._site.sorry(403, SORRY)
