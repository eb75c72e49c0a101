"""Whose turn it is, how long a failing account is left alone, and that accounts do not wait for each other."""

import logging
import threading
from datetime import timedelta

import pytest

from crmsync.daemon.calls import Failure
from crmsync.daemon.rounds import LONGEST_PAUSE, Backoff, Pace, Rounds
from crmsync.daemon.scheduler import SPREAD, Schedule
from crmsync.daemon.turns import Stopping, Turns
from crmsync.state.errors import Locked
from tests.daemon.fakes import Clock, FakeEngine, cycle, error, eventually, fake_engine, synced

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def turns(engine):
    return Turns(engine)


@pytest.fixture
def rounds(turns, clock):
    return Rounds(turns, Pace(interval=MINUTE), clock, lambda: 0.5)  # 0.5: no jitter


# ── Back-off ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_pause_doubles_up_to_a_quarter_of_an_hour_and_a_success_resets_it():
    backoff = Backoff()
    pauses = [backoff.failed("alice", MINUTE) for _ in range(7)]
    assert [p / MINUTE for p in pauses] == [1, 2, 4, 8, 15, 15, 15]
    assert backoff.failed("bob", MINUTE) == MINUTE
    backoff.succeeded("alice")
    assert backoff.failed("alice", MINUTE) == MINUTE


def test_a_long_interval_is_never_shortened():
    backoff = Backoff()
    assert {backoff.failed("alice", 4 * LONGEST_PAUSE) for _ in range(3)} == {4 * LONGEST_PAUSE}


def test_a_failing_account_is_left_alone_for_longer_and_longer(rounds, engine):
    engine.answers["sync"] = synced(errors=[error()])
    assert [rounds.cycle("alice") for _ in range(3)] == [MINUTE, 2 * MINUTE, 4 * MINUTE]
    engine.answers["sync"] = synced(cycle())
    assert rounds.cycle("alice") is None


@pytest.mark.parametrize("raised", [ZeroDivisionError("oops"), Failure("failed", "in words")])
def test_an_exception_concerns_only_its_account(rounds, engine, raised):
    engine.answers["sync"] = raised
    assert rounds.cycle("alice") == MINUTE


@pytest.mark.parametrize(
    "answer", [synced(errors=[error("busy")]), Locked("one-shot"), synced(errors=[error(item="a.vcf")])]
)
def test_neither_a_busy_account_nor_a_bad_item_is_a_failing_account(rounds, engine, answer):
    engine.answers["sync"] = answer
    assert rounds.cycle("alice") is None
    assert rounds.outages.broken(["alice"]) == []


def test_a_cycle_waits_for_people_to_finish_and_leaves_no_row_when_idle(rounds, engine):
    rounds.cycle("alice")
    (asked,) = engine.asked("sync")
    assert asked["names"] == ["alice"]
    assert asked["settle"] == rounds.pace.settle
    assert asked["keep_idle"] is False


def test_each_sync_is_told_to_whoever_counts(rounds, engine):
    told = []
    rounds.observed = lambda account, answer, seconds: told.append((account, answer["cycles"], seconds >= 0))
    engine.answers["sync"] = synced(cycle(created=2))
    rounds.cycle("alice")
    assert told == [("alice", [cycle(created=2)], True)]


def test_when_each_account_has_its_turn_can_be_asked(rounds, clock):
    schedule = Schedule(rounds, now=clock, jitter=lambda: 1.0)
    assert schedule.due() == {}
    schedule.replace(["alice", "bob"], rounds.pace)
    due = schedule.due()
    assert sorted(due) == ["alice", "bob"]
    assert {at - clock() for at in due.values()} == {rounds.pace.interval * SPREAD}


def test_what_breaks_is_said_once_and_so_is_its_recovery(rounds, engine, caplog):
    caplog.set_level(logging.INFO, "crmsync")
    for answer in (synced(errors=[error()]), synced(errors=[error()]), synced(), synced()):
        engine.answers["sync"] = answer
        rounds.cycle("alice")
    actions = [record.action for record in caplog.records]
    assert actions == ["broke.unreachable", "recovered.unreachable"]


def test_logs_say_what_a_cycle_did(rounds, engine, caplog):
    caplog.set_level(logging.INFO, "crmsync")
    engine.answers["sync"] = synced(cycle(created=2), cycle(created=1, held=1))
    rounds.cycle("alice")
    assert [r.getMessage() for r in caplog.records] == ["alice: 3 created, 1 held"]


# ── Reconciliation ───────────────────────────────────────────────────────────────────────────────────────────


def test_restarts_do_not_starve_reconciliation(rounds, turns, engine, clock):
    engine.answers["reconcile"] = synced()
    first = rounds.reconcile_due("alice")
    assert first == clock() + rounds.pace.reconcile
    clock.pass_by(timedelta(hours=20))
    restarted = Rounds(turns, rounds.pace, clock, lambda: 0.5)
    assert restarted.reconcile_due("alice") == first
    clock.pass_by(timedelta(hours=5))
    assert restarted.reconcile("alice") == rounds.pace.reconcile
    assert (
        Rounds(turns, rounds.pace, clock, lambda: 0.5).reconcile_due("alice")
        == clock() + rounds.pace.reconcile
    )


def test_a_state_that_cannot_say_when_is_no_reason_to_end(rounds, engine, clock, monkeypatch):
    """It is asked while another configuration comes into force: the service would end half-way."""

    def locked():
        raise Locked("the state is busy")

    monkeypatch.setattr(engine.state, "transaction", locked)
    assert rounds.reconcile_due("alice") == clock() + LONGEST_PAUSE


def test_a_failed_reconciliation_is_tried_again_soon(rounds, engine, clock):
    due = rounds.reconcile_due("alice")
    engine.answers["reconcile"] = synced(errors=[error()])
    assert rounds.reconcile("alice") == LONGEST_PAUSE
    assert rounds.reconcile_due("alice") == due


# ── Turns ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_one_cycle_for_each_account_at_a_time(turns):
    with turns.at_once("alice") as first, turns.at_once("alice") as second, turns.at_once("bob") as other:
        assert first is not None
        assert second is None
        assert other is not None
    with turns.at_once("alice") as again:
        assert again is not None


def test_a_person_waits_until_the_account_is_free(turns):
    order = []

    def person():
        with turns.patiently(["bob", "alice"]):
            order.append("person")

    thread = threading.Thread(target=person)
    with turns.at_once("alice"):
        thread.start()
        eventually(lambda: turns_taken(turns, "alice"))
        order.append("cycle")
    thread.join(60)
    assert order == ["cycle", "person"]


def turns_taken(turns: Turns, name: str) -> bool:
    with turns.at_once(name) as engine:
        return engine is None


def test_but_not_for_ever(turns):
    with (
        turns.at_once("alice"),
        pytest.raises(Failure, match="alice"),
        turns.patiently(["alice"], patience=0),
    ):
        pass


def test_the_engine_is_changed_when_nobody_uses_the_old_one(turns, engine, tmp_path):
    (tmp_path / "other").mkdir()
    with fake_engine(tmp_path / "other") as new:
        with turns.looking() as reader:
            turns.close()
            assert turns.idle(0)
            turns.swap(new)
            turns.reopen()
            assert reader is engine
            assert not engine.closed
            with turns.at_once("alice") as now:
                assert now is new
        assert engine.closed
        assert not new.closed


def test_closed_turns_are_nobodys(turns):
    turns.close()
    with turns.at_once("alice") as engine:
        assert engine is None
    turns.interrupt()
    with pytest.raises(Failure, match="stopping"), turns.patiently(["alice"]):
        pass


def test_a_cycle_in_work_ends_at_its_next_step(rounds, turns, engine):
    def endless(names, progress, **more):
        turns.interrupt()
        while True:
            progress("alice", "written", 1)

    engine.answers["sync"] = endless
    assert rounds.cycle("alice") is None
    assert turns.idle(0)


def test_stopping_is_not_taken_for_an_items_fault():
    assert not issubclass(Stopping, Exception)


# ── The scheduler itself ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def start(turns, engine):
    """Starts a schedule for these accounts, with an interval that a test can wait for."""
    schedules = []

    def begin(*names: str, work, interval: float = 0.05) -> Schedule:
        from datetime import UTC, datetime

        def now():
            return datetime.now(UTC)

        engine.names = names
        engine.answers["sync"] = work
        rounds = Rounds(turns, Pace(interval=timedelta(seconds=interval)), now, lambda: 0.5)
        schedule = Schedule(rounds, now=now, jitter=lambda: 0.0, threads=4)
        schedules.append(schedule)
        schedule.start(names, rounds.pace)
        return schedule

    yield begin
    for schedule in schedules:
        schedule.stop()


def test_accounts_run_side_by_side(start):
    both = threading.Barrier(2, timeout=60)
    met = threading.Event()

    def work(names, **more):
        both.wait()
        met.set()
        return synced()

    start("alice", "bob", work=work)
    assert met.wait(60)
    both.abort()


def test_a_slow_account_delays_no_other_and_never_overlaps_itself(start, engine: FakeEngine):
    let_go, inside, most, fast = threading.Event(), [], [], []

    def work(names, **more):
        if names == ["fast"]:
            fast.append(1)
            return synced()
        inside.append(1)
        most.append(len(inside))
        let_go.wait(60)
        inside.pop()
        return synced()

    start("slow", "fast", work=work)
    eventually(lambda: inside and len(fast) >= 5)
    let_go.set()
    eventually(lambda: len(most) >= 3)
    assert set(most) == {1}


def test_accounts_that_are_gone_from_the_configuration_rest(start, engine):
    ran = []

    def work(names, **more):
        ran.append(names[0])
        return synced()

    schedule = start("alice", "bob", work=work)
    eventually(lambda: {"alice", "bob"} <= set(ran))
    engine.names = ("bob",)
    schedule.replace(["bob"], Pace(interval=timedelta(seconds=0.05)))
    eventually(lambda: ran[-5:] == ["bob"] * 5)


def test_the_sign_of_life_comes_from_the_schedulers_own_thread(start, engine):
    beats = []
    schedule = start("alice", work=synced())
    schedule.beat(timedelta(seconds=0.05), lambda: beats.append(threading.current_thread().name))
    eventually(lambda: len(beats) >= 3)
    schedule.stop()
    assert set(beats) == {"APScheduler"}
