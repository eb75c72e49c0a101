"""A login to a CardDAV or CalDAV server: who it is, and which collections it has."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TypedDict, Unpack
from urllib.parse import urlsplit

from crmsync.connectors.contract import Collection, Kind, Side
from crmsync.connectors.dav import wire
from crmsync.connectors.dav.audience import Audience
from crmsync.connectors.dav.client import Dav, Refusal, basic
from crmsync.connectors.dav.connector import DavConnector
from crmsync.connectors.dav.files import MAX_ATTACHMENT
from crmsync.connectors.dav.flavour import Flavour
from crmsync.connectors.dav.habits import MOST_AT_A_TIME, Habits
from crmsync.connectors.dav.place import canonical, last_segment
from crmsync.connectors.dav.reading import MAX_ITEM
from crmsync.connectors.errors import Forbidden, NotFound, ProtocolError
from crmsync.connectors.http import Http, pause

# Beside the writes the cycle reads, and so does the helper that stamps. With none to spare a reader waits for seconds:
# the pool gives a connection to whoever asks next, and that is the thread that has just given it back.
_CONNECTIONS = MOST_AT_A_TIME + 2
_ONE = "="  # before the URL of what is no home but the one collection itself
_WRITE = frozenset(wire.DAV + name for name in ("all", "write", "write-content"))


class Options(TypedDict, total=False):
    name: str  # what the operator calls this login
    ca_file: str | None
    verify: bool
    now: Callable[[], datetime]
    pause: Callable[[float], None]  # waits that many seconds
    default_zone: tzinfo  # of times that name no zone
    timeout: float  # seconds without a byte from the server
    connections: int  # at the same time, at most
    max_item: int  # bytes of one item that is read
    max_attachment: int  # bytes of a file that travels with its item
    invitations: bool  # the server may tell attendees of what is written
    ourselves: frozenset[str]  # the person's addresses, in lower case
    proxies: bool  # also the collections of those whose proxy the login is


def _now() -> datetime:
    return datetime.now(UTC)


class DavSource:
    """``url`` is a principal, a home, one collection, or just the server: it is found out with the first request.

    Discovery costs two or three requests; afterwards ``home`` is known (it may be stored, and set before the first
    use) and ``collections()`` costs one."""

    def __init__(
        self,
        flavour: Flavour,
        url: str,
        username: str,
        password: str,
        **options: Unpack[Options],
    ) -> None:
        self.name = options.get("name") or url
        self.home: str | None = None  # where the collections are, once found; opaque
        self._flavour = flavour
        self._url = url if urlsplit(url).path else url + "/"
        self._username = username
        self._now = options.get("now", _now)
        self._http = Http(
            self._url,
            headers=basic(username, password),
            ca_file=options.get("ca_file"),
            verify=options.get("verify", True),
            connections=options.get("connections", _CONNECTIONS),
            timeout=options.get("timeout", 60.0),
            now=self._now,
        )
        self._dav = Dav(self._http, username)
        self._habits = Habits()
        self._pause = options.get("pause", pause)
        self._zone = options.get("default_zone", UTC)
        self._audience = Audience(options.get("invitations", False), options.get("ourselves", frozenset()))
        self._max_attachment = options.get("max_attachment", MAX_ATTACHMENT)
        self._max_item = options.get("max_item", MAX_ITEM)
        self._proxies = options.get("proxies", False)
        self._principal: str | None = None  # our own, once asked for
        self._their_homes: dict[str, str] = {}  # by principal

    @property
    def side(self) -> Side:
        return Side.ECS

    def identity(self) -> str:
        """The user name, once the server has accepted it; without one, who the server takes us for."""
        answer = self._about(self._url)
        return self._username or last_segment(_href(answer, wire.PRINCIPAL)) or "anonymous"

    def collections(self) -> Sequence[Collection]:
        own = self._own_collections()
        seen = {collection.id for collection in own}
        return [*own, *(c for c in self._represented() if c.id not in seen)]

    def _own_collections(self) -> Sequence[Collection]:
        known, self.home = self.home, self.home or self._find_home()
        try:
            return self._collections_in(self.home)
        except NotFound:
            if known is None:
                raise
        self.home = self._find_home()
        return self._collections_in(self.home)

    connector: type[DavConnector] = DavConnector

    def open(self, collection: Collection) -> DavConnector:
        return self.opened(collection, self._flavour)

    def opened(self, collection: Collection, flavour: Flavour) -> DavConnector:
        return self.connector(
            flavour,
            self._dav,
            collection,
            self._habits,
            now=self._now,
            pause=self._pause,
            default_zone=self._zone,
            max_item=self._max_item,
            max_attachment=self._max_attachment,
            audience=self._audience,
        )

    def clock_offset(self) -> timedelta:
        return self._http.clock_offset

    def requests(self) -> int:
        return self._http.requests

    def close(self) -> None:
        self._http.close()

    def _collections_in(self, home: str) -> Sequence[Collection]:
        answers = [
            answer
            for place in home.split()
            for answer in self._listed(place.removeprefix(_ONE), depth=0 if place.startswith(_ONE) else 1)
        ]
        return [found for answer in answers if (found := self._collection(answer)) is not None]

    # ── whose proxy we are ───────────────────────────────────────────────────────────────────────────────────

    def _represented(self) -> Iterator[Collection]:
        """The collections of those who made the login their proxy (Calendar User Proxy Functionality in CalDAV, by
        Apple; others have it, too). Asked anew each time: it is theirs to withdraw."""
        if not self._proxies:
            return
        if self._principal is None:
            self._principal = _href(self._about(self._url), wire.PRINCIPAL)
        asked = (wire.PROXY_READ, wire.PROXY_WRITE)
        for answer in self._dav.propfind(self._principal, asked, depth=0) if self._principal else ():
            reading, writing = (answer.parts.get(name, ()) for name in asked)
            for principal in dict.fromkeys((*writing, *reading)):
                yield from self._collections_of(principal, writable=principal in writing)

    def _collections_of(self, principal: str, *, writable: bool) -> Sequence[Collection]:
        try:
            home = self._their_homes.get(principal) or self._homes(self._about(principal))
            answers = [answer for place in home.split() for answer in self._listed(place, depth=1)]
        except (Forbidden, NotFound):  # withdrawn just now, or half-way
            self._their_homes.pop(principal, None)
            return []
        self._their_homes[principal] = home
        return [
            replace(
                collection,
                writable=collection.writable and writable,
                owner=collection.owner or ("" if _href(answer, wire.OWNER) else last_segment(principal)),
            )
            for answer in answers
            if (collection := self._collection(answer)) is not None
        ]

    # ── discovery ────────────────────────────────────────────────────────────────────────────────────────────

    def _find_home(self) -> str:
        """RFC 6764 6: the url itself, what it says of its home, what stands in it, or the home of who we are."""
        here = self._about(self._url)
        if self._is_ours(here):
            return _ONE + self._dav.url(here.href)
        if homes := self._homes(here):
            return homes
        at_root = not urlsplit(self._url).path.strip("/")
        if not at_root and any(self._is_ours(answer) for answer in self._listed(here.href, depth=1)):
            return self._dav.url(here.href)
        principal = _href(here, wire.PRINCIPAL)
        if principal and (homes := self._homes(self._about(principal))):
            return homes
        raise NotFound(
            f"{self._url}: no {self._flavour.thing} and no way to one is found here",
            hint=f"give the url of the {self._flavour.thing} itself, or of the user's home on the server",
        )

    def _about(self, href: str) -> wire.Answer:
        """One resource by itself. Where the server's root knows nothing of DAV, its well-known address may."""
        try:
            answers = self._listed(href, depth=0)
        except (NotFound, ProtocolError):
            if urlsplit(self._dav.url(href)).path != "/":
                raise
            answers = self._listed(self._flavour.well_known, depth=0)
        if not answers:
            raise NotFound(f"{self._dav.url(href)}: the server answers with nothing", hint="check the url")
        return answers[0]

    def _listed(self, href: str, *, depth: int) -> Sequence[wire.Answer]:
        properties = (
            wire.RESOURCE_TYPE,
            wire.DISPLAY_NAME,
            wire.PRINCIPAL,
            wire.OWNER,
            wire.PRIVILEGES,
            wire.REPORTS,
            *((wire.COMPONENTS,) if "" not in self._flavour.kinds else ()),
            self._flavour.home,
        )
        answers = list(self._dav.propfind(href, properties, depth=depth))
        for answer in answers:
            if self._username and wire.UNAUTHENTICATED in answer.parts.get(wire.PRINCIPAL, ()):
                raise self._dav.error(Refusal(401, (), f"PROPFIND {self._dav.url(href)}"))
        return answers

    def _homes(self, answer: wire.Answer) -> str:
        return " ".join(self._dav.url(href) for href in answer.parts.get(self._flavour.home, ()))

    def _is_ours(self, answer: wire.Answer) -> bool:
        return self._flavour.resource_type in answer.parts.get(wire.RESOURCE_TYPE, ())

    def _collection(self, answer: wire.Answer) -> Collection | None:
        kinds = self._kinds(answer)
        if not self._is_ours(answer) or answer.status != 200 or not kinds:
            return None
        path = canonical(answer.href)
        reports = answer.parts.get(wire.REPORTS, ())
        if reports and wire.SYNC_COLLECTION not in reports:
            self._habits.without_sync.add(path)
        return Collection(
            id=path,
            name=answer.texts.get(wire.DISPLAY_NAME, "").strip() or last_segment(path),
            kinds=kinds,
            writable=_writable(answer),
            owner=_owner(answer),
        )

    def _kinds(self, answer: wire.Answer) -> frozenset[Kind]:
        """A calendar that does not say what it takes takes everything (RFC 4791 5.2.3)."""
        told = answer.parts.get(wire.COMPONENTS, ())
        return frozenset(kind for name, kind in self._flavour.kinds.items() if not told or name in told)


def _href(answer: wire.Answer, name: str) -> str:
    inside = answer.parts.get(name, ())
    return inside[0] if inside and not inside[0].startswith("{") else ""


def _writable(answer: wire.Answer) -> bool:
    """RFC 3744 5.5; a server without access control says nothing, and then only trying can tell."""
    privileges = answer.parts.get(wire.PRIVILEGES)
    return privileges is None or not _WRITE.isdisjoint(privileges)


def _owner(answer: wire.Answer) -> str:
    """Whose collection it is: the last word of the owner's principal. Empty for our own, and where nobody says."""
    owner, ourselves = _href(answer, wire.OWNER), _href(answer, wire.PRINCIPAL)
    return last_segment(owner) if owner and canonical(owner) != canonical(ourselves) else ""
