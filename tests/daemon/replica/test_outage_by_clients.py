"""An outage as a client has it: everything by the API of the replica, in `offline`, while the CRM goes on changing.

``CRMSYNC_OUTAGE``: how many operations.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import simple_salesforce
from lxml import etree

from crmsync.daemon.replica.modes import Mode
from tests.daemon.replica.bench import CONVERTED
from tests.daemon.replica.office import Office, office
from tests.daemon.replica.test_services import login

OPERATIONS = int(os.environ.get("CRMSYNC_OUTAGE", "30"))
SEED = 11
_CONVERT = (
    '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:partner.soap.sforce.com"><e:Header>'
    "<SessionHeader><sessionId>{session}</sessionId></SessionHeader></e:Header><e:Body><convertLead><leadConverts>"
    "<convertedStatus>{status}</convertedStatus><doNotCreateOpportunity>false</doNotCreateOpportunity>"
    "<leadId>{lead}</leadId><overwriteLeadSource>false</overwriteLeadSource>"
    "<sendNotificationEmail>false</sendNotificationEmail></leadConverts></convertLead></e:Body></e:Envelope>"
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    with office(tmp_path) as made:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.server.ca_file))
        yield made


class Client:
    """Does one thing after another, among the records that it knows of."""

    def __init__(self, here: Office, chance: random.Random) -> None:
        self.here, self.chance = here, chance
        self.sf = login(here)
        self.done: dict[str, int] = {}

    def act(self, number: int) -> None:
        acts = [
            self.account,
            self.contact,
            self.task,
            self.lead,
            self.update,
            self.update,
            self.delete,
            self.convert,
        ]
        act = acts[number] if number < len(acts) else self.chance.choice(acts)
        act(f"n{number}")
        self.done[act.__name__] = self.done.get(act.__name__, 0) + 1

    def ids(self, name: str, where: str = "Id != null") -> list[str]:
        found = self.sf.query_all(f"SELECT Id FROM {name} WHERE {where} ORDER BY Id")
        return [row["Id"] for row in found["records"]]

    def one(self, name: str, where: str = "Id != null") -> str:
        return self.chance.choice(self.ids(name, where) or [self._new(name)])

    def _new(self, name: str) -> str:
        fields = {"Account": {"Name": "new"}, "Lead": {"LastName": "new", "Company": "new"}}[name]
        return str(getattr(self.sf, name).create(fields)["id"])

    def account(self, text: str) -> None:
        self.sf.Account.create({"Name": text})

    def contact(self, text: str) -> None:
        self.sf.Contact.create({"LastName": text, "AccountId": self.one("Account")})

    def task(self, text: str) -> None:
        who = self.ids("Contact")
        fields = {"WhoId": self.chance.choice(who)} if who else {}
        self.sf.Task.create({"Subject": text, "WhatId": self.one("Account"), **fields})

    def lead(self, text: str) -> None:
        self.sf.Lead.create({"LastName": text, "Company": text})

    def update(self, text: str) -> None:
        self.sf.Account.update(self.one("Account"), {"Phone": text})

    def delete(self, text: str) -> None:
        """With its contacts; those that the CRM's colleague never touches."""
        free = self.ids("Account", "Name LIKE 'n%'")
        if free:
            self.sf.Account.delete(self.chance.choice(free))

    def convert(self, text: str) -> None:
        lead = self.one("Lead", "IsConverted = false")
        body = _CONVERT.format(session=self.sf.session_id, status=CONVERTED, lead=lead)
        url = f"{self.here.address}/services/Soap/u/59.0"
        answer = self.sf.session.post(
            url, body.encode(), headers={"Content-Type": "text/xml", "SOAPAction": '""'}
        )
        told = etree.fromstring(answer.content)
        assert [each.text for each in told.iter("{*}success")] == ["true"], answer.text


def colleague(here: Office, chance: random.Random, accounts: list[str], number: int) -> None:
    """Upstream, meanwhile."""
    here.there_update(chance.choice(accounts), Fax=f"there {number}")
    if number % 5 == 0:
        here.there_create("Contact", LastName=f"there {number}", AccountId=chance.choice(accounts))


def test_what_clients_did_in_an_outage_is_what_the_crm_has(here: Office):
    chance = random.Random(SEED)
    accounts = [here.there_create("Account", Name=f"Acme {number}") for number in range(3)]
    here.run()
    client = Client(here, chance)
    here.keeper.choose_mode(Mode.OFFLINE)
    for number in range(OPERATIONS):
        here.clock.advance(seconds=7)
        client.act(number)
        colleague(here, chance, accounts, number)
    assert len(client.done) == 7  # every kind of operation
    before = {name: here.there(name) for name in ("Account", "Lead")}
    assert not any(row["Name"].startswith("n") for row in before["Account"].values())  # nothing went out
    names = sorted(here_rows(client.sf))

    here.run()
    assert here.work() == {}
    here.assert_equal()
    here.assert_nothing_temporary()
    assert sorted(here_rows(client.sf)) == names
    assert all(row["winner"] != "held" for row in here.conflicts())
    client.sf.session.close()


def here_rows(sf: simple_salesforce.Salesforce) -> list[Any]:
    """What a person would know the accounts, and what is below them, by."""
    found = sf.query_all("SELECT Name, Phone, (SELECT LastName FROM Contacts ORDER BY LastName) FROM Account")
    return [
        (row["Name"], row["Phone"] or "", [each["LastName"] for each in (row["Contacts"] or {"records": []})["records"]
                                          if not each["LastName"].startswith("there")])
        for row in found["records"]
    ]  # fmt: skip
