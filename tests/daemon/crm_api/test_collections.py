"""`composite/sobjects`, `composite`, `composite/batch`."""

from typing import Any

import pytest

from tests.daemon.crm_api.conftest import Api, V

CONTACT = {"attributes": {"type": "Contact"}}


def contacts(*names: str, **fields: Any) -> list[dict[str, Any]]:
    return [{**CONTACT, "LastName": name, **fields} for name in names]


def test_create_update_retrieve_delete(api: Api) -> None:
    created = api("POST", "composite/sobjects", {"records": [*contacts("a", "b"), {**CONTACT}]}).json
    assert [each["success"] for each in created] == [True, True, False]
    assert created[2] == {
        "success": False,
        "errors": [
            {
                "statusCode": "REQUIRED_FIELD_MISSING",
                "message": "Required fields are missing: [LastName]",
                "fields": ["LastName"],
            }
        ],
    }
    ids = [each["id"] for each in created[:2]]
    body = {"records": [{**CONTACT, "id": each, "Phone": "1"} for each in ids]}
    assert [each["success"] for each in api("PATCH", "composite/sobjects", body).json] == [True, True]
    wanted = {"ids": [ids[1], "003000000zzzzzzAAA", ids[0]], "fields": ["LastName", "Phone"]}
    found = api("POST", "composite/sobjects/Contact", wanted).json
    assert [each and (each["LastName"], each["Phone"]) for each in found] == [("b", "1"), None, ("a", "1")]
    removed = api("DELETE", "composite/sobjects", ids=",".join([*ids, "003000000zzzzzzAAA"])).json
    assert [each["success"] for each in removed] == [True, True, False]
    assert removed[2]["errors"][0]["statusCode"] == "INVALID_CROSS_REFERENCE_KEY"


def test_all_or_none(api: Api) -> None:
    body = {"allOrNone": True, "records": [*contacts("a"), {**CONTACT}]}
    codes = [each["errors"][0]["statusCode"] for each in api("POST", "composite/sobjects", body).json]
    assert codes == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "REQUIRED_FIELD_MISSING"]


def test_upsert(api: Api) -> None:
    path = "composite/sobjects/Contact/Crmsync_Id__c"
    rows = [{**each, "crmsync_id__c": f"u{n}"} for n, each in enumerate(contacts("a", "b"))]
    first, second = (api("PATCH", path, {"records": rows}).json for _ in range(2))
    assert [(each["success"], each["created"]) for each in first] == [(True, True)] * 2
    assert [(each["id"], each["created"]) for each in second] == [(each["id"], False) for each in first]
    missing = api("PATCH", path, {"records": contacts("c")}).json
    assert missing[0]["errors"][0]["statusCode"] == "MISSING_ARGUMENT"


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", "composite/sobjects", {}, "JSON_PARSER_ERROR"),
        ("POST", "composite/sobjects", {"records": []}, "REQUIRED_FIELD_MISSING"),
        ("POST", "composite/sobjects", {"records": [5]}, "JSON_PARSER_ERROR"),
        ("POST", "composite/sobjects", {"records": [{"LastName": "x"}]}, "INVALID_FIELD"),
        ("POST", "composite/sobjects", {"records": [{**CONTACT, "Id": "x"}]}, "INVALID_FIELD"),
        ("POST", "composite/sobjects", {"records": [CONTACT] * 201}, "LIMIT_EXCEEDED"),
        ("PATCH", "composite/sobjects", {"records": [CONTACT]}, "MISSING_ARGUMENT"),
        ("PATCH", "composite/sobjects", {"records": [{**CONTACT, "Id": 5}]}, "JSON_PARSER_ERROR"),
        ("PATCH", "composite/sobjects/Account/Name", {"records": [CONTACT]}, "INVALID_TYPE"),
        ("DELETE", "composite/sobjects", None, "REQUIRED_FIELD_MISSING"),
        ("POST", "composite/sobjects/Contact", {"ids": "x", "fields": ["Id"]}, "JSON_PARSER_ERROR"),
        ("POST", "composite/sobjects/Contact", {"ids": ["x"], "fields": ["Id"]}, "MALFORMED_ID"),
        ("POST", "composite", {"compositeRequest": [{}]}, "JSON_PARSER_ERROR"),
        ("POST", "composite/batch", {"batchRequests": [{}] * 26}, "LIMIT_EXCEEDED"),
    ],
)
def test_requests_that_are_wrong_as_a_whole(api: Api, method: str, path: str, body: Any, code: str) -> None:
    answer = api(method, path, body)
    assert (answer.status, answer.code) == (400, code)


def request(name: str, method: str, url: str, body: Any = None) -> dict[str, Any]:
    return {"referenceId": name, "method": method, "url": f"{V}/{url}", "body": body}


def test_composite_requests_refer_to_earlier_ones(api: Api) -> None:
    steps = [
        request("acc", "POST", "sobjects/Account", {"Name": "Ref & Söhne"}),
        request("con", "POST", "sobjects/Contact", {"LastName": "x", "AccountId": "@{acc.id}"}),
        request("page", "GET", "query/?q=SELECT+Id,+Name+FROM+Account+WHERE+Id='@{acc.id}'"),
        request("read", "GET", "sobjects/Account/@{page.records[0].Id}?fields=Name"),
        request("bad", "GET", "sobjects/Account/@{page.records[7].Id}"),
    ]
    results = api("POST", "composite", {"compositeRequest": steps}).json["compositeResponse"]
    assert [each["httpStatusCode"] for each in results] == [201, 201, 200, 200, 400]
    assert results[3]["body"]["Name"] == "Ref & Söhne"
    assert results[4]["body"][0]["errorCode"] == "PROCESSING_HALTED"
    assert results[0]["httpHeaders"]["Location"].endswith(results[0]["body"]["id"])


def test_composite_all_or_none_is_one_transaction(api: Api) -> None:
    steps = [
        request("one", "PATCH", "sobjects/Contact/Crmsync_Id__c/composite-1", {"LastName": "x"}),
        request("two", "POST", "sobjects/Contact", {}),
    ]
    body = {"allOrNone": True, "compositeRequest": steps}
    results = api("POST", "composite", body).json["compositeResponse"]
    assert [each["body"][0]["errorCode"] for each in results] == [
        "PROCESSING_HALTED",
        "REQUIRED_FIELD_MISSING",
    ]
    assert api("GET", "sobjects/Contact/Crmsync_Id__c/composite-1").status == 404
    steps[1]["body"] = {"LastName": "y"}
    results = api("POST", "composite", body).json["compositeResponse"]
    assert [each["httpStatusCode"] for each in results] == [201, 201]
    assert api("GET", "sobjects/Contact/Crmsync_Id__c/composite-1").status == 200


def test_batch(api: Api) -> None:
    record_id = api.create("Contact", LastName="x")
    requests = [
        {"method": "PATCH", "url": f"v59.0/sobjects/Contact/{record_id}", "richInput": {"Phone": "5"}},
        {"method": "GET", "url": "v59.0/sobjects/Contact/nonsense"},
        {"method": "GET", "url": f"v59.0/sobjects/Contact/{record_id}?fields=Phone"},
        {"method": "POST", "url": "v59.0/composite", "richInput": {}},
    ]
    reply = api("POST", "composite/batch", {"batchRequests": requests}).json
    assert reply["hasErrors"] is True
    assert [each["statusCode"] for each in reply["results"]] == [204, 404, 200, 404]
    assert reply["results"][2]["result"]["Phone"] == "5"
    halted = api("POST", "composite/batch", {"batchRequests": requests, "haltOnError": True}).json
    assert [each["statusCode"] for each in halted["results"]] == [204, 404, 412, 412]
