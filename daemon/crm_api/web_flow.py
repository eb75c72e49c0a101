"""The web server flow (RFC 6749, section 4.1; PKCE, RFC 7636): a person logs in on a page of the CRM's own, and the
program gets a code, and for that a session and a refresh token.

A code goes to loopback only: clients are not registered with addresses, and whoever gets a code may act for the person.
"""

import base64
import datetime
import hashlib
import hmac
import html
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import urlencode, urlsplit

from crmsync.daemon.crm_api.crm import Crm
from crmsync.daemon.crm_api.messages import Reply
from crmsync.state.replica.org import Client
from crmsync.state.replica.refresh_tokens import RefreshTokens
from crmsync.state.replica.sessions import LoginRefused, TooManyAttempts

__all__ = ["Code", "WebFlow"]

LIFE = datetime.timedelta(minutes=10)
MOST = 1_000  # codes that wait
KEPT = (
    "response_type",
    "client_id",
    "redirect_uri",
    "state",
    "code_challenge",
    "code_challenge_method",
    "scope",
)
LOOPBACK = ("localhost", "127.0.0.1", "::1")
HEADERS = {
    "Content-Type": "text/html;charset=UTF-8",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Log in</title>
<style>body {{ font: 1rem sans-serif; max-width: 24rem; margin: 4rem auto }}
label, input {{ display: block; width: 100% }}
input {{ margin: .3rem 0 1rem; padding: .5rem; box-sizing: border-box }} [role=alert] {{ color: #a00 }}</style>
<main><h1>{title}</h1>{body}</main></html>"""
_FORM = """<p>{client} asks to read and write in the name of whoever logs in here. It runs on this computer.</p>{alert}
<form method="post" action="{action}">
<label for="username">Username</label>
<input id="username" name="username" autocomplete="username" required value="{name}">
<label for="password">Password</label>
<input id="password" name="pw" type="password" autocomplete="current-password" required>
<input type="submit" id="Login" name="Login" value="Log in and allow"></form>"""


@dataclass(frozen=True, slots=True)
class Code:
    """What a code was given for."""

    client_id: str
    user_id: str
    redirect_uri: str
    challenge: str
    ends: datetime.datetime


@dataclass(slots=True)
class _Spent:
    """A code that was exchanged, until it would have ended."""

    ends: datetime.datetime
    made: set[str] = field(default_factory=set)  # of it: sessions and refresh tokens
    again: bool = False  # somebody has come with it a second time


class WebFlow:
    """Codes live in memory: they are used within seconds."""

    def __init__(self, crm: Crm) -> None:
        self._crm, self._lock = crm, Lock()
        self._codes: dict[str, Code] = {}
        self._spent: dict[str, _Spent] = {}
        self.tokens = RefreshTokens(crm.database, crm.clock)

    def authorize(self, asked: Mapping[str, str]) -> Reply:
        """GET /services/oauth2/authorize: leads to the log-in page, where Salesforce has it."""
        wrong = self._wrong(asked)
        if wrong:
            return _page("This log-in cannot go on", f"<p>{html.escape(wrong)}</p>", 400)
        return Reply(302, None, {"Location": _login_url(asked), "Cache-Control": "no-store"})

    def show(self, asked: Mapping[str, str]) -> Reply:
        wrong = self._wrong(asked)
        return self.authorize(asked) if wrong else _form(asked)

    def log_in(self, asked: Mapping[str, str], form: Mapping[str, str], address: str) -> Reply:
        """The page's form. A right password leads back to the program."""
        if self._wrong(asked):
            return self.authorize(asked)
        name = form.get("username", "")
        try:
            user_id = self._crm.sessions.log_in(name, form.get("pw", ""), address)
        except TooManyAttempts:
            return _form(asked, name, "Too many attempts: wait a minute and try again.", 429)
        except LoginRefused:
            return _form(asked, name, "User name or password is wrong.", 200)
        code = self._new_code(asked, user_id)
        state = {"state": asked["state"]} if "state" in asked else {}
        separator = "&" if urlsplit(asked["redirect_uri"]).query else "?"
        location = f"{asked['redirect_uri']}{separator}{urlencode({'code': code, **state})}"
        return Reply(
            302, None, {"Location": location, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        )

    def redeem(self, form: Mapping[str, str], client: Client) -> Code | None:
        """What the code stands for, once; None for one that is not this client's, is too old, or lacks its verifier.

        Whoever comes with it again, or whoever came first, has stolen it: what was made of it ends (RFC 6749, section
        4.1.2).
        """
        given = form.get("code", "")
        with self._lock:
            code = self._codes.pop(given, None)
            if code is not None:
                self._spend(given, code)
        if code is None:
            self._stolen(given)
            return None
        if code.ends <= self._crm.clock() or code.client_id != client.id:
            return None
        if code.redirect_uri != form.get("redirect_uri", ""):
            return None
        if code.challenge and not hmac.compare_digest(
            code.challenge.encode("utf-8", "surrogatepass"),
            _challenge(form.get("code_verifier", "")).encode(),
        ):
            return None
        return code

    def _spend(self, given: str, code: Code) -> None:
        now = self._crm.clock()
        self._spent = {k: v for k, v in self._spent.items() if v.ends > now}
        while len(self._spent) >= MOST:
            self._spent.pop(next(iter(self._spent)))
        self._spent[given] = _Spent(code.ends)

    def made(self, of: str, *tokens: str) -> bool:
        """Notes what was made of a code, or of a refresh token that was. False where the code has been seen a second
        time meanwhile: these are ended, too."""
        with self._lock:
            spent = next((s for code, s in self._spent.items() if code == of or of in s.made), None)
            if spent is None:  # it would have ended by now
                return True
            spent.made.update(tokens)
        if spent.again:
            self._end(spent)
        return not spent.again

    def _stolen(self, code: str) -> None:
        with self._lock:
            spent = self._spent.get(code)
            if spent is None:
                return
            spent.again = True
        self._end(spent)

    def _end(self, spent: _Spent) -> None:
        for each in tuple(spent.made):
            self._crm.sessions.end(each)
            self.tokens.revoke(each)

    def _new_code(self, asked: Mapping[str, str], user_id: str) -> str:
        code, now = f"aPrx{secrets.token_urlsafe(40)}", self._crm.clock()
        with self._lock:
            self._codes = {k: v for k, v in self._codes.items() if v.ends > now}
            while len(self._codes) >= MOST:
                self._codes.pop(next(iter(self._codes)))
            self._codes[code] = Code(
                asked["client_id"],
                user_id,
                asked["redirect_uri"],
                asked.get("code_challenge", ""),
                now + LIFE,
            )
        return code

    def _wrong(self, asked: Mapping[str, str]) -> str:
        """What is wrong with the request, in words for the person; nothing of it may lead anywhere."""
        if self._crm.org.client(asked.get("client_id", "")) is None:
            return "No program of this name (client_id) may log people in here."
        if asked.get("response_type") != "code":
            return "Only response_type=code is known."
        if not _is_loopback(asked.get("redirect_uri", "")):
            return "redirect_uri has to be an http address of this computer, such as http://localhost:1717/callback."
        if asked.get("code_challenge") and asked.get("code_challenge_method", "S256") != "S256":
            return "Only S256 is known as code_challenge_method."
        return ""


def _is_loopback(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    plain = uri.isascii() and uri.isprintable() and not set(uri) & set(' "<>\\^`{|}#')
    return plain and parts.scheme in ("http", "https") and host in LOOPBACK and "@" not in parts.netloc


def _login_url(asked: Mapping[str, str]) -> str:
    return f"/?{urlencode({'ec': '302', **{name: asked[name] for name in KEPT if name in asked}})}"


def _form(asked: Mapping[str, str], name: str = "", alert: str = "", status: int = 200) -> Reply:
    values = {"client": asked["client_id"], "action": _login_url(asked), "name": name}
    said = f'<p role="alert">{html.escape(alert)}</p>' if alert else ""
    body = _FORM.format(alert=said, **{key: html.escape(value) for key, value in values.items()})
    return _page("Log in to the CRM", body, status)


def _page(title: str, body: str, status: int) -> Reply:
    return Reply(
        status, _PAGE.format(title=html.escape(title), body=body).encode("utf-8", "replace"), HEADERS
    )


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
