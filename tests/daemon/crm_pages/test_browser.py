"""The pages in a real browser. Screenshots: ``CRMSYNC_SCREENSHOTS=/a/folder``."""

from collections.abc import Iterator

import pytest

from tests.daemon.crm_pages.person import Person
from tests.servers import visiting
from tests.servers.chromium import Tab, chromium
from tests.servers.embedded_crm import EmbeddedCrm, User
from tests.servers.visiting import shoot, usable

pytestmark = pytest.mark.server
ENTER = "\ue007"
HOSTILE = "<script>document.title='broken'</script>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium(tmp_path_factory.mktemp("chromium")) as tab:
        yield tab


@pytest.fixture
def tab(browser: Tab) -> Iterator[Tab]:
    browser.resize(1200, 900)
    yield browser
    assert [
        line for line in browser.console() if "status of 4" not in line
    ] == []  # the policy broke nothing of ours


def enter(tab: Tab, crm: EmbeddedCrm, user: User) -> None:
    tab.open(f"{crm.url}/crm")
    if tab.text("h1") == "Home":
        return
    tab.type("#username", user.username)
    tab.type("#password", user.password + ENTER)
    tab.until(lambda: tab.text("h1") == "Home")


def write(tab: Tab, field: str, text: str) -> None:
    tab.script("document.getElementById(arguments[0]).value = ''", f"f-{field}")
    tab.type(f"#f-{field}", text)


def test_a_day_at_the_crm(tab: Tab, crm: EmbeddedCrm, bob: Person):
    enter(tab, crm, crm.alice)
    tab.open(f"{crm.url}/crm/Account/new")
    write(tab, "Name", "Harbour Trading" + ENTER)  # Enter saves, and does not open a lookup
    tab.until(lambda: "It is created" in tab.text())

    tab.open(f"{crm.url}/crm/Contact/new")
    write(tab, "FirstName", HOSTILE)
    write(tab, "LastName", "Exemplar")
    write(tab, "AccountId", "arbour")
    tab.click("button[name=find][value=AccountId]")
    tab.until(lambda: "which one?" in tab.text("fieldset"))
    shoot(tab, "crm-lookup")
    tab.until(lambda: tab.script("return document.activeElement.type") == "radio")
    tab.press(" ")
    tab.click("#save")
    tab.until(lambda: "It is created" in tab.text())
    assert "Harbour Trading" in tab.text("dl")
    assert HOSTILE in tab.text("h1")  # as text
    assert "broken" not in tab.script("return document.title.slice(0, 6)")
    contact = tab.script("return location.pathname").rpartition("/")[2]
    shoot(tab, "crm-view")

    stale = f"{crm.url}/crm/{contact}/edit"
    tab.open(stale)
    bob.edit(contact, Title="Harbour master")  # in a second tab, somebody else
    write(tab, "Title", "Pilot")
    write(tab, "Birthdate", "02291984")
    tab.click("#save")
    tab.until(lambda: "Somebody has changed this record" in tab.text())
    assert "In the CRM now: Harbour master" in tab.text(".both")
    shoot(tab, "crm-conflict")
    tab.click("#save")
    tab.until(lambda: "Your changes are saved" in tab.text())
    assert "Pilot" in tab.text("dl")
    assert "1984-02-29" in tab.text("dl")

    tab.open(f"{crm.url}/crm/Task/new?WhoId={contact}")
    write(tab, "Subject", "Call the harbour" + ENTER)
    tab.until(lambda: "It is created" in tab.text())
    tab.open(f"{crm.url}/crm")
    assert "Call the harbour" in tab.text()
    shoot(tab, "crm-home")

    tab.type("input[name=q]", "exempl" + ENTER)
    tab.until(lambda: "Search for" in tab.text("h1"))
    tab.click(f"a[href='/crm/{contact}']")
    tab.until(lambda: "Exemplar" in tab.text("h1"))
    tab.click("a.grave")
    tab.until(lambda: "Delete" in tab.text("h1"))
    tab.click("button.grave")
    tab.until(lambda: "It is deleted" in tab.text())
    assert "Call the harbour" not in bob.get("/crm").text


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_everybody_can_use_it(tab: Tab, crm: EmbeddedCrm, alice: Person, look: str):
    account = alice.make("Account", Name="Reachable Ltd", Website="www.example.com", Phone="+49 30 2")
    contact = alice.make("Contact", LastName="Reachable", AccountId=account, Email="r@example.com")
    lead = alice.make("Lead", LastName="Reachable", Company="Reachable Ltd")
    enter(tab, crm, crm.alice)
    tab.dark(look == "dark")
    if look == "phone":
        tab.resize(400, 800)
    paths = ["", "/Contact?show=all", f"/{account}"]
    if look == "light":  # the other looks differ by colours and widths that these have as well
        paths += ["/search?q=reach", f"/{lead}/convert", f"/{contact}/delete", "/nothing/at/all", "/login"]
    for path in paths:
        tab.open(f"{crm.url}/crm{path}")
        usable(tab, path)
    tab.open(f"{crm.url}/crm/Contact/new")
    tab.click("#save")
    tab.until(lambda: "Required" in tab.text("[role=alert]"))
    usable(tab, "errors")
    shoot(tab, f"crm-errors-{look}")
    tab.dark(False)


def test_the_first_view_is_small(tab: Tab, crm: EmbeddedCrm):
    enter(tab, crm, crm.alice)
    size = tab.script(
        "return performance.getEntries().reduce((sum, e) => sum + (e.encodedBodySize ?? 0), 0)"
        " + document.documentElement.outerHTML.length"
    )
    assert 5_000 < size < 100_000


@pytest.fixture
def elsewhere() -> Iterator[str]:
    with visiting.elsewhere() as page:
        yield page


def test_a_page_on_another_origin_gets_nothing(tab: Tab, crm: EmbeddedCrm, alice: Person, elsewhere: str):
    """With the person's session in the same browser."""
    contact = alice.make("Contact", LastName="Untouched")
    enter(tab, crm, crm.alice)
    tab.open(elsewhere)
    seen = tab.script(
        """
        const place = arguments[0], record = arguments[1];
        const form = new URLSearchParams({token: "x"});
        const tries = [fetch(place + "/crm", {credentials: "include"}),
          fetch(place + "/crm/" + record, {credentials: "include", mode: "no-cors"}),
          fetch(place + "/crm/" + record + "/delete",
            {method: "POST", credentials: "include", mode: "no-cors", body: form})];
        return Promise.allSettled(tries).then((all) => all.map((one) =>
            one.status === "fulfilled" ? one.value.type + one.value.status : "refused"));
        """,
        crm.url,
        contact,
    )
    assert set(seen) <= {"refused", "opaque0"}
    assert tab.script("return document.cookie") == ""
    tab.console()  # the browser says what it kept back
    assert alice.get(f"/crm/{contact}").status == 200
