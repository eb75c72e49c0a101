import pytest

from crmsync.state.database import Contradiction, Locked, State
from tests.state.samples import BOOK, NOW, pair


def test_what_is_rehearsed_can_be_read_there_and_has_not_happened(state: State) -> None:
    with state.transaction() as tx:
        tx.cursors.put("alice", "1")
    with state.rehearsal() as trial:
        with trial.transaction() as tx:
            assert tx.cursors.get("alice") == "1"
            tx.cursors.put("alice", "2")
            tx.pairs.add_many([pair(1), pair(2)])
        with trial.reading() as tx:
            assert tx.cursors.get("alice") == "2"
            assert len(tx.pairs.by_ecs("alice", BOOK, ["item-1.vcf"])) == 1
        assert trial.now() == NOW
    with state.transaction() as tx:
        assert tx.cursors.get("alice") == "1"
        assert tx.pairs.listing("alice") == []


def test_a_transaction_that_fails_takes_only_itself_back(state: State) -> None:
    with state.rehearsal() as trial:
        with trial.transaction() as tx:
            tx.pairs.add(pair(1))
        with pytest.raises(Contradiction), trial.transaction() as tx:
            tx.pairs.add(pair(1))
        with trial.reading() as tx:
            assert len(tx.pairs.listing("alice")) == 1


def test_the_real_state_is_not_written_in_the_middle_of_a_rehearsal(state: State) -> None:
    with state.rehearsal(), pytest.raises(RuntimeError, match="already"), state.transaction():
        pass
    with state.transaction() as tx:
        tx.cursors.put("alice", "1")


def test_locks_are_the_real_ones(state: State) -> None:
    with state.rehearsal() as trial, trial.lock("alice"), pytest.raises(Locked), state.lock("alice"):
        pass
