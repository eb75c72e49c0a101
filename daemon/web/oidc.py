"""Logging in by OpenID Connect: off to the provider, and back with a code."""

import base64
import hashlib
import hmac
import logging
import re
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import anyio
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from crmsync.daemon.web.login import Login
from crmsync.daemon.web.provider import NotLoggedIn, Provider
from crmsync.daemon.web.site import Site

log = logging.getLogger(__name__)

LIFE = timedelta(minutes=10)
AT_ONCE = (
    3  # who wait for the provider's answer; strangers may be slow, and are not to hold up the pages of others
)
SORRY = (
    "The login did not work. Try again; if it does not help, your admin finds the reason in the audit log."
)
_COOKIE = re.compile(r"([A-Za-z0-9_-]{43})\.(\d{1,12})\.([A-Za-z0-9_-]{43})", re.ASCII)


class Oidc:
    """Safe to use from several threads.

    What is to be remembered of somebody who is at the provider is in their own browser: a signed cookie, from which
    state, nonce and verifier follow. A list of them here would have an end, and whoever fills it keeps everybody out.
    """

    def __init__(self, site: Site, login: Login, provider: Provider | None) -> None:
        self._site = site
        self._login = login
        self._provider = provider
        self._key = secrets.token_bytes(32)
        self._limiter: anyio.CapacityLimiter | None = None
        self._lock = threading.Lock()
        self._used: dict[str, datetime] = {}  # what opened a session, or is about to; until when it would

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
        until = int((self._site.now() + LIFE).timestamp())
        begun = f"{secrets.token_urlsafe(32)}.{until}"
        state, nonce, verifier = (self._of(begun, what) for what in ("state", "nonce", "verifier"))
        try:
            place = await self._at_provider(lambda: provider.address(self._redirect, state, nonce, verifier))
        except NotLoggedIn as error:
            return self._refused(request, str(error))
        answer = RedirectResponse(place, 303)
        answer.set_cookie(
            self._cookie,
            f"{begun}.{self._of(begun, 'cookie')}",
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
        begun = self._begun(request.cookies.get(self._cookie, ""))
        if begun is None:
            return self._refused(request, "a login that this browser has not begun, or too long ago")
        if not self._same(given.get("state", ""), self._of(begun, "state")):
            return self._refused(request, "a login that another browser began")
        if not given.get("code"):
            return self._refused(request, f"the provider says {given.get('error', 'nothing')[:40]!r}")
        if not self._use(begun):
            return self._refused(request, "a login that was over already")
        now = self._site.now()
        try:
            name = await self._at_provider(
                lambda: provider.name(
                    given["code"], self._redirect, self._of(begun, "nonce"), self._of(begun, "verifier"), now
                )
            )
        except NotLoggedIn as error:
            self._unuse(begun)
            return self._refused(request, str(error))
        viewer = self._site.desk.who(name)
        if viewer is None:
            return self._refused(request, "somebody whom no account belongs to")
        # no redirect: a browser that comes from another site would not send the new cookie along (SameSite=Strict)
        answer = self._site.pages.html("welcome.html", token="", who=viewer)
        answer.delete_cookie(self._cookie, path="/login/oidc")
        return self._login.let_in(request, answer, viewer, "by OpenID Connect")

    async def _at_provider(self, work: Callable[[], str]) -> str:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(AT_ONCE)
        return await run_sync(work, limiter=self._limiter)

    def _of(self, begun: str, what: str) -> str:
        digest = hmac.digest(self._key, f"{what}:{begun}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def _begun(self, cookie: str) -> str | None:
        """None for one that was not given out here, or too long ago."""
        match = _COOKIE.fullmatch(cookie)
        begun = cookie.rpartition(".")[0]
        if match is None or not self._same(match[3], self._of(begun, "cookie")):
            return None
        return begun if self._site.now().timestamp() < int(match[2]) else None

    def _use(self, begun: str) -> bool:
        """Whether it is the first time. Only what the provider vouches for stays used: it cannot become many."""
        now = self._site.now()
        with self._lock:
            self._used = {each: until for each, until in self._used.items() if now < until}
            if begun in self._used:
                return False
            self._used[begun] = datetime.fromtimestamp(int(begun.rpartition(".")[2]), UTC)
            return True

    def _unuse(self, begun: str) -> None:
        with self._lock:
            self._used.pop(begun, None)

    @staticmethod
    def _same(one: str, other: str) -> bool:
        return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())

    def _refused(self, request: Request, reason: str) -> Response:
        self._site.refuse(request, f"OpenID Connect: {reason}")
        return self._site.sorry(403, SORRY)
