"""One pass, and passes until nothing changes, against an embedded CRM over HTTP."""

from typing import Any

import pytest

from crmsync.connectors.errors import NotFound
from crmsync.daemon.replica.context import Stage
from tests.daemon.replica.bench import Bench, Killed


def test_the_first_pass_fills_main(bench: Bench):
    account = bench.there_create("Account", Name="Acme", Phone="123")
    bench.there_create("Contact", LastName="Lovelace", FirstName="Ada", AccountId=account)
    bench.run()
    bench.assert_equal()
    assert bench.work() == {}


def test_what_changes_upstream_comes(bench: Bench):
    account = bench.there_create("Account", Name="Acme")
    gone = bench.there_create("Contact", LastName="Babbage")
    bench.run()
    bench.clock.advance(minutes=30)
    bench.there_update(account, Phone="456")
    bench.there_delete(gone)
    new = bench.there_create("Contact", LastName="Lovelace", AccountId=account)
    bench.run()
    assert bench.here("Account")[account]["Phone"] == "456"
    assert bench.here("Contact").keys() == {new}
    bench.assert_equal()
    assert bench.work() == {}


def test_what_is_changed_here_goes(bench: Bench):
    account = bench.there_create("Account", Name="Acme")
    gone = bench.there_create("Contact", LastName="Babbage")
    bench.run()
    temporary = bench.replica.create("Contact", {"LastName": "Lovelace", "AccountId": account})
    bench.replica.update(account, {"Phone": "789"})
    bench.replica.delete(gone)
    tally = bench.run()
    assert (tally.created, tally.updated, tally.deleted) == (1, 1, 1)
    bench.assert_equal()
    bench.assert_nothing_temporary()
    assert bench.work() == {}
    assert bench.replica.read(temporary)["Name"] == "Lovelace"
    assert bench.there("Account")[account]["Phone"] == "789"


def test_fields_changed_on_either_side_both_stay(bench: Bench):
    account = bench.there_create("Account", Name="Acme", Phone="1", Fax="1")
    bench.run()
    bench.replica.update(account, {"Phone": "2"})
    bench.clock.advance(seconds=5)
    bench.there_update(account, Fax="3")
    bench.run()
    assert {k: bench.there("Account")[account][k] for k in ("Phone", "Fax")} == {"Phone": "2", "Fax": "3"}
    bench.assert_equal()
    assert bench.conflicts() == []


def test_references_to_temporary_ids_become_real(bench: Bench):
    bench.run()
    account = bench.replica.create("Account", {"Name": "Acme"})
    boss = bench.replica.create("Contact", {"LastName": "Boss", "AccountId": account})
    other = bench.replica.create("Contact", {"LastName": "Other", "ReportsToId": boss, "AccountId": account})
    bench.replica.update(boss, {"ReportsToId": other})  # in a circle: one of the two has to follow later
    bench.run()
    bench.assert_equal()
    bench.assert_nothing_temporary()
    assert bench.work() == {}
    boss_row, other_row = bench.replica.read(boss), bench.replica.read(other)
    assert boss_row["ReportsToId"] == other_row["Id"]
    assert other_row["ReportsToId"] == boss_row["Id"]


def test_an_object_that_is_added_later_is_filled(bench: Bench):
    account = bench.there_create("Account", Name="Acme")
    bench.there_create("Task", Subject="Do it", WhatId=account)
    bench.objects = ("Account",)
    bench.reopen()
    bench.run()
    bench.clock.advance(days=1)
    bench.objects = ("Account", "Task")
    bench.reopen()
    bench.run()
    bench.assert_equal()
    assert bench.work() == {}


def test_a_pass_that_goes_on_with_an_old_one_goes_on_to_now(bench: Bench):
    """It broke off hours ago, and ends with the window that it had: what has changed since is brought, too, before
    anybody is told that both are in step."""
    account = bench.there_create("Account", Name="Acme", Phone="1")
    bench.run()
    bench.kill = lambda stage, what: stage is Stage.MOVE
    with pytest.raises(Killed):
        bench.run()
    bench.kill = lambda stage, what: False
    bench.clock.advance(hours=3)
    bench.there_update(account, Phone="2")
    assert bench.run().passes == 2
    assert bench.here("Account")[account]["Phone"] == "2"
    assert bench.run().passes == 1


def test_an_object_of_which_deletions_are_not_told_is_compared(bench: Bench):
    bench.objects = ("Account",)
    bench.reopen()
    between: Any = bench.between
    describe = between.describe
    between.describe = lambda name: {**describe(name), "replicateable": False}

    def refused(*_: Any) -> Any:
        raise NotFound("there is no such list")

    between.deleted = refused
    gone, _ = (bench.there_create("Account", Name=name) for name in ("Acme", "Other"))
    bench.run()
    bench.there_delete(gone)
    bench.run()
    assert [row["Name"] for row in bench.here("Account").values()] == ["Other"]
