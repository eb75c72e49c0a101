"""Hearing a telephone system again and again."""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.calllog.store import CallStore
from crmsync.connectors.errors import Unreachable
from crmsync.connectors.telephony.contract import Cause, Direction, Ended, Event, Offered
from crmsync.daemon.telephony.board import KEPT, Board, Line
from crmsync.daemon.telephony.watch import DEFECT, FIRST_PAUSE, LONGEST_PAUSE, Watch, watch

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


class FakeSwitch:
    """Each connection is a list of what it tells, and then breaks."""

    actions: frozenset[type] = frozenset()

    def __init__(self, *connections: Sequence[Event | Exception | None]) -> None:
        self.connections = list(connections)
        self.going: list[list[str]] = []

    def events(self, going: Sequence[str], stopped: Callable[[], bool]) -> Iterator[Event | None]:
        self.going.append(list(going))
        for told in self.connections.pop(0):
            if isinstance(told, Exception):
                raise told
            yield told

    def act(self, action: Any) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    store = CallStore(tmp_path / "calls.db")
    yield Board(store, lambda: NOW, lambda *_: None, lambda _: None, [Line("alice", "desk")])
    store.close()


def offered(id: str) -> Offered:
    return Offered(id, f"key-{id}", Direction.INBOUND, "+14155550123", NOW)


def test_it_is_connected_again_later_and_later_and_said_once(board: Board, caplog: pytest.LogCaptureFixture):
    gone = Unreachable("gone")
    switch = FakeSwitch(*[[gone]] * 8, [None, offered("1"), gone], [Ended("1", Cause.LOST, NOW), None])
    pauses: list[float] = []
    one = Watch("desk", switch, board, lambda: None)

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        return not switch.connections

    with caplog.at_level("INFO"):
        watch(one, wait)
    assert pauses[:8] == [FIRST_PAUSE * 2**n for n in range(6)] + [LONGEST_PAUSE] * 2
    assert pauses[8] == FIRST_PAUSE
    assert switch.going[-1] == ["1"]  # the call that went on
    actions = [record.action for record in caplog.records]  # type: ignore[attr-defined]
    assert actions == ["telephone.lost", "telephone.connected", "telephone.lost", "telephone.connected"]
    assert one.trouble is None
    assert board.calls("alice")[0].call.over


def test_calls_that_are_over_take_no_room(board: Board):
    for number in range(3 * KEPT):
        board.hear("desk", offered(str(number)))
        board.hear("desk", Ended(str(number), Cause.NORMAL, NOW))
    assert [live.call.id for live in board.calls("alice")] == [str(n) for n in range(2 * KEPT, 3 * KEPT)]
    assert board.going("desk") == []
    assert len(board.store.since("alice", 0, 1000)) == 3 * KEPT


def test_a_defect_is_said_on_the_page_and_is_not_the_end(board: Board, caplog: pytest.LogCaptureFixture):
    switch = FakeSwitch([ValueError("a defect")], [None, offered("1")])
    said: list[str | None] = []
    pauses: list[float] = []
    one = Watch("desk", switch, board, lambda: said.append(one.trouble))

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        return not switch.connections

    watch(one, wait)
    assert said == [DEFECT, None]
    assert pauses[0] == LONGEST_PAUSE
    assert board.going("desk") == ["1"]


def test_it_listens_in_a_thread_of_its_own(board: Board):
    told = threading.Event()
    one = Watch("desk", FakeSwitch([Unreachable("gone")]), board, told.set)
    one.start()
    assert told.wait(60)
    one.stop()
