"""Bulk 2.0: `jobs/ingest` and `jobs/query` (Bulk API 2.0 Developer Guide)."""

import datetime
import json
from abc import ABC
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from crmsync.daemon.crm_api.bodies import parse_json
from crmsync.daemon.crm_api.bulk import tables
from crmsync.daemon.crm_api.bulk.jobs import Worker
from crmsync.daemon.crm_api.bulk.work import AT_ONCE, OPERATIONS, work_off
from crmsync.daemon.crm_api.messages import Call, Reply
from crmsync.daemon.crm_api.multipart import boundary_of, parts
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.job_store import Job
from crmsync.state.replica.metadata import ObjectType
from crmsync.state.replica.values import encode_datetime

__all__ = ["Ingest", "Query"]

CSV = {"Content-Type": "text/csv"}
PAGE = 50_000
LARGEST_PAGE = 250_000
KINDS = {"ingest": "V2Ingest", "query": "V2Query"}
_ENDS = {"LF": "\n", "CRLF": "\r\n"}


@dataclass(frozen=True, slots=True)
class _Bulk(Worker, ABC):
    def job(self, call: Call, id: str) -> Reply:
        return Reply(200, self._shown(self._get(call, id)))

    def all(self, call: Call) -> Reply:
        records = [self._shown(each) for each in self.jobs.all(call.caller.user_id)]
        return Reply(200, {"done": True, "nextRecordsUrl": None, "records": records})

    def remove(self, call: Call, id: str) -> Reply:
        job = self._get(call, id)
        if job.state in ("UploadComplete", "InProgress"):
            raise Fault("INVALIDJOBSTATE", f"a job that is {job.state} cannot be deleted; abort it first")
        self.jobs.remove(job)
        return Reply(204)

    def _get(self, call: Call, id: str) -> Job:
        return self.jobs.get(call.caller.user_id, id)

    def _new(self, call: Call, asked: Mapping[str, Any], state: str) -> Job:
        for name, known in (("columnDelimiter", tables.DELIMITERS), ("lineEnding", _ENDS)):
            given = asked.get(name)
            if given is not None and not (isinstance(given, str) and given in known):
                raise Fault("INVALIDJOB", f"{name} must be one of {', '.join(known)}")
        if asked.get("contentType") not in (None, "CSV"):
            raise Fault("INVALIDJOB", "contentType must be CSV")
        return self.jobs.add(call.caller.user_id, asked, call.version, state)

    def _shown(self, job: Job) -> dict[str, Any]:
        info = {
            "id": job.id,
            "operation": job.asked["operation"],
            "object": job.asked["object"],
            "createdById": job.owner,
            "createdDate": _moment(job.created),
            "systemModstamp": _moment(job.stamp),
            "state": job.state,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": float(job.version),
            "jobType": KINDS[job.kind],
            "lineEnding": job.asked.get("lineEnding") or "LF",
            "columnDelimiter": job.asked.get("columnDelimiter") or "COMMA",
            "numberRecordsProcessed": job.processed,
            "retries": 0,
            "totalProcessingTime": max(0, int((job.stamp - job.created).total_seconds() * 1000)),
        }
        return {**info, "errorMessage": job.error} if job.error else info


@dataclass(frozen=True, slots=True)
class Ingest(_Bulk):
    """Handlers; each takes the call and the variables of its route."""

    def create(self, call: Call) -> Reply:
        asked, content = _asked(call)
        if asked.get("operation") not in OPERATIONS:
            raise Fault("INVALIDJOB", f"operation must be one of {', '.join(sorted(OPERATIONS))}")
        type_ = self.crm.store.object_type(str(asked.get("object") or ""))
        if asked["operation"] == "upsert":
            _check_key(type_, asked.get("externalIdFieldName"))
        job = self._new(call, {**asked, "object": type_.name}, "Open")
        if content is not None:
            self.jobs.upload(job, content)
            return self._moved(job, "UploadComplete")
        return Reply(200, self._shown(job))

    def upload(self, call: Call, id: str) -> Reply:
        job = self._get(call, id)
        if not self.jobs.upload(job, call.raw()):
            raise Fault(
                "INVALIDJOBSTATE", f"data can be uploaded once, while the job is open; it is {job.state}"
            )
        return Reply(201)

    def change(self, call: Call, id: str) -> Reply:
        return self._moved(self._get(call, id), call.body_object().get("state"))

    def _moved(self, job: Job, wanted: Any) -> Reply:
        among = {"UploadComplete": ("Open",), "Aborted": ("Open", "UploadComplete", "InProgress")}
        if not self.jobs.move(job, str(wanted), among=among.get(str(wanted), ())):
            raise Fault("INVALIDJOBSTATE", f"a job that is {self.jobs.now(job).state} cannot become {wanted}")
        moved = self.jobs.now(job)  # before the work begins, which may be over in no time
        if wanted == "UploadComplete":
            self.start(job)
        return Reply(200, self._shown(moved))

    def successful(self, call: Call, id: str) -> Reply:
        return self._results(
            call, id, ("sf__Id", "sf__Created"), lambda id_, created, error: None if error else (id_, created)
        )

    def failed(self, call: Call, id: str) -> Reply:
        return self._results(
            call, id, ("sf__Id", "sf__Error"), lambda id_, _, error: (id_, error) if error else None
        )

    def unprocessed(self, call: Call, id: str) -> Reply:
        job = self._get(call, id)
        header, rows = self._table(job)
        lines = (header, *rows[job.processed :]) if header else ()
        return Reply(200, "".join(_line(job, row) for row in lines).encode("utf-8", "replace"), CSV)

    def _results(
        self, call: Call, id: str, names: tuple[str, str], pick: Callable[..., tuple[Any, ...] | None]
    ) -> Reply:
        job = self._get(call, id)
        header, rows = self._table(job)
        found = (pick(*json.loads(line)) for line in self.jobs.content(job, "results").splitlines())
        lines = [_line(job, (*names, *header))]
        lines += [_line(job, (*first, *row)) for row, first in zip(rows, found, strict=False) if first]
        return Reply(200, "".join(lines).encode("utf-8", "replace"), CSV)

    def _table(self, job: Job) -> tuple[list[str], list[list[str]]]:
        """What was uploaded; nothing where that is no table, or there was nothing."""
        try:
            return self._read(job)
        except Fault:
            return [], []

    def _read(self, job: Job) -> tuple[list[str], list[list[str]]]:
        content = self.jobs.content(job)
        return tables.read(content, _delimiter(job)) if content.strip() else ([], [])

    def work(self, job: Job) -> bool:
        header, rows = self._read(job)
        caller, key = self.crm.store.caller(job.owner), str(job.asked.get("externalIdFieldName") or "")
        for start in range(job.processed, len(rows), AT_ONCE):
            if self.background.stopping.is_set():
                return False
            fields = (tables.fields_of(header, row) for row in rows[start : start + AT_ONCE])
            with self.jobs.step(job, start) as results:
                asked = job.asked["operation"], job.asked["object"], key
                for each in work_off(self.crm, caller, *asked, fields):
                    text = json.dumps([each.id, each.created, each.error])
                    results.append((f"{text}\n".encode(), not each.ok))
        return True

    def _shown(self, job: Job) -> dict[str, Any]:
        more = {"contentUrl": f"services/data/v{job.version}/jobs/ingest/{job.id}/batches"}
        key = job.asked.get("externalIdFieldName")
        info = {**_Bulk._shown(self, job), **more, "numberRecordsFailed": job.failed}
        return {**info, "externalIdFieldName": key} if key else info


@dataclass(frozen=True, slots=True)
class Query(_Bulk):
    """The same for queries."""

    def create(self, call: Call) -> Reply:
        asked = call.body_object()
        if asked.get("operation") not in ("query", "queryAll") or not isinstance(asked.get("query"), str):
            raise Fault("INVALIDJOB", "operation must be query or queryAll, and query a statement")
        name = self.crm.queries.object_of(call.caller, asked["query"])
        job = self._new(call, {**asked, "object": name}, "UploadComplete")
        self.start(job)
        return Reply(200, self._shown(job))

    def change(self, call: Call, id: str) -> Reply:
        job = self._get(call, id)
        if call.body_object().get("state") != "Aborted":
            raise Fault("INVALIDJOBSTATE", "a query can only be aborted")
        self.jobs.move(job, "Aborted", among=("UploadComplete", "InProgress"))
        return Reply(200, self._shown(self.jobs.now(job)))

    def results(self, call: Call, id: str) -> Reply:
        job = self._get(call, id)
        if job.state != "JobComplete":
            raise Fault("INVALIDJOBSTATE", f"the job has no results: it is {job.state}")
        first, count = _number(call, "locator", 0), _number(call, "maxRecords", PAGE)
        if not 0 <= first <= job.processed:
            raise Fault("INVALID_LOCATOR", "there is no such locator")
        shown = min(max(count, 1), LARGEST_PAGE, job.processed - first)
        after = first + shown
        locator = "null" if after >= job.processed else str(after)
        headers = {**CSV, "Sforce-NumberOfRecords": str(shown), "Sforce-Locator": locator}
        return Reply(200, self.jobs.rows(job, first, shown), headers)

    def work(self, job: Job) -> bool:
        """From the beginning, if it was interrupted: what a query finds belongs together."""
        caller = self.crm.store.caller(job.owner)
        deleted = job.asked["operation"] == "queryAll"
        columns, records = self.crm.queries.table(caller, job.asked["query"], include_deleted=deleted)
        stopped = self.background.stopping
        lines = (_line(job, tables.flattened(each, columns)).encode("utf-8", "replace") for each in records)
        self.jobs.keep_rows(
            job,
            _line(job, columns).encode("utf-8", "replace"),
            takewhile(lambda _: not stopped.is_set(), lines),
        )
        return not stopped.is_set()


def _asked(call: Call) -> tuple[dict[str, Any], bytes | None]:
    """The job, and its rows where they come with it (Bulk API 2.0 Developer Guide, "Create a Job", multipart requests);
    raises Fault."""
    boundary = boundary_of(call.headers.get("content-type", ""))
    if boundary is None:
        return call.body_object(), None
    found = list(parts(call.raw(), boundary))
    told = next((parse_json(each.content) for each in found if each.is_json), None)
    content = next((each.content for each in found if not each.is_json), None)
    if not isinstance(told, dict):
        raise Fault("INVALIDJOB", "one part of the request must be the job, an object in JSON")
    return told, content


def _line(job: Job, cells: Iterable[Any]) -> str:
    return tables.row_text(cells, _delimiter(job), _ENDS[str(job.asked.get("lineEnding") or "LF")])


def _delimiter(job: Job) -> str:
    return tables.DELIMITERS[str(job.asked.get("columnDelimiter") or "COMMA")]


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default


def _check_key(type_: ObjectType, name: Any) -> None:
    if not name:
        raise Fault("INVALIDJOB", "externalIdFieldName is needed for an upsert")
    if type_.find(str(name)) is None:
        raise Fault("INVALIDJOB", f"InvalidJob : Field name not found : {str(name)[:80]}")


def _moment(value: datetime.datetime) -> str:
    return encode_datetime(value.replace(microsecond=0))
