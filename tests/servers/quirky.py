"""A small CardDAV (or CalDAV) server in memory, with the habits of servers that cannot be installed for a test.

One user, one address book (or calendar) at ``/dav/book/``, which stores exactly the bytes that it is sent; ``served``
can put several on one server. Each habit has been seen on a real server in use. It keeps every request, and what a test
puts into ``before`` runs first: an answer it returns is sent instead.
"""

import re
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

BOOK = "/dav/book/"
_NAMESPACES = (
    'xmlns="DAV:" xmlns:addressbook="urn:ietf:params:xml:ns:carddav" xmlns:calendar="urn:ietf:params:xml:ns:caldav" '
    'xmlns:CS="http://calendarserver.org/ns/"'
)


_DATA = {"addressbook": "address-data", "calendar": "calendar-data"}


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: str

    @property
    def report(self) -> str:
        """Local name of the body's root: ``sync-collection``, ``addressbook-multiget``, …"""
        found = re.search(r"<(?:\w+:)?([\w-]+) xmlns", self.body)
        return found[1] if found else ""


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Quirky:
    url: str = ""
    book: str = BOOK  # path of the address book
    name: str = "Book"
    sort: str = "addressbook"  # or calendar
    # ── habits ──
    sync: bool = True  # knows sync-collection
    ctag: bool = True
    lost: Reply | None = (
        None  # answer to a token it does not know; None: everything, as if there had been no token
    )
    page: int = 0  # answers of one sync-collection, then 507; 0: all
    put_etag: bool = True  # tells the ETag of what was PUT
    heeds_match: bool = True  # If-Match and If-None-Match are obeyed
    times: str = "inline"  # inline, aside (PROPFIND only), never
    forgets: set[str] = field(default_factory=set)  # names left out of a multiget
    hides: set[str] = field(default_factory=set)  # names that are forbidden
    breaks: set[str] = field(default_factory=set)  # names that turn a multiget into a 500
    rewrites: Callable[[bytes], bytes] = lambda text: text  # what it stores of a PUT
    addresses: tuple[str, ...] = ()  # of its user, as the principal says them
    schedules: bool = False  # tells attendees by itself of what their organiser stores or deletes (RFC 6638)
    before: Callable[[Request], Reply | None] = lambda request: None
    # ── state ──
    items: dict[str, tuple[str, bytes]] = field(default_factory=dict)  # name -> ETag, text
    log: list[str] = field(default_factory=list)  # names, as they changed
    first_token: int = 0  # older ones are forgotten, unless they were told after that
    told: dict[int, int] = field(default_factory=dict)  # by token, the first one when it was told last
    requests: list[Request] = field(default_factory=list)
    sent: list[tuple[str, str]] = field(default_factory=list)  # messages: to whom, and of which item

    def set(self, name: str, text: str | bytes) -> str:
        data = text.encode() if isinstance(text, str) else text
        etag = f'"e{len(self.log)}"'
        self.items[name] = (etag, data)
        self.log.append(name)
        return etag

    def remove(self, name: str) -> None:
        del self.items[name]
        self.log.append(name)

    def seen(self, method: str) -> list[Request]:
        return [request for request in self.requests if request.method == method]

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────

    def answer(self, request: Request) -> Reply:
        self.requests.append(request)
        instead = self.before(request)
        if instead is not None:
            return instead
        return getattr(self, f"_{request.method.lower()}")(request)  # type: ignore[no-any-return]

    def _propfind(self, request: Request) -> Reply:
        if request.path == "/dav/" and self.addresses:
            own = "".join(f"<href>mailto:{each}</href>" for each in self.addresses)
            told = f"<calendar:calendar-user-address-set>{own}</calendar:calendar-user-address-set>"
            return _multistatus([_response(request.path, told)])
        if request.path != self.book:
            return self._about_item(_name(request.path))
        ctag = f"<CS:getctag>{len(self.log)}</CS:getctag>" if self.ctag else ""
        kind = f"<resourcetype><collection/><{self.sort}:{self.sort}/></resourcetype>"
        kind += f"<displayname>{self.name}</displayname>"
        me = f"{kind}{ctag}<current-user-principal><href>/dav/</href></current-user-principal>"
        answers = [_response(self.book, me)]
        if request.headers.get("Depth") == "1":
            answers += [_response(self._href(n), self._properties(n, aside=True)) for n in sorted(self.items)]
        return _multistatus(answers)

    def _about_item(self, name: str) -> Reply:
        if name not in self.items:
            return Reply(404)
        return _multistatus([_response(self._href(name), self._properties(name, aside=True))])

    def _report(self, request: Request) -> Reply:
        if request.path != self.book:
            return Reply(404)
        match request.report:
            case "sync-collection" if self.sync:
                return self._changes(request)
            case "addressbook-multiget" | "calendar-multiget":
                return self._multiget(request)
            case "addressbook-query" | "calendar-query":
                return self._query(request)
            case _:
                return Reply(403, b'<error xmlns="DAV:"><supported-report/></error>')

    def _changes(self, request: Request) -> Reply:
        told = re.search(r"sync-token>t(\d+)<", request.body)
        since = int(told[1]) if told else 0
        if told and since < self.first_token and self.told.get(since) != self.first_token:
            if self.lost is not None:
                return self.lost
            since, told = 0, None
        names = list(dict.fromkeys(self.log[since:]))
        if told is None:
            names = [name for name in dict.fromkeys(self.log) if name in self.items]
        end = len(self.log)
        more = self.page and len(names) > self.page
        if more:
            end = max(self.log.index(name, since) for name in names[: self.page]) + 1
            names = [name for name in dict.fromkeys(self.log[since:end]) if told or name in self.items]
        answers = [self._changed(name) for name in names]
        if more:
            answers.append(f"<response><href>{self.book}</href><status>HTTP/1.1 507 More</status></response>")
        self.told[end] = self.first_token
        return _multistatus([*answers, f"<sync-token>t{end}</sync-token>"])

    def _changed(self, name: str) -> str:
        if name not in self.items:
            return _gone(self._href(name))
        return _response(self._href(name), f"<getetag>{self.items[name][0]}</getetag>")

    def _multiget(self, request: Request) -> Reply:
        names = [_name(href) for href in re.findall(r"href>([^<]+)<", request.body)]
        if self.breaks & set(names):
            return Reply(500)
        data = f"{_DATA[self.sort]}/>" in request.body or f"{_DATA[self.sort]}>" in request.body
        answers = [self._got(name, data) for name in names if name not in self.forgets]
        return _multistatus(answers)

    def _got(self, name: str, data: bool) -> bytes | str:
        if name in self.hides:
            return _gone(self._href(name), "403 Forbidden")
        if name not in self.items:
            return _gone(self._href(name))
        text = escape(self.items[name][1].decode("utf-8", "surrogateescape"))
        element = f"{self.sort}:{_DATA[self.sort]}"
        found = self._properties(name) + (f"<{element}>{text}</{element}>" if data else "")
        return _response(self._href(name), found).encode("utf-8", "surrogateescape")

    def _query(self, request: Request) -> Reply:
        uid = re.search(r"text-match[^>]*>([^<]*)<", request.body)
        wanted = f"UID:{uid[1] if uid else ''}\r\n".encode()
        return _multistatus(
            [_response(self._href(n), self._properties(n)) for n, i in self.items.items() if wanted in i[1]]
        )

    def _properties(self, name: str, *, aside: bool = False) -> str:
        time = "<getlastmodified>Sun, 22 Nov 2026 10:00:00 GMT</getlastmodified>"
        told = self.times == "inline" or (aside and self.times == "aside")
        return f"<getetag>{self.items[name][0]}</getetag>{time if told else ''}"

    def _href(self, name: str) -> str:
        return self.book + quote(name)

    def _get(self, request: Request) -> Reply:
        name = _name(request.path)
        if name in self.hides:
            return Reply(403)
        if name not in self.items:
            return Reply(404)
        return Reply(200, self.items[name][1], {"ETag": self.items[name][0]})

    def _head(self, request: Request) -> Reply:
        return self._get(request)

    def _options(self, request: Request) -> Reply:
        words = "1, 3, calendar-access" + (", calendar-auto-schedule" if self.schedules else "")
        return Reply(200, headers={"DAV": words})

    def _tell(self, request: Request, name: str) -> None:
        """What RFC 6638 3.2 has a server send to an organiser's attendees, and for an attendee's delete."""
        if not self.schedules:
            return
        text = request.body + self.items.get(name, ("", b""))[1].decode("utf-8", "replace")
        people = set(
            re.findall(r"^ATTENDEE(?!.*SCHEDULE-AGENT=(?:CLIENT|NONE)).*?:mailto:(.*?)\r?$", text, re.M)
        )
        organiser = set(re.findall(r"^ORGANIZER.*?:mailto:(.*?)\r?$", text, re.M))
        if "alice@example.com" in organiser:
            self.sent += [(who, name) for who in sorted(people - organiser)]
        elif request.method == "DELETE" and request.headers.get("Schedule-Reply") != "F":
            self.sent += [(who, name) for who in sorted(organiser)]

    def _put(self, request: Request) -> Reply:
        name = _name(request.path)
        if not self._matches(request, name):
            return Reply(412)
        self._tell(request, name)
        etag = self.set(name, self.rewrites(request.body.encode("utf-8", "surrogateescape")))
        return Reply(201, headers={"ETag": etag} if self.put_etag else {})

    def _delete(self, request: Request) -> Reply:
        name = _name(request.path)
        if name not in self.items:
            return Reply(404)
        if not self._matches(request, name):
            return Reply(412)
        self._tell(request, name)
        self.remove(name)
        return Reply(204)

    def _matches(self, request: Request, name: str) -> bool:
        wanted = request.headers.get("If-Match")
        if not self.heeds_match:
            return True
        if request.headers.get("If-None-Match") == "*" and name in self.items:
            return False
        return wanted is None or (name in self.items and self.items[name][0] == wanted)


@contextmanager
def quirky(sort: str = "addressbook") -> Iterator[Quirky]:
    state = Quirky(sort=sort)
    with served(state.answer) as origin:
        state.url = origin + state.book
        yield state


@contextmanager
def served(
    answer: Callable[[Request], Reply], *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[str]:
    """A server that answers so; its address, without a path."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer in one piece: in two, each waits for the client's delayed acknowledgement
        disable_nagle_algorithm = True

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length).decode("utf-8", "surrogateescape")
            reply = answer(Request(self.command, self.path, dict(self.headers), body))
            self.send_response_only(reply.status)
            head = {"Date": self.date_time_string(), **reply.headers, "Content-Length": str(len(reply.body))}
            for name, value in head.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing to tell: the test reads ``requests``."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hung up, having seen enough, or does not trust us."""
            if not isinstance(sys.exception(), ConnectionError | ssl.SSLError):
                super().handle_error(request, client_address)

    with Server((host, 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http{'s' if tls else ''}://{host}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _name(path: str) -> str:
    return unquote(path.rpartition("/")[2])


def _response(href: str, properties: str) -> str:
    found = f"<propstat><prop>{properties}</prop><status>HTTP/1.1 200 OK</status></propstat>"
    return f"<response><href>{href}</href>{found}</response>"


def _gone(href: str, status: str = "404 Not Found") -> str:
    return f"<response><href>{href}</href><status>HTTP/1.1 {status}</status></response>"


def _multistatus(answers: "list[str] | list[bytes] | list[bytes | str]") -> Reply:
    content = b"".join(a.encode() if isinstance(a, str) else a for a in answers)
    return Reply(
        207,
        f"<multistatus {_NAMESPACES}>".encode() + content + b"</multistatus>",
        {"Content-Type": "text/xml"},
    )
