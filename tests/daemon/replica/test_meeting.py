"""Where both sides have done something: conflicts, refusals and people at work while a pass runs, from end to end."""

from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.contract import Refused
from crmsync.daemon.replica.context import Stage
from crmsync.state.replica.local.deciding import Side
from crmsync.state.replica.local.difference import Policy
from tests.daemon.replica.bench import Bench, Killed
from tests.daemon.replica.bench import bench as make_bench


def with_policy(bench: Bench, policy: Policy) -> None:
    bench.policy = policy
    bench.reopen()


# ── Fields ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("choice", "value"), [(Side.LOCAL, "here"), (Side.SERVER, "there"), ({"Phone": "new"}, "new")]
)
def test_a_held_field_is_decided_by_a_person(bench: Bench, choice, value):
    with_policy(bench, Policy.HOLD)
    account = bench.there_create("Account", Name="Acme", Phone="1")
    bench.run()
    bench.replica.update(account, {"Phone": "here", "Fax": "9"})
    bench.there_update(account, Phone="there")
    bench.run()
    assert bench.there("Account")[account]["Phone"] == "there"
    assert bench.there("Account")[account]["Fax"] == "9"  # nothing else is kept back
    bench.replica.choose(account, choice)
    bench.run()
    assert bench.there("Account")[account]["Phone"] == value
    bench.assert_equal()
    assert bench.work() == {}


@pytest.mark.parametrize(
    ("policy", "later", "value"),
    [
        (Policy.LATEST, "here", "here"),
        (Policy.LATEST, "there", "there"),
        (Policy.LOCAL, "there", "here"),
        (Policy.SERVER, "here", "there"),
    ],
)
def test_a_policy_decides_and_the_loser_stands_in_the_log(bench: Bench, policy, later, value):
    with_policy(bench, policy)
    account = bench.there_create("Account", Name="Acme", Phone="1")
    bench.run()
    acts = {
        "here": lambda: bench.replica.update(account, {"Phone": "here"}),
        "there": lambda: bench.there_update(account, Phone="there"),
    }
    for name in sorted(acts, key=lambda name: name == later):
        bench.clock.advance(seconds=10)
        acts[name]()
    bench.run()
    assert bench.there("Account")[account]["Phone"] == value
    bench.assert_equal()
    assert [(c["local"], c["server"]) for c in bench.conflicts()] == [({"Phone": "here"}, {"Phone": "there"})]


# ── Deletes ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("policy", "survives"),
    [(Policy.LOCAL, False), (Policy.SERVER, True), (Policy.LATEST, True)],
)
def test_deleted_here_and_changed_there(bench: Bench, policy, survives):
    with_policy(bench, policy)
    account = bench.there_create("Account", Name="Acme")
    bench.run()
    bench.replica.delete(account)
    bench.clock.advance(seconds=10)
    bench.there_update(account, Phone="1")
    bench.run()
    assert (account in bench.there("Account")) is survives
    bench.assert_equal()
    assert bench.work() == {}
    assert [c["server"]["Phone"] for c in bench.conflicts()] == ["1"]


@pytest.mark.parametrize(("choice", "survives"), [(Side.LOCAL, False), (Side.SERVER, True)])
def test_a_held_delete_is_decided_by_a_person(bench: Bench, choice, survives):
    with_policy(bench, Policy.HOLD)
    account = bench.there_create("Account", Name="Acme")
    bench.run()
    bench.replica.delete(account)
    bench.there_update(account, Phone="1")
    bench.run()
    assert [w.state for w in bench.replica.waiting()] == ["held"]
    assert account in bench.there("Account")
    bench.replica.choose(account, choice)
    bench.run()
    assert (account in bench.there("Account")) is survives
    bench.assert_equal()
    assert bench.work() == {}


def test_a_delete_does_not_take_along_what_came_since(bench: Bench):
    """The person who deleted the account has never seen this contact."""
    with_policy(bench, Policy.HOLD)
    account = bench.there_create("Account", Name="Acme")
    bench.run()
    bench.replica.delete(account)
    contact = bench.there_create("Contact", LastName="Ada", AccountId=account)
    bench.run()
    assert contact in bench.there("Contact")
    bench.replica.choose(account, Side.SERVER)
    bench.run()
    bench.assert_equal()
    assert bench.work() == {}
    assert [(c["Id"], c["resolved"]) for c in bench.conflicts()] == [(account, "server")]


def test_such_a_delete_goes_on_when_a_person_says_so(bench: Bench):
    with_policy(bench, Policy.HOLD)
    account = bench.there_create("Account", Name="Acme")
    bench.run()
    bench.replica.delete(account)
    bench.there_create("Contact", LastName="Ada", AccountId=account)
    bench.run()
    bench.replica.choose(account, Side.LOCAL)
    bench.run()
    assert account not in bench.there("Account")
    bench.run()
    bench.assert_equal()
    assert bench.work() == {}


def test_changed_here_and_deleted_there_is_made_again_when_a_person_says_so(bench: Bench):
    contact = bench.there_create("Contact", LastName="Ada")
    bench.run()
    bench.replica.update(contact, {"Title": "Countess"})
    bench.there_delete(contact)
    bench.run()
    assert [w.state for w in bench.replica.waiting()] == ["gone"]
    bench.replica.choose(contact, Side.LOCAL)
    bench.run()
    (row,) = bench.there("Contact").values()
    assert row["Title"] == "Countess"
    assert bench.replica.read(contact)["Id"] == row["Id"]
    bench.assert_equal()
    assert bench.work() == {}


# ── Refused ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_refers_to_a_refused_create_waits_for_it(bench: Bench):
    bench.run()
    account = bench.replica.create("Account", {"Name": "Acme"})
    contact = bench.replica.create("Contact", {"LastName": "Ada", "AccountId": account})
    no = Refused("", "rule", "breaks a rule")
    bench.between.refuse = lambda verb, name, row: no if name == "Account" else None
    bench.run()
    assert [(w.id, w.code) for w in bench.replica.waiting()] == [(account, "rule")]
    assert bench.there("Contact") == {}
    bench.between.refuse = lambda *_: None
    bench.replica.update(account, {"Name": "Acme Ltd"})
    bench.run()
    bench.assert_equal()
    assert bench.work() == {}
    assert bench.replica.read(contact)["AccountId"] == bench.replica.read(account)["Id"]


def test_one_unusable_row_keeps_none_of_the_others_out(bench: Bench):
    account = bench.there_create("Account", Name="Acme")
    bench.run()
    taken = bench.replica.create("Contact", {"LastName": "Ada", "AccountId": account})
    bench.there_delete(account)
    other = bench.replica.create("Contact", {"LastName": "Bob"})
    bench.run()
    assert [w.id for w in bench.replica.waiting()] == [taken]
    assert bench.replica.read(other)["Id"] in bench.there("Contact")
    bench.replica.update(taken, {"AccountId": None})
    bench.run()
    bench.assert_equal()
    assert bench.work() == {}


# ── People at work while a pass runs ─────────────────────────────────────────────────────────────────────────


def once(act: Any) -> Any:
    done: list[bool] = []

    def hook(*_: Any) -> None:
        if not done:
            done.append(True)
            act()

    return hook


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_edit_while_the_last_one_is_on_its_way(bench: Bench, when):
    account = bench.there_create("Account", Name="Acme", Phone="1")
    bench.run()
    bench.replica.update(account, {"Phone": "2"})
    setattr(bench.between, when, once(lambda: bench.replica.update(account, {"Phone": "3", "Fax": "4"})))
    bench.run()
    row = bench.there("Account")[account]
    assert (row["Phone"], row["Fax"]) == ("3", "4")
    bench.assert_equal()
    assert bench.work() == {}
    assert bench.conflicts() == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_edit_while_the_create_is_on_its_way(bench: Bench, when):
    bench.run()
    account = bench.replica.create("Account", {"Name": "Acme", "Phone": "1"})
    setattr(bench.between, when, once(lambda: bench.replica.update(account, {"Phone": "2"})))
    bench.run()
    (row,) = bench.there("Account").values()
    assert row["Phone"] == "2"
    bench.assert_equal()
    assert bench.work() == {}


def test_a_delete_that_is_given_up_while_it_is_looked_at_does_not_go_out(bench: Bench):
    account = bench.there_create("Account", Name="Acme")
    bench.run()
    bench.replica.delete(account)
    read, give_up = bench.between.read, once(lambda: bench.replica.abandon(account))

    def meanwhile(*asked: Any) -> Any:
        give_up()
        return read(*asked)

    bench.between.read = meanwhile  # type: ignore[attr-defined]
    bench.run()
    assert bench.there("Account").keys() == {account}
    bench.assert_equal()
    assert bench.work() == {}


def test_deletes_of_one_object_go_out_together(bench: Bench):
    names = {"Account": "Name", "Contact": "LastName", "Lead": "LastName"}
    more = {"Company": "c"}
    made = [
        bench.there_create(name, **{field: f"n{n}"}, **(more if name == "Lead" else {}))
        for n in range(3)
        for name, field in names.items()
    ]
    bench.run()
    for each in made:
        bench.replica.delete(each)
    assert bench.run().deleted == len(made)
    assert [name for verb, name in bench.between.calls if verb == "delete"] == list(names)
    bench.assert_equal()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_delete_while_the_create_is_on_its_way(bench: Bench, when):
    bench.run()
    account = bench.replica.create("Account", {"Name": "Acme"})
    setattr(bench.between, when, once(lambda: bench.replica.delete(account)))
    bench.run()
    bench.run()
    assert bench.there("Account") == {}
    bench.assert_equal()
    assert bench.work() == {}


def test_a_delete_while_it_is_not_known_whether_it_was_made(bench: Bench):
    bench.run()
    for strike in ("before", "after"):  # it was not made; it was
        account = bench.replica.create("Account", {"Name": "Acme"})

        def kill(*_: Any) -> None:
            raise Killed

        setattr(bench.between, strike, kill)
        with pytest.raises(Killed):
            bench.run()
        bench.reopen()
        bench.replica.delete(account)
        bench.run()
        bench.run()
        assert bench.there("Account") == {}
        bench.assert_equal()
        assert bench.work() == {}


# ── Long ago ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_waves_go_on_where_the_last_pass_was_ended(tmp_path: Path):
    with make_bench(tmp_path, objects=("Account",)) as bench:
        for _ in range(4):
            bench.there_create("Account", Name="Acme")
            bench.clock.advance(days=31)
        bench.kill = lambda stage, what: stage is Stage.MODIFIED and "2026-05" in what
        with pytest.raises(Killed):
            bench.run()
        assert len(bench.here("Account")) == 2
        bench.reopen()
        bench.kill, bench.stages = (lambda stage, what: False), []
        bench.run()
        waves = [what for stage, what in bench.stages if stage is Stage.MODIFIED and what]
        assert waves[0].startswith("Account 2026-05")
        bench.assert_equal()
        assert bench.work() == {}


def test_after_a_month_away_the_ids_are_compared(bench: Bench):
    stays, goes = (bench.there_create("Account", Name=name) for name in ("Stays", "Goes"))
    bench.run()
    mine = bench.replica.create("Account", {"Name": "Mine"})
    bench.there_delete(goes)
    bench.clock.advance(days=30)
    bench.run()
    assert bench.here("Account").keys() == {stays, bench.replica.read(mine)["Id"]}
    bench.assert_equal()
    assert bench.work() == {}


def test_a_comparison_that_breaks_off_proves_nothing(bench: Bench):
    bench.there_create("Account", Name="Acme")
    bench.run()
    bench.clock.advance(days=30)

    def broken(name: str) -> Any:
        yield []
        raise Killed

    bench.between.listing = broken
    with pytest.raises(Killed):
        bench.run()
    bench.reopen()
    assert len(bench.here("Account")) == 1
    bench.run()
    assert len(bench.here("Account")) == 1
    assert bench.work() == {}


def test_a_field_that_appears_upstream_is_filled_in_all_rows(bench: Bench):
    describe = bench.between.describe

    def without_fax(name: str) -> Any:
        reply = describe(name)
        return {**reply, "fields": [f for f in reply["fields"] if f["name"] != "Fax"]}

    bench.between.describe = without_fax
    account = bench.there_create("Account", Name="Acme", Fax="1", Phone="1")
    bench.run()
    bench.replica.update(account, {"Phone": "2"})
    bench.clock.advance(days=2)
    bench.between.describe = describe
    bench.run()
    assert bench.here("Account")[account]["Fax"] == "1"
    assert bench.there("Account")[account]["Phone"] == "2"
    bench.assert_equal()
    assert bench.work() == {}
    assert bench.run().pulled == 0


# ── Rows that are closed and opened ──────────────────────────────────────────────────────────────────────────


def hide(bench: Bench, record_id: str, hidden: bool) -> None:
    """As if sharing had changed: the row itself says nothing of it. Here its delete flag stands in for that, which
    neither its stamp nor the list of deletions shows."""
    crm = bench.crm.crm
    table = crm.database.tables["Account"]
    with crm.database.write() as connection:
        connection.execute(table.update().where(table.c.Id == record_id).values(IsDeleted=hidden))


def test_a_row_that_is_closed_leaves_and_one_that_is_opened_comes(bench: Bench):
    account, other = (bench.there_create("Account", Name=name) for name in ("Closed", "Stays"))
    bench.run()
    bench.clock.advance(hours=2)  # out of the overlap
    bench.run()
    hide(bench, account, True)
    assert bench.run().removed == 0  # nothing says so
    bench.clock.advance(days=1)
    before = bench.crm.crm.usage.total
    tally = bench.run()
    assert (tally.removed, tally.deleted) == (1, 0)
    assert bench.here("Account").keys() == {other}
    assert bench.crm.crm.usage.total - before <= 3 * len(bench.objects) + 2
    hide(bench, account, False)
    bench.clock.advance(days=1)
    bench.run()
    assert bench.here("Account").keys() == {account, other}
    bench.assert_equal()
    assert bench.work() == {}


def test_a_closed_row_with_a_change_waits_for_a_person_until_it_is_opened(bench: Bench):
    account = bench.there_create("Account", Name="Closed", Phone="1")
    bench.run()
    bench.clock.advance(days=1, hours=2)
    bench.replica.update(account, {"Phone": "2"})
    hide(bench, account, True)
    bench.run()
    (waits,) = bench.replica.waiting()
    assert (waits.state, waits.code) == ("gone", "not_found")
    hide(bench, account, False)
    bench.clock.advance(days=1)
    bench.run()
    bench.run()  # found by the first of them, sent by the next
    assert bench.there("Account")[account]["Phone"] == "2"
    bench.assert_equal()
    assert bench.work() == {}
