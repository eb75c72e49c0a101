"""A nudge brings an account's turn forward; no nudge takes nothing away."""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crmsync.connectors.contract import Collection, Kind
from crmsync.connectors.errors import Unreachable
from crmsync.daemon.account import Account, Crm, Mailbox
from crmsync.daemon.nudges import FIRST_PAUSE, LONGEST_PAUSE, Nudges, watch
from crmsync.daemon.rounds import Pace, Rounds
from crmsync.daemon.scheduler import Schedule
from crmsync.daemon.turns import Turns
from tests.daemon.fakes import error, eventually, fake_engine, synced

CONTACTS = Collection("c", "Contacts", frozenset({Kind.CONTACT}))
NOTHING = Collection("n", "Journal", frozenset())


class Talking:
    """A source that nudges as often as it is told to."""

    def __init__(self, *says: Exception | None) -> None:
        self.says = list(says)
        self.watched: list[Sequence[Collection]] = []
        self.nudge = threading.Event()

    def watch(self, collections: Sequence[Collection], stopped: Callable[[], bool]) -> Iterator[None]:
        self.watched.append(collections)
        while self.says:
            said = self.says.pop(0)
            if said is not None:
                raise said
            yield


def mailbox(source: object, **more: object) -> Mailbox:
    return Mailbox("talking", source, collections=(CONTACTS, NOTHING), **more)  # type: ignore[arg-type]


def test_a_login_that_fails_is_watched_again_later_and_later() -> None:
    source = Talking(*[Unreachable("gone")] * 9, None, Unreachable("gone"))
    pauses: list[float] = []
    nudges: list[str] = []

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        return len(pauses) == 10

    watch("alice", mailbox(source), lambda: False, wait, lambda: nudges.append("alice"))
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-2:] == [LONGEST_PAUSE, FIRST_PAUSE]  # it was well in between
    assert nudges == ["alice"]
    assert source.watched[0] == [CONTACTS]


def test_only_what_the_account_uses_is_watched() -> None:
    source = Talking(None)
    watch("alice", mailbox(source, only=("Journal",)), lambda: False, lambda _: True, lambda: None)
    assert source.watched == [[NOTHING]]


def test_what_is_no_longer_followed_wakes_nobody() -> None:
    woken: list[str] = []
    nudges = Nudges(woken.append)
    first, second = Talking(None), Talking(None)
    crm = Crm("main", None, {})  # type: ignore[arg-type]
    nudges.follow([Account("alice", crm, "a@example.com", [mailbox(first)])])
    eventually(lambda: woken == ["alice"])
    nudges.follow([Account("bob", crm, "b@example.com", [mailbox(second)])])
    eventually(lambda: woken == ["alice", "bob"])
    nudges.stop()


def test_a_nudge_brings_two_turns_one_to_note_and_one_when_it_has_settled(tmp_path: Path) -> None:
    def now() -> datetime:
        return datetime.now(UTC)

    with fake_engine(tmp_path) as engine:
        pace = Pace(interval=timedelta(hours=1), settle=timedelta(seconds=1))
        rounds = Rounds(Turns(engine), pace, now, lambda: 0.0)
        schedule = Schedule(rounds, now=now, jitter=lambda: 0.0)
        schedule.start(["alice"], pace)
        try:
            eventually(lambda: len(engine.asked("sync")) == 1)  # the first one, on its own
            schedule.soon("alice")
            eventually(lambda: len(engine.asked("sync")) == 3)
            engine.answers["sync"] = synced(errors=[error()])
            schedule.soon("alice")
            eventually(lambda: len(engine.asked("sync")) == 4)
            eventually(lambda: rounds.backoff.failures.get("alice"))
            schedule.soon("alice")  # it fails: nobody hurries it
            assert rounds.backoff.failures["alice"] == 1
        finally:
            schedule.stop()
        assert len(engine.asked("sync")) == 4


def test_a_nudge_in_the_middle_of_a_turn_is_not_lost(tmp_path: Path) -> None:
    """The turn may have looked there before it came."""

    def now() -> datetime:
        return datetime.now(UTC)

    begun, go_on = threading.Event(), threading.Event()

    def work(names: Sequence[str], **more: object) -> object:
        begun.set()
        assert go_on.wait(20)
        return synced()

    with fake_engine(tmp_path, sync=work) as engine:
        pace = Pace(interval=timedelta(hours=1), settle=timedelta(0))
        rounds = Rounds(Turns(engine), pace, now, lambda: 0.0)
        schedule = Schedule(rounds, now=now, jitter=lambda: 0.0)
        schedule.start(["alice"], pace)
        try:
            assert begun.wait(20)
            schedule.soon("alice")
            eventually(lambda: (at := schedule.due()["alice"] - now()) and at > timedelta(minutes=50))
            go_on.set()
            eventually(lambda: len(engine.asked("sync")) == 2)
        finally:
            go_on.set()
            schedule.stop()


def test_what_an_account_waited_for_is_there(tmp_path: Path) -> None:
    """It may have failed for so long that its turn is far away, and come to an end the moment before."""

    def now() -> datetime:
        return datetime.now(UTC)

    begun, go_on = threading.Event(), threading.Event()

    def work(names: Sequence[str], **more: object) -> object:
        begun.set()
        assert go_on.wait(20)
        return synced(errors=[error()])

    with fake_engine(tmp_path, sync=work) as engine:
        pace = Pace(interval=timedelta(hours=1), settle=timedelta(0))
        rounds = Rounds(Turns(engine), pace, now, lambda: 0.0)
        schedule = Schedule(rounds, now=now, jitter=lambda: 0.0)
        schedule.start(["alice"], pace)
        try:
            assert begun.wait(20)
            schedule.back("alice")  # in the middle of a turn that fails
            go_on.set()
            eventually(lambda: len(engine.asked("sync")) == 2)
            eventually(lambda: rounds.backoff.failures.get("alice") == 2)
            engine.answers["sync"] = synced()
            schedule.back("alice")
            eventually(lambda: not rounds.backoff.failures)
        finally:
            go_on.set()
            schedule.stop()
        assert len(engine.asked("sync")) == 3
