"""What all pages have at hand, and who is let in to them."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol, TypeAlias

import anyio
from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from crmsync.daemon.calls import Failure, Progress, explained
from crmsync.daemon.turns import Stopping
from crmsync.daemon.web import forms
from crmsync.daemon.web.access import Viewer
from crmsync.daemon.web.diary import Diary, Line
from crmsync.daemon.web.forms import BadForm, Form
from crmsync.daemon.web.gate import READING, Addresses
from crmsync.daemon.web.links import Links
from crmsync.daemon.web.pages import Pages
from crmsync.daemon.web.refusals import Refusals, Throttle
from crmsync.daemon.web.sessions import Bad, Session, Sessions, fits
from crmsync.daemon.web.streams import Streams

log = logging.getLogger(__name__)

FORMS = 240  # a minute that one session may send
SESSIONS = 1000  # whose forms are counted
AT_ONCE = 8  # questions to the engine; the others wait for their turn
SLOW = 3  # of those for which servers are asked, beside the others
NOT_THEIRS = "what it names is not there, or not theirs"
DEFECT = "This is a defect of crmsync; the log of the service has more."
NOBODY = "Ask your admin for a link (crmsync login-link), and open it in this browser."


@dataclass(frozen=True, slots=True)
class Traffic:
    """With one server, since the configuration was read."""

    server: str  # as the configuration names it: crm.main, account.alice.source[0]
    requests: int
    usage: float  # of its daily limit; zero where it has none, or has not told
    throttled: int = 0  # how often it asked for a pause
    expires: date | None = None  # when the login stops working, where that is known


class Desk(Protocol):
    """The service, as far as the pages need it."""

    def handle(self, name: str, arguments: object, progress: Progress) -> Any:
        """A method of ``calls.METHODS``. Raises what ``calls.explained`` explains, and Stopping."""

    def names(self) -> list[str]:
        """Of all accounts."""

    def by_itself(self) -> bool:
        """Whether it exchanges without a CRM's word."""

    def due(self) -> Mapping[str, datetime]:
        """Account -> when its next cycle is."""

    def traffic(self) -> list[Traffic]:
        """With every server."""

    def who(self, name: str) -> Viewer | None:
        """Whom a proxy or a provider calls so; None: nobody of ours."""

    def keep(self, lines: Sequence[Line]) -> None:
        """In the audit log. Raises StateError."""

    def metrics_token(self) -> str | None:
        """What lets programs read the metrics. Raises Failure where it cannot be read."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of somebody who is logged in."""

    request: Request
    session: Session
    form: Form = field(default_factory=Form)

    @property
    def viewer(self) -> Viewer:
        return self.session.viewer

    @property
    def by(self) -> str:
        """For the history."""
        return f"{self.viewer.label}, on the status page"

    def names_of(self, account: str) -> list[str]:
        """The account, if they may see it. Raises Failure; the same for one that does not exist."""
        if not account or not self.viewer.sees(account):
            raise Failure("usage", "There is nothing of that name.")
        return [account]


def by_socket(request: Request) -> bool:
    """Whether it came over the Unix socket, which has no port (ASGI, HTTP connection scope: ``server``)."""
    server = request.scope.get("server")
    return server is None or server[1] is None


Endpoint: TypeAlias = Callable[[Visit], Awaitable[Response]]


def in_silence(account: str, what: str, count: int) -> None:
    """Nobody watches the progress."""


@dataclass(slots=True)
class Site:
    desk: Desk
    now: Callable[[], datetime]
    addresses: Addresses
    links: Links
    header: str  # in which a proxy says who it is; empty: none does
    oidc: bool  # whether people can log in by OpenID Connect
    sessions: Sessions
    refusals: Refusals = field(init=False)
    diary: Diary = field(init=False)
    pages: Pages = field(default_factory=Pages)
    streams: Streams = field(default_factory=Streams)
    _forms: dict[str, Throttle] = field(default_factory=dict)  # by session
    _limiters: dict[bool, anyio.CapacityLimiter] = field(default_factory=dict)  # whether servers are asked

    def __post_init__(self) -> None:
        self.diary = Diary(self.desk.keep, self.now)
        self.refusals = Refusals(note=self.diary.note)

    def note(self, what: str, detail: str, viewer: Viewer) -> None:
        """For the audit log."""
        self.diary.note(what, detail, viewer.label)

    def decided(self, visit: Visit, detail: str, said: str = "") -> None:
        """In both logs. `said`: what of it may stand in the service's own."""
        log.info("%s decided %s", visit.viewer.label, said or detail, extra={"action": "web.decided"})
        self.note("decided", detail, visit.viewer)

    # ── Who is there ─────────────────────────────────────────────────────────────────────────────────────────

    def known(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint for those who are logged in; what changes something needs the session's own form."""

        async def checked(request: Request) -> Response:
            session = await self.session_of(request)
            if isinstance(session, Response):
                return session
            if request.method not in READING and not self._may_send(session):
                self.refuse(request, "too many forms of one session", session.viewer)
                return self.sorry(429, "Too many at once. Wait a moment, then try again.", session)
            try:
                if request.method in READING:
                    return await endpoint(Visit(request, session))
                form = await forms.read(request)
                if not fits(session, form.one("token")):
                    self.refuse(request, "a form without the token of its session", session.viewer)
                    return self.sorry(403, "This form is too old, or not ours. Open the page again.", session)
                return await endpoint(Visit(request, session, form))
            except ClientDisconnect:
                return Response(status_code=400)
            except BadForm as error:
                self.refuse(request, "a form that cannot be read", session.viewer)
                return self.sorry(400, str(error), session)
            except Failure as error:
                if error.code == "usage":
                    self.refuse(request, NOT_THEIRS, session.viewer)
                return self.sorry(_STATUS.get(error.code, 503), error.message, session)

        return checked

    async def session_of(self, request: Request) -> Session | Response:
        """The session, or what nobody gets to see."""
        proxied = self.header and by_socket(request) and self.header in request.headers
        cookie = request.cookies.get(self.addresses.cookie)
        if cookie is None:
            return self._outside(request, f"You are not logged in. {NOBODY}", proxied=bool(proxied))
        session = self.sessions.read(cookie)
        if isinstance(session, Bad):
            self.refuse(request, session)
            return self._outside(request, f"Your session is over. {NOBODY}", proxied=bool(proxied))
        if proxied and self.named(request) != session.viewer:
            self.refuse(request, "a session of somebody else than the proxy names", session.viewer)
            self.sessions.end(session)
            return self.sorry(401, "You are somebody else now. Open the page again.")
        if session.viewer.account and session.viewer.account not in await self.in_thread(self.desk.names):
            self.refuse(request, "an account that is not configured any more", session.viewer)
            return self.sorry(401, f"There is no account “{session.viewer.account}” any more.")
        return session

    def _outside(self, request: Request, sentence: str, *, proxied: bool) -> Response:
        if proxied and request.method == "GET" and request.url.path == "/":
            return RedirectResponse("/login/proxy", 303)
        return self.pages.html("outside.html", 401, token="", sentence=sentence, oidc=self.oidc)

    def named(self, request: Request) -> Viewer | None:
        """Whom the proxy names. Over TCP anybody could."""
        told = request.headers.getlist(self.header) if self.header and by_socket(request) else []
        return self.desk.who(told[0]) if len(told) == 1 else None

    def secure(self, request: Request) -> bool:
        """Whether the person's browser reaches us by TLS, through a proxy."""
        return self.addresses.origins[request.headers["host"].lower()].startswith("https:")

    def _may_send(self, session: Session) -> bool:
        """So many forms a minute, each session."""
        throttle = self._forms.pop(session.id, None) or Throttle(FORMS)
        self._forms[session.id] = throttle  # the one that was longest without a form comes first
        while len(self._forms) > SESSIONS:
            del self._forms[next(iter(self._forms))]
        return throttle.take()

    # ── Answers ──────────────────────────────────────────────────────────────────────────────────────────────

    def show(self, template: str, visit: Visit, status: int = 200, /, **values: Any) -> Response:
        own = {"viewer": visit.viewer, "token": visit.session.token, "by_itself": self.desk.by_itself()}
        return self.pages.html(template, status, **own, **values)

    def sorry(self, status: int, sentence: str, session: Session | None = None) -> Response:
        viewer, token = (session.viewer, session.token) if session else (None, "")
        return self.pages.html("sorry.html", status, viewer=viewer, token=token, sentence=sentence)

    def refuse(self, request: Request, reason: str, viewer: Viewer | None = None) -> None:
        self.refusals.say(request.method, request.url.path, reason, viewer.label if viewer else "")

    # ── Asking the service ───────────────────────────────────────────────────────────────────────────────────

    async def ask(self, method: str, /, **arguments: Any) -> Any:
        """The service's answer. Raises Failure."""
        return await self.in_thread(lambda: self.asked(method, arguments))

    async def ask_slowly(self, method: str, /, **arguments: Any) -> Any:
        """The same, where servers have to be asked: a slow one must not hold up the other pages."""
        return await self.in_thread(lambda: self.asked(method, arguments), slow=True)

    def asked(self, method: str, arguments: Mapping[str, Any], progress: Progress = in_silence) -> Any:
        """The same in this thread."""
        try:
            return self.desk.handle(method, arguments, progress)
        except Stopping:
            raise Failure("stopping", "The service stops or reloads; try again in a moment.") from None
        except Exception as error:
            failure = explained(error)
            if failure is not None:
                raise failure from error
            log.exception("%s failed", method, extra={"action": "web.defect"})
            raise Failure("defect", DEFECT) from error

    async def in_thread(self, work: Callable[[], Any], *, slow: bool = False) -> Any:
        """Away from the event loop, and not too many at once."""
        if slow not in self._limiters:
            self._limiters[slow] = anyio.CapacityLimiter(SLOW if slow else AT_ONCE)
        return await run_sync(work, limiter=self._limiters[slow])


_STATUS = {"usage": 404, "choice": 400, "busy": 409, "stopping": 503, "defect": 500}
