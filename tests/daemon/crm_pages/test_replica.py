"""The same pages on a replica, in a real browser, while the upstream is away."""

from pathlib import Path

import pytest

from tests.daemon.crm_pages.person import Person
from tests.daemon.replica.office import office
from tests.servers.chromium import chromium

ENTER = "\ue007"
USER, PASSWORD = "sync@example.com", "sync-password"


def test_everything_is_there_without_the_upstream(tmp_path: Path):
    with office(tmp_path) as here:
        acme = here.there_create("Account", Name="Acme")
        ada = here.there_create("Contact", LastName="Lovelace", FirstName="Ada", AccountId=acme)
        here.there_create("Lead", LastName="Prospect", Company="Prospect Mills")
        here.run()
        person = Person(here.address)
        assert (
            person.login(USER, PASSWORD).to == "/crm"
        )  # a password that worked upstream opens it offline as well
        here.away()
        again = Person(here.address)
        assert again.login(USER, "wrong").status == 403
        assert again.login(USER, PASSWORD).to == "/crm"
        assert person.get("/crm").status == 200
        page = person.get(f"/crm/{ada}").text
        assert f'<a href="/crm/{acme}">Acme</a>' in page
        assert person.edit(ada, Title="Countess").status == 303
        assert "Countess" in person.get(f"/crm/{ada}").text
        contact = person.make("Contact", LastName="Offline", AccountId="acme")
        assert contact[3] == "z"  # an id that its CRM does not know of yet
        assert "Offline" in person.get(f"/crm/{acme}").text
        assert "Offline" in person.get("/crm/search?q=offli").text
        task = person.make("Task", Subject="Call Ada", WhoId="Ada Lovelace")
        assert "Call Ada" in person.get("/crm").text
        stale = person.get(f"/crm/{ada}/edit").fields()
        assert again.edit(ada, Title="Lady").status == 303
        assert "<q>Lady</q>" in person.edit(ada, stale, Title="Mrs").text
        assert person.post(f"/crm/{task}/delete", person.get(f"/crm/{task}/delete").fields()).status == 303
        assert person.get(f"/crm/{task}").status == 404
        here.back()
        here.run()
        assert {row["LastName"] for row in here.there("Contact").values()} == {"Lovelace", "Offline"}


@pytest.mark.server
def test_a_persons_browser_without_the_upstream(tmp_path: Path):
    with office(tmp_path) as here, chromium(tmp_path) as tab:
        here.there_create("Account", Name="Acme")
        here.run()
        Person(here.address).login(USER, PASSWORD)
        here.away()
        tab.open(f"{here.address}/crm/Contact/new")
        tab.type("#username", USER)
        tab.type("#password", PASSWORD + ENTER)
        tab.until(lambda: "New Contact" in tab.text("h1"))
        tab.type("#f-LastName", "Offline")
        tab.type("#f-AccountId", "acme" + ENTER)
        tab.until(lambda: "It is created" in tab.text())
        assert "Acme" in tab.text("dl")
        tab.type("input[name=q]", "offli" + ENTER)
        tab.until(lambda: "1 record" in tab.text())
        assert tab.console() == []
