"""The status page as a person's browser uses it: a login link, a page, its form."""

import re
from collections.abc import Sequence
from html import unescape
from urllib.parse import urlencode, urlsplit

import urllib3

from crmsync.daemon.demo.clients import Refused


class Page:
    """Somebody who is logged in."""

    def __init__(self, link: str) -> None:
        """``link``: from ``crmsync login-link``. Raises Refused."""
        place = urlsplit(link)
        self._origin = f"{place.scheme}://{place.netloc}"
        self._pool = urllib3.PoolManager(timeout=30.0, retries=False)
        self._cookie = ""
        answer = self._send("POST", "/login", [("link", link.rpartition("link=")[2])])
        self._cookie = answer.headers.get("Set-Cookie", "").partition(";")[0]

    def read(self, path: str) -> str:
        return self._send("GET", path).data.decode()

    def decide(self, path: str, page: str, fields: Sequence[tuple[str, str]]) -> None:
        """Sends a form of this page."""
        found = re.search(r'name="token" value="([^"]+)"', page)
        self._send("POST", path, [("token", unescape(found[1]) if found else ""), *fields])

    def close(self) -> None:
        self._pool.clear()

    def _send(
        self, method: str, path: str, fields: Sequence[tuple[str, str]] = ()
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Cookie": self._cookie, "Origin": self._origin, "Sec-Fetch-Site": "same-origin"}
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        body = urlencode(fields) if method == "POST" else None
        answer = self._pool.request(
            method,
            self._origin + path,
            body=body,
            headers={k: v for k, v in headers.items() if v},
            redirect=False,
        )
        if answer.status >= 400:
            raise Refused(f"the status page answers {method} {path} with {answer.status}")
        return answer
