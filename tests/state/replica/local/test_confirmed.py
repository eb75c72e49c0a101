"""What the upstream has of the rows here, whatever was done to them."""

import datetime
import json
from typing import Any

import pytest

from crmsync.state.replica.access import Caller
from crmsync.state.replica.ids import new_id
from crmsync.state.replica.local.confirmed import ConfirmedTables
from crmsync.state.replica.local.identity import Identity
from crmsync.state.replica.local.store import LocalStore
from crmsync.state.replica.querying import Queries
from tests.state.replica.local.conftest import BOTH, Desk

ME = Identity(new_id("00D", 1), new_id("005", 1))
NOW = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


class Confirmed(LocalStore):
    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.database, lambda: ME, clock=lambda: NOW)
        self.database = ConfirmedTables(desk.database)


def people(desk: Desk, where: str = "") -> list[tuple[Any, ...]]:
    queries = Queries(Confirmed(desk), clock=lambda: NOW)
    text = f"SELECT LastName, Title, Account.Name FROM Contact {where} ORDER BY LastName"
    rows = json.loads(queries.query(Caller(ME.user, all_records=True), text, "/b").records)
    return [(r["LastName"], r["Title"], (r["Account"] or {}).get("Name")) for r in rows]


@BOTH
def test_what_was_done_here_is_not_there(desk: Desk):
    acme = desk.arrive("Account", Name="Acme")
    ada = desk.arrive("Contact", LastName="Ada", Title="Analyst", AccountId=acme)
    bob = desk.arrive("Contact", LastName="Bob", Title="Builder")
    desk.arrive("Contact", LastName="Cid")
    before = people(desk)
    assert before == [("Ada", "Analyst", "Acme"), ("Bob", "Builder", None), ("Cid", None, None)]
    desk.update(acme, Name="Other")
    desk.update(ada, Title="Countess", AccountId=None)
    desk.delete(bob)
    desk.create("Contact", LastName="Eve")
    assert people(desk) == before
    assert people(desk, "WHERE Title = 'Countess'") == []
    assert [r[0] for r in people(desk, "WHERE Account.Name = 'Acme'")] == ["Ada"]
    desk.abandon(ada)
    assert people(desk) == before


@BOTH
def test_what_a_delete_here_has_emptied_still_refers(desk: Desk):
    boss = desk.arrive("Contact", LastName="Ada")
    below = desk.arrive("Contact", LastName="Bob", ReportsToId=boss)
    desk.delete(boss)
    assert desk.row("Contact", below)["ReportsToId"] is None
    store = Confirmed(desk)
    caller = Caller(ME.user, all_records=True)
    assert store.read(caller, "Contact", below)["ReportsToId"] == boss
    desk.update(below, Title="Builder")  # its orig knows only of the emptied one
    assert store.read(caller, "Contact", below)["ReportsToId"] == boss
    assert store.read(caller, "Contact", below)["Title"] is None


@BOTH
def test_what_came_meanwhile_counts_although_a_person_decides(desk: Desk):
    ada = desk.arrive("Contact", LastName="Ada", Title="Analyst")
    desk.update(ada, Title="Countess")
    desk.arrive("Contact", ada, first=False, LastName="Ada", Title="Lady")
    assert people(desk) == [("Ada", "Lady", None)]  # staged
    desk.move("Contact")
    assert desk.row("Contact", ada)["Title"] == "Countess"
    assert people(desk) == [("Ada", "Lady", None)]  # held


@BOTH
def test_what_the_upstream_has_deleted_is_gone(desk: Desk):
    ada = desk.arrive("Contact", LastName="Ada")
    desk.update(ada, Title="Countess")
    desk.gone("Contact", ada)
    assert people(desk) == []


def test_it_is_read_only(desk: Desk):
    ada = desk.arrive("Contact", LastName="Ada")
    with pytest.raises(TypeError, match="read only"):
        Confirmed(desk).update(Caller(ME.user, all_records=True), [("Contact", ada, {"Title": "x"})])
