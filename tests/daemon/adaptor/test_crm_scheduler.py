"""The embedded CRM's scheduler and the service, end to end: a job is a record, and so is what became of it."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from crmsync.daemon.crm_api.crm import Crm
from crmsync.daemon.crm_api.scheduler import ExchangeScheduler, Target, following, message
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Saved
from crmsync.state.replica.org import Org, Person
from tests.daemon.adaptor.office import SECRET, Office, until


class Crms:
    """The CRM's side of it."""

    def __init__(self, folder: Path, office: Office) -> None:
        admin = Person("admin@example.com", "secret", "Admin", profile="Integration")
        other = Person("eve@example.com", "secret", "Eve")
        url = f"sqlite:///{folder / 'crm.db'}"
        self.crm = Crm(url, Org("Example", (admin, other)), clock=office.world.clock, durable=False)
        self.admin = Caller(self.crm.users["admin@example.com"], all_records=True)
        self.scheduler = ExchangeScheduler(self.crm, Target(office.url, "main", SECRET))

    def add(self, **values: Any) -> str:
        fields = {"Name": "Hourly", "Direction__c": "reverse", "Accounts__c": "alice", **values}
        (saved,) = self.crm.store.create(self.admin, [("ExchangeJob__c", fields)])
        assert isinstance(saved, Saved), saved
        return saved.id

    def job(self, id: str) -> Any:
        return self.crm.store.read(self.admin, "ExchangeJob__c", id)

    def over(self, id: str) -> Any:
        def ended() -> bool:
            self.scheduler.turn()
            return self.job(id)["State__c"] not in ("sending", "accepted", "running")

        until(ended)
        return self.job(id)

    def close(self) -> None:
        self.scheduler.stop()
        self.crm.close()


@pytest.fixture
def crms(tmp_path: Path, office: Office) -> Iterator[Crms]:
    made = Crms(tmp_path, office)
    yield made
    made.close()


def test_a_job_that_is_told_to_runs_now(office: Office, crms: Crms) -> None:
    office.world.person()
    job = crms.over(crms.add(RunNow__c=True))
    assert (job["State__c"], job["RunNow__c"]) == ("done", False)
    assert json.loads(job["Result__c"])["counts"]["created"] == 1
    assert len(office.world.contacts()) == 1
    crms.scheduler.turn()
    assert len(office.world.engine.exchange_jobs()) == 1


def test_a_job_runs_when_its_time_has_come(office: Office, crms: Crms) -> None:
    id = crms.add(Cron__c="*/15 * * * *", Kinds__c="contact, task")
    office.world.person()
    crms.scheduler.turn()
    assert (crms.job(id)["NextRun__c"], crms.job(id)["State__c"]) == (datetime(2026, 11, 22, 10, 15), None)
    office.world.clock.tick(15 * 60)
    job = crms.over(id)
    assert (job["State__c"], job["NextRun__c"]) == ("done", datetime(2026, 11, 22, 10, 30))
    (asked,) = office.world.engine.exchange_jobs()
    assert asked["kinds"] == ["contact", "task"]
    crms.scheduler.turn()
    assert len(office.world.engine.exchange_jobs()) == 1


def test_a_message_without_an_answer_is_sent_again_and_is_the_same(office: Office, crms: Crms) -> None:
    office.world.person()
    office.adaptor.line.stop()  # type: ignore[union-attr]
    id = crms.add(RunNow__c=True)
    crms.scheduler.turn()
    crms.scheduler.turn()
    first = crms.job(id)
    assert (first["State__c"], bool(first["Nonce__c"])) == ("sending", True)
    office.adaptor.close()
    office.open()
    crms.scheduler = ExchangeScheduler(crms.crm, Target(office.url, "main", SECRET))
    assert crms.over(id)["State__c"] == "done"
    assert crms.job(id)["Nonce__c"] == first["Nonce__c"]


def test_what_is_refused_is_told(office: Office, crms: Crms) -> None:
    job = crms.over(crms.add(RunNow__c=True, Accounts__c="alice, bob"))
    assert (job["State__c"], job["Result__c"][:9]) == ("refused", "account: ")


def test_a_line_that_is_none_is_told_once(office: Office, crms: Crms) -> None:
    id = crms.add(Cron__c="when it rains")
    crms.scheduler.turn()
    crms.scheduler.turn()
    assert crms.job(id)["State__c"] == "unreadable"
    assert "Cron__c" in crms.job(id)["Result__c"]


def test_one_that_rests_rests(office: Office, crms: Crms) -> None:
    id = crms.add(Active__c=False, RunNow__c=True)
    crms.scheduler.turn()
    assert crms.job(id)["State__c"] is None


def test_only_an_administrator_makes_one(office: Office, crms: Crms) -> None:
    eve = crms.crm.store.caller(crms.crm.users["eve@example.com"])
    fields = {"Name": "Mine", "Direction__c": "reverse", "Accounts__c": "alice"}
    (refused,) = crms.crm.store.create(eve, [("ExchangeJob__c", fields)])
    assert not isinstance(refused, Saved)


@pytest.mark.parametrize(
    ("cron", "then"),
    [
        (None, None),
        (" ", None),
        ("0 * * * *", datetime(2026, 11, 22, 11)),
        ("30 6 * * mon", datetime(2026, 11, 23, 6, 30)),
    ],
)
def test_when_it_is_next(cron: str | None, then: datetime | None) -> None:
    assert following(cron, datetime(2026, 11, 22, 10, 0, 1)) == then


def test_what_it_says() -> None:
    job = {"Accounts__c": "alice,bob\ncarol", "Kinds__c": None, "Since__c": datetime(2026, 11, 22)}
    said = json.loads(message(job))
    assert said == {"accounts": ["alice", "bob", "carol"], "since": "2026-11-22T00:00:00Z"}
