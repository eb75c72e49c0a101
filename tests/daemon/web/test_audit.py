"""The audit log: who came in, what they decided, what was refused."""

import threading
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func, select

from crmsync.daemon.web.diary import WAITING, Diary, Line
from crmsync.state import visits
from crmsync.state.database import State
from crmsync.state.visits import Happening
from tests.daemon.fakes import Clock, eventually
from tests.daemon.web.site import Scene
from tests.daemon.web.test_decisions import CONFLICT
from tests.state.samples import NOW, pair

NOBODY = ""


def kept(web: Scene, what: str) -> list[tuple[str, str]]:
    return [(line.who, line.detail) for line in web.desk.kept if line.what == what]


def test_who_comes_and_goes(web: Scene):
    browser = web.browser().login("alice")
    browser.post("/logout", {"token": browser.get("/").token})
    eventually(lambda: kept(web, "logout"))
    assert kept(web, "login") == [("alice", "by a link")]


def test_what_is_decided_with_the_item(web: Scene):
    web.desk.answers.update(conflicts=[CONFLICT], resolve={"winner": "crm"})
    browser = web.browser().login("alice")
    token = browser.get("/decisions").token
    fields = {"token": token, "account": "alice", "item": "ada.vcf", "column": "job_title", "choice": "crm"}
    assert browser.post("/decisions/conflict", fields).status == 303
    eventually(lambda: kept(web, "decided"))
    assert kept(web, "decided") == [("alice", "a conflict in job_title of ada.vcf")]


def test_every_kind_of_refusal(web: Scene):
    alice = web.browser().login("alice")
    token = alice.get("/").token
    outsider = web.browser()
    assert outsider.get("/", host="evil.example").status == 421
    assert alice.post("/logout", {"token": token}, origin="https://evil.example").status == 403
    assert alice.post("/sync", {"verb": "sync"}).status == 403
    assert alice.post("/sync", {"token": token, "account": "bob"}).status == 404
    assert alice.get("/charts?account=bob").status == 404
    assert alice.get("/audit").status == 403
    assert outsider.post("/login", {"link": "guessed"}).status == 403
    assert outsider.get("/metrics", authorization="Bearer guessed").status == 401
    eventually(lambda: len(kept(web, "refused")) == 8)
    assert kept(web, "refused") == [
        (NOBODY, "GET /: a Host that is not ours"),
        (NOBODY, "POST /logout: an Origin that is not ours"),
        ("alice", "POST /sync: a form without the token of its session"),
        ("alice", "POST /sync: what it names is not there, or not theirs"),
        ("alice", "GET /charts: what it names is not there, or not theirs"),
        ("alice", "GET /audit: the audit log is for admins"),
        (NOBODY, "POST /login: a login link that opens nothing: unknown, used or too old"),
        (NOBODY, "GET /metrics: a metrics token that is not the configured one"),
    ]


def test_an_admin_reads_it(web: Scene):
    line = {"at": "2026-11-22T10:00:00Z", "who": "", "what": "refused", "detail": "GET /<b>: no"}
    asked = {
        "at": "2026-11-22T10:00:00Z",
        "credential": "main",
        "peer": "127.0.0.1",
        "asked": "POST /exchange",
    }
    asked |= {"allowed": False, "rule": "nonce", "detail": "replayed", "job": ""}
    web.desk.answers.update(visits=[line], exchange_audit=[asked])
    page = web.browser().login(None).get("/audit")
    assert "nobody known" in page.text
    assert "GET /&lt;b&gt;: no" in page.text
    assert "nonce replayed" in page.text
    assert 'href="/audit"' not in web.browser().login("alice").get("/").text


def test_it_is_bounded_in_number_and_time(state: State):
    clock = Clock()

    def many(number: int) -> None:
        with state.transaction() as tx:
            tx.visits.add([Happening(clock(), "alice", "decided", str(n)) for n in range(number)])

    for _ in range(3):
        many(visits.MOST // 2)
    clock.pass_by(timedelta(days=1))
    many(10)
    with state.transaction() as tx:
        count = select(func.count()).select_from(visits.visits)
        assert tx.connection.scalar(count) == visits.MOST
        assert tx.visits.newest(1)[0].detail == "9"
        tx.visits.prune(clock())
        assert tx.connection.scalar(count) == 10


def test_what_strangers_have_refused_pushes_out_nothing_that_was_done(state: State):
    clock = Clock()
    with state.transaction() as tx:
        tx.visits.add([Happening(clock(), "alice", "decided", "it")])
        for _ in range(3):
            tx.visits.add([Happening(clock(), "", "refused", "no")] * (visits.MOST // 2))
    with state.reading() as tx:
        kept = [happening.what for happening in tx.visits.newest(3 * visits.MOST)]
    assert (kept.count("decided"), kept.count("refused")) == (1, visits.MOST)


def test_a_disk_that_is_slow_or_full_holds_up_nobody(caplog):
    go_on, written = threading.Event(), []

    def keep(lines: Sequence[Line]) -> None:
        go_on.wait(60)
        if not written:
            written.append(0)
            raise OSError("the disk is full")
        written.append(len(lines))

    diary = Diary(keep, Clock())
    diary.start()
    for _ in range(WAITING + 50):
        diary.note("refused", "x" * 1000)
    go_on.set()
    diary.stop(20.0)
    assert sum(written) <= WAITING
    assert max(written) > 1  # many at once
    assert [r for r in caplog.records if getattr(r, "action", "") == "web.audit_failed"]


def test_who_is_forgotten_is_forgotten_here_too(state: State):
    with state.transaction() as tx:
        id = tx.pairs.add(pair()).id
        said = [
            f"a match (link) of {pair().ecs_collection}{pair().ecs_id}",
            f"a conflict of {pair().crm_id}",
            "x of y",
        ]
        tx.visits.add([Happening(NOW, "alice", "decided", one) for one in said])
        tx.erase([id], "alice")
        assert [h.detail for h in tx.visits.newest(9)] == [
            "x of y",
            *["about an item that was forgotten"] * 2,
        ]
