"""List views, tabs, and the records that a record leads to: what clients offer a person to choose from."""

import pytest

from tests.daemon.crm_api.conftest import Api


def test_list_views(api: Api, alice: Api) -> None:
    mine = alice.create("Account", Name="of alice")
    api.create("Account", Name="of the integration")
    found = alice("GET", "sobjects/account/ListViews").json
    assert [each["label"] for each in found["listviews"]] == ["All Accounts", "My Accounts"]
    own = found["listviews"][1]
    assert alice("GET", own["url"]).json == own
    described = alice("GET", own["describeUrl"]).json
    assert described["columns"][0]["fieldNameOrPath"] == "Name"
    assert alice("GET", "query", q=described["query"]).json["records"][0]["Name"] == "of alice"
    results = alice("GET", own["resultsUrl"], limit="5").json
    cells = [
        {cell["fieldNameOrPath"]: cell["value"] for cell in row["columns"]} for row in results["records"]
    ]
    assert [(each["Name"], each["Id"]) for each in cells] == [("of alice", mine)]
    assert alice("GET", "query", explain=own["id"]).json["plans"][0]["sobjectType"] == "Account"
    every = api("GET", found["listviews"][0]["resultsUrl"]).json
    assert every["size"] == len(every["records"]) == 2


def test_every_object_has_views_that_answer(api: Api) -> None:
    for each in api("GET", "sobjects").json["sobjects"]:
        for view in api("GET", f"sobjects/{each['name']}/listviews").json["listviews"]:
            assert api("GET", view["resultsUrl"]).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "sobjects/Nothing/listviews",
        "sobjects/Account/listviews/00B000000000001AAA",
        "sobjects/Account/listviews/x/results",
        "sobjects/Account/describe/namedLayouts/Other",
    ],
)
def test_what_is_not_there(api: Api, path: str) -> None:
    assert (api("GET", path).status, api("GET", path).code) == (404, "NOT_FOUND")


def test_tabs_and_colours(api: Api) -> None:
    assert {each["sobjectName"] for each in api("GET", "tabs").json} >= {"Account", "Event"}
    assert {"colors", "icons", "name"} == set(api("GET", "theme").json["themeItems"][0])
    resources = api("GET", "").json
    assert {"tabs", "theme", "quickActions"} <= resources.keys()


def test_layouts_have_what_rest_has(api: Api) -> None:
    for path in ("Account/describe/layouts", "User/describe/namedLayouts/UserAlt"):
        found = api("GET", f"sobjects/{path}").json
        assert found["recordTypeSelectorRequired"] == [False]
        assert found["layouts"][0]["quickActionList"] == {"quickActionListItems": []}


def test_the_records_that_a_record_leads_to(api: Api) -> None:
    account = api.create("Account", Name="parent")
    contacts = sorted(api.create("Contact", LastName=name, AccountId=account) for name in "ab")
    found = api("GET", f"sobjects/Account/{account}/contacts", fields="Id,LastName").json
    assert [each["Id"] for each in found["records"]] == contacts
    assert set(found["records"][0]) == {"attributes", "Id", "LastName"}
    assert api("GET", f"sobjects/Account/{account}/Contacts").json["totalSize"] == 2
    assert api("GET", f"sobjects/Account/{account}/Opportunities").json["records"] == []
    assert api("GET", "sobjects/Account/001000000000999AAA/Contacts").status == 404
    assert api("GET", f"sobjects/Contact/{contacts[0]}/Account").json["Name"] == "parent"


def test_more_children_than_a_page(api: Api) -> None:
    account = api.create("Account", Name="many")
    caller = api.crm.crm.store.caller(api.crm.sync.id)
    api.crm.crm.store.create(
        caller, [("Contact", {"LastName": f"n{n}", "AccountId": account}) for n in range(201)]
    )
    asked = {"Sforce-Query-Options": "batchSize=200"}
    first = api("GET", f"sobjects/Account/{account}/Contacts", headers=asked).json
    assert (len(first["records"]), first["done"]) == (200, False)
    assert len(api("GET", first["nextRecordsUrl"]).json["records"]) == 1
