"""What all pages have at hand, and who is let in to them."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import anyio
from anyio.to_thread import run_sync
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from crmsync.daemon.crm_api.crm import Crm
from crmsync.daemon.crm_api.messages import Call, Reply
from crmsync.daemon.crm_pages import shapes
from crmsync.daemon.crm_pages.desk import Desk, Refused
from crmsync.daemon.crm_pages.sessions import Session, Sessions, fits
from crmsync.daemon.web import forms
from crmsync.daemon.web.forms import BadForm, Form
from crmsync.daemon.web.gate import READING, Addresses
from crmsync.daemon.web.pages import Pages
from crmsync.daemon.web.refusals import Refusals
from crmsync.state.replica import ids

__all__ = ["Endpoint", "NotThere", "Site", "Visit"]

log = logging.getLogger(__name__)

AT_ONCE = 8  # pages being made; the others wait for their turn
GONE = "There is no such record, or it is not yours to see."
OVER = "Your session is over, and nothing was saved. Go back to copy what you wrote, then log in again."
DEFECT = "This is a defect of crmsync; the log of the CRM has more."


class NotThere(Exception):
    """The sentence for the person."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of somebody who is logged in."""

    request: Request
    session: Session
    desk: Desk
    who: str
    zone: ZoneInfo
    form: Form = field(default_factory=Form)

    @property
    def user(self) -> str:
        return self.desk.caller.user_id

    def asked(self, name: str) -> str:
        """A parameter of the address; empty where it was not given."""
        return self.request.query_params.get(name, "")

    def shape(self) -> shapes.Shape:
        """Of the object in the address, by its name or the prefix of its ids; raises NotThere."""
        text = self.request.path_params["object"]
        known = self.desk.kinds().items()
        kind = next((k for name, k in known if name.casefold() == text.casefold() or k.prefix == text), None)
        if kind is None:
            raise NotThere("The CRM has no such object.")
        return self.desk.shape(kind.name)

    def record_id(self) -> tuple[str, shapes.Shape]:
        """Of the record in the address, in its long form; raises NotThere."""
        text = self.request.path_params["id"]
        kind = self.desk.kind_of(text) if ids.is_valid(text) else None
        if kind is None:
            raise NotThere(GONE)
        return ids.to_18(text), self.desk.shape(kind.name)


Endpoint: TypeAlias = Callable[[Visit], Response]


@dataclass(slots=True)
class Site:
    crm: Crm
    api: Callable[[Call], Reply]
    addresses: Addresses
    sessions: Sessions = field(default_factory=Sessions)
    refusals: Refusals = field(default_factory=lambda: Refusals(where="the CRM's pages"))
    pages: Pages = field(
        default_factory=lambda: Pages(
            "crmsync.daemon.crm_pages.templates",
            ("crmsync.daemon.web.static", "crmsync.daemon.crm_pages.static"),
            "/crm/static",
        )
    )
    _limiter: anyio.CapacityLimiter | None = None

    # ── Who is there ─────────────────────────────────────────────────────────────────────────────────────────

    def known(self, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint, in a thread, for those who are logged in; what changes something needs the session's form."""

        async def checked(request: Request) -> Response:
            known = self.sessions.find(request.cookies.get(self.addresses.cookie, "")) is not None
            largest = forms.LARGEST if known else forms.SMALL
            try:
                form = Form() if request.method in READING else await forms.read(request, largest)
            except ClientDisconnect:
                return Response(status_code=400)
            except BadForm as error:
                self.refuse(request, "a form that cannot be read")
                return self.sorry(400, str(error)) if known else self.sorry(401, OVER)
            return await self.in_thread(lambda: self._answered(endpoint, request, form))

        return checked

    def _answered(self, endpoint: Endpoint, request: Request, form: Form) -> Response:
        visit = None
        try:
            visit = self._visit(request, form)
            if isinstance(visit, Response):
                return visit
            if request.method not in READING and not fits(visit.session, form.one("token")):
                self.refuse(request, "a form without the token of its session")
                return self.sorry(403, "This form is too old, or not ours. Open the page again.", visit)
            return endpoint(visit)
        except NotThere as error:
            return self.sorry(404, str(error), visit)
        except Refused as error:
            status = error.status if error.status < 500 else 503
            return self.sorry(status, GONE if status == 404 else str(error), visit)
        except Exception:
            log.exception("a page failed: %s", request.url.path, extra={"action": "crm.defect"})
            return self.sorry(500, DEFECT)

    def _visit(self, request: Request, form: Form) -> "Visit | Response":
        session = self.sessions.find(request.cookies.get(self.addresses.cookie, ""))
        opened = self.crm.sessions.use(session.crm) if session else None
        if session is None or opened is None:
            if session is not None:
                self.sessions.end(session)
            return self._to_login(request)
        desk = Desk(self.api, opened.caller, self.origin(request))
        who, zone = _person(desk)
        return Visit(request, session, desk, who, zone, form)

    def _to_login(self, request: Request) -> Response:
        if request.method not in READING:
            return self.sorry(401, OVER)
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/crm/login?next={quote(path, safe='')}", 303)

    def origin(self, request: Request) -> str:
        return self.addresses.origins[request.headers["host"].lower()]

    # ── Answers ──────────────────────────────────────────────────────────────────────────────────────────────

    def show(self, template: str, visit: Visit, status: int = 200, /, **values: Any) -> Response:
        return self.pages.html(template, status, **_frame(visit), **values)

    def sorry(self, status: int, sentence: str, visit: Any = None) -> Response:
        return self.pages.html("sorry.html", status, **_frame(visit), sentence=sentence)

    def refuse(self, request: Request, reason: str) -> None:
        self.refusals.say(request.method, request.url.path, reason)

    async def in_thread(self, work: Callable[[], Response]) -> Response:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(AT_ONCE)
        return await run_sync(work, limiter=self._limiter)


def _frame(visit: Visit | None) -> Mapping[str, Any]:
    """What base.html needs."""
    if not isinstance(visit, Visit):
        return {"who": "", "token": "", "tabs": [], "here": "", "sought": ""}
    here = visit.request.path_params.get("object", "")
    try:
        tabs = shapes.tabs(visit.desk.kinds())
    except Refused:
        tabs = []
    return {
        "who": visit.who,
        "token": visit.session.token,
        "tabs": tabs,
        "here": here,
        "sought": visit.asked("q"),
    }


def _person(desk: Desk) -> tuple[str, ZoneInfo]:
    """Name and time zone. A replica need not have users: then UTC."""
    try:
        values = desk.read("User", desk.caller.user_id).values
    except Refused:
        return "logged in", ZoneInfo("UTC")
    return str(values.get("Name") or values.get("Username") or ""), _zone(values.get("TimeZoneSidKey"))


def _zone(name: Any) -> ZoneInfo:
    try:
        return ZoneInfo(str(name or "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")
