"""The softphone in a real browser, in a frame of another origin's page, with real telephones."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.telephony.house import House, house
from tests.servers.chromium import Tab, chromium

pytestmark = pytest.mark.server
FRAME = "#phone iframe"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium(tmp_path_factory.mktemp("chromium")) as tab:
        yield tab


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
def tab(browser: Tab, place: House) -> Iterator[Tab]:
    browser.resize(1000, 900)
    browser.open(place.host)
    yield browser
    browser.frame()


def shoot(tab: Tab, name: str) -> None:
    if folder := os.environ.get("CRMSYNC_SCREENSHOTS"):
        tab.screenshot(Path(folder) / f"{name}.png")


def paired(tab: Tab, place: House) -> None:
    """In the frame, with a token."""
    tab.frame(FRAME)
    tab.until(
        lambda: tab.script(
            "return !document.querySelector('#pairing').hidden || !document.querySelector('#paired').hidden"
        )
    )
    if tab.script("return !document.querySelector('#pairing').hidden"):
        tab.type("#code", place.phones.make_code("alice")["code"])
        tab.click("#pairing button")
    tab.until(lambda: tab.text("#account") == "Calls of alice")


def state(tab: Tab) -> str:
    return tab.text("#calls li:first-child [data-field=state]")


def heard(tab: Tab) -> list[dict[str, Any]]:
    tab.frame()
    told: list[dict[str, Any]] = tab.script("return window.heard")
    tab.frame(FRAME)
    return told


def test_a_call_from_the_first_ring_to_the_activity_in_the_crm(tab: Tab, place: House):
    account = place.make("Account", Name="Acme")
    ada = place.make(
        "Contact", FirstName="Ada", LastName="Lovelace", Title="Countess", Phone="(415) 555-0123",
        AccountId=account, MailingCity="London",
    )  # fmt: skip
    place.make("Case", ContactId=ada, Subject="The engine does not start", Priority="High", Type="Mechanical")
    place.make("Task", WhoId=ada, Subject="Send the offer")
    paired(tab, place)
    place.outside.tell("dial", place.inside.address)
    tab.until(lambda: state(tab) == "Incoming: Ringing")
    tab.until(lambda: "Countess · Acme · London" in tab.text(".person"))
    card = tab.text("#calls")
    assert "The engine does not start · Mechanical · High · New" in card
    assert "Send the offer" in card
    assert tab.script("return document.querySelectorAll('#calls img').length") == 0
    shoot(tab, "softphone-ringing")
    tab.script("window.sameDocument = document.querySelector('.person')")
    tab.click("[data-act=answer]")
    tab.until(lambda: state(tab) == "Incoming: Talking")
    assert tab.script("return window.sameDocument === document.querySelector('.person')")  # only what changed
    tab.type("[data-field=notes]", "Wants a second engine")
    tab.frame()
    tab.open(place.host)  # a reload in the middle of the call
    paired(tab, place)
    tab.until(lambda: state(tab) == "Incoming: Talking")
    tab.until(
        lambda: "Wants a" in str(tab.script("return document.querySelector('[data-field=notes]').value"))
    )
    shoot(tab, "softphone-talking")
    tab.click("[data-act=hang_up]")
    tab.until(lambda: state(tab) == "Incoming: answered")
    assert {"ready", "call"} <= {message["type"] for message in heard(tab)}
    tab.until(lambda: "alice.calls" in place.woken)
    place.sync("alice.calls")
    fields = (
        "Subject, Description, WhoId, OwnerId, Status, TaskSubtype, CallType, CallDisposition, CallObject"
    )
    (task,) = place.rows(f"SELECT {fields}, CallDurationInSeconds FROM Task WHERE TaskSubtype = 'Call'")
    assert task["Subject"] == "Call from Ada Lovelace"
    assert task["WhoId"] == ada
    assert task["OwnerId"] == place.crm.alice.id
    assert (task["Status"], task["CallType"], task["CallDisposition"]) == ("Completed", "Inbound", "Answered")
    assert task["Description"] == "Wants a second engine"
    assert task["CallObject"]
    assert task["CallDurationInSeconds"] is not None
    place.sync("alice")
    texts = [place.dav.send("GET", place.calendar).data.decode()]
    assert "Call from Ada Lovelace" in texts[0]
    assert "Phone call" in texts[0]
    place.sync()
    assert len(place.rows("SELECT Id FROM Task WHERE TaskSubtype = 'Call'")) == 1


def test_a_page_on_a_third_origin_gets_nothing(browser: Tab, place: House):
    browser.frame()
    browser.console()
    browser.open(place.hostile)
    browser.until(lambda: any("frame-ancestors" in line or "ancestor" in line for line in browser.console()))
    browser.script("frames[0].postMessage({crmsync: 1, type: 'hello'}, '*')")
    seen = browser.script(
        """
        const place = arguments[0], json = {"Content-Type": "application/json"};
        const tries = [fetch(place + "/softphone"), fetch(place + "/softphone", {mode: "no-cors"}),
          fetch(place + "/softphone/events", {headers: {Authorization: "Bearer " + "x".repeat(43)}}),
          fetch(place + "/softphone/pair", {method: "POST", headers: json, body: "{}"}),
          fetch(place + "/softphone/act", {method: "POST", mode: "no-cors", body: "{}"})];
        return Promise.allSettled(tries).then((all) => all.map((one) =>
            one.status === "fulfilled" ? one.value.type + one.value.status : "refused"));
        """,
        place.web.url,
    )
    assert set(seen) <= {"refused", "opaque0"}
    assert browser.script("return window.heard") == []
    browser.console()


def test_a_missed_call_from_nobody_that_is_known(tab: Tab, place: House):
    """And with two tabs: both show it, one answers."""
    for row in place.rows("SELECT Id FROM Contact"):
        store = place.crm.crm.store
        store.update(store.caller(place.crm.alice.id), [("Contact", row["Id"], {"Phone": "+1 212 555 0199"})])
    paired(tab, place)
    first = tab._call("GET", "/window")
    second = tab.another()
    tab.switch(second)
    tab.open(place.host)
    paired(tab, place)
    place.outside.tell("dial", place.inside.address)
    tab.until(lambda: state(tab) == "Incoming: Ringing")
    tab.until(lambda: "Nobody with this number" in tab.text("#calls"))
    tab.click("#calls li:first-child [data-field=people] button")
    created = [message for message in heard(tab) if message["type"] == "create"]
    assert created[0]["number"] == "+14155550123"
    assert not tab.script("return document.body.dataset.rings === 'true'")
    tab.switch(first)
    tab.frame(FRAME)
    tab.until(lambda: state(tab) == "Incoming: Ringing")
    assert tab.script("return document.body.dataset.rings === 'true'")
    place.outside.tell("hangup")
    tab.until(lambda: state(tab) == "Incoming: missed")
    tab.switch(second)
    tab.frame(FRAME)
    tab.until(lambda: state(tab) == "Incoming: missed")
    tab.frame()
    tab.close()
    tab.switch(first)
    place.sync("alice.calls")
    (task,) = place.rows("SELECT Subject, CallDisposition FROM Task WHERE CallDisposition = 'Missed'")
    assert task["Subject"].startswith("Missed call from ACME")


def test_click_to_dial_from_the_page_around_it(tab: Tab, place: House):
    paired(tab, place)
    tab.frame()
    tab.script("crmsyncSoftphone.dial('sip:evil@203.0.113.1')")
    tab.frame(FRAME)
    tab.until(lambda: tab.text("#said") == "This is no number.")


def test_a_revoked_browser_shows_nothing_any_more(tab: Tab, place: House):
    paired(tab, place)
    assert place.phones.revoke("alice")["revoked"] >= 1
    tab.until(lambda: tab.script("return !document.querySelector('#pairing').hidden"))
    assert tab.text("#calls") == ""
