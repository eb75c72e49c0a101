"""Sends what a person's browser sends to the CRM's pages, unless the test wants other headers."""

import html
import http.client
import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def to(self) -> str:
        """Where it leads."""
        return self.headers.get("location", "")

    @property
    def record(self) -> str:
        """The id of the record that it leads to."""
        found = re.match(r"/crm/(\w{18})(\?|$)", self.to)
        assert found is not None, (self.status, self.to, self.text)
        return found[1]

    def fields(self) -> dict[str, str]:
        """What a browser would send of its form, if nothing was touched."""
        form = re.search(
            r'<form method="post" action="/crm/[^"]+/(?:edit|new|delete|convert)".*?</form>', self.text, re.S
        )
        assert form is not None, self.text
        sent = {}
        for tag in re.findall(r"<input\b[^>]*>", form[0]):
            named = {k: html.unescape(v) for k, v in re.findall(r'([\w-]+)="([^"]*)"', tag)}
            box = named.get("type") in ("checkbox", "radio")
            if "name" in named and (not box or re.search(r"\schecked\b", tag)):
                sent[named["name"]] = named.get("value", "on")
        for name, inner in re.findall(
            r'<textarea\b[^>]*name="([^"]+)"[^>]*>\n(.*?)</textarea>', form[0], re.S
        ):
            sent[name] = html.unescape(inner)
        for name, inner in re.findall(r'<select\b[^>]*name="([^"]+)"[^>]*>(.*?)</select>', form[0], re.S):
            chosen = re.search(r'value="([^"]*)" selected', inner) or re.search(r'value="([^"]*)"', inner)
            sent[name] = html.unescape(chosen[1]) if chosen else ""
        return sent


class Person:
    def __init__(self, url: str, at: str = "127.0.0.1") -> None:
        """`at`: where the browser is."""
        self.url, self.at = url, at
        self.cookie = ""

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, None, {"Sec-Fetch-Site": "none", **_named(headers)})

    def post(self, path: str, fields: Any = (), **headers: str) -> Answer:
        own = {"Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        own["Content-Type"] = "application/x-www-form-urlencoded"
        return self.send("POST", path, urlencode(fields), {**own, **_named(headers)})

    def send(self, method: str, path: str, body: str | None, headers: Mapping[str, str]) -> Answer:
        """A header with an empty value is left out."""
        given = {"Cookie": self.cookie, **headers}
        made = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30, source_address=(self.at, 0))
        with closing(made) as connection:
            connection.request(method, path, body, {k: v for k, v in given.items() if v})
            got = connection.getresponse()
            answer = Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read().decode())
        if cookie := answer.headers.get("set-cookie"):
            self.cookie = cookie.partition(";")[0]
        return answer

    def login(self, username: str, password: str, following: str = "/crm") -> Answer:
        return self.post("/crm/login", {"username": username, "password": password, "next": following})

    def make(self, name: str, **fields: str) -> str:
        """The id of a new record, made in its form."""
        sent = self.get(f"/crm/{name}/new").fields()
        return self.post(f"/crm/{name}/new", {**sent, **{f"f.{k}": v for k, v in fields.items()}}).record

    def edit(self, record: str, form: Mapping[str, str] | None = None, **fields: str) -> Answer:
        """`form`: one that was opened before."""
        sent = form if form is not None else self.get(f"/crm/{record}/edit").fields()
        return self.post(f"/crm/{record}/edit", {**sent, **{f"f.{k}": v for k, v in fields.items()}})


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-").title(): value for name, value in headers.items()}
