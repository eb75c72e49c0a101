"""The schema changes upstream: what people were asked about, other processes, and what no table can hold."""

from typing import Any

from crmsync.state.replica.local import births
from crmsync.state.replica.local.database import LocalDatabase
from crmsync.state.replica.local.shape import row_from
from tests.state.replica.local.conftest import BOTH, LATER, Desk, described


def learn(database: LocalDatabase, **changes: Any) -> frozenset[str]:
    return database.learn({"Account": described("Account", **changes)})


def undecided(desk: Desk) -> int:
    with desk.database.read() as work:
        return work.count_open_conflicts()


@BOTH
def test_nobody_is_asked_about_a_field_that_is_gone(desk: Desk):
    account = desk.arrive("Account", Name="Acme", Phone="1", Fax="1")
    desk.update(account, Phone="here", Fax="here")
    desk.arrive("Account", account, first=False, Phone="there", Fax="there")
    desk.move("Account")
    assert undecided(desk) == 2
    learn(desk.database, Phone=None)
    assert (undecided(desk), desk.row("Account", account, "tosync")["held"]) == (1, ["Fax"])
    learn(desk.database, Phone=None, Fax=None)
    assert (undecided(desk), desk.waiting()) == (0, [])
    assert desk.beside() == {}


@BOTH
def test_what_is_left_of_a_conflict_goes_out(desk: Desk):
    """One field was held, the other one waited for it only by chance."""
    account = desk.arrive("Account", Name="Acme", Phone="1", Fax="1")
    desk.update(account, Phone="here", Fax="here")
    desk.arrive("Account", account, first=False, Phone="there", Fax="1")
    desk.move("Account")
    learn(desk.database, Phone=None)
    waits = desk.row("Account", account, "tosync")
    assert (waits["state"], waits["held"], list(waits["changed"])) == ("ready", [], ["Fax"])
    assert undecided(desk) == 0


@BOTH
def test_another_process_has_learnt_that_a_field_is_gone(desk: Desk):
    """Whoever writes next writes into the tables as they are."""
    account = desk.arrive("Account", Name="Acme", Phone="1", Fax="1")
    other = LocalDatabase(desk.url, durable=False)
    learn(other, Phone=None, Region__c={"type": "string", "length": 20})
    desk.update(account, Fax="2")
    made = desk.create("Account", Name="New", Region__c="north")
    assert desk.row("Account", account)["Fax"] == "2"
    assert desk.row("Account", made)["Region__c"] == "north"
    assert "Phone" not in desk.row("Account", account)
    other.close()


@BOTH
def test_two_processes_learn_in_turns(desk: Desk):
    """Each from what the other one has made of the tables."""
    account = desk.arrive("Account", Name="Acme", Phone="1", Fax="1")
    other = LocalDatabase(desk.url, durable=False)
    region = {"type": "string", "length": 20}
    learn(other, Phone=None, Region__c=region)
    learn(desk.database, Phone=None, Fax=None, Region__c=region, Area__c=region)
    learn(other, Area__c=region)
    desk.database.follow()  # as whoever reads does
    row = desk.row("Account", account)
    assert ("Phone" in row, "Fax" in row, "Region__c" in row, "Area__c" in row) == (True, True, False, True)
    desk.update(account, Area__c="north", Fax="3")
    other.close()


@BOTH
def test_what_no_column_holds_is_no_reason_to_lose_the_row(desk: Desk):
    """Nor to come to nothing with every pass."""
    hostile = {
        "Name": "Acme\x00\ud800",
        "ParentId": "001" + "x" * 40,
        "NumberOfEmployees": 10**12,
        "AnnualRevenue": "1e999",
        "CreatedDate": "99999-01-01T00:00:00Z",
    }
    account = desk.arrive("Account", **hostile)
    row = desk.row("Account", account)
    assert (row["Name"], row["ParentId"], row["NumberOfEmployees"]) == ("Acme", None, None)
    assert (row["AnnualRevenue"], row["CreatedDate"]) == (None, None)


def test_whole_numbers_to_the_last_one(desk: Desk):
    with desk.database.read() as work:
        type_ = work.shapes.of("Account")
    told = [
        row_from(type_, {"NumberOfEmployees": n})["NumberOfEmployees"] for n in (2**31 - 1, -(2**31), 2**31)
    ]
    assert told == [2**31 - 1, -(2**31), None]


@BOTH
def test_an_id_never_leads_in_a_circle(desk: Desk):
    """What is made again of a row that is gone may be found to be that very row."""
    account = desk.arrive("Account", Name="Acme")
    with desk.database.write() as work:
        temporary = births.made_again(work, "Account", account)
        births.renamed(work, "Account", temporary, account)
        assert work.resolve(temporary) == work.resolve(account) == account


@BOTH
def test_a_reason_may_say_anything(desk: Desk):
    account = desk.arrive("Account", Name="Acme")
    desk.update(account, Name="Other")
    with desk.database.write() as work:
        reason = "no\x00such\ud800 thing"
        work.change(work.group("Account").tosync, account, state="rejected", code="x", reason=reason)
    assert desk.waiting()[0].reason == "nosuch thing"


def test_what_leaves_by_a_decision_is_told_to_those_who_ask_what_was_deleted(desk: Desk):
    account, made = desk.arrive("Account", Name="Acme"), desk.create("Account", Name="New")
    desk.update(account, Name="Other")
    desk.gone("Account", account)
    desk.choose(account, "server")
    desk.abandon(made)
    with desk.database.read() as work:
        tombs = work.where(work.shared.tombs)
    assert {t["Id"]: t["at"] for t in tombs} == {account: LATER, made: LATER}
