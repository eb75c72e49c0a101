"""The batches of a job of Bulk 1.0, each a job of its own in the database: what a client gave, what became of it."""

import json
from dataclasses import dataclass
from itertools import takewhile

from crmsync.daemon.crm_api.bulk import shapes
from crmsync.daemon.crm_api.bulk.jobs import Worker
from crmsync.daemon.crm_api.bulk.work import AT_ONCE, Result, work_off
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.job_store import Job, JobStore

__all__ = ["MOST_BATCHES", "QUERIES", "Batches", "state_of"]

MOST_BATCHES = 5_000
MOST_ROWS = 10_000
QUERIES = frozenset({"query", "queryAll"})
NOT_PROCESSED = "Not Processed"
_STATES = {
    "UploadComplete": "Queued",
    "JobComplete": "Completed",
}  # others are called the same in both versions


def state_of(batch: Job) -> str:
    return _STATES.get(batch.state, batch.state)


@dataclass(frozen=True, slots=True)
class Batches(Worker):
    parents: JobStore

    def add(self, job: Job, content: bytes) -> Job:
        if job.state != "Open":
            raise Fault("InvalidJobState", f"the job is {job.state}; batches are taken while it is open")
        if len(self.jobs.below(job)) >= MOST_BATCHES:
            raise Fault("ExceededQuota", f"a job cannot have more than {MOST_BATCHES} batches")
        if not content.strip():
            raise Fault("ClientInputError", "Failed to read the batch: the request has no content")
        made = self.jobs.add(job.owner, {}, job.version, "UploadComplete", parent=job, content=content)
        self.start(made)
        return made

    def get(self, job: Job, batch_id: str) -> Job:
        """In either length. Raises Fault."""
        found = next((b for b in self.jobs.below(job) if batch_id in (b.id, b.id[:15])), None)
        if found is None:
            raise Fault("InvalidBatch", f"there is no batch {batch_id[:20]}")
        return found

    def results(self, batch: Job) -> list[Result]:
        """Of the rows that have one."""
        return [_read(line) for line in self.jobs.content(batch, "results").splitlines()]

    def found(self, job: Job, batch: Job) -> bytes:
        """What a query found."""
        return shapes.closed(self.jobs.rows(batch, 0, batch.processed), job.asked["contentType"])

    def work(self, job: Job) -> bool:
        assert job.parent is not None
        parent = self.parents.numbered(job.parent)
        if parent.state == "Aborted" and not job.processed:
            self.jobs.move(job, NOT_PROCESSED, among=("InProgress",))
            return False
        caller = self.crm.store.caller(job.owner)
        query = parent.asked["operation"] in QUERIES
        return self._ask(caller, parent, job) if query else self._write(caller, parent, job)

    def _write(self, caller: Caller, parent: Job, batch: Job) -> bool:
        asked = parent.asked
        rows = shapes.read_rows(self.jobs.content(batch), asked["contentType"])
        if len(rows) > MOST_ROWS:
            raise Fault("ExceededQuota", f"a batch cannot have more than {MOST_ROWS} rows")
        what = asked["operation"], asked["object"], asked["externalIdFieldName"]
        for start in range(batch.processed, len(rows), AT_ONCE):
            if self.background.stopping.is_set():
                return False
            with self.jobs.step(batch, start) as results:
                for each in work_off(self.crm, caller, *what, iter(rows[start : start + AT_ONCE])):
                    results.append((_written(each), not each.ok))
        return True

    def _ask(self, caller: Caller, parent: Job, batch: Job) -> bool:
        """From the beginning, if it was interrupted: what a query finds belongs together."""
        text = self.jobs.content(batch).decode("utf-8", "replace").strip()
        deleted, stopped = parent.asked["operation"] == "queryAll", self.background.stopping
        form, name = parent.asked["contentType"], parent.asked["object"]
        base = f"/services/data/v{parent.version}" if form == "JSON" else ""  # records are REST's then
        columns, records = self.crm.queries.table(caller, text, include_deleted=deleted, base=base)
        header, lines = shapes.query_lines(columns, records, form, name)
        kept = takewhile(lambda _: not stopped.is_set(), (each.encode("utf-8", "replace") for each in lines))
        self.jobs.keep_rows(batch, header.encode("utf-8", "replace"), kept)
        return not stopped.is_set()


def _written(result: Result) -> bytes:
    faults = [[fault.code, fault.message, list(fault.fields)] for fault in result.faults]
    return f"{json.dumps([result.id, result.created, faults])}\n".encode()


def _read(line: bytes) -> Result:
    record_id, created, faults = json.loads(line)
    made = (Fault(code, message, tuple(fields)) for code, message, fields in faults)
    return Result(record_id, created, tuple(made))
