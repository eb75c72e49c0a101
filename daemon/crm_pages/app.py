"""The pages' addresses, and the gate around them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from crmsync.daemon.crm_api.addresses import segments
from crmsync.daemon.crm_api.crm import Crm
from crmsync.daemon.crm_api.messages import Call, Reply
from crmsync.daemon.crm_pages.converting import Converting
from crmsync.daemon.crm_pages.editing import Editing
from crmsync.daemon.crm_pages.home import Home
from crmsync.daemon.crm_pages.links import page_of
from crmsync.daemon.crm_pages.listing import Listing
from crmsync.daemon.crm_pages.login import Login
from crmsync.daemon.crm_pages.site import Endpoint, Site
from crmsync.daemon.crm_pages.viewing import Viewing
from crmsync.daemon.web.gate import READING, Addresses, Gate
from crmsync.state.replica import ids

__all__ = ["Front", "addresses_of", "pages"]

_PORTS = {"http": 80, "https": 443}


def pages(crm: Crm, api: Callable[[Call], Reply], urls: Sequence[str], names: Sequence[str] = ()) -> ASGIApp:
    """``api`` answers the calls of the REST API; ``urls``: where the CRM is reached, and by what other ``names``."""
    return _application(Site(crm, api, addresses_of(urls, names)))


def addresses_of(urls: Sequence[str], names: Sequence[str]) -> Addresses:
    """A cookie knows no port: its name has the port in it."""
    origins: dict[str, str] = {}
    for url in urls:
        parts = urlsplit(url)
        own = parts.netloc.rpartition(":")[0]
        for name in (own, "localhost", *names):
            usual = parts.port == _PORTS[parts.scheme]  # which browsers leave out
            place = name if usual else f"{name}:{parts.port}"
            origins[place.lower()] = f"{parts.scheme}://{place.lower()}"
    return Addresses(origins, urls[0], f"crmsync-crm-{urlsplit(urls[0]).port}")


def _application(site: Site) -> Gate:
    login, home, listing = Login(site), Home(site), Listing(site)
    viewing, editing, converting = Viewing(site), Editing(site), Converting(site)
    known = site.known
    routes = [
        Route("/crm/static/{name}", _static(site), methods=["GET"]),
        Route("/crm/login", login.ask, methods=["GET"]),
        Route("/crm/login", login.enter, methods=["POST"]),
        Route("/crm/logout", known(login.leave), methods=["POST"]),
        Route("/crm", known(home.page), methods=["GET"]),
        Route("/crm/", lambda request: RedirectResponse("/crm", 308), methods=["GET"]),
        Route("/crm/search", known(listing.search), methods=["GET"]),
        Route("/crm/{object}/new", known(editing.ask_new), methods=["GET"]),
        Route("/crm/{object}/new", known(editing.create), methods=["POST"]),
        Route("/crm/{id}/edit", known(editing.ask_edit), methods=["GET"]),
        Route("/crm/{id}/edit", known(editing.save), methods=["POST"]),
        Route("/crm/{id}/delete", known(viewing.ask_delete), methods=["GET"]),
        Route("/crm/{id}/delete", known(viewing.delete), methods=["POST"]),
        Route("/crm/{id}/convert", known(converting.ask), methods=["GET"]),
        Route("/crm/{id}/convert", known(converting.convert), methods=["POST"]),
        Route("/crm/{object}", _either(viewing.page, listing.page, site), methods=["GET"]),
        Route("/{path:path}", _elsewhere, methods=["GET"]),
    ]

    async def not_there(request: Request, error: Exception) -> Response:
        return site.sorry(404, "There is no such page.")

    async def not_so(request: Request, error: Exception) -> Response:
        return site.sorry(405, "That cannot be done with this page.")

    handlers: Mapping[int, object] = {404: not_there, 405: not_so}
    return Gate(Starlette(routes=routes, exception_handlers=handlers), site.addresses, site.refusals)  # type: ignore[arg-type]


def _either(record: Endpoint, objects: Endpoint, site: Site) -> Callable[[Request], Awaitable[Response]]:
    """An id leads to the record, a name to the list."""
    shown, listed = site.known(record), site.known(objects)

    async def serve(request: Request) -> Response:
        text = request.path_params["object"]
        if not ids.is_valid(text) or not any(each.isdigit() for each in text):
            return await listed(request)
        request.path_params["id"] = request.path_params.pop("object")
        return await shown(request)

    return serve


async def _elsewhere(request: Request) -> Response:
    """A link that was written for the CRM."""
    page = page_of([each for each in request.path_params["path"].split("/") if each])
    return RedirectResponse(page or "/crm", 302)


def _static(site: Site) -> Callable[[Request], Response]:
    def serve(request: Request) -> Response:
        file = site.pages.files.get(request.path_params["name"])
        return file.response(request.url.query) if file else site.sorry(404, "There is no such file.")

    return serve


@dataclass(frozen=True, slots=True)
class Front:
    """ASGI: what is for people goes to the pages, everything else to the API."""

    pages: ASGIApp
    api: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.pages if _for_people(scope) else self.api)(scope, receive, send)


def _for_people(scope: Scope) -> bool:
    if scope["type"] != "http":
        return False
    path = segments(scope["path"].encode("utf-8", "replace"))
    first = path[0].lower() if path else ""
    if first == "services" or first == "id":  # in front of these, the API takes anything
        return False
    return path[:1] == ("crm",) or (scope["method"] in READING and page_of(path) is not None)
