"""What CRMs have asked for, and the audit log."""

from datetime import timedelta

import pytest

from crmsync.state.database import State
from crmsync.state.errors import Contradiction
from crmsync.state.model import Audited, Job, JobState
from tests.state.samples import NOW

HOUR = timedelta(hours=1)


def job(name: str = "first", nonce: str = "1", **more: object) -> Job:
    said = {
        "credential": "main",
        "digest": "d",
        "direction": "reverse",
        "accounts": ["alice"],
        "kinds": ["task"],
    }
    return Job(name=name, nonce=nonce, accepted=NOW, **{**said, **more})  # type: ignore[arg-type]


def line(detail: str = "", **more: object) -> Audited:
    said = {"at": NOW, "credential": "main", "peer": "::1", "asked": "POST /", "allowed": True, "rule": ""}
    return Audited(detail=detail, **{**said, **more})  # type: ignore[arg-type]


def test_a_job_from_its_message_to_its_end(state: State) -> None:
    with state.transaction() as tx:
        tx.jobs.add(job(reported=False))
        assert tx.jobs.count_open() == 1
        tx.jobs.begin("first", NOW + HOUR)
    with state.transaction() as tx:
        (running,) = tx.jobs.open()
        assert (running.state, running.attempts, running.begun) == (JobState.RUNNING, 1, NOW + HOUR)
        assert tx.jobs.unreported() == []
        tx.jobs.end("first", JobState.DONE, NOW + 2 * HOUR, {"counts": {}})
        assert tx.jobs.open() == []
        assert [j.name for j in tx.jobs.unreported()] == ["first"]
        tx.jobs.heard("first")
        assert tx.jobs.unreported() == []
    with state.reading() as tx:
        ended = tx.jobs.named("first")
        assert ended is not None
        assert (ended.state, ended.result, ended.ended) == (JobState.DONE, {"counts": {}}, NOW + 2 * HOUR)
        assert tx.jobs.of_nonce("main", "1") == ended
        assert tx.jobs.of_nonce("other", "1") is None


def test_a_nonce_is_there_once_for_each_credential(state: State) -> None:
    with state.transaction() as tx:
        tx.jobs.add(job())
        tx.jobs.add(job("second", credential="other"))
    with pytest.raises(Contradiction), state.transaction() as tx:
        tx.jobs.add(job("third"))


def test_only_what_is_over_grows_too_old(state: State) -> None:
    with state.transaction() as tx:
        tx.jobs.add(job())
        tx.jobs.add(job("second", "2"))
        tx.jobs.end("second", JobState.FAILED, NOW, {})
        tx.jobs.prune(NOW + HOUR)
        assert [j.name for j in tx.jobs.recent(10)] == ["first"]


def test_the_audit_log_is_bounded_in_age_and_number(state: State) -> None:
    with state.transaction() as tx:
        tx.audit.add(line("old", at=NOW - HOUR))
        for number in range(5):
            tx.audit.add(line(f"\0{number}"))
        tx.audit.prune(NOW, most=3)
        assert [one.detail for one in tx.audit.recent(10)] == ["\0004", "\0003", "\0002"]


def test_a_forgotten_address_is_in_no_result(state: State) -> None:
    with state.transaction() as tx:
        for name, who in (("first", "ada@example.com"), ("second", "grace@example.com")):
            tx.jobs.add(job(name, name))
            tx.jobs.end(name, JobState.FAILED, NOW, {"errors": [{"message": f"{who} may not edit it"}]})
        tx.erase_address("Ada@example.com")
        assert [bool(j.result) for j in tx.jobs.recent(10)] == [True, False]


def test_what_is_refused_pushes_out_nothing_that_was_asked_for(state: State) -> None:
    with state.transaction() as tx:
        tx.audit.add(line("done", job="first"))
        for n in range(5):
            tx.audit.add(line(f"no {n}", allowed=False, rule="signature"))
            tx.audit.add(line(f"again {n}", rule="repeated", job="first"))
        tx.audit.prune(NOW, 4)
        assert [one.detail for one in tx.audit.recent(10)] == ["again 4", "no 4", "again 3", "no 3", "done"]
