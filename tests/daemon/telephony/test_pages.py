"""What the softphone's addresses answer, and to whom."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

import pytest

from crmsync.daemon.calls import Failure
from crmsync.daemon.telephony import pairing
from crmsync.daemon.web.gate import judge
from crmsync.daemon.web.links import Links
from crmsync.daemon.web.metrics import Tally
from crmsync.daemon.web.server import Place, WebServer
from tests.daemon.fakes import Clock
from tests.daemon.web.site import Answer, Browser, FakeDesk

ORIGIN = "https://crm.example.com"
TOKEN = "t" * 43


@dataclass
class FakePhones:
    origins: Sequence[str] = (ORIGIN,)
    broken: Failure | None = None
    done: list[tuple[str, ...]] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=lambda: {TOKEN: "alice"})
    listeners: list[Callable[[], None]] = field(default_factory=list)

    def account(self, token: str) -> str | None:
        if self.broken:
            raise self.broken
        return self.tokens.get(token)

    def pair(self, code: str) -> tuple[str, str] | None:
        if self.broken:
            raise self.broken
        return ("alice", TOKEN) if code == "GOOD" else None

    def forget(self, token: str) -> None:
        del self.tokens[token]

    def listen(self, account: str, told: Callable[[], None]) -> Callable[[], None]:
        self.listeners.append(told)
        return lambda: self.listeners.remove(told)

    def standing(self, account: str) -> dict[str, Any]:
        return {"line": {"trouble": None}, "calls": [{"key": "1", "name": "<b>"}]}

    def act(self, account: str, what: str, key: str, number: str) -> None:
        if what == "dial" and not number:
            raise Failure("choice", "This is no number.")
        self.done.append((account, what, key, number))

    def note(self, account: str, key: str, notes: str) -> None:
        self.done.append((account, key, notes))

    def choose(self, account: str, key: str, person: str) -> None:
        self.done.append((account, key, person))


@dataclass
class Scene:
    phones: FakePhones
    server: WebServer

    def post(self, path: str, said: Any, token: str = TOKEN, **headers: str) -> Answer:
        browser = Browser(self.server)
        own = {
            "Origin": self.server.url, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json",
            "Authorization": f"Bearer {token}" if token else "",
        }  # fmt: skip
        given = {name.replace("_", "-").title(): value for name, value in headers.items()}
        body = said if isinstance(said, str) else json.dumps(said)
        return browser.send("POST", f"/softphone/{path}", body, {**own, **given})


@pytest.fixture
def web() -> Iterator[Scene]:
    clock, phones = Clock(), FakePhones()
    server = WebServer(Place("127.0.0.1", 0), FakeDesk(clock), Links(clock), Tally(), clock, phones)
    server.start()
    yield Scene(phones, server)
    server.stop()


def test_the_page_says_who_may_have_it_in_a_frame(web: Scene):
    answer = Browser(web.server).get("/softphone", sec_fetch_site="cross-site", sec_fetch_mode="navigate",
                                     sec_fetch_dest="iframe")  # fmt: skip
    assert answer.status == 200
    assert answer.headers["content-security-policy"].endswith(f"frame-ancestors {ORIGIN}")
    assert "x-frame-options" not in answer.headers
    assert "set-cookie" not in answer.headers
    web.phones.origins = ()
    assert (
        Browser(web.server).get("/softphone").headers["content-security-policy"].endswith("ancestors 'none'")
    )


def test_every_other_page_stays_out_of_frames(web: Scene):
    answer = Browser(web.server).get(
        "/", sec_fetch_site="cross-site", sec_fetch_mode="navigate", sec_fetch_dest="iframe"
    )
    assert answer.status == 403
    assert answer.headers["x-frame-options"] == "DENY"


def test_what_pages_of_others_may_fetch():
    own = {"127.0.0.1:1": "http://127.0.0.1:1"}

    def asked(path: str, mode: str, dest: str, method: str = "GET", **more: str) -> int:
        headers = [("host", "127.0.0.1:1"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", mode),
                   ("sec-fetch-dest", dest), *more.items()]  # fmt: skip
        refused = judge(method, headers, own, path)
        return 200 if refused is None else refused.status

    assert asked("/softphone", "navigate", "iframe") == 200
    assert asked("/softphone", "navigate", "document") == 200
    assert asked("/softphone/embed.js", "no-cors", "script") == 200
    assert asked("/softphone", "no-cors", "script") == 403
    assert asked("/softphone", "cors", "empty") == 403
    assert asked("/softphone/embed.js", "cors", "script", origin="https://x.example") == 403
    assert asked("/softphone/events", "cors", "empty") == 403
    assert asked("/softphone/act", "no-cors", "empty", "POST") == 403
    assert asked("/decisions", "navigate", "iframe") == 403


def test_a_code_gives_a_token_and_a_wrong_one_nothing(web: Scene):
    answer = web.post("pair", {"code": "GOOD"}, token="")
    assert json.loads(answer.text) == {"account": "alice", "token": TOKEN}
    assert web.post("pair", {"code": "BAD"}, token="").status == 401
    assert {web.post("pair", {"code": f"BAD{n}"}, token="").status for n in range(12)} == {401, 429}
    assert web.post("pair", {"code": "GOOD"}, token="").status == 200  # nobody can lock others out


def test_a_code_is_not_found_by_trying_as_long_as_it_is_good():
    """There is no limit on tries that one attacker could not use up for everybody: the code has to be long enough."""
    tries = 10_000 * pairing.LIFE.total_seconds()  # a second: more than the service answers
    code, _ = pairing.Pairing(None, Clock()).code("alice")  # type: ignore[arg-type]
    possible = len(set(pairing._LETTERS)) ** len(code.replace("-", ""))
    assert tries * pairing.MOST / possible < 1e-9


def test_open_pages_and_softphones_together_leave_connections_to_others(web: Scene):
    web.server.site.streams.most = 2
    with ExitStack() as stack:

        def stream(path: str, **headers: str) -> int:
            line = stack.enter_context(closing(Browser(web.server).connection()))
            line.request("GET", path, headers={"Sec-Fetch-Site": "same-origin", **headers})
            return line.getresponse().status

        page = Browser(web.server).login("alice")
        phone = {"Authorization": f"Bearer {TOKEN}"}
        assert stream("/softphone/events", **phone) == 200
        assert stream("/events", Cookie=page.cookie) == 200
        assert stream("/softphone/events", **phone) == 503
        assert stream("/events", Cookie=page.cookie) == 503
        assert page.get("/").status == 200


@pytest.mark.parametrize("token", ["", "short", "x" * 43, "x" * 5000])
def test_without_the_token_nothing_is_done_or_told(web: Scene, token: str):
    assert web.post("act", {"what": "dial", "number": "1"}, token=token).status == 401
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    assert Browser(web.server).send("GET", "/softphone/events", None, headers).status == 401
    assert web.phones.done == []


def test_what_is_done(web: Scene):
    assert web.post("act", {"what": "answer", "call": "1"}).status == 204
    assert web.post("note", {"call": "1", "notes": "n"}).status == 204
    assert web.post("choose", {"call": "1", "person": "p"}).status == 204
    assert web.phones.done == [("alice", "answer", "1", ""), ("alice", "1", "n"), ("alice", "1", "p")]
    refused = web.post("act", {"what": "dial"})
    assert (refused.status, json.loads(refused.text)) == (409, {"sentence": "This is no number."})


@pytest.mark.parametrize(
    "said", ["", "{", "[]", "7", '{"what": 7}', "[" * 5000, '{"what": "' + "x" * 70_000 + '"}']
)
def test_what_cannot_be_read_is_refused(web: Scene, said: str):
    assert web.post("act", said).status == 400
    assert web.phones.done == []


def test_only_json_of_our_own_page(web: Scene):
    assert web.post("act", {"what": "answer"}, content_type="text/plain").status == 400
    assert web.post("act", {"what": "answer"}, origin=ORIGIN).status == 403
    assert web.post("act", {"what": "answer"}, host="evil.example:8750").status == 421
    assert web.phones.done == []


def test_a_call_log_that_cannot_be_used_is_said_to_be_so(web: Scene):
    web.phones.broken = Failure("busy", "not now")
    assert web.post("act", {"what": "answer"}).status == 503
    assert web.post("pair", {"code": "GOOD"}, token="").status == 503
    assert web.phones.done == []


def test_who_unpairs_is_out(web: Scene):
    assert web.post("unpair", {}).status == 204
    assert web.post("act", {"what": "answer"}).status == 401


def test_the_stream_tells_and_ends_with_the_token(web: Scene):
    connection = Browser(web.server).connection()
    connection.request(
        "GET",
        "/softphone/events",
        headers={"Authorization": f"Bearer {TOKEN}", "Host": Browser(web.server).place},
    )
    answer = connection.getresponse()
    assert answer.readline() == b"event: all\n"
    assert json.loads(answer.readline().removeprefix(b"data: "))["calls"] == [{"key": "1", "name": "<b>"}]
    web.phones.tokens.clear()
    for told in list(web.phones.listeners):
        told()
    assert b"event: over\n" in answer.read()
    connection.close()
    assert web.phones.listeners == []


def test_half_a_surrogate_pair_gets_into_no_note(web: Scene):
    assert web.post("note", {"call": "1", "notes": "\ud800"}).status == 400
    assert web.phones.done == []
