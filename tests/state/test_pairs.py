from dataclasses import replace
from pathlib import Path

import pytest

from crmsync.connectors.contract import Kind, Side
from crmsync.state.database import Contradiction, State
from crmsync.state.model import PairState
from tests.state.plans import plans_of
from tests.state.samples import BOOK, NOW, SECOND, pair, snapshot


def test_a_pair_is_found_from_both_ends(state: State) -> None:
    with state.transaction() as tx:
        one = tx.pairs.add(pair(1))
        two = tx.pairs.add(pair(2, account="bob"))
    assert one == pair(1, id=one.id)
    with state.reading() as tx:
        assert tx.pairs.get(one.id) == one
        assert tx.pairs.get_many([one.id, two.id, 99]) == {one.id: one, two.id: two}
        assert tx.pairs.by_ecs("alice", BOOK, ["item-1.vcf", "item-2.vcf"]) == {"item-1.vcf": one}
        assert tx.pairs.by_crm("alice", "main", "Contact", [one.crm_id, two.crm_id]) == {one.crm_id: one}
        assert tx.pairs.by_crm("alice", "other", "Contact", [one.crm_id]) == {}
        assert tx.pairs.by_uid("alice", "uid-1") == [one]
        assert tx.pairs.by_uids("bob", ["uid-1", "uid-2"]) == {"uid-2": [two]}
        assert tx.pairs.get(99) is None


def test_one_record_may_stand_in_several_accounts(state: State) -> None:
    with state.transaction() as tx:
        one = tx.pairs.add(pair(1))
        other = tx.pairs.add(pair(1, account="bob"))
        assert tx.pairs.accounts_of("main", "Contact", [one.crm_id, "003x"]) == {one.crm_id: [one, other]}


@pytest.mark.parametrize("end", [{"crm_id": "another"}, {"ecs_id": "another"}])
def test_within_an_account_a_pair_is_unique_both_ways(state: State, end: dict[str, str]) -> None:
    with state.transaction() as tx:
        tx.pairs.add(pair(1))
    with pytest.raises(Contradiction), state.transaction() as tx:
        tx.pairs.add(pair(1, **end))
    with state.reading() as tx:
        assert len(tx.pairs.listing("alice")) == 1


def test_many_are_added_in_order(state: State) -> None:
    new = [pair(n) for n in range(1500)]
    with state.transaction() as tx:
        added = tx.pairs.add_many(new)
        assert [replace(one, id=0) for one in added] == new
        assert tx.pairs.listing("alice") == added
        assert len(tx.pairs.by_ecs("alice", BOOK, [one.ecs_id for one in new])) == 1500
        assert tx.pairs.add_many([]) == []


def test_saving_writes_every_field(state: State) -> None:
    with state.transaction() as tx:
        one, other = tx.pairs.add_many([pair(1), pair(2)])
        changed = replace(
            pair(7, account="carol", crm="second", kind=Kind.TASK),
            id=one.id,
            state=PairState.UNLINKED,
            reason="untagged\0",
            untagged=True,
            generation=3,
            ecs_version='"2"',
            synced_at=NOW + SECOND,
        )
        tx.pairs.save(changed)
        tx.pairs.save_many([])
        assert tx.pairs.get(one.id) == changed
        assert tx.pairs.get(other.id) == other


def test_a_pair_that_is_not_there_cannot_be_saved(state: State) -> None:
    with pytest.raises(LookupError), state.transaction() as tx:
        tx.pairs.save(pair(1, id=99))


def test_pairs_may_not_be_swapped_into_each_other(state: State) -> None:
    with state.transaction() as tx:
        one, two = tx.pairs.add_many([pair(1), pair(2)])
    with pytest.raises(Contradiction), state.transaction() as tx:
        tx.pairs.save(replace(one, crm_id=two.crm_id))


@pytest.mark.parametrize(
    "text", ["item-1.vcf", BOOK + "item-1.vcf", "uid-1", "003000000000001AAA", "003000000000001"]
)
def test_whatever_a_person_types_finds_the_pair(state: State, text: str) -> None:
    with state.transaction() as tx:
        one, _ = tx.pairs.add_many([pair(1), pair(2)])
        assert tx.pairs.find(text) == [one]


def test_find_with_other_spellings(state: State) -> None:
    with state.transaction() as tx:
        one = tx.pairs.add(pair(1, ecs_collection="Contacts", crm_id="003000000000001"))
        assert tx.pairs.find("Contacts/item-1.vcf") == [one]
        assert tx.pairs.find("003000000000001AAA") == [one]
        assert tx.pairs.find("item") == tx.pairs.find("") == []


def test_counting_and_walking(state: State) -> None:
    with state.transaction() as tx:
        added = tx.pairs.add_many(
            [
                pair(1),
                pair(2, state=PairState.UNLINKED),
                pair(3, ecs_collection="tasks", crm_collection="Task", kind=Kind.TASK),
                pair(4, account="bob"),
            ]
        )
        assert tx.pairs.count("alice", Kind.CONTACT) == 1
        assert tx.pairs.count("alice", Kind.CONTACT, PairState.UNLINKED) == 1
        assert tx.pairs.iterate("alice") == added[:3]
        assert tx.pairs.iterate("alice", limit=2) == added[:2]
        assert tx.pairs.iterate("alice", after_id=added[1].id) == [added[2]]
        assert tx.pairs.iterate("alice", ecs_collection="tasks") == [added[2]]
        assert tx.pairs.iterate("alice", crm_collection="Contact") == added[:2]


def test_snapshot_and_clocks_go_with_their_pair(state: State) -> None:
    with state.transaction() as tx:
        one, two = tx.pairs.add_many([pair(1), pair(2)])
        tx.snapshots.put_many({one.id: snapshot(), two.id: snapshot()})
        tx.clocks.put(
            {(one.id, Side.ECS, "email"): ("digest", NOW), (two.id, Side.ECS, "email"): ("digest", NOW)}
        )
        tx.pairs.remove(one.id)
        assert tx.pairs.get(one.id) is None
        assert set(tx.snapshots.get_many([one.id, two.id])) == {two.id}
        assert set(tx.clocks.get([one.id, two.id])) == {(two.id, Side.ECS, "email")}
        assert tx.pairs.add(pair(1)).id > two.id


def test_snapshots(state: State) -> None:
    with state.transaction() as tx:
        one = tx.pairs.add(pair(1))
        assert tx.snapshots.get(one.id) is None
        assert tx.snapshots.text(one.id) is None
        tx.snapshots.put(one.id, snapshot())
        tx.snapshots.put(one.id, snapshot(columns={"email": "ada@example.com", "notes": "\0\\u"}))
        tx.snapshots.put_many({})
    with state.reading() as tx:
        assert tx.snapshots.get(one.id) == snapshot(columns={"email": "ada@example.com", "notes": "\0\\u"})
        assert "ada@example.com" in (tx.snapshots.text(one.id) or "")
    with state.transaction() as tx:
        tx.snapshots.remove(one.id)
        assert tx.snapshots.get(one.id) is None


def test_a_snapshot_belongs_to_a_pair(state: State) -> None:
    with pytest.raises(Contradiction), state.transaction() as tx:
        tx.snapshots.put(99, snapshot())


def test_clocks(state: State) -> None:
    with state.transaction() as tx:
        one = tx.pairs.add(pair(1))
        email, phone = (one.id, Side.ECS, "email"), (one.id, Side.CRM, "phone_work")
        tx.clocks.put({email: ("a", NOW), phone: ("b", NOW)})
        tx.clocks.put({email: ("c", NOW + SECOND)})
        tx.clocks.put({})
        assert tx.clocks.get([one.id]) == {email: ("c", NOW + SECOND), phone: ("b", NOW)}
        tx.clocks.clear([one.id])
        assert tx.clocks.get([one.id]) == {}


def test_that_nobody_is_waited_for_is_not_looked_up_pair_by_pair(tmp_path: Path) -> None:
    """Every poll asks it: of a hundred thousand pairs it took longer than all the rest of an idle cycle."""
    (plan,) = plans_of(tmp_path, lambda tx: tx.awaited.any("main", "Contact"), "awaited")
    assert plan[0].startswith("SCAN awaited"), plan
    assert not any(line.startswith("SCAN pairs") for line in plan), plan
