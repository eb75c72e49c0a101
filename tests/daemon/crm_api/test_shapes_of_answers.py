"""Small things of answers that programs look at: each of them kept one from its work."""

import base64

from tests.daemon.crm_api.conftest import Api, V
from tests.daemon.crm_api.test_soap_zeep import Partner, client, fields, partner

__all__ = ["client", "partner"]  # fixtures


def _file(api: Api, content: bytes) -> str:
    parent, body = api.create("Account", Name="Acme"), base64.b64encode(content).decode()
    return api.create("Attachment", ParentId=parent, Name="a.bin", Body=body)


def test_a_query_says_where_a_file_is(api: Api) -> None:
    """restforce reads it from there."""
    made = _file(api, b"bytes")
    (row,) = api("GET", "query", q=f"SELECT Body FROM Attachment WHERE Id = '{made}'").json["records"]
    assert row["Body"] == f"{V}/sobjects/Attachment/{made}/Body"
    assert api("GET", row["Body"]).body == b"bytes"
    account = (
        "SELECT (SELECT Body FROM Attachments) FROM Account WHERE Name = 'Acme' ORDER BY CreatedDate DESC"
    )
    (child,) = api("GET", "query", q=f"{account}, Id DESC LIMIT 1").json["records"][0]["Attachments"][
        "records"
    ]
    assert child["Body"] == row["Body"]


def test_in_soap_it_is_there_itself(api: Api, partner: Partner) -> None:
    made, shown = _file(api, b"bytes"), base64.b64encode(b"bytes").decode()
    found = partner.call("query", f"SELECT Body FROM Attachment WHERE Id = '{made}'")
    assert fields(found.records[0])["Body"] == shown
    (record,) = partner.call("retrieve", "Name,Body", "Attachment", [made])
    assert fields(record)["Body"] == shown


def test_what_was_rolled_back_has_no_place(api: Api) -> None:
    """REST API Developer Guide, "Composite": httpHeaders are empty then."""
    url = f"{V}/sobjects/Account"
    requests = [
        {"method": "POST", "url": url, "referenceId": "a", "body": {"Name": "x"}},
        {"method": "POST", "url": url, "referenceId": "b", "body": {}},
    ]
    made = api("POST", "composite", {"allOrNone": True, "compositeRequest": requests}).json
    assert [each["httpHeaders"] for each in made["compositeResponse"]] == [{}, {}]


def test_an_upsert_that_failed_says_what_it_would_have_been(api: Api) -> None:
    """jsforce's tests of a real organisation: also what was rolled back is `created`."""
    row = {"attributes": {"type": "Contact"}}
    kept = {**row, "Crmsync_Id__c": "would-be", "LastName": "x"}
    rows = [{**kept, "Crmsync_Id__c": "other"}, {**kept, "OwnerId": "INVALID_OWNER"}]
    address = "composite/sobjects/Contact/Crmsync_Id__c"
    said = api("PATCH", address, {"allOrNone": True, "records": rows}).json
    assert [(each["success"], each["created"]) for each in said] == [(False, True)] * 2
    assert api("PATCH", address, {"records": [kept]}).json[0]["created"] is True
    again = api("PATCH", address, {"records": [{**kept, "LastName": None}]}).json
    assert [(each["success"], each["created"]) for each in again] == [(False, False)]


def test_a_job_by_a_field_that_is_not_there(api: Api) -> None:
    job = {"object": "Contact", "operation": "upsert", "externalIdFieldName": "Nonsense__c"}
    answer = api("POST", "jobs/ingest", job)
    assert (answer.status, answer.code) == (400, "INVALIDJOB")


def test_what_is_too_long_for_an_id_is_none(api: Api) -> None:
    """So says a reference that nobody put an id in for: `@{account.id}` without its @."""
    answer = api("POST", "sobjects/Contact", {"LastName": "x", "AccountId": "account_create_0.id"})
    assert (answer.code, answer.json[0]["fields"]) == ("MALFORMED_ID", ["AccountId"])
