"""A person's call log is an account of its own, and seen as the person's."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crmsync.daemon.commands.shell import Alone, in_silence
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
        {**standing("alice.calls", parked=1, deletions=1), "light": "failing", "errors": [{"message": "x"}]},
        standing("alice", pending=2, deletions=2),
        standing("bob"),
    ]
    alice, bob = folded(rows, ACCOUNTS)
    assert (alice["name"], alice["light"], alice["parked"], alice["pending"]) == ("alice", "failing", 1, 2)
    assert alice["deletions"] == 3
    assert alice["errors"] == [{"message": "x"}]
    assert bob == standing("bob")


@pytest.mark.parametrize("method", ["sync", "reconcile"])
def test_without_a_service_a_person_is_synced_with_the_calls(method: str):
    asked: list[Any] = []
    engine: Any = SimpleNamespace(
        accounts=ACCOUNTS,
        state=SimpleNamespace(exclusive=nullcontext),
        sync=lambda **given: asked.append(given["names"]),
        reconcile=lambda **given: asked.append(given["names"]),
    )
    for names in (["alice"], ["bob"], []):
        Alone(engine, Path("none")).call(method, {"names": names}, in_silence)
    assert asked == [["alice.calls", "alice"], ["bob"], []]
