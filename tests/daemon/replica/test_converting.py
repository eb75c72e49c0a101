"""Leads that are converted while the upstream is away, from end to end."""

from typing import Any

import pytest

from crmsync.connectors.contract import Refused
from crmsync.daemon.replica.context import Stage
from crmsync.state.replica.converting import Conversion
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local.deciding import Side
from crmsync.state.replica.local.difference import Policy
from crmsync.state.replica.local.temporary import is_temporary
from tests.daemon.replica.bench import CONVERTED, Bench, Killed


def lead_of(bench: Bench, **values: Any) -> str:
    given = {"LastName": "Doe", "FirstName": "Jo", "Company": "Acme", "Phone": "1", "City": "Ulm", **values}
    return bench.there_create("Lead", **given)


def finished(bench: Bench) -> None:
    bench.assert_equal()
    bench.assert_nothing_temporary()
    assert bench.work() == {}


def test_a_lead_is_converted_here_and_then_there(bench: Bench):
    lead = lead_of(bench)
    task = bench.there_create("Task", Subject="Call", WhoId=lead)
    bench.run()
    made = bench.convert(lead)
    assert all(map(is_temporary, (made.account, made.contact, made.opportunity)))
    shown = bench.replica.read(lead)
    assert (shown["IsConverted"], shown["Status"]) == (True, CONVERTED)
    assert (shown["ConvertedAccountId"], shown["ConvertedContactId"]) == (made.account, made.contact)
    assert bench.replica.read(made.account)["BillingCity"] == "Ulm"
    assert bench.replica.read(made.contact)["AccountId"] == made.account
    assert bench.replica.read(task)["WhoId"] == made.contact
    tally = bench.run()
    assert (tally.converted, tally.created) == (1, 0)
    finished(bench)
    row = bench.there("Lead")[lead]
    for name, temporary in (("Account", made.account), ("Contact", made.contact)):
        assert bench.replica.read(temporary)["Id"] == row[f"Converted{name}Id"]
    assert bench.there("Task")[task]["WhoId"] == row["ConvertedContactId"]
    assert bench.conflicts() == []


def test_what_is_changed_of_the_three_records_follows(bench: Bench):
    lead = lead_of(bench)
    bench.run()
    bench.replica.update(lead, {"Phone": "2"})
    made = bench.convert(lead)
    bench.replica.update(made.contact, {"Title": "Dr"})
    bench.replica.update(made.opportunity, {"CloseDate": "2026-12-24"})
    friend = bench.replica.create("Contact", {"LastName": "Friend", "ReportsToId": made.contact})
    bench.run()
    finished(bench)
    assert bench.replica.read(made.contact)["Title"] == "Dr"
    assert bench.replica.read(made.contact)["Phone"] == "2"
    assert bench.replica.read(made.opportunity)["CloseDate"] == "2026-12-24"
    assert bench.replica.read(friend)["ReportsToId"] == bench.replica.read(made.contact)["Id"]


def test_all_of_it_may_be_new(bench: Bench):
    """The lead, and the account that it goes to; one more lead to the same account."""
    bench.run()
    account = bench.replica.create("Account", {"Name": "Acme"})
    leads = [bench.replica.create("Lead", {"LastName": n, "Company": "Acme"}) for n in ("Doe", "Roe")]
    first = bench.convert(leads[0], account=account, create_opportunity=False)
    second = bench.convert(leads[1], account=first.account, contact=first.contact)
    assert first.opportunity is None
    bench.run()
    finished(bench)
    rows = [bench.replica.read(lead) for lead in leads]
    assert {row["ConvertedAccountId"] for row in rows} == {bench.replica.read(account)["Id"]}
    assert {row["ConvertedContactId"] for row in rows} == {bench.replica.read(second.contact)["Id"]}
    assert bench.conflicts() == []


def test_a_record_of_it_is_deleted_again(bench: Bench):
    lead = lead_of(bench)
    bench.run()
    made = bench.convert(lead)
    bench.replica.delete(made.opportunity)
    with pytest.raises(Fault, match="part of a conversion"):
        bench.replica.delete(lead)
    bench.run()
    finished(bench)
    assert bench.there("Opportunity") == {}


# ── Lost answers ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("strike", ["before", "after"])
def test_nothing_is_converted_twice(bench: Bench, strike: str):
    lead = lead_of(bench)
    bench.run()
    made = bench.convert(lead)

    def kill(*_: Any) -> None:
        raise Killed

    setattr(bench.between, strike, kill)
    with pytest.raises(Killed):
        bench.run()
    bench.reopen()
    with pytest.raises(Fault, match="not known"):
        bench.replica.abandon(lead)
    bench.run()
    finished(bench)
    assert len(bench.there("Contact")) == 1
    assert bench.replica.read(made.contact)["LastName"] == "Doe"
    assert bench.conflicts() == []


def test_a_kill_at_every_stage_boundary(bench: Bench):
    lead = lead_of(bench)
    bench.run()
    bench.convert(lead)
    for stage in [s for s in Stage if s is not Stage.SESSION]:
        bench.kill = lambda at, what, stage=stage: at is stage
        with pytest.raises(Killed):
            bench.run()
        bench.reopen()
    bench.kill = lambda at, what: False
    bench.run()
    finished(bench)


# ── Refused ──────────────────────────────────────────────────────────────────────────────────────────────────


def refuse_conversions(verb: str, name: str, row: Any) -> Refused | None:
    return Refused("", "rule", "breaks a rule") if verb == "convert" else None


def test_a_refused_one_is_edited_and_tried_again(bench: Bench):
    lead = lead_of(bench)
    bench.run()
    bench.between.refuse = refuse_conversions
    made = bench.convert(lead)
    bench.run()
    (waits,) = bench.replica.waiting()
    assert (waits.action, waits.id, waits.state, waits.code) == ("convert", lead, "rejected", "rule")
    assert bench.replica.read(lead)["IsConverted"]
    bench.between.refuse = lambda *_: None
    bench.replica.update(lead, {"Phone": "7"})
    bench.run()
    finished(bench)
    assert bench.replica.read(made.contact)["Phone"] == "7"


def test_a_refused_one_is_tried_again_as_it_is_or_in_another_way(bench: Bench):
    leads = [lead_of(bench), lead_of(bench, LastName="Roe")]
    account = bench.there_create("Account", Name="Known")
    bench.run()
    bench.between.refuse = refuse_conversions
    for lead in leads:
        bench.convert(lead)
    bench.run()
    bench.between.refuse = lambda *_: None
    bench.replica.retry(leads[0])
    bench.convert(leads[1], account=account, create_opportunity=False)
    bench.run()
    finished(bench)
    assert bench.there("Lead")[leads[1]]["ConvertedAccountId"] == account
    assert bench.there("Lead")[leads[1]]["ConvertedOpportunityId"] is None


def test_what_the_crm_itself_refuses(bench: Bench):
    lead = lead_of(bench)
    bench.run()
    bench.replica.convert(Conversion(lead, "Open - Not Contacted"))
    bench.run()
    (waits,) = bench.replica.waiting()
    assert (waits.state, waits.code) == ("rejected", "invalid_status")
    bench.convert(lead)
    bench.run()
    finished(bench)


def test_what_is_given_up_is_as_it_was(bench: Bench):
    lead = lead_of(bench)
    task = bench.there_create("Task", Subject="Call", WhoId=lead)
    bench.run()
    before = bench.here("Lead")[lead]
    made = bench.convert(lead)
    note = bench.replica.create("Task", {"Subject": "Note", "WhoId": made.contact, "WhatId": made.account})
    bench.replica.update(made.account, {"Phone": "9"})
    bench.between.refuse = refuse_conversions
    bench.run()
    bench.replica.abandon(lead)
    assert bench.here("Lead")[lead] == before
    assert bench.here("Contact") == bench.here("Account") == bench.here("Opportunity") == {}
    assert bench.replica.read(task)["WhoId"] == lead
    assert bench.replica.read(note)["WhoId"] == lead
    assert any(c["local"].get("Phone") == "9" for c in bench.conflicts())
    bench.run()
    finished(bench)


# ── Meanwhile there ──────────────────────────────────────────────────────────────────────────────────────────


def later(bench: Bench) -> None:
    bench.clock.advance(seconds=30)


@pytest.mark.parametrize("choice", list(Side))
def test_the_lead_was_changed(bench: Bench, choice: Side):
    lead = lead_of(bench)
    bench.run()
    made = bench.convert(lead)
    later(bench)
    bench.there_update(lead, Phone="5")
    bench.run()
    (waits,) = bench.replica.waiting()
    assert (waits.action, waits.id, waits.state, waits.code) == ("convert", lead, "held", "changed")
    assert not bench.there("Lead")[lead]["IsConverted"]
    assert bench.replica.read(lead)["Phone"] == "5"
    assert bench.replica.read(lead)["IsConverted"]
    bench.replica.choose(lead, choice)
    bench.run()
    finished(bench)
    assert bench.there("Lead")[lead]["IsConverted"] is (choice is Side.LOCAL)
    if choice is Side.LOCAL:
        assert bench.replica.read(made.contact)["Phone"] == "5"
    assert not [c for c in bench.conflicts() if c["winner"] == "held" and not c["resolved"]]


@pytest.mark.parametrize(("policy", "converted"), [(Policy.LOCAL, True), (Policy.SERVER, False)])
def test_a_policy_decides(bench: Bench, policy: Policy, converted: bool):
    bench.policy = policy
    bench.reopen()
    lead = lead_of(bench)
    bench.run()
    bench.convert(lead)
    later(bench)
    bench.there_update(lead, Phone="5")
    bench.run()
    finished(bench)
    assert bench.there("Lead")[lead]["IsConverted"] is converted
    assert bench.conflicts()


@pytest.mark.parametrize("choice", list(Side))
def test_the_lead_was_deleted(bench: Bench, choice: Side):
    lead = lead_of(bench)
    bench.run()
    made = bench.convert(lead)
    bench.there_delete(lead)
    bench.run()
    (waits,) = bench.replica.waiting()
    assert (waits.action, waits.id, waits.state) == ("convert", lead, "gone")
    bench.replica.choose(lead, choice)
    bench.run()
    finished(bench)
    assert lead not in bench.here("Lead")
    assert len(bench.there("Contact")) == (choice is Side.LOCAL)
    if choice is Side.LOCAL:  # what was made of it is worth something without it
        assert bench.replica.read(made.contact)["AccountId"] == bench.replica.read(made.account)["Id"]


def test_the_lead_was_deleted_and_the_server_wins(bench: Bench):
    bench.policy = Policy.SERVER
    bench.reopen()
    lead = lead_of(bench)
    bench.run()
    bench.convert(lead)
    bench.there_delete(lead)
    bench.run()
    finished(bench)
    assert bench.here("Contact") == bench.here("Lead") == {}


@pytest.mark.parametrize("choice", list(Side))
def test_the_lead_was_converted(bench: Bench, choice: Side):
    lead = lead_of(bench)
    bench.run()
    made = bench.convert(lead)
    theirs = bench.there_convert(lead)
    bench.run()
    (waits,) = bench.replica.waiting()
    assert (waits.action, waits.id, waits.state, waits.code) == ("convert", lead, "held", "converted")
    bench.replica.choose(lead, choice)
    bench.run()
    finished(bench)
    assert bench.there("Lead")[lead]["ConvertedContactId"] == theirs.contact
    assert len(bench.there("Contact")) == (2 if choice is Side.LOCAL else 1)
    if choice is Side.LOCAL:
        assert bench.replica.read(made.contact)["Id"] != theirs.contact


def test_a_colleague_is_faster_while_it_is_on_its_way(bench: Bench):
    lead = lead_of(bench)
    bench.run()
    bench.convert(lead)
    done: list[Any] = []

    def first(verb: str, *_: Any) -> None:
        if verb == "convert":
            alice = bench.crm.crm.store.caller(bench.crm.alice.id)
            asked = Conversion(lead, CONVERTED)
            done.append(bench.crm.crm.converter.convert(alice, asked))

    bench.between.before = first
    bench.run()
    (waits,) = bench.replica.waiting()
    assert waits.code == "converted"
    bench.replica.choose(lead, Side.SERVER)
    bench.run()
    finished(bench)
    assert bench.there("Contact").keys() == {done[0].contact}
