"""The floor: the least that any client has to do for the same work, ``python -m tests.bench.floor``.

Raw sockets that stay open, as many writes at a time as the service has, one request for each thing that has to be asked
or said. It merges nothing, keeps no state, reads nothing back, and looks for no partner.
"""

import base64
import json
import queue
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote, urlsplit

from lxml import etree

from tests.bench.meter import measured, take_commands

MULTIGET, COLLECTION = 100, 200  # items, records at a time: as the service
_CHUNK = 1 << 16  # bytes; room for a megabyte would cost 20 µs to get, each time
_NAMESPACES = 'xmlns:D="DAV:" xmlns:CR="urn:ietf:params:xml:ns:carddav"'
_DAV, _CARDDAV = "{DAV:}", "{urn:ietf:params:xml:ns:carddav}"
_XML = "Content-Type: application/xml; charset=utf-8\r\nDepth: {depth}\r\n"
_STAMP = "X-CRMSYNC-LINK:" + "0" * 150 + "\r\nEND:VCARD"
_LINE = re.compile(r"^(N|TITLE|EMAIL|TEL|UID)[;:](.*)$", re.MULTILINE)

T = TypeVar("T")


class Answer(NamedTuple):
    status: int
    etag: str
    body: bytes


class Connection:
    """One connection that stays open."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._socket: socket.socket | None = None

    def send(self, method: str, path: str, body: bytes, headers: str) -> Answer:
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\n{headers}"
        data = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        if self._socket is not None:
            try:
                self._socket.sendall(data)
                if first := self._socket.recv(_CHUNK):
                    return self._answer(first)
            except ConnectionError:
                pass  # closed by the server between two requests; nothing of this one was taken
        self._socket = socket.socket()  # a name would be looked up each time: the address is a number
        self._socket.connect((self._host, self._port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(data)
        return self._answer(self._socket.recv(_CHUNK))

    def _answer(self, data: bytes) -> Answer:
        assert self._socket is not None
        while b"\r\n\r\n" not in data:
            data += self._more()
        raw, _, body = data.partition(b"\r\n\r\n")
        lines = raw.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        body = self._body(headers, body)
        if headers.get("connection", "").lower() == "close" or lines[0].startswith("HTTP/1.0"):
            self._socket.close()
            self._socket = None
        return Answer(int(lines[0].split(" ")[1]), headers.get("etag", ""), body)

    def _body(self, headers: dict[str, str], begun: bytes) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            return self._chunks(begun)
        parts, left = [begun], int(headers.get("content-length", 0)) - len(begun)
        while left > 0:
            parts.append(self._more())
            left -= len(parts[-1])
        return b"".join(parts)

    def _chunks(self, data: bytes) -> bytes:
        parts: list[bytes] = []
        while True:
            while b"\r\n" not in data:
                data += self._more()
            size, _, data = data.partition(b"\r\n")
            length = int(size, 16)
            while len(data) < length + 2:
                data += self._more()
            if not length:
                return b"".join(parts)
            parts.append(data[:length])
            data = data[length + 2 :]

    def _more(self) -> bytes:
        assert self._socket is not None
        data = self._socket.recv(_CHUNK)
        if not data:
            raise ConnectionError("the server closed the connection in the middle of an answer")
        return data


class Peer:
    """A server, with a connection for each request under way."""

    def __init__(self, url: str, headers: str = "") -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname or "", parts.port or 80)
        self._headers = headers
        self._idle: queue.LifoQueue[Connection] = queue.LifoQueue()
        self.path = parts.path
        self.requests = 0

    def send(self, method: str, path: str, body: bytes = b"", headers: str = "") -> Answer:
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = Connection(*self._address)
        answer = connection.send(method, path, body, self._headers + headers)
        self._idle.put(connection)
        self.requests += 1
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
        return answer


class Stored(NamedTuple):
    href: str
    etag: str
    text: str


class Book:
    def __init__(self, peer: Peer, parallel: int) -> None:
        """``parallel``: writes at a time; Xandikos takes one."""
        self.peer = peer
        self._crew = ThreadPoolExecutor(parallel)  # at work already, as a service's is

    def warm_up(self) -> None:
        """What any service has behind it: its login, its threads, its connections."""
        for _ in self._crew.map(lambda _: self.changed(), range(16)):
            pass

    def changed(self, token: str = "") -> tuple[list[Stored], str]:
        """Names and versions of what changed, and the next token."""
        asked = (
            f"<D:sync-token>{token}</D:sync-token><D:sync-level>1</D:sync-level><D:prop><D:getetag/></D:prop>"
        )
        root = self._report("sync-collection", "D", asked)
        return list(_stored(root, self.peer.path)), root.findtext(_DAV + "sync-token") or ""

    def texts(self, hrefs: Sequence[str]) -> Iterator[Stored]:
        for some in batched(hrefs, MULTIGET):
            listed = "".join(f"<D:href>{h}</D:href>" for h in some)
            asked = f"<D:prop><D:getetag/><CR:address-data/></D:prop>{listed}"
            yield from _stored(self._report("addressbook-multiget", "CR", asked), self.peer.path)

    def put(self, items: Sequence[Stored], *, new: bool = False) -> None:
        """Each over the version that it has, or as a new one; several at a time."""

        def one(item: Stored) -> None:
            condition = "If-None-Match: *" if new else f"If-Match: {item.etag}"
            kind = "Content-Type: text/vcard; charset=utf-8\r\n"
            self.peer.send("PUT", item.href, item.text.encode(), f"{kind}{condition}\r\n")

        for _ in self._crew.map(one, items):
            pass

    def _report(self, name: str, prefix: str, asked: str) -> etree._Element:
        body = f'<?xml version="1.0"?><{prefix}:{name} {_NAMESPACES}>{asked}</{prefix}:{name}>'
        answer = self.peer.send("REPORT", self.peer.path, body.encode(), _XML.format(depth=0))
        return etree.fromstring(answer.body, etree.XMLParser(huge_tree=True))


def _stored(root: etree._Element, collection: str) -> Iterator[Stored]:
    for response in root.iter(_DAV + "response"):
        href, etag, text = response.findtext(_DAV + "href") or "", "", ""
        for prop in response.iter(_DAV + "prop"):
            etag = prop.findtext(_DAV + "getetag") or etag
            text = prop.findtext(_CARDDAV + "address-data") or text
        if href != collection and etag:
            yield Stored(href, etag, text)


def batched(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


class Crm:
    def __init__(self, url: str, login: str) -> None:
        """``login``: the form that the token is asked for with."""
        form = "Content-Type: application/x-www-form-urlencoded\r\n"
        told = json.loads(Peer(url).send("POST", "/services/oauth2/token", login.encode(), form).body)
        self.user = told["id"].rpartition("/")[2]
        self.peer = Peer(url, f"Authorization: Bearer {told['access_token']}\r\n")
        self._root = "/services/data/v59.0"

    def upsert(self, rows: Iterable[dict[str, Any]]) -> list[str]:
        """By the external id, in collections; the records' ids."""
        path = f"{self._root}/composite/sobjects/Contact/Crmsync_Id__c"
        ids: list[str] = []
        for some in batched(list(rows), COLLECTION):
            ids += [result["id"] for result in self._write("PATCH", path, some)]
        return ids

    def update(self, rows: Sequence[dict[str, Any]]) -> None:
        for some in batched(rows, COLLECTION):
            self._write("PATCH", f"{self._root}/composite/sobjects", some)

    def delete(self, ids: Sequence[str]) -> None:
        for some in batched(ids, COLLECTION):
            self.peer.send("DELETE", f"{self._root}/composite/sobjects?ids={','.join(some)}&allOrNone=false")

    def query(self, text: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(
            self.peer.send("GET", f"{self._root}/queryAll?q={quote(text, safe='')}").body
        )["records"]
        return rows

    def _write(self, method: str, path: str, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        records = [{"attributes": {"type": "Contact"}, **row} for row in rows]
        body = json.dumps({"allOrNone": False, "records": records}).encode()
        answer = self.peer.send(method, path, body, "Content-Type: application/json\r\n")
        results: list[dict[str, Any]] = json.loads(answer.body)
        assert all(r["success"] for r in results), results[:1]
        return results


def row_of(text: str, owner: str) -> dict[str, Any]:
    found = {name: value.strip() for name, value in _LINE.findall(text)}
    last, first = found["N"].split(";")[:2]
    mail, phone = found["EMAIL"].rpartition(":")[2], found["TEL"].rpartition(":")[2]
    row = {"LastName": last, "FirstName": first, "Title": found["TITLE"], "Email": mail, "Phone": phone}
    return {**row, "MailingCity": "Exampletown", "OwnerId": owner, "Crmsync_Id__c": found["UID"]}


class Floor:
    def __init__(self) -> None:
        self._books: dict[str, Book] = {}
        self._crm: Crm | None = None

    def login(
        self,
        *,
        book: str,
        user: str = "",
        password: str = "",
        crm: str = "",
        form: str = "",
        parallel: int = 4,
    ) -> dict[str, Any]:
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        headers = f"Authorization: Basic {token}\r\n" if user else ""
        self._books["here"] = Book(Peer(book, headers), parallel)
        self._books["here"].warm_up()
        self._crm = Crm(crm, form) if crm else None
        return {}

    def first_sync(self) -> dict[str, Any]:
        """Every card becomes a record, and carries the stamp of its link afterwards."""
        book, crm = self._books["here"], self._crm
        assert crm is not None

        def work() -> int:
            changed, _ = book.changed()
            cards = list(book.texts([c.href for c in changed]))
            crm.upsert([row_of(c.text, crm.user) for c in cards])
            book.put([c._replace(text=c.text.replace("END:VCARD", _STAMP)) for c in cards])
            return len(cards)

        return self._measured(work)

    def copy(self, *, target: str) -> dict[str, Any]:
        """Every card into another, empty book: what a tool that only copies does."""
        book, other = self._books["here"], Book(Peer(target), 4)

        def work() -> int:
            changed, _ = book.changed()
            there, _ = other.changed()
            assert not there
            cards = list(book.texts([c.href for c in changed]))
            name = other.peer.path
            other.put([c._replace(href=name + c.href.rpartition("/")[2]) for c in cards], new=True)
            return len(cards)

        told = self._measured(work)
        return {**told, "requests": told["requests"] + other.peer.requests}

    def _measured(self, work: Callable[[], int]) -> dict[str, Any]:
        peers = [b.peer for b in self._books.values()] + ([self._crm.peer] if self._crm else [])
        before = sum(p.requests for p in peers)
        told: dict[str, Any] = {}
        with measured(told):
            items = work()
        return {**told, "items": items, "requests": sum(p.requests for p in peers) - before}


if __name__ == "__main__":
    floor = Floor()
    take_commands({"login": floor.login, "first_sync": floor.first_sync, "copy": floor.copy})
