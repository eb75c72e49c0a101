"""The CRM's own API on a replica, through a client that was written for the CRM."""

import datetime
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.daemon.replica.bench import START
from tests.daemon.replica.office import Office, office
from tests.servers.npm import installed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own imports
    import salesforce_bulk
    import simple_salesforce
    import zeep

    from tests.daemon.crm_api.test_soap_zeep import Partner, fields


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    with office(tmp_path) as made:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.server.ca_file))
        yield made


def login(here: Office, password: str = "sync-password", username: str = "sync@example.com"):
    session = requests.Session()
    session.verify = str(here.server.ca_file)
    domain = here.server.https_url.removeprefix("https://").replace("127.0.0.1", "localhost") + "/login"
    return simple_salesforce.Salesforce(
        username=username, password=password, security_token="", domain=domain, session=session
    )


def there(here: Office, path: str):
    """What the upstream says itself."""
    return here.between.client.get(f"/services/data/v59.0/{path}", path).data


@pytest.fixture
def sf(here: Office) -> Iterator[simple_salesforce.Salesforce]:
    """Logged in while the upstream was there, which is away now; a replica of three accounts and a contact."""
    acme, _, _ = (here.there_create("Account", Name=name) for name in ("Acme", "Beta", "Gamma"))
    here.there_create("Contact", LastName="Lovelace", FirstName="Ada", AccountId=acme)
    here.run()
    client = login(here)
    here.away()
    yield client
    client.session.close()


def test_what_it_answers_while_the_upstream_is_away(here: Office, sf: simple_salesforce.Salesforce):
    names = [row["Name"] for row in sf.query("SELECT Name FROM Account ORDER BY Name")["records"]]
    assert names == ["Acme", "Beta", "Gamma"]
    found = sf.query("SELECT Name, Account.Name, Owner.Username FROM Contact")["records"][0]
    assert (found["Name"], found["Account"]["Name"]) == ("Ada Lovelace", "Acme")
    assert found["Owner"]["Username"] == "sync@example.com"
    below = sf.query("SELECT Name, (SELECT LastName FROM Contacts) FROM Account WHERE Name = 'Acme'")[
        "records"
    ]
    assert below[0]["Contacts"]["records"][0]["LastName"] == "Lovelace"
    assert (
        sf.search("FIND {lovelace} RETURNING Contact(LastName)")["searchRecords"][0]["LastName"] == "Lovelace"
    )
    assert sf.limits()["DailyApiRequests"]["Remaining"] > 0


def test_describes_are_the_upstreams_own(here: Office):
    here.run()
    mine = login(here)
    upstream, ours = there(here, "sobjects/Contact/describe"), mine.Contact.describe()
    assert {k: v for k, v in ours.items() if k not in ("urls", "recordTypeInfos")} == {
        k: v for k, v in upstream.items() if k not in ("urls", "recordTypeInfos")
    }
    assert ours["urls"].keys() == upstream["urls"].keys()
    assert ours["urls"]["describe"] == upstream["urls"]["describe"]
    assert ours["urls"]["uiDetailTemplate"] == f"{mine.base_url.split('/services')[0]}/{{ID}}"
    assert ours["recordTypeInfos"] == upstream["recordTypeInfos"]
    whole = {each["name"]: each for each in there(here, "sobjects")["sobjects"]}
    for each in mine.describe()["sobjects"]:
        assert each == whole[each["name"]]
    layout = mine.restful("sobjects/Contact/describe/layouts")
    assert layout["layouts"][0]["detailLayoutSections"]
    mine.session.close()


def test_a_login_needs_the_password_that_worked_last(here: Office):
    here.run()
    with pytest.raises(simple_salesforce.SalesforceAuthenticationFailed):
        login(here, "wrong")
    login(here).session.close()
    here.away()
    login(here).session.close()
    with pytest.raises(simple_salesforce.SalesforceAuthenticationFailed):
        login(here, "wrong")
    with pytest.raises(simple_salesforce.SalesforceAuthenticationFailed):
        login(here, "alice-password", "alice@example.com")  # somebody else's replica would be another one
    with here.database.read() as work:
        kept = work.property("password")
    assert kept.startswith("scrypt$")
    assert "sync-password" not in kept


def test_somebody_else_is_not_let_in_online_either(here: Office):
    here.run()
    with pytest.raises(simple_salesforce.SalesforceAuthenticationFailed):
        login(here, "alice-password", "alice@example.com")


def test_a_query_in_pages(here: Office):
    for start in range(0, 2100, 200):
        rows = [("Lead", {"LastName": f"n{n}", "Company": "c"}) for n in range(start, min(start + 200, 2100))]
        here.crm.crm.store.create(here.caller, rows)
    here.run()
    sf = login(here)
    here.away()
    found = sf.query_all("SELECT Id FROM Lead ORDER BY LastName")
    assert (found["totalSize"], len({each["Id"] for each in found["records"]})) == (2100, 2100)
    sf.session.close()


def test_a_day_without_the_upstream(here: Office, sf: simple_salesforce.Salesforce):
    account = sf.query("SELECT Id FROM Account WHERE Name = 'Acme'")["records"][0]["Id"]
    made = sf.Account.create({"Name": "Delta"})["id"]
    assert made[:4] == "001z"
    contact = sf.Contact.create({"LastName": "Hopper", "FirstName": "Grace", "AccountId": made})["id"]
    assert (
        sf.query(f"SELECT Name FROM Contact WHERE AccountId = '{made}'")["records"][0]["Name"]
        == "Grace Hopper"
    )
    before = sf.Account.get(account)["SystemModstamp"]
    here.clock.advance(seconds=5)
    assert sf.Account.update(account, {"Phone": "1"}) == 204
    assert sf.Account.get(account)["SystemModstamp"] > before
    assert sf.Account.get(made)["OwnerId"] == here.crm.sync.id
    gone = sf.query("SELECT Id FROM Account WHERE Name = 'Beta'")["records"][0]["Id"]
    assert sf.Account.delete(gone) == 204
    composite = sf.restful(
        "composite",
        method="POST",
        json={
            "allOrNone": True,
            "compositeRequest": [
                {"method": "POST", "url": "/services/data/v59.0/sobjects/Account", "referenceId": "a",
                 "body": {"Name": "Epsilon"}},
                {"method": "POST", "url": "/services/data/v59.0/sobjects/Task", "referenceId": "t",
                 "body": {"Subject": "Call", "WhatId": "@{a.id}"}},
            ],
        },
    )["compositeResponse"]  # fmt: skip
    assert [each["httpStatusCode"] for each in composite] == [201, 201]
    with pytest.raises(simple_salesforce.SalesforceMalformedRequest, match="REQUIRED_FIELD_MISSING"):
        sf.Contact.create({"FirstName": "x"})
    with pytest.raises(simple_salesforce.SalesforceResourceNotFound):
        sf.Account.get(gone)

    here.back()
    here.run()
    here.assert_equal()
    here.assert_nothing_temporary()
    assert here.work() == {}
    real = sf.Account.get(made)["Id"]
    assert real[:4] != "001z"
    assert sf.query(f"SELECT Id FROM Account WHERE Id = '{made}'")["records"][0]["Id"] == real
    assert (
        sf.query(f"SELECT Name FROM Contact WHERE AccountId = '{made}'")["records"][0]["Name"]
        == "Grace Hopper"
    )
    assert sf.Contact.update(contact, {"AccountId": made, "Phone": "2"}) == 204  # through, by old ids
    assert here.there("Contact")[sf.Contact.get(contact)["Id"]]["Phone"] == "2"
    task = sf.query("SELECT What.Name FROM Task")["records"][0]
    assert task["What"]["Name"] == "Epsilon"
    assert sf.Account.delete(made) == 204
    here.assert_equal()


def test_what_changed_is_told_up_to_the_last_pass(here: Office, sf: simple_salesforce.Salesforce):
    start, end = START - datetime.timedelta(days=1), here.clock() + datetime.timedelta(minutes=5)
    told = sf.Account.updated(start, end)
    assert len(told["ids"]) == 3
    pulled = told["latestDateCovered"]
    gone = sf.query("SELECT Id FROM Account WHERE Name = 'Beta'")["records"][0]["Id"]
    here.clock.advance(minutes=2)
    sf.Account.delete(gone)
    here.clock.advance(minutes=2)
    assert [each["id"] for each in sf.Account.deleted(start, here.clock())["deletedRecords"]] == [gone]
    here.back()
    made = here.there_create("Account", Name="Zeta")
    here.run()
    later = sf.Account.updated(
        datetime.datetime.fromisoformat(pulled.replace("+0000", "+00:00")), here.clock()
    )
    assert made in later["ids"]


def test_soap_by_the_wsdl_to_the_letter(here: Office):
    """The very first login, before any pass; then everything without the upstream."""
    wsdl = installed("jsforce@3") / "node_modules/jsforce/src/api/soap/wsdl.xml"
    with requests.Session() as session, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transport = zeep.Transport(session=session)
        client = zeep.Client(str(wsdl), transport=transport, settings=zeep.Settings(strict=True))
        partner = Partner(client, here.address, "sync@example.com", "sync-password")
        organisation = here.crm.crm.org.id
        assert partner.result.userInfo.organizationId == organisation
        assert partner.result.serverUrl.endswith(organisation[:15])
        assert partner.call("getUserInfo").userName == "sync@example.com"
        assert partner.call("describeGlobal").sobjects is None or not partner.call("describeGlobal").sobjects
        here.run()
        here.away()
        names = [each.name for each in partner.call("describeGlobal").sobjects]
        assert sorted(names) == sorted(here.objects)
        contact = partner.call("describeSObjects", ["Contact"])[0]
        assert "Birthdate" in {each.name for each in contact.fields}
        assert partner.call("describeLayout", "Contact").layouts[0].detailLayoutSections
        assert partner.call("describeTabs")
        account = partner.call("create", [partner.record("Account", Name="Beta", NumberOfEmployees="7")])[
            0
        ].id
        made = partner.call("create", [partner.record("Contact", LastName="Hopper", AccountId=account)])[0]
        assert made.success
        found = partner.call("query", f"SELECT LastName FROM Contact WHERE Account.Id = '{account}'")
        assert fields(found.records[0])["LastName"] == "Hopper"
        read = partner.call("retrieve", "NumberOfEmployees", "Account", [account])[0]
        assert fields(read)["NumberOfEmployees"] == "7"
        lead = partner.call("create", [partner.record("Lead", LastName="Ada", Company="Engines")])[0].id
        asked = {"leadId": lead, "convertedStatus": "Closed - Converted", "doNotCreateOpportunity": False,
                 "overwriteLeadSource": False, "sendNotificationEmail": False}  # fmt: skip
        nothing = dict.fromkeys(
            ("accountId", "contactId", "opportunityId", "opportunityName", "ownerId", "accountRecord",
             "contactRecord", "opportunityRecord", "bypassAccountDedupeCheck", "bypassContactDedupeCheck"),
            zeep.xsd.Nil,
        )  # fmt: skip
        converted = partner.call("convertLead", [{**nothing, **asked}])[0]
        assert (converted.success, converted.accountId[3]) == (True, "z")
        assert partner.call("delete", [made.id])[0].success
        assert partner.call("undelete", [made.id])[0].success is False  # nothing of it was known anywhere
        here.back()
        here.run()
        read = partner.call("retrieve", "Name", "Account", [converted.accountId])[0]
        assert fields(read)["Name"] == "Engines"
        assert [row["IsConverted"] for row in here.there("Lead").values()] == [True]
        here.assert_nothing_temporary()


def test_trees_and_bulk_without_the_upstream(here: Office, sf: simple_salesforce.Salesforce):
    tree = {
        "records": [
            {
                "attributes": {"type": "Account", "referenceId": "a"},
                "Name": "Tree",
                "Contacts": {
                    "records": [{"attributes": {"type": "Contact", "referenceId": "c"}, "LastName": "Leaf"}]
                },
            }
        ]
    }
    told = sf.restful("composite/tree/Account", method="POST", json=tree)
    assert told["hasErrors"] is False
    results = sf.bulk2.Lead.insert(records=[{"LastName": f"n{n}", "Company": "c"} for n in range(3)])
    assert [each["numberRecordsFailed"] for each in results] == [0]
    below = sf.query("SELECT Name, (SELECT LastName FROM Contacts) FROM Account WHERE Name = 'Tree'")[
        "records"
    ]
    assert below[0]["Contacts"]["records"][0]["LastName"] == "Leaf"
    here.back()
    here.run()
    here.assert_equal()
    assert len(here.there("Lead")) == 3


def test_bulk_queries_of_both_versions_without_the_upstream(here: Office, sf: simple_salesforce.Salesforce):
    rows = [{"attributes": {"type": "Lead"}, "LastName": f"n{n}", "Company": "c"} for n in range(5)]
    made = sf.restful("composite/sobjects", method="POST", json={"records": rows})
    assert all(each["success"] for each in made)
    soql = "SELECT LastName, Owner.Username FROM Lead ORDER BY LastName"
    pages = list(sf.bulk2.Lead.query(soql, max_records=2, wait=0))
    assert [page.split()[0] for page in pages] == ['"LastName","Owner.Username"'] * 3
    assert [page.count("sync@example.com") for page in pages] == [2, 2, 1]
    old = salesforce_bulk.SalesforceBulk(sf.session_id, host=here.server.url)
    job = old.create_query_job("Lead", contentType="CSV")
    batch = old.query(job, soql)
    old.close_job(job)
    old.wait_for_batch(job, batch, timeout=30, sleep_interval=0.01)
    (found,) = old.get_all_results_for_query_batch(batch)
    assert found.read().decode().count("sync@example.com") == 5
    assert old.job_status(job)["numberRecordsProcessed"] == "5"
