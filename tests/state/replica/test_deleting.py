"""Deletes: soft, with cascade, or refused."""

import datetime

from crmsync.state.replica import ids
from crmsync.state.replica.faults import Saved
from crmsync.state.replica.records import fetch_any
from tests.state.replica.conftest import Bench, codes


def is_deleted(bench: Bench, *record_ids: str) -> list[bool]:
    with bench.store.database.read() as connection:
        rows = fetch_any(connection, bench.store.database, bench.store.schema, record_ids)
    return [bool(rows[each]["IsDeleted"]) for each in record_ids]


def test_a_deleted_record_stays_in_its_table(bench: Bench) -> None:
    contact = bench.create("Contact", LastName="x")
    bench.clock.advance(minutes=5)
    assert isinstance(bench.delete(contact), Saved)
    assert bench.store.retrieve(bench.sync, "Contact", [contact]) == [None]
    assert is_deleted(bench, contact) == [True]
    assert codes(bench.delete(contact)) == ["ENTITY_IS_DELETED"]


def test_a_delete_takes_along_what_belongs_to_the_record(bench: Bench) -> None:
    account = bench.create("Account", Name="a")
    child = bench.create("Account", Name="child", ParentId=account)
    contact = bench.create("Contact", LastName="c", AccountId=account)
    task = bench.create("Task", WhoId=contact)
    assert isinstance(bench.delete(account), Saved)
    assert is_deleted(bench, account, contact, task, child) == [True, True, True, False]
    assert bench.read(child)["ParentId"] is None


def test_a_cleared_reference_moves_only_the_system_stamp(bench: Bench) -> None:
    boss = bench.create("Contact", LastName="boss")
    report = bench.create("Contact", LastName="report", ReportsToId=boss)
    before = bench.read(report)
    bench.clock.advance(minutes=5)
    bench.delete(boss)
    after = bench.read(report)
    assert after["ReportsToId"] is None
    assert after["SystemModstamp"] == before["SystemModstamp"] + datetime.timedelta(minutes=5)
    assert after["LastModifiedDate"] == before["LastModifiedDate"]


def test_a_case_keeps_its_account_alive(bench: Bench) -> None:
    account = bench.create("Account", Name="a")
    contact = bench.create("Contact", LastName="c", AccountId=account)
    case = bench.create("Case", ContactId=contact)
    other = bench.create("Account", Name="b")
    held, gone = bench.store.delete(bench.sync, [account, other])
    assert codes(held) == ["DELETE_FAILED"]
    assert isinstance(gone, Saved)
    assert is_deleted(bench, account, contact, case, other) == [False, False, False, True]


def test_all_or_none_deletes_nothing_when_one_is_refused(bench: Bench) -> None:
    good = bench.create("Contact", LastName="x")
    missing = bench.store.delete(bench.sync, [good, ids.new_id("003", 99)], all_or_none=True)
    assert [codes(o)[0] for o in missing] == [
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "INVALID_CROSS_REFERENCE_KEY",
    ]
    account = bench.create("Account", Name="a")
    bench.create("Case", AccountId=account)
    held = bench.store.delete(bench.sync, [good, account], all_or_none=True)
    assert [codes(o)[0] for o in held] == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "DELETE_FAILED"]
    assert is_deleted(bench, good, account) == [False, False]


def test_what_cannot_be_deleted(bench: Bench) -> None:
    assert codes(bench.delete(bench.bob.user_id)) == ["INSUFFICIENT_ACCESS_OR_READONLY"]
    outcomes = bench.store.delete(bench.sync, ["nonsense", "zzz000000000001AAA", ""])
    assert [codes(o)[0] for o in outcomes] == ["MALFORMED_ID"] * 3
