"""Bulk 2.0 by hand, Bulk 1.0 by salesforce-bulk, both by simple-salesforce: all unmodified."""

import csv
import io
import json
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from tests.daemon.crm_api.conftest import Answer, Api
from tests.servers.embedded_crm import EmbeddedCrm

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # their own imports
    import salesforce_bulk
    import simple_salesforce


def table(answer: Answer) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.body.decode())))


def finished(api: Api, path: str) -> Any:
    while (job := api("GET", path).json)["state"] not in ("JobComplete", "Failed", "Aborted"):
        time.sleep(0.01)
    return job


def ingest(api: Api, content: str, **asked: str) -> Any:
    """The finished job."""
    job = api("POST", "jobs/ingest", {"contentType": "CSV", "lineEnding": "LF", **asked}).json
    raw = {"Content-Type": "text/csv"}
    assert (
        api(
            "PUT", job["contentUrl"].removeprefix("services/data/v59.0/"), raw=content.encode(), headers=raw
        ).status
        == 201
    )
    assert (
        api("PATCH", f"jobs/ingest/{job['id']}", {"state": "UploadComplete"}).json["state"]
        == "UploadComplete"
    )
    return finished(api, f"jobs/ingest/{job['id']}")


def test_insert_update_delete(api: Api) -> None:
    account = api.create("Account", Name="bulk parent")
    rows = f'LastName,FirstName,AccountId\nB1,Ü,{account}\n,x,\n"B,2",#N/A,'
    job = ingest(api, rows, object="contact", operation="insert")
    assert (job["object"], job["numberRecordsProcessed"], job["numberRecordsFailed"]) == ("Contact", 3, 1)
    good = table(api("GET", f"jobs/ingest/{job['id']}/successfulResults"))
    bad = table(api("GET", f"jobs/ingest/{job['id']}/failedResults/"))
    assert [(each["sf__Created"], each["LastName"]) for each in good] == [("true", "B1"), ("true", "B,2")]
    assert [each["sf__Error"].partition(":")[0] for each in bad] == ["REQUIRED_FIELD_MISSING"]
    assert table(api("GET", f"jobs/ingest/{job['id']}/unprocessedrecords")) == []
    ids = [each["sf__Id"] for each in good]
    changed = ingest(
        api, f"Id|Phone\n{ids[0]}|1\n", object="Contact", operation="update", columnDelimiter="PIPE"
    )
    assert changed["numberRecordsFailed"] == 0
    assert api("GET", f"sobjects/Contact/{ids[0]}").json["Phone"] == "1"
    ingest(api, "Id\n" + "\n".join(ids), object="Contact", operation="delete")
    assert api("GET", f"sobjects/Contact/{ids[0]}").status == 404
    ingest(api, "Id\n" + ids[0], object="Contact", operation="undelete")
    assert api("GET", f"sobjects/Contact/{ids[0]}").status == 200
    ingest(api, "Id\n" + ids[0], object="Contact", operation="hardDelete")
    assert api("GET", "queryAll", q=f"SELECT Id FROM Contact WHERE Id = '{ids[0]}'").json["totalSize"] == 0


def test_upsert_and_parents_by_external_id(api: Api) -> None:
    for created in ("true", "false"):
        rows = "Crmsync_Id__c,LastName,Company\nb-1,L,C"
        job = ingest(api, rows, object="Lead", operation="upsert", externalIdFieldName="Crmsync_Id__c")
        assert table(api("GET", f"jobs/ingest/{job['id']}/successfulResults"))[0]["sf__Created"] == created
    job = ingest(api, "Subject,Lead:Who.Crmsync_Id__c\nt,b-1\nt,none", object="Task", operation="insert")
    assert job["numberRecordsFailed"] == 1
    found = api("GET", "query", q="SELECT Who.Name FROM Task WHERE Who.Type = 'Lead'").json["records"]
    assert [each["Who"]["Name"] for each in found] == ["L"]


def test_a_query_in_pages(api: Api, crm: EmbeddedCrm) -> None:
    account = api.create("Account", Name='Q "1"')
    crm.crm.store.create(
        crm.crm.store.caller(crm.sync.id),
        [("Contact", {"LastName": f"bq{n:02}", "AccountId": account if n % 2 else None}) for n in range(25)],
    )
    soql = "SELECT Id, LastName, Account.Name, IsDeleted FROM Contact WHERE LastName LIKE 'bq%' ORDER BY LastName"
    job = api("POST", "jobs/query", {"operation": "query", "query": soql}).json
    assert job["object"] == "Contact"
    assert finished(api, f"jobs/query/{job['id']}")["numberRecordsProcessed"] == 25
    first = api("GET", f"jobs/query/{job['id']}/results", maxRecords="20")
    assert (first.headers["Sforce-NumberOfRecords"], first.headers["Sforce-Locator"]) == ("20", "20")
    last = api("GET", f"jobs/query/{job['id']}/results", maxRecords="20", locator="20")
    assert (last.headers["Sforce-NumberOfRecords"], last.headers["Sforce-Locator"]) == ("5", "null")
    rows = table(first) + table(last)
    assert [each["LastName"] for each in rows] == [f"bq{n:02}" for n in range(25)]
    assert [(each["Account.Name"], each["IsDeleted"]) for each in rows[:2]] == [
        ("", "false"),
        ('Q "1"', "false"),
    ]
    assert api("DELETE", f"jobs/query/{job['id']}").status == 204
    assert api("GET", f"jobs/query/{job['id']}").status == 404


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"object": "Contact", "operation": "guess"}, "INVALIDJOB"),
        ({"object": "Nothing", "operation": "insert"}, "INVALID_TYPE"),
        ({"object": "Lead", "operation": "upsert"}, "INVALIDJOB"),
        ({"object": "Lead", "operation": "insert", "columnDelimiter": "DOT"}, "INVALIDJOB"),
        ({"object": "Lead", "operation": "insert", "columnDelimiter": ["COMMA"]}, "INVALIDJOB"),
        ({"object": "Lead", "operation": "insert", "lineEnding": {"LF": 1}}, "INVALIDJOB"),
    ],
)
def test_jobs_that_cannot_be_made(api: Api, body: dict[str, Any], code: str) -> None:
    assert api("POST", "jobs/ingest", body).code == code


@pytest.mark.parametrize("content", ["a,b\n1", "\xff"])
def test_content_that_is_no_table(api: Api, content: str) -> None:
    job = api("POST", "jobs/ingest", {"object": "Lead", "operation": "insert"}).json
    path = f"jobs/ingest/{job['id']}"
    api("PUT", f"{path}/batches", raw=content.encode("latin-1"))
    api("PATCH", path, {"state": "UploadComplete"})
    assert finished(api, path)["state"] == "Failed"


def test_an_upload_of_nothing_is_done_at_once(api: Api) -> None:
    job = ingest(api, "", object="Lead", operation="insert")
    assert (job["state"], job["numberRecordsProcessed"]) == ("JobComplete", 0)


def test_a_batch_of_nothing_is_refused(bulk: salesforce_bulk.SalesforceBulk) -> None:
    job = bulk.create_update_job("Lead", contentType="CSV")
    with pytest.raises(salesforce_bulk.salesforce_bulk.BulkApiError, match="ClientInputError"):
        bulk.post_batch(job, b"\n")


def test_a_job_belongs_to_who_made_it(api: Api, alice: Api) -> None:
    job = api("POST", "jobs/ingest", {"object": "Lead", "operation": "insert"}).json
    assert alice("GET", f"jobs/ingest/{job['id']}").status == 404
    assert job["id"] in [each["id"] for each in api("GET", "jobs/ingest").json["records"]]
    assert alice("GET", "jobs/ingest").json["records"] == []
    assert api("PATCH", f"jobs/ingest/{job['id']}", {"state": "Aborted"}).json["state"] == "Aborted"
    assert api("PATCH", f"jobs/ingest/{job['id']}", {"state": "UploadComplete"}).code == "INVALIDJOBSTATE"


def test_a_job_of_somebody_else_is_one_that_is_not_there(api: Api, alice: Api) -> None:
    """In both versions, whatever is asked of it; and nothing becomes of it."""
    mine = api("POST", "jobs/ingest", {"object": "Lead", "operation": "insert"}).json["id"]
    found = api("POST", "jobs/query", {"operation": "query", "query": "SELECT Id FROM Lead"}).json["id"]
    finished(api, f"jobs/query/{found}")
    old = "/services/async/59.0/job"
    made = {"operation": "insert", "object": "Lead", "contentType": "JSON"}
    session = api.headers["Authorization"].removeprefix("Bearer ")
    classic = Api(api.crm, api.pool, {"X-SFDC-Session": session})
    job = classic("POST", old, made).json["id"]
    batch = classic("POST", f"{old}/{job}/batch", [{"LastName": "L", "Company": "C"}]).json["id"]
    other = alice.headers["Authorization"].removeprefix("Bearer ")
    stranger = Api(api.crm, api.pool, {**alice.headers, "X-SFDC-Session": other})
    closed = {"state": "Aborted"}
    for path, nowhere in (
        (f"jobs/ingest/{mine}", mine),
        (f"jobs/query/{found}", found),
        (f"{old}/{job}", job),
    ):
        for method, more, body in (
            ("GET", "", None),
            ("PATCH", "", closed),
            ("POST", "", closed),
            ("DELETE", "", None),
            ("PUT", "/batches", closed),
            ("POST", "/batch", [{"LastName": "M"}]),
            *(("GET", f"/{n}", None) for n in ("results", "successfulResults", "failedResults")),
            *(("GET", f"/{n}", None) for n in ("unprocessedrecords", "batch", f"batch/{batch}")),
            *(("GET", f"/batch/{batch}/{n}", None) for n in ("request", "result")),
        ):
            answer = stranger(method, path + more, body)
            gone = stranger(method, path.replace(nowhere, f"{nowhere[:12]}zzz") + more, body)
            assert answer.status in (400, 404, 405), (method, path, more)
            assert (answer.status, answer.body) == (gone.status, gone.body)
    assert stranger("GET", f"jobs/query/{found[:15]}/results").status == 404
    assert api("GET", f"jobs/ingest/{mine}").json["state"] == "Open"
    assert (
        classic("GET", f"{old}/{job}", headers={"Content-Type": "application/json"}).json["state"] == "Open"
    )


def test_a_query_job_that_cannot_be_answered(api: Api) -> None:
    for soql, code in (
        ("SELECT", "MALFORMED_QUERY"),
        ("SELECT MailingAddress FROM Contact", "FUNCTIONALITY_NOT_ENABLED"),
    ):
        answer = api("POST", "jobs/query", {"operation": "query", "query": soql})
        if answer.status == 400:
            assert answer.code == code
        else:
            assert code in finished(api, f"jobs/query/{answer.json['id']}")["errorMessage"]


@pytest.fixture
def bulk(crm: EmbeddedCrm, api: Api) -> salesforce_bulk.SalesforceBulk:
    return salesforce_bulk.SalesforceBulk(api.headers["Authorization"].removeprefix("Bearer "), host=crm.url)


@pytest.mark.parametrize("format", ["CSV", "JSON", "XML"])
def test_salesforce_bulk(bulk: salesforce_bulk.SalesforceBulk, format: str) -> None:
    name = f"sb{format}"
    job = bulk.create_insert_job("Contact", contentType=format)
    content = {
        "CSV": f"LastName,Phone\n{name},1\n,2\n".encode(),
        "JSON": json.dumps([{"LastName": name, "Phone": "1"}, {"Phone": "2"}]).encode(),
        "XML": f'<sObjects xmlns="{bulk.jobNS}"><sObject><LastName>{name}</LastName><Phone>1</Phone></sObject>'
        "<sObject><Phone>2</Phone></sObject></sObjects>".encode(),
    }[format]
    batch = bulk.post_batch(job, content)
    bulk.wait_for_batch(job, batch, timeout=30, sleep_interval=0.01)
    results = bulk.get_batch_results(batch, job)
    assert [str(each.success).lower() for each in results] == ["true", "false"]
    assert "REQUIRED_FIELD_MISSING" in str(results[1].error)
    assert [each["id"] for each in bulk.get_batch_list(job)] == [batch] if format != "JSON" else True
    bulk.close_job(job)
    assert bulk.job_status(job)["numberBatchesCompleted"] == "1"
    query = bulk.create_query_job("Contact", contentType=format)
    asked = bulk.query(query, f"SELECT Id, LastName, Phone FROM Contact WHERE LastName = '{name}'")
    bulk.close_job(query)
    bulk.wait_for_batch(query, asked, timeout=30, sleep_interval=0.01)
    (found,) = bulk.get_all_results_for_query_batch(asked)
    text = found.read().decode()
    assert text.count(name) == 1
    if format == "JSON":
        assert json.loads(text)[0]["Phone"] == "1"
    with pytest.raises(salesforce_bulk.salesforce_bulk.BulkApiError, match="InvalidJobState"):
        bulk.post_batch(job, content)


def test_salesforce_bulk_says_what_is_wrong(bulk: salesforce_bulk.SalesforceBulk) -> None:
    with pytest.raises(salesforce_bulk.salesforce_bulk.BulkApiError, match="InvalidJob"):
        bulk.create_insert_job("Nothing")
    odd = salesforce_bulk.SalesforceBulk(
        "none", host=bulk.endpoint.partition("/services")[0], API_version="x"
    )
    with pytest.raises(salesforce_bulk.salesforce_bulk.BulkApiError, match="404"):
        odd.create_insert_job("Lead")
    nobody = salesforce_bulk.SalesforceBulk("none", host=bulk.endpoint.partition("/services")[0])
    with pytest.raises(
        salesforce_bulk.salesforce_bulk.BulkApiError, match=r"400.*<exceptionCode>InvalidSessionId"
    ):
        nobody.create_insert_job("Lead")
    job = bulk.create_query_job("Contact")
    batch = bulk.query(job, "SELECT Nothing FROM Contact")
    with pytest.raises(salesforce_bulk.salesforce_bulk.BulkBatchFailed, match="No such column"):
        bulk.wait_for_batch(job, batch, timeout=30, sleep_interval=0.01)


@pytest.fixture
def sf(crm: EmbeddedCrm, api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[simple_salesforce.Salesforce]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(crm.ca_file))
    token = api.headers["Authorization"].removeprefix("Bearer ")
    made = simple_salesforce.Salesforce(
        session_id=token, instance_url=crm.https_url.replace("127.0.0.1", "localhost"), version="59.0"
    )
    yield made
    made.session.close()


def test_simple_salesforce_bulk(sf: simple_salesforce.Salesforce) -> None:
    made = sf.bulk.Lead.insert([{"LastName": f"ssb{n}", "Company": "c"} for n in range(3)])
    assert [each["success"] for each in made] == [True] * 3
    keyed = [{"LastName": "ssb", "Company": "c", "Crmsync_Id__c": "ssb-1"}]
    assert sf.bulk.Lead.upsert(keyed, "Crmsync_Id__c")[0]["created"] is True
    found = sf.bulk.Lead.query("SELECT Id, LastName FROM Lead WHERE LastName LIKE 'ssb%'")
    assert len(found) == 4
    assert found[0]["attributes"]["url"].endswith(f"/sobjects/Lead/{found[0]['Id']}")
    assert all(each["success"] for each in sf.bulk.Lead.delete([{"Id": each["id"]} for each in made]))


def test_simple_salesforce_bulk2(sf: simple_salesforce.Salesforce) -> None:
    made = sf.bulk2.Lead.insert(records=[{"LastName": f"ss2{n}", "Company": "c"} for n in range(3)])
    assert (made[0]["numberRecordsProcessed"], made[0]["numberRecordsFailed"]) == (3, 0)
    assert sf.bulk2.Lead.get_successful_records(made[0]["job_id"]).count("ss2") == 3
    pages = list(sf.bulk2.Lead.query("SELECT Id, LastName FROM Lead WHERE LastName LIKE 'ss2%'"))
    assert sum(page.count("ss2") for page in pages) == 3
