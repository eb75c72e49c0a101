"""Logging in on the CRM's page, codes, refresh tokens, and what must not come of them."""

import base64
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import urllib3

from tests.daemon.crm_api.conftest import Answer, Api
from tests.servers.embedded_crm import User, embedded_crm

CALLBACK = "http://localhost:1717/callback"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


def authorize(api: Api, **changes: str) -> Answer:
    asked = {
        "response_type": "code",
        "client_id": api.crm.client_id,
        "redirect_uri": CALLBACK,
        "state": "a&b",
        **changes,
    }
    return api("GET", "/services/oauth2/authorize", **asked)


def submitted(api: Api, page: Answer, username: str, password: str) -> Answer:
    found = re.search(rb'action="([^"]+)"', page.body)
    assert found is not None
    form = urlencode({"username": username, "pw": password, "Login": "x"}).encode()
    sent = {"Content-Type": "application/x-www-form-urlencoded"}
    return api("POST", "/" + unescape(found[1].decode()), raw=form, headers=sent)


def code_for(api: Api, user: User, **changes: str) -> str:
    led = authorize(api, **changes)
    assert led.status == 302, led.body
    back = submitted(api, api("GET", "/" + led.headers["Location"]), user.username, user.password)
    assert back.status == 302
    parts = urlsplit(back.headers["Location"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == CALLBACK
    assert parse_qs(parts.query)["state"] == ["a&b"]
    return parse_qs(parts.query)["code"][0]


def redeemed(api: Api, code: str, **changes: str) -> Answer:
    form = {"client_id": api.crm.client_id, "client_secret": api.crm.client_secret, "redirect_uri": CALLBACK}
    return api.token(grant_type="authorization_code", code=code, **{**form, **changes})


def refreshed(api: Api, token: str) -> Answer:
    secrets = {"client_id": api.crm.client_id, "client_secret": api.crm.client_secret}
    return api.token(grant_type="refresh_token", refresh_token=token, **secrets)


def test_a_session_and_new_ones(nobody: Api) -> None:
    code = code_for(nobody, nobody.crm.alice, code_challenge=CHALLENGE)
    tokens = redeemed(nobody, code, code_verifier=VERIFIER).json
    assert tokens["id"].endswith(nobody.crm.alice.id)
    again = refreshed(nobody, tokens["refresh_token"]).json
    assert again["access_token"] != tokens["access_token"]
    assert "refresh_token" not in again
    alice = Api(nobody.crm, nobody.pool, {"Authorization": f"Bearer {again['access_token']}"})
    assert alice("GET", "/services/oauth2/userinfo").json["user_id"] == nobody.crm.alice.id
    form = urlencode({"token": tokens["refresh_token"]}).encode()
    nobody("POST", "/services/oauth2/revoke", raw=form)
    assert refreshed(nobody, tokens["refresh_token"]).json["error"] == "invalid_grant"


def user_info(api: Api, session: str) -> int:
    return Api(api.crm, api.pool, {"Authorization": f"Bearer {session}"})(
        "GET", "/services/oauth2/userinfo"
    ).status


def test_a_code_that_comes_again_ends_what_was_made_of_it(nobody: Api) -> None:
    """One of the two has stolen it, and nobody knows which (RFC 6749, section 4.1.2)."""
    code, another = code_for(nobody, nobody.crm.alice), code_for(nobody, nobody.crm.alice)
    tokens, kept = redeemed(nobody, code).json, redeemed(nobody, another).json
    more = refreshed(nobody, tokens["refresh_token"]).json
    assert user_info(nobody, more["access_token"]) == 200
    assert redeemed(nobody, code).json["error"] == "invalid_grant"
    assert [user_info(nobody, each["access_token"]) for each in (tokens, more, kept)] == [401, 401, 200]
    assert refreshed(nobody, tokens["refresh_token"]).json["error"] == "invalid_grant"
    assert refreshed(nobody, kept["refresh_token"]).status == 200


def test_of_two_who_exchange_a_code_at_once_neither_has_anything(nobody: Api) -> None:
    code = code_for(nobody, nobody.crm.alice)
    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(lambda _: redeemed(nobody, code), range(2)))
    sessions = [each.json["access_token"] for each in answers if each.status == 200]
    assert len(sessions) < 2
    assert [user_info(nobody, each) for each in sessions] == [401] * len(sessions)


def test_a_code_is_good_once_and_for_whom_it_was_made(nobody: Api) -> None:
    code = code_for(nobody, nobody.crm.alice)
    assert redeemed(nobody, code).status == 200
    assert redeemed(nobody, code).json["error"] == "invalid_grant"
    elsewhere = code_for(nobody, nobody.crm.alice)
    assert redeemed(nobody, elsewhere, redirect_uri="http://localhost:9/").json["error"] == "invalid_grant"
    bound = code_for(nobody, nobody.crm.alice, code_challenge=CHALLENGE)
    assert redeemed(nobody, bound, code_verifier="x" * 64).json["error"] == "invalid_grant"
    assert (
        redeemed(nobody, bound, code_verifier=VERIFIER).json["error"] == "invalid_grant"
    )  # it has been tried
    wrong = redeemed(nobody, code_for(nobody, nobody.crm.alice), client_secret="wrong")
    assert wrong.json["error"] == "invalid_client"


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"response_type": "token"},
        {"redirect_uri": "https://example.com/callback"},
        {"redirect_uri": "http://localhost.example.com/"},
        {"redirect_uri": "http://localhost@example.com/"},
        {"redirect_uri": "http://localhost:port/"},
        {"redirect_uri": "http://localhost\\@example.com/"},
        {"redirect_uri": "http://localhost/\r\nSet-Cookie: a=b"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "//localhost/"},
        {"redirect_uri": ""},
        {"code_challenge": "c", "code_challenge_method": "plain"},
    ],
)
def test_what_leads_nowhere(nobody: Api, changes: dict[str, str]) -> None:
    answer = authorize(nobody, **changes)
    assert (answer.status, answer.headers.get("Location")) == (400, None)
    page = nobody("GET", "//", ec="302", **{"response_type": "code", "client_id": "x", **changes})
    assert (page.status, page.headers.get("Location")) == (400, None)


def test_the_page_keeps_what_it_is_given_harmless(nobody: Api) -> None:
    evil = '"><script>alert(1)</script>'
    page = nobody("GET", "/" + authorize(nobody, state=evil).headers["Location"])
    assert b"<script" not in page.body
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    again = submitted(nobody, page, evil, "wrong")
    assert (again.status, b"<script" in again.body, b'role="alert"' in again.body) == (200, False, True)


def test_guessing_on_the_page_is_slowed(nobody: Api) -> None:
    page = nobody("GET", "/" + authorize(nobody).headers["Location"])
    statuses = [submitted(nobody, page, "guessed@example.com", "wrong").status for _ in range(6)]
    assert statuses == [200, 200, 200, 200, 200, 429]


def test_introspection(nobody: Api, alice: Api) -> None:
    secrets = {"client_id": nobody.crm.client_id, "client_secret": nobody.crm.client_secret}
    token = alice.headers["Authorization"].removeprefix("Bearer ")

    def asked(**form: str) -> Answer:
        return nobody("POST", "/services/oauth2/introspect", raw=urlencode({**secrets, **form}).encode())

    found = asked(token=token).json
    assert (found["active"], found["username"]) == (True, nobody.crm.alice.username)
    assert asked(token="x").json == {"active": False}
    assert asked(token=token, client_secret="wrong").status == 401


def test_refresh_tokens_survive_a_restart_and_are_stored_as_hashes(tmp_path: Path) -> None:
    with embedded_crm(directory=tmp_path) as crm, urllib3.PoolManager(retries=False) as pool:
        api = Api(crm, pool)
        token = redeemed(api, code_for(api, crm.alice)).json["refresh_token"]
        secret = crm.client_secret
    assert all(token.encode() not in each.read_bytes() for each in tmp_path.glob("crm.db*"))
    with embedded_crm(directory=tmp_path) as crm, urllib3.PoolManager(retries=False) as pool:
        assert secret != crm.client_secret  # the fixture makes a new one
        assert refreshed(Api(crm, pool), token).status == 200
