"""A DAV server under test: where it is, and a few raw requests that set the scene behind a connector's back."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

import urllib3

_MKCOL = """<?xml version="1.0" encoding="utf-8"?>
<D:mkcol xmlns:D="DAV:" xmlns:CR="urn:ietf:params:xml:ns:carddav"><D:set><D:prop>
<D:resourcetype><D:collection/><CR:addressbook/></D:resourcetype><D:displayname>{name}</D:displayname>
</D:prop></D:set></D:mkcol>"""
_MKCALENDAR = """<?xml version="1.0" encoding="utf-8"?>
<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>
<D:displayname>{name}</D:displayname><C:supported-calendar-component-set>{kinds}
</C:supported-calendar-component-set></D:prop></D:set></C:mkcalendar>"""


@dataclass(frozen=True)
class DavServer:
    url: str  # with the slash
    users: Mapping[str, str]  # name -> password; empty: everybody may do everything
    principal: str = "{user}/"  # paths below the url
    books: str = "{user}/"
    calendars: str = "{user}/"
    pid: int = 0
    pool: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False))

    def login(self, user: str = "alice") -> tuple[str, str]:
        """User name and password to configure."""
        return (user, self.users[user]) if self.users else ("", "")

    def principal_url(self, user: str = "alice") -> str:
        return self.url + self.principal.format(user=user)

    def book_url(self, name: str, *, user: str = "alice") -> str:
        return f"{self.url}{self.books.format(user=user)}{quote(name)}/"

    def calendar_url(self, name: str, *, user: str = "alice") -> str:
        return f"{self.url}{self.calendars.format(user=user)}{quote(name)}/"

    def send(
        self,
        method: str,
        url: str,
        body: str | bytes = b"",
        *,
        user: str = "alice",
        headers: Mapping[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """One raw request; any answer is an answer."""
        sent = dict(headers or {})
        if user in self.users:
            token = base64.b64encode(f"{user}:{self.users[user]}".encode()).decode()
            sent["Authorization"] = f"Basic {token}"
        data = body.encode() if isinstance(body, str) else body
        return self.pool.request(method, url, body=data, headers=sent)

    def make_book(self, name: str = "Contacts", *, user: str = "alice") -> str:
        """URL of a new, empty address book."""
        return self._made("MKCOL", self.book_url(name, user=user), _MKCOL.format(name=name), user)

    def make_calendar(
        self, name: str = "Calendar", *, user: str = "alice", kinds: tuple[str, ...] = ("VEVENT", "VTODO")
    ) -> str:
        """URL of a new, empty calendar."""
        comps = "".join(f'<C:comp name="{kind}"/>' for kind in kinds)
        return self._made(
            "MKCALENDAR", self.calendar_url(name, user=user), _MKCALENDAR.format(name=name, kinds=comps), user
        )

    def put(self, url: str, text: str | bytes, *, user: str = "alice") -> str:
        """Its ETag; ``text`` stands at ``url`` afterwards, whatever stood there."""
        kind = "text/vcard" if urlsplit(url).path.endswith(".vcf") else "text/calendar"
        answer = self.send("PUT", url, text, user=user, headers={"Content-Type": f"{kind}; charset=utf-8"})
        assert answer.status in (200, 201, 204), (answer.status, answer.data[:500])
        return str(answer.headers.get("ETag", ""))

    def _made(self, method: str, url: str, body: str, user: str) -> str:
        answer = self.send(
            method, url, body, user=user, headers={"Content-Type": "application/xml; charset=utf-8"}
        )
        assert answer.status == 201, (answer.status, answer.data[:500])
        return url
