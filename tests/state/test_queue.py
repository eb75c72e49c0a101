from datetime import timedelta

from crmsync.connectors.contract import Kind, Side
from crmsync.state.database import State
from crmsync.state.model import Counts, Detected, QueueState
from tests.state.samples import BOOK, NOW, SECOND

NONE = timedelta(0)
ECS = ("alice", Side.ECS, BOOK)


def record(state: State, *detected: Detected, at: int = 0, account: str = "alice") -> int:
    with state.transaction() as tx:
        return tx.queue.record(account, Side.ECS, BOOK, detected, NOW + at * SECOND)


def test_a_detected_change_is_due(state: State) -> None:
    assert record(state, Detected("a", "1", kind=Kind.TASK), Detected("b", gone=True, survivor="c")) == 2
    with state.reading() as tx:
        a, b = tx.queue.due("alice", NOW, NONE, 10)
    assert (a.account, a.side, a.collection, a.item, a.version, a.gone, a.kind) == (
        *ECS,
        "a",
        "1",
        False,
        Kind.TASK,
    )
    assert (b.item, b.version, b.gone, b.survivor, b.kind) == ("b", "", True, "c", None)
    assert (a.state, a.attempts, a.code, a.error) == (QueueState.DUE, 0, "", "")
    assert a.detected_at == a.changed_at == a.next_at == NOW


def test_the_same_version_leaves_the_row_as_it_is(state: State) -> None:
    record(state, Detected("a", "1"))
    with state.transaction() as tx:
        [row] = tx.queue.listing("alice")
        tx.queue.park([row.id], "too_long", "the name is too long")
        parked = tx.queue.listing("alice")
    assert record(state, Detected("a", "1"), at=5) == 0
    with state.reading() as tx:
        assert tx.queue.listing("alice") == parked


def test_another_version_is_due_again_from_its_first_attempt(state: State) -> None:
    record(state, Detected("a", "1", kind=Kind.CONTACT))
    with state.transaction() as tx:
        [row] = tx.queue.listing()
        tx.queue.park([row.id], "too_long", "the name is too long")
    assert record(state, Detected("a", "2"), Detected("b", "1"), at=5) == 2
    with state.reading() as tx:
        [again] = tx.queue.get("alice", Side.ECS, BOOK, ["a"])
    assert (again.id, again.version, again.state, again.attempts, again.code) == (
        row.id,
        "2",
        QueueState.DUE,
        0,
        "",
    )
    assert (again.detected_at, again.changed_at, again.next_at) == (NOW, NOW + 5 * SECOND, NOW + 5 * SECOND)
    assert again.kind is Kind.CONTACT


def test_gone_is_a_change_even_without_another_version(state: State) -> None:
    record(state, Detected("a", ""))
    assert record(state, Detected("a", "", gone=True), at=1) == 1


def test_an_item_that_is_reported_twice_at_once_has_one_row(state: State) -> None:
    record(state, Detected("a", "1"), Detected("a", "2"))
    with state.reading() as tx:
        [row] = tx.queue.listing()
    assert row.version == "2"


def test_nothing_detected_is_nothing_recorded(state: State) -> None:
    assert record(state) == 0


def test_the_settle_time_counts_from_the_last_change(state: State) -> None:
    record(state, Detected("a", "1"), Detected("b", "1"))
    record(state, Detected("b", "2"), at=8)
    settle, later = 10 * SECOND, NOW + 12 * SECOND
    with state.reading() as tx:
        assert [c.item for c in tx.queue.due("alice", later, settle, 10)] == ["a"]
        assert [c.item for c in tx.queue.unsettled("alice", later, settle, 10)] == ["b"]
        assert [c.item for c in tx.queue.due("alice", later, NONE, 10)] == ["a", "b"]
        assert [c.item for c in tx.queue.due("alice", NOW + 18 * SECOND, settle, 10)] == ["a", "b"]


def test_due_rows_are_paged_by_id(state: State) -> None:
    record(state, *(Detected(f"item {n:02}", "1") for n in range(25)))
    seen, after = [], 0
    with state.reading() as tx:
        while page := tx.queue.due("alice", NOW, NONE, 10, after):
            seen += [c.item for c in page]
            after = page[-1].id
    assert seen == [f"item {n:02}" for n in range(25)]


def test_accounts_do_not_see_each_other(state: State) -> None:
    record(state, Detected("a", "1"))
    record(state, Detected("a", "1"), account="bob")
    with state.reading() as tx:
        assert len(tx.queue.due("bob", NOW, NONE, 10)) == 1
        assert len(tx.queue.listing()) == 2


def test_deferred_rows_wait_for_their_time(state: State) -> None:
    record(state, Detected("a", "1"), Detected("b", "1"))
    with state.transaction() as tx:
        a, _ = tx.queue.listing()
        tx.queue.defer([a.id], NOW + 60 * SECOND, "unreachable", "no answer\0")
        assert [c.item for c in tx.queue.due("alice", NOW, NONE, 10)] == ["b"]
        assert tx.queue.earliest("alice") == NOW
        again, _ = tx.queue.due("alice", NOW + 60 * SECOND, NONE, 10)
    assert (again.state, again.attempts, again.code, again.error) == (
        QueueState.WAITING,
        1,
        "unreachable",
        "no answer\0",
    )


def test_parked_and_held_rows_are_not_due(state: State) -> None:
    record(state, *(Detected(item, "1") for item in "abc"))
    with state.transaction() as tx:
        a, b, _ = tx.queue.listing()
        tx.queue.park([a.id], "required", "a last name is needed")
        tx.queue.hold([b.id], "ambiguous", "two people match")
        assert [c.item for c in tx.queue.due("alice", NOW, NONE, 10)] == ["c"]
        assert tx.queue.counts("alice") == Counts(pending=1, parked=1, held=1)
        assert tx.queue.counts("bob") == Counts(0, 0, 0)
        assert tx.queue.earliest("bob") is None
        assert [(c.attempts, c.error) for c in tx.queue.get(*ECS, ["a"])] == [(1, "a last name is needed")]


def test_retry_makes_parked_and_waiting_rows_due(state: State) -> None:
    record(state, *(Detected(item, "1") for item in "abcd"))
    record(state, Detected("a", "1"), account="bob")
    with state.transaction() as tx:
        a, b, c, _ = tx.queue.listing("alice")
        [other] = tx.queue.listing("bob")
        tx.queue.park([a.id, other.id], "required", "…")
        tx.queue.defer([b.id], NOW + 60 * SECOND, "busy", "…")
        tx.queue.hold([c.id], "ambiguous", "…")
        assert tx.queue.retry("alice", [a.id, c.id, other.id]) == 1
        assert tx.queue.retry("alice") == 1
        assert [x.item for x in tx.queue.due("alice", NOW, NONE, 10)] == ["a", "b", "d"]
        assert tx.queue.get(*ECS, ["a"])[0].attempts == 0
        assert tx.queue.retry() == 1


def test_release_makes_held_rows_due(state: State) -> None:
    record(state, Detected("a", "1"), Detected("b", "1"))
    with state.transaction() as tx:
        a, b = tx.queue.listing()
        tx.queue.hold([a.id], "ambiguous", "…")
        tx.queue.park([b.id], "required", "…")
        tx.queue.release([a.id, b.id])
        assert [x.item for x in tx.queue.due("alice", NOW, NONE, 10)] == ["a"]


def test_done_takes_rows_out(state: State) -> None:
    record(state, *(Detected(f"{n}", "1") for n in range(1201)))
    with state.transaction() as tx:
        rows = tx.queue.listing("alice", limit=5000)
        assert len(tx.queue.get(*ECS, [str(n) for n in range(1300)])) == 1201
        tx.queue.done(row.id for row in rows[1:])
        assert tx.queue.listing() == rows[:1]


def test_a_row_that_changed_while_it_was_synced_stays(state: State) -> None:
    record(state, Detected("a", "1"), Detected("b", "1"), Detected("c", "1"))
    with state.reading() as tx:
        loaded = tx.queue.listing()
    record(state, Detected("b", "2"), Detected("c", "1", gone=True), at=1)
    with state.transaction() as tx:
        tx.queue.done_unless_changed(loaded)
        assert [(c.item, c.version, c.gone) for c in tx.queue.listing()] == [
            ("b", "2", False),
            ("c", "1", True),
        ]


def test_an_id_is_never_used_again(state: State) -> None:
    record(state, Detected("a", "1"))
    with state.transaction() as tx:
        [first] = tx.queue.listing()
        tx.queue.done([first.id])
    record(state, Detected("a", "1"))
    with state.reading() as tx:
        assert tx.queue.listing()[0].id > first.id


def test_rows_are_found_by_what_a_person_types(state: State) -> None:
    record(state, Detected("a", "1"), Detected("b", "1"))
    record(state, Detected("a", "1"), account="bob")
    with state.reading() as tx:
        assert [change.account for change in tx.queue.named("a")] == ["alice", "bob"]
        assert [change.item for change in tx.queue.named(f"{BOOK}/b")] == ["b"]
        assert tx.queue.named("") == tx.queue.named("c") == []


def test_rows_are_found_by_their_whole_address(state: State) -> None:
    """The name of a collection may end with a slash, as paths of DAV servers do."""
    with state.transaction() as tx:
        tx.queue.record("alice", Side.ECS, "/alice/book/", [Detected("a.vcf", "1")], NOW)
        assert [change.item for change in tx.queue.named("/alice/book/a.vcf")] == ["a.vcf"]


def test_what_does_not_get_through(state: State) -> None:
    record(
        state, Detected("due", "1"), Detected("waits", "1"), Detected("parked", "1"), Detected("left", "1")
    )
    with state.transaction() as tx:
        ids = {change.item: change.id for change in tx.queue.listing()}
        tx.queue.defer([ids["waits"]], NOW, "unreachable", "no answer")
        tx.queue.park([ids["parked"]], "refused", "no")
        tx.queue.abandon([ids["left"]])
        assert [change.item for change in tx.queue.listing(troubled=True)] == ["waits", "parked"]


def test_what_is_parked_is_counted_and_read_in_part_however_much_is_due(state: State) -> None:
    with state.transaction() as tx:
        for account in ("alice", "bob"):
            told = [Detected(f"{account}-{n}", "1") for n in range(3)]
            tx.queue.record(account, Side.CRM, "Contact", told, NOW)
        ids = [row.id for row in tx.queue.listing()]
        tx.queue.park(ids[1:5], "refused", "no right")
        only = frozenset({"alice"})
        assert [row.id for row in tx.queue.parked(None)] == ids[1:5]
        assert [row.id for row in tx.queue.parked(only, 1)] == ids[1:2]
        assert (tx.queue.count_parked(None), tx.queue.count_parked(only)) == (4, 2)
