"""How many accounts stand, asked at once."""

from typing import Any

from sqlalchemy import Engine, event

from crmsync.connectors.contract import Side
from crmsync.state.database import State
from crmsync.state.model import Counts, Detected, What
from tests.state.samples import BOOK, NOW, SECOND, conflict, held


def filled(state: State) -> None:
    with state.transaction() as tx:
        for number, name in enumerate(("alice", "bob")):
            for item in "abcd":
                tx.queue.record(name, Side.ECS, BOOK, [Detected(item, "1")], NOW)
            a, b, c, _ = (row for row in tx.queue.listing() if row.account == name)
            tx.queue.park([a.id], "required", "a last name is needed")
            tx.queue.hold([b.id], "ambiguous", "two people match")
            tx.queue.defer([c.id], NOW + SECOND, "owner", f"waits for owner {number}")
            tx.conflicts.add([conflict(account=name, pair_id=1 + number)])
            tx.held.add([held(account=name, what=What.DELETE), held(account=name, what=What.MATCH, item="i")])
            first = tx.cycles.start(name, NOW)
            tx.cycles.finish(first, NOW + SECOND, {})
            tx.cycles.finish(tx.cycles.start(name, NOW + 2 * SECOND), NOW + 3 * SECOND, {}, [{"code": "x"}])


def statements(state: State, names: list[str]) -> int:
    seen: list[str] = []

    def note(*given: Any) -> None:
        seen.append(given[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        with state.reading() as tx:
            tx.overall.of(names, "owner")
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return len(seen)


def test_each_has_its_own(state: State) -> None:
    filled(state)
    for many in ([], [f"somebody{n}" for n in range(1000)]):  # named, or too many for that
        with state.reading() as tx:
            found = tx.overall.of(["alice", "nobody", *many], "owner")
        alice, nobody = found["alice"], found["nobody"]
        assert alice.counts == Counts(pending=2, parked=1, held=1)
        assert (alice.conflicts, alice.deletions, alice.waits) == (1, 1, {"waits for owner 0": 1})
        assert alice.last_success == NOW + SECOND
        assert alice.last is not None
        assert (alice.last.account, alice.last.started) == ("alice", NOW + 2 * SECOND)
        assert (nobody.counts, nobody.last, nobody.waits) == (Counts(0, 0, 0), None, {})
        assert "bob" not in found


def test_the_number_of_statements_does_not_grow_with_the_accounts(state: State) -> None:
    filled(state)
    assert statements(state, ["alice"]) == statements(state, [f"somebody{n}" for n in range(2000)])
