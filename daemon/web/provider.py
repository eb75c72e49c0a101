"""An OpenID Connect provider: discovery, the code for a token, and whether the token is what it says (OpenID Connect
Core 1.0, sections 3.1.2 to 3.1.3.7; PKCE by RFC 7636). Needs the extra ``oidc``."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlencode

import urllib3

from crmsync.config.secret import SecretError
from crmsync.config.values import host
from crmsync.daemon.outgoing import asked, trusting

if TYPE_CHECKING:
    from crmsync.config.logins import OidcLogin

# neither an HMAC, whose key could be one that everybody knows, nor "none"
SIGNED_BY = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
LARGEST = 512 * 1024  # bytes of an answer
SECONDS = 10.0
SKEW = 60  # seconds that our clocks may differ


class NotLoggedIn(Exception):
    """The sentence is for the log; it holds no token."""


@dataclass(slots=True)
class Provider:
    config: "OidcLogin"
    _known: Mapping[str, Any] = field(default_factory=dict)

    def address(self, redirect: str, state: str, nonce: str, verifier: str) -> str:
        """Where to send the browser. Raises NotLoggedIn."""
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        asked = {
            "response_type": "code",
            "scope": "openid email profile",
            "client_id": self.config.client_id,
            "redirect_uri": redirect,
            "state": state,
            "nonce": nonce,
            "code_challenge": create_s256_code_challenge(verifier),
            "code_challenge_method": "S256",
        }
        place = self._place("authorization_endpoint")
        return f"{place}{'&' if '?' in place else '?'}{urlencode(asked)}"

    def name(self, code: str, redirect: str, nonce: str, verifier: str, now: datetime) -> str:
        """Who it is. Raises NotLoggedIn."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect,
            "code_verifier": verifier,
        }
        try:
            secret = self.config.client_secret.reveal()
        except SecretError as error:
            raise NotLoggedIn(f"[login.oidc] client_secret: {error}") from error
        pair = f"{quote_plus(self.config.client_id)}:{quote_plus(secret)}"  # RFC 6749 section 2.3.1
        headers = {
            "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        answer = self._asked("POST", self._place("token_endpoint"), urlencode(form), headers)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise NotLoggedIn("the provider gave no id_token")
        return self._named(self._claims(token, nonce, now))

    def _claims(self, token: str, nonce: str, now: datetime) -> Mapping[str, Any]:
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        try:
            keys = KeySet.import_key_set(self._asked("GET", self._place("jwks_uri")))  # type: ignore[arg-type]
            read = jwt.decode(token, keys, algorithms=SIGNED_BY)
            claims = CodeIDToken(
                read.claims,
                read.header,
                options={
                    "iss": {"essential": True, "value": self._discovered()["issuer"]},
                    "aud": {"essential": True},
                },
                params={"nonce": nonce, "client_id": self.config.client_id},
            )
            claims.validate(now=int(now.timestamp()), leeway=SKEW)
        except NotLoggedIn:
            raise
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise NotLoggedIn(f"the id_token is not accepted: {type(error).__name__}") from error
        except Exception as error:  # Authlib's own errors have no common base with joserfc's
            raise NotLoggedIn(f"the id_token is not accepted: {type(error).__name__}") from error
        audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if self.config.client_id not in audience:
            raise NotLoggedIn("the id_token is for somebody else")
        return dict(claims)

    def _named(self, claims: Mapping[str, Any]) -> str:
        name = claims.get(self.config.claim)
        if not isinstance(name, str) or not name:
            raise NotLoggedIn(f"the id_token says no {self.config.claim}")
        if self.config.claim == "email" and claims.get("email_verified") is not True:
            raise NotLoggedIn("the provider has not verified the address")
        return name

    def _place(self, name: str) -> str:
        place = self._discovered().get(name)
        if not isinstance(place, str) or not place.startswith(("https://", "http://")):
            raise NotLoggedIn(f"the provider names no {name}")
        if place.startswith("http://") and not self.config.url.startswith("http://"):
            raise NotLoggedIn(f"the provider's {name} is not by TLS")
        return place

    def _discovered(self) -> Mapping[str, Any]:
        if not self._known:
            issuer = self.config.url.rstrip("/")
            known = self._asked("GET", f"{issuer}/.well-known/openid-configuration")
            if str(known.get("issuer", "")).rstrip("/") != issuer:
                raise NotLoggedIn("the provider calls itself otherwise than url does")
            self._known = known
        return self._known

    def _asked(
        self, method: str, url: str, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        given = {"Accept": "application/json", **(headers or {})}
        try:
            # what the provider names may be on other hosts, of which `verify = false` was not said
            verify = self.config.verify or host(url) != host(self.config.url)
            trust = trusting(self.config.ca_file, verify)
            answer = asked(method, url, body=body, headers=given, trust=trust, seconds=SECONDS, most=LARGEST)
            if answer.status != 200 or len(answer.body) > LARGEST:
                raise NotLoggedIn(f"the provider answers with {answer.status}")
            found = json.loads(answer.body)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise NotLoggedIn(f"the provider does not answer as it should: {type(error).__name__}") from error
        if not isinstance(found, dict):
            raise NotLoggedIn("the provider does not answer with a JSON object")
        return found
