"""simple-salesforce, unmodified, over HTTPS."""

import datetime
import warnings
from collections.abc import Iterator

import pytest
import requests

from tests.servers.embedded_crm import EmbeddedCrm

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own imports
    import simple_salesforce


@pytest.fixture
def session(crm: EmbeddedCrm) -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.verify = str(crm.ca_file)
        yield made


def domain(crm: EmbeddedCrm) -> str:
    return crm.https_url.removeprefix("https://").replace("127.0.0.1", "localhost") + "/login"


@pytest.fixture
def sf(
    crm: EmbeddedCrm, session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> simple_salesforce.Salesforce:
    """Logged in with username and password, by SOAP."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(crm.ca_file))  # its log-in makes a session of its own
    return simple_salesforce.Salesforce(
        username=crm.sync.username,
        password=crm.sync.password,
        security_token="",
        domain=domain(crm),
        session=session,
    )


def test_wrong_password(crm: EmbeddedCrm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(crm.ca_file))
    with pytest.raises(simple_salesforce.SalesforceAuthenticationFailed, match="INVALID_LOGIN"):
        simple_salesforce.Salesforce(
            username=crm.bob.username, password="wrong", security_token="", domain=domain(crm)
        )


def test_oauth_log_in(crm: EmbeddedCrm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(crm.ca_file))
    by_password = simple_salesforce.Salesforce(
        username=crm.alice.username,
        password=crm.alice.password,
        consumer_key=crm.client_id,
        consumer_secret=crm.client_secret,
        domain=domain(crm),
    )
    assert by_password.query("SELECT count() FROM User")["totalSize"] == 3
    by_password.session.close()


def test_records(sf: simple_salesforce.Salesforce) -> None:
    created = sf.Contact.create({"LastName": "Müller", "Email": "m@example.com"})
    assert created["success"]
    assert sf.Contact.update(created["id"], {"Phone": "+49 221 1"}) == 204
    assert sf.Contact.get(created["id"])["Phone"] == "+49 221 1"
    assert sf.Contact.upsert("Crmsync_Id__c/ss-1", {"LastName": "Upsert"}) == 201
    assert sf.Contact.upsert("Crmsync_Id__c/ss-1", {"Phone": "2"}) == 200
    assert sf.Contact.get_by_custom_id("Crmsync_Id__c", "ss-1")["Phone"] == "2"
    assert sf.Contact.delete(created["id"]) == 204
    with pytest.raises(simple_salesforce.SalesforceResourceNotFound):
        sf.Contact.get(created["id"])
    with pytest.raises(simple_salesforce.SalesforceMalformedRequest, match="REQUIRED_FIELD_MISSING"):
        sf.Contact.create({"FirstName": "x"})


def test_query_with_paging(sf: simple_salesforce.Salesforce, crm: EmbeddedCrm) -> None:
    caller = crm.crm.store.caller(crm.sync.id)
    crm.crm.store.create(caller, [("Lead", {"LastName": f"n{n}", "Company": "c"}) for n in range(2100)])
    found = sf.query_all("SELECT Id, Owner.Username FROM Lead ORDER BY LastName")
    assert (found["totalSize"], len({each["Id"] for each in found["records"]})) == (2100, 2100)
    assert found["records"][0]["Owner"]["Username"] == crm.sync.username
    assert sum(1 for _ in sf.query_all_iter("SELECT Id FROM Lead", include_deleted=True)) == 2100


def test_describe_updated_deleted(sf: simple_salesforce.Salesforce) -> None:
    described = {field["name"] for field in sf.Event.describe()["fields"]}
    assert {"StartDateTime", "EndDateTime", "Crmsync_Id__c"} <= described
    assert "Task" in {each["name"] for each in sf.describe()["sobjects"]}
    event = sf.Event.create(
        {"Subject": "e", "StartDateTime": "2026-05-01T10:00:00Z", "DurationInMinutes": 30}
    )
    task = sf.Task.create({"Subject": "t"})
    sf.Task.delete(task["id"])
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=2)
    start = end - datetime.timedelta(days=2)
    assert sf.Event.updated(start, end)["ids"] == [event["id"]]
    assert [each["id"] for each in sf.Task.deleted(start, end)["deletedRecords"]] == [task["id"]]


def test_limits_and_usage(sf: simple_salesforce.Salesforce) -> None:
    assert sf.limits()["DailyApiRequests"]["Max"] == 1_000_000
    assert sf.api_usage["api-usage"].total == 1_000_000
