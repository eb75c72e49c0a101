"""OAuth 2.0 (RFC 6749, RFC 7523) and the identity of the user, as Salesforce answers them."""

import base64
import binascii
import datetime
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from crmsync.daemon.crm_api.crm import Crm
from crmsync.daemon.crm_api.messages import Reply
from crmsync.daemon.crm_api.resources import NEWEST
from crmsync.daemon.crm_api.web_flow import WebFlow
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.org import Client
from crmsync.state.replica.sessions import LoginRefused, TooManyAttempts
from crmsync.state.replica.values import encode_datetime

__all__ = ["OAuth"]

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCES = ("https://login.salesforce.com", "https://test.salesforce.com")
SCOPE = "refresh_token api"
_VERSION = re.compile(r"\d{2,3}(\.0)?")
LONGEST_ASSERTION = datetime.timedelta(hours=1)


class Refused(Exception):
    """An error answer of the token endpoint: (error, error_description)."""


class OAuth:
    """The endpoints that give out sessions."""

    def __init__(self, crm: Crm) -> None:
        self._crm = crm
        self.web = WebFlow(crm)

    def token(self, form: Mapping[str, str], authorization: str, origin: str, address: str = "") -> Reply:
        """POST /services/oauth2/token. `origin` is scheme and host as the client sees them, `address` its own."""
        try:
            return self._grant(form, authorization, origin, address)
        except Refused as refused:
            error, description = refused.args
            return Reply(400, {"error": error, "error_description": description}, NO_STORE)

    def revoke(self, form: Mapping[str, str]) -> Reply:
        self._crm.sessions.end(form.get("token", ""))
        if form.get("token"):
            self.web.tokens.revoke(form["token"])
        return Reply(200, {})

    def introspect(self, form: Mapping[str, str], authorization: str, address: str = "") -> Reply:
        """POST /services/oauth2/introspect (RFC 7662)"""
        try:
            client = self._client(form, authorization, address)
        except Refused as refused:
            error, description = refused.args
            return Reply(401, {"error": error, "error_description": description}, NO_STORE)
        session = self._crm.sessions.use(form.get("token", ""))
        if session is None:
            return Reply(200, {"active": False}, NO_STORE)
        user = self._crm.store.read(session.caller, "User", session.caller.user_id)
        content = {
            "active": True, "scope": SCOPE, "client_id": client.id, "username": user["Username"],
            "sub": session.caller.user_id, "token_type": "access_token", "exp": int(session.expires.timestamp()),
        }  # fmt: skip
        return Reply(200, content, NO_STORE)

    def identity(self, caller: Caller, origin: str, version: str = "") -> Reply:
        """GET /id/{org}/{user}; the addresses in it are for a `version`, which may be `latest`, if one is asked for."""
        user = self._crm.store.read(caller, "User", caller.user_id)
        user_id, org_id = caller.user_id, self._crm.org.id
        number = (
            f"{NEWEST}.0" if version == "latest" else version if _VERSION.fullmatch(version) else "{version}"
        )
        urls = {
            "rest": f"{origin}/services/data/v{{version}}/",
            "search": f"{origin}/services/data/v{{version}}/search/",
            "recent": f"{origin}/services/data/v{{version}}/recent/",
            "profile": f"{origin}/{user_id}",
            "custom_domain": origin,
            "sobjects": f"{origin}/services/data/v{{version}}/sobjects/",
            "query": f"{origin}/services/data/v{{version}}/query/",
            "partner": f"{origin}/services/Soap/u/{{version}}/{org_id}",
        }
        content = {
            "id": self._identity_url(origin, user_id),
            "asserted_user": True,
            "user_id": user_id,
            "organization_id": org_id,
            "username": user["Username"],
            "nick_name": user["Alias"],
            "display_name": user["Name"],
            "email": user["Email"],
            "email_verified": True,
            "first_name": user["FirstName"],
            "last_name": user["LastName"],
            "timezone": user["TimeZoneSidKey"],
            "photos": {
                "picture": f"{origin}/profilephoto/005/F",
                "thumbnail": f"{origin}/profilephoto/005/T",
            },
            **dict.fromkeys(("addr_street", "addr_city", "addr_state", "addr_country", "addr_zip")),
            "mobile_phone": None,
            "mobile_phone_verified": False,
            "is_lightning_login_user": False,
            "status": {"created_date": None, "body": None},
            "active": user["IsActive"],
            "user_type": "STANDARD",
            "language": user["LanguageLocaleKey"],
            "locale": user["LocaleSidKey"],
            "utcOffset": 0,
            "last_modified_date": encode_datetime(user["LastModifiedDate"]),
            "is_app_installed": True,
            "urls": {name: url.replace("{version}", number) for name, url in urls.items()},
        }
        return Reply(200, content)

    def user_info(self, caller: Caller, origin: str) -> Reply:
        """GET /services/oauth2/userinfo"""
        user = self._crm.store.read(caller, "User", caller.user_id)
        content = {
            "sub": self._identity_url(origin, caller.user_id),
            "user_id": caller.user_id,
            "organization_id": self._crm.org.id,
            "preferred_username": user["Username"],
            "nickname": user["Alias"],
            "name": user["Name"],
            "given_name": user["FirstName"],
            "family_name": user["LastName"],
            "email": user["Email"],
            "email_verified": True,
            "zoneinfo": user["TimeZoneSidKey"],
            "locale": user["LocaleSidKey"],
            "active": user["IsActive"],
            "user_type": "STANDARD",
        }
        return Reply(200, content)

    def _grant(self, form: Mapping[str, str], authorization: str, origin: str, address: str) -> Reply:
        more: dict[str, Any] = {}
        of = ""  # a code, or a refresh token that may have been made of one
        match form.get("grant_type"):
            case "authorization_code":
                client = self._client(form, authorization, address)
                code = self.web.redeem(form, client)
                if code is None:
                    raise Refused("invalid_grant", "invalid authorization code")
                of = form["code"]
                user_id, more = code.user_id, {"refresh_token": self.web.tokens.new(code.user_id, client.id)}
            case "refresh_token":
                client = self._client(form, authorization, address)
                found = self.web.tokens.user(form.get("refresh_token", ""), client.id)
                if found is None:
                    raise Refused("invalid_grant", "expired access/refresh token")
                user_id, of = found, form["refresh_token"]
            case "password":
                client = self._client(form, authorization, address)
                user_id = self._password(form, address)
            case "client_credentials":
                client = self._client(form, authorization, address)
                user_id = self._run_as(client)
            case grant if grant == JWT_BEARER:
                client, user_id = self._assertion(form.get("assertion", ""), origin)
            case _:
                raise Refused("unsupported_grant_type", "grant type not supported")
        try:
            token = self._crm.sessions.open(user_id)
        except LoginRefused:
            raise Refused("invalid_grant", "inactive user") from None
        if of and not self.web.made(of, token, *more.values()):
            raise Refused("invalid_grant", "invalid authorization code")
        content = self._token_content(client, user_id, token, origin)
        return Reply(200, {**content, **more, **({"scope": SCOPE} if more else {})}, NO_STORE)

    def _token_content(self, client: Client, user_id: str, token: str, origin: str) -> dict[str, Any]:
        identity = self._identity_url(origin, user_id)
        issued_at = str(int(self._crm.clock().timestamp() * 1000))
        signed = hmac.digest(client.secret.encode(), (identity + issued_at).encode(), hashlib.sha256)
        return {
            "access_token": token,
            "signature": base64.b64encode(signed).decode(),
            "instance_url": origin,
            "id": identity,
            "token_type": "Bearer",
            "issued_at": issued_at,
        }

    def _identity_url(self, origin: str, user_id: str) -> str:
        return f"{origin}/id/{self._crm.org.id}/{user_id}"

    def _client(self, form: Mapping[str, str], authorization: str, address: str) -> Client:
        """The client, by form fields or HTTP Basic (RFC 6749, section 2.3.1)."""
        client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
        if authorization.lower().startswith("basic "):
            client_id, secret = _basic(authorization[6:])
        client = self._crm.org.client(client_id)
        if client is None:
            raise Refused("invalid_client_id", "client identifier invalid")
        if not self._crm.sessions.client_may_try(client_id, address):
            raise Refused("invalid_client", "login rate exceeded")
        if not hmac.compare_digest(client.secret.encode(), secret.encode("utf-8", "surrogatepass")):
            self._crm.sessions.client_failed(client_id, address)
            raise Refused("invalid_client", "invalid client credentials")
        return client

    def _password(self, form: Mapping[str, str], address: str) -> str:
        try:
            return self._crm.sessions.log_in(form.get("username", ""), form.get("password", ""), address)
        except TooManyAttempts:
            raise Refused("invalid_grant", "login rate exceeded") from None
        except LoginRefused:
            raise Refused("invalid_grant", "authentication failure") from None

    def _run_as(self, client: Client) -> str:
        if client.run_as is None or client.run_as not in self._crm.users:
            raise Refused("invalid_grant", "no client credentials user enabled")
        return self._crm.users[client.run_as]

    def _assertion(self, text: str, origin: str) -> tuple[Client, str]:
        """A signed JWT (RFC 7523): iss is the client, sub the user, aud this server or Salesforce's log-in."""
        signed, _, signature = text.rpartition(".")
        header, claims = _decoded(signed)
        client = self._crm.org.client(str(claims.get("iss", "")))
        if client is None or client.public_key is None:
            raise Refused("invalid_client_id", "client identifier invalid")
        if header.get("alg") != "RS256" or not _signed(client.public_key, signed, signature):
            raise Refused("invalid_grant", "invalid assertion")
        self._check_claims(claims, origin)
        try:
            root = Caller("", all_records=True)
            user = self._crm.store.find(root, "User", "Username", str(claims.get("sub", "")))
        except Fault:
            raise Refused("invalid_grant", "user hasn't approved this consumer") from None
        return client, user["Id"]

    def _check_claims(self, claims: Mapping[str, Any], origin: str) -> None:
        audience = claims.get("aud")
        given = audience if isinstance(audience, list) else [audience]
        known = {*AUDIENCES, origin, f"{origin}/services/oauth2/token"}
        if not any(isinstance(each, str) and each.rstrip("/") in known for each in given):
            raise Refused("invalid_grant", "audience is invalid")
        expires, now = claims.get("exp"), self._crm.clock().timestamp()
        number = isinstance(expires, int | float) and not isinstance(expires, bool)
        if not number or not now < float(expires) <= now + LONGEST_ASSERTION.total_seconds():  # type: ignore[arg-type]
            raise Refused("invalid_grant", "expired authorization code")


NO_STORE = {"Cache-Control": "no-store"}


def _basic(text: str) -> tuple[str, str]:
    try:
        name, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Refused("invalid_client", "invalid client credentials") from None
    return name, secret


def _unpadded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _decoded(signed: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        header, claims = (json.loads(_unpadded(part)) for part in signed.split("."))
    except (ValueError, RecursionError):
        raise Refused("invalid_grant", "invalid assertion") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise Refused("invalid_grant", "invalid assertion")
    return header, claims


def _signed(public_key: str, signed: str, signature: str) -> bool:
    key = load_pem_public_key(public_key.encode())
    if not isinstance(key, RSAPublicKey):
        return False
    try:
        key.verify(_unpadded(signature), signed.encode("ascii"), PKCS1v15(), SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True
