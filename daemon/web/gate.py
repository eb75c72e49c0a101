"""What every request passes first, and what every answer carries.

A loopback address protects from nobody who can make the person's browser send a request: a page of another site may
name our address, or give its own name our address (DNS rebinding), and a cookie goes along to every port of a host
(RFC 6265 section 8.5). So the Host has to be ours, and what is no plain navigation has to come from a page of ours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crmsync.daemon.web.refusals import Refusals

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # with "no-referrer" browsers send ``Origin: null`` with our own forms (Fetch, "append a request `Origin` header")
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
READING = ("GET", "HEAD")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Addresses:
    """``origins``: what a Host header may say -> the origin of the pages under it."""

    origins: Mapping[str, str]
    public: str  # the one that links name, without a slash at the end
    cookie: str  # its name: cookies know no port, and another service on this machine may have one of its own

    @classmethod
    def of(cls, host: str, port: int, url: str | None) -> "Addresses":
        """``host``, ``port``: where we listen; ``url``: where a proxy in front of us is reached."""
        own = f"[{host}]" if ":" in host else host
        origins = {name: f"http://{name}" for name in (f"{own}:{port}", f"localhost:{port}")}
        if url is None:
            return cls(origins, f"http://{own}:{port}", f"crmsync-{port}")
        parts = urlsplit(url)
        bare = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        place = bare if parts.port in (None, _PORTS[parts.scheme]) else f"{bare}:{parts.port}"
        public = f"{parts.scheme}://{place}"
        return cls({**origins, place: public}, public, f"crmsync-{port}")


@dataclass(frozen=True, slots=True)
class Refused:
    status: int
    reason: str  # for the log


# What pages of others may have: a page in a frame (which says itself in whose), and a script that has nothing in it.
EMBEDDED = {("/softphone", "navigate", "iframe"), ("/softphone/embed.js", "no-cors", "script")}


def judge(
    method: str, headers: Sequence[tuple[str, str]], own: Mapping[str, str], path: str = "/"
) -> Refused | None:
    """``headers``: names in lower case; ``own``: see ``Addresses.origins``."""

    def every(name: str) -> list[str]:
        return [value for key, value in headers if key == name]

    host, origin, site = every("host"), every("origin"), every("sec-fetch-site")
    if len(host) != 1 or host[0].lower() not in own:
        return Refused(421, "a Host that is not ours")
    if origin and origin != [own[host[0].lower()]]:
        return Refused(403, "an Origin that is not ours")
    if site and site not in (["same-origin"], ["none"]) and not _navigates(method, headers, path):
        return Refused(403, "a request that a page of another site has made")
    if method not in READING and not origin and site != ["same-origin"]:
        return Refused(403, "a request that does not say which page has made it")
    return None


def _navigates(method: str, headers: Sequence[tuple[str, str]], path: str) -> bool:
    """A person follows a link on another site: that page gets nothing of ours, the person a page of their own."""
    wanted = {("navigate", "document"), *((mode, dest) for at, mode, dest in EMBEDDED if at == path)}
    told = {name: value for name, value in headers if name.startswith("sec-fetch-")}
    return method in READING and (told.get("sec-fetch-mode"), told.get("sec-fetch-dest")) in wanted


class Gate:
    """ASGI around the pages."""

    def __init__(self, app: ASGIApp, addresses: Addresses, refusals: Refusals) -> None:
        self._app = app
        self._addresses = addresses
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # which says by whom, better than the older header can
                framed = "Content-Security-Policy" in headers
                for name, value in HEADERS.items():
                    if name != "X-Frame-Options" or not framed:
                        headers.setdefault(name, value)
            await send(message)

        if scope["type"] != "http":
            return
        received = [(k.decode("latin-1").lower(), v.decode("latin-1")) for k, v in scope["headers"]]
        refused = judge(scope["method"], received, self._addresses.origins, scope["path"])
        if refused is None:
            await self._app(scope, receive, guarded)
            return
        self._refusals.say(scope["method"], scope["path"], refused.reason)
        answer = PlainTextResponse(
            "This request is refused; the log of the service says why.\n", refused.status
        )
        await answer(scope, receive, guarded)
