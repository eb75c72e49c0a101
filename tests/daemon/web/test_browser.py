"""The pages in a real browser. Screenshots: ``CRMSYNC_SCREENSHOTS=/a/folder``."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from crmsync.daemon.web.access import Viewer
from crmsync.daemon.web.charts import FRESH
from tests.daemon.fakes import standing, synced
from tests.daemon.web.site import Scene
from tests.daemon.web.test_charts import hour
from tests.daemon.web.test_decisions import CONFLICT, DECIDED, HELD, MATCH, REFUSED, REJECTED
from tests.servers import visiting
from tests.servers.chromium import Tab, chromium
from tests.servers.visiting import fits, shoot, usable

pytestmark = pytest.mark.server
TAB, ENTER, SPACE = "\ue004", "\ue007", " "


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium(tmp_path_factory.mktemp("chromium")) as tab:
        yield tab


@pytest.fixture
def tab(browser: Tab) -> Iterator[Tab]:
    browser.resize(1200, 900)
    yield browser
    assert [
        line for line in browser.console() if "favicon" not in line
    ] == []  # the policy broke nothing of ours


def enter(tab: Tab, web: Scene, who: str | None = "alice") -> None:
    token, _ = web.server.site.links.make(Viewer(who))
    tab.open(f"{web.server.url}/login?link={token}")
    tab.until(lambda: tab.script("return document.activeElement.tagName") == "BUTTON")
    tab.press(ENTER)
    tab.until(lambda: "Status" in tab.text("h1"))


def waiting(web: Scene) -> None:
    web.desk.answers.update(
        conflicts=[CONFLICT], deletions=[HELD], matches=[MATCH], rejected=[REJECTED], queue=[
            {**REJECTED, "state": "parked", "attempts": 3, "next": None, "code": "forbidden"}
        ]
    )  # fmt: skip


def test_the_status_page_is_live_without_reload(tab: Tab, web: Scene):
    accounts = {"alice": standing("alice"), "bob": standing("bob")}
    web.desk.answers["status"] = lambda **_: {"accounts": list(accounts.values())}
    enter(tab, web, None)
    assert "in step" in tab.text("#all")
    tab.script("window.sameDocument = true")
    failing = {
        **standing("bob", parked=4),
        "light": "failing",
        "errors": [{"message": "the CRM refuses the login"}],
    }
    accounts["bob"] = failing
    waiting(web)
    tab.until(lambda: "failing" in tab.text("#all"))
    tab.until(lambda: "the CRM refuses the login" in tab.text("[data-reasons=bob]"))
    assert tab.text("tr[data-account=bob] [data-field=parked]") == "4"
    tab.until(lambda: "no right" in tab.text("#troubled"))
    assert tab.script("return window.sameDocument") is True
    shoot(tab, "status")
    tab.dark(True)
    shoot(tab, "status-dark")
    tab.resize(400, 800)
    assert fits(tab)
    shoot(tab, "status-phone")
    tab.dark(False)


def test_the_charts_are_live_too(tab: Tab, web: Scene):
    begins = web.clock().replace(minute=0, second=0)
    accounts = {"alice": standing("alice")}
    web.desk.answers["status"] = lambda **_: {"accounts": list(accounts.values())}
    hours = [
        hour(
            begins - timedelta(hours=n), to_crm=n % 7, to_ecs=n % 5, took=n * 999, slowest=n * 500, waiting=n
        )
        for n in range(24)
    ]
    web.desk.answers["pulse"] = lambda **_: hours
    enter(tab, web)
    tab.click("#charts summary")
    tab.script("document.getElementById('charts').dataset.every = 0; window.sameDocument = true")
    tab.script("document.activeElement.blur()")
    hours[0] = hour(begins, to_crm=777)
    web.clock.pass_by(FRESH)
    accounts["alice"] = standing("alice", pending=1)
    tab.until(lambda: "at most 777" in tab.text("#charts"))
    assert tab.script("return window.sameDocument && document.querySelector('#charts details').open") is True
    shoot(tab, "charts")


def test_without_scripts_everything_is_there(tab: Tab, web: Scene):
    waiting(web)
    web.desk.answers["resolve"] = {"winner": "crm"}
    enter(tab, web)
    tab.scripts(False)
    try:
        tab.open(web.server.url)
        assert "no right" in tab.text("#troubled")
        tab.open(f"{web.server.url}/decisions")
        tab.click("input[name=choice][value=crm]")
        tab.click("form[action='/decisions/conflict'] button")
        tab.until(lambda: "Your choice is noted" in tab.text())
    finally:
        tab.scripts(True)
    assert web.desk.asked("resolve")[0]["keep"] == "crm"


def test_a_conflict_is_decided_by_the_keyboard_alone(tab: Tab, web: Scene):
    waiting(web)
    web.desk.answers["resolve"] = {"winner": "ecs"}
    enter(tab, web)
    tab.open(f"{web.server.url}/decisions")
    shoot(tab, "decisions")
    for _ in range(40):
        tab.press(TAB)
        if tab.script("return document.activeElement.name") == "choice":
            break
    tab.press(SPACE)
    tab.press(ENTER)
    tab.until(lambda: "Your choice is noted" in tab.text())
    assert web.desk.asked("resolve")[0]["keep"] == "ecs"
    tab.resize(400, 800)
    assert fits(tab)
    shoot(tab, "decisions-phone")


def test_a_sync_shows_how_it_goes_and_how_it_ended(tab: Tab, web: Scene):
    web.desk.answers["sync"] = lambda **_: {**synced(), "notices": []}
    enter(tab, web)
    tab.click("button[value=sync]")
    tab.until(lambda: "Nothing was synced" in tab.text())


ITEM = {
    "item": "ada",
    "record": "003A",
    "account": "alice",
    "kind": "contact",
    "tagged": False,
    "synced": None,
    "versions": {"ecs": "1", "crm": "2"},
    "queue": [{"side": "crm", "state": "parked", "attempts": 3, "error": "no right"}],
    "conflicts": [{**CONFLICT, "winner": None, "resolved": False}],
    "snapshot": {"email": "ada@example.com", "birthday": None},
    "snapshot_xml": "<item/>",
    "decisions": [{"what": "look", "reason": "it does not carry the tag"}],
}
LINE = {"at": "2026-11-22T10:00:00Z", "cycle": 3, "side": "crm", "action": "update", "column": "email"}


PAGES = [
    "/",
    "/decisions",
    "/decisions/edit?account=alice&id=ada",
    "/item",
    "/item?id=ada",
    "/audit",
    "/nothing",
    "/login?link=",
]


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
@pytest.mark.parametrize("path", PAGES)
def test_everybody_can_use_it(tab: Tab, web: Scene, path: str, look: str):
    waiting(web)
    line = {**LINE, "old": None, "new": "ada@example.com", "winner": "ecs", "reason": "edited"}
    begins = web.clock().replace(minute=0, second=0)
    drawn = [hour(begins, to_crm=2, to_ecs=1, took=2000, slowest=900, waiting=3, errors=1)]
    web.desk.answers.update(explain=ITEM, item_history=[line], pulse=drawn)
    web.desk.answers.update(reject_columns=REFUSED, decided=[DECIDED])
    web.desk.answers["visits"] = [
        {"at": "2026-11-22", "who": "alice", "what": "login", "detail": "by a link"}
    ]
    enter(tab, web, None)
    tab.dark(look == "dark")
    if look == "phone":
        tab.resize(400, 800)
    tab.open(web.server.url + path)
    usable(tab)
    tab.dark(False)
    tab.console()  # a page that is not there is said to be not there


def test_the_first_view_is_small(tab: Tab, web: Scene):
    """Four answers, and no more than that: what they take on loopback is the machine's."""
    begins = web.clock().replace(minute=0, second=0)
    full = {"to_crm": 999, "to_ecs": 999, "took": 99_999, "slowest": 9_999, "waiting": 999, "errors": 99}
    web.desk.answers["pulse"] = [hour(begins - timedelta(hours=n), **full) for n in range(24)]
    waiting(web)
    enter(tab, web, None)
    fetched = tab.script("return performance.getEntriesByType('resource').map((e) => e.name)")
    assert len([name for name in fetched if "/events" not in name]) <= 3, fetched
    size = tab.script(
        "return performance.getEntries().reduce((sum, e) => sum + (e.encodedBodySize ?? 0), 0)"
        " + document.documentElement.outerHTML.length"
    )
    assert 5_000 < size < 100_000


@pytest.fixture
def elsewhere() -> Iterator[str]:
    with visiting.elsewhere() as page:
        yield page


def test_a_page_on_another_origin_gets_nothing(tab: Tab, web: Scene, elsewhere: str):
    """With the person's session in the same browser."""
    enter(tab, web)
    tab.open(elsewhere)
    seen = tab.script(
        """
        const place = arguments[0];
        const tries = [fetch(place, {credentials: "include"}), fetch(place, {credentials: "include", mode: "no-cors"}),
          fetch(place + "/logout", {method: "POST", credentials: "include", mode: "no-cors",
                body: new URLSearchParams({token: "x"})})];
        return Promise.allSettled(tries).then((all) => all.map((one) =>
            one.status === "fulfilled" ? one.value.type + one.value.status : "refused"));
        """,
        web.server.url,
    )
    assert set(seen) <= {"refused", "opaque0"}
    assert tab.script("return document.cookie") == ""
    tab.console()  # the browser says what it kept back
    web.desk.calls.clear()
    tab.open(web.server.url)
    assert "alice" in tab.text()  # still logged in: nothing was done
