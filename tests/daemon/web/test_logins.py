"""Logging in by a proxy's header and by OpenID Connect, against a provider that signs as a real one does."""

import base64
import hmac
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from crmsync.config.logins import Logins, OidcLogin, ProxyLogin
from crmsync.config.secret import ClearSecret
from crmsync.daemon.web.access import Viewer
from crmsync.daemon.web.oidc import LIFE
from crmsync.daemon.web.people import People
from tests.daemon.fakes import eventually
from tests.daemon.web.site import Answer, Browser, Scene, scene

URL = "https://crmsync.example.com"


def refused(web: Scene) -> list[str]:
    return [line.detail for line in web.desk.kept if line.what == "refused"]


# ── By a header ──────────────────────────────────────────────────────────────────────────────────────────────


class ProxyConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("crmsync.example.com", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


class Proxied(Browser):
    """A browser behind the proxy, which says who it is."""

    def __init__(self, web: Scene, path: Path, who: str) -> None:
        super().__init__(web.server)
        self._path = path
        self.who = who

    def connection(self) -> http.client.HTTPConnection:
        return ProxyConnection(self._path)

    def get(self, path: str, **headers: str) -> Answer:
        return super().get(path, **{"x_remote_user": self.who, **headers})

    def post(self, path: str, fields: Any = (), **headers: str) -> Answer:
        return super().post(path, fields, **{"x_remote_user": self.who, "origin": URL, **headers})


@pytest.fixture
def door(tmp_path: Path) -> Path:
    return tmp_path / "web.sock"


@pytest.fixture
def proxied(door: Path) -> Iterator[Scene]:
    logins = Logins(proxy=ProxyLogin.model_construct(socket=door, group=None, header="X-Remote-User"))
    yield from scene(URL, logins=logins)


@pytest.mark.parametrize(
    ("who", "label"), [("alice", "alice"), ("Alice@Example.com", "alice"), ("root@example.com", "an admin")]
)
def test_a_proxy_says_who_it_is(proxied: Scene, door: Path, who: str, label: str):
    browser = Proxied(proxied, door, who)
    assert browser.get("/").headers["location"] == "/login/proxy"
    there = browser.get("/login/proxy")
    assert (there.status, there.headers["location"]) == (303, "/")
    assert "; secure" in there.headers["set-cookie"].lower()
    assert f"<span>{label}</span>" in browser.get("/").text
    eventually(lambda: proxied.desk.kept)
    assert [(o.who, o.what, o.detail) for o in proxied.desk.kept] == [(label, "login", "by the proxy")]


@pytest.mark.parametrize("who", ["", "eve", "eve@example.com"])
def test_whom_no_account_belongs_to_stays_outside(proxied: Scene, door: Path, who: str):
    browser = Proxied(proxied, door, who)
    assert browser.get("/login/proxy").status == 403
    assert "set-cookie" not in browser.get("/login/proxy").headers


def test_over_tcp_the_header_means_nothing(proxied: Scene):
    browser = proxied.browser()
    browser.place = f"127.0.0.1:{proxied.server.port}"
    assert browser.get("/", x_remote_user="alice").status == 401
    assert browser.get("/login/proxy", x_remote_user="alice").status == 403
    assert proxied.desk.calls == []


def test_two_headers_are_none(proxied: Scene, door: Path):
    with closing(ProxyConnection(door)) as connection:
        connection.putrequest("GET", "/login/proxy")
        for who in ("alice", "root@example.com"):
            connection.putheader("X-Remote-User", who)
        connection.endheaders()
        assert connection.getresponse().status == 403


def test_who_becomes_somebody_else_is_out(proxied: Scene, door: Path):
    browser = Proxied(proxied, door, "alice")
    browser.get("/login/proxy")
    cookie = browser.cookie
    browser.who = "bob"
    assert browser.get("/").status == 401
    browser.who, browser.cookie = "alice", cookie
    assert browser.get("/troubled").status == 401  # that session is over for good
    eventually(lambda: "GET /: a session of somebody else than the proxy names" in refused(proxied))


def test_a_form_still_needs_its_token(proxied: Scene, door: Path):
    browser = Proxied(proxied, door, "alice")
    browser.get("/login/proxy")
    assert browser.post("/sync", {"verb": "sync"}).status == 403
    assert browser.get("/", host="evil.example").status == 421


def test_only_the_proxy_may_use_the_socket(proxied: Scene, door: Path):
    assert door.stat().st_mode & 0o777 == 0o600
    proxied.server.stop()
    assert not door.exists()


# ── By OpenID Connect ────────────────────────────────────────────────────────────────────────────────────────


def b64(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")


@cache
def key_pair(whose: str) -> RSAKey:
    """Made once: it takes longer than a test."""
    return RSAKey.generate_key(2048, {"kid": "one"})


@dataclass
class Provider:
    """Discovery, keys and the token endpoint; ``change`` spoils what it signs."""

    key: RSAKey = field(default_factory=lambda: key_pair("the provider's"))
    signs: Any = None  # with another key
    alg: str = "RS256"
    claims: dict[str, Any] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)  # at the authorization endpoint
    forms: list[dict[str, list[str]]] = field(default_factory=list)
    issuer: str = ""
    told: dict[str, Any] = field(default_factory=dict)  # instead, in the discovery

    def document(self, path: str) -> Any:
        if path == "/.well-known/openid-configuration":
            names = {"authorization_endpoint": "auth", "token_endpoint": "token", "jwks_uri": "keys"}
            places = {name: f"{self.issuer}/{place}" for name, place in names.items()}
            return {"issuer": self.issuer, **places, **self.told}
        return {"keys": [self.key.as_dict(private=False)]}

    def token(self, form: dict[str, list[str]], login: str) -> Any:
        self.forms.append(form)
        challenge = b64(sha256(form["code_verifier"][0].encode()).digest())
        assert challenge.decode() == self.asked["code_challenge"]
        assert base64.b64decode(login.split()[1]) == b"crmsync:secret"
        now = int(time.time())
        said = {"iss": self.issuer, "aud": "crmsync", "sub": "1", "iat": now, "exp": now + 300}
        said |= {"nonce": self.asked["nonce"], "email": "alice@example.com", "email_verified": True}
        signed = {k: v for k, v in {**said, **self.claims}.items() if v is not None}
        header = {"alg": self.alg, "kid": "one"}
        if self.alg == "HS256":
            text = b".".join(b64(json.dumps(part).encode()) for part in (header, signed))
            mac = hmac.digest(self.key.as_pem(private=False), text, sha256)
            return {"id_token": (text + b"." + b64(mac)).decode()}
        return {"id_token": jwt.encode(header, signed, self.signs or self.key, algorithms=[self.alg])}


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(made.document(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._say(made.token(parse_qs(body), self.headers["Authorization"]))

        def _say(self, document: Any) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made.issuer = f"http://127.0.0.1:{server.server_port}"
        yield made
        server.shutdown()


@pytest.fixture
def oidc(provider: Provider) -> Iterator[Scene]:
    login = OidcLogin.model_construct(
        url=provider.issuer, client_id="crmsync", client_secret=ClearSecret("secret"), claim="email",
        ca_file=None, verify=True, insecure_host=None,
    )  # fmt: skip
    yield from scene(logins=Logins.model_construct(admins=(), proxy=None, oidc=login))


def away(browser: Browser, provider: Provider) -> str:
    """To the provider; the address that it sends the browser back to."""
    answer = browser.get("/login/oidc")
    assert answer.status == 303
    provider.asked = {k: v[0] for k, v in parse_qs(urlsplit(answer.headers["location"]).query).items()}
    assert answer.headers["location"].startswith(f"{provider.issuer}/auth?")
    assert "samesite=lax" in answer.headers["set-cookie"].lower()
    return f"/login/oidc/done?code=a-code&state={provider.asked['state']}"


def back(browser: Browser, path: str) -> Answer:
    """As browsers come from another site."""
    return browser.get(
        path, sec_fetch_site="cross-site", sec_fetch_mode="navigate", sec_fetch_dest="document"
    )


def enters(answer: Answer) -> bool:
    return answer.status == 200 and "You are logged in as" in answer.text


def test_somebody_comes_in_by_openid_connect(oidc: Scene, provider: Provider):
    outside = oidc.browser()
    assert 'href="/login/oidc"' in outside.get("/").text
    answer = back(outside, away(outside, provider))
    assert enters(answer)
    assert "<strong>alice</strong>" in answer.text
    cookies = re.findall(r"crmsync-\d+=[^;]+", answer.headers["set-cookie"])
    outside.cookie = cookies[-1]
    assert 'data-account="alice"' in outside.get("/").text
    assert provider.forms[0]["redirect_uri"] == [f"{oidc.server.url}/login/oidc/done"]
    assert [(o.who, o.detail) for o in oidc.desk.kept if o.what == "login"] == [
        ("alice", "by OpenID Connect")
    ]


def test_an_answer_counts_once(oidc: Scene, provider: Provider):
    browser = oidc.browser()
    path, cookie = away(browser, provider), browser.cookie
    assert enters(back(browser, path))
    browser.cookie = cookie
    assert back(browser, path).status == 403


def test_another_browser_cannot_finish_it(oidc: Scene, provider: Provider):
    """Else somebody could be made to log in as the attacker (RFC 6749 section 10.12)."""
    path = away(oidc.browser(), provider)
    assert back(oidc.browser(), path).status == 403
    assert provider.forms == []


def test_who_begins_many_logins_pushes_nobody_out(oidc: Scene, provider: Provider):
    browser, other = oidc.browser(), oidc.browser()
    path = away(browser, provider)
    assert {other.get("/login/oidc").status for _ in range(501)} == {303}
    assert enters(back(browser, path))


def test_a_login_that_failed_can_be_tried_again_and_one_that_was_altered_not(oidc: Scene, provider: Provider):
    browser = oidc.browser()
    path, cookie = away(browser, provider), browser.cookie
    provider.claims = {"email": None}
    assert back(browser, path).status == 403
    provider.claims = {}
    begun, until, mac = cookie.rsplit(".", 2)
    browser.cookie = f"{begun}.{int(until) + 600}.{mac}"
    assert back(browser, path).status == 403
    browser.cookie = cookie
    assert enters(back(browser, path))


def test_an_answer_that_comes_too_late(oidc: Scene, provider: Provider):
    browser = oidc.browser()
    path = away(browser, provider)
    oidc.clock.pass_by(LIFE)
    assert back(browser, path).status == 403


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "another"},
        {"aud": ["another", "third"], "azp": "another"},
        {"aud": None},
        {"exp": 1_700_000_000},
        {"exp": None},
        {"nonce": "another"},
        {"nonce": None},
        {"email": "eve@example.com"},
        {"email": None},
        {"email_verified": False},
        {"email_verified": None},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_us_now_opens_nothing(
    oidc: Scene, provider: Provider, claims: dict[str, Any]
):
    provider.claims = claims
    browser = oidc.browser()
    answer = back(browser, away(browser, provider))
    assert answer.status == 403
    assert "example.com" not in answer.text
    eventually(lambda: refused(oidc))


@pytest.mark.parametrize("how", ["another key", "the public key as a secret"])
def test_a_token_that_the_provider_did_not_sign(oidc: Scene, provider: Provider, how: str):
    if how == "another key":
        provider.signs = key_pair("somebody else's")
    else:  # the old trick: HMAC with what everybody knows
        provider.alg = "HS256"
    browser = oidc.browser()
    assert back(browser, away(browser, provider)).status == 403


@pytest.mark.parametrize(
    "told", [{"issuer": "https://evil.example"}, {"authorization_endpoint": "javascript:x"}]
)
def test_a_provider_that_is_not_the_one(oidc: Scene, provider: Provider, told: dict[str, Any]):
    provider.told = told
    assert oidc.browser().get("/login/oidc").status == 403


def test_without_a_provider_there_is_no_such_page(web: Scene):
    assert web.browser().get("/login/oidc").status == 404
    assert web.browser().get("/login/oidc/done?state=x").status == 404
    assert "/login/oidc" not in web.browser().get("/").text


# ── Who is who ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_name_that_two_accounts_have_is_nobodys():
    people = People(
        ["IT@example.com"], {"alice": ("alice", "team@example.com"), "bob": ("bob", "Team@example.com")}
    )
    assert people.viewer("ALICE ") == Viewer("alice")
    assert people.viewer("team@example.com") is None
    assert people.viewer("it@example.com") == Viewer(None)
    assert people.viewer("") is None
