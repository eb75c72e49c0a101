"""What a person does with rows, and what it leaves in the queues."""

import pytest

from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local.temporary import is_temporary, temporary_id
from tests.state.replica.local.conftest import BOTH, Desk


def code(refused: pytest.ExceptionInfo[Fault]) -> str:
    return refused.value.code


def test_a_new_row_is_there_at_once_and_waits_in_the_createlist(desk: Desk):
    made = desk.create("account", name="Acme")
    assert is_temporary(made)
    assert desk.row("Account", made)["Name"] == "Acme"
    assert desk.beside() == {"_createlist": 1}


@BOTH
def test_an_update_keeps_the_row_as_it_was(desk: Desk):
    account = desk.arrive("Account", Name="Acme", Phone="1")
    desk.update(account, Phone="2")
    desk.update(account[:15], Fax="3")
    assert desk.row("Account", account)["Phone"] == "2"
    assert desk.row("Account", account, "orig")["Phone"] == "1"
    assert desk.row("Account", account, "tosync")["changed"].keys() == {"Phone", "Fax"}


def test_what_is_changed_back_waits_no_more(desk: Desk):
    account = desk.arrive("Account", Name="Acme", Phone="1")
    desk.update(account, Phone="2")
    desk.update(account, Phone="1")
    assert desk.beside() == {}
    assert not desk.row("Account", account)["_updated"]


@BOTH
def test_a_delete_takes_along_what_the_describe_says(desk: Desk):
    account = desk.arrive("Account", Name="Acme")
    contact = desk.arrive("Contact", LastName="Ada", AccountId=account)
    event = desk.arrive("Event", Subject="Talk", WhoId=contact)
    assistant = desk.arrive("Contact", LastName="Bob", ReportsToId=contact)
    desk.delete(account)
    assert desk.row("Contact", contact) is None
    assert desk.row("Event", event) is None
    assert desk.row("Contact", assistant)["ReportsToId"] is None
    assert desk.beside() == {"_deletelist": 3, "Account__orig": 1, "Contact__orig": 1, "Event__orig": 1}


def test_a_delete_that_something_stands_in_the_way_of_is_refused(desk: Desk):
    account = desk.arrive("Account", Name="Acme")
    contact = desk.arrive("Contact", LastName="Ada", AccountId=account)
    desk.arrive("Case", Subject="Broken", ContactId=contact)
    with pytest.raises(Fault) as refused:
        desk.delete(account)
    assert code(refused) == "DELETE_FAILED"
    assert desk.beside() == {}


def test_what_the_upstream_never_heard_of_just_goes(desk: Desk):
    account = desk.create("Account", Name="Acme")
    desk.create("Contact", LastName="Ada", AccountId=account)
    desk.delete(account)
    assert desk.beside() == {}


def test_what_was_moved_below_such_a_row_is_a_delete_of_its_own(desk: Desk):
    account = desk.create("Account", Name="Acme")
    contact = desk.arrive("Contact", LastName="Ada")
    assistant = desk.arrive("Contact", LastName="Bob", ReportsToId=contact)
    desk.update(contact, AccountId=account)
    desk.delete(account)
    assert desk.beside() == {"_deletelist": 1, "Contact__orig": 1}
    desk.abandon(contact)
    assert desk.beside() == {}
    assert desk.row("Contact", contact)["AccountId"] is None
    assert desk.row("Contact", assistant)["ReportsToId"] == contact


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"Phone": "1"}, "REQUIRED_FIELD_MISSING"),
        ({"LastName": "Ada", "Nonsense": 1}, "INVALID_FIELD"),
        ({"LastName": "Ada", "CreatedDate": "2026-01-01T00:00:00Z"}, "INVALID_FIELD_FOR_INSERT_UPDATE"),
        ({"LastName": "Ada", "AccountId": "003000000000001AAA"}, "MALFORMED_ID"),
        ({"LastName": "Ada", "AccountId": temporary_id("001", 9)}, "INVALID_CROSS_REFERENCE_KEY"),
        ({"LastName": "x" * 81}, "STRING_TOO_LONG"),
    ],
)
def test_what_the_describe_forbids_is_refused_at_once(desk: Desk, values, expected):
    with pytest.raises(Fault) as refused:
        desk.create("Contact", **values)
    assert code(refused) == expected
    assert desk.beside() == {}


def test_a_required_field_is_not_emptied(desk: Desk):
    account = desk.arrive("Account", Name="Acme")
    with pytest.raises(Fault) as refused:
        desk.update(account, Name=None)
    assert code(refused) == "REQUIRED_FIELD_MISSING"


@BOTH
def test_a_value_that_breaks_the_crms_own_rules_is_stored_as_it_comes(desk: Desk):
    """Records are older than rules: a value must not cost us the row."""
    contact = desk.arrive("Contact", LastName=" x" * 200, Email="no address", Salutation="Sire")
    row = desk.row("Contact", contact)
    assert (row["LastName"], row["Email"], row["Salutation"]) == (" x" * 200, "no address", "Sire")
