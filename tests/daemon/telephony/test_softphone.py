"""The softphone in a real browser, in a frame of another origin's page, with real telephones.

The house is shared, in whatever order its tests come, and each may be the first one: none goes by what another one has
left there.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from crmsync.connectors.telephony.contract import Direction
from crmsync.daemon.telephony import pop
from tests.daemon.fakes import eventually
from tests.daemon.telephony.house import House, house, now
from tests.servers.chromium import Tab, chromium
from tests.servers.visiting import shoot, usable

pytestmark = pytest.mark.server
FRAME = "#phone iframe"
NEWEST = "#calls li:first-child"


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
    place.nobody_has("(415) 555-0123", "+1 415-555-0123", "4155550123")
    place.woken.clear()
    browser.resize(1000, 900)
    browser.open(place.host)
    yield browser
    browser.frame()


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
    return tab.text(f"{NEWEST} [data-field=state]")


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
    tab.until(lambda: "Countess · Acme · London" in tab.text(f"{NEWEST} .person"))
    card = tab.text(NEWEST)
    assert "The engine does not start · Mechanical · High · New" in card
    assert "Send the offer" in card
    assert tab.script("return document.querySelectorAll('#calls img').length") == 0
    shoot(tab, "softphone-ringing")
    tab.script(f"window.sameDocument = document.querySelector('{NEWEST} .person')")
    tab.click(f"{NEWEST} [data-act=answer]")
    tab.until(lambda: state(tab) == "Incoming: Talking")
    same = f"return window.sameDocument === document.querySelector('{NEWEST} .person')"
    assert tab.script(same)  # only what changed
    tab.type(f"{NEWEST} [data-field=notes]", "Wants a second engine")
    tab.frame()
    tab.open(place.host)  # a reload in the middle of the call
    paired(tab, place)
    tab.until(lambda: state(tab) == "Incoming: Talking")
    notes = f"return document.querySelector('{NEWEST} [data-field=notes]').value"
    tab.until(lambda: "Wants a" in str(tab.script(notes)))
    shoot(tab, "softphone-talking")
    tab.click(f"{NEWEST} [data-act=hang_up]")
    tab.until(lambda: state(tab) == "Incoming: answered")
    assert {"ready", "call"} <= {message["type"] for message in heard(tab)}
    tab.until(lambda: "alice.calls" in place.woken)
    place.sync("alice.calls")
    fields = "Subject, Description, OwnerId, Status, TaskSubtype, CallType, CallDisposition, CallObject"
    hers = (
        f"FROM Task WHERE CallDisposition = 'Answered' AND WhoId = '{ada}'"  # other tests' she did not take
    )
    (task,) = place.rows(f"SELECT {fields}, CallDurationInSeconds {hers}")
    assert task["Subject"] == "Call from Ada Lovelace"
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
    assert len(place.rows(f"SELECT Id {hers}")) == 1


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
    paired(tab, place)
    first = tab._call("GET", "/window")
    second = tab.another()
    tab.switch(second)
    tab.open(place.host)
    paired(tab, place)
    place.outside.tell("dial", place.inside.address)
    tab.until(lambda: state(tab) == "Incoming: Ringing")
    tab.until(lambda: "Nobody with this number" in tab.text(NEWEST))
    tab.click(f"{NEWEST} [data-field=people] button")
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


def test_click_to_dial_from_the_page_around_it_and_of_two_who_it_is(tab: Tab, place: House):
    place.make("Contact", FirstName="Ben", LastName="Sample", MobilePhone="+1 415-555-0123")
    lead = place.make("Lead", FirstName="Cleo", LastName="Example", Company="Cleo Ltd", Phone="4155550123")
    paired(tab, place)
    tab.frame()
    tab.script("crmsyncSoftphone.dial('sip:evil@203.0.113.1')")
    tab.frame(FRAME)
    tab.until(lambda: tab.text("#said") == "This is no number.")
    tab.frame()
    tab.script("crmsyncSoftphone.dial('(415) 555-0123')")
    tab.frame(FRAME)
    tab.until(lambda: state(tab) == "Outgoing: Ringing")
    place.outside.tell("accept")
    tab.until(lambda: state(tab) == "Outgoing: Talking")
    tab.until(lambda: "Cleo Example Lead · Cleo Ltd" in tab.text(NEWEST))
    tab.click(f"{NEWEST} [data-person='{lead}'] button:last-of-type")
    tab.until(lambda: tab.text(f"{NEWEST} [data-field=title]") == "Cleo Example")
    tab.click(f"{NEWEST} [data-act=hold]")
    tab.until(lambda: state(tab) == "Outgoing: On hold")
    tab.click(f"{NEWEST} [data-act=resume]")
    tab.until(lambda: state(tab) == "Outgoing: Talking")
    tab.click(f"{NEWEST} [data-act=hang_up]")
    tab.until(lambda: state(tab) == "Outgoing: answered")
    place.sync("alice.calls")
    (task,) = place.rows(f"SELECT Subject, CallType FROM Task WHERE WhoId = '{lead}'")
    assert task == {**task, "Subject": "Call to Cleo Example", "CallType": "Outbound"}


def test_who_calls_is_known_within_a_tenth_of_a_second(place: House):
    """From the CRM on this machine, too. What both of them work, in this process: others use this machine."""
    person = place.make("Contact", FirstName="Dora", LastName="Muster", Phone="+1 650 555 0100")
    place.make("Case", ContactId=person, Subject="Open")
    took = []
    for _ in range(5):
        begun = time.process_time()
        pop.known(place.engine, "alice", "+16505550100")
        local = time.process_time() - begun
        (found,) = pop.in_the_crm(place.engine.accounts["alice"], "+16505550100", now()) or ()
        took.append((time.process_time() - begun, local))
        assert (found.name, len(found.cases)) == ("Dora Muster", 1)
    assert min(took)[0] < 0.1
    assert min(local for _, local in took) < 0.05


def test_who_is_in_the_address_book_is_known_without_the_crm(place: House):
    place.make("Contact", FirstName="Emil", LastName="Muster", Phone="+1 650 555 0101")
    assert pop.known(place.engine, "alice", "+16505550101") == []
    place.sync("alice")
    (known,) = pop.known(place.engine, "alice", "+16505550101")
    assert (known.name, known.kind) == ("Emil Muster", "contact")


def test_a_call_that_is_deleted_on_one_side_goes_everywhere_and_stays_away(place: House):
    """It has two links, and both of them are Alice's."""
    for name, direction in (("Fay", Direction.OUTBOUND), ("Gil", Direction.INBOUND)):
        place.call(name, direction)
    place.sync()
    (task,) = place.rows("SELECT Id FROM Task WHERE Subject = 'Call to Fay'")
    store = place.crm.crm.store
    store.delete(store.caller(place.crm.alice.id), [task["Id"]])
    (name,) = (name for name, text in place.tasks().items() if "Call from Gil" in text)
    place.dav.send("DELETE", place.calendar + name)
    for _ in range(3):
        place.sync()
    assert place.rows("SELECT Id FROM Task WHERE Subject IN ('Call to Fay', 'Call from Gil')") == []
    assert [t for t in place.tasks().values() if "Call to Fay" in t or "Call from Gil" in t] == []
    log = place.engine.accounts["alice.calls"].mailboxes[0].source
    logged = {ref.id for ref in log.open(log.collections()[0]).listing()}
    assert not logged & {"of-fay", "of-gil"}


def test_everybody_can_use_it(tab: Tab, place: House):
    """With a call and somebody who is known."""
    place.make("Contact", FirstName="Hal", LastName="Example", Phone="(415) 555-0123")
    paired(tab, place)
    place.outside.tell("dial", place.inside.address)
    tab.until(lambda: "Hal Example" in tab.text(f"{NEWEST} .person"))
    for dark in (False, True):
        tab.dark(dark)
        tab.until(lambda: tab.script("return document.getAnimations().length === 0"))  # colours change slowly
        usable(tab)
    tab.dark(False)
    tab.click(f"{NEWEST} [data-act=hang_up]")
    tab.until(lambda: state(tab) == "Incoming: rejected")


def test_another_configuration_is_taken_in_without_losing_the_browsers(tab: Tab, place: House):
    paired(tab, place)
    place.phones.reopen(place.phones.config)
    eventually(lambda: place.phones.troubles() == {"desk": None})
    place.outside.tell("dial", place.inside.address)
    tab.until(lambda: state(tab) == "Incoming: Ringing")
    tab.click(f"{NEWEST} [data-act=hang_up]")
    tab.until(lambda: state(tab) == "Incoming: rejected")


def test_a_revoked_browser_shows_nothing_any_more(tab: Tab, place: House):
    paired(tab, place)
    assert place.phones.revoke("alice")["revoked"] >= 1
    tab.until(lambda: tab.script("return !document.querySelector('#pairing').hidden"))
    assert tab.text("#calls") == ""
