"""Bulk 1.0 below `/services/async/XX.0/job`: the part that clients use (Bulk API Developer Guide).

What a job is told in, its batches and results are answered in: `CSV`, `XML` or `JSON`. Information on jobs follows
the request (`Content-Type`), information on batches and lists of results the job: XML, for JSON jobs JSON.
"""

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crmsync.daemon.crm_api.bulk import shapes
from crmsync.daemon.crm_api.bulk.jobs import Background, Register
from crmsync.daemon.crm_api.bulk.results import Rows
from crmsync.daemon.crm_api.bulk.work import OPERATIONS, Result, work_off
from crmsync.daemon.crm_api.crm import Crm
from crmsync.daemon.crm_api.messages import Reply
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault

__all__ = ["Classic"]

MOST_BATCHES = 5_000
MOST_ROWS = 10_000
_VERSION = re.compile(r"\d{1,3}\.0")
QUERIES = frozenset({"query", "queryAll"})


@dataclass(slots=True)
class Batch:
    id: str
    created: datetime.datetime
    content: bytes
    state: str = "Queued"
    error: str = ""
    results: list[Result] = field(default_factory=list)
    found: Rows | None = None

    @property
    def processed(self) -> int:
        return len(self.results) if self.found is None else len(self.found)


@dataclass(slots=True)
class Job:
    id: str
    owner: Caller
    created: datetime.datetime
    operation: str
    object: str
    key: str
    content_type: str
    concurrency: str
    version: str
    state: str = "Open"
    batches: dict[str, Batch] = field(default_factory=dict)

    def batch(self, batch_id: str) -> Batch:
        found = self.batches.get(batch_id) or next(
            (b for b in self.batches.values() if b.id[:15] == batch_id), None
        )
        if found is None:
            raise Fault("InvalidBatch", f"there is no batch {batch_id[:20]}")
        return found

    def close(self) -> None:
        for each in self.batches.values():
            if each.found is not None:
                each.found.close()


class Classic:
    """Answers everything below `job`; faults are written in the format of the request."""

    def __init__(self, crm: Crm, background: Background) -> None:
        self._crm, self._background = crm, background
        self.jobs: Register[Job] = Register("750", crm.clock)
        self._batch_ids: Register[Job] = Register("751", crm.clock)

    def answer(
        self,
        method: str,
        path: tuple[str, ...],
        body: bytes,
        headers: Mapping[str, str],
        version: str,
        session: Callable[[], Caller],
    ) -> Reply:
        """`session` is who asks; raises Fault."""
        as_json = "json" in headers.get("content-type", "").lower()
        try:
            if not _VERSION.fullmatch(version):
                raise Fault("NOT_FOUND", "The requested resource does not exist")
            return self._route(method, path, body, as_json, version, session())
        except Fault as fault:
            return shapes.fault(fault, as_json)

    def _route(
        self, method: str, path: tuple[str, ...], body: bytes, as_json: bool, version: str, caller: Caller
    ) -> Reply:
        match (method, *(part.lower() if place != 1 else part for place, part in enumerate(path))):
            case ("POST", "job"):
                return self._create(body, as_json, version, caller)
            case ("GET", "job", job_id):
                return shapes.job(self._info(self.jobs.get(caller, job_id)), as_json)
            case ("POST", "job", job_id):
                return self._change(self.jobs.get(caller, job_id), body, as_json)
            case ("POST", "job", job_id, "batch"):
                return self._add(self.jobs.get(caller, job_id), body)
            case ("GET", "job", job_id, "batch"):
                job = self.jobs.get(caller, job_id)
                return shapes.batches([_batch(job, each) for each in job.batches.values()], _json(job))
        match (method, len(path)):
            case ("GET", 4 | 5 | 6) if path[2].lower() == "batch":
                return self._of_batch(self.jobs.get(caller, path[1]), path[3:])
        raise Fault("NOT_FOUND", "The requested resource does not exist")

    def _of_batch(self, job: Job, path: tuple[str, ...]) -> Reply:
        batch = job.batch(path[0])
        match tuple(part.lower() for part in path[1:2]):
            case ():
                return shapes.batch(_batch(job, batch), _json(job))
            case ("request",):
                return Reply(200, batch.content, {"Content-Type": shapes.MIME[job.content_type]})
            case ("result",):
                return self._result(job, batch, path[2:])
        raise Fault("NOT_FOUND", "The requested resource does not exist")

    def _result(self, job: Job, batch: Batch, rest: tuple[str, ...]) -> Reply:
        if batch.state != "Completed":
            raise Fault("InvalidBatch", f"Batch not completed, current status: {batch.state}")
        if batch.found is None:
            return shapes.results(batch.results, job.content_type)
        if not rest:
            return shapes.result_list([_result_id(batch)], _json(job))
        if rest[0] not in (_result_id(batch), _result_id(batch)[:15]):
            raise Fault("InvalidBatch", "there is no such result")
        content, _ = batch.found.part(0, len(batch.found))
        return Reply(
            200, shapes.closed(content, job.content_type), {"Content-Type": shapes.MIME[job.content_type]}
        )

    def _create(self, body: bytes, as_json: bool, version: str, caller: Caller) -> Reply:
        asked = shapes.read_job(body, as_json)
        operation, content_type = asked.get("operation", ""), asked.get("contentType", "XML").upper()
        known = {each.lower(): each for each in (*OPERATIONS, *QUERIES)}
        if operation.lower() not in known:
            raise Fault("InvalidJob", f"operation must be one of {', '.join(sorted(known.values()))}")
        if content_type not in shapes.MIME:
            raise Fault("InvalidJob", f"contentType must be one of {', '.join(shapes.MIME)}")
        type_ = self._crm.store.object_type(asked.get("object", ""))
        key = asked.get("externalIdFieldName", "")
        if known[operation.lower()] == "upsert" and not key:
            raise Fault("InvalidJob", "externalIdFieldName is needed for an upsert")
        now, mode = self._crm.clock(), asked.get("concurrencyMode", "Parallel")
        job = Job(
            self.jobs.new_id(),
            caller,
            now,
            known[operation.lower()],
            type_.name,
            key,
            content_type,
            mode,
            version,
        )
        return shapes.job(self._info(self.jobs.add(job)), as_json, status=201)

    def _change(self, job: Job, body: bytes, as_json: bool) -> Reply:
        state = shapes.read_job(body, as_json).get("state")
        if state not in ("Closed", "Aborted") or job.state == "Aborted":
            raise Fault("InvalidJobState", f"a job that is {job.state} cannot become {state}")
        job.state = state
        return shapes.job(self._info(job), as_json)

    def _add(self, job: Job, body: bytes) -> Reply:
        if job.state != "Open":
            raise Fault("InvalidJobState", f"the job is {job.state}; batches are taken while it is open")
        if len(job.batches) >= MOST_BATCHES:
            raise Fault("ExceededQuota", f"a job cannot have more than {MOST_BATCHES} batches")
        if not body.strip():
            raise Fault("ClientInputError", "Failed to read the batch: the request has no content")
        batch = Batch(self._batch_ids.new_id(), self._crm.clock(), body)
        job.batches[batch.id] = batch
        self._background.run(lambda: self._work(job, batch))
        return shapes.batch(_batch(job, batch), _json(job), status=201)

    def _work(self, job: Job, batch: Batch) -> None:
        if job.state == "Aborted":
            batch.state = "Not Processed"
            return
        batch.state = "InProgress"
        try:
            if job.operation in QUERIES:
                self._query(job, batch)
            else:
                rows = shapes.read_rows(batch.content, job.content_type)
                if len(rows) > MOST_ROWS:
                    raise Fault("ExceededQuota", f"a batch cannot have more than {MOST_ROWS} rows")
                batch.results.extend(
                    work_off(self._crm, job.owner, job.operation, job.object, job.key, iter(rows))
                )
        except (Fault, OverflowError) as error:
            batch.state, batch.error = "Failed", str(error)
        else:
            batch.state = "Completed"

    def _query(self, job: Job, batch: Batch) -> None:
        text = batch.content.decode("utf-8", "replace").strip()
        deleted = job.operation == "queryAll"
        columns, records = self._crm.queries.table(job.owner, text, include_deleted=deleted)
        header, lines = shapes.query_lines(columns, records, job.content_type, job.object)
        batch.found = Rows(header, lines)

    def _info(self, job: Job) -> dict[str, Any]:
        states = [each.state for each in job.batches.values()]
        results = [result for each in job.batches.values() for result in list(each.results)]
        counts = {
            "numberBatchesQueued": states.count("Queued"),
            "numberBatchesInProgress": states.count("InProgress"),
            "numberBatchesCompleted": states.count("Completed"),
            "numberBatchesFailed": states.count("Failed"),
            "numberBatchesTotal": len(states),
            "numberRecordsProcessed": sum(each.processed for each in job.batches.values()),
            "numberRetries": 0,
            "apiVersion": float(job.version),
            "numberRecordsFailed": sum(not each.ok for each in results),
            "totalProcessingTime": 0,
            "apiActiveProcessingTime": 0,
            "apexProcessingTime": 0,
        }
        key = {"externalIdFieldName": job.key} if job.key else {}
        return {
            "id": job.id,
            "operation": job.operation,
            "object": job.object,
            "createdById": job.owner.user_id,
            "createdDate": shapes.moment(job.created),
            "systemModstamp": shapes.moment(self._crm.clock()),
            "state": job.state,
            **key,
            "concurrencyMode": job.concurrency,
            "contentType": job.content_type,
            **counts,
        }


def _json(job: Job) -> bool:
    return job.content_type == "JSON"


def _result_id(batch: Batch) -> str:
    return f"752{batch.id[3:]}"


def _batch(job: Job, batch: Batch) -> dict[str, Any]:
    error = {"stateMessage": batch.error} if batch.error else {}
    return {
        "id": batch.id,
        "jobId": job.id,
        "state": batch.state,
        **error,
        "createdDate": shapes.moment(batch.created),
        "systemModstamp": shapes.moment(batch.created),
        "numberRecordsProcessed": batch.processed,
        "numberRecordsFailed": sum(not each.ok for each in list(batch.results)),
        "totalProcessingTime": 0,
        "apiActiveProcessingTime": 0,
        "apexProcessingTime": 0,
    }
