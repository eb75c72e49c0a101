"""A person's call log is an account of its own, and seen as the person's."""

from types import SimpleNamespace
from typing import Any

from crmsync.daemon.operations.parts import folded, with_parts
from tests.daemon.fakes import standing

ACCOUNTS: Any = {
    "alice.calls": SimpleNamespace(part_of="alice"),
    "alice": SimpleNamespace(part_of=""),
    "bob": SimpleNamespace(part_of=""),
}


def test_what_is_asked_of_a_person_is_asked_of_the_log_first():
    assert with_parts(ACCOUNTS, ["alice"]) == ["alice.calls", "alice"]
    assert with_parts(ACCOUNTS, ["bob"]) == ["bob"]
    assert with_parts(ACCOUNTS, ["alice.calls"]) == ["alice.calls"]
    assert with_parts(ACCOUNTS, []) == []


def test_a_person_has_one_row_and_the_worse_light():
    rows = [
        {**standing("alice.calls", parked=1), "light": "failing", "errors": [{"message": "x"}]},
        standing("alice", pending=2),
        standing("bob"),
    ]
    alice, bob = folded(rows, ACCOUNTS)
    assert (alice["name"], alice["light"], alice["parked"], alice["pending"]) == ("alice", "failing", 1, 2)
    assert alice["errors"] == [{"message": "x"}]
    assert bob == standing("bob")
