"""How a login shows who it is: a password (Basic, NTLM), a bearer token that was given, or one fetched with OAuth 2."""

import base64
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from urllib.parse import urlencode

import requests
from exchangelib.transport import NTLM, get_auth_instance
from requests.auth import AuthBase

from crmsync.connectors.errors import AuthExpired, ProtocolError
from crmsync.connectors.http import Http

SCOPE = "https://outlook.office365.com/.default"
_EARLY = timedelta(minutes=2)  # a token is not used up to its last second
_MAX_ANSWER = 256 * 1024


@dataclass(frozen=True, slots=True)
class Basic:
    username: str
    password: str


@dataclass(frozen=True, slots=True)
class Ntlm:
    username: str  # DOMAIN\name, or an address
    password: str


@dataclass(frozen=True, slots=True)
class Token:
    token: str


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    client_id: str
    client_secret: str
    token_url: str
    scope: str = SCOPE


Login: TypeAlias = Basic | Ntlm | Token | ClientCredentials


class Header(AuthBase):
    """Asks for the header anew with every request."""

    def __init__(self, header: Callable[[], str]) -> None:
        self._header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header()
        return request


def authenticator(login: Login, tokens: "Tokens | None") -> Any:
    """What a session of requests takes as ``auth``. NTLM belongs to one connection: each session gets its own."""
    match login:
        case Basic(username, password):
            pair = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
            return Header(lambda: f"Basic {pair}")
        case Ntlm(username, password):
            name = f"\\{username}" if "@" in username else username
            return get_auth_instance(auth_type=NTLM, username=name, password=password)
        case Token(token):
            return Header(lambda: f"Bearer {token}")
        case ClientCredentials():
            assert tokens is not None
            return Header(lambda: f"Bearer {tokens.current()}")


class Tokens:
    """Client credentials (RFC 6749 4.4): one token for all sessions of a login, renewed before it runs out."""

    def __init__(
        self, login: ClientCredentials, *, ca_file: str | None, verify: bool, now: Callable[[], datetime]
    ) -> None:
        self._login = login
        self._now = now
        self._http = Http(login.token_url, ca_file=ca_file, verify=verify, connections=1, now=now)
        self._lock = threading.Lock()
        self._token = ""
        self._until = datetime.min.replace(tzinfo=UTC)

    def current(self) -> str:
        with self._lock:
            if not self._token or self._now() >= self._until:
                self._fetch()
            return self._token

    def forget(self) -> None:
        with self._lock:
            self._token = ""

    def close(self) -> None:
        self._http.close()

    def _fetch(self) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._login.client_id,
            "client_secret": self._login.client_secret,
            "scope": self._login.scope,
        }
        answer = self._http.request(
            "POST",
            self._login.token_url,
            body=urlencode(form).encode(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            limit=_MAX_ANSWER,
        )
        if answer.status in (400, 401, 403):
            raise AuthExpired(
                f"{self._login.token_url}: the client is not given a token ({answer.status})",
                hint="check client_id and client_secret, and that the application may use Exchange",
            )
        try:
            told = json.loads(answer.body)
            token, seconds = told["access_token"], float(told.get("expires_in", 3600))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ProtocolError(f"{self._login.token_url} answers with no token ({answer.status})") from None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise ProtocolError(f"{self._login.token_url} answers with a token that is none")
        self._token = token
        self._until = self._now() + max(timedelta(seconds=min(seconds, 86_400.0)) - _EARLY, timedelta(0))
