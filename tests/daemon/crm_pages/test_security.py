"""Who gets in, and what others can make a person's browser do."""

import datetime
import http.client
import re
import ssl
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from crmsync.daemon.crm_api.tls import make_certificates, names_in
from crmsync.daemon.crm_pages.app import addresses_of
from crmsync.daemon.crm_pages.login import own_path
from tests.daemon.crm_pages.person import Person
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm


def test_nobody_sees_anything_without_a_login(crm: EmbeddedCrm):
    nobody = Person(crm.url)
    for path in ("", "/Contact", "/003000000000001AAA", "/Contact/new", "/search?q=a"):
        answer = nobody.get(f"/crm{path}")
        assert (answer.status, answer.to.startswith("/crm/login?next=%2Fcrm")) == (303, True)
    assert nobody.post("/crm/Contact/new", {"f.LastName": "X"}).status == 401
    nobody.cookie = "crmsync-crm-1=forged"
    assert nobody.get("/crm").status == 303


def test_a_wrong_password_is_slowed_down(crm: EmbeddedCrm):
    person = Person(crm.url)
    answers = [person.login("nobody@example.com", "wrong") for _ in range(6)]
    assert [each.status for each in answers] == [403] * 5 + [429]
    assert "wrong" in answers[0].text
    assert person.cookie == ""


def test_who_guesses_a_password_elsewhere_locks_nobody_out(crm: EmbeddedCrm):
    guessing = Person(crm.url, at="127.0.0.9")
    assert [guessing.login(crm.alice.username, "wrong").status for _ in range(6)][-1] == 429
    assert Person(crm.url).login(crm.alice.username, crm.alice.password).status == 303


def test_who_guesses_at_many_names_locks_nobody_out(crm: EmbeddedCrm):
    guessing = Person(crm.url, at="127.0.0.10")
    said = [guessing.login(f"somebody-{n}@example.com", "wrong").status for n in range(70)]
    assert set(said[:30]) == {403}
    assert 429 in said  # not each of the others: what is waited for may be over in between
    assert Person(crm.url, at="127.0.0.11").login(crm.alice.username, crm.alice.password).status == 303


def test_no_more_than_a_small_form_is_read_of_a_stranger(crm: EmbeddedCrm, alice: Person):
    large = {"f.LastName": "x" * 20_000}
    assert Person(crm.url).post("/crm/login", large).status == 400
    assert Person(crm.url).post("/crm/Contact/new", large).status == 401
    assert alice.post("/crm/Contact/new", large).status == 403  # it is read, and has no token


def test_the_cookie_is_the_browsers_alone_and_opens_no_api(crm: EmbeddedCrm):
    person = Person(crm.url)
    cookie = person.login(crm.bob.username, crm.bob.password).headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax"} <= set(cookie.split("; "))
    value = person.cookie.partition("=")[2]
    bearer = {"Authorization": f"Bearer {value}", "Cookie": ""}
    assert person.send("GET", "/services/data/v59.0/sobjects", None, bearer).status == 401
    assert person.get("/services/data/v59.0/sobjects").status == 401  # nor does it as a cookie


def test_logging_out_ends_it(crm: EmbeddedCrm):
    person = Person(crm.url)
    person.login(crm.bob.username, crm.bob.password)
    kept, page = person.cookie, person.get("/crm").text
    token = re.search(r'name="token" value="([^"]+)"', page)
    assert token is not None
    assert person.post("/crm/logout", {"token": token[1]}).status == 303
    person.cookie = kept
    assert person.get("/crm").status == 303


def test_the_session_ends_with_the_crms(crm: EmbeddedCrm):
    person = Person(crm.url)
    person.login(crm.bob.username, crm.bob.password)
    sent = person.get("/crm/Contact/new").fields()
    ended = crm.crm.sessions
    ended.end_all()
    assert person.post("/crm/Contact/new", {**sent, "f.LastName": "X"}).status == 401
    assert person.get("/crm").status == 303


@pytest.fixture
def carol(crm: EmbeddedCrm) -> Person:
    person = Person(crm.url)
    person.login(crm.alice.username, crm.alice.password)
    return person


def test_requests_of_other_pages_are_refused(crm: EmbeddedCrm, carol: Person):
    sent = {**carol.get("/crm/Contact/new").fields(), "f.LastName": "Forged"}
    path = "/crm/Contact/new"
    assert carol.post(path, sent, Origin="http://evil.example").status == 403
    assert carol.post(path, sent, Origin="", Sec_Fetch_Site="").status == 403
    assert carol.post(path, sent, Origin="", Sec_Fetch_Site="same-site").status == 403
    assert carol.post(path, {**sent, "token": "x"}).status == 403
    assert carol.post(path, sent, Content_Type="text/plain").status == 400
    assert carol.get("/crm", Host="evil.example").status == 421
    assert (
        carol.get(
            "/crm", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors", Sec_Fetch_Dest="image"
        ).status
        == 403
    )
    other = Person(crm.url)
    other.login(crm.bob.username, crm.bob.password)
    foreign = other.get("/crm/Contact/new").fields()["token"]
    assert carol.post(path, {**sent, "token": foreign}).status == 403
    assert "Forged" not in carol.get("/crm/Contact").text


def test_the_log_says_where_something_was_refused(caplog: pytest.LogCaptureFixture):
    with embedded_crm() as own:  # whose log is not full of what other tests have tried
        Person(own.url).post("/crm/Contact/new", {"token": "x"}, Origin="http://evil.example")
    (said,) = (r.getMessage() for r in caplog.records if getattr(r, "action", "") == "web.refused")
    assert said.startswith("refused on the CRM's pages: POST /crm/Contact/new")


def test_every_answer_carries_the_policy(carol: Person):
    for path in ("/crm", "/crm/nothing/at/all", "/crm/static/crm.css", "/crm/login", "/003000000000001"):
        headers = carol.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"


def test_nothing_is_in_the_page_that_the_policy_would_stop(carol: Person):
    for path in ("/crm", "/crm/Event/new", "/crm/Contact"):
        page = carol.get(path).text
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=", page)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "//evil.example",
        "https://evil.example",
        "/crm//evil",
        "/crm/\\evil",
        "/crmevil",
        "/services",
        "/crm/\n",
    ],
)
def test_after_the_login_only_to_our_own_pages(text: str):
    assert own_path(text) == "/crm"
    assert own_path("/crm/003000000000001AAA?x=1") == "/crm/003000000000001AAA?x=1"


def test_links_written_for_the_crm_lead_to_the_pages(crm: EmbeddedCrm, carol: Person):
    record = carol.make("Contact", LastName="Linked")
    for path in (record, record[:15], f"lightning/r/Contact/{record}/view", f"lightning/r/{record}/view"):
        assert carol.get(f"/{path}").to == f"/crm/{record}"
    assert carol.get(f"/{record}/e").to == f"/crm/{record}/edit"
    assert carol.get(carol.get("/003/e").to).status == 200  # uiNewRecord of the describe
    assert carol.get(carol.get("/00Q/o").to).status == 200
    assert carol.get("/lightning/o/Contact/list?filterName=Recent").to == "/crm/Contact"
    # from a mail in the browser, with nobody logged in: the login, then the record
    nobody = Person(crm.url)
    mail = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    login = nobody.get(nobody.get(f"/{record}", **mail).to, **mail)
    assert login.to == f"/crm/login?next=%2Fcrm%2F{record}"
    assert nobody.login(crm.alice.username, crm.alice.password, f"/crm/{record}").to == f"/crm/{record}"
    assert "Linked" in nobody.get(f"/crm/{record}").text


def test_the_api_stays_where_it_is(crm: EmbeddedCrm):
    anybody = Person(crm.url)
    assert anybody.get("/services/data").status == 200
    assert anybody.get("/crm/services/data").status == 200  # clients put things in front
    assert anybody.get("/id/x/y").status == 401
    assert anybody.get("/nothing").headers["content-type"].startswith("application/json")


def test_the_names_in_a_certificate_are_ours(tmp_path: Path):
    made = make_certificates(
        tmp_path, datetime.datetime.now(datetime.UTC), ("crm.example.com", "*.example.org")
    )
    names = names_in(made.certificate_file)
    assert names == ["localhost", "crm.example.com"]
    own = addresses_of(["https://0.0.0.0:443"], names)
    assert own.origins["crm.example.com"] == "https://crm.example.com"  # browsers leave the usual port out
    assert addresses_of(["https://0.0.0.0:8443"], names).origins["crm.example.com:8443"] == (
        "https://crm.example.com:8443"
    )


def test_over_tls_the_cookie_goes_nowhere_else(crm: EmbeddedCrm):
    context = ssl.create_default_context(cafile=str(crm.ca_file))
    fields = urlencode({"username": crm.bob.username, "password": crm.bob.password})
    sent = {"Origin": crm.https_url, "Content-Type": "application/x-www-form-urlencoded"}
    with closing(http.client.HTTPSConnection(urlsplit(crm.https_url).netloc, context=context)) as connection:
        connection.request("POST", "/crm/login", fields, sent)
        answer = connection.getresponse()
        assert (answer.status, "; Secure" in (answer.getheader("set-cookie") or "")) == (303, True)
