"""An address-book server in memory, in a process of its own: ``python -m tests.bench.dav_server``.

PROPFIND, sync-collection, multiget, GET, PUT and DELETE with their conditions, every path below ``/NAME/`` a book. For
the bench alone: ``POST /_bench/fill?book=/NAME/&from=0&to=1000&edit=0`` stores cards, ``/_bench/drop`` deletes them.
"""

import hashlib
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

from tests.bench.cards import card
from tests.bench.httpd import Reply, Request, as_json, serve, xml

_NAMESPACES = 'xmlns="DAV:" xmlns:CR="urn:ietf:params:xml:ns:carddav"'
_HEAD = f'<?xml version="1.0" encoding="utf-8"?><multistatus {_NAMESPACES}>'.encode()
_TAIL = b"</multistatus>"
_OK = "<status>HTTP/1.1 200 OK</status>"
_HREF = re.compile(rb"<(?:\w+:)?href[^>]*>([^<]+)</")
_TOKEN = re.compile(rb"<(?:\w+:)?sync-token>([^<]*)</")
_BOOK_PROPERTIES = (
    "<resourcetype><collection/><CR:addressbook/></resourcetype><displayname>{name}</displayname>"
    "<current-user-principal><href>{path}</href></current-user-principal><owner><href>{path}</href></owner>"
    "<CR:addressbook-home-set><href>{path}</href></CR:addressbook-home-set>"
    "<supported-report-set><supported-report><report><sync-collection/></report></supported-report>"
    "</supported-report-set><getcontenttype>text/vcard</getcontenttype>"
)


@dataclass(slots=True)
class Card:
    etag: str
    text: bytes


@dataclass(slots=True)
class Book:
    path: str
    cards: dict[str, Card] = field(default_factory=dict)
    log: dict[str, int] = field(default_factory=dict)  # name -> its last change; the latest last
    changes: int = 0

    def put(self, name: str, text: bytes) -> str:
        etag = f'"{hashlib.blake2b(text, digest_size=8).hexdigest()}"'
        self.cards[name] = Card(etag, text)
        self._note(name)
        return etag

    def drop(self, name: str) -> None:
        del self.cards[name]
        self._note(name)

    def _note(self, name: str) -> None:
        self.log.pop(name, None)
        self.changes += 1
        self.log[name] = self.changes

    def changed(self, since: int) -> list[str]:
        if not since:
            return list(self.cards)
        names = []
        for name in reversed(self.log):
            if self.log[name] <= since:
                break
            names.append(name)
        return names[::-1]


class DavServer:
    def __init__(self) -> None:
        self._books: dict[str, Book] = {}

    def __call__(self, request: Request) -> Reply:
        path = urlsplit(request.path).path
        if path.startswith("/_bench/"):
            return self._prepare(path, parse_qs(urlsplit(request.path).query))
        folder, _, name = path.rpartition("/")
        book = self._book(folder + "/")
        match request.method:
            case b"REPORT":
                multiget = b"multiget" in request.body[:400]
                return self._multiget(book, request.body) if multiget else self._sync(book, request.body)
            case b"PUT":
                return self._put(book, name, request)
            case b"PROPFIND":
                return self._propfind(book, name, request)
            case b"DELETE":
                return self._delete(book, name, request)
            case b"GET" | b"HEAD" if name in book.cards:
                text = book.cards[name].text if request.method == b"GET" else b""
                return Reply(200, text, f"Content-Type: text/vcard\r\nETag: {book.cards[name].etag}\r\n")
            case b"OPTIONS":
                return Reply(200, b"", "DAV: 1, 3, addressbook\r\nAllow: OPTIONS, PROPFIND, REPORT, PUT\r\n")
            case _:
                return Reply(404)

    def _book(self, path: str) -> Book:
        return self._books.setdefault(path, Book(path))

    def _prepare(self, path: str, query: dict[str, list[str]]) -> Reply:
        book = self._book(query["book"][0])
        if path == "/_bench/state":
            return as_json(200, {"items": len(book.cards), "changes": book.changes})
        numbers = range(int(query["from"][0]), int(query["to"][0]))
        for number in numbers:
            if path == "/_bench/drop":
                book.drop(f"{number}.vcf")
            else:
                self._edit(book, f"{number}.vcf", number, int(query.get("edit", ["0"])[0]))
        return Reply(204)

    def _edit(self, book: Book, name: str, number: int, edit: int) -> None:
        """A person's edit leaves everything else that stands in the card."""
        known = book.cards.get(name)
        if known is None:
            book.put(name, card(number, edit).encode())
        else:
            book.put(name, re.sub(rb"TITLE:[^\r]*", f"TITLE:Sample {edit}".encode(), known.text))

    def _propfind(self, book: Book, name: str, request: Request) -> Reply:
        if name and name not in book.cards:
            return Reply(404)
        if name:
            return xml(207, _HEAD + self._answer(book, name).encode() + _TAIL)
        told = _BOOK_PROPERTIES.format(name=book.path.strip("/"), path=book.path)
        parts = [_HEAD, _response(book.path, told).encode()]
        if request.header(b"depth") == "1":
            parts += [self._answer(book, n).encode() for n in book.cards]
        return xml(207, b"".join([*parts, _TAIL]))

    def _sync(self, book: Book, body: bytes) -> Reply:
        found = _TOKEN.search(body)
        since = int((found[1].rpartition(b"/")[2] if found else b"") or 0)
        parts = [self._answer(book, name) for name in book.changed(since)]
        token = f"<sync-token>http://bench/{book.changes}</sync-token>".encode()
        return xml(207, b"".join([_HEAD, "".join(parts).encode(), token, _TAIL]))

    def _answer(self, book: Book, name: str) -> str:
        if name not in book.cards:
            return (
                f"<response><href>{book.path}{name}</href><status>HTTP/1.1 404 Not Found</status></response>"
            )
        etag = book.cards[name].etag
        kind = "<getcontenttype>text/vcard</getcontenttype><resourcetype/>"
        return _response(book.path + name, f"<getetag>{etag}</getetag>{kind}")

    def _multiget(self, book: Book, body: bytes) -> Reply:
        data = b"address-data" in body.split(b"href>", 1)[0]
        parts = []
        for href in _HREF.findall(body):
            name = href.decode().rpartition("/")[2]
            stored = book.cards.get(name)
            if stored is None or not data:
                parts.append(self._answer(book, name))
                continue
            text = escape(stored.text.decode())
            told = f"<getetag>{stored.etag}</getetag><CR:address-data>{text}</CR:address-data>"
            parts.append(_response(book.path + name, told))
        return xml(207, b"".join([_HEAD, "".join(parts).encode(), _TAIL]))

    def _put(self, book: Book, name: str, request: Request) -> Reply:
        stored = book.cards.get(name)
        wanted = request.header(b"if-match")
        if wanted and (stored is None or stored.etag != wanted):
            return Reply(412)
        if stored is not None and request.header(b"if-none-match"):
            return Reply(412)
        etag = book.put(name, request.body)
        return Reply(204 if stored else 201, b"", f"ETag: {etag}\r\n")

    def _delete(self, book: Book, name: str, request: Request) -> Reply:
        stored = book.cards.get(name)
        if stored is None:
            return Reply(404)
        if request.header(b"if-match") not in ("", stored.etag):
            return Reply(412)
        book.drop(name)
        return Reply(204)


def _response(href: str, properties: str) -> str:
    return f"<response><href>{href}</href><propstat><prop>{properties}</prop>{_OK}</propstat></response>"


if __name__ == "__main__":
    serve(DavServer())
