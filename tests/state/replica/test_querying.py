"""Queries in pages. What SOQL itself does is tested beside it."""

import datetime
import json
from collections.abc import Iterator

import pytest

from crmsync.state.replica.faults import Fault
from crmsync.state.replica.querying import MOST_CURSORS, Page, Queries
from tests.state.replica.conftest import Bench

BASE = "/services/data/v59.0"


@pytest.fixture
def queries(bench: Bench) -> Iterator[Queries]:
    made = Queries(bench.store, clock=bench.clock)
    yield made
    made.close()


@pytest.fixture
def contacts(bench: Bench) -> list[str]:
    rows = [("Contact", {"LastName": f"n{number:04}"}) for number in range(650)]
    return [outcome.id for outcome in bench.store.create(bench.sync, rows) if outcome.id]


def names(page: Page) -> list[str]:
    return [record["LastName"] for record in json.loads(page.records)]


def test_pages_belong_together_whatever_happens_meanwhile(
    bench: Bench, queries: Queries, contacts: list[str]
) -> None:
    page = queries.query(bench.sync, "SELECT LastName FROM Contact ORDER BY LastName", BASE, page=300)
    bench.store.delete(bench.sync, contacts[:100])
    bench.create("Contact", LastName="a newcomer")
    found = names(page)
    while page.next:
        assert page.total == 650
        page = queries.more(bench.sync, page.next)
        found += names(page)
    assert found == [f"n{number:04}" for number in range(650)]


def test_an_exact_page_is_the_last(bench: Bench, queries: Queries, contacts: list[str]) -> None:
    page = queries.query(bench.sync, "SELECT Id FROM Contact LIMIT 200", BASE, page=200)
    assert (page.total, page.next) == (200, None)
    two = queries.query(bench.sync, "SELECT Id FROM Contact LIMIT 400", BASE, page=200)
    assert two.next
    assert queries.more(bench.sync, two.next).next is None


def test_a_page_can_be_read_twice_by_its_owner_only(
    bench: Bench, queries: Queries, contacts: list[str]
) -> None:
    page = queries.query(bench.alice, "SELECT LastName FROM Contact", BASE, page=200)
    assert page.next
    assert queries.more(bench.alice, page.next) == queries.more(bench.alice, page.next)
    name = page.next.partition("-")[0]
    for locator in (
        f"{name}-650",
        f"{name}-9999999999",
        f"{name}--1",
        f"{name}-",
        f"{name}-x",
        f"{name}-²",
        "01gnone-200",
        "",
        "-",
    ):
        with pytest.raises(Fault, match="INVALID_QUERY_LOCATOR"):
            queries.more(bench.alice, locator)
    with pytest.raises(Fault, match="INVALID_QUERY_LOCATOR"):
        queries.more(bench.bob, page.next)


def test_rows_from_any_place_on(bench: Bench, queries: Queries, contacts: list[str]) -> None:
    """`scroll` of django-salesforce's cursor writes the place into the locator itself."""
    page = queries.query(bench.sync, "SELECT LastName FROM Contact ORDER BY LastName", BASE, page=300)
    name = (page.next or "").partition("-")[0]
    for start, end in ((0, 300), (299, 300), (300, 600), (301, 600), (649, 650)):
        found = queries.more(bench.sync, f"{name}-{start}")
        assert names(found) == [f"n{number:04}" for number in range(start, end)]
        assert (found.total, found.next) == (650, f"{name}-{end}" if end < 650 else None)


def test_cursors_end(bench: Bench, queries: Queries, contacts: list[str]) -> None:
    def start() -> str:
        bench.clock.advance(seconds=1)
        return queries.query(bench.sync, "SELECT Id FROM Contact", BASE, page=200).next or ""

    first, *_, last = (start() for _ in range(MOST_CURSORS + 1))
    with pytest.raises(Fault, match="INVALID_QUERY_LOCATOR"):
        queries.more(bench.sync, first)
    assert queries.more(bench.sync, last)
    bench.clock.now += datetime.timedelta(minutes=16)
    with pytest.raises(Fault, match="INVALID_QUERY_LOCATOR"):
        queries.more(bench.sync, last)


def test_deleted_records_show_in_query_all_only(bench: Bench, queries: Queries) -> None:
    bench.delete(bench.create("Contact", LastName="gone"))
    text = "SELECT count() FROM Contact"
    assert queries.query(bench.sync, text, BASE).total == 0
    assert queries.query(bench.sync, text, BASE, include_deleted=True).total == 1


def test_addresses_parents_and_children_in_one_query(bench: Bench, queries: Queries) -> None:
    account = bench.create("Account", Name="Acme")
    bench.create("Contact", LastName="x", AccountId=account, MailingCity="Köln", MailingLatitude=50.9)
    text = "SELECT Name, (SELECT LastName, MailingAddress, Account.Owner.Username FROM Contacts) FROM Account"
    (record,) = json.loads(queries.query(bench.alice, text, BASE).records)
    (contact,) = record["Contacts"]["records"]
    assert contact["MailingAddress"]["city"] == "Köln"
    assert contact["MailingAddress"]["latitude"] == 50.9
    assert contact["Account"]["Owner"]["Username"] == "sync@example.com"
    assert record["attributes"] == {"type": "Account", "url": f"{BASE}/sobjects/Account/{account}"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELECT", "MALFORMED_QUERY"),
        ("SELECT Id FROM ScratchOrgInfo", "INVALID_TYPE"),
        ("SELECT Nickname FROM Contact", "INVALID_FIELD"),
    ],
)
def test_bad_queries_are_faults(bench: Bench, queries: Queries, text: str, code: str) -> None:
    with pytest.raises(Fault, match=code):
        queries.query(bench.sync, text, BASE)


@pytest.mark.parametrize(
    "where",
    [
        "(" * 3000 + "Id = null" + ")" * 3000,
        " AND ".join(["LastName != 'x'"] * 5000),
        "NOT (" * 1500 + "Id = null" + ")" * 1500,
        "LastName IN (" + ",".join(["'x'"] * 40_000) + ")",
        "LastName = '\x00\ud800'",
    ],
    ids=["parentheses", "many conditions", "negations", "many values", "characters"],
)
def test_monsters_are_answered_or_refused(bench: Bench, queries: Queries, where: str) -> None:
    try:
        found = queries.query(bench.sync, f"SELECT Id FROM Contact WHERE {where}", BASE).total
    except Fault as fault:
        refused = fault.code
        found = 0
    else:
        refused = ""
    assert refused in ("", "MALFORMED_QUERY", "QUERY_TOO_COMPLICATED")
    assert found == 0
