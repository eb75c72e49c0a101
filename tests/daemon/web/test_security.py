"""What the status page keeps out: each is refused, nothing is done, and the log says so."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from crmsync.daemon.web import links, sessions
from crmsync.daemon.web.access import Viewer
from crmsync.daemon.web.gate import Addresses, judge
from crmsync.daemon.web.login import WRONG
from crmsync.daemon.web.refusals import Refusals, Throttle
from crmsync.daemon.web.sessions import Bad, Sessions
from crmsync.daemon.web.site import FORMS
from tests.daemon.fakes import Clock
from tests.daemon.web.site import Scene, scene, until_slowed

OWN = {"127.0.0.1:8750": "http://127.0.0.1:8750"}
HOST = ("host", "127.0.0.1:8750")
ORIGIN = ("origin", "http://127.0.0.1:8750")
NAVIGATES = (("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"))


@pytest.fixture(autouse=True)
def heard(caplog):
    caplog.set_level(logging.INFO, "crmsync")
    return caplog


def refusals(heard) -> list[str]:
    return [r.getMessage() for r in heard.records if getattr(r, "action", "") == "web.refused"]


# ── The gate, row by row ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        pytest.param("GET", [HOST], None, id="a program"),
        pytest.param("GET", [HOST, ("sec-fetch-site", "none")], None, id="typed"),
        pytest.param("GET", [HOST, ("sec-fetch-site", "same-origin")], None, id="own page"),
        pytest.param("GET", [HOST, ("sec-fetch-site", "cross-site"), *NAVIGATES], None, id="link elsewhere"),
        pytest.param("POST", [HOST, ORIGIN], None, id="own form"),
        pytest.param("POST", [HOST, ("sec-fetch-site", "same-origin")], None, id="own form without origin"),
        pytest.param("GET", [], 421, id="no host"),
        pytest.param("GET", [HOST, HOST], 421, id="two hosts"),
        pytest.param("GET", [("host", "evil.example")], 421, id="rebound name"),
        pytest.param("GET", [("host", "evil.example:8750")], 421, id="rebound name with our port"),
        pytest.param("GET", [("host", "127.0.0.1:9999")], 421, id="another port"),
        pytest.param("GET", [("host", "127.0.0.1")], 421, id="no port"),
        pytest.param("GET", [HOST, ("origin", "http://evil.example")], 403, id="fetch from elsewhere"),
        pytest.param("GET", [HOST, ("origin", "null")], 403, id="sandboxed frame"),
        pytest.param("GET", [HOST, ORIGIN, ORIGIN], 403, id="two origins"),
        pytest.param("GET", [HOST, ("sec-fetch-site", "cross-site")], 403, id="image on another site"),
        pytest.param("GET", [HOST, ("sec-fetch-site", "same-site")], 403, id="another port of this host"),
        pytest.param(
            "GET",
            [HOST, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
            403,
            id="frame on another site",
        ),
        pytest.param("POST", [HOST, ("sec-fetch-site", "cross-site"), *NAVIGATES], 403, id="form elsewhere"),
        pytest.param("POST", [HOST, ("origin", "http://127.0.0.1:9999")], 403, id="form on another port"),
        pytest.param("POST", [HOST, ("origin", "https://127.0.0.1:8750")], 403, id="form with another scheme"),
        pytest.param("POST", [HOST, ("sec-fetch-site", "none")], 403, id="form from nowhere"),
        pytest.param("POST", [HOST], 403, id="form that does not say"),
        pytest.param("DELETE", [HOST], 403, id="other methods"),
    ],
)  # fmt: skip
def test_the_gate(method, headers, status):
    refused = judge(method, headers, OWN)
    assert (refused.status if refused else None) == status


@pytest.mark.parametrize(
    ("url", "host", "origin"),
    [
        ("https://crmsync.example.com", "crmsync.example.com", "https://crmsync.example.com"),
        ("https://crmsync.example.com:443", "crmsync.example.com", "https://crmsync.example.com"),
        ("https://Crmsync.example.com:8443", "crmsync.example.com:8443", "https://crmsync.example.com:8443"),
        ("http://[::1]", "[::1]", "http://[::1]"),
    ],
)
def test_a_proxy_in_front_has_an_address_of_its_own(url, host, origin):
    addresses = Addresses.of("127.0.0.1", 8750, url)
    assert addresses.origins[host] == addresses.public == origin
    assert addresses.origins["127.0.0.1:8750"] == "http://127.0.0.1:8750"


# ── Over HTTP ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"origin": "https://evil.example"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
    ],
    ids=["forged host", "foreign origin", "other site", "other port"],
)
def test_a_page_on_another_site_gets_nothing(web: Scene, heard, headers):
    browser = web.browser().login()
    for path in ("/", "/events", "/troubled", "/static/style.css", "/login?link=x"):
        answer = browser.get(path, **headers)
        assert answer.status in (403, 421)
        assert "alice" not in answer.text
        assert "access-control-allow-origin" not in answer.headers
    assert web.desk.calls == []
    assert len(refusals(heard)) == 5


def test_a_form_without_its_sessions_token_does_nothing(web: Scene, heard):
    browser, other = web.browser().login(), web.browser().login("bob")
    for token in ("", "x", other.get("/").token):
        assert browser.post("/logout", {"token": token}).status == 403
    assert browser.get("/").status == 200
    assert (
        refusals(heard)
        == ["refused on the status page: POST /logout by alice: a form without the token of its session"] * 3
    )


def test_a_login_link_opens_once(web: Scene, heard):
    token, _ = web.server.site.links.make(Viewer("alice"))
    browser, thief = web.browser(), web.browser()
    assert browser.get(f"/login?link={token}").status == 200  # a preview uses nothing up
    assert browser.post("/login", {"link": token}).status == 303
    assert thief.post("/login", {"link": token}).status == 403
    assert thief.cookie == ""
    assert thief.get(f"/login?link={token}").status == 403
    assert len(refusals(heard)) == 2
    assert token not in heard.text


def test_a_login_link_grows_old(web: Scene, heard):
    token, until = web.server.site.links.make(Viewer("alice"))
    assert until == web.clock() + links.LIFE
    web.clock.pass_by(links.LIFE)
    assert web.browser().post("/login", {"link": token}).status == 403
    assert len(refusals(heard)) == 1


def test_guessing_links_is_slow_and_locks_nobody_out(web: Scene):
    guesser = web.browser()
    said = until_slowed(lambda: guesser.post("/login", {"link": "guess"}).status, 3 * WRONG)
    assert set(said[:WRONG]) == {403}
    assert said[-1] == 429
    assert web.browser().login().get("/").status == 200


def test_a_login_from_another_site_is_none(web: Scene, heard):
    """Who logs a person in as somebody else reads what they then type."""
    token, _ = web.server.site.links.make(Viewer("bob"))
    answer = web.browser().post("/login", {"link": token}, origin="https://evil.example")
    assert (answer.status, answer.headers.get("set-cookie")) == (403, None)
    assert web.server.site.links.look(token) == Viewer("bob")
    assert len(refusals(heard)) == 1


def test_an_expired_session_opens_nothing(web: Scene, heard):
    browser = web.browser().login()
    form = browser.get("/").token
    web.clock.pass_by(sessions.LIFE)
    assert browser.get("/").status == 401
    assert browser.post("/logout", {"token": form}).status == 401
    assert [line.rpartition(": ")[2] for line in refusals(heard)] == [Bad.EXPIRED] * 2


def test_a_session_that_was_logged_out_opens_nothing(web: Scene, heard):
    browser = web.browser().login()
    cookie = browser.cookie
    assert browser.post("/logout", {"token": browser.get("/").token}).status == 200
    browser.cookie = cookie
    assert browser.get("/").status == 401
    assert len(refusals(heard)) == 1


@pytest.mark.parametrize("change", [("alice", "bob"), ("alice", "*"), ("1.", "2."), (".", "..")])
def test_a_changed_cookie_opens_nothing(web: Scene, heard, change):
    browser = web.browser().login()
    name, _, value = browser.cookie.partition("=")
    browser.cookie = f"{name}={value.replace(*change, 1)}"
    assert browser.get("/").status == 401
    assert len(refusals(heard)) == 1


def test_the_cookie_of_an_account_that_is_gone_opens_nothing(web: Scene, heard):
    browser = web.browser().login()
    web.desk.accounts.remove("alice")
    assert browser.get("/").status == 401
    assert len(refusals(heard)) == 1


def test_without_a_session_there_is_nothing_to_see(web: Scene):
    for path in ("/", "/troubled", "/events"):
        answer = web.browser().get(path)
        assert answer.status == 401
        assert "alice" not in answer.text
    assert web.desk.calls == []


def test_a_person_is_shown_their_own_account_alone(web: Scene):
    page = web.browser().login("bob").get("/").text
    assert 'data-account="bob"' in page
    assert "alice" not in page
    assert web.desk.asked("queue")[0]["names"] == ["bob"]
    everybody = web.browser().login(None).get("/").text
    assert 'data-account="alice"' in everybody
    assert 'data-account="bob"' in everybody


def test_the_cookie_is_for_this_site_alone(web: Scene):
    token, _ = web.server.site.links.make(Viewer("alice"))
    cookie = web.browser().post("/login", {"link": token}).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "; secure" not in cookie
    assert "domain" not in cookie


def test_under_tls_the_cookie_stays_there():
    for web in scene("https://crmsync.example.com"):
        token, _ = web.server.site.links.make(Viewer("alice"))
        browser = web.browser()
        browser.place = f"127.0.0.1:{web.server.port}"
        headers = {"host": "crmsync.example.com", "origin": "https://crmsync.example.com"}
        answer = browser.post("/login", {"link": token}, **headers)
        assert answer.status == 303
        assert "; secure" in answer.headers["set-cookie"].lower()
        assert (
            browser.post("/login", {"link": token}, host=headers["host"]).status == 403
        )  # of another origin


def test_every_answer_keeps_strangers_out(web: Scene):
    browser = web.browser().login()
    pages = [browser.get(p) for p in ("/", "/nothing", "/static/page.js", "/static/../server.py")]
    pages += [browser.get("/", host="evil.example"), web.browser().get("/"), browser.post("/", {})]
    for answer in pages:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in answer.headers
    assert [p.status for p in pages] == [200, 404, 200, 404, 421, 401, 405]


def test_what_servers_and_people_say_is_text(web: Scene):
    evil = '<script>alert("1")</script>'
    row = {"item": evil, "account": "alice", "state": "parked", "attempts": 1, "error": evil, "next": evil}
    web.desk.answers["queue"] = [row]
    page = web.browser().login().get("/").text
    assert "&lt;script&gt;" in page
    assert "<script>" not in page


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("token=%FF", "application/x-www-form-urlencoded"),
        ("a=" + "x" * 1024 * 1024, "application/x-www-form-urlencoded"),
        ("a&" * 10_001, "application/x-www-form-urlencoded"),
        ('{"token": 1}', "application/json"),
        ("token=x", "text/plain"),
    ],
    ids=["bytes", "size", "fields", "json", "plain"],
)
def test_a_form_is_a_small_form(web: Scene, body, kind):
    browser = web.browser().login()
    headers = {"Origin": web.server.url, "Content-Type": kind}
    assert browser.send("POST", "/logout", body, headers).status == 400
    assert browser.send("POST", "/login", body, headers).status == 400
    assert browser.get("/").status == 200


def test_no_more_than_a_small_form_is_read_of_a_stranger(web: Scene):
    assert web.browser().post("/login", {"link": "x" * 20_000}).status == 400
    assert web.browser().post("/login", {"link": "x" * 10_000}).status == 403


def test_a_link_that_is_used_by_many_at_once_lets_in_one(web: Scene):
    token, _ = web.server.site.links.make(Viewer("alice"))
    browsers = [web.browser() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda browser: browser.post("/login", {"link": token}).status, browsers))
    assert sorted(said) == [303] + [403] * 7


def test_one_session_does_not_flood_the_service_and_others_do_not_notice(web: Scene, heard):
    web.desk.answers["reject_retry"] = {"retried": 1}
    browser, other = web.browser().login("alice"), web.browser().login("alice")
    fields = {"account": "alice", "item": "x", "verb": "retry"}
    token, others = browser.get("/").token, other.get("/").token
    said = until_slowed(
        lambda: browser.post("/decisions/rejected", {"token": token, **fields}).status, 10 * FORMS
    )
    assert set(said[:FORMS]) == {303}
    assert said[-1] == 429
    assert other.post("/decisions/rejected", {"token": others, **fields}).status == 303
    assert browser.get("/").status == 200


# ── Parts ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_log_is_not_flooded(heard):
    seconds = [0.0]
    said = Refusals(Throttle(3, lambda: seconds[0]))
    for _ in range(10):
        said.say("GET", "/", "no")
    assert len(refusals(heard)) == 3
    seconds[0] += 20
    said.say("GET", "/", "no")
    assert refusals(heard)[-1].endswith("(and 7 that are not in the log)")


def test_unused_links_are_bounded():
    made = links.Links(Clock())
    first, _ = made.make(Viewer("alice"))
    for _ in range(links.MOST):
        last, _ = made.make(Viewer("bob"))
    assert made.use(first) is None
    assert made.use(last) == Viewer("bob")


def test_sessions_that_are_over_are_forgotten():
    clock = Clock()
    made = Sessions(clock)
    for _ in range(3):
        session = made.read(made.begin(Viewer(None)))
        assert not isinstance(session, Bad)
        assert session.viewer.admin
        made.end(session)
        clock.pass_by(sessions.LIFE + timedelta(seconds=1))
    assert len(made._ended) == 1


def test_another_service_did_not_sign_it():
    clock = Clock()
    assert Sessions(clock).read(Sessions(clock).begin(Viewer("alice"))) is Bad.FORGED
