"""What a person may do about conflicts and refusals."""

import pytest

from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local.deciding import Action, Side
from crmsync.state.replica.local.difference import Policy
from crmsync.state.replica.local.temporary import is_temporary
from tests.state.replica.local.conftest import Desk


@pytest.fixture
def account(desk: Desk) -> str:
    """Phone and Fax were changed on both sides, Website here only, Description there only."""
    made = desk.arrive("Account", Name="Acme", Phone="a", Fax="a", Website="a", Description="a")
    desk.update(made, Phone="here", Fax="here", Website="here")
    there = {"Phone": "there", "Fax": "there", "Website": "a", "Description": "there"}
    desk.arrive("Account", made, first=False, Name="Acme", **there)
    desk.move("Account")
    return made


def values(desk: Desk, record_id: str, table: str = "main") -> dict[str, str]:
    row = desk.row("Account", record_id, table)
    return {name: row[name] for name in ("Phone", "Fax", "Website", "Description")}


def test_what_is_held_keeps_nothing_else_back(desk: Desk, account: str):
    assert values(desk, account) == {
        "Phone": "here", "Fax": "here", "Website": "here", "Description": "there",
    }  # fmt: skip
    (waiting,) = desk.waiting()
    assert (waiting.action, waiting.id, waiting.state) == (Action.UPDATE, account, "held")
    assert waiting.fields == ("Fax", "Phone")
    assert desk.row("Account", account, "tosync")["state"] == "ready"  # for Website
    assert [c["fields"] for c in desk.conflicts()] == [["Phone"], ["Fax"]]


def test_the_local_value_is_chosen(desk: Desk, account: str):
    desk.choose(account, Side.LOCAL)
    assert desk.waiting() == []
    assert desk.row("Account", account, "tosync")["changed"].keys() == {"Phone", "Fax", "Website"}
    assert values(desk, account, "orig")["Phone"] == "there"
    assert {c["resolved"] for c in desk.conflicts()} == {"local"}


def test_the_servers_value_is_chosen(desk: Desk, account: str):
    desk.choose(account, Side.SERVER)
    assert desk.waiting() == []
    assert values(desk, account)["Phone"] == "there"
    assert desk.row("Account", account, "tosync")["changed"].keys() == {"Website"}


def test_another_value_is_chosen(desk: Desk, account: str):
    desk.choose(account, {"Phone": "new"}, fields=("Phone",))
    assert values(desk, account)["Phone"] == "new"
    (waiting,) = desk.waiting()
    assert waiting.fields == ("Fax",)


def test_one_field_of_several(desk: Desk, account: str):
    desk.choose(account, Side.SERVER, fields=("Fax",))
    (waiting,) = desk.waiting()
    assert waiting.fields == ("Phone",)
    assert values(desk, account)["Fax"] == "there"
    desk.choose(account, Side.LOCAL)
    assert desk.waiting() == []


def test_a_later_change_upstream_is_a_conflict_again(desk: Desk, account: str):
    desk.choose(account, Side.LOCAL)
    desk.arrive("Account", account, first=False, Name="Acme", Phone="again", Fax="there", Website="a")
    desk.move("Account")
    (waiting,) = desk.waiting()
    assert waiting.fields == ("Phone",)


def test_a_conflict_ends_by_itself_when_the_upstream_comes_to_agree(desk: Desk, account: str):
    desk.arrive(
        "Account",
        account,
        first=False,
        Name="Acme",
        Phone="here",
        Fax="here",
        Website="here",
        Description="there",
    )
    desk.move("Account")
    assert desk.waiting() == []
    assert desk.beside() == {}
    assert {c["resolved"] for c in desk.conflicts()} == {"both sides agree by now"}


def test_a_held_conflict_stands_in_the_log_once(desk: Desk, account: str):
    for number in "123":
        desk.arrive("Account", account, first=False, Name="Acme", Phone=number, Fax="there", Website="a")
        desk.move("Account")
    assert [c["server"] for c in desk.conflicts() if c["fields"] == ["Phone"]] == [{"Phone": "3"}]


def test_the_whole_change_is_given_up(desk: Desk, account: str):
    desk.abandon(account)
    assert values(desk, account) == {
        "Phone": "there", "Fax": "there", "Website": "a", "Description": "there",
    }  # fmt: skip
    assert desk.beside() == {}
    assert desk.conflicts()[-1]["local"] == {"Fax": "here", "Phone": "here", "Website": "here"}


def test_nothing_to_choose_is_said(desk: Desk):
    account = desk.arrive("Account", Name="Acme")
    for act in (
        lambda: desk.choose(account, Side.LOCAL),
        lambda: desk.retry(account),
        lambda: desk.abandon(account),
    ):
        with pytest.raises(Fault) as refused:
            act()
        assert refused.value.code == "NOT_FOUND"


# ── Deleted there, changed here ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def lost(desk: Desk) -> str:
    made = desk.arrive("Contact", LastName="Ada")
    desk.update(made, Title="Countess")
    desk.gone("Contact", made)
    return made


def test_a_changed_row_that_is_gone_there_waits(desk: Desk, lost: str):
    (waiting,) = desk.waiting()
    assert (waiting.state, waiting.fields) == ("gone", ("Title",))
    assert desk.row("Contact", lost)["Title"] == "Countess"


def test_it_may_go_here_too(desk: Desk, lost: str):
    desk.choose(lost, Side.SERVER)
    assert desk.row("Contact", lost) is None
    assert desk.beside() == {}


def test_it_may_be_made_again(desk: Desk, lost: str):
    friend = desk.arrive("Contact", LastName="Bob", ReportsToId=lost)
    desk.choose(lost, Side.LOCAL)
    assert desk.waiting() == []
    assert desk.beside() == {"_createlist": 1}
    again = desk.row("Contact", friend)["ReportsToId"]
    assert is_temporary(again)
    assert desk.row("Contact", again)["Title"] == "Countess"
    desk.update(lost, Title="Lady")  # by the id that it had
    assert desk.row("Contact", again)["Title"] == "Lady"


def test_it_goes_by_itself_where_the_server_always_wins(desk: Desk):
    made = desk.arrive("Contact", LastName="Ada")
    desk.update(made, Title="Countess")
    desk.gone("Contact", made, Policy.SERVER)
    assert desk.row("Contact", made) is None
    assert [c["local"] for c in desk.conflicts()] == [{"Title": "Countess"}]


def test_it_is_no_conflict_any_more_when_it_comes_back(desk: Desk, lost: str):
    desk.arrive("Contact", lost, first=False, LastName="Ada")
    desk.move("Contact")
    assert desk.waiting() == []
    assert desk.row("Contact", lost, "tosync")["state"] == "ready"


# ── Refused ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_refused_update_is_edited_and_tried_again(desk: Desk):
    account = desk.arrive("Account", Name="Acme", Phone="1")
    desk.update(account, Phone="2")
    desk.refuse("Account", account)
    assert [(w.state, w.code) for w in desk.waiting()] == [("rejected", "rule")]
    desk.update(account, Phone="3")
    assert desk.waiting() == []


def test_a_refused_update_is_tried_again_as_it_is(desk: Desk):
    account = desk.arrive("Account", Name="Acme", Phone="1")
    desk.update(account, Phone="2")
    desk.refuse("Account", account)
    desk.retry(account)
    assert desk.waiting() == []
    assert desk.row("Account", account, "tosync")["state"] == "ready"


def test_a_refused_update_is_given_up(desk: Desk):
    account = desk.arrive("Account", Name="Acme", Phone="1")
    desk.update(account, Phone="2")
    desk.refuse("Account", account)
    desk.abandon(account)
    assert desk.row("Account", account)["Phone"] == "1"
    assert desk.beside() == {}


def test_a_refused_create_is_edited_and_tried_again(desk: Desk):
    account = desk.create("Account", Name="Acme")
    desk.refuse("Account", account)
    assert [w.action for w in desk.waiting()] == [Action.CREATE]
    desk.update(account, Name="Acme Ltd")
    assert desk.waiting() == []
    desk.refuse("Account", account)
    desk.retry(account)
    assert desk.waiting() == []


def test_a_refused_create_is_given_up_and_nothing_refers_to_it(desk: Desk):
    account = desk.create("Account", Name="Acme")
    contact = desk.create("Contact", LastName="Ada", AccountId=account)
    mine = desk.arrive("Contact", LastName="Bob", AccountId=desk.arrive("Account", Name="Old"))
    before = desk.row("Contact", mine)["AccountId"]
    desk.update(mine, AccountId=account)
    desk.abandon(account)
    assert desk.row("Contact", contact)["AccountId"] is None
    assert desk.row("Contact", mine)["AccountId"] == before
    assert desk.row("Account", account) is None


def test_a_create_that_others_cannot_do_without_is_not_given_up_first(desk: Desk):
    account = desk.create("Account", Name="Acme")
    desk.create("Attachment", Name="a.txt", ParentId=account)
    with pytest.raises(Fault) as refused:
        desk.abandon(account)
    assert refused.value.code == "DELETE_FAILED"


def test_a_refused_delete_is_given_up_with_all_that_went_along(desk: Desk):
    account = desk.arrive("Account", Name="Acme")
    contact = desk.arrive("Contact", LastName="Ada", AccountId=account)
    assistant = desk.arrive("Contact", LastName="Bob", ReportsToId=contact)
    desk.delete(account)
    desk.refuse("Account", account)
    assert [w.action for w in desk.waiting()] == [Action.DELETE]
    desk.abandon(account)
    assert desk.row("Contact", contact)["AccountId"] == account
    assert desk.row("Contact", assistant)["ReportsToId"] == contact
    assert desk.beside() == {}


def test_a_refused_delete_is_tried_again(desk: Desk):
    account = desk.arrive("Account", Name="Acme")
    desk.delete(account)
    desk.refuse("Account", account)
    desk.retry(account)
    assert desk.waiting() == []


def test_what_became_a_delete_of_its_own_gives_back_the_references_to_it(desk: Desk):
    """The account is deleted upstream, too; the contact, which was moved below it here only, is not."""
    account = desk.arrive("Account", Name="Acme")
    contact = desk.arrive("Contact", LastName="Ada")
    assistant = desk.arrive("Contact", LastName="Bob", ReportsToId=contact)
    desk.update(contact, AccountId=account)
    desk.delete(account)
    desk.gone("Account", account)
    desk.abandon(contact)
    assert desk.row("Contact", assistant)["ReportsToId"] == contact
    assert desk.beside() == {}
