"""Single records over HTTP: addresses, conditions, errors."""

import gzip
import json
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.daemon.crm_api.conftest import Answer, Api

OLD = "Mon, 01 Jan 2024 00:00:00 GMT"


def test_create_read_update_delete(api: Api) -> None:
    created = api("POST", "sobjects/Contact", {"LastName": "Ünï", "Email": "u@example.com"})
    record_id = created.json["id"]
    assert (created.status, created.json) == (201, {"id": record_id, "success": True, "errors": []})
    assert created.headers["Location"].endswith(f"/sobjects/Contact/{record_id}")
    read = api("GET", f"sobjects/Contact/{record_id}").json
    assert read["attributes"] == {
        "type": "Contact",
        "url": f"/services/data/v59.0/sobjects/Contact/{record_id}",
    }
    assert (read["LastName"], read["MailingAddress"]) == ("Ünï", None)
    assert read["SystemModstamp"].endswith(".000+0000")
    patched = api("PATCH", f"sobjects/Contact/{record_id}", {"MailingCity": "Köln"})
    assert (patched.status, patched.body) == (204, b"")
    fields = api("GET", f"sobjects/Contact/{record_id}", fields="lastname,MAILINGADDRESS").json
    assert list(fields) == ["attributes", "LastName", "MailingAddress", "Id"]
    assert list(fields["MailingAddress"]) == [
        "city", "country", "geocodeAccuracy", "latitude", "longitude", "postalCode", "state", "street",
    ]  # fmt: skip
    assert api("DELETE", f"sobjects/Contact/{record_id}").status == 204
    gone = api("GET", f"sobjects/Contact/{record_id}")
    assert (gone.status, gone.code) == (404, "NOT_FOUND")
    again = api("DELETE", f"sobjects/Contact/{record_id}")
    assert (again.status, again.code) == (404, "ENTITY_IS_DELETED")


@pytest.mark.parametrize(
    "path",
    [
        "{v}/sobjects/contact/{id}",
        "{v}/SObjects/CONTACT/{short}/",
        "//login.salesforce.com{v}//sobjects//Contact/{id}//",
        "/services/data/V59.0/sobjects/Contact/{id}",
        "/services/data/v30.0/sobjects/Contact/{id}",
    ],
)
def test_addresses_are_taken_loosely(api: Api, path: str) -> None:
    record_id = api.create("Contact", LastName="x")
    answer = api("GET", path.format(v="/services/data/v59.0", id=record_id, short=record_id[:15]))
    assert answer.json["Id"] == record_id


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "nowhere", None, 404, "NOT_FOUND"),
        ("GET", "/services/data/v19.0/sobjects", None, 404, "NOT_FOUND"),
        ("GET", "/services/data/v999.0/sobjects", None, 404, "NOT_FOUND"),
        ("GET", "/services/apexrest/x", None, 404, "NOT_FOUND"),
        ("GET", "sobjects/Nonsense", None, 404, "NOT_FOUND"),
        ("POST", "sobjects/Nonsense", {}, 404, "NOT_FOUND"),
        ("PUT", "sobjects/Contact/003000000000001AAA", {}, 405, "METHOD_NOT_ALLOWED"),
        ("GET", "sobjects/Contact/nonsense", None, 404, "NOT_FOUND"),
        ("GET", "sobjects/Contact/001000000000001AAA", None, 404, "NOT_FOUND"),
        ("PATCH", "sobjects/Contact/nonsense", {"LastName": "x"}, 404, "NOT_FOUND"),
        ("DELETE", "sobjects/Contact/nonsense", None, 404, "NOT_FOUND"),
        ("DELETE", "sobjects/Contact/001000000000001AAA", None, 400, "MALFORMED_ID"),
        ("GET", "sobjects/Contact/003000000zzzzzzAAA", None, 404, "NOT_FOUND"),
        (
            "PATCH",
            "sobjects/Contact/003000000zzzzzzAAA",
            {"LastName": "x"},
            404,
            "INVALID_CROSS_REFERENCE_KEY",
        ),
        ("DELETE", "sobjects/Contact/003000000zzzzzzAAA", None, 404, "INVALID_CROSS_REFERENCE_KEY"),
        ("GET", "sobjects/Contact/Title/x", None, 404, "NOT_FOUND"),
        ("GET", "sobjects/Contact/Crmsync_Id__c/none", None, 404, "NOT_FOUND"),
        ("POST", "sobjects/Contact", {}, 400, "REQUIRED_FIELD_MISSING"),
        ("POST", "sobjects/Contact", {"LastName": "x", "Id": "003000000000001AAA"}, 400, "INVALID_FIELD"),
        ("POST", "sobjects/Contact", {"LastName": "x", "Nonsense__c": 1}, 400, "INVALID_FIELD"),
        ("PATCH", "sobjects/Contact/003000000zzzzzzAAA", {"Id": "x"}, 400, "INVALID_FIELD"),
        ("POST", "sobjects/Contact", [1], 400, "JSON_PARSER_ERROR"),
        ("POST", "sobjects/Contact", None, 400, "JSON_PARSER_ERROR"),
    ],
)
def test_errors(api: Api, method: str, path: str, body: Any, status: int, code: str) -> None:
    answer = api(method, path, body)
    assert (answer.status, answer.code) == (status, code)
    assert answer.json[0]["message"]


def test_an_error_names_its_fields(api: Api) -> None:
    error = api("POST", "sobjects/Contact", {"LastName": "x" * 81}).json[0]
    assert error["errorCode"] == "STRING_TOO_LONG"
    assert error["fields"] == ["LastName"]
    assert "max length=80" in error["message"]


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"\xff\xfe", b"[" * 200_000, b'{"LastName": NaN}', b'{"LastName": "\\ud800"}', b"null",
     b'{"NumberOfEmployees": ' + b"9" * 5000 + b"}", b'{"LastName": "\\u0000"}'],
)  # fmt: skip
def test_bodies_that_are_no_json(api: Api, raw: bytes) -> None:
    answer = api("POST", "sobjects/Contact", raw=raw)
    assert (answer.status, answer.code) == (400, "JSON_PARSER_ERROR")


def test_zipped_bodies(api: Api) -> None:
    zipped = gzip.compress(json.dumps({"LastName": "zipped"}).encode())
    assert api("POST", "sobjects/Contact", raw=zipped, headers={"Content-Encoding": "gzip"}).status == 201
    cut_off = api("POST", "sobjects/Contact", raw=zipped[:-9], headers={"Content-Encoding": "gzip"})
    assert cut_off.code == "JSON_PARSER_ERROR"
    bomb = gzip.compress(b" " * (51 * 1024 * 1024))
    answer = api("POST", "sobjects/Contact", raw=bomb, headers={"Content-Encoding": "gzip"})
    assert (answer.status, answer.code) == (413, "REQUEST_TOO_LARGE")
    other = api("POST", "sobjects/Contact", raw=b"x", headers={"Content-Encoding": "br"})
    assert other.status == 415


def test_a_body_that_is_too_large_is_not_read(api: Api) -> None:
    answer = api("POST", "sobjects/Contact", raw=b" " * (51 * 1024 * 1024))
    assert (answer.status, answer.code) == (413, "REQUEST_TOO_LARGE")
    assert api("GET", "").status == 200


def test_upsert_by_external_id(api: Api) -> None:
    path = "sobjects/contact/crmsync_id__c/a%2Fb%20%C3%BC"
    created = api("PATCH", path, {"LastName": "x"})
    assert (created.status, created.json["created"]) == (201, True)
    updated = api("PATCH", path.replace("a%2Fb", "A%2FB"), {"Phone": "1"})
    assert (updated.status, updated.json["created"], updated.json["id"]) == (200, False, created.json["id"])
    read = api("GET", path, fields="Crmsync_Id__c,Phone").json
    assert (read["Crmsync_Id__c"], read["Phone"]) == ("A/B ü", "1")
    assert api("PATCH", f"sobjects/Contact/Id/{created.json['id']}", {"Phone": "2"}).status == 200
    assert api("DELETE", path).status == 204
    assert api("PATCH", "sobjects/Contact/Title/x", {}).code == "NOT_FOUND"


def modified(answer: Answer) -> str:
    return answer.headers["Last-Modified"]


def test_conditions_on_reading(api: Api) -> None:
    path = f"sobjects/Contact/{api.create('Contact', LastName='x')}"
    first = api("GET", path)
    assert api("GET", path, headers={"If-None-Match": first.headers["ETag"]}).status == 304
    assert api("GET", path, headers={"If-None-Match": '"other"'}).status == 200
    not_modified = api("GET", path, headers={"If-Modified-Since": modified(first)})
    assert (not_modified.status, not_modified.body) == (304, b"")
    assert api("GET", path, headers={"If-Modified-Since": OLD}).status == 200
    assert api("GET", path, headers={"If-Modified-Since": "soon"}).status == 200


def test_conditions_on_writing(api: Api) -> None:
    path = f"sobjects/Contact/{api.create('Contact', LastName='x')}"
    first = api("GET", path)
    stale = api("PATCH", path, {"Phone": "1"}, headers={"If-Unmodified-Since": OLD})
    assert (stale.status, stale.code) == (412, "PRECONDITION_FAILED")
    assert api("PATCH", path, {"Phone": "1"}, headers={"If-Unmodified-Since": modified(first)}).status == 204
    assert api("PATCH", path, {"Phone": "2"}, headers={"If-Match": first.headers["ETag"]}).status == 412
    current = api("GET", path).headers["ETag"]
    assert api("PATCH", path, {"Phone": "2"}, headers={"If-Match": f'"x", {current}'}).status == 204
    assert api("GET", path).json["Phone"] == "2"
    assert api("PATCH", path, {}, headers={"If-Unmodified-Since": "soon"}).status == 400


def test_head_and_method_override(api: Api) -> None:
    record_id = api.create("Contact", LastName="x")
    head = api("HEAD", f"sobjects/Contact/{record_id}")
    assert (head.status, head.body) == (200, b"")
    assert api("POST", f"sobjects/Contact/{record_id}?_HttpMethod=PATCH", {"Phone": "9"}).status == 204


def test_every_answer_tells_time_and_usage(api: Api) -> None:
    before = api.crm.crm.usage.total
    answer = api("GET", "limits")
    assert answer.headers["Sforce-Limit-Info"] == f"api-usage={before + 1}/1000000"
    assert answer.json["DailyApiRequests"] == {"Max": 1_000_000, "Remaining": 1_000_000 - before - 1}
    assert parsedate_to_datetime(answer.headers["Date"]).tzinfo is not None
    assert answer.headers["Content-Type"] == "application/json;charset=UTF-8"
