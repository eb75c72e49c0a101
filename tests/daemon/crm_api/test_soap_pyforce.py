"""pyforce, unmodified: gzip'ed bodies, `id` for `ids`, and a reader of every key of a describe."""

import datetime
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.embedded_crm import EmbeddedCrm

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own imports
    import pyforce


@pytest.fixture
def svc(crm: EmbeddedCrm) -> Iterator[Any]:
    client = pyforce.PythonClient(serverUrl=f"{crm.url}/services/Soap/u/20.0")
    client.login(crm.sync.username, crm.sync.password)
    yield client
    client.conn.close()


def test_who(svc: Any, crm: EmbeddedCrm) -> None:
    assert svc.getUserInfo()["userId"] == crm.sync.id
    assert svc.getServerTimestamp()


def test_describes(svc: Any) -> None:
    assert "Contact" in svc.describeGlobal()["types"]
    contact, event = svc.describeSObjects(["Contact", "Event"])
    assert contact.fields["LastName"].nillable is False
    assert contact.fields["AccountId"].referenceTo == ["Account"]
    assert "Lead" in [each["sObjectName"] for each in svc.describeTabs()[0]["tabs"]]
    assert event.fields["ShowAs"].picklistValues[0]["value"] == "Busy"


def test_a_life_of_records(svc: Any) -> None:
    made = svc.create(
        [{"type": "Contact", "LastName": "Ü", "Birthdate": datetime.date(1990, 1, 2)}, {"type": "Contact"}]
    )
    assert [each["success"] for each in made] == [True, False]
    assert made[1]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    record_id = made[0]["id"]
    assert svc.update({"type": "Contact", "Id": record_id, "Phone": "7"})[0]["success"]
    found = svc.retrieve("LastName,Phone,Birthdate", "Contact", [record_id])[0]
    assert (found["LastName"], found["Phone"], found["Birthdate"]) == ("Ü", "7", datetime.date(1990, 1, 2))
    svc.update({"type": "Contact", "Id": record_id, "Phone": None})
    assert svc.query(f"SELECT Phone FROM Contact WHERE Id = '{record_id}'")[0]["Phone"] in (None, "")
    keyed = {"type": "Contact", "Crmsync_Id__c": "pyforce-1", "LastName": "k"}
    assert [svc.upsert("Crmsync_Id__c", keyed)[0]["created"] for _ in range(2)] == [True, False]
    assert svc.delete([record_id])[0]["success"]


def test_queries(svc: Any) -> None:
    account = svc.create({"type": "Account", "Name": "pf"})[0]["id"]
    svc.create([{"type": "Contact", "LastName": f"pf{n}", "AccountId": account} for n in range(200)])
    svc.create([{"type": "Contact", "LastName": f"pf{n}", "AccountId": account} for n in range(50)])
    svc.batchSize = 200
    page = svc.query("SELECT Id, LastName, Account.Name FROM Contact WHERE LastName LIKE 'pf%'")
    assert (page.done, page.size, len(page)) == (False, 250, 200)
    assert page[0]["Account"]["Name"] == "pf"
    assert len(svc.queryMore(page["queryLocator"])) == 50
    found = svc.search("FIND {pf7} RETURNING Contact(Id, LastName LIMIT 1)")
    assert found[0]["LastName"] == "pf7"


def test_what_changed(svc: Any) -> None:
    record_id = svc.create({"type": "Lead", "LastName": "l", "Company": "c"})[0]["id"]
    end = datetime.datetime.now(datetime.UTC).replace(tzinfo=None) + datetime.timedelta(minutes=2)
    start = end - datetime.timedelta(hours=1)
    assert record_id in svc.getUpdated("Lead", start, end)
    svc.delete(record_id)
    assert record_id in [each["id"] for each in svc.getDeleted("Lead", start, end)]


def test_a_lead_becomes_a_contact(svc: Any) -> None:
    record_id = svc.create({"type": "Lead", "LastName": "l", "Company": "c"})[0]["id"]
    asked = {"leadId": record_id, "convertedStatus": "Closed - Converted", "doNotCreateOpportunity": "True"}
    made = svc.convert_leads(asked)[0]
    assert made["success"], made
    assert made["contact_id"].startswith("003")


def test_faults(svc: Any) -> None:
    with pytest.raises(pyforce.SoapFaultError, match="MALFORMED_QUERY"):
        svc.query("SELECT")
    with pytest.raises(pyforce.SoapFaultError, match="INVALID_TYPE"):
        svc.describeSObjects("Nothing")
