"""The smaller repositories."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from crmsync.connectors.contract import Kind, Side, Value
from crmsync.state.database import State
from crmsync.state.model import Detected, Held, HeldState, IndexRow, What
from crmsync.state.overall import Overall
from crmsync.state.transaction import Tx
from tests.state.plans import plans_of
from tests.state.samples import BOOK, NOW, SECOND, conflict, entry, held, intent, pair, snapshot


def overall(tx: Tx) -> Overall:
    return tx.overall.of(["alice"], "")["alice"]


def test_cursors(state: State) -> None:
    with state.transaction() as tx:
        assert tx.cursors.get("alice/Contacts") is None
        tx.cursors.put("alice/Contacts", "1")
        tx.cursors.put("alice/Contacts", "2\0")
        tx.cursors.put("Alice/Contacts", "3")
        tx.cursors.put("alice_Contacts", "4")
        assert tx.cursors.get("alice/Contacts") == "2\0"
        assert tx.cursors.scopes("alice/") == ["alice/Contacts"]
        assert len(tx.cursors.scopes()) == 3
        tx.cursors.remove("alice/Contacts")
        assert tx.cursors.get("alice/Contacts") is None


def test_what_is_the_same_is_not_written_again(state: State) -> None:
    """Else every idle cycle would wait for the disk, once for each collection."""
    with state.transaction() as tx:
        tx.cursors.put("alice/Contacts", "1")
        tx.meta.put("next/alice", "1")
    watched: list[int] = []

    def note(connection: object, cursor: Any, statement: str, *_: object) -> None:
        if statement.startswith("INSERT"):
            watched.append(cursor.rowcount)

    event.listen(Engine, "after_cursor_execute", note)
    try:
        with state.transaction() as tx:
            tx.cursors.put("alice/Contacts", "1")
            tx.meta.put("next/alice", "1")
            assert watched == [0, 0]
            tx.cursors.put("alice/Contacts", "2")
            assert watched == [0, 0, 1]
    finally:
        event.remove(Engine, "after_cursor_execute", note)


def test_meta(state: State) -> None:
    with state.transaction() as tx:
        tx.meta.put("next/alice", "1")
        tx.meta.put("next/bob", "2")
        tx.meta.put("next/alice", "3")
        tx.meta.put("installation", "x")
        assert tx.meta.get("next/alice") == "3"
        assert tx.meta.listing("next/") == {"next/alice": "3", "next/bob": "2"}
        tx.meta.remove("next/alice")
        assert tx.meta.get("next/alice") is None


def test_an_intent_is_open_until_it_is_closed(state: State) -> None:
    full = intent(
        "a", key="k", columns={"email": "x\0", "notes": None}, native="BEGIN:VCARD\r\n\0", expected='"1"', pair_id=5,
        kind=Kind.CONTACT,
    )  # fmt: skip
    with state.transaction() as tx:
        first, second, _ = tx.intents.write([full, intent("b"), intent("a", account="bob")])
        assert first < second
        assert tx.intents.write([]) == []
    with state.transaction() as tx:
        a, b = tx.intents.open("alice")
        assert (a.columns, a.native, a.pair_id, a.kind) == (full.columns, full.native, 5, Kind.CONTACT)
        assert [a.id, b.id] == [first, second]
        assert tx.intents.open_for("alice", Side.CRM, "Contact", ["a", "c"]) == {"a": a}
        assert tx.intents.open_for("alice", Side.ECS, "Contact", ["a"]) == {}
        tx.intents.close([first])
        assert tx.intents.open("alice") == [b]


def test_the_newest_intent_of_an_item_counts(state: State) -> None:
    with state.transaction() as tx:
        _, newest = tx.intents.write([intent("a", key="1"), intent("a", key="2")])
        assert tx.intents.open_for("alice", Side.CRM, "Contact", ["a"])["a"].id == newest


def test_cycles(state: State) -> None:
    with state.transaction() as tx:
        assert tx.cycles.last("alice") is None
        assert overall(tx).last_success is None
        first = tx.cycles.start("alice", NOW)
        tx.cycles.finish(first, NOW + SECOND, {"created": 2}, [{"item": "a", "code": "too_long"}])
        second = tx.cycles.start("alice", NOW + 2 * SECOND)
        tx.cycles.finish(second, NOW + 3 * SECOND, {}, [{"item": "", "code": "unreachable"}])
        third = tx.cycles.start("alice", NOW + 4 * SECOND)
        tx.cycles.start("bob", NOW)
    with state.reading() as tx:
        one = tx.cycles.get(first)
        assert one is not None
        assert (one.started, one.finished, one.counts) == (NOW, NOW + SECOND, {"created": 2})
        assert one.errors == [{"item": "a", "code": "too_long"}]
        last = tx.cycles.last("alice")
        assert last is not None
        assert (last.id, last.finished) == (third, None)
        assert overall(tx).last_success == NOW + SECOND
        assert [cycle.id for cycle in tx.cycles.recent("alice", 2)] == [third, second]
        assert tx.cycles.get(99) is None


@pytest.mark.parametrize("there", [0, 2])
def test_numbers_of_cycles_that_were_lost_are_not_given_out_again(state: State, there: int) -> None:
    with state.transaction() as tx:
        for _ in range(there):
            tx.cycles.start("alice", NOW)
        tx.cycles.skip_to(7)
        assert tx.cycles.start("alice", NOW) == 8
        tx.cycles.skip_to(5)
        assert tx.cycles.start("bob", NOW) == 9


@pytest.mark.parametrize(
    ("column", "old", "new"),
    [
        ("email", None, ""),
        ("birthday", date(1815, 12, 10), None),
        ("categories", (), ("a", "b\0")),
        ("notes", "\\u", "x"),
    ],
)
def test_history_keeps_values(state: State, column: str, old: Value, new: Value) -> None:
    with state.transaction() as tx:
        tx.history.add([entry(column=column, old=old, new=new, winner="ecs", reason="later", native="\0")])
        [one] = tx.history.of_cycle(1)
    assert one == entry(id=one.id, column=column, old=old, new=new, winner="ecs", reason="later", native="\0")


def test_history_of_an_item(state: State) -> None:
    with state.transaction() as tx:
        tx.history.add(
            [entry(pair_id=1), entry(pair_id=2, ecs_id="b", crm_id="c"), entry(pair_id=None), entry(cycle=2)]
        )
        assert [one.cycle for one in tx.history.of_item(1)] == [1, 2]
        assert len(tx.history.of_item([1, 2])) == 3
        assert len(tx.history.find("item-1.vcf")) == 3
        assert len(tx.history.find("003000000000001AAA")) == 3
        assert len(tx.history.find("b")) == 1
        assert tx.history.find("") == []


def test_old_history_is_forgotten(state: State) -> None:
    with state.transaction() as tx:
        tx.history.add([entry(at=NOW - SECOND), entry(at=NOW)])
        assert tx.history.prune(NOW) == 1
        assert [one.at for one in tx.history.of_item(1)] == [NOW]


def test_only_whole_items_count_as_deletes(state: State) -> None:
    with state.transaction() as tx:
        tx.history.add(
            [
                entry(action="delete", at=NOW - SECOND),
                entry(action="delete"),
                entry(action="unlink"),
                entry(action="delete", column="email"),
                entry(action="update"),
                entry(action="delete", kind=Kind.TASK),
                entry(action="delete", account="bob"),
            ]
        )
        assert tx.history.deletes_since("alice", Kind.CONTACT, NOW) == 2


def test_conflicts(state: State) -> None:
    decided = conflict(
        column="email", base="a", ecs="b", crm="c", winner="crm", resolved=True, reason="later"
    )
    with state.transaction() as tx:
        first, second = tx.conflicts.add([conflict(), decided])
        waiting = conflict(id=first)
        assert tx.conflicts.add([]) == []
        assert tx.conflicts.open_for([1, 2]) == {(1, "birthday"): waiting}
        assert tx.conflicts.get(first) == tx.conflicts.get_for_item(1, "birthday") == waiting
        assert tx.conflicts.listing() == [waiting, conflict(**{**as_dict(decided), "id": second})]
        assert tx.conflicts.listing("bob") == []
        assert tx.conflicts.listing("alice", only_open=True) == [waiting]
        assert overall(tx).conflicts == 1
        tx.conflicts.resolve(first, "value", NOW + SECOND)
        assert tx.conflicts.open_for([1]) == {}
        assert overall(tx).conflicts == 0
        resolved = tx.conflicts.get(first)
    assert resolved is not None
    assert (resolved.winner, resolved.resolved, resolved.resolved_at) == ("value", True, NOW + SECOND)


def as_dict(one: object) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__slots__}  # type: ignore[attr-defined]


def test_an_open_conflict_comes_before_one_that_is_resolved(state: State) -> None:
    with state.transaction() as tx:
        first, _ = tx.conflicts.add([conflict(), conflict(winner="ecs", resolved=True)])
        found = tx.conflicts.get_for_item(1, "birthday")
        assert found is not None
        assert found.id == first
        assert tx.conflicts.get_for_item(2, "birthday") is None


def test_held(state: State) -> None:
    match = held(
        what=What.MATCH,
        pair_id=None,
        collection="Contacts",
        item="item-2.vcf",
        record="",
        candidates=["003a", "003b"],
    )
    with state.transaction() as tx:
        first, second = tx.held.add([held(), match])
        one, two = tx.held.listing()
        assert (one, two) == (held(id=first), Held(**{**as_dict(match), "id": second}))  # type: ignore[arg-type]
        assert tx.held.listing("bob") == []
        assert tx.held.listing("alice", What.MATCH) == [two]
        assert tx.held.for_pair([1, 2]) == {1: one}
        item = ("Contacts", "item-2.vcf")
        assert tx.held.for_items("alice", [item, ("Contacts", "x")]) == {item: two}
        assert tx.held.for_items("alice", [("Private", "item-2.vcf")]) == {}
        assert (
            tx.held.for_items("alice", [("Contacts", one.item)]) == {}
        )  # its delete is held, not its partner
        assert tx.held.for_records("alice", ["item-2.vcf", one.record]) == {}
        assert tx.held.count("alice") == 2
        tx.held.set_state([first], HeldState.APPROVED)
        assert tx.held.count("alice") == 1
        assert tx.held.for_pair([1])[1].state is HeldState.APPROVED
        assert [h.id for h in tx.held.listing(state=None)] == [first, second]
        tx.held.set_state([first], HeldState.DONE)
        assert tx.held.for_pair([1]) == {}
        tx.held.remove([first, second])
        assert tx.held.listing(state=None) == []


def row(item: str, *keys: str, name: str = "Ada", version: str = "1", collection: str = "") -> IndexRow:
    return IndexRow(item, f"uid-{item}", version, frozenset(keys), name, True, collection)


def test_the_match_index(state: State) -> None:
    with state.transaction() as tx:
        tx.index.put("alice", BOOK, [row("a", "k1", "k2"), row("b", "k2"), row("c")])
        tx.index.put("alice", "second", [row("a", "k1")])
        tx.index.put("bob", BOOK, [row("z", "k1", "k2")])
        a, b, other = (
            row("a", "k1", "k2", collection=BOOK),
            row("b", "k2", collection=BOOK),
            row("a", "k1", collection="second"),
        )
        assert tx.index.find("alice", ["k1", "k2", "k3", "k1"]) == {"k1": [a, other], "k2": [a, b]}
        assert tx.index.get("alice", BOOK, ["a", "c", "d"]) == {"a": a, "c": row("c", collection=BOOK)}
        tx.index.put("alice", BOOK, [row("a", "k9", version="2"), row("a", "k3", version="3")])
        assert tx.index.find("alice", ["k1", "k9", "k3"]) == {
            "k1": [other],
            "k3": [row("a", "k3", version="3", collection=BOOK)],
        }
        tx.index.drop("alice", BOOK, ["a"])
        tx.index.clear("alice", "second")
        assert set(tx.index.find("alice", ["k1", "k2", "k3"])) == {"k2"}
        assert len(tx.index.find("bob", ["k1"])["k1"]) == 1


def test_a_large_match_index(state: State) -> None:
    with state.transaction() as tx:
        tx.index.put("alice", BOOK, [row(f"{n}", f"e{n}", "shared") for n in range(1200)])
        assert len(tx.index.find("alice", [f"e{n}" for n in range(1300)])) == 1200
        assert len(tx.index.find("alice", ["shared"])["shared"]) == 1200


def test_the_forgotten(state: State) -> None:
    with state.transaction() as tx:
        tx.forgotten.add(["a", "b", "a"])
        tx.forgotten.add(["b", "c"])
        tx.forgotten.add([])
        assert tx.forgotten.any(["a", "c", "d"]) == {"a", "c"}


def test_erasing_leaves_no_trace(state: State) -> None:
    with state.transaction() as tx:
        one, two = tx.pairs.add_many([pair(1, ecs_id="gone.vcf", ecs_uid="gone", crm_id="003gone"), pair(2)])
        for p in (one, two):
            tx.snapshots.put(p.id, snapshot())
            tx.clocks.put({(p.id, Side.ECS, "email"): ("digest", NOW)})
            ends = {"ecs_id": p.ecs_id, "crm_id": p.crm_id}
            tx.history.add([entry(pair_id=p.id, **ends), entry(pair_id=None, **ends)])
            tx.conflicts.add([conflict(pair_id=p.id, item=p.ecs_id, record=p.crm_id)])
            tx.held.add([held(pair_id=p.id, item=p.ecs_id), held(pair_id=None, item=p.ecs_id, record="")])
            tx.intents.write([intent(p.ecs_id, pair_id=p.id), intent(p.ecs_id)])
            tx.queue.record("alice", Side.ECS, BOOK, [Detected(p.ecs_id, "1")], NOW)
            tx.queue.record("alice", Side.CRM, "Contact", [Detected(p.crm_id, "1")], NOW)
            tx.index.put("alice", BOOK, [row(p.ecs_id, f"key of {p.ecs_id}")])
        cycle = tx.cycles.start("alice", NOW)
        tx.cycles.finish(
            cycle, NOW, {}, [{"item": "gone.vcf", "message": "x"}, {"item": two.ecs_id, "message": "y"}]
        )
    with state.transaction() as tx:
        tx.erase([two.id], "bob")
        tx.erase([one.id], "alice")
    assert "gone" not in everything(state)
    with state.reading() as tx:
        assert tx.pairs.get(two.id) == two
        assert (
            len(tx.history.find(two.ecs_id)) == len(tx.held.listing()) == len(tx.intents.open("alice")) == 2
        )
        assert len(tx.queue.listing()) == 2
        assert len(tx.conflicts.listing()) == len(tx.clocks.get([one.id, two.id])) == 1
        assert set(tx.snapshots.get_many([one.id, two.id])) == {two.id}
        assert list(tx.index.get("alice", BOOK, [two.ecs_id, "gone.vcf"])) == [two.ecs_id]


def everything(state: State) -> str:
    from crmsync.state.tables import metadata

    with state.reading() as tx:
        return repr([tx.connection.execute(table.select()).all() for table in metadata.sorted_tables])


def test_a_decision_is_open_until_it_is_carried_out(state: State) -> None:
    with state.transaction() as tx:
        [id] = tx.conflicts.add([conflict()])
        tx.conflicts.choose(id, "value", date(1815, 12, 12))
        chosen = tx.conflicts.get(id)
        assert chosen is not None
        assert (chosen.winner, chosen.chosen, chosen.resolved) == ("value", date(1815, 12, 12), False)
        assert tx.conflicts.open_for([1]) == {}
        assert tx.conflicts.decided_for([1, 2]) == {(1, "birthday"): chosen}
        tx.conflicts.settle(1, ["birthday", "email"], NOW)
        assert tx.conflicts.decided_for([1]) == {}
        assert [one.resolved_at for one in tx.conflicts.of_pair(1)] == [NOW]
        tx.conflicts.choose(id, "ecs", None)
        assert set(tx.conflicts.decided_for([1])) == {(1, "birthday")}


def test_what_waits_for_a_person_is_counted_and_read_in_part(state: State) -> None:
    of_bob = held(account="bob", pair_id=None, what=What.MATCH, item="/bob/a.vcf")
    mine = [held(pair_id=None, item=f"item-{n}.vcf") for n in range(4)]
    with state.transaction() as tx:
        ids = tx.held.add([*mine, of_bob])
        only = frozenset({"alice"})
        assert [one.id for one in tx.held.waiting_for_a_person(What.DELETE, only, 2)] == ids[:2]
        assert tx.held.waiting_for_a_person(What.MATCH, only) == []
        assert [o.id for o in tx.held.waiting_for_a_person(What.MATCH, None, about=["/bob/a.vcf"])] == ids[4:]
        assert tx.held.waiting_for_a_person(What.MATCH, None, about=["a.vcf"]) == []
        before = tx.held.mark(What.DELETE, None)
        assert before[0] == 4
        tx.held.set_state(ids[:1], HeldState.REJECTED)
        tx.held.add([held(pair_id=None, item="item-9.vcf")])
        after = tx.held.mark(What.DELETE, None)
        assert after[0] == 4
        assert after != before  # as many, and others
        assert tx.held.mark(What.MATCH, only) == (0, "0-0-0")
        assert (tx.held.count_decided(only), tx.held.count_decided(frozenset({"bob"}))) == (1, 0)
        assert [one.id for one in tx.held.decided(None, 5)] == ids[:1]


def test_conflicts_are_counted_and_read_in_part(state: State) -> None:
    with state.transaction() as tx:
        ids = tx.conflicts.add([*(conflict(pair_id=n) for n in range(1, 4)), conflict(account="bob")])
        only = frozenset({"alice"})
        assert (tx.conflicts.count(None), tx.conflicts.count(only)) == (4, 3)
        assert [one.id for one in tx.conflicts.waiting_for_a_person(only, 2)] == ids[:2]
        tx.conflicts.choose(ids[0], "ecs", None)
        tx.conflicts.resolve(ids[1], "crm", NOW)
        assert (tx.conflicts.count(only), tx.conflicts.count_decided(only)) == (1, 1)
        assert [one.id for one in tx.conflicts.decided(only, 0)] == []


def test_a_few_are_looked_up_and_not_searched_for(tmp_path: Path) -> None:
    """Without statistics SQLite would rather walk through all that an account, or a CRM, has than look up a handful."""
    items = [f"item-{n}.vcf" for n in range(20)]
    state = State.open(f"sqlite:///{tmp_path / 'state.db'}", now=lambda: NOW)
    with state.transaction() as tx:
        tx.index.put("alice", BOOK, [IndexRow(i, i, "1", frozenset({i}), i, True) for i in items])
        tx.pairs.add_many([pair(n) for n in range(20)])
    state.close()
    uids = [f"uid-{n}" for n in range(20)]
    plans = [
        *plans_of(tmp_path, lambda tx: tx.index.get("alice", BOOK, items), "index_"),
        *plans_of(tmp_path, lambda tx: tx.index.by_uids("alice", items), "index_"),
        *plans_of(tmp_path, lambda tx: tx.pairs.of_uids("main", uids), "pairs"),
        *plans_of(tmp_path, lambda tx: tx.pairs.by_uids("alice", uids), "pairs"),
    ]
    assert len(plans) == 8
    ends = ("(rowid=?)", "item=?)", "uid=?)", "row_id=?)", "ecs_uid=? AND account=?)")
    assert [plan for plan in plans if not plan[0].endswith(ends)] == []
