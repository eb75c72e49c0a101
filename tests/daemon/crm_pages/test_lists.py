"""Lists page by page: the same rows in the same order as one long query has them, whatever is sorted by."""

import datetime
import html
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from crmsync.daemon.crm_pages import lists
from crmsync.state.replica.access import Caller
from tests.daemon.crm_pages.person import Person
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm

ROWS = 130


@pytest.fixture(scope="module")
def crm() -> Iterator[EmbeddedCrm]:
    """With opportunities of which some have equal, and some no values."""
    with embedded_crm() as running:
        caller = Caller(running.alice.id, all_records=False)
        start = datetime.date(2027, 1, 1)
        rows: list[tuple[str, dict[str, Any]]] = [
            (
                "Opportunity",
                {
                    "Name": ("deal %02d" if number % 2 else "DEAL %02d") % (number // 3),
                    "StageName": ("Prospecting", "Qualification")[number % 2],
                    "CloseDate": (start + datetime.timedelta(days=number % 7)).isoformat(),
                    "Amount": None if number % 4 == 0 else (number % 5) * 1.5,
                },
            )
            for number in range(ROWS)
        ]
        outcomes = running.crm.store.create(caller, rows)
        assert all(hasattr(each, "created") for each in outcomes), outcomes
        yield running


def ids(text: str) -> list[str]:
    return re.findall(r'<td data-label="[^"]*"><a href="/crm/(006\w{15})"', text)


def beside(text: str, which: str) -> str | None:
    found = re.search(rf'<a href="([^"]+)" rel="{which}"', text)
    return html.unescape(found[1]) if found else None


@pytest.mark.parametrize("sort", ["Name", "StageName", "CloseDate", "Amount", "AccountId", "IsWon"])
@pytest.mark.parametrize("down", ["", "1"])
def test_pages_forth_and_back(crm: EmbeddedCrm, alice: Person, sort: str, down: str):
    answer = alice.get(f"/crm/Opportunity?show=all&sort={sort}&down={down}")
    forth = [ids(answer.text)]
    while path := beside(answer.text, "next"):
        answer = alice.get(path)
        forth.append(ids(answer.text))
    assert [len(page) for page in forth] == [lists.SIZE, lists.SIZE, ROWS - 2 * lists.SIZE]
    way = "DESC" if down else "ASC"
    order = f"{sort} {way} NULLS LAST, Id {way}"
    whole = crm.crm.queries.query(
        Caller(crm.alice.id, all_records=False), f"SELECT Id FROM Opportunity ORDER BY {order}", ""
    )
    found = [each["Id"] for each in json.loads(whole.records)]
    assert [each for page in forth for each in page] == found
    back = []
    while path := beside(answer.text, "prev"):
        answer = alice.get(path)
        back.append(ids(answer.text))
    assert back == forth[-2::-1]


def test_mine_recent_and_all(crm: EmbeddedCrm, alice: Person, bob: Person):
    assert f"{ROWS} records" in alice.get("/crm/Opportunity").text
    assert "There is nothing here" in bob.get("/crm/Opportunity").text
    seen = "There is nothing here" not in bob.get("/crm/Opportunity?show=all").text
    assert f"{ROWS} records" in alice.get("/crm/Opportunity?show=recent").text
    assert seen == ("There is nothing here" not in bob.get("/crm/Opportunity?show=recent").text)
    assert 'aria-sort="descending"' in alice.get("/crm/Opportunity?sort=Amount&down=1").text


def test_what_comes_with_the_address_is_not_trusted(alice: Person):
    edge = "006000000000001AAA"
    for value in ("1 OR Name != null", "') OR (Id != '", "2027-01-01T00:00:00Z)", "\u0000", "x" * 3000):
        for sort in ("Amount", "Name", "CloseDate", "IsWon"):
            answer = alice.get(f"/crm/Opportunity?sort={sort}&after={edge}&value={quote(value)}")
            assert answer.status in (200, 400), answer.text
            assert len(ids(answer.text)) <= lists.SIZE
    for query in (
        "sort=Nothing",
        "show=nothing",
        "after=no",
        "of=Nothing&is=x",
        "of=AccountId&is=1'",
        "down=2",
    ):
        assert alice.get(f"/crm/Opportunity?{query}").status == 200
