"""COUNT and its kin, GROUP BY, HAVING, ROLLUP and CUBE."""

from typing import Any

import pytest
from sqlalchemy.dialects import postgresql

from crmsync.state.replica.soql import MalformedQuery, SoqlError
from tests.state.replica.soql.world import World, at


@pytest.fixture
def ledger(world: World) -> World:
    world.add("Account", 1, Name="Acme")
    rows = [("Ulm", "a", 1.0, 1), ("Ulm", "b", 2.0, 8), ("Bonn", "a", None, 8), (None, "a", 4.0, 15)]
    for number, (city, last, score, day) in enumerate(rows, start=1):
        world.add("Contact", number, MailingCity=city, LastName=last, Score__c=score, CreatedDate=at(day, 23),
                  AccountId=("Account", 1) if number < 3 else None)  # fmt: skip
    return world


def rows(world: World, soql: str) -> list[tuple[Any, ...]]:
    found = world.ask(soql)
    assert all(row["attributes"] == {"type": "AggregateResult"} for row in found)
    return [tuple(row.values())[1:] for row in found]


def test_names_in_the_reply(ledger: World) -> None:
    soql = (
        "SELECT COUNT(Id), COUNT(Score__c) scored, SUM(Score__c), Account.Name FROM Contact "
        "WHERE MailingCity = 'Ulm' GROUP BY Account.Name"
    )
    assert ledger.ask(soql) == [
        {"attributes": {"type": "AggregateResult"}, "expr0": 2, "scored": 2, "expr1": 3.0, "Name": "Acme"}
    ]


def test_functions_over_all_rows(ledger: World) -> None:
    soql = (
        "SELECT COUNT(Id), COUNT_DISTINCT(LastName), SUM(Score__c), AVG(Score__c), MIN(MailingCity), "
        "MAX(CreatedDate) FROM Contact"
    )
    assert rows(ledger, soql) == [(4, 2, 7.0, 7 / 3, "Bonn", "2024-05-15T23:00:00.000+0000")]
    assert rows(ledger, "SELECT SUM(Score__c), COUNT(Id) FROM Contact WHERE Name = 'x'") == [(None, 0)]


def test_groups(ledger: World) -> None:
    soql = "SELECT MailingCity, COUNT(Id) FROM Contact GROUP BY MailingCity ORDER BY MailingCity"
    assert rows(ledger, soql) == [(None, 1), ("Bonn", 1), ("Ulm", 2)]
    assert ledger.count(soql) == 3
    assert rows(ledger, f"{soql} DESC NULLS LAST LIMIT 1 OFFSET 1") == [("Bonn", 1)]


def test_having(ledger: World) -> None:
    soql = "SELECT MailingCity FROM Contact GROUP BY MailingCity HAVING"
    assert rows(ledger, f"{soql} COUNT(Id) > 1") == [("Ulm",)]
    assert rows(ledger, f"{soql} COUNT(Id) = 1 AND (NOT MailingCity LIKE 'b%')") == [(None,)]


def test_groups_of_dates(ledger: World) -> None:
    soql = (
        "SELECT WEEK_IN_MONTH(CreatedDate) week, COUNT(Id) FROM Contact GROUP BY WEEK_IN_MONTH(CreatedDate) "
        "ORDER BY WEEK_IN_MONTH(CreatedDate) DESC"
    )
    assert rows(ledger, soql) == [(3, 1), (2, 2), (1, 1)]


@pytest.mark.parametrize(
    ("call", "value"),
    [
        ("CALENDAR_YEAR(CreatedDate)", 2024),
        ("CALENDAR_QUARTER(CreatedDate)", 2),
        ("CALENDAR_MONTH(CreatedDate)", 5),
        ("FISCAL_YEAR(CreatedDate)", 2024),
        ("FISCAL_QUARTER(CreatedDate)", 2),
        ("FISCAL_MONTH(CreatedDate)", 5),
        ("DAY_IN_MONTH(CreatedDate)", 15),
        ("DAY_IN_WEEK(CreatedDate)", 4),
        ("DAY_IN_YEAR(CreatedDate)", 136),
        ("DAY_ONLY(CreatedDate)", "2024-05-15"),
        ("WEEK_IN_MONTH(CreatedDate)", 3),
        ("WEEK_IN_YEAR(CreatedDate)", 20),
        ("HOUR_IN_DAY(convertTimezone(CreatedDate))", 23),
    ],
)
def test_functions_of_dates(ledger: World, call: str, value: object) -> None:
    soql = f"SELECT {call} FROM Contact WHERE CreatedDate = TODAY GROUP BY {call}"
    assert rows(ledger, soql) == [(value,)]


@pytest.mark.parametrize(("call", "value"), [("YEAR", 2023), ("QUARTER", 4), ("MONTH", 11)])
def test_a_fiscal_year_that_begins_in_july(ledger: World, call: str, value: int) -> None:
    soql = f"SELECT FISCAL_{call}(CreatedDate) FROM Contact GROUP BY FISCAL_{call}(CreatedDate)"
    assert ledger.column(soql, fiscal_month=7) == [value]


def test_rollup_adds_subtotals_from_right_to_left(ledger: World) -> None:
    soql = (
        "SELECT LastName, MailingCity, GROUPING(LastName), GROUPING(MailingCity), COUNT(Id) FROM Contact "
        "GROUP BY ROLLUP(LastName, MailingCity) "
        "ORDER BY GROUPING(LastName), LastName, GROUPING(MailingCity), MailingCity"
    )
    assert rows(ledger, soql) == [
        ("a", None, 0, 0, 1),
        ("a", "Bonn", 0, 0, 1),
        ("a", "Ulm", 0, 0, 1),
        ("a", None, 0, 1, 3),
        ("b", "Ulm", 0, 0, 1),
        ("b", None, 0, 1, 1),
        (None, None, 1, 1, 4),
    ]


def test_cube_adds_subtotals_of_every_combination(ledger: World) -> None:
    soql = (
        "SELECT LastName, MailingCity, COUNT(Id) n FROM Contact WHERE MailingCity != null "
        "GROUP BY CUBE(LastName, MailingCity)"
    )
    assert sorted(rows(ledger, soql), key=str) == sorted(
        [
            ("a", "Bonn", 1), ("a", "Ulm", 1), ("b", "Ulm", 1),
            ("a", None, 2), ("b", None, 1), (None, "Ulm", 2), (None, "Bonn", 1), (None, None, 3),
        ],
        key=str,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("soql", "sentence"),
    [
        ("SELECT LastName, COUNT(Id) FROM Contact", "Field must be grouped or aggregated: LastName"),
        (
            "SELECT COUNT(Id) FROM Contact GROUP BY LastName ORDER BY Name",
            "Field must be grouped or aggregated: Name",
        ),
        ("SELECT COUNT(Id) FROM Contact GROUP BY LastName HAVING Name = 'x'", "grouped or aggregated: Name"),
        ("SELECT COUNT(Id) FROM Contact HAVING Name = 'x'", "unexpected token: 'HAVING'"),
        ("SELECT AVG(LastName) FROM Contact", "field LastName does not support aggregate operator AVG"),
        ("SELECT MAX(IsDeleted) FROM Contact", "field IsDeleted does not support aggregate operator MAX"),
        ("SELECT COUNT(Foo) FROM Contact", "No such column 'Foo' on entity 'Contact'"),
        ("SELECT COUNT(Id) a, SUM(Score__c) a FROM Contact", "duplicate field selected: a"),
        ("SELECT CALENDAR_YEAR(CreatedDate) FROM Contact", "CALENDAR_YEAR() must be grouped or aggregated"),
        ("SELECT GROUPING(Name) FROM Contact GROUP BY LastName", "asks for a field that is not grouped"),
        (
            "SELECT COUNT(Id), (SELECT Id FROM Events) FROM Contact",
            "only fields and functions can be selected",
        ),
        ("SELECT COUNT(Id) FROM Contact GROUP BY CUBE(Id, Name, Email, LastName)", "at most 3 fields"),
        ("SELECT SUM(1) FROM Contact", "unexpected token: '1'"),
        ("SELECT COUNT(), COUNT(Id) FROM Contact", "COUNT() without a field must stand alone"),
        ("SELECT COUNT() n FROM Contact", "COUNT() without a field must stand alone"),
        ("SELECT COUNT(Id) FROM Contact GROUP BY Name HAVING COUNT() > 1", "COUNT() takes a field here"),
    ],
)
def test_what_groups_are_refused_for(world: World, soql: str, sentence: str) -> None:
    with pytest.raises(SoqlError) as refused:
        world.plan(soql)
    assert sentence in refused.value.sentence


def test_postgresql_sees_the_same_expression_in_select_and_group_by(ledger: World) -> None:
    call = "FISCAL_QUARTER(CreatedDate)"
    plan = ledger.plan(f"SELECT {call} q, COUNT(Id) FROM Contact GROUP BY {call}", fiscal_month=4)
    sql = " ".join(str(plan.select.compile(dialect=postgresql.dialect())).split())  # type: ignore[no-untyped-call]
    selected = sql.removeprefix("SELECT ").split(" AS c0")[0]
    assert selected.count("%(") == 0
    assert f"GROUP BY {selected}" in sql


@pytest.mark.parametrize(
    "soql",
    [
        "SELECT (SELECT COUNT(Id) FROM Contacts) FROM Account",
        "SELECT (SELECT Name FROM Contacts GROUP BY Name) FROM Account",
        "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Contact GROUP BY AccountId)",
        "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Contact HAVING COUNT(Id) > 1)",
    ],
)
def test_subqueries_have_no_groups(world: World, soql: str) -> None:
    with pytest.raises(MalformedQuery):
        world.plan(soql)
