"""Two processes on one state."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.bars.cli import finished, until
from tests.bars.meetings import event
from tests.bars.office import Office, office
from tests.bars.people import contact
from tests.servers.warm import Command

pytestmark = [pytest.mark.bar, pytest.mark.timeout(300)]
PEOPLE = [contact(n) for n in range(30)]
EVENTS = [event(n) for n in range(15)]


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path) as made:
        for sample in [*PEOPLE, *EVENTS]:
            made.put(sample)
        yield made


def _all_there_once(made: Office) -> None:
    assert sorted(r["Email"] for r in made.rows("Contact")) == sorted(s.key for s in PEOPLE)
    assert sorted(r["Subject"] for r in made.rows("Event")) == sorted(s.key for s in EVENTS)
    assert len(made.stored(made.book)) == len(PEOPLE)
    assert len(made.stored(made.calendar)) == len(EVENTS)


def _hold(go_on: threading.Event) -> None:
    assert go_on.wait(120)


@contextmanager
def _halfway(made: Office) -> Iterator[Command]:
    """A sync that is held in the middle of its writes until the block ends."""
    go_on = threading.Event()
    made.dav_proxy.before = lambda number: _hold(go_on) if number > 20 else None
    with made.cli.started("sync") as process:
        try:
            until(lambda: any(s.method == "PUT" for s in made.dav_proxy.seen))
            yield process
        finally:
            go_on.set()
        assert finished(process).code == 0
    made.dav_proxy.before = lambda number: None


def test_the_second_one_says_that_the_account_is_busy(filled: Office) -> None:
    with _halfway(filled):
        second = filled.cli("sync")
        (alice,) = filled.cli.ok("status")["accounts"]  # reading commands answer meanwhile
        assert alice["pending"] > 0
    assert second.code == 1
    (error,) = second.json["errors"]
    assert (error["account"], error["code"], error["retry"]) == ("alice", "busy", True)
    _all_there_once(filled)
    filled.quiet()


def test_both_at_the_same_time(filled: Office) -> None:
    """Started together, and again before either has ended: whoever comes first does it all."""
    with ExitStack() as stack:
        started = [stack.enter_context(filled.cli.started("sync")) for _ in range(3)]
        answers = [finished(process) for process in started]
    assert 0 in {a.code for a in answers}
    for answer in answers:
        assert answer.code == 0 or {e["code"] for e in answer.json["errors"]} == {"busy"}, answer
    _all_there_once(filled)
    filled.quiet()
