"""Bulk 1.0 below `/services/async/XX.0/job`: the part that clients use (Bulk API Developer Guide).

What a job is told in, its batches and results are answered in: `CSV`, `XML` or `JSON`. Information on jobs follows
the request (`Content-Type`), information on batches and lists of results the job: XML, for JSON jobs JSON.
"""

import datetime
import re
from collections.abc import Callable, Mapping
from typing import Any

from crmsync.daemon.crm_api.bulk import shapes
from crmsync.daemon.crm_api.bulk.batches import QUERIES, Batches, state_of
from crmsync.daemon.crm_api.bulk.jobs import Background
from crmsync.daemon.crm_api.bulk.work import OPERATIONS
from crmsync.daemon.crm_api.crm import Crm
from crmsync.daemon.crm_api.messages import Reply
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.job_store import Job, JobStore

__all__ = ["Classic"]

_VERSION = re.compile(r"\d{1,3}\.0")


class Classic:
    """Answers everything below `job`; faults are written in the format of the request."""

    def __init__(self, crm: Crm, background: Background) -> None:
        self._crm = crm
        self.jobs = JobStore(crm.database, crm.clock, "classic")
        self._batches = Batches(crm, background, JobStore(crm.database, crm.clock, "batch"), self.jobs)

    def resume(self) -> None:
        self._batches.resume()

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
        def job_of(job_id: str) -> Job:
            try:
                return self.jobs.get(caller.user_id, job_id)
            except Fault as fault:
                raise Fault("InvalidJob", "Invalid job id") from fault

        match (method, *(part.lower() if place != 1 else part for place, part in enumerate(path))):
            case ("POST", "job"):
                return self._create(body, as_json, version, caller)
            case ("GET", "job", job_id):
                return shapes.job(self._info(job_of(job_id)), as_json)
            case ("POST", "job", job_id):
                return self._change(job_of(job_id), body, as_json)
            case ("POST", "job", job_id, "batch"):
                job = job_of(job_id)
                return shapes.batch(_batch(job, self._batches.add(job, body)), _json(job), status=201)
            case ("GET", "job", job_id, "batch"):
                job = job_of(job_id)
                return shapes.batches([_batch(job, each) for each in self._below(job)], _json(job))
        match (method, len(path)):
            case ("GET", 4 | 5 | 6) if path[2].lower() == "batch":
                return self._of_batch(job_of(path[1]), path[3:])
        raise Fault("NOT_FOUND", "The requested resource does not exist")

    def _of_batch(self, job: Job, path: tuple[str, ...]) -> Reply:
        batch = self._batches.get(job, path[0])
        match tuple(part.lower() for part in path[1:2]):
            case ():
                return shapes.batch(_batch(job, batch), _json(job))
            case ("request",):
                return Reply(200, self._batches.jobs.content(batch), _type(job))
            case ("result",):
                return self._result(job, batch, path[2:])
        raise Fault("NOT_FOUND", "The requested resource does not exist")

    def _result(self, job: Job, batch: Job, rest: tuple[str, ...]) -> Reply:
        if state_of(batch) != "Completed":
            raise Fault("InvalidBatch", f"Batch not completed, current status: {state_of(batch)}")
        if job.asked["operation"] not in QUERIES:
            return shapes.results(self._batches.results(batch), job.asked["contentType"])
        if not rest:
            return shapes.result_list([_result_id(batch)], _json(job))
        if rest[0] not in (_result_id(batch), _result_id(batch)[:15]):
            raise Fault("InvalidBatch", "there is no such result")
        return Reply(200, self._batches.found(job, batch), _type(job))

    def _create(self, body: bytes, as_json: bool, version: str, caller: Caller) -> Reply:
        asked = shapes.read_job(body, as_json)
        operation, content_type = asked.get("operation", ""), asked.get("contentType", "XML").upper()
        known = {each.lower(): each for each in (*OPERATIONS, *QUERIES)}
        if operation.lower() not in known:
            raise Fault("InvalidJob", f"operation must be one of {', '.join(sorted(known.values()))}")
        if content_type not in shapes.MIME:
            raise Fault("InvalidJob", f"contentType must be one of {', '.join(shapes.MIME)}")
        type_ = self._crm.store.schema.find(asked.get("object", ""))
        if type_ is None:
            raise Fault("InvalidJob", f"Unable to find object: {asked.get('object', '')[:80]}")
        key = asked.get("externalIdFieldName", "")
        if known[operation.lower()] == "upsert" and not key:
            raise Fault("InvalidJob", "externalIdFieldName is needed for an upsert")
        understood = {
            "operation": known[operation.lower()],
            "object": type_.name,
            "externalIdFieldName": key,
            "contentType": content_type,
            "concurrencyMode": asked.get("concurrencyMode", "Parallel"),
        }
        job = self.jobs.add(caller.user_id, understood, version, "Open")
        return shapes.job(self._info(job), as_json, status=201)

    def _change(self, job: Job, body: bytes, as_json: bool) -> Reply:
        wanted = str(shapes.read_job(body, as_json).get("state"))
        among = ("Open", "Closed") if wanted in ("Closed", "Aborted") else ()
        if not self.jobs.move(job, wanted, among=among):
            raise Fault("InvalidJobState", f"a job that is {job.state} cannot become {wanted}")
        return shapes.job(self._info(self.jobs.now(job)), as_json)

    def _below(self, job: Job) -> list[Job]:
        return self._batches.jobs.below(job)

    def _info(self, job: Job) -> dict[str, Any]:
        batches = self._below(job)
        states = [state_of(each) for each in batches]
        counts = {
            "numberBatchesQueued": states.count("Queued"),
            "numberBatchesInProgress": states.count("InProgress"),
            "numberBatchesCompleted": states.count("Completed"),
            "numberBatchesFailed": states.count("Failed"),
            "numberBatchesTotal": len(states),
            "numberRecordsProcessed": sum(each.processed for each in batches),
            "numberRetries": 0,
            "apiVersion": float(job.version),
            "numberRecordsFailed": sum(each.failed for each in batches),
            "totalProcessingTime": 0,
            "apiActiveProcessingTime": 0,
            "apexProcessingTime": 0,
        }
        key = job.asked["externalIdFieldName"]
        return {
            "id": job.id,
            "operation": job.asked["operation"],
            "object": job.asked["object"],
            "createdById": job.owner,
            "createdDate": _moment(job.created),
            "systemModstamp": _moment(job.stamp),
            "state": job.state,
            **({"externalIdFieldName": key} if key else {}),
            "concurrencyMode": job.asked["concurrencyMode"],
            "contentType": job.asked["contentType"],
            **counts,
        }


def _json(job: Job) -> bool:
    return bool(job.asked["contentType"] == "JSON")


def _type(job: Job) -> dict[str, str]:
    return {"Content-Type": shapes.MIME[job.asked["contentType"]]}


def _result_id(batch: Job) -> str:
    return f"752{batch.id[3:]}"


def _batch(job: Job, batch: Job) -> dict[str, Any]:
    error = {"stateMessage": batch.error} if batch.error else {}
    return {
        "id": batch.id,
        "jobId": job.id,
        "state": state_of(batch),
        **error,
        "createdDate": _moment(batch.created),
        "systemModstamp": _moment(batch.stamp),
        "numberRecordsProcessed": batch.processed,
        "numberRecordsFailed": batch.failed,
        "totalProcessingTime": 0,
        "apiActiveProcessingTime": 0,
        "apexProcessingTime": 0,
    }


def _moment(value: datetime.datetime) -> str:
    return shapes.moment(value.replace(tzinfo=datetime.UTC))
