"""WebDAV requests over ``Http``: one method a verb, answers as values, refusals as the errors of the contract.

Why not the ``caldav`` library: docs/decisions/0004-http-client.md. Login is Basic, sent with the first request
(RFC 7617); Digest is not spoken.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import urlsplit

from crmsync.connectors.dav import wire
from crmsync.connectors.dav.place import canonical
from crmsync.connectors.errors import (
    AuthExpired,
    ConnectorError,
    Forbidden,
    NotFound,
    ProtocolError,
    Unreachable,
)
from crmsync.connectors.http import Http, Response, resolved

_MULTISTATUS = 207
_XML = "application/xml; charset=utf-8"
_REFUSAL_LIMIT = 65536  # bytes of a refusal that are read for its conditions


@dataclass(frozen=True, slots=True)
class Refusal:
    """A whole request was refused."""

    status: int
    conditions: tuple[str, ...]  # Clark names, RFC 4918 16
    what: str  # "REPORT http://…"


Judge: TypeAlias = Callable[[Refusal], ConnectorError]


class Dav:
    """Requests to one server. Safe to use from several threads."""

    def __init__(self, http: Http, username: str = "") -> None:
        self.http = http
        self._username = username

    def url(self, href: str) -> str:
        return resolved(self.http.base, href)

    def is_own(self, href: str) -> bool:
        """Whether an address leads to this very server, which may be shown our login."""
        try:
            here, there = urlsplit(self.http.base), urlsplit(self.url(href))
        except (ValueError, ProtocolError):
            return False
        return (here.scheme, here.netloc) == (there.scheme, there.netloc)

    def propfind(
        self, href: str, properties: Iterable[str], *, depth: int, judge: Judge | None = None
    ) -> Iterator[wire.Answer]:
        """Properties of a resource and, with depth 1, of what stands directly in it."""
        asked = canonical(href)
        for answer in self._multistatus("PROPFIND", href, wire.propfind(properties), depth, judge):
            if not isinstance(answer, wire.Answer):
                continue
            if answer.status >= 400 and canonical(answer.href) == asked:  # Xandikos: 404 within a 207
                refusal = Refusal(answer.status, answer.conditions, f"PROPFIND {self.url(href)}")
                raise (judge or self.error)(refusal)
            yield answer

    def sync(
        self, href: str, token: str, properties: Iterable[str], judge: Judge | None = None
    ) -> Iterator[wire.Answer | wire.Token]:
        """Changes since a token, everything for an empty one (RFC 6578 3.2; depth 0, and not 1, by 3.3)."""
        return self._multistatus("REPORT", href, wire.sync_collection(token, properties), 0, judge)

    def report(
        self, href: str, body: bytes, *, depth: int, judge: Judge | None = None
    ) -> Iterator[wire.Answer]:
        for answer in self._multistatus("REPORT", href, body, depth, judge):
            if isinstance(answer, wire.Answer):
                yield answer

    def multiget(
        self,
        report: str,
        href: str,
        hrefs: Sequence[str],
        properties: Iterable[str],
        judge: Judge | None = None,
    ) -> Iterator[wire.Answer]:
        return self.report(href, wire.multiget(report, hrefs, properties), depth=0, judge=judge)

    def get(self, href: str, *, limit: int) -> Response:
        """Not compressed: some servers give a compressed body another ETag."""
        return self._login(
            self.http.request("GET", href, headers={"Accept-Encoding": "identity"}, limit=limit), "GET"
        )

    def head(self, href: str) -> Response:
        return self._login(self.http.request("HEAD", href, headers={"Accept-Encoding": "identity"}), "HEAD")

    def schedules(self, href: str) -> bool:
        """Whether the server sends invitations and cancellations by itself (RFC 6638 2)."""
        answer = self._login(self.http.request("OPTIONS", href, limit=_REFUSAL_LIMIT), "OPTIONS")
        return "calendar-auto-schedule" in (answer.headers.get("DAV") or "").lower()

    def put(self, href: str, text: str, content_type: str, *, expected: str) -> Response:
        """Over the version ``expected``, or as a new resource where that is empty."""
        condition = {"If-Match": expected} if expected else {"If-None-Match": "*"}
        headers = {"Content-Type": content_type, **condition}
        answer = self.http.request("PUT", href, body=text.encode(), headers=headers, limit=_REFUSAL_LIMIT)
        return self._login(answer, "PUT")

    def delete(self, href: str, *, expected: str, silently: bool = False) -> Response:
        """``silently``: no answer goes to the organiser of a meeting (RFC 6638 8.1)."""
        headers = {"If-Match": expected, **({"Schedule-Reply": "F"} if silently else {})}
        answer = self.http.request("DELETE", href, headers=headers, limit=_REFUSAL_LIMIT)
        return self._login(answer, "DELETE")

    def error(self, refusal: Refusal) -> ConnectorError:
        """What a refused request means where nothing more is known about it."""
        what, status = refusal.what, refusal.status
        if status == 401:
            who = "the login" if self._username else "an anonymous request"
            return AuthExpired(
                f"{what}: {who} was refused (401)",
                hint="check username and password of this source; some servers want an app password",
            )
        if status == 403:
            return Forbidden(
                f"{what}: {'this login' if self._username else 'an anonymous user'} may not do this (403)",
                hint="ask the server's admin for the right, or take this collection out of the configuration",
            )
        if status in (404, 410):
            return NotFound(
                f"{what}: there is nothing at this address ({status})",
                hint="check the url of this source; `crmsync check` lists the collections that the server offers",
            )
        if status >= 500:
            return Unreachable(f"{what}: the server failed ({status}); it is tried again later")
        return ProtocolError(
            f"{what}: answered {status} where a multistatus was expected",
            hint="is this the address of a CardDAV or CalDAV server, and not of its web page?",
        )

    def _multistatus(
        self, method: str, href: str, body: bytes, depth: int, judge: Judge | None
    ) -> Iterator[wire.Answer | wire.Token]:
        what = f"{method} {self.url(href)}"
        headers = {"Content-Type": _XML, "Depth": str(depth)}
        with self.http.stream(method, href, body=body, headers=headers) as stream:
            if stream.status != _MULTISTATUS:
                refusal = Refusal(stream.status, _conditions(stream), what)
                raise (judge or self.error)(refusal)
            try:
                yield from wire.multistatus(stream)
            except wire.NotXml as error:
                raise wire.NotXml(f"{what}: {error.message}") from error

    def _login(self, answer: Response, method: str) -> Response:
        if answer.status == 401:
            raise self.error(Refusal(401, (), f"{method} {answer.url}"))
        return answer


def basic(username: str, password: str) -> dict[str, str]:
    """The Authorization header, UTF-8 (RFC 7617 2.1); none without a username."""
    if not username:
        return {}
    token = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {token}"}


def _conditions(body: Iterable[bytes]) -> tuple[str, ...]:
    head = b""
    for piece in body:
        head += piece
        if len(head) > _REFUSAL_LIMIT:
            return ()
    return wire.conditions(head)
