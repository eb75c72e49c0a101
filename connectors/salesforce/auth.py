"""Logging in: the three OAuth flows, the token reply, and where a token may be sent.

Flows: Salesforce Help, "OAuth 2.0 Username-Password Flow", "… Client Credentials Flow", "… JWT Bearer Flow" (RFC 7523).
"""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from urllib.parse import SplitResult, urlencode, urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from crmsync.connectors.errors import AuthExpired, ConnectorError, ProtocolError, Throttled, Unreachable
from crmsync.connectors.http import Transport
from crmsync.connectors.salesforce.soql import id18, is_id

TOKEN_PATH = "/services/oauth2/token"
LIFETIME = 180  # seconds that an assertion is good for; the server takes no longer one
_VENDOR = ".salesforce.com"


@dataclass(frozen=True, slots=True)
class Password:
    client_id: str
    client_secret: str = field(repr=False)
    username: str
    password: str = field(repr=False)
    security_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Jwt:
    client_id: str
    username: str
    private_key_pem: str = field(repr=False)
    audience: str = "https://login.salesforce.com"


Auth: TypeAlias = Password | ClientCredentials | Jwt


@dataclass(frozen=True, slots=True)
class Session:
    token: str = field(repr=False)
    instance: str  # where the API answers; no slash at the end
    organisation: str  # 18 characters; empty: the reply did not say
    user: str  # 18 characters; empty: the reply did not say


def log_in(http: Transport, url: str, auth: Auth, now: Callable[[], datetime]) -> Session:
    """One token request. Raises AuthExpired when the login is refused, and what ``Http`` raises."""
    answer = http.request(
        "POST",
        url.rstrip("/") + TOKEN_PATH,
        body=urlencode(_form(auth, now), errors="replace").encode(),
        headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
        limit=1 << 20,
    )
    reply = _object(answer.body)
    if answer.status == 200:
        return _session(reply, url)
    raise _refusal(answer.status, reply, url, auth)


def _form(auth: Auth, now: Callable[[], datetime]) -> dict[str, str]:
    match auth:
        case Password():
            return {
                "grant_type": "password",
                "client_id": auth.client_id,
                "client_secret": auth.client_secret,
                "username": auth.username,
                "password": auth.password + auth.security_token,
            }
        case ClientCredentials():
            return {
                "grant_type": "client_credentials",
                "client_id": auth.client_id,
                "client_secret": auth.client_secret,
            }
        case Jwt():
            return {
                "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
                "assertion": assertion(auth, now()),
            }


def assertion(auth: Jwt, at: datetime) -> str:
    """The signed statement of RFC 7523 section 3. Raises AuthExpired when the key cannot be used."""
    try:
        key = load_pem_private_key(auth.private_key_pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise AuthExpired(
            "the CRM login's private key cannot be read",
            hint="private_key_file must hold an RSA key in PEM form, without a passphrase",
        ) from error
    if not isinstance(key, RSAPrivateKey):
        raise AuthExpired(
            "the CRM login's private key is no RSA key", hint="make one with openssl genrsa 2048"
        )
    claims = {
        "iss": auth.client_id,
        "sub": auth.username,
        "aud": auth.audience,
        "exp": int(at.timestamp()) + LIFETIME,
    }
    signed = f"{_part({'alg': 'RS256', 'typ': 'JWT'})}.{_part(claims)}"
    return f"{signed}.{_base64(key.sign(signed.encode(), PKCS1v15(), hashes.SHA256()))}"


def _part(value: Mapping[str, object]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _session(reply: Mapping[str, object], url: str) -> Session:
    token = reply.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise ProtocolError(f"{_host(url)} answered the login without a usable token")
    organisation, user = _identity(str(reply.get("id") or ""))
    return Session(token, trusted_instance(url, str(reply.get("instance_url") or "")), organisation, user)


def _identity(address: str) -> tuple[str, str]:
    """Organisation and user from ``https://host/id/00D…/005…``."""
    parts = _split(address).path.strip("/").split("/")
    if len(parts) >= 3 and parts[-3] == "id" and is_id(parts[-2]) and is_id(parts[-1]):
        return id18(parts[-2]), id18(parts[-1])
    return "", ""


def trusted_instance(url: str, instance: str) -> str:
    """Where the API answers. The token goes to the configured host (never from https down to http), to a host below
    it, or, if the configured one is Salesforce's own, to another of Salesforce's, the last two over https only. Any
    other ``instance_url`` raises ProtocolError: a token is never sent there."""
    if not instance:
        return url.rstrip("/")
    ours, theirs = urlsplit(url), _split(instance)
    host, other = (ours.hostname or "").lower(), (theirs.hostname or "").lower()
    same = other == host and (theirs.scheme == "https" or theirs.scheme == ours.scheme)
    below = other.endswith("." + host) or (host.endswith(_VENDOR) and other.endswith(_VENDOR))
    if other and (same or (below and theirs.scheme == "https")):
        return f"{theirs.scheme}://{theirs.netloc.rpartition('@')[2]}"
    raise ProtocolError(
        f"{_host(url)} sends us to {other or 'an unreadable address'} after the login; the session is not sent there",
        hint="if that address is right, put it into url of this CRM",
    )


def _split(address: str) -> SplitResult:
    """Of what a server says; what is no address has no parts."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def _refusal(status: int, reply: Mapping[str, object], url: str, auth: Auth) -> ConnectorError:
    error, told = _told(reply.get("error"), auth), _told(reply.get("error_description"), auth)
    why = told or error or f"status {status}"
    if status >= 500 or error in ("temporarily_unavailable", "server_error", "unknown_error"):
        return Unreachable(f"{_host(url)} could not handle the login ({why})")
    if "rate exceeded" in told.lower():
        return Throttled(f"{_host(url)} counts too many logins ({why})", retry_after=900.0)
    if status == 404 or not error:
        return ProtocolError(
            f"{_host(url)} does not answer logins as a Salesforce API does (status {status})",
            hint="url of this CRM must be the address of its login, such as https://login.salesforce.com",
        )
    return AuthExpired(f"{_host(url)} refuses the CRM login: {why}", hint=_HINTS.get(error, _advice(auth)))


_HINTS = {
    "invalid_client_id": "client_id is not that of a connected app",
    "invalid_client": "client_id or client_secret is not that of the connected app",
    "invalid_app_access": "an administrator of the CRM must approve the connected app for this user",
    "unsupported_grant_type": "this CRM has the login flow switched off: try another value of auth",
}


def _advice(auth: Auth) -> str:
    match auth:
        case Password():
            return "check username, password and, outside trusted networks, the security token"
        case ClientCredentials():
            return "the connected app needs the client credentials flow and a user to run as"
        case Jwt():
            return (
                "check username, audience, this machine's clock, and that the app knows the key's certificate"
            )


def _told(value: object, auth: Auth) -> str:
    """What the server says, short and printable, and without our secrets should it repeat them."""
    text = "".join(c for c in str(value or "") if c.isprintable())
    for secret in _secrets(auth):
        text = text.replace(secret, "…")
    return text[:160]


def _secrets(auth: Auth) -> list[str]:
    match auth:
        case Password():
            given = [
                auth.password + auth.security_token,
                auth.password,
                auth.security_token,
                auth.client_secret,
            ]
        case ClientCredentials():
            given = [auth.client_secret]
        case Jwt():
            given = []
    return [s for s in given if s]


def _object(body: bytes) -> Mapping[str, object]:
    """The JSON object of a reply, or an empty one: the status says the rest."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _host(url: str) -> str:
    return urlsplit(url).hostname or url
