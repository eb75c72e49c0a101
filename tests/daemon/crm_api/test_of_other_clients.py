"""What programs rely on that are not in the tests themselves: restforce, nforce, django-salesforce and their like."""

import base64
import json
from typing import Any

import pytest

from tests.daemon.crm_api.conftest import Api


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
