"""zeep, strict, with the partner WSDL that npm's jsforce brings along: order and presence of every element."""

import datetime
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from lxml import etree

from tests.servers.embedded_crm import EmbeddedCrm
from tests.servers.npm import installed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its own imports
    import zeep
    import zeep.helpers

BINDING = "{urn:partner.soap.sforce.com}SoapBinding"


class Partner:
    """One user's session; `call` sends an operation with the session header."""

    def __init__(self, client: zeep.Client, url: str, username: str, password: str) -> None:
        self.client = client
        service = client.create_service(BINDING, f"{url}/services/Soap/u/47.0")
        self.result = service.login(username, password)
        self.service = client.create_service(BINDING, self.result.serverUrl)
        header = client.get_element("{urn:partner.soap.sforce.com}SessionHeader")
        self.headers = [header(sessionId=self.result.sessionId)]

    def call(self, operation: str, *arguments: Any, headers: Any = (), **named: Any) -> Any:
        soapheaders = [*self.headers, *headers]
        return getattr(self.service, operation)(*arguments, **named, _soapheaders=soapheaders).body.result

    def record(self, type_: str, id_: str | None = None, **fields: Any) -> Any:
        made = self.client.get_type("{urn:sobject.partner.soap.sforce.com}sObject")
        elements = [_element(name, value) for name, value in fields.items()]
        return made(type=type_, Id=id_, _value_1=elements)


def _element(name: str, value: str) -> Any:
    made = etree.Element(f"{{urn:sobject.partner.soap.sforce.com}}{name}")
    made.text = value
    return made


def fields(record: Any) -> dict[str, str]:
    """What stands in a record as text; nested ones zeep has made records of."""
    plain = [each for each in record._value_1 or () if isinstance(each, etree._Element)]
    return {etree.QName(each).localname: each.text for each in plain}


@pytest.fixture(scope="module")
def client() -> Iterator[zeep.Client]:
    wsdl = installed("jsforce@3") / "node_modules/jsforce/src/api/soap/wsdl.xml"
    with requests.Session() as session, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield zeep.Client(
            str(wsdl), transport=zeep.Transport(session=session), settings=zeep.Settings(strict=True)
        )


@pytest.fixture
def partner(client: zeep.Client, crm: EmbeddedCrm) -> Partner:
    return Partner(client, crm.url, crm.sync.username, crm.sync.password)


def test_who_and_when(partner: Partner, crm: EmbeddedCrm) -> None:
    assert partner.result.userId == crm.sync.id
    assert partner.result.userInfo.organizationName == "Example"
    assert partner.call("getUserInfo").userName == crm.sync.username
    assert (
        abs(partner.call("getServerTimestamp").timestamp - datetime.datetime.now(datetime.UTC)).seconds < 60
    )


def test_describes(partner: Partner) -> None:
    names = {each.name for each in partner.call("describeGlobal").sobjects}
    assert {"Account", "Contact", "Lead", "Event", "Task"} <= names
    contact = partner.call("describeSObject", "contact")
    assert contact.keyPrefix == "003"
    assert {"LastName", "MailingAddress"} <= {each.name for each in contact.fields}
    both = partner.call("describeSObjects", ["Account", "Opportunity"])
    assert [each.name for each in both] == ["Account", "Opportunity"]
    layout = partner.call("describeLayout", "Contact")
    shown = {c.value for s in layout.layouts[0].detailLayoutSections for r in s.layoutRows for i in r.layoutItems
             for c in i.layoutComponents}  # fmt: skip
    assert {"Name", "Email", "MailingAddress", "CreatedById"} <= shown
    assert layout.recordTypeMappings[0].layoutId == layout.layouts[0].id
    tabs = partner.call("describeTabs")
    assert "Contact" in [each.sobjectName for each in tabs[0].tabs]


def test_a_life_of_records(partner: Partner) -> None:
    account = partner.call("create", [partner.record("Account", Name="Zeep & Co <1>")])[0]
    assert account.success
    made = partner.call("create", [
        partner.record("Contact", LastName="a", AccountId=account.id, Birthdate="2000-02-29"),
        partner.record("Contact"),
    ])  # fmt: skip
    assert [each.success for each in made] == [True, False]
    assert made[1].errors[0].statusCode == "REQUIRED_FIELD_MISSING"
    assert partner.call("update", [partner.record("Contact", made[0].id, Phone="1")])[0].success
    found = partner.call("retrieve", "Phone,Birthdate,AccountId", "Contact", [made[0].id, "003000000000000"])
    told = {"Phone": "1", "Birthdate": "2000-02-29", "AccountId": account.id, "Id": made[0].id}
    assert fields(found[0]) == told
    assert found[1].Id is None  # nil, of which zeep makes an empty record
    for created in (True, False):  # zeep empties the record that it sends
        keyed = partner.record("Contact", Crmsync_Id__c="zeep-1", LastName="b")
        assert partner.call("upsert", "Crmsync_Id__c", [keyed])[0].created is created
    assert partner.call("delete", [account.id])[0].success
    assert partner.call("delete", [account.id])[0].errors[0].statusCode == "ENTITY_IS_DELETED"
    assert partner.call("undelete", [account.id])[0].success
    assert partner.call("query", f"SELECT Name FROM Contact WHERE AccountId = '{account.id}'").size == 1
    partner.call("delete", [account.id])
    assert partner.call("emptyRecycleBin", [account.id])[0].success
    assert partner.call("undelete", [account.id])[0].errors[0].statusCode == "UNDELETE_FAILED"
    assert partner.call("queryAll", f"SELECT Id FROM Account WHERE Id = '{account.id}'").size == 0


def test_queries(partner: Partner, client: zeep.Client) -> None:
    account = partner.call("create", [partner.record("Account", Name="zq", BillingCity="Ulm")])[0].id
    for _ in range(2):
        people = [partner.record("Contact", LastName=f"zq{n:03}", AccountId=account) for n in range(200)]
        partner.call("create", people)
    options = client.get_element("{urn:partner.soap.sforce.com}QueryOptions")(batchSize=200)
    soql = "SELECT Id, LastName, Account.Name, Account.BillingAddress FROM Contact WHERE LastName LIKE 'zq%'"
    page = partner.call("query", soql, headers=[options])
    assert (page.done, page.size, len(page.records)) == (False, 400, 200)
    last = partner.call("queryMore", page.queryLocator)
    assert (last.done, len(last.records), last.queryLocator) == (True, 200, None)
    assert page.records[0].Id == fields(page.records[0])["Id"]
    nested = partner.call(
        "query", "SELECT Name, (SELECT Id FROM Contacts LIMIT 2) FROM Account WHERE Name = 'zq'"
    )
    assert nested.records[0].Id is None
    grouped = partner.call("query", "SELECT COUNT(Id) n FROM Contact WHERE LastName LIKE 'zq%'")
    assert (grouped.records[0].type, grouped.records[0]._value_1) == ("AggregateResult", [400])
    assert partner.call("query", "SELECT COUNT() FROM Contact WHERE LastName LIKE 'zq%'").size == 400
    found = partner.call("search", "FIND {zq001} RETURNING Contact(LastName LIMIT 1)").searchRecords
    assert fields(found[0].record) == {"LastName": "zq001"}


def test_what_changed(partner: Partner) -> None:
    made = {"Subject": "e", "StartDateTime": "2026-05-01T10:00:00Z", "DurationInMinutes": "30"}
    events = [partner.record("Event", **made) for _ in range(2)]
    created = [each.id for each in partner.call("create", events)]
    partner.call("delete", [created[0]])
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=2)
    start = end - datetime.timedelta(hours=1)
    assert created[1] in partner.call("getUpdated", "Event", start, end).ids
    assert created[0] in [each.id for each in partner.call("getDeleted", "Event", start, end).deletedRecords]


def test_merge_and_convert(partner: Partner) -> None:
    accounts = [each.id for each in partner.call("create", [partner.record("Account", Name=n) for n in "ab"])]
    contact = partner.call("create", [partner.record("Contact", LastName="c", AccountId=accounts[1])])[0].id
    request = {
        "masterRecord": partner.record("Account", accounts[0], Phone="5"),
        "recordToMergeIds": [accounts[1]],
    }
    merged = partner.call("merge", [request])[0]
    assert (merged.success, merged.mergedRecordIds, merged.updatedRelatedIds) == (
        True,
        [accounts[1]],
        [contact],
    )
    assert partner.call("merge", [request])[0].errors[0].statusCode == "ENTITY_IS_DELETED"
    lead = partner.call("create", [partner.record("Lead", LastName="l", Company="lc")])[0].id
    asked = {"leadId": lead, "convertedStatus": "Closed - Converted", "doNotCreateOpportunity": False,
             "overwriteLeadSource": False, "sendNotificationEmail": False}  # fmt: skip
    nothing = dict.fromkeys(("accountId", "contactId", "opportunityId", "opportunityName", "ownerId", "accountRecord",
                             "contactRecord", "opportunityRecord", "bypassAccountDedupeCheck",
                             "bypassContactDedupeCheck"), zeep.xsd.Nil)  # fmt: skip
    made = partner.call("convertLead", [{**nothing, **asked}])[0]
    assert made.success
    assert made.opportunityId.startswith("006")
    again = partner.call("convertLead", [{**nothing, **asked}])[0]
    assert again.errors[0].statusCode == "CANNOT_UPDATE_CONVERTED_LEAD"


@pytest.mark.parametrize(
    ("operation", "arguments", "code"),
    [
        ("query", ["SELECT"], "MALFORMED_QUERY"),
        ("query", ["SELECT Id FROM Nothing"], "INVALID_TYPE"),
        ("query", ["SELECT Nothing FROM Contact"], "INVALID_FIELD"),
        ("queryMore", ["01gnothing"], "INVALID_QUERY_LOCATOR"),
        ("search", ["FIND {"], "MALFORMED_SEARCH"),
        ("describeSObject", ["Nothing"], "INVALID_TYPE"),
        ("retrieve", ["Nothing", "Contact", []], "INVALID_FIELD"),
        ("describeTheme", [[]], "INVALID_OPERATION"),
    ],
)
def test_faults(partner: Partner, operation: str, arguments: list[Any], code: str) -> None:
    with pytest.raises(zeep.exceptions.Fault) as refused:
        partner.call(operation, *arguments)
    assert refused.value.code == f"sf:{code}"
    assert refused.value.message.startswith(f"{code}: ")


def test_a_query_fault_says_where(partner: Partner) -> None:
    with pytest.raises(zeep.exceptions.Fault) as refused:
        partner.call("query", "SELECT Id FROM\nContact WHERE")
    (detail,) = refused.value.detail
    assert detail.tag == "{urn:fault.partner.soap.sforce.com}MalformedQueryFault"
    said = {each.tag.rpartition("}")[2]: each.text for each in detail}
    assert (said["exceptionCode"], said["row"], said["column"]) == ("MALFORMED_QUERY", "2", "14")


def test_sessions_end(partner: Partner, client: zeep.Client, crm: EmbeddedCrm) -> None:
    other = Partner(client, crm.url, crm.sync.username, crm.sync.password)
    assert partner.call("invalidateSessions", [other.result.sessionId])[0].success
    with pytest.raises(zeep.exceptions.Fault, match="INVALID_SESSION_ID"):
        other.call("getUserInfo")
    partner.service.logout(_soapheaders=partner.headers)
    with pytest.raises(zeep.exceptions.Fault, match="INVALID_SESSION_ID"):
        partner.call("getUserInfo")
    with pytest.raises(zeep.exceptions.Fault, match="INVALID_LOGIN"):
        Partner(client, crm.url, crm.bob.username, "wrong")


def test_all_or_none(partner: Partner, client: zeep.Client) -> None:
    header = client.get_element("{urn:partner.soap.sforce.com}AllOrNoneHeader")(allOrNone=True)
    rows = [partner.record("Lead", LastName="aon", Company="c"), partner.record("Lead", LastName="aon")]
    made = partner.call("create", rows, headers=[header])
    assert [each.errors[0].statusCode for each in made] == [
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "REQUIRED_FIELD_MISSING",
    ]
    assert partner.call("query", "SELECT Id FROM Lead WHERE LastName = 'aon'").size == 0
