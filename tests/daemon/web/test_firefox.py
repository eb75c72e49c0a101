"""The status page in the other browser: what depends on one is seen here."""

from collections.abc import Iterator

import pytest

from tests.daemon.fakes import standing
from tests.daemon.web.site import Scene
from tests.daemon.web.test_browser import enter, waiting
from tests.servers.firefox import FirefoxTab, firefox
from tests.servers.visiting import shoot

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirefoxTab]:
    with firefox(tmp_path_factory.mktemp("firefox")) as made:
        made.resize(1200, 900)
        yield made


def test_it_is_live_and_decisions_are_made(tab: FirefoxTab, web: Scene):
    accounts = {"alice": standing("alice"), "bob": standing("bob")}
    web.desk.answers["status"] = lambda **_: {"accounts": list(accounts.values())}
    enter(tab, web, None)
    tab.script("window.sameDocument = true")
    waiting(web)
    accounts["bob"] = {**standing("bob", parked=4), "light": "failing"}
    tab.until(lambda: "failing" in tab.text("#all"))
    assert tab.text("tr[data-account=bob] [data-field=parked]") == "4"
    assert tab.script("return window.sameDocument") is True
    shoot(tab, "status-in-firefox")
    tab.open(f"{web.server.url}/decisions")
    assert tab.text("h1")
    assert tab.script("return document.documentElement.scrollWidth <= window.innerWidth")
    tab.resize(360, 740)
    assert tab.script("return document.documentElement.scrollWidth <= window.innerWidth")
