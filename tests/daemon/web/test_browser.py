"""The pages in a real browser. Screenshots: ``CRMSYNC_SCREENSHOTS=/a/folder``."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from crmsync.daemon.web.access import Viewer
from tests.daemon.fakes import standing, synced
from tests.daemon.web.site import Scene
from tests.daemon.web.test_decisions import CONFLICT, HELD, MATCH, REJECTED
from tests.servers.chromium import Tab, chromium

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


def shoot(tab: Tab, name: str) -> None:
    if folder := os.environ.get("CRMSYNC_SCREENSHOTS"):
        tab.screenshot(Path(folder) / f"{name}.png")


def fits(tab: Tab) -> bool:
    return bool(tab.script("return document.documentElement.scrollWidth <= window.innerWidth"))


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


@pytest.mark.parametrize("path", ["/", "/decisions", "/item"])
def test_what_a_screen_reader_needs_is_there(tab: Tab, web: Scene, path: str):
    """Names for controls, one main heading, landmarks, a language, headers of tables."""
    waiting(web)
    enter(tab, web, None)
    tab.open(web.server.url + path)
    missing = tab.script(
        """
        const named = (e) => e.labels?.length || e.getAttribute("aria-label") || e.textContent.trim();
        const controls = [...document.querySelectorAll("input:not([type=hidden]), select, button, a")];
        return controls.filter((e) => !named(e)).map((e) => e.outerHTML);
        """
    )
    assert missing == []
    counts = tab.script(
        """
        const count = (css) => document.querySelectorAll(css).length;
        return [count("h1"), count("main"), count("nav[aria-label]"), document.documentElement.lang,
                count("table:not(:has(thead th[scope]))"), count("[id]") - new Set(
                  [...document.querySelectorAll("[id]")].map((e) => e.id)).size];
        """
    )
    assert counts == [1, 1, 1, "en", 0, 0]


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_ground(tab: Tab, web: Scene, dark: bool):
    """WCAG 1.4.3: 4.5 to 1."""
    waiting(web)
    enter(tab, web, None)
    tab.dark(dark)
    tab.open(f"{web.server.url}/decisions")
    worst = tab.script(
        """
        const parts = (c) => c.match(/[0-9.]+/g).map(Number);
        const light = (c) => { const [r, g, b] = parts(c).slice(0, 3).map((v) => v / 255)
            .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
          return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        const ground = (e) => { for (; e; e = e.parentElement) {
            const c = getComputedStyle(e).backgroundColor; if ((parts(c)[3] ?? 1) > 0) return c; }
          return "rgb(255,255,255)"; };
        const texts = [...document.querySelectorAll("body *")].filter((e) =>
            [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) && e.getClientRects().length);
        const ratios = texts.map((e) => { const [a, b] = [light(getComputedStyle(e).color), light(ground(e))];
            return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), e.outerHTML.slice(0, 120)]; });
        return ratios.sort((a, b) => a[0] - b[0])[0];
        """
    )
    tab.dark(False)
    assert worst[0] >= 4.5, worst


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """A page of somebody else, on another port of this host: to cookies, and to SameSite, the same place."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>elsewhere</title>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


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
