from datetime import UTC, date, datetime, timedelta

import pytest

from crmsync.connectors.abilities import Access, Probe
from crmsync.connectors.contract import Hidden, Kind, Record, Selection
from crmsync.connectors.salesforce import soql
from crmsync.connectors.salesforce.search import spellings
from tests.connectors.salesforce.stub import (
    USER,
    Reply,
    Request,
    connector,
    contact,
    described,
    found,
    serving,
    stamp,
)

OLD = stamp(datetime.now(UTC) - timedelta(hours=1))


def test_addresses_and_numbers_in_every_field() -> None:
    with serving(lambda _: found(contact(1, OLD))) as stub, connector(stub.url) as contacts:
        probe = Probe(emails=("Ada@example.com", "o'neil@example.com"), phones=("+493012345678",))
        records = list(contacts.search(Kind.CONTACT, [probe, probe]))
        assert [r.id for r in records] == ["003000000000001AAA"]
        (request,) = stub.requests
        assert r"Email IN ('ada@example.com','o\'neil@example.com')" in request.soql
        assert all(
            f"({f} IN (" in request.soql for f in ("Phone", "MobilePhone", "HomePhone", "Fax", "OtherPhone")
        )
        assert "'+493012345678'" in request.soql


def test_spellings_of_a_number() -> None:
    assert {"+493012345678", "493012345678", "00493012345678", "03012345678", "030 12345678"} <= spellings(
        "+493012345678"
    )
    assert spellings("030 / 12 34") == {"030 / 12 34", "0301234", "+0301234"}
    assert spellings("none") == frozenset()


PROBES = [Probe(emails=(f"person.{n}@example.com",), phones=(f"+4930{n:08d}",)) for n in range(400)]


def test_many_probes_are_spread_over_bounded_queries() -> None:
    """Each is asked for where the table is so large that looking through it takes longer."""

    def script(request: Request) -> Reply:
        return (
            found(contact(1, OLD))
            if " WHERE " in request.soql
            else found(*ROWS, total=100_000, following=f"{request.path}/next")
        )

    with serving(script) as stub, connector(stub.url) as contacts:
        assert len(list(contacts.search(Kind.CONTACT, PROBES))) == 1
        assert len(stub.requests) > 5
        assert all(len(r.target) < 16_384 for r in stub.requests)
        assert all(any(f"person.{n}@" in r.soql for r in stub.requests) for n in range(400))


ROWS = [
    {"Id": f"003{1:012d}AAA", "Email": "Person.7@Example.com", "Phone": None},
    {"Id": f"003{2:012d}AAA", "Email": "somebody@example.com", "Phone": "+49 30 00000011"},
    {"Id": f"003{3:012d}AAA", "Email": "somebody.else@example.com", "Phone": "+49 30 99999999"},
    {"Id": f"003{4:012d}AAA", "Email": None, "MobilePhone": "00493000000399"},
]


def test_many_probes_look_through_a_small_table() -> None:
    """Nothing but the keys is listed, and only what shares one is read in full."""
    whole = [contact(n, OLD) for n in (1, 2, 4)]

    def script(request: Request) -> Reply:
        return found(*whole) if " WHERE " in request.soql else found(*ROWS)

    with serving(script) as stub, connector(stub.url) as contacts:
        assert len(list(contacts.search(Kind.CONTACT, PROBES))) == 3
        listing, reading = (r.soql for r in stub.requests)
        assert listing.startswith("SELECT Id,Email,")
        assert "LastName" not in listing
        assert [f"003{n:012d}AAA" in reading for n in (1, 2, 3, 4)] == [True, True, False, True]


def test_many_probes_without_addresses_look_through_a_small_table() -> None:
    start = datetime(2026, 1, 2, 3, tzinfo=UTC)
    probes = [
        Probe(columns={"subject": f"{'Meeting ' * 20}{n}", "start": start + timedelta(hours=n)})
        for n in range(400)
    ]
    rows = [
        {
            "Id": f"00U{1:012d}AAA",
            "Subject": f"{'meeting ' * 20}1",
            "StartDateTime": "2026-01-02T04:00:00.000+0000",
        },
        {
            "Id": f"00U{2:012d}AAA",
            "Subject": f"{'Meeting ' * 20}2",
            "StartDateTime": "2026-01-02T04:00:00.000+0000",
        },
    ]

    def script(request: Request) -> Reply:
        if request.path.endswith("/describe"):
            return described(Kind.APPOINTMENT)
        return found() if " WHERE " in request.soql else found(*rows)

    with serving(script) as stub, connector(stub.url, Kind.APPOINTMENT) as events:
        assert list(events.search(Kind.APPOINTMENT, probes)) == []
        _, listing, reading = stub.requests
        assert "SELECT Id,Subject,StartDateTime FROM Event" in listing.soql
        assert rows[0]["Id"][:15] in reading.soql
        assert rows[1]["Id"][:15] not in reading.soql


@pytest.mark.parametrize(
    ("kind", "columns", "where"),
    [
        (
            Kind.APPOINTMENT,
            {"subject": "it's", "start": datetime(2026, 1, 2, 3, tzinfo=UTC), "location": "x"},
            r"((Subject = 'it\'s') AND (StartDateTime = 2026-01-02T03:00:00.000Z))",
        ),
        (
            Kind.APPOINTMENT,
            {"subject": None, "start": date(2026, 1, 2)},
            "((Subject = null) AND (StartDateTime = 2026-01-02T00:00:00.000Z))",
        ),
        (
            Kind.TASK,
            {"subject": "x' OR Id != '", "due": date(2026, 1, 2)},
            r"((Subject = 'x\' OR Id != \'') AND (ActivityDate = 2026-01-02))",
        ),
    ],
)
def test_equal_in_the_key_columns(kind: Kind, columns: dict[str, object], where: str) -> None:
    def script(request: Request) -> Reply:
        return described(kind) if request.path.endswith("/describe") else found()

    with serving(script) as stub, connector(stub.url, kind) as items:
        assert list(items.search(kind, [Probe(columns=columns)])) == []
        assert stub.requests[-1].soql.endswith(f" WHERE {where}")


def test_nothing_to_search_for() -> None:
    with serving(lambda _: found()) as stub, connector(stub.url) as contacts:
        assert list(contacts.search(Kind.CONTACT, [Probe(), Probe(emails=("\0",), phones=("-",))])) == []
        assert list(contacts.search(Kind.TASK, [Probe(emails=("ada@example.com",))])) == []
        assert not stub.requests


def test_rights_of_a_user() -> None:
    first, second, third = (f"003{n:012d}AAA" for n in (1, 2, 3))

    def script(_: Request) -> Reply:
        rights = {"HasReadAccess": True, "HasEditAccess": False, "HasDeleteAccess": False}
        return found({"RecordId": first, **rights}, {"RecordId": second, **dict.fromkeys(rights, False)})

    with serving(script) as stub, connector(stub.url) as contacts:
        assert contacts.access(USER, [first, second, third]) == {first: Access(True, False, False)}
        assert len(stub.requests) == 1
        with pytest.raises(ValueError):
            contacts.access("' OR '1' = '1", [first])
        assert contacts.access(USER, ["' OR '1' = '1"]) == {}


def test_which_meet_a_selection() -> None:
    records = [f"003{n:012d}AAA" for n in range(1, 402)]
    with serving(lambda _: found({"Id": records[0]})) as stub, connector(stub.url) as contacts:
        assert contacts.selected(records, Selection(condition="Email != null")) == {records[0]}
        assert len(stub.requests) == 3
        assert all(r.soql.endswith(" AND ((Email != null))") for r in stub.requests)
        assert contacts.selected(records, Selection(nothing=True)) == frozenset()
        assert len(stub.requests) == 3


def test_what_is_not_returned_is_hidden() -> None:
    ids = [f"003{n:012d}AAA" for n in range(1, 402)]
    with serving(lambda _: found(contact(1, OLD))) as stub, connector(stub.url) as contacts:
        told = list(contacts.fetch([*ids, ids[0], "' OR Id != '"]))
        assert sum(isinstance(i, Hidden) for i in told) == 401  # 400 records and what is no id
        assert {i.id for i in told} == {*ids, "' OR Id != '"}
        assert [i.id for i in told if isinstance(i, Record)] == [ids[0]]
        assert len(stub.requests) == 3
        assert all(len(soql.quote(r.soql)) < 16_384 for r in stub.requests)
