"""What only a replica asks: objects of more fields than a query can name, and conversions of leads."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from crmsync.connectors.contract import Done, Refused
from crmsync.connectors.errors import Throttled, Unreachable
from crmsync.connectors.salesforce import soql
from crmsync.connectors.salesforce.client import Client
from crmsync.connectors.salesforce.replication import Replication
from tests.connectors.salesforce.stub import LOGIN, Reply, Request, Script, Stub, found, serving

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FIELDS = ["Id", "SystemModstamp", "IsDeleted", *(f"Field_number_{n:04}__c" for n in range(900))]
IDS = [f"a0000000000000{n}AAA" for n in range(1, 4)]


@contextmanager
def replica(script: Script) -> Iterator[tuple[Replication, Stub]]:
    with serving(script) as stub:
        client = Client(stub.url, LOGIN, now=lambda: NOW)
        try:
            yield Replication(client), stub
        finally:
            client.close()


def test_the_clock_of_a_server_that_answers_slowly_is_not_put_back() -> None:
    """What was there before the question belongs to the pass."""
    told = NOW + timedelta(seconds=7)
    late = iter(NOW + timedelta(seconds=5 * step) for step in range(9))
    with serving(lambda request: Reply({}, headers={"Date": format_datetime(told, usegmt=True)})) as stub:
        client = Client(stub.url, LOGIN, now=lambda: next(late))
        assert Replication(client).clock() == told
        client.close()


# ── Many fields ──────────────────────────────────────────────────────────────────────────────────────────────


def table(stamp: Callable[[int], str] = lambda number: "s1", lost: str = "") -> Script:
    """Answers queries of a table of three rows. `stamp`: of the second row, at the n-th query."""
    asked = [0]

    def script(request: Request) -> Reply:
        asked[0] += 1
        names = re.sub("SELECT (.*?) FROM.*", r"\1", request.soql).split(",")
        wanted = re.findall("'(a0.*?)'", request.soql) or IDS
        rows = []
        for each in wanted:
            own = stamp(asked[0]) if each == IDS[1] else "s1"
            values = {name: f"{each} {name} {own}" for name in names}
            rows.append({**values, "Id": each, "SystemModstamp": own, "IsDeleted": each == lost})
        return found(*({name: row[name] for name in names} for row in rows))

    return script


def test_a_row_of_many_fields_is_read_in_pieces() -> None:
    with replica(table()) as (crm, stub):
        rows = list(crm.read("Big__c", FIELDS, IDS))
    assert [row["Id"] for row in rows] == IDS
    assert all(row.keys() == set(FIELDS) for row in rows)
    assert rows[2]["Field_number_0899__c"] == f"{IDS[2]} Field_number_0899__c s1"
    assert len(stub.requests) == 2
    assert all(soql.encoded_size(request.soql) <= soql.MAX_QUERY for request in stub.requests)


def test_a_row_that_changes_between_the_pieces_is_read_again() -> None:
    with replica(table(lambda number: "s1" if number == 1 else "s2")) as (crm, stub):
        rows = {str(row["Id"]): row for row in crm.read("Big__c", FIELDS, IDS)}
    assert rows.keys() == set(IDS)
    assert {str(value)[-2:] for name, value in rows[IDS[1]].items() if name.startswith("F")} == {"s2"}
    assert [IDS[0] in request.soql for request in stub.requests] == [True, True, False, False]


def test_one_that_never_stands_still_is_taken_as_it_is() -> None:
    with replica(table(lambda number: f"s{number}")) as (crm, stub):
        assert len(list(crm.read("Big__c", FIELDS, IDS))) == 3
    assert len(stub.requests) == 6


def test_the_modified_ones_of_such_an_object() -> None:
    with replica(table(lost=IDS[0])) as (crm, stub):
        (rows,) = crm.modified("Big__c", FIELDS, NOW, NOW + timedelta(days=1))
    assert [row["Id"] for row in rows] == IDS[1:]
    assert stub.requests[0].soql.startswith("SELECT Id FROM Big__c WHERE SystemModstamp >= ")


# ── Leads ────────────────────────────────────────────────────────────────────────────────────────────────────

LEADS = ["00Q000000000001EAA", "00Q000000000002EAA"]
ENVELOPE = (
    '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns="urn:partner.soap.sforce.com" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><e:Body>{}</e:Body></e:Envelope>'
)


@dataclass(frozen=True)
class Asked:
    lead: str
    status: str = "Closed & <Converted>"
    account: str | None = None
    contact: str | None = None
    opportunity: str | None = None
    opportunity_name: str | None = None
    create_opportunity: bool = False
    overwrite_source: bool = True
    owner: str | None = None


def answered(content: str, status: int = 200) -> Reply:
    return Reply(status=status, raw=ENVELOPE.format(content).encode())


def fault(code: str) -> Reply:
    detail = f"<f:x xmlns:f='urn:f'><f:exceptionCode>{code}</f:exceptionCode></f:x>"
    return answered(
        f"<e:Fault><faultcode>sf:{code}</faultcode><faultstring>no</faultstring><detail>{detail}</detail></e:Fault>",
        500,
    )


def results(request: Request) -> str:
    """Done, but for the second lead."""
    leads = re.findall(rb"<leadId>(.*?)</leadId>", request.body)
    return "".join(DONE if lead.decode() == LEADS[0] else REFUSED for lead in leads)


DONE = (
    '<result><accountId xsi:nil="true"/><contactId xsi:nil="true"/><leadId>00Q000000000001</leadId>'
    "<success>true</success></result>"
)
REFUSED = (
    "<result><errors><fields>Company</fields><message>m</message><statusCode>REQUIRED_FIELD_MISSING</statusCode>"
    '</errors><leadId xsi:nil="true"/><success>false</success></result>'
)


def test_leads_are_converted_and_each_is_told_of() -> None:
    def script(request: Request) -> Reply:
        return answered(f"<convertLeadResponse>{results(request)}</convertLeadResponse>")

    with replica(script) as (crm, stub):
        outcomes = crm.convert([Asked(lead) for lead in LEADS])
    assert outcomes[0] == Done(LEADS[0], "")
    assert isinstance(outcomes[1], Refused)
    assert outcomes[1].code == "required"
    (request,) = stub.requests
    assert request.path == "/services/Soap/u/59.0"
    assert b"<sessionId>session-1</sessionId>" in request.body
    assert b"<convertedStatus>Closed &amp; &lt;Converted&gt;</convertedStatus>" in request.body
    assert b"<sendNotificationEmail>false</sendNotificationEmail>" in request.body
    assert b"accountId" not in request.body


def test_a_session_that_has_run_out_is_renewed_for_it() -> None:
    def script(request: Request) -> Reply:
        if b"session-1" in request.body:
            return fault("INVALID_SESSION_ID")
        return answered(f"<r>{results(request)}</r>")

    with replica(script) as (crm, stub):
        assert crm.convert([Asked(LEADS[0])]) == [Done(LEADS[0], "")]
        assert len(stub.logins) == 2


def test_a_lead_that_the_message_is_refused_for_stands_alone() -> None:
    def script(request: Request) -> Reply:
        if LEADS[1].encode() in request.body:
            return fault("INVALID_ID_FIELD")
        return answered(f"<r>{results(request)}</r>")

    with replica(script) as (crm, _):
        first, second = crm.convert([Asked(lead) for lead in LEADS])
    assert first == Done(LEADS[0], "")
    assert isinstance(second, Refused)
    assert second.code == "invalid_id_field"


@pytest.mark.parametrize(
    ("reply", "raised"),
    [
        (fault("REQUEST_LIMIT_EXCEEDED"), Throttled),
        (fault("UNKNOWN_EXCEPTION"), Unreachable),
        (fault("SERVER_UNAVAILABLE"), Unreachable),
        (Reply(status=502, raw=b"<html>"), Unreachable),
    ],
)
def test_what_ends_the_conversation(reply: Reply, raised: type[Exception]) -> None:
    with replica(lambda _: reply) as (crm, _), pytest.raises(raised):
        crm.convert([Asked(LEADS[0])])
