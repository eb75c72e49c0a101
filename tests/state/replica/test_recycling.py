import dataclasses

import pytest

from crmsync.state.replica.changes import Changes
from crmsync.state.replica.faults import Fault, Rejected, Saved
from crmsync.state.replica.merging import Merger, mergeable
from crmsync.state.replica.recycling import RecycleBin
from tests.state.replica.conftest import Bench, codes


def gone(bench: Bench, record_id: str) -> bool:
    type_ = bench.store.schema.of_id(record_id)
    assert type_ is not None
    return bench.store.retrieve(bench.sync, type_.name, [record_id]) == [None]


def test_undelete_brings_back_what_went_along(bench: Bench) -> None:
    account = bench.create("Account", Name="a")
    contact = bench.create("Contact", LastName="c", AccountId=account)
    earlier = bench.create("Contact", LastName="e", AccountId=account)
    bench.delete(earlier)
    bench.delete(account)
    assert gone(bench, contact)
    assert RecycleBin(bench.store).undelete(bench.sync, [account[:15]]) == [Saved(account, created=False)]
    assert not gone(bench, account)
    assert not gone(bench, contact)
    assert gone(bench, earlier)


def test_a_child_does_not_come_back_without_its_parent(bench: Bench) -> None:
    account = bench.create("Account", Name="a")
    contact = bench.create("Contact", LastName="c", AccountId=account)
    bench.delete(account)
    recycle_bin = RecycleBin(bench.store)
    assert codes(recycle_bin.undelete(bench.sync, [contact])[0]) == ["UNDELETE_FAILED"]
    recycle_bin.undelete(bench.sync, [account])
    assert not gone(bench, contact)


def test_what_undelete_refuses(bench: Bench) -> None:
    recycle_bin = RecycleBin(bench.store)
    lead = bench.create("Lead", LastName="l", Company="c", Crmsync_Id__c="k")
    assert codes(recycle_bin.undelete(bench.sync, [lead])[0]) == ["UNDELETE_FAILED"]
    assert codes(recycle_bin.undelete(bench.sync, ["nonsense"])[0]) == ["MALFORMED_ID"]
    bench.delete(lead)
    assert codes(recycle_bin.undelete(bench.bob, [lead])[0]) == ["INSUFFICIENT_ACCESS_OR_READONLY"]
    other = bench.create("Lead", LastName="l", Company="c", Crmsync_Id__c="K")
    assert codes(recycle_bin.undelete(bench.sync, [lead])[0]) == ["DUPLICATE_VALUE"]
    bench.delete(other)
    assert isinstance(recycle_bin.undelete(bench.sync, [lead])[0], Saved)
    assert codes(bench.try_create("Lead", LastName="l", Company="c", Crmsync_Id__c="k")) == [
        "DUPLICATE_VALUE"
    ]
    bench.delete(lead)
    bench.clock.advance(days=16)
    assert codes(recycle_bin.undelete(bench.sync, [lead])[0]) == ["UNDELETE_FAILED"]


def test_an_emptied_record_is_still_told_as_deleted(bench: Bench) -> None:
    account = bench.create("Account", Name="a")
    contact = bench.create("Contact", LastName="c", AccountId=account)
    start = bench.store.now()
    bench.delete(account)
    recycle_bin = RecycleBin(bench.store)
    assert isinstance(recycle_bin.empty(bench.sync, [account])[0], Saved)
    assert isinstance(recycle_bin.empty(bench.sync, [account])[0], Rejected)
    assert codes(recycle_bin.undelete(bench.sync, [contact])[0]) == ["UNDELETE_FAILED"]
    bench.clock.advance(minutes=5)
    for name, record_id in (("Account", account), ("Contact", contact)):
        told = Changes(bench.store).deleted(bench.sync, name, start, bench.store.now())
        assert [each for each, _ in told.records] == [record_id]


def test_a_merge_moves_children_and_deletes_the_others(bench: Bench) -> None:
    master, loser = bench.create("Account", Name="m"), bench.create("Account", Name="l", Phone="1")
    contact = bench.create("Contact", LastName="c", AccountId=loser)
    task = bench.create("Task", Subject="t", WhatId=loser)
    merged = Merger(bench.store).merge(bench.sync, "account", master, {"Phone": "1"}, [loser[:15]])
    assert (merged.master, merged.losers, set(merged.moved)) == (master, (loser,), {contact, task})
    assert bench.read(master)["Phone"] == "1"
    assert bench.read(contact)["AccountId"] == master
    assert (bench.read(task)["WhatId"], bench.read(task)["AccountId"]) == (master, master)
    assert gone(bench, loser)
    with bench.store.database.read() as connection:
        table = bench.store.database.tables["Account"]
        rows = connection.execute(table.select().where(table.c.Id == loser)).mappings().all()
    assert rows[0]["MasterRecordId"] == master


@pytest.mark.parametrize("between", [False, True])
def test_no_merge_puts_a_record_above_itself(bench: Bench, between: bool) -> None:
    loser = bench.create("Account", Name="l")
    parent = bench.create("Account", Name="p", ParentId=loser) if between else loser
    master = bench.create("Account", Name="m", ParentId=parent)
    with pytest.raises(Fault) as refused:
        Merger(bench.store).merge(bench.sync, "Account", master, {"Phone": "1"}, [loser])
    assert refused.value.code == "CIRCULAR_DEPENDENCY"
    assert (bench.read(master)["ParentId"], bench.read(master)["Phone"]) == (parent, None)
    assert not gone(bench, loser)
    fine = Merger(bench.store).merge(
        bench.sync, "Account", master, {"ParentId": None}, [bench.create("Account", Name="x")]
    )
    assert fine.master == master


@pytest.mark.parametrize(
    ("losers", "code"),
    [
        (0, "LIMIT_EXCEEDED"),
        (3, "LIMIT_EXCEEDED"),
    ],
)
def test_how_many_a_merge_takes(bench: Bench, losers: int, code: str) -> None:
    master = bench.create("Account", Name="m")
    others = [bench.create("Account", Name="l") for _ in range(losers)]
    with pytest.raises(Fault) as refused:
        Merger(bench.store).merge(bench.sync, "Account", master, {}, others)
    assert refused.value.code == code


def test_a_refused_merge_changes_nothing(bench: Bench) -> None:
    master, loser = bench.create("Account", Name="m"), bench.create("Account", Name="l")
    bench.delete(loser)
    merger = Merger(bench.store)
    for fields, losers, code in (
        ({"Phone": "1"}, [loser], "ENTITY_IS_DELETED"),
        ({"Phone": "1"}, [master], "DUPLICATE_VALUE"),
        ({"Nothing": "1"}, [bench.create("Account", Name="x")], "INVALID_FIELD"),
    ):
        with pytest.raises(Fault) as refused:
            merger.merge(bench.sync, "Account", master, fields, losers)
        assert refused.value.code == code
    assert bench.read(master)["Phone"] is None
    with pytest.raises(Fault, match="INVALID_TYPE"):
        merger.merge(
            bench.sync, "Task", bench.create("Task", Subject="t"), {}, [bench.create("Task", Subject="t")]
        )


def test_an_upstream_says_what_may_be_merged(bench: Bench) -> None:
    """Of its fields not all may be here, nor the one that leads to the master."""
    contact, task = bench.store.object_type("Contact"), bench.store.object_type("Task")
    narrow = dataclasses.replace(
        contact, fields=tuple(f for f in contact.fields if f.name != "MasterRecordId")
    )
    assert [mergeable(each) for each in (contact, task, narrow)] == [True, False, False]
    assert mergeable(narrow, {"mergeable": True})
    assert not mergeable(contact, {"mergeable": False})
