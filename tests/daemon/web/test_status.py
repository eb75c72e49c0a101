"""The status page and its stream of events."""

import json
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from crmsync.daemon.calls import Failure
from crmsync.daemon.web import sessions, words
from crmsync.daemon.web.board import REST, SHARE, Board
from crmsync.daemon.web.status import MOST_EACH
from tests.daemon.fakes import Clock, eventually, standing
from tests.daemon.web.site import Browser, Scene, scene


def text(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def test_the_page_says_how_it_is(web: Scene):
    ago = (web.clock() - timedelta(minutes=3)).isoformat()
    alice = {**standing("alice", parked=2), "light": "failing", "last_success": ago}
    alice["errors"] = [{"message": "the CRM does not answer"}]
    alice["notices"] = ["the certificate is not checked"]
    web.desk.answers["status"] = {"accounts": [alice, standing("bob")]}
    row = {"item": "ada.vcf", "account": "alice", "state": "parked", "attempts": 3, "next": None}
    web.desk.answers["queue"] = [{**row, "error": "may not be edited"}]
    page = text(web.browser().login(None).get("/").text)
    assert "failing something is refused" in page  # all together
    assert "alice failing 3 minutes ago in 40 seconds 0 2 0 0" in page
    assert "the CRM does not answer the certificate is not checked" in page
    assert "bob in step never" in page
    assert "ada.vcf alice parked, 3 attempts may not be edited when somebody has decided" in page


def test_an_admin_sees_how_the_copies_of_crms_stand(web: Scene):
    replica = {
        "name": "main", "light": "failing", "acting": "offline", "waiting": 7, "conflicts": 2, "rejected": 3,
        "last_success": (web.clock() - timedelta(hours=2)).isoformat(),
        "progress": {"stage": "creates", "number": 8, "of": 11, "what": ""}, "error": {"message": "the line is dead"},
    }  # fmt: skip
    web.desk.answers["status"] = {"accounts": [standing("alice")], "replicas": [replica]}
    page = text(web.browser().login(None).get("/").text)
    assert "main failing without the CRM 2 hours ago 7 3 2 creates 8 of 11 the line is dead" in page
    assert "the line is dead" in web.browser().login(None).get("/troubled").text
    assert "Copies of CRMs" not in web.browser().login("alice").get("/").text


def test_without_a_script_the_page_comes_again(web: Scene):
    assert (
        '<noscript><meta http-equiv="refresh" content="30"></noscript>' in web.browser().login().get("/").text
    )


def test_a_service_that_cannot_answer_says_why(web: Scene):
    web.desk.answers["status"] = Failure("state_failed", "the disk is full")
    answer = web.browser().login().get("/")
    assert answer.status == 503
    assert "the disk is full" in answer.text


def test_a_defect_is_no_bare_traceback(web: Scene):
    web.desk.answers["queue"] = ZeroDivisionError("secret")
    answer = web.browser().login().get("/")
    assert answer.status == 500
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("lights", "together"),
    [
        ([], "in_step"),
        (["in_step", "waiting"], "waiting"),
        (["syncing", "decision"], "decision"),
        (["stale", "offline", "in_step"], "offline"),
        (["offline", "failing"], "failing"),
    ],
)
def test_the_light_of_all_is_the_worst(lights, together):
    assert words.worst(lights).name == together


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (90, "1 minute"),
        (7200, "2 hours"),
        (200_000, "2 days"),
        (-5, "0 seconds"),
    ],
)
def test_spans(seconds, said):
    assert words.span(timedelta(seconds=seconds)) == said


# ── Live ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Stream:
    """An open page's events."""

    def __init__(self, browser: Browser) -> None:
        self.connection = browser.connection()
        headers = {"Cookie": browser.cookie, "Sec-Fetch-Site": "same-origin"}
        self.connection.request("GET", "/events", headers=headers)
        self.answer = self.connection.getresponse()
        self.status = self.answer.status

    def next(self) -> tuple[str, Any]:
        """Its name and what it says."""
        name = ""
        while line := self.answer.readline().decode():
            key, _, value = line.rstrip("\n").partition(": ")
            if key == "event":
                name = value
            elif key == "data":
                return name, json.loads(value)
        raise AssertionError("the stream ended")

    def close(self) -> None:
        self.answer.close()
        self.connection.close()


@contextmanager
def opened(browser: Browser) -> Iterator[Stream]:
    stream = Stream(browser)
    try:
        yield stream
    finally:
        stream.close()


def test_changes_come_by_themselves(web: Scene):
    accounts = {"alice": standing("alice"), "bob": standing("bob")}
    web.desk.answers["status"] = lambda **_: {"accounts": list(accounts.values())}
    with opened(web.browser().login(None)) as stream:
        name, first = stream.next()
        assert name == "status"
        assert [a["name"] for a in first["accounts"]] == ["alice", "bob"]
        assert first["light"]["name"] == "in_step"
        accounts["bob"] = {**standing("bob", held=3), "light": "decision"}
        _, second = stream.next()
        assert [(a["name"], a["held"]) for a in second["accounts"]] == [("bob", 3)]
        assert second["light"]["name"] == "decision"
        del accounts["bob"]
        assert stream.next()[1]["gone"] == ["bob"]


def test_a_person_hears_of_their_own_account_alone(web: Scene):
    accounts = {"alice": standing("alice"), "bob": standing("bob")}
    web.desk.answers["status"] = lambda **_: {"accounts": list(accounts.values())}
    with opened(web.browser().login("alice")) as stream:
        assert [a["name"] for a in stream.next()[1]["accounts"]] == ["alice"]
        accounts["bob"] = {**standing("bob"), "light": "failing"}
        accounts["alice"] = standing("alice", pending=1)
        _, news = stream.next()
        assert [a["name"] for a in news["accounts"]] == ["alice"]
        assert news["light"]["name"] == "in_step"


def test_a_stream_ends_with_its_session(web: Scene):
    with opened(web.browser().login()) as stream:
        stream.next()
        web.clock.pass_by(sessions.LIFE)
        names = [stream.next()[0] for _ in range(1)]
        while names[-1] != "over":
            names.append(stream.next()[0])


def test_open_pages_are_bounded_and_closed_ones_make_room(web: Scene):
    browser = web.browser().login()
    streams = [Stream(browser) for _ in range(MOST_EACH)]
    for stream in streams:
        assert stream.next()[0] == "status"
    with opened(browser) as one_more:
        assert one_more.status == 503
    with opened(web.browser().login()) as another_session:
        assert another_session.next()[0] == "status"
    for stream in streams:
        stream.close()

    def room() -> bool:
        with opened(browser) as stream:
            return stream.status == 200

    eventually(room)


def test_many_pages_ask_the_service_once(web: Scene):
    begun = time.monotonic()
    streams = [Stream(web.browser().login()) for _ in range(5)]
    for stream in streams:
        stream.next()
        stream.close()
    assert len(web.desk.asked("status")) <= 2 + (time.monotonic() - begun) / REST


def test_an_open_page_ends_with_the_service_and_nobody_complains(web: Scene, caplog):
    with opened(web.browser().login()) as stream:
        stream.next()
        ended = threading.Thread(target=web.server.stop, args=(600.0,))
        ended.start()
        ended.join(60)
        assert not ended.is_alive()
        assert stream.answer.read().strip() == b""
    assert [r.getMessage() for r in caplog.records if r.name.startswith("uvicorn")] == []


# ── The board ────────────────────────────────────────────────────────────────────────────────────────────────


def test_looking_takes_a_twentieth_of_the_time_at_most():
    seconds = [100.0]
    asked = []

    def status(names: Sequence[str]) -> Any:
        asked.append(seconds[0])
        seconds[0] += 2.0  # that is how long it takes
        return {"accounts": [standing("alice")]}

    board = Board(status, dict, Clock(), lambda: seconds[0])
    board.read()
    seconds[0] += 2.0 * SHARE - 0.1
    board.read()
    assert len(asked) == 1
    seconds[0] += 0.2
    board.read()
    assert len(asked) == 2
    board.spoil()
    board.read()
    assert len(asked) == 3
    assert REST >= 1.0


def test_after_a_decision_only_its_account_is_asked_for():
    asked: list[Sequence[str]] = []
    pending = {"alice": 0, "bob": 0}

    def status(names: Sequence[str]) -> Any:
        asked.append(list(names))
        return {"accounts": [{**standing(n), "pending": pending[n]} for n in names or pending]}

    board = Board(status, dict, Clock(), lambda: 0.0)
    board.read()
    pending.update(alice=1, bob=1)
    board.spoil(["alice"])
    board.spoil(["nobody"])
    rows = board.read().rows
    assert {name: row.counts["pending"] for name, row in rows.items()} == {"alice": 1, "bob": 0}
    assert asked == [[], ["alice"]]
    board.spoil()
    assert board.read().rows["bob"].counts["pending"] == 1


def test_a_decision_waits_for_no_question_under_way():
    """It is said in the loop that serves everybody."""
    asking, go = threading.Event(), threading.Event()

    def status(names: Sequence[str]) -> Any:
        asking.set()
        assert go.wait(60)
        return {"accounts": [standing("alice")]}

    board = Board(status, dict, Clock(), lambda: 0.0)
    reader = threading.Thread(target=board.read)
    reader.start()
    assert asking.wait(60)
    board.spoil(["alice"])  # would hang here
    assert reader.is_alive()
    go.set()
    reader.join(60)


# ── Many at once ─────────────────────────────────────────────────────────────────────────────────────────────


def test_two_hundred_open_pages_and_decisions_beside_them_cost_the_engine_no_more_than_one():
    """What the cycles notice of it is what the engine is asked: counted, because time depends on the machine."""
    for web in scene():
        web.desk.accounts = [f"a{n}" for n in range(200)]
        web.desk.answers["reject_retry"] = {"retried": 1}
        streams = [Stream(web.browser().login(name)) for name in web.desk.accounts]
        for stream in streams:
            assert stream.next()[0] == "status"
        begun, since = len(web.desk.asked("status")), time.monotonic()
        browser = web.browser().login("a0")
        token = browser.get("/").token
        memory = threads()
        for _ in range(50):
            fields = {"token": token, "account": "a0", "item": "x", "verb": "retry"}
            assert browser.post("/decisions/rejected", fields).status == 303
        assert len(web.desk.asked("reject_retry")) == 50
        assert threads() < memory + 25  # a pool may have grown by some; a decision leaves none behind
        # a decision shows at once: at most one look each, and none for each page, beside those that come with time
        assert len(web.desk.asked("status")) - begun <= 50 + 10 + (time.monotonic() - since) / REST
        for stream in streams:
            stream.close()


def threads() -> int:
    return threading.active_count()
