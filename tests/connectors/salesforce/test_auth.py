import base64
import json
import socket
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from crmsync.connectors.errors import AuthExpired, ConnectorError, ProtocolError, Throttled, Unreachable
from crmsync.connectors.salesforce.auth import ClientCredentials, Jwt, assertion, trusted_instance
from tests.connectors.salesforce.stub import LOGIN, ORG, USER, Reply, found, serving, source
from tests.servers.certificates import certified

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def part(text: str) -> dict[str, object]:
    value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert isinstance(value, dict)
    return value


def test_logs_in_with_the_first_request_only() -> None:
    with serving(lambda _: found()) as stub, source(stub.url) as crm:
        crm.collections()
        assert not stub.logins
        assert crm.identity() == ORG
        assert crm.identity() == ORG
        assert len(stub.logins) == 1
        assert stub.logins[0].form == {
            "grant_type": "password",
            "client_id": "app",
            "client_secret": "app-secret",
            "username": "sync@example.com",
            "password": "pass wordTOKEN",
        }


def test_client_credentials() -> None:
    with serving(lambda _: found()) as stub, source(stub.url, auth=ClientCredentials("app", "s")) as crm:
        crm.identity()
        assert stub.logins[0].form == {
            "grant_type": "client_credentials",
            "client_id": "app",
            "client_secret": "s",
        }


def test_the_assertion_is_signed() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    auth = Jwt("app", "sync@example.com", pem(key), "https://login.example.com")
    head, claims, signature = assertion(auth, NOW).split(".")
    key.public_key().verify(
        base64.urlsafe_b64decode(signature + "=="), f"{head}.{claims}".encode(), PKCS1v15(), hashes.SHA256()
    )
    assert part(head) == {"alg": "RS256", "typ": "JWT"}
    assert part(claims) == {
        "iss": "app",
        "sub": "sync@example.com",
        "aud": "https://login.example.com",
        "exp": int(NOW.timestamp()) + 180,
    }


@pytest.mark.parametrize("key", ["no key", pem(ec.generate_private_key(ec.SECP256R1()))])
def test_a_key_that_cannot_sign(key: str) -> None:
    with pytest.raises(AuthExpired) as caught:
        assertion(Jwt("app", "u", key), NOW)
    assert caught.value.hint


def test_secrets_do_not_show() -> None:
    shown = repr([LOGIN, ClientCredentials("app", "app-secret"), Jwt("app", "u", "-----BEGIN")])
    assert not any(secret in shown for secret in ("pass word", "TOKEN", "app-secret", "BEGIN"))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (Reply({"error": "invalid_grant", "error_description": "authentication failure"}, 400), AuthExpired),
        (Reply({"error": "invalid_client_id", "error_description": "unknown"}, 400), AuthExpired),
        (Reply({"error": "invalid_grant", "error_description": "login rate exceeded"}, 400), Throttled),
        (Reply({"error": "unknown_error", "error_description": "retry your request"}, 400), Unreachable),
        (Reply(raw=b"<html>", status=502), Unreachable),
        (Reply(raw=b"<html>", status=404), ProtocolError),
        (Reply(raw=b"<html>"), ProtocolError),
        (Reply({"access_token": "a\nb"}), ProtocolError),
        (Reply({"access_token": 7}), ProtocolError),
    ],
)
def test_logins_that_do_not_succeed(reply: Reply, expected: type[ConnectorError]) -> None:
    with serving(lambda _: found()) as stub, source(stub.url) as crm:
        stub.login = lambda _: reply
        with pytest.raises(expected) as caught:
            crm.identity()
        assert caught.type is expected
        assert not stub.requests


def test_a_refusal_says_what_to_do_and_repeats_no_secret() -> None:
    with serving(lambda _: found()) as stub, source(stub.url) as crm:
        stub.login = lambda r: Reply({"error": "invalid_grant", "error_description": str(r.form)}, 400)
        with pytest.raises(AuthExpired, match="security token") as caught:
            crm.identity()
        assert "pass word" not in str(caught.value)
        assert "app-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "instance"),
    [
        ("https://crm.example.com", "https://crm.example.com"),
        ("https://crm.example.com", "https://eu1.crm.example.com"),
        ("https://login.salesforce.com", "https://example.my.salesforce.com"),
        (
            "https://example--test.sandbox.my.salesforce.com",
            "https://example--test.sandbox.my.salesforce.com",
        ),
        ("http://127.0.0.1:8755", "http://127.0.0.1:8755"),
        ("http://127.0.0.1:8755", "https://127.0.0.1:8756"),
        ("https://crm.example.com", ""),
    ],
)
def test_where_the_session_may_go(url: str, instance: str) -> None:
    assert urlsplit(trusted_instance(url, instance)).netloc == urlsplit(instance or url).netloc


@pytest.mark.parametrize(
    ("url", "instance"),
    [
        ("https://crm.example.com", "http://crm.example.com"),
        ("https://crm.example.com", "https://example.com"),
        ("https://crm.example.com", "https://evil-crm.example.com"),
        ("https://crm.example.com", "https://example.my.salesforce.com"),
        ("https://login.salesforce.com", "http://example.my.salesforce.com"),
        ("https://login.salesforce.com", "https://example.my.salesforce.com.example.org"),
        ("https://login.salesforce.com", "https://notsalesforce.com"),
        ("https://crm.example.com", "https://crm.example.com@example.org"),
        ("https://crm.example.com", "not an address"),
        ("https://crm.example.com", "https://[x/"),
    ],
)
def test_where_the_session_never_goes(url: str, instance: str) -> None:
    with pytest.raises(ProtocolError, match="not sent there"):
        trusted_instance(url, instance)


def test_another_host_is_never_asked() -> None:
    with serving(lambda _: found()) as other, serving(lambda _: found()) as stub, source(stub.url) as crm:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        stub.login = lambda _: Reply({"access_token": "t", "instance_url": elsewhere, "id": "x"})
        with pytest.raises(ProtocolError):
            crm.user_id("alice@example.com")
        assert not other.requests


def test_an_instance_on_another_host_shows_a_certificate_that_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``verify`` False was said of the host that logs us in."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *more: resolve(host.replace("eu1.", ""), *more)
    )  # not every machine knows names below localhost
    context, _ = certified(tmp_path)
    user = found({"Id": USER, "IsActive": True})
    with serving(lambda _: user, context) as stub:
        url = stub.url.replace("127.0.0.1", "localhost")
        with source(url, verify=False) as crm:
            stub.login = lambda _: Reply({"access_token": "t", "instance_url": url})
            assert crm.user_id("alice@example.com") == USER
        with source(url, verify=False) as crm:
            stub.login = lambda _: Reply({"access_token": "t", "instance_url": url.replace("//", "//eu1.")})
            with pytest.raises(Unreachable, match="certificate"):
                crm.user_id("alice@example.com")
        assert (len(stub.logins), len(stub.requests)) == (2, 1)


@pytest.mark.parametrize(
    "reply",
    [
        {"access_token": "t", "instance_url": "https://[x/"},
        {"access_token": "t", "instance_url": "https://127.0.0.1:99999999"},
        {"access_token": "t", "id": "https://[x/id/"},
    ],
)
def test_what_is_no_address_is_the_servers_fault(reply: dict[str, str]) -> None:
    with serving(lambda _: Reply([])) as stub, source(stub.url) as crm:
        stub.login = lambda _: Reply(reply)
        with pytest.raises(ProtocolError):
            crm.identity()


def test_userinfo_where_the_reply_has_no_identity() -> None:
    info = Reply({"organization_id": ORG[:15], "user_id": "005000000000001"})
    with serving(lambda _: info) as stub, source(stub.url) as crm:
        stub.login = lambda _: Reply({"access_token": "t"})
        assert crm.identity() == ORG
        assert stub.requests[0].path == "/services/oauth2/userinfo"
