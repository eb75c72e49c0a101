"""The schema changes upstream while work waits."""

import pytest
import sqlalchemy as sa

from crmsync.state.replica.indexing import names
from crmsync.state.replica.local.database import ForeignLogin, LocalDatabase
from crmsync.state.replica.local.migrate import Step, steps
from crmsync.state.replica.local.shape import shape
from tests.state.replica.local.conftest import BOTH, Desk, described

REFERENCE = {"type": "reference", "referenceTo": ["Account"]}


def learn(desk: Desk, **changes) -> frozenset[str]:
    return desk.database.learn({"Account": described("Account", **changes)})


@BOTH
def test_a_new_field_is_a_new_column_that_has_to_be_filled(desk: Desk):
    account = desk.arrive("Account", Name="Acme", Phone="1")
    desk.update(account, Phone="2")
    assert learn(desk, Region__c={"type": "string", "length": 20}) == {"Account"}
    assert desk.row("Account", account)["Region__c"] is None
    assert desk.row("Account", account, "tosync")["changed"].keys() == {"Phone"}
    with desk.database.read() as work:
        assert work.property("refill") == ["Account"]
    desk.update(account, Region__c="north")
    assert desk.row("Account", account)["Region__c"] == "north"


@BOTH
def test_a_field_that_is_gone_takes_its_column_along_and_leaves_the_value_in_the_log(desk: Desk):
    account, other = (desk.arrive("Account", Name="Acme", Phone="1", Fax="1") for _ in range(2))
    new = desk.create("Account", Name="New", Phone="3")
    desk.update(account, Phone="2", Fax="2")
    desk.update(other, Phone="2")
    assert learn(desk, Phone=None) == frozenset()
    assert "Phone" not in desk.row("Account", account)
    assert desk.row("Account", account, "tosync")["changed"].keys() == {"Fax"}
    assert desk.row("Account", other, "tosync") is None
    assert desk.row("Account", new)["Name"] == "New"
    logged = {c["Id"]: (c["local"], c["resolved"]) for c in desk.conflicts()}
    gone = "the field is gone upstream"
    assert logged == {
        account: ({"Phone": "2"}, gone),
        other: ({"Phone": "2"}, gone),
        new: ({"Phone": "3"}, gone),
    }


@BOTH
def test_a_reference_that_is_gone(desk: Desk):
    """Its column has an index, which goes first."""
    account = desk.arrive("Account", Name="Acme")
    assert learn(desk, ParentId=None) == frozenset()
    assert "ParentId" not in desk.row("Account", account)


@BOTH
def test_a_field_of_another_type_takes_local_values_over(desk: Desk):
    account = desk.arrive("Account", Name="Acme", NumberOfEmployees=5)
    new = desk.create("Account", Name="New", NumberOfEmployees=7)
    desk.update(account, NumberOfEmployees=6)
    assert learn(desk, NumberOfEmployees={"type": "string", "length": 10}) == {"Account"}
    assert desk.row("Account", account)["NumberOfEmployees"] == "6"
    assert desk.row("Account", account, "orig")["NumberOfEmployees"] == "5"
    assert desk.row("Account", new)["NumberOfEmployees"] == "7"


def test_the_same_description_changes_nothing(desk: Desk):
    tables = desk.database.tables
    assert learn(desk) == frozenset()
    assert desk.database.tables is tables


def test_steps():
    old = shape(described("Account"))
    new = shape(described("Account", Fax=None, Phone={"type": "int"}, Region__c={"type": "string"}))
    assert steps(old, old) == Step()
    assert steps(old, new) == Step(("Region__c",), ("Fax",), ("Phone",))


@BOTH
def test_the_shapes_survive_the_process(desk: Desk):
    account = desk.arrive("Account", Name="Acme")
    learn(desk, Region__c={"type": "string", "length": 20})
    desk.database.close()
    again = LocalDatabase(desk.url, durable=False)
    with again.read() as work:
        assert "Region__c" in work.get(work.group("Account").main, account)
    again.close()


def test_who_has_missed_a_change_of_another_process_goes_on_from_it(desk: Desk):
    other = LocalDatabase(desk.url, durable=False)
    other.learn({"Contact": described("Contact", First__c={})})
    desk.database.learn({"Contact": described("Contact", First__c={}, Second__c={})})
    other.follow()
    for database in (desk.database, other):
        with database.read() as work:
            columns = work.group("Contact").main.c
            assert {"First__c", "Second__c"} <= set(columns.keys())
            assert work.count(work.group("Contact").main) == 0
    other.close()


def test_a_file_answers_one_login_only(desk: Desk):
    desk.database.claim("00D1", "0051")
    desk.database.claim("00D1", "0051")
    for other in (("00D1", "0052"), ("00D2", "0051")):
        with pytest.raises(ForeignLogin):
            desk.database.claim(*other)


@pytest.mark.parametrize("lacking", ["Id", "SystemModstamp"])
def test_an_object_that_cannot_be_kept_in_step_is_refused(desk: Desk, lacking):
    with pytest.raises(ValueError, match=f"Account cannot be kept in step: it has no {lacking}"):
        learn(desk, **{lacking: None})


@BOTH
def test_names_may_be_longer_than_postgresql_takes(desk: Desk):
    name = "a_package__An_Object_With_A_Name_As_Long_As_They_Get__c"
    field = {**REFERENCE, "name": "a_package__A_Reference_With_A_Name_As_Long_As_That__c"}
    reply = described("Account", Parent__c=field)
    desk.database.learn({name: {**reply, "name": name, "keyPrefix": "a0A"}})
    made = desk.create(name, Name="Acme")
    assert desk.row(name, made)["Name"] == "Acme"


@BOTH
def test_indexes_come_and_go_with_their_fields(desk: Desk):
    extra = {"name": "Number__c", "type": "string", "length": 20, "externalId": True}

    def there() -> set[str]:
        with desk.database.read() as work:
            return names(work.connection)

    assert {"ix_Account_Name", "ix_Contact_SystemModstamp", "ix_Event_WhoId"} <= there()
    learn(desk, Number__c=extra)
    assert "ix_Account_Number__c" in there()
    learn(desk, Number__c={**extra, "type": "double"}, Name={"type": "int"})
    assert there().isdisjoint({"ix_Account_Number__c", "ix_Account_Name"})
    learn(desk)
    with desk.database.write() as work:
        work.connection.execute(sa.text('DROP INDEX "ix_Account_Name"'))
    LocalDatabase(desk.url, durable=False).close()
    assert "ix_Account_Name" in there()
