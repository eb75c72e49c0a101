"""Jobs in the database: who goes on with them, how much is kept, and what is forgotten."""

import pytest

from crmsync.state.replica import job_store
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.job_store import Job, JobStore, Overtaken, erase
from tests.state.replica.conftest import Bench

ASKED = {"operation": "insert", "object": "Lead"}


@pytest.fixture
def store(bench: Bench) -> JobStore:
    return JobStore(bench.store.database, bench.clock, "ingest")


def at_work(store: JobStore, content: bytes = b"LastName\na\n") -> Job:
    job = store.add("005000000000001AAA", ASKED, "59.0", "Open")
    assert store.upload(job, content)
    assert store.move(job, "InProgress", among=("Open",))
    return store.now(job)


def test_two_that_work_on_one_job(bench: Bench, store: JobStore) -> None:
    job = at_work(store)
    with store.step(job, 0) as results:
        results.append((b"1\n", False))
    with pytest.raises(Overtaken):
        write_again(bench, store, job)
    assert store.content(job, "results") == b"1\n"
    with pytest.raises(Fault):
        bench.store.read(bench.sync, "Lead", "00Q000000000001EAA")  # what the second one wrote is undone


def write_again(bench: Bench, store: JobStore, job: Job) -> None:
    with store.step(job, 0) as results:
        bench.store.create(bench.sync, [("Lead", {"LastName": "twice", "Company": "c"})])
        results.append((b"1\n", False))


def test_an_aborted_job_is_not_gone_on_with(store: JobStore) -> None:
    job = at_work(store)
    assert store.move(job, "Aborted", among=("InProgress",))
    with pytest.raises(Overtaken), store.step(job, 0):
        pass
    assert not store.upload(job, b"more")


def test_rows_from_anywhere(store: JobStore) -> None:
    job = at_work(store)
    lines = [f'"{number}\n"\n'.encode() for number in range(4_500)]
    assert store.keep_rows(job, b"h\n", iter(lines)) == 4_500
    for first, count in ((0, 1), (0, 4_500), (1_999, 2), (1_999, 2_003), (4_499, 1), (4_500, 0)):
        assert store.rows(job, first, count) == b"h\n" + b"".join(lines[first : first + count])
    assert store.keep_rows(job, b"h\n", iter(lines[:1])) == 1  # from the beginning
    assert store.rows(job, 0, 1) == b"h\n" + lines[0]


def test_whoever_asks_for_much_waits(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_store, "MOST_WAITING", 2)
    first, _ = at_work(store), at_work(store)
    with pytest.raises(Fault, match="2 jobs are waiting"):
        at_work(store)
    assert store.add("005000000000002AAA", ASKED, "59.0", "Open")  # somebody else
    assert store.move(first, "JobComplete", among=("InProgress",))
    assert at_work(store)


def test_whoever_keeps_much_has_to_delete(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_store, "MOST_HELD", 100)
    job, other = at_work(store, b"x" * 100), "005000000000002AAA"
    with pytest.raises(Fault, match="LIMIT_EXCEEDED"):
        at_work(store)
    with pytest.raises(Fault, match="LIMIT_EXCEEDED"):
        store.add(job.owner, ASKED, "59.0", "UploadComplete", parent=job, content=b"x")
    assert store.upload(store.add(other, ASKED, "59.0", "Open"), b"x")
    store.remove(job)
    assert at_work(store)


def test_what_is_kept(bench: Bench, store: JobStore) -> None:
    old = at_work(store)
    bench.clock.advance(minutes=60 * 24 * 8)
    JobStore(bench.store.database, bench.clock, "ingest")
    with pytest.raises(Fault):
        store.get(old.owner, old.id)


def test_what_is_forgotten(bench: Bench, store: JobStore) -> None:
    named, other = at_work(store, b"Email\nAda@Example.com\n"), at_work(store)
    with bench.store.database.write() as connection:
        assert erase(connection, "ada@example.com") == 1
    assert [job.id for job in store.all(other.owner)] == [other.id]
    assert store.content(named) == b""


def test_batches_go_with_their_job(bench: Bench, store: JobStore) -> None:
    batches = JobStore(bench.store.database, bench.clock, "batch")
    jobs = [store.add("005000000000001AAA", ASKED, "59.0", "Open") for _ in range(2)]
    contents = (b"one", b"Ada@Example.com")
    made = [
        batches.add(job.owner, {}, "59.0", "UploadComplete", parent=job, content=content)
        for job in jobs
        for content in contents
    ]
    assert [batches.content(each) for each in batches.below(jobs[0])] == list(contents)
    assert batches.below(jobs[1]) == batches.unfinished()[2:] == made[2:]
    store.remove(jobs[0])
    assert batches.unfinished() == made[2:]
    with bench.store.database.write() as connection:
        assert erase(connection, "ada@example.com") == 1
    assert store.all(jobs[1].owner) == batches.unfinished() == []


def test_a_database_of_before_there_were_batches(bench: Bench, store: JobStore) -> None:
    at_work(store)
    with bench.store.database.write() as connection:
        connection.exec_driver_sql("DROP INDEX ix_crm_job_parent")
        connection.exec_driver_sql("ALTER TABLE crm_job DROP COLUMN parent")
    again = JobStore(bench.store.database, bench.clock, "ingest")
    assert [job.parent for job in again.unfinished()] == [None]
