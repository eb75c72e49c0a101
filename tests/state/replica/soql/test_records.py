"""Records as JSON: fields, parents, children, TYPEOF, FIELDS()."""

import pytest

from crmsync.state.replica.soql import MalformedQuery
from tests.state.replica.soql.world import World, at, record_id


@pytest.fixture
def office(world: World) -> World:
    world.add("User", 1, Name="Ada", Username="ada@example.com")
    world.add("Account", 1, Name="Acme", OwnerId=("User", 1), AnnualRevenue=1234.5, NumberOfEmployees=3)
    world.add("Account", 2, Name="Globex")
    for number, name in enumerate(("Bea", "Cyd", "Dan"), start=1):
        world.add("Contact", number, Name=name, AccountId=("Account", 1), CreatedDate=at(number, 3))
    world.add("Contact", 4, Name="Eve", AccountId=("Account", 2), MailingCity="Ulm", Birthdate=at(4).date())
    world.add("Lead", 1, Name="Leo", Company="Initech")
    world.add("Case", 1, CaseNumber="0042", AccountId=("Account", 1))
    world.add("Event", 1, Subject="Visit", WhoId=("Lead", 1), WhatId=("Account", 1))
    world.add("Event", 2, Subject="Fix", WhoId=("Contact", 1), WhatId=("Case", 1))
    world.add("Event", 3, Subject="Lunch")
    return world


def attributes(object_: str, number: int, type_: str | None = None) -> dict[str, str]:
    return {"type": type_ or object_, "url": f"/{object_}/{record_id(object_, number)}"}


def test_values_are_written_as_salesforce_writes_them(office: World) -> None:
    assert office.ask("select ID, createddate, birthdate, isdeleted from CONTACT where name = 'Bea'") == [
        {
            "attributes": attributes("Contact", 1),
            "Id": record_id("Contact", 1),
            "CreatedDate": "2024-05-01T03:00:00.000+0000",
            "Birthdate": None,
            "IsDeleted": False,
        }
    ]


def test_parents_nest(office: World) -> None:
    soql = "SELECT a.Owner.Username, Name, Owner.Name, Parent.Name FROM Account a WHERE Name = 'Acme'"
    assert office.ask(soql) == [
        {
            "attributes": attributes("Account", 1),
            "Owner": {"attributes": attributes("User", 1), "Username": "ada@example.com", "Name": "Ada"},
            "Name": "Acme",
            "Parent": None,
        }
    ]


def test_addresses_are_objects_without_attributes(office: World) -> None:
    found = office.column("SELECT MailingAddress FROM Contact WHERE Name IN ('Eve', 'Dan') ORDER BY Name")
    assert found == [None, {"street": None, "city": "Ulm"}]


def test_children_are_results_of_their_own(office: World) -> None:
    soql = (
        "SELECT Name, (SELECT Name, Account.Name FROM Contacts WHERE Name > 'C'), (SELECT Id FROM Events) "
        "FROM Account"
    )
    acme, globex = office.ask(soql)
    assert [child["Name"] for child in acme["Contacts"]["records"]] == ["Cyd", "Dan"]
    assert acme["Contacts"]["totalSize"] == 2
    assert acme["Contacts"]["done"] is True
    assert globex["Contacts"]["records"] == [
        {
            "attributes": attributes("Contact", 4),
            "Name": "Eve",
            "Account": {"attributes": attributes("Account", 2), "Name": "Globex"},
        }
    ]
    assert globex["Events"] is None


def test_limit_and_offset_of_children_count_per_parent(office: World) -> None:
    soql = "SELECT (SELECT Name FROM Account.Contacts ORDER BY Name DESC LIMIT 1 OFFSET 1) FROM Account ORDER BY Name"
    found = office.column(soql)
    assert [each and [child["Name"] for child in each["records"]] for each in found] == [["Cyd"], None]


def test_children_of_children(office: World) -> None:
    acme = office.ask(
        "SELECT (SELECT Name, (SELECT Subject FROM Events) FROM Contacts) FROM Account LIMIT 1"
    )[0]
    bea, cyd, _ = acme["Contacts"]["records"]
    assert bea["Events"]["records"][0]["Subject"] == "Fix"
    assert cyd["Events"] is None


def test_children_of_many_parents_are_complete(world: World) -> None:
    for number in range(1, 451):
        world.add("Account", number, Name=f"A{number:03}")
        world.add("Contact", number, AccountId=("Account", number), Name=f"C{number:03}")
    rows = world.ask("SELECT Name, (SELECT Name FROM Contacts) FROM Account")
    assert [row["Contacts"]["records"][0]["Name"] for row in rows] == [
        f"C{number:03}" for number in range(1, 451)
    ]


def test_what_several_objects_share_is_read_as_name(office: World) -> None:
    visit, fix, lunch = office.ask("SELECT Subject, What.Name, What.Type, Who.Name FROM Event")
    assert visit["What"] == {
        "attributes": attributes("Account", 1, "Name"),
        "Name": "Acme",
        "Type": "Account",
    }
    assert fix["What"] == {"attributes": attributes("Case", 1, "Name"), "Name": "0042", "Type": "Case"}
    assert lunch["What"] is None
    assert visit["Who"]["Name"] == "Leo"


def test_conditions_on_what_several_objects_share(office: World) -> None:
    assert office.column("SELECT Subject FROM Event WHERE What.Type = 'Case'") == ["Fix"]
    assert office.column("SELECT Subject FROM Event WHERE What.Name = 'acme'") == ["Visit"]
    assert office.column("SELECT Subject FROM Event ORDER BY Who.Name NULLS LAST") == [
        "Fix",
        "Visit",
        "Lunch",
    ]


def test_typeof_selects_by_object(office: World) -> None:
    soql = (
        "SELECT Subject, TYPEOF What WHEN Account THEN NumberOfEmployees, Owner.Name WHEN Opportunity THEN Amount "
        "ELSE Name, Type END FROM Event"
    )
    with pytest.raises(Exception, match="sObject type 'Opportunity' is not supported"):
        office.plan(soql)
    visit, fix, lunch = office.ask(soql.replace("WHEN Opportunity THEN Amount ", ""))
    owner = {"attributes": attributes("User", 1), "Name": "Ada"}
    assert visit["What"] == {"attributes": attributes("Account", 1), "NumberOfEmployees": 3, "Owner": owner}
    assert fix["What"] == {"attributes": attributes("Case", 1, "Name"), "Name": "0042", "Type": "Case"}
    assert lunch["What"] is None


def test_typeof_without_else_leaves_other_objects_out(office: World) -> None:
    found = office.column("SELECT TYPEOF What WHEN Account THEN Name END FROM Event")
    assert [each and each["Name"] for each in found] == ["Acme", None, None]


def test_sets_of_fields(office: World) -> None:
    everything = office.ask("SELECT FIELDS(ALL) FROM Contact LIMIT 1")[0]
    standard = office.ask("SELECT Name, FIELDS(STANDARD) FROM Contact")[0]
    custom = office.ask("SELECT FIELDS(CUSTOM) FROM Contact LIMIT 200")[0]
    assert list(standard)[:2] == ["attributes", "Name"]
    assert list(custom) == ["attributes", "Score__c"]
    assert set(everything) == set(standard) | set(custom)


@pytest.mark.parametrize(
    "soql", ["SELECT FIELDS(ALL) FROM Contact", "SELECT FIELDS(CUSTOM) FROM Contact LIMIT 201"]
)
def test_all_fields_are_for_few_rows(world: World, soql: str) -> None:
    with pytest.raises(MalformedQuery, match="must have a LIMIT of at most 200"):
        world.plan(soql)


def test_functions_of_one_value(office: World) -> None:
    soql = (
        "SELECT toLabel(Name), FORMAT(AnnualRevenue) a, convertCurrency(AnnualRevenue), "
        "FORMAT(NumberOfEmployees) FROM Account"
    )
    acme = office.ask(soql)[0]
    assert acme == {
        "attributes": attributes("Account", 1),
        "Name": "Acme",
        "a": "1,234.50",
        "AnnualRevenue": 1234.5,
        "NumberOfEmployees": "3",
    }
    dates = office.ask("SELECT FORMAT(CreatedDate), FORMAT(Birthdate), toLabel(Account.Name) FROM Contact")
    assert dates[0]["CreatedDate"] == "5/1/2024, 3:00 AM"
    assert dates[3]["Birthdate"] == "5/4/2024"
    assert dates[3]["Account"]["Name"] == "Globex"


def test_aliases_of_parents_in_from(office: World) -> None:
    soql = "SELECT c.Name, a.Name FROM Contact c, c.Account a WHERE a.Name = 'globex'"
    assert [(row["Name"], row["Account"]["Name"]) for row in office.ask(soql)] == [("Eve", "Globex")]


def test_what_kind_of_owner(world: World) -> None:
    world.add("User", 1, Name="Ada")
    world.add("Contact", 1, OwnerId=("User", 1))
    world.add("Contact", 2)
    assert [
        each["Owner"] and each["Owner"]["Type"] for each in world.ask("SELECT Owner.Type FROM Contact")
    ] == ["User", None]
    assert world.count("SELECT Id FROM Contact WHERE Owner.Type = 'user'") == 1
    assert world.count("SELECT Id FROM Contact WHERE Owner.Type = 'Queue'") == 0
