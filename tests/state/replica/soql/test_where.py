"""What WHERE, ORDER BY and joins answer, case by case."""

import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.dialects import postgresql

from crmsync.state.replica.soql import (
    InvalidField,
    InvalidOperator,
    InvalidType,
    MalformedQuery,
    OutOfRange,
    SoqlError,
    Unsupported,
)
from tests.state.replica.soql.world import World, at, record_id


@pytest.fixture
def people(world: World) -> World:
    """Four contacts, of whom the last has no account; Ada and Bob own things, Ada manages Bob."""
    world.add("User", 1, Name="Ada", Username="ada@example.com")
    world.add("User", 2, Name="Bob", Username="bob@example.com", ManagerId=("User", 1))
    world.add("Account", 1, Name="Acme", Industry="Media", OwnerId=("User", 1), Tier__c="Gold;100%")
    world.add("Account", 2, Name="Globex", OwnerId=("User", 2), Tier__c="Silver")
    world.add(
        "Contact",
        1,
        Name="Zoë",
        OwnerId=("User", 1),
        AccountId=("Account", 1),
        CreatedDate=at(13),
        Score__c=1.0,
    )
    world.add(
        "Contact",
        2,
        Name="ann",
        OwnerId=("User", 1),
        AccountId=("Account", 1),
        CreatedDate=at(14, 23),
        Score__c=2.5,
    )
    world.add(
        "Contact",
        3,
        Name="Bea",
        OwnerId=("User", 2),
        AccountId=("Account", 2),
        CreatedDate=at(15),
        Birthdate=at(15).date(),
    )
    world.add("Contact", 4, Name="Cyd", OwnerId=("User", 2), CreatedDate=at(16))
    world.add("Contact", 5, Name="Gone", IsDeleted=True)
    return world


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("Name = 'ZOË'", ["Zoë"]),
        ("Name LIKE 'a%'", ["ann"]),
        ("Name > 'b'", ["Bea", "Cyd", "Zoë"]),
        ("Account.Name = 'acme'", ["ann", "Zoë"]),
        ("Contact.Account.Industry != 'media'", ["Bea", "Cyd"]),
        ("Account.Industry = null", ["Bea", "Cyd"]),
        ("AccountId = ''", ["Cyd"]),
        ("Account.Name > ''", ["ann", "Bea", "Zoë"]),
        ("Account.Name > null", []),
        ("Account.Name < ''", []),
        ("Account.Owner.Manager.Name = 'Ada'", ["Bea"]),
        ("NOT Account.Name = 'Acme'", ["Bea", "Cyd"]),
        ("NOT (Score__c > 1 OR Score__c = null)", ["Zoë"]),
        ("Score__c IN (1, 2.50, null) AND Name != 'Cyd'", ["ann", "Bea", "Zoë"]),
        ("CreatedDate = TODAY", ["Bea"]),
        ("CreatedDate < TODAY", ["ann", "Zoë"]),
        ("CreatedDate <= TODAY", ["ann", "Bea", "Zoë"]),
        ("CreatedDate > TODAY", ["Cyd"]),
        ("CreatedDate != LAST_N_DAYS:1", ["Cyd", "Zoë"]),
        ("CreatedDate IN (YESTERDAY, TOMORROW)", ["ann", "Cyd"]),
        ("CreatedDate >= 2024-05-15T01:00:00+01:00", ["Bea", "Cyd"]),
        ("Birthdate = 2024-05-15", ["Bea"]),
        ("DAY_IN_MONTH(CreatedDate) = 14", ["ann"]),
        ("DAY_ONLY(CreatedDate) = TODAY", ["Bea"]),
        ("AccountId IN (SELECT Id FROM Account WHERE Industry = 'Media')", ["ann", "Zoë"]),
        ("AccountId NOT IN (SELECT Id FROM Account WHERE Industry = 'Media')", ["Bea", "Cyd"]),
        ("Id NOT IN (SELECT WhoId FROM Event)", ["ann", "Bea", "Cyd", "Zoë"]),
        (f"Id = '{record_id('Contact', 3)[:15]}'", ["Bea"]),
        (f"Id = '{record_id('Contact', 3).lower()}'", ["Bea"]),
        (f"AccountId IN ('{record_id('Account', 2)[:15]}', null)", ["Bea", "Cyd"]),
    ],
)
def test_conditions(people: World, condition: str, names: list[str]) -> None:
    assert people.column(f"SELECT Name FROM Contact WHERE {condition} ORDER BY Name") == names


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("Name", ["ann", "Bea", "Cyd", "Zoë"]),
        ("Name DESC", ["Zoë", "Cyd", "Bea", "ann"]),
        ("Account.Name, Name", ["Cyd", "ann", "Zoë", "Bea"]),
        ("Account.Name DESC, Name", ["Cyd", "Bea", "ann", "Zoë"]),
        ("Score__c DESC NULLS LAST, Name DESC", ["ann", "Zoë", "Cyd", "Bea"]),
        ("Name LIMIT 2 OFFSET 1", ["Bea", "Cyd"]),
        ("Name OFFSET 3", ["Zoë"]),
    ],
)
def test_order(people: World, order: str, names: list[str]) -> None:
    assert people.column(f"SELECT Name FROM Contact ORDER BY {order}") == names


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("Tier__c INCLUDES ('gold')", ["Acme"]),
        ("Tier__c INCLUDES ('100%;Gold', 'Bronze')", ["Acme"]),
        ("Tier__c INCLUDES ('100_')", []),
        ("Tier__c EXCLUDES ('Gold')", ["Globex"]),
    ],
)
def test_multi_select_picklists(people: World, condition: str, names: list[str]) -> None:
    assert people.column(f"SELECT Name FROM Account WHERE {condition}") == names


def test_deleted_rows_are_read_by_query_all_only(people: World) -> None:
    assert people.count("SELECT COUNT() FROM Contact") == 4
    assert people.count("SELECT COUNT() FROM Contact", include_deleted=True) == 5
    assert people.count("SELECT COUNT() FROM Contact LIMIT 3") == 3
    assert people.ask("SELECT COUNT() FROM Contact") == []


def test_days_begin_in_the_readers_time_zone(people: World) -> None:
    now = datetime.datetime(2024, 5, 15, 8, tzinfo=ZoneInfo("Asia/Tokyo"))
    assert people.column("SELECT Name FROM Contact WHERE CreatedDate = TODAY ORDER BY Name", now=now) == [
        "ann",
        "Bea",
    ]


def test_only_visible_rows_are_read_wherever_they_are_mentioned(people: World) -> None:
    def visible(object_: Any, alias: Any) -> Any:
        return alias.c.Name != "Acme" if object_.name == "Account" else None

    rows = people.ask("SELECT Name, Account.Name FROM Contact ORDER BY Name", visible=visible)
    assert [row["Account"] and row["Account"]["Name"] for row in rows] == [None, "Globex", None, None]
    joined = "SELECT Name FROM Contact WHERE AccountId IN (SELECT Id FROM Account)"
    assert people.column(joined, visible=visible) == ["Bea"]


def test_scopes(people: World) -> None:
    mine = "SELECT Name FROM Contact USING SCOPE mine ORDER BY Name"
    assert people.column(mine, user=record_id("User", 2)) == ["Bea", "Cyd"]
    assert people.count("SELECT COUNT() FROM Contact USING SCOPE everything") == 4
    with pytest.raises(Unsupported, match="USING SCOPE my_territory"):
        people.plan("SELECT Name FROM Contact USING SCOPE my_territory")


@pytest.mark.parametrize(
    ("soql", "kind", "sentence"),
    [
        ("SELECT Id FROM Foo", InvalidType, "sObject type 'Foo' is not supported."),
        ("SELECT Foo FROM Account", InvalidField, "No such column 'Foo' on entity 'Account'."),
        ("SELECT Id FROM Account WHERE Foo = 1", InvalidField, "No such column 'Foo' on entity 'Account'."),
        ("SELECT Id FROM Account ORDER BY Foo", InvalidField, "No such column 'Foo' on entity 'Account'."),
        ("SELECT Account.Foo FROM Contact", InvalidField, "No such column 'Foo' on entity 'Account'."),
        ("SELECT What.Amount FROM Event", InvalidField, "No such column 'Amount' on entity 'Name'."),
        ("SELECT Foo.Name FROM Contact", InvalidField, "Didn't understand relationship 'Foo' in field path."),
        (
            "SELECT (SELECT Id FROM Foos) FROM Account",
            InvalidType,
            "Didn't understand relationship 'Foos' in FROM",
        ),
        ("SELECT Id, id FROM Account", InvalidField, "duplicate field selected: Id"),
        ("SELECT Name n FROM Account", MalformedQuery, "only aggregate expressions use field aliasing"),
        ("SELECT Id FROM Account WHERE Name = 1", InvalidField, "value of filter criterion for field 'Name'"),
        (
            "SELECT Id FROM Account WHERE CreatedDate = '2024-01-01'",
            InvalidField,
            "must be of type dateTime and should not",
        ),
        ("SELECT Id FROM Account WHERE CreatedDate > 2024-01-01", InvalidField, "must be of type dateTime"),
        ("SELECT Id FROM Account WHERE AnnualRevenue > 'x'", InvalidField, "must be of type currency"),
        ("SELECT Id FROM Account WHERE AnnualRevenue > USD5", Unsupported, "one currency"),
        ("SELECT Id FROM Account WHERE Id = 'x'", InvalidOperator, "invalid ID field: x"),
        ("SELECT Id FROM Account WHERE Id LIKE 'x'", InvalidOperator, "invalid operator on id field"),
        (
            "SELECT Id FROM Account WHERE IsDeleted > true",
            InvalidOperator,
            "invalid operator on boolean field",
        ),
        ("SELECT Id FROM Account WHERE Name INCLUDES ('a')", InvalidOperator, "only valid on multi picklist"),
        ("SELECT Id FROM Contact WHERE MailingStreet = 'a'", InvalidField, "can not be filtered"),
        ("SELECT Id FROM Contact WHERE MailingAddress = 'a'", InvalidField, "can not be used here"),
        ("SELECT Id FROM Contact ORDER BY MailingStreet", MalformedQuery, "can not be sorted"),
        (
            "SELECT Id FROM Account WHERE CreatedDate = N_DAYS_AGO:999999999",
            MalformedQuery,
            "is out of range",
        ),
        (
            "SELECT Id FROM Account WHERE Name IN (SELECT Id FROM Account)",
            InvalidField,
            "left operand of a semi join",
        ),
        (
            "SELECT Id FROM Account WHERE Id IN (SELECT Name FROM Account)",
            MalformedQuery,
            "must select an id",
        ),
        (
            "SELECT Id FROM Account WHERE Id IN (SELECT Id FROM Account LIMIT 1)",
            MalformedQuery,
            "exactly one field",
        ),
        (
            "SELECT Id FROM Account WHERE DISTANCE(Name, GEOLOCATION(1, 2), 'mi') < 2",
            InvalidField,
            "Name is none",
        ),
        ("SELECT Id FROM Account WHERE FOO(Name) = 1", MalformedQuery, "unknown function FOO()"),
        ("SELECT Id FROM Account WHERE COUNT(Id) = 1", MalformedQuery, "COUNT() is not allowed here"),
        (
            "SELECT Id FROM Account WHERE CALENDAR_YEAR(Name) = 1",
            InvalidField,
            "does not take the string field Name",
        ),
        ("SELECT Id FROM Account OFFSET 2001", OutOfRange, "Maximum SOQL offset allowed is 2000"),
        ("SELECT Id FROM Account WITH DATA CATEGORY a__c AT b__c", Unsupported, "WITH DATA CATEGORY"),
        ("SELECT Id FROM Account UPDATE TRACKING", Unsupported, "UPDATE"),
        (
            "SELECT Id FROM Account WHERE Parent.Parent.Parent.Parent.Parent.Parent.Id = null",
            MalformedQuery,
            "more than 5",
        ),
    ],
)
def test_what_a_query_is_refused_for(world: World, soql: str, kind: type[SoqlError], sentence: str) -> None:
    with pytest.raises(kind) as refused:
        world.plan(soql)
    assert type(refused.value) is kind
    assert sentence in refused.value.sentence
    assert f"ERROR at Row:1:Column:{refused.value.column}\n" in refused.value.message


def nested(depth: int) -> str:
    condition = "Name = 'x'"
    for level in range(depth):
        condition = (f"(NOT ({condition}))", f"(Name = 'y' OR ({condition}))")[level % 2]
    return condition


@pytest.mark.parametrize(
    "condition",
    [
        nested(25),
        " AND ".join(["Name != 'a'"] * 1_500),
        " OR ".join(["CreatedDate = TODAY"] * 1_500),
        f"CreatedDate IN ({','.join(f'LAST_N_DAYS:{n}' for n in range(1_500))})",
        "Name IN (" + ",".join(f"'{n}'" for n in range(500)) + ")",
        f"Name LIKE '{'%a' * 1_500}'",
    ],
)
def test_a_large_condition_is_answered(world: World, condition: str) -> None:
    assert world.ask(f"SELECT Id FROM Contact WHERE {condition}") == []


def test_subqueries_end_somewhere(world: World) -> None:
    soql = "SELECT Id FROM Account"
    for _ in range(6):
        soql = f"SELECT Id FROM Account WHERE Id IN ({soql})"
    with pytest.raises(MalformedQuery, match="subqueries are nested"):
        world.plan(soql)


def test_literals_never_stand_in_the_sql(people: World) -> None:
    plan = people.plan("SELECT Id FROM Contact WHERE Name = 'x'' OR 1=1' LIMIT 7".replace("''", "\\'"))
    for dialect in (None, postgresql.dialect()):  # type: ignore[no-untyped-call]
        compiled = plan.select.compile(dialect=dialect)
        assert "1=1" not in str(compiled)
        assert "x' OR 1=1" in compiled.params.values()
