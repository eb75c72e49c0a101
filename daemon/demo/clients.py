"""Two simple clients that know nothing of the sync: what a person's phone and a CRM user's browser would do.

They set the scene and read back what stands on the servers, so that the tour does not believe the engine's own word.
"""

import base64
import imaplib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode, urljoin

import urllib3
from lxml import etree

API = "/services/data/v59.0"
HREF = "{DAV:}href"


class Refused(Exception):
    """A server said no. The text is for a person."""


@dataclass(frozen=True, slots=True)
class Dav:
    """One address book or calendar."""

    url: str  # with the slash
    username: str
    password: str = field(repr=False)
    pool: urllib3.PoolManager = field(repr=False)

    def get(self, name: str) -> str | None:
        """The item's text, byte for byte; None when it is not there."""
        return self._got(name)[0]

    def put(self, name: str, text: str, *, version: str = "") -> bool:
        """Whether it was written; only over ``version`` where one is given."""
        kind = "text/vcard" if name.endswith(".vcf") else "text/calendar"
        headers = {"Content-Type": f"{kind}; charset=utf-8", **({"If-Match": version} if version else {})}
        answer = self._send("PUT", self.url + quote(name), text, headers)
        if answer.status == 412:
            return False
        _expect(answer, 200, 201, 204)
        return True

    def edit(self, name: str, change: Callable[[str], str]) -> str:
        """What a person's programme does: read, change, write back what was read. The new text."""
        for _ in range(10):
            text, version = self._got(name)
            if text is None:
                raise Refused(f"{self.url}{name} is not there")
            if self.put(name, change(text), version=version):
                return change(text)
        raise Refused(f"{self.url}{name} changes all the time")

    def delete(self, name: str) -> None:
        _expect(self._send("DELETE", self.url + quote(name)), 200, 204)

    def names(self) -> list[str]:
        """Of all items, sorted."""
        ask = '<propfind xmlns="DAV:"><prop><getetag/></prop></propfind>'
        answer = self._send("PROPFIND", self.url, ask, {"Depth": "1", "Content-Type": "application/xml"})
        _expect(answer, 207)
        tree = etree.fromstring(answer.data, etree.XMLParser(resolve_entities=False, no_network=True))
        found = [urljoin(self.url, node.text or "") for node in tree.iter(HREF)]
        return sorted(url.removeprefix(self.url) for url in found if url != self.url)

    def all(self) -> dict[str, str]:
        """Text by name."""
        return {name: text for name in self.names() if (text := self.get(name)) is not None}

    def make(self, body: str) -> None:
        """The collection itself, if it is not there yet (extended MKCOL, RFC 5689)."""
        headers = {"Content-Type": "application/xml; charset=utf-8"}
        if self._send("PROPFIND", self.url, "", {"Depth": "0"}).status == 404:
            _expect(self._send("MKCOL", self.url, body, headers), 201)

    def clock(self) -> datetime:
        """The server's time, in whole seconds."""
        return parsedate_to_datetime(self._send("OPTIONS", self.url).headers["Date"])

    def _got(self, name: str) -> tuple[str | None, str]:
        answer = self._send("GET", self.url + quote(name))
        if answer.status in (404, 410):
            return None, ""
        _expect(answer, 200)
        return answer.data.decode(), answer.headers.get("ETag", "")

    def _send(
        self, method: str, url: str, body: str = "", headers: Mapping[str, str] | None = None
    ) -> urllib3.BaseHTTPResponse:
        token = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        login = {"Authorization": f"Basic {token}"}
        return self.pool.request(method, url, body=body.encode(), headers={**login, **(headers or {})})


@dataclass(slots=True)
class Crm:
    """One user of the CRM; logs in with the first request."""

    url: str
    client_id: str
    client_secret: str = field(repr=False)
    username: str
    password: str = field(repr=False)
    pool: urllib3.PoolManager = field(repr=False)
    _token: str = field(default="", repr=False)

    def query(self, soql: str, *, deleted: bool = False) -> list[dict[str, Any]]:
        """All rows; with ``deleted`` also those in the recycle bin."""
        path = f"{API}/{'queryAll' if deleted else 'query'}?{urlencode({'q': soql})}"
        rows: list[dict[str, Any]] = []
        while path:
            page = self._send("GET", path)
            rows += page["records"]
            path = page.get("nextRecordsUrl", "")
        return rows

    def create(self, type_: str, values: Mapping[str, Any]) -> str:
        return str(self._send("POST", f"{API}/sobjects/{type_}", values)["id"])

    def update(self, type_: str, id_: str, values: Mapping[str, Any]) -> None:
        self._send("PATCH", f"{API}/sobjects/{type_}/{id_}", values)

    def delete(self, type_: str, id_: str) -> None:
        self._send("DELETE", f"{API}/sobjects/{type_}/{id_}")

    def _send(self, method: str, path: str, values: Mapping[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self._logged_in()}", "Content-Type": "application/json"}
        body = None if values is None else json.dumps(values).encode()
        answer = self.pool.request(method, self.url + path, body=body, headers=headers)
        _expect(answer, 200, 201, 204)
        return json.loads(answer.data) if answer.data else None

    def _logged_in(self) -> str:
        if not self._token:
            form = {
                "grant_type": "password",
                "client_id": self.client_id,
                "client_secret": self.client_secret,
                "username": self.username,
                "password": self.password,
            }
            answer = self.pool.request(
                "POST", f"{self.url}/services/oauth2/token", fields=form, encode_multipart=False
            )
            _expect(answer, 200)
            self._token = json.loads(answer.data)["access_token"]
        return self._token


@dataclass(frozen=True, slots=True)
class Mail:
    """One mailbox, as a person's mail programme sees it."""

    port: int
    username: str
    password: str = field(repr=False)

    def deliver(self, message: bytes) -> None:
        with self._open() as mailbox:
            _said(mailbox.append("INBOX", "", "", message))

    def tag(self, message_id: str, keyword: str) -> None:
        with self._open() as mailbox:
            _said(mailbox.select("INBOX"))
            for number in self._found(mailbox, message_id):
                _said(mailbox.store(number, "+FLAGS", f"({keyword})"))

    def shown(self, message_id: str) -> tuple[str, bytes] | None:
        """Flags and content of the message in the inbox; it is not marked as read by that."""
        with self._open() as mailbox:
            _said(mailbox.select("INBOX", readonly=True))
            for number in self._found(mailbox, message_id):
                answer = _said(mailbox.fetch(number, "(FLAGS BODY.PEEK[])"))
                told = [part if isinstance(part, bytes) else part[0] for part in answer]
                content = next(part[1] for part in answer if isinstance(part, tuple))
                return b" ".join(told).decode(), content
        return None

    def _open(self) -> imaplib.IMAP4:
        mailbox = imaplib.IMAP4("127.0.0.1", self.port, timeout=30.0)
        mailbox.login(self.username, self.password)
        return mailbox

    def _found(self, mailbox: imaplib.IMAP4, message_id: str) -> list[str]:
        (numbers,) = _said(mailbox.search(None, f'HEADER Message-ID "{message_id}"'))
        return [str(n) for n in numbers.decode().split()]


def _said(answer: tuple[str, list[Any]]) -> list[Any]:
    kind, data = answer
    if kind != "OK":
        raise Refused(f"the mail server says {kind} {data!r}")
    return data


def _expect(answer: urllib3.BaseHTTPResponse, *statuses: int) -> None:
    if answer.status not in statuses:
        raise Refused(f"{answer.status} {answer.reason} from {answer.url}: {answer.data[:300]!r}")


def new_pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=5.0, read=30.0))


def quoted(text: str) -> str:
    """A SOQL string."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def poll(look: Callable[[], bool], seconds: float, *, every: float = 0.1) -> bool:
    """Whether ``look`` came true within that time."""
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True
