"""`composite/tree`, `composite/graph`, layouts, limits, and parents by the name of the relationship."""

from typing import Any

import pytest

from tests.daemon.crm_api.conftest import Api


def node(type_: str, reference: str, **fields: Any) -> dict[str, Any]:
    return {"attributes": {"type": type_, "referenceId": reference}, **fields}


def test_a_tree(api: Api) -> None:
    contact = node("Contact", "c", LastName="Leaf", Tasks={"records": [node("Task", "t", Subject="s")]})
    answer = api(
        "POST",
        "composite/tree/account",
        {"records": [node("Account", "a", Name="Root", Contacts={"records": [contact]})]},
    )
    assert (answer.status, answer.json["hasErrors"]) == (201, False)
    ids = {each["referenceId"]: each["id"] for each in answer.json["results"]}
    found = api("GET", f"sobjects/Task/{ids['t']}").json
    assert (found["WhoId"], found["AccountId"]) == (ids["c"], ids["a"])
    assert api("GET", f"sobjects/Contact/{ids['c']}/Account").json["Name"] == "Root"


def test_a_tree_is_made_as_a_whole(api: Api) -> None:
    records = [node("Account", "good", Name="tree-all"), node("Account", "bad", Phone="1")]
    answer = api("POST", "composite/tree/Account", {"records": records})
    assert (answer.status, answer.json["hasErrors"]) == (400, True)
    assert answer.json["results"][0]["referenceId"] == "bad"
    assert answer.json["results"][0]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    assert api("GET", "query", q="SELECT Id FROM Account WHERE Name = 'tree-all'").json["totalSize"] == 0


@pytest.mark.parametrize(
    ("records", "code"),
    [
        ([], "JSON_PARSER_ERROR"),
        ([{"Name": "x"}], "INVALID_INPUT"),
        ([node("Contact", "a", LastName="x")], "INVALID_INPUT"),
        ([node("Account", "a", Name="x"), node("Account", "a", Name="y")], "INVALID_INPUT"),
        ([node("Account", "a", Name="x", Nothing={"records": []})], "INVALID_FIELD"),
        ([node("Account", f"r{n}", Name="x") for n in range(201)], "LIMIT_EXCEEDED"),
    ],
)
def test_what_is_no_tree(api: Api, records: list[Any], code: str) -> None:
    assert api("POST", "composite/tree/Account", {"records": records}).code == code


def test_graphs(api: Api) -> None:
    def request(url: str, name: str, method: str = "POST", **body: Any) -> dict[str, Any]:
        return {"url": f"/services/data/v59.0/{url}", "method": method, "referenceId": name, "body": body}

    good = [
        request("sobjects/Account", "a", Name="graph"),
        request("sobjects/Contact", "c", LastName="graph", AccountId="@{a.id}"),
    ]
    bad = [request("sobjects/Account", "a", Name="graph-bad"), request("sobjects/Contact", "c")]
    answer = api("POST", "composite/graph", {"graphs": [
        {"graphId": "1", "compositeRequest": good}, {"graphId": "2", "compositeRequest": bad},
    ]}).json["graphs"]  # fmt: skip
    assert [(each["graphId"], each["isSuccessful"]) for each in answer] == [("1", True), ("2", False)]
    assert [each["httpStatusCode"] for each in answer[0]["graphResponse"]["compositeResponse"]] == [201, 201]
    found = api(
        "GET", "query", q="SELECT Name, (SELECT LastName FROM Contacts) FROM Account WHERE Name LIKE 'graph%'"
    )
    assert [(each["Name"], each["Contacts"]["totalSize"]) for each in found.json["records"]] == [("graph", 1)]


def test_layouts(api: Api) -> None:
    layout = api("GET", "sobjects/Contact/describe/layouts").json
    sections = layout["layouts"][0]["editLayoutSections"]
    items = [item for section in sections for row in section["layoutRows"] for item in row["layoutItems"]]
    fields = {c["value"]: item for item in items for c in item["layoutComponents"]}
    assert fields["Name"]["required"] is True
    assert "CreatedDate" not in fields
    assert "Tasks" in [each["name"] for each in layout["layouts"][0]["relatedLists"]]
    record_type = layout["recordTypeMappings"][0]["recordTypeId"]
    assert (
        api("GET", f"sobjects/contact/describe/layouts/{record_type}").json["id"]
        == layout["layouts"][0]["id"]
    )
    assert api("GET", "sobjects/Contact/describe/layouts/012000000000001").status == 404
    for path in ("compactLayouts", "approvalLayouts"):
        assert api("GET", f"sobjects/Contact/describe/{path}").status == 200


def test_what_there_is(api: Api) -> None:
    assert {"Max", "Remaining"} == {*api("GET", "limits").json["DailyBulkApiBatches"]}
    assert {"graph", "tree"} <= {*api("GET", "composite").json}
    for name, url in api("GET", "").json.items():
        if name not in ("identity", "query", "queryAll", "search", "parameterizedSearch", "jobs"):
            assert api("GET", url).status == 200, name
