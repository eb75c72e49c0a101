"""Queries and windows of change over HTTP."""

import datetime

import pytest

from tests.daemon.crm_api.conftest import Api


def test_pages_follow_their_urls(api: Api) -> None:
    rows = [{"attributes": {"type": "Lead"}, "LastName": f"n{n}", "Company": "c"} for n in range(200)]
    for _ in range(3):
        api("POST", "composite/sobjects", {"records": rows})
    options = {"Sforce-Query-Options": "batchSize=250"}
    page = api("GET", "queryAll/", q="SELECT Id FROM Lead", headers=options).json
    sizes, ids = [len(page["records"])], [each["Id"] for each in page["records"]]
    while not page["done"]:
        page = api("GET", page["nextRecordsUrl"]).json
        assert page["totalSize"] == 600
        sizes.append(len(page["records"]))
        ids += [each["Id"] for each in page["records"]]
    assert sizes == [250, 250, 100]
    assert len(set(ids)) == 600
    assert "nextRecordsUrl" not in page


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "MALFORMED_QUERY"),
        ({"q": "SELECT Id FROM"}, "MALFORMED_QUERY"),
        ({"q": "SELECT Id FROM ScratchOrgInfo"}, "INVALID_TYPE"),
        ({"q": "SELECT Nickname FROM Contact"}, "INVALID_FIELD"),
    ],
)
def test_bad_queries(api: Api, query: dict[str, str], code: str) -> None:
    answer = api("GET", "query", **query)
    assert (answer.status, answer.code) == (400, code)


def test_a_locator_that_is_none(api: Api) -> None:
    assert api("GET", "query/01gxx0000000000-2000").code == "INVALID_QUERY_LOCATOR"


def test_what_the_command_line_client_asks(api: Api) -> None:
    text = "SELECT Name, InstanceName, IsSandbox, TrialExpirationDate, NamespacePrefix FROM Organization"
    (record,) = api("GET", "query", q=text).json["records"]
    assert (record["Name"], record["IsSandbox"]) == ("Example", False)
    assert api("GET", "query", q="SELECT count() FROM User").json == {
        "totalSize": 3,
        "done": True,
        "records": [],
    }


def test_updated_and_deleted(api: Api) -> None:
    kept, gone = (api.create("Account", Name=name) for name in ("kept", "gone"))
    api("DELETE", f"sobjects/Account/{gone}")
    now = datetime.datetime.now(datetime.UTC)
    window = {
        "start": (now - datetime.timedelta(days=1)).isoformat(),
        "end": (now + datetime.timedelta(minutes=5)).isoformat(),
    }
    updated = api("GET", "sobjects/account/updated/", **window).json
    assert kept in updated["ids"]
    assert gone not in updated["ids"]
    assert updated["latestDateCovered"].endswith(".000+0000")
    deleted = api("GET", "sobjects/account/deleted/", **window).json
    assert [each["id"] for each in deleted["deletedRecords"]] == [gone]
    assert set(deleted) == {"deletedRecords", "earliestDateAvailable", "latestDateCovered"}


@pytest.mark.parametrize(
    "window",
    [{}, {"start": "x", "end": "y"}, {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T00:00:59Z"}],
)
def test_windows_that_cannot_be(api: Api, window: dict[str, str]) -> None:
    answer = api("GET", "sobjects/Contact/updated", **window)
    assert (answer.status, answer.code) == (400, "INVALID_REPLICATION_DATE")


def test_the_daily_limit() -> None:
    import urllib3

    from tests.servers.embedded_crm import embedded_crm

    with embedded_crm(daily_requests=2) as crm, urllib3.PoolManager(retries=False) as pool:
        api = Api(crm, pool).as_user(crm.sync)
        assert [api("GET", "").status for _ in range(3)] == [200, 200, 403]
        refused = api("GET", "")
        assert refused.code == "REQUEST_LIMIT_EXCEEDED"
        assert refused.headers["Sforce-Limit-Info"] == "api-usage=2/2"
