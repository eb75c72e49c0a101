"""What programs rely on that are not in the tests themselves: restforce, nforce, django-salesforce and their like."""

import base64
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import etree

from tests.daemon.crm_api.conftest import Answer, Api
from tests.daemon.crm_api.test_bulk import finished


def test_versions_that_came_later_are_answered(api: Api, nobody: Api) -> None:
    """A program asks for the version that was the newest when it was made."""
    newest = nobody("GET", "/services/data").json[-1]
    assert newest == {"label": "Winter '27", "url": "/services/data/v68.0", "version": "68.0"}
    assert api("GET", "/services/data/v71.0/sobjects").status == 200


def test_an_upsert_by_id_without_one_creates(api: Api) -> None:
    made = api("POST", "sobjects/Contact/Id", {"LastName": "Made"})
    assert (made.status, made.json["success"]) == (201, True)
    assert api("GET", f"sobjects/Contact/{made.json['id']}").json["LastName"] == "Made"


def test_an_upsert_that_finds_its_record_had_no_content_once(api: Api) -> None:
    address = "sobjects/Contact/Crmsync_Id__c/once"
    assert api("PATCH", address, {"LastName": "x"}).status == 201
    assert api("PATCH", f"/services/data/v46.0/{address}", {"LastName": "y"}).json["created"] is False
    assert api("PATCH", f"/services/data/v45.0/{address}", {"LastName": "z"}).status == 204


def test_an_upsert_may_be_told_not_to_create(api: Api) -> None:
    address = "sobjects/Contact/Crmsync_Id__c/only"
    assert api("PATCH", address, {"LastName": "x"}, updateOnly="true").code == "NOT_FOUND"
    assert api("PATCH", address, {"LastName": "x"}).status == 201
    assert api("PATCH", address, {"LastName": "y"}, updateOnly="true").status == 200


def test_deleting_twice(api: Api) -> None:
    """django-salesforce warns of both, and fails of anything else."""
    record_id = api.create("Contact", LastName="x")
    assert api("DELETE", f"sobjects/Contact/{record_id}").status == 204
    assert _error(api("DELETE", f"sobjects/Contact/{record_id}")) == (404, "ENTITY_IS_DELETED", [])
    never = api("DELETE", "sobjects/Contact/003000000000000AAA")
    assert _error(never) == (404, "INVALID_CROSS_REFERENCE_KEY", [])


def _error(answer: Any) -> tuple[int, str, list[str]]:
    return answer.status, answer.code, answer.json[0]["fields"]


CONTENT = b"\x00\xff--\r\n\r\n--seam\r\nbytes\r\n"
FORMS = {
    # what separates parts in restforce, whose boundary begins with dashes itself; and in nforce
    "restforce": ("--boundary_string", "entity_content", ""),
    "nforce": ("b1b2", "entity_attachment", '; filename="a.bin"\r\ncontent-type: application/octet-stream'),
}


def _form(client: str, content: bytes, **fields: str) -> dict[str, Any]:
    boundary, entity, more = FORMS[client]
    told = f'content-disposition: form-data; name="{entity}"\r\nContent-Type: application/json'
    file = f'Content-Disposition: form-data; name="Body"{more}'
    lines = [f"--{boundary}", told, "", json.dumps(fields), f"--{boundary}", file, "", ""]
    raw = "\r\n".join(lines).encode() + content + f"\r\n--{boundary}--\r\n\r\n".encode()
    return {"raw": raw, "headers": {"Content-Type": f"multipart/form-data;boundary={boundary}"}}


@pytest.mark.parametrize("client", FORMS)
def test_a_file_beside_its_fields(api: Api, client: str) -> None:
    parent = api.create("Account", Name="Acme")
    form = _form(client, CONTENT, ParentId=parent, Name="a.bin")
    made = api("POST", "sobjects/Attachment", **form)
    assert made.status == 201, made.body
    address = f"sobjects/Attachment/{made.json['id']}"
    assert api("GET", f"{address}/Body").body == CONTENT
    assert api("GET", address).json["BodyLength"] == len(CONTENT)
    assert api("PATCH", address, **_form(client, b"other", Name="b.bin")).status == 204
    assert api("GET", f"{address}/Body").body == b"other"


@pytest.mark.parametrize(
    "raw",
    [b"", b"--b\r\n", b"--b\r\n\r\n--b--", b'--b\r\ncontent-disposition: form-data; name="Body"\r\n\r\nx\r\n--b--',
     b'--b\r\ncontent-disposition: form-data; name="entity_a"\r\n\r\n{}'],
)  # fmt: skip
def test_forms_that_are_none(api: Api, raw: bytes) -> None:
    answer = api(
        "POST", "sobjects/Attachment", raw=raw, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert (answer.status, answer.code) == (400, "INVALID_MULTIPART_REQUEST")


def test_files_in_lines_of_base64(api: Api) -> None:
    """As Ruby's Base64.encode64 and Python's base64.encodebytes write them."""
    content = bytes(range(256))
    parent, body = api.create("Account", Name="Acme"), base64.encodebytes(content).decode()
    made = api.create("Attachment", ParentId=parent, Name="a.bin", Body=body)
    assert api("GET", f"sobjects/Attachment/{made}/Body").body == content
    assert api("GET", f"sobjects/Attachment/{made}").json["BodyLength"] == len(content)


def test_mail_that_bounced(api: Api) -> None:
    """Of the standard fields, which models of clients name one by one."""
    person = api.create("Contact", LastName="x", EmailBouncedDate="2026-01-02T03:04:05Z")
    names = "IsEmailBounced, EmailBouncedReason, EmailBouncedDate"
    (row,) = api("GET", "query", q=f"SELECT {names} FROM Contact WHERE Id = '{person}'").json["records"]
    assert row["IsEmailBounced"] is True
    assert row["EmailBouncedDate"] == "2026-01-02T03:04:05.000+0000"


@pytest.mark.parametrize("path", ["sobjects", "sobjects/Contact/describe"])
def test_describes_that_were_seen_already(api: Api, path: str) -> None:
    first = api("GET", path)
    seen = {"If-Modified-Since": first.headers["Last-Modified"]}
    again = api("GET", path, headers=seen)
    assert (again.status, again.body) == (304, b"")
    assert api("GET", path, headers={"If-Modified-Since": "Thu, 01 Jan 2015 00:00:00 GMT"}).body == first.body
    assert api("GET", path, headers={"If-Modified-Since": "nonsense"}).status == 200


def test_how_many_records_there_are(api: Api) -> None:
    """`sf org list sobject record-counts`"""
    api.create("Lead", LastName="x", Company="y")
    counted = api("GET", "limits/recordCount", sObjects="lead,Nonsense, Case").json["sObjects"]
    assert [each["name"] for each in counted] == ["Lead", "Case"]
    assert counted[0]["count"] >= 1
    assert "Contact" in {each["name"] for each in api("GET", "limits/recordCount").json["sObjects"]}


def test_a_job_that_comes_with_its_rows(api: Api) -> None:
    job = {"object": "Contact", "operation": "insert", "contentType": "CSV", "lineEnding": "LF"}
    lines = ["--B", 'Content-Disposition: form-data; name="job"', "Content-Type: application/json", "", json.dumps(job),
             "--B", 'Content-Disposition: form-data; name="content"; filename="content"', "Content-Type: text/csv", "",
             "LastName\nwith its job\n", "--B--", ""]  # fmt: skip
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    made = api("POST", "jobs/ingest", raw="\r\n".join(lines).encode(), headers=headers).json
    assert made["state"] == "UploadComplete"
    done = finished(api, f"jobs/ingest/{made['id']}")
    assert (done["numberRecordsProcessed"], done["numberRecordsFailed"]) == (1, 0)


def test_a_reference_to_what_was_deleted(api: Api) -> None:
    gone = api.create("Contact", LastName="x")
    api("DELETE", f"sobjects/Contact/{gone}")
    answer = api("POST", "sobjects/Task", {"Subject": "x", "WhoId": gone})
    assert (answer.status, answer.code) == (400, "ENTITY_IS_DELETED")


def test_an_identity_by_a_parameter(api: Api, nobody: Api) -> None:
    """Clients that send no header follow the `id` of a session so."""
    token = api.headers["Authorization"].removeprefix("Bearer ")
    org, user = nobody.crm.crm.org.id, nobody.crm.sync.id
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    told = nobody("GET", f"/id/{org}/{user}", oauth_token=token, version="latest")
    assert told.json["user_id"] == user
    assert told.json["urls"]["query"].endswith("/services/data/v68.0/query/")
    raw = urlencode({"access_token": token}).encode()
    assert nobody("POST", "/services/oauth2/userinfo", raw=raw, headers=form).json["user_id"] == user
    assert nobody("GET", f"/id/{org}/{user}", oauth_token="no").code == "INVALID_SESSION_ID"


def test_objects_that_programs_take_for_granted(api: Api) -> None:
    """Nothing here is synchronised; a tree of them, as the samples of many a client have it."""
    campaign = api.create("Campaign", Name="Fair")
    lead = api.create("Lead", LastName="x", Company="y")
    api.create("CampaignMember", CampaignId=campaign, LeadId=lead)
    parent, person = (
        api.create("Opportunity", Name="x", StageName="Prospecting", CloseDate="2026-01-01"),
        lead,
    )
    api.create("Note", ParentId=person, Title="t", Body="b")
    role = api.create("Contact", LastName="x")
    api.create("OpportunityContactRole", OpportunityId=parent, ContactId=role, Role="Evaluator")
    (book,) = _rows(api, "SELECT Id FROM Pricebook2 WHERE IsStandard = true")
    product = api.create("Product2", Name="Widget", ProductCode="W")
    entry = api.create("PricebookEntry", Pricebook2Id=book["Id"], Product2Id=product, UnitPrice=1.5)
    assert api("PATCH", f"sobjects/PricebookEntry/{entry}", {"UnitPrice": 2}).status == 204
    (found,) = _rows(api, f"SELECT Name, ProductCode, UnitPrice FROM PricebookEntry WHERE Id = '{entry}'")
    assert {k: v for k, v in found.items() if k != "attributes"} == {
        "Name": "Widget", "ProductCode": "W", "UnitPrice": 2.0,
    }  # fmt: skip
    assert _rows(api, "SELECT Id, DeveloperName FROM RecordType WHERE SobjectType = 'Account'") == []


def _rows(api: Api, query: str) -> list[dict[str, Any]]:
    answer = api("GET", "query", q=query)
    assert answer.status == 200, answer.body
    return list(answer.json["records"])


XML = {"Accept": "application/xml", "Content-Type": "application/xml; charset=UTF-8"}


def _tree(answer: Answer) -> etree._Element:
    assert answer.headers["Content-Type"] == "application/xml;charset=UTF-8"
    return etree.fromstring(answer.body)


def test_records_in_xml(api: Api) -> None:
    raw = b"<?xml version='1.0'?><Contact><LastName>O&amp;M</LastName><Email/></Contact>"
    made = _tree(api("POST", "sobjects/Contact", raw=raw, headers=XML))
    assert (made.tag, made.findtext("success")) == ("Result", "true")
    address = f"sobjects/Contact/{made.findtext('id')}"
    assert (
        api("PATCH", address, raw=b"<Contact><FirstName>A</FirstName></Contact>", headers=XML).status == 204
    )
    shown = _tree(api("GET", f"{address}?fields=Name,Email", headers=XML))
    assert (shown.tag, shown.get("type"), shown.findtext("Name")) == ("Contact", "Contact", "A O&M")
    assert shown.find("Email").attrib == {"{http://www.w3.org/2001/XMLSchema-instance}nil": "true"}  # type: ignore[union-attr]


def test_queries_in_xml(api: Api) -> None:
    account = api.create("Account", Name="In markup")
    api.create("Contact", LastName="x", AccountId=account)
    query = "SELECT Name, (SELECT LastName FROM Contacts) FROM Account WHERE Name = 'In markup'"
    found = _tree(api("GET", "query", q=query, headers={"Accept": "application/xml, application/json"}))
    assert (found.tag, found.findtext("totalSize"), found.findtext("done")) == ("QueryResult", "1", "true")
    (record,) = found.findall("records")
    assert (record.get("type"), record.findtext("Name")) == ("Account", "In markup")
    assert record.findtext("Contacts/records/LastName") == "x"


@pytest.mark.parametrize(
    ("path", "root", "inside"),
    [
        ("/services/data", "Versions", "Version/label"),
        ("sobjects", "DescribeGlobal", "sobjects/keyPrefix"),
        ("sobjects/Contact/describe", "DescribeSObject", "fields/name"),
        ("limits", "Result", "DailyApiRequests/Max"),
        ("recent", "List", ""),
        ("sobjects/Nonsense", "Errors", "Error/errorCode"),
        ("query?q=SELECT", "Errors", "Error/message"),
    ],
)
def test_what_else_there_is_in_xml(api: Api, path: str, root: str, inside: str) -> None:
    tree = _tree(api("GET", path, headers=XML))
    assert tree.tag == root
    assert not inside or tree.findtext(inside)


def test_what_is_asked_for_first_is_answered_in(api: Api) -> None:
    for accept in ("*/*", "application/json, application/xml", "text/html, */*;q=0.1", ""):
        assert api("GET", "limits", headers={"Accept": accept}).json
    nothing = api("POST", "sobjects/Contact", raw=b"<Contact>", headers={"Content-Type": "text/xml"})
    assert (nothing.status, nothing.code) == (400, "XML_PARSER_ERROR")
