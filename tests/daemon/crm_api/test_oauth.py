"""Tokens and identities."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crmsync.daemon.crm_api.crm import system_clock
from tests.daemon.crm_api.conftest import Api
from tests.servers.embedded_crm import embedded_crm

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
KEY = rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def nobody() -> Iterator[Api]:
    """A CRM that knows the client's public key."""
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with embedded_crm(public_key=public) as crm, urllib3.PoolManager(retries=False, timeout=30) as pool:
        yield Api(crm, pool)


def password_form(api: Api, **changes: str) -> dict[str, str]:
    crm = api.crm
    return {
        "grant_type": "password",
        "client_id": crm.client_id,
        "client_secret": crm.client_secret,
        "username": crm.alice.username,
        "password": crm.alice.password,
        **changes,
    }


def b64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def assertion(api: Api, *, key: Any = KEY, alg: str = "RS256", **changes: Any) -> str:
    claims = {
        "iss": api.crm.client_id,
        "sub": api.crm.alice.username,
        "aud": "https://login.salesforce.com",
        "exp": int(system_clock().timestamp()) + 180,
        **changes,
    }
    signed = f"{b64(json.dumps({'alg': alg}).encode())}.{b64(json.dumps(claims).encode())}"
    signature = (
        key.sign(signed.encode(), PKCS1v15(), SHA256()) if isinstance(key, rsa.RSAPrivateKey) else b"x"
    )
    return f"{signed}.{b64(signature)}"


def test_password_grant(nobody: Api) -> None:
    answer = nobody.token(**password_form(nobody))
    reply = answer.json
    assert answer.headers["Cache-Control"] == "no-store"
    assert set(reply) == {"access_token", "instance_url", "id", "token_type", "issued_at", "signature"}
    assert reply["instance_url"] == nobody.crm.url
    assert reply["id"].endswith(nobody.crm.alice.id)
    signed = (reply["id"] + reply["issued_at"]).encode()
    expected = hmac.digest(nobody.crm.client_secret.encode(), signed, hashlib.sha256)
    assert reply["signature"] == base64.b64encode(expected).decode()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "magic"}, "unsupported_grant_type"),
        ({"client_id": "other"}, "invalid_client_id"),
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_secret": "\ud83d"}, "invalid_client"),
        ({"password": "wrong"}, "invalid_grant"),
        ({"username": "nobody@example.com"}, "invalid_grant"),
        ({"username": "", "password": ""}, "invalid_grant"),
    ],
)
def test_password_grant_refused(nobody: Api, changes: dict[str, str], error: str) -> None:
    form = {k: v.encode("utf-8", "surrogatepass") for k, v in password_form(nobody, **changes).items()}
    answer = nobody.token(**form)  # type: ignore[arg-type]
    assert (answer.status, answer.json["error"]) == (400, error)
    assert answer.json["error_description"]


def test_client_credentials_run_as_the_integration_user(nobody: Api) -> None:
    crm = nobody.crm
    basic = base64.b64encode(f"{crm.client_id}:{crm.client_secret}".encode()).decode()
    sent = {"Content-Type": "application/x-www-form-urlencoded", "Authorization": f"Basic {basic}"}
    answer = nobody("POST", "/services/oauth2/token", raw=b"grant_type=client_credentials", headers=sent)
    assert answer.json["id"].endswith(crm.sync.id)
    broken = nobody("POST", "/services/oauth2/token", raw=b"grant_type=client_credentials",
                    headers={**sent, "Authorization": "Basic ???"})  # fmt: skip
    assert (broken.status, broken.json["error"]) == (400, "invalid_client")


def test_jwt_bearer(nobody: Api) -> None:
    for audience in (
        "https://login.salesforce.com",
        nobody.crm.url,
        [f"{nobody.crm.url}/services/oauth2/token"],
    ):
        answer = nobody.token(grant_type=JWT_BEARER, assertion=assertion(nobody, aud=audience))
        assert answer.status == 200, answer.body
        assert answer.json["id"].endswith(nobody.crm.alice.id)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"iss": "other"}, "invalid_client_id"),
        ({"sub": "nobody@example.com"}, "invalid_grant"),
        ({"sub": None}, "invalid_grant"),
        ({"aud": "https://example.com"}, "invalid_grant"),
        ({"aud": 5}, "invalid_grant"),
        ({"exp": 0}, "invalid_grant"),
        ({"exp": "soon"}, "invalid_grant"),
        ({"exp": True}, "invalid_grant"),
        ({"exp": 10**12}, "invalid_grant"),
        ({"alg": "none"}, "invalid_grant"),
        ({"alg": "HS256"}, "invalid_grant"),
        ({"key": rsa.generate_private_key(65537, 2048)}, "invalid_grant"),
        ({"key": ec.generate_private_key(ec.SECP256R1())}, "invalid_grant"),
    ],
)
def test_jwt_bearer_refused(nobody: Api, changes: dict[str, Any], error: str) -> None:
    answer = nobody.token(grant_type=JWT_BEARER, assertion=assertion(nobody, **changes))
    assert (answer.status, answer.json["error"]) == (400, error)


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "é.é.é", "e30.e30.", "W10.W10.x", "[" * 5000])
def test_jwt_bearer_that_is_none(nobody: Api, text: str) -> None:
    answer = nobody.token(grant_type=JWT_BEARER, assertion=text)
    assert (answer.status, answer.json["error"] in ("invalid_grant", "invalid_client_id")) == (400, True)


def test_identity(alice: Api) -> None:
    user = alice.crm.alice
    index = alice("GET", "").json
    identity = alice("GET", index["identity"].removeprefix(alice.crm.url)).json
    assert (identity["user_id"], identity["username"]) == (user.id, user.username)
    assert identity["urls"]["rest"].startswith(alice.crm.url)
    info = alice("GET", "/services/oauth2/userinfo").json
    assert (info["sub"], info["email"], info["name"]) == (identity["id"], user.username, "Alice Adams")


def test_every_way_to_send_a_session(alice: Api) -> None:
    token = alice.headers["Authorization"].partition(" ")[2]
    anyone = Api(alice.crm, alice.pool)
    for headers in (
        {"Authorization": f"OAuth {token}"},
        {"authorization": f"bearer {token}"},
        {"X-SFDC-Session": token},
    ):
        assert anyone("GET", "", headers=headers).status == 200


def test_no_session_no_answer(nobody: Api, alice: Api) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer made-up"},
        {"Authorization": "x"},
    ):
        answer = nobody("GET", "sobjects", headers=headers)
        assert (answer.status, answer.json) == (
            401,
            [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}],
        )
    assert nobody("GET", "/services/data").status == 200
    token = alice.headers["Authorization"].partition(" ")[2]
    nobody("POST", "/services/oauth2/revoke", raw=f"token={token}".encode())
    assert alice("GET", "").status == 401
