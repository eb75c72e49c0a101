"""A CRM's scheduler asks, and what it has asked for happens: in that direction, of these accounts, once."""

import threading
from pathlib import Path

import pytest

from crmsync.connectors.errors import AuthExpired, Unreachable
from crmsync.connectors.memory.faults import ALWAYS
from crmsync.daemon.adaptor.data_controller import DataController, grant_of
from crmsync.daemon.adaptor.refusals import Refusal
from crmsync.daemon.calls import Failure
from crmsync.state.model import JobState
from tests.daemon.adaptor.office import FORWARD, REVERSE, Office, credential, until


def test_a_reverse_and_a_forward_message(office: Office) -> None:
    office.world.person("Ada", "Lovelace")
    office.world.record("Grace", "Hopper")
    office.world.sync()
    assert len(office.world.contacts()) == 1
    job = office.done(REVERSE)
    assert (job["state"], job["result"]["counts"]["created"], job["direction"]) == ("done", 1, "reverse")
    assert (len(office.world.contacts()), len(office.world.cards())) == (2, 1)
    job = office.done(FORWARD)
    assert (job["state"], job["result"]["counts"]["created"]) == ("done", 1)
    assert len(office.world.cards()) == 2
    assert [line["allowed"] for line in office.audit()] == [True, True]


def test_the_answer_comes_at_once_and_a_job_says_how_far_it_is(office: Office) -> None:
    office.world.person()
    with office.turns.patiently(["alice"]):
        status, answer = office.ask()
        assert status == 202
        assert office.look(answer["job"])[1]["state"] in ("accepted", "running")
    assert office.over(answer["job"])["state"] == "done"


def test_a_repeated_message_is_the_first_one(office: Office) -> None:
    office.world.person()
    first = office.ask(nonce="the-very-same-nonce")
    again = office.ask(nonce="the-very-same-nonce", late=3)
    assert (first[0], again[0]) == (202, 202)
    assert first[1]["job"] == again[1]["job"]
    assert office.over(first[1]["job"])["attempts"] == 1
    assert len(office.world.engine.exchange_jobs()) == 1
    assert [line["rule"] for line in office.audit()] == ["repeated", ""]


def test_kinds_and_since(office: Office) -> None:
    office.world.person()
    office.world.appointment()
    office.done(said={"accounts": ["alice"], "kinds": ["appointment"]})
    assert (len(office.world.contacts()), len(office.world.crm.all(office.world.events))) == (0, 1)
    office.world.clock.tick(60)
    later = office.world.clock().isoformat()
    office.done(said={"accounts": ["alice"], "since": later})
    assert office.world.contacts() == []
    office.done(said={"accounts": ["alice"], "since": "2026-11-01T00:00:00Z"})
    assert len(office.world.contacts()) == 1


def test_only_the_columns_of_the_credential(tmp_path: Path) -> None:
    from crmsync.config.exchange import Columns

    columns = Columns.model_construct(contact=("first_name", "last_name", "email"))
    office = Office(tmp_path, {"main": credential(columns=columns)})
    office.world.person(job_title="Countess")
    office.done()
    record = office.world.the_record().columns
    assert (record["last_name"], record.get("job_title")) == ("Lovelace", None)
    office.close()


def test_a_server_that_does_not_answer_makes_the_job_fail_in_words(office: Office) -> None:
    office.world.person()
    office.world.crm.faults.fail("identity", Unreachable("no answer"), times=ALWAYS)
    job = office.done()
    assert job["state"] == "failed"
    (error,) = job["result"]["accounts"]["alice"]["errors"]
    assert error["code"] == "unreachable"
    office.world.crm.faults.clear()
    office.done()
    assert len(office.world.contacts()) == 1


# ── Crashes and reloads ──────────────────────────────────────────────────────────────────────────────────────


def test_a_job_that_was_interrupted_is_taken_up(office: Office) -> None:
    office.world.person()
    office.turns.close()  # as when the service stops: nobody gets an account
    office.turns.interrupt()
    job = office.ask()[1]["job"]
    office.adaptor.close()
    assert office.world.contacts() == []
    office.open()
    assert office.over(job)["state"] == "done"
    assert len(office.world.contacts()) == 1


def test_a_message_that_is_too_old_by_then_is_not_carried_out(office: Office) -> None:
    office.world.person()
    office.turns.close()
    office.turns.interrupt()
    job = office.ask()[1]["job"]
    office.adaptor.close()
    office.world.clock.tick(2 * 3600)
    office.open()
    ended = office.over(job)
    assert (ended["state"], ended["result"]["message"]) == (
        "expired",
        "it could not be carried out in time; ask again",
    )
    assert office.world.contacts() == []


def test_one_that_kills_the_service_each_time_is_ended(office: Office) -> None:
    office.turns.close()
    office.turns.interrupt()
    job = office.ask()[1]["job"]
    office.adaptor.close()
    with office.world.state.transaction() as tx:
        for _ in range(3):
            tx.jobs.begin(job, office.world.clock())
    office.open()
    assert office.over(job)["result"]["message"].startswith("it was interrupted")


def test_a_reload_interrupts_a_job_and_it_goes_on(office: Office) -> None:
    office.world.person()
    office.turns.close()
    office.turns.interrupt()
    job = office.ask()[1]["job"]
    until(lambda: office.look(job)[1]["attempts"] == 1)
    office.turns.reopen()
    assert office.over(job)["state"] == "done"


def test_what_was_taken_away_since_the_message_came_is_not_exchanged(office: Office) -> None:
    with office.turns.patiently(["alice"]):
        job = office.ask()[1]["job"]
        with office.world.state.reading() as tx:
            stored = tx.jobs.named(job)
    assert stored is not None
    with pytest.raises(Refusal):
        grant_of(stored, credential(directions=("forward",)))
    assert grant_of(stored, credential(kinds=("task",))).kinds == {"task"}
    assert office.over(job)["state"] == JobState.DONE


# ── What a person asks for ───────────────────────────────────────────────────────────────────────────────────


def test_a_sync_by_hand_exchanges_nothing_and_says_so(office: Office) -> None:
    office.world.person()
    report = office.world.sync()
    assert report["writes"] == 0
    (notice,) = report["notices"]
    assert (notice["code"], notice["account"]) == ("not_granted", "alice")
    assert "1 change waits for the CRM's word" in notice["message"]
    (account,) = office.world.engine.status()["accounts"]
    assert (account["light"], account["waits_for_crm"]) == ("waiting", 1)
    assert "the CRM's word" in account["notices"][0]


def test_an_undo_needs_the_word_that_the_crm_cannot_give(office: Office) -> None:
    office.world.person()
    office.done()
    with pytest.raises(Failure) as refused:
        office.world.engine.undo(1)
    assert (refused.value.code, refused.value.exit_code) == ("not_granted", 1)
    assert len(office.world.contacts()) == 1


def test_what_a_person_has_decided_is_carried_out_with_the_next_message(office: Office) -> None:
    card = office.world.person(job_title="Analyst")
    office.done()
    office.world.crm.edit(office.world.the_record().id, job_title="Engineer")
    office.world.clock.tick()
    office.world.ecs.edit(card, job_title="Countess")
    office.done(REVERSE)
    assert office.world.the_record().columns["job_title"] == "Countess"
    office.world.engine.resolve(card, "job_title", keep="crm")
    office.world.sync()
    assert office.world.the_card().columns["job_title"] == "Countess"
    office.done(REVERSE)
    office.done(FORWARD)
    assert {office.world.the_card().columns["job_title"], office.world.the_record().columns["job_title"]} == {
        "Engineer"
    }


def test_that_nothing_is_granted_is_no_silence_and_that_a_grant_fails_is_told(office: Office) -> None:
    """Alerts look at both."""
    engine, clock = office.world.engine, office.world.clock
    office.world.person()
    engine.sync(["alice"])
    clock.tick(7200)
    engine.sync(["alice"])  # looks, and may exchange nothing
    (alice,) = engine.status()["accounts"]
    assert (alice["last_success"], alice["pending"]) == (clock().isoformat().replace("+00:00", "Z"), 1)
    assert engine.failing_exchanges() == []
    office.world.crm.faults.fail("apply", AuthExpired("the CRM refuses the login"), times=1)
    office.done()
    (told,) = engine.failing_exchanges()
    assert (told["credential"], told["state"]) == ("main", "failed")
    assert "refuses the login" in told["message"]
    office.done()
    assert engine.failing_exchanges() == []


def test_a_defect_ends_the_job_in_words(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """Left open, it would keep one of the places for jobs until a restart, and nobody would hear of it."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("on purpose")

    scheduler = office.adaptor.jobs
    sound, scheduler.controller = scheduler.controller, DataController(office.turns, broken)
    job = office.done(REVERSE)
    assert (job["state"], job["result"]["rule"]) == ("failed", "defect")
    assert "ZeroDivisionError" in job["result"]["message"]
    assert "on purpose" not in job["result"]["message"]
    assert [r.getMessage() for r in caplog.records if getattr(r, "action", "") == "exchange.defect"]
    scheduler.controller = sound
    assert office.done(REVERSE)["state"] == "done"


def test_a_report_that_breaks_is_not_the_last_one(tmp_path: Path) -> None:
    tried = threading.Semaphore(0)

    def report(*_: object) -> bool:
        tried.release()
        raise ZeroDivisionError("on purpose")

    office = Office(tmp_path, {"main": credential(report_to="http://127.0.0.1:9/")})
    try:
        office.adaptor.jobs.report = report
        for _ in range(2):  # each job's end is news
            office.done(REVERSE)
            assert tried.acquire(timeout=20)
    finally:
        office.close()
