"""What people decide on the pages, and what they may not."""

import logging
import re
import threading
from typing import Any

import pytest

from crmsync.daemon.calls import Failure
from crmsync.daemon.web.jobs import EACH, KEPT
from crmsync.daemon.web.syncing import RESTS, SHOWN, Rehearsals
from crmsync.daemon.web.words import full_name
from tests.daemon.fakes import cycle, error, eventually, synced
from tests.daemon.web.site import Answer, Browser, Scene, not_there

CONFLICT = {
    "item": "ada.vcf",
    "collection": "/alice/Contacts/",
    "record": "003A",
    "account": "alice",
    "column": "job_title",
    "base": None,
    "ecs": "Countess",
    "crm": "Analyst",
    "reason": "",
}
HELD = {
    "item": "ada.vcf",
    "collection": "book",
    "record": "003A",
    "account": "alice",
    "kind": "contact",
    "side": "crm",
    "reason": "more than 25 %",
    "candidates": [],
}
MATCH = {**HELD, "reason": "two of that name", "candidates": ["003A", "003B"]}
REJECTED = {"item": "003A", "collection": "Contact", "account": "alice", "side": "crm", "error": "no right"}
WHO = "alice, on the status page"


@pytest.fixture(autouse=True)
def lists(web: Scene) -> None:
    def of(row: dict[str, Any]) -> Any:
        return lambda names=(), **_: [
            r for r in [row, {**row, "account": "bob"}] if r["account"] in (names or "alicebob")
        ]

    rows = {"conflicts": CONFLICT, "deletions": HELD, "matches": MATCH, "rejected": REJECTED}
    web.desk.answers.update({method: of(row) for method, row in rows.items()})


def decide(browser: Browser, what: str, *more: tuple[str, str], **fields: str) -> Answer:
    page = browser.get("/decisions")
    seen = re.findall(r'name="seen" value="([^"]+)"', page.text)
    hidden = [("token", page.token), *(("seen", each) for each in seen)]
    return browser.post(f"/decisions/{what}", [*hidden, *fields.items(), *more])


def followed(browser: Browser, answer: Answer) -> str:
    assert answer.status == 303, answer.text
    return browser.get(answer.headers["location"]).text


def outcome(browser: Browser, answer: Answer) -> str:
    """Of a job."""
    page = followed(browser, answer)
    place = answer.headers["location"]
    eventually(lambda: "At work" not in browser.get(place).text)
    page = browser.get(place).text
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def test_both_values_stand_side_by_side_with_the_one_before(web: Scene):
    page = web.browser().login().get("/decisions").text
    for shown in ("(empty)", "Countess", "Analyst", "job_title", "two of that name", "no right", "003B"):
        assert shown in page
    assert "bob" not in page


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({"choice": "ecs"}, {"keep": "ecs"}),
        ({"choice": "crm", "value": "ignored"}, {"keep": "crm"}),
        ({"choice": "value", "value": " Fellow "}, {"value": "Fellow"}),
        ({"choice": "value"}, {"value": ""}),
    ],
)
def test_a_conflict_is_resolved(web: Scene, fields, asked):
    browser = web.browser().login()
    place = {"account": "alice", "item": "/alice/Contacts/ada.vcf", "column": "job_title"}
    assert "Your choice is noted" in followed(browser, decide(browser, "conflict", **place, **fields))
    common = {"item": place["item"], "column": "job_title", "names": ["alice"], "by": WHO}
    assert web.desk.asked("resolve") == [{**common, **asked}]


@pytest.mark.parametrize(
    ("what", "verb", "method"),
    [
        ("match", "create", "match_create"),
        ("match", "ignore", "match_ignore"),
        ("rejected", "retry", "reject_retry"),
        ("rejected", "abandon", "reject_abandon"),
    ],
)
def test_one_item_is_decided(web: Scene, what, verb, method):
    browser = web.browser().login()
    followed(browser, decide(browser, what, account="alice", item="book/ada.vcf", verb=verb))
    assert web.desk.asked(method) == [{"item": "book/ada.vcf", "names": ["alice"], "by": WHO}]


def test_a_partner_is_chosen_among_the_candidates(web: Scene):
    web.desk.answers["match_link"] = {"item": "ada.vcf", "record": "003B", "account": "alice"}
    browser = web.browser().login()
    chosen = {"account": "alice", "item": "book/ada.vcf", "verb": "link"}
    assert "003B are linked" in outcome(browser, decide(browser, "match", record="003B", **chosen))
    assert decide(browser, "match", record="003C", **chosen).status == 404
    (asked,) = web.desk.asked("match_link")
    assert asked == {"item": "book/ada.vcf", "record": "003B", "names": ["alice"], "by": WHO}


@pytest.mark.parametrize(
    ("verb", "which", "items", "asked"),
    [
        ("approve", "all", [], {"approve": True, "items": []}),
        ("reject", "all", ["book/ada.vcf"], {"approve": False, "items": []}),
        ("reject", "chosen", ["book/a", "book/b"], {"approve": False, "items": ["book/a", "book/b"]}),
    ],
)
def test_an_admin_decides_about_held_deletions(web: Scene, verb, which, items, asked):
    web.desk.answers["decide_deletions"] = {"approved": 2, "rejected": 2}
    browser = web.browser().login(None)
    chosen = [("item", item) for item in items]
    followed(browser, decide(browser, "deletion", *chosen, verb=verb, which=which))
    assert web.desk.asked("decide_deletions") == [{**asked, "by": "an admin, on the status page"}]


def test_of_many_the_first_are_shown_and_how_many_more_there_are(web: Scene):
    """However many there are, no more is asked for than is shown."""
    counts = {"conflicts": 1, "deletions": 100_000, "matches": 100_000, "rejected": 201, "decided": 0}
    web.desk.answers["undecided"] = {**counts, "mark": "these"}
    page = web.browser().login(None).get("/decisions").text
    assert re.findall(r"And ([\d,]+) more", page) == ["99998", "99998", "199"]
    for name in counts:
        assert [asked["limit"] for asked in web.desk.asked(name)] == [200]


@pytest.mark.parametrize("seen", ["", "0" * 32, None])
def test_all_of_them_are_those_that_were_there_to_see(web: Scene, seen):
    """A thousand more may be held while somebody looks at twelve."""
    web.desk.answers["decide_deletions"] = {"approved": 3}
    browser = web.browser().login(None)
    page = browser.get("/decisions")
    (shown,) = re.findall(r'name="seen" value="([^"]+)"', page.text)
    if seen is None:
        web.desk.answers["deletions"] = [HELD, {**HELD, "account": "bob"}, {**HELD, "item": "more.vcf"}]
    fields = {
        "token": page.token,
        "verb": "approve",
        "which": "all",
        "seen": seen if seen is not None else shown,
    }
    assert browser.post("/decisions/deletion", fields).status == 409
    assert web.desk.asked("decide_deletions") == []


def test_where_the_crm_says_when_it_is_said_that_it_does(web: Scene):
    web.desk.asks_the_crm = True
    web.desk.answers["decided"] = [
        {**HELD, "what": "conflict", "decision": "crm", "at": "2026-11-22T10:00:00Z"}
    ]
    browser = web.browser().login()
    decision = decide(browser, "rejected", account="alice", item="book/ada.vcf", verb="retry")
    page = followed(browser, decision)
    assert page.count("when the CRM’s scheduler next asks for an exchange") == 2
    assert "next sync" not in page
    web.desk.answers["match_link"] = {"item": "ada.vcf", "record": "003B", "account": "alice"}
    linking = decide(browser, "match", account="alice", item="book/ada.vcf", verb="link", record="003B")
    assert "when the CRM’s scheduler next asks" in outcome(browser, linking)


def test_nothing_chosen_is_not_everything(web: Scene):
    browser = web.browser().login(None)
    assert decide(browser, "deletion", verb="approve", which="chosen").status == 400
    assert decide(browser, "deletion", verb="approve").status == 400
    assert web.desk.asked("decide_deletions") == []


def test_a_person_sees_their_held_deletions_and_does_not_decide(web: Scene, caplog):
    browser = web.browser().login()
    page = browser.get("/decisions").text
    assert "more than 25 %" in page
    assert "/decisions/deletion" not in page
    assert decide(browser, "deletion", verb="reject", which="all").status == 403
    assert web.desk.asked("decide_deletions") == []
    assert "an admin's to decide" in caplog.text


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/decisions/conflict", {"item": "x", "column": "email", "choice": "crm"}),
        ("/decisions/match", {"item": "x", "verb": "create"}),
        ("/decisions/match", {"item": "book/ada.vcf", "verb": "link", "record": "003A"}),
        ("/decisions/rejected", {"item": "x", "verb": "retry"}),
        ("/sync", {"verb": "sync"}),
    ],
)
@pytest.mark.parametrize("account", ["bob", "eve"])
def test_another_persons_account_is_not_there(web: Scene, caplog, path, fields, account):
    browser = web.browser().login("alice")
    token = browser.get("/decisions").token
    answer = browser.post(path, {"token": token, "account": account, **fields})
    assert answer.status == 404
    assert {name for name, _ in web.desk.calls} == {
        "conflicts",
        "deletions",
        "matches",
        "rejected",
        "decided",
        "undecided",
    }
    (line,) = [r for r in caplog.records if getattr(r, "action", "") == "web.refused"]
    assert "by alice: what it names is not there, or not theirs" in line.getMessage()


@pytest.mark.parametrize("what", ["conflict", "match", "rejected"])
def test_no_decision_is_made_without_a_choice(web: Scene, what):
    browser = web.browser().login()
    assert decide(browser, what, account="alice", item="book/ada.vcf", column="x").status == 400


@pytest.mark.parametrize("what", ["conflict", "deletion", "match", "rejected"])
def test_no_decision_is_made_without_the_sessions_token(web: Scene, what):
    browser = web.browser().login(None)
    fields = {"account": "alice", "item": "x", "verb": "approve", "which": "all", "choice": "crm"}
    assert browser.post(f"/decisions/{what}", fields).status == 403
    assert web.desk.calls == []


def test_who_decided_is_in_the_log(web: Scene, caplog):
    caplog.set_level(logging.INFO, "crmsync")
    browser = web.browser().login()
    decide(browser, "rejected", account="alice", item="Contact/003A", verb="retry")
    (line,) = [r.getMessage() for r in caplog.records if getattr(r, "action", "") == "web.decided"]
    assert line == "alice decided a rejected write (retry)"


def test_what_is_decided_already_says_so(web: Scene):
    web.desk.answers["resolve"] = not_there
    browser = web.browser().login()
    answer = decide(browser, "conflict", account="alice", item="x", column="email", choice="crm")
    assert answer.status == 404


@pytest.mark.parametrize(
    ("collection", "name"), [("book", "book/1"), ("/alice/book/", "/alice/book/1"), ("", "1"), (None, "1")]
)
def test_an_item_is_named_with_its_collection(collection, name):
    assert full_name({"item": "1", "collection": collection}) == name


# ── Syncing ──────────────────────────────────────────────────────────────────────────────────────────────────


def sync(browser: Browser, **fields: str) -> Answer:
    return browser.post("/sync", {"token": browser.get("/decisions").token, **fields})


@pytest.mark.parametrize(
    ("who", "account", "names"),
    [("alice", "", ["alice"]), ("alice", "alice", ["alice"]), (None, "", []), (None, "bob", ["bob"])],
)
def test_a_sync_is_of_what_one_may_see(web: Scene, who, account, names):
    answer = synced(cycle(created=2, updated=1), cycle("bob"), errors=[error()])
    web.desk.answers["sync"] = lambda **_: {**answer, "notices": []}
    browser = web.browser().login(who)
    page = outcome(browser, sync(browser, account=account, verb="sync"))
    assert web.desk.asked("sync") == [{"names": names, "dry_run": False}]
    assert "alice: 2 created, 1 updated bob: nothing to do" in page
    assert "alice: unreachable, in words; it is tried again" in page


def test_a_dry_run_shows_its_plan(web: Scene):
    row = {"account": "alice", "item": "ada.vcf", "record": None, "side": "crm", "action": "create"}
    plan = [{**row, "columns": {"email": "ada@example.com"}, "reason": "new"}]
    web.desk.answers["sync"] = lambda **_: {**synced(), "notices": [], "plan": plan}
    browser = web.browser().login()
    page = outcome(browser, sync(browser, verb="plan"))
    assert web.desk.asked("sync") == [{"names": ["alice"], "dry_run": True}]
    assert "ada.vcf alice – CRM create email: ada@example.com new" in page


def test_dry_runs_leave_others_the_time_to_write():
    seconds = [0.0]
    rehearsals = Rehearsals(lambda: seconds[0])

    def refused(*, admin: bool = False) -> bool:
        try:
            with rehearsals.one(admin=admin):
                return False
        except Failure:
            return True

    with rehearsals.one(admin=False):
        assert refused()
        assert refused(admin=True)
        seconds[0] += 2.0
    assert refused()
    assert not refused(admin=True)
    with rehearsals.one(admin=True):
        seconds[0] += 2.0
    seconds[0] += 2.0 * RESTS - 0.1
    assert refused()
    seconds[0] += 0.1
    assert not refused()


def test_a_long_plan_is_cut(web: Scene):
    row = {"account": "alice", "item": "a.vcf", "record": None, "side": "crm", "action": "create"}
    plan = [{**row, "columns": {}, "reason": "new"}] * (SHOWN + 7)
    web.desk.answers["sync"] = lambda **_: {**synced(), "notices": [], "plan": plan}
    browser = web.browser().login()
    page = outcome(browser, sync(browser, verb="plan"))
    assert page.count("a.vcf") == SHOWN
    assert "And 7 more" in page


def test_old_results_are_forgotten_and_no_others(web: Scene):
    browser = web.browser().login()
    web.desk.answers["sync"] = lambda **_: {**synced(), "notices": []}
    answers = []
    for number in range(KEPT + 2):
        if number == KEPT:
            assert browser.get(answers[0].headers["location"]).status == 200
        answers.append(sync(browser, verb="sync"))
        outcome(browser, answers[-1])
    assert browser.get(answers[0].headers["location"]).status == 404
    assert browser.get(answers[-2].headers["location"]).status == 200


def test_one_dry_run_at_a_time(web: Scene):
    go_on, begun = threading.Event(), threading.Event()

    def work(**_: Any) -> Any:
        begun.set()
        go_on.wait(60)
        return {**synced(), "notices": [], "plan": []}

    web.desk.answers["sync"] = work
    browser, admin = web.browser().login(), web.browser().login(None)
    first = sync(browser, verb="plan")
    assert begun.wait(60)
    assert "under way" in outcome(admin, sync(admin, verb="plan"))
    go_on.set()
    assert "Nothing would be written" in outcome(browser, first)


def test_an_item_is_synced_with_its_account(web: Scene):
    web.desk.answers["look_again"] = {"accounts": ["alice"]}
    web.desk.answers["sync"] = lambda **_: {**synced(cycle()), "notices": []}
    browser = web.browser().login()
    answer = browser.post("/item/sync", {"token": browser.get("/decisions").token, "item": "book/ada.vcf"})
    assert "nothing to do" in outcome(browser, answer)
    assert web.desk.asked("look_again") == [{"item": "book/ada.vcf", "names": ["alice"]}]
    assert web.desk.asked("sync")[0]["names"] == ["alice"]


def test_progress_is_shown_and_so_many_are_at_work_at_most(web: Scene):
    go_on = threading.Event()

    def work(progress: Any, **_: Any) -> Any:
        progress("alice", "written", 7)
        go_on.wait(60)
        return {**synced(), "notices": []}

    web.desk.answers["sync"] = work
    browser = web.browser().login()
    places = [sync(browser, verb="sync").headers["location"] for _ in range(EACH)]
    eventually(lambda: "alice: 7 written" in browser.get(places[0]).text)
    assert sync(browser, verb="sync").status == 409
    go_on.set()
    eventually(lambda: "Nothing was synced" in browser.get(places[0]).text)
    assert web.browser().login("bob").get(places[0]).status == 404


@pytest.mark.parametrize("raised", [Failure("busy", "in words"), ZeroDivisionError(), {"no": "sync"}])
def test_what_fails_says_why(web: Scene, raised):
    web.desk.answers["sync"] = raised
    browser = web.browser().login()
    page = outcome(browser, sync(browser, verb="sync"))
    assert ("in words" in page) or ("a defect of crmsync" in page)


# ── Edit and retry, undo ─────────────────────────────────────────────────────────────────────────────────────

REFUSED = {
    "item": "ada.vcf",
    "collection": "/alice/Contacts/",
    "account": "alice",
    "kind": "contact",
    "version": '"7"',
    "error": "the title is too long",
    "columns": [
        {"column": "job_title", "value": "Countess of <many> things", "long": False},
        {"column": "description", "value": "one\ntwo", "long": True},
    ],
}


def test_a_refused_write_is_edited(web: Scene):
    web.desk.answers.update(
        rejected=[{**REJECTED, "side": "ecs", "item": "ada.vcf", "collection": "/alice/Contacts/"}],
        reject_columns=REFUSED,
        reject_edit={"item": "ada.vcf", "columns": ["job_title"], "cycle": 8, "account": "alice"},
    )
    browser = web.browser().login("alice")
    (link,) = re.findall(r'href="(/decisions/edit[^"]+)"', browser.get("/decisions").text)
    form = browser.get(link.replace("&amp;", "&"))
    assert "the title is too long" in form.text
    assert 'value="Countess of &lt;many&gt; things"' in form.text
    fields = {"token": form.token, "account": "alice", "item": "/alice/Contacts/ada.vcf", "version": '"7"'}
    fields |= {"column.job_title": "Countess", "column.description": "one\r\ntwo"}
    page = outcome(browser, browser.post("/decisions/edit", fields))
    assert "the next sync tries it again" in page
    (asked,) = web.desk.asked("reject_edit")
    assert (asked["columns"], asked["values"]) == (["job_title", "description"], ["Countess", "one\ntwo"])
    assert (asked["names"], asked["by"], asked["version"]) == (["alice"], WHO, '"7"')


def test_what_came_from_the_crm_is_not_edited_here(web: Scene):
    web.desk.answers["rejected"] = [{**REJECTED, "side": "crm"}]
    assert "/decisions/edit" not in web.browser().login("alice").get("/decisions").text


def test_a_cycle_is_undone_with_the_name_of_who_wants_it(web: Scene):
    web.desk.answers["undo"] = {"cycle": 3, "undone": 2, "kept": [], "partly": [], "errors": []}
    browser = web.browser().login("alice")
    token = browser.get("/").token
    page = outcome(browser, browser.post("/item/undo", {"token": token, "cycle": "3"}))
    assert "2 writes were put back" in page
    assert web.desk.asked("undo") == [{"cycle": 3, "names": ["alice"], "by": WHO}]


@pytest.mark.parametrize("cycle", ["", "0", "-1", "x", "1" * 20, "1; drop"])
def test_a_cycle_is_a_number(web: Scene, cycle: str):
    browser = web.browser().login("alice")
    token = browser.get("/").token
    assert browser.post("/item/undo", {"token": token, "cycle": cycle}).status == 400
    assert web.desk.asked("undo") == []


@pytest.mark.parametrize("path", ["/decisions/edit", "/item/undo"])
def test_nothing_is_edited_or_undone_without_the_token(web: Scene, path: str):
    browser = web.browser().login("alice")
    assert browser.post(path, {"account": "alice", "item": "x", "cycle": "3"}).status == 403
    assert web.desk.asked("reject_edit") + web.desk.asked("undo") == []


def test_another_persons_refused_write_is_not_there(web: Scene):
    browser = web.browser().login("alice")
    assert browser.get("/decisions/edit?account=bob&id=x").status == 404
    token = browser.get("/").token
    assert browser.post("/decisions/edit", {"token": token, "account": "bob", "item": "x"}).status == 404
    assert web.desk.asked("reject_columns") + web.desk.asked("reject_edit") == []


DECIDED = {
    "item": "ada.vcf",
    "collection": "book",
    "account": "alice",
    "what": "match rejected",
    "at": "2026-11-22",
}


def test_a_decision_is_taken_back(web: Scene):
    web.desk.answers["decided"] = [DECIDED]
    browser = web.browser().login("alice")
    page = browser.get("/decisions")
    assert "match rejected" in page.text
    fields = {"token": page.token, "account": "alice", "item": "book/ada.vcf", "what": "match rejected"}
    assert browser.post("/decisions/back", fields).status == 303
    assert web.desk.asked("take_back") == [{"item": "book/ada.vcf", "names": ["alice"], "by": WHO}]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"item": "other"}, 404),
        ({"account": "bob"}, 404),
        ({"what": "deletion approved"}, 403),
        ({"token": "x"}, 403),
    ],
)
def test_no_decision_is_taken_back_but_ones_own(web: Scene, change: dict[str, str], status: int):
    web.desk.answers["decided"] = [DECIDED, {**DECIDED, "what": "deletion approved"}]
    browser = web.browser().login("alice")
    page = browser.get("/decisions")
    assert page.text.count("Take back</button>") == 1  # deletions are an admin's
    fields = {"token": page.token, "account": "alice", "item": "book/ada.vcf", "what": "match rejected"}
    assert browser.post("/decisions/back", {**fields, **change}).status == status
    assert web.desk.asked("take_back") == []
