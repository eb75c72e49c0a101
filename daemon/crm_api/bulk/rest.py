"""Bulk 2.0: `jobs/ingest` and `jobs/query` (Bulk API 2.0 Developer Guide)."""

import datetime
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crmsync.daemon.crm_api.bulk import tables
from crmsync.daemon.crm_api.bulk.jobs import Background, Register
from crmsync.daemon.crm_api.bulk.results import Rows
from crmsync.daemon.crm_api.bulk.work import OPERATIONS, Result, work_off
from crmsync.daemon.crm_api.crm import Crm
from crmsync.daemon.crm_api.messages import Call, Reply
from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.values import encode_datetime

__all__ = ["Ingest", "Query"]

CSV = {"Content-Type": "text/csv"}
PAGE = 50_000
LARGEST_PAGE = 250_000
_ENDS = {"LF": "\n", "CRLF": "\r\n"}


@dataclass(slots=True)
class Job:
    """`asked` is what the client said when it made the job."""

    id: str
    owner: Caller
    created: datetime.datetime
    asked: Mapping[str, Any]
    version: str
    state: str
    stamp: datetime.datetime
    error: str = ""
    content: list[bytes] = field(default_factory=list)
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    found: Rows | None = None

    @property
    def delimiter(self) -> str:
        return tables.DELIMITERS[str(self.asked.get("columnDelimiter") or "COMMA")]

    @property
    def end(self) -> str:
        return _ENDS[str(self.asked.get("lineEnding") or "LF")]

    def close(self) -> None:
        if self.found is not None:
            self.found.close()


@dataclass(frozen=True, slots=True)
class _Bulk:
    crm: Crm
    background: Background
    jobs: Register[Job]
    kind: str

    def job(self, call: Call, id: str) -> Reply:
        return Reply(200, self._shown(self.jobs.get(call.caller, id)))

    def all(self, call: Call) -> Reply:
        records = [self._shown(each) for each in self.jobs.all(call.caller)]
        return Reply(200, {"done": True, "nextRecordsUrl": None, "records": records})

    def remove(self, call: Call, id: str) -> Reply:
        job = self.jobs.get(call.caller, id)
        if job.state in ("UploadComplete", "InProgress"):
            raise Fault("INVALIDJOBSTATE", f"a job that is {job.state} cannot be deleted; abort it first")
        self.jobs.remove(job)
        return Reply(204)

    def _new(self, call: Call, asked: Mapping[str, Any], state: str) -> Job:
        for name, known in (("columnDelimiter", tables.DELIMITERS), ("lineEnding", _ENDS)):
            if asked.get(name) is not None and asked[name] not in known:
                raise Fault("INVALIDJOB", f"{name} must be one of {', '.join(known)}")
        if asked.get("contentType") not in (None, "CSV"):
            raise Fault("INVALIDJOB", "contentType must be CSV")
        now = self.crm.clock()
        return self.jobs.add(Job(self.jobs.new_id(), call.caller, now, asked, call.version, state, now))

    def _state(self, job: Job, state: str, error: str = "") -> None:
        job.state, job.error, job.stamp = state, error, self.crm.clock()

    def _shown(self, job: Job) -> dict[str, Any]:
        info = {
            "id": job.id,
            "operation": job.asked["operation"],
            "object": job.asked["object"],
            "createdById": job.owner.user_id,
            "createdDate": _moment(job.created),
            "systemModstamp": _moment(job.stamp),
            "state": job.state,
            "concurrencyMode": "Parallel",
            "contentType": "CSV",
            "apiVersion": float(job.version),
            "jobType": self.kind,
            "lineEnding": job.asked.get("lineEnding") or "LF",
            "columnDelimiter": job.asked.get("columnDelimiter") or "COMMA",
            "numberRecordsProcessed": len(job.results) if job.found is None else len(job.found),
            "retries": 0,
            "totalProcessingTime": max(0, int((job.stamp - job.created).total_seconds() * 1000)),
        }
        return {**info, "errorMessage": job.error} if job.error else info


@dataclass(frozen=True, slots=True)
class Ingest(_Bulk):
    """Handlers; each takes the call and the variables of its route."""

    def create(self, call: Call) -> Reply:
        asked = call.body_object()
        if asked.get("operation") not in OPERATIONS:
            raise Fault("INVALIDJOB", f"operation must be one of {', '.join(sorted(OPERATIONS))}")
        type_ = self.crm.store.object_type(str(asked.get("object") or ""))
        if asked["operation"] == "upsert" and not asked.get("externalIdFieldName"):
            raise Fault("INVALIDJOB", "externalIdFieldName is needed for an upsert")
        job = self._new(call, {**asked, "object": type_.name}, "Open")
        return Reply(200, self._shown(job))

    def upload(self, call: Call, id: str) -> Reply:
        job = self.jobs.get(call.caller, id)
        if job.state != "Open" or job.content:
            raise Fault(
                "INVALIDJOBSTATE", f"data can be uploaded once, while the job is open; it is {job.state}"
            )
        job.content.append(call.raw())
        return Reply(201)

    def change(self, call: Call, id: str) -> Reply:
        job, wanted = self.jobs.get(call.caller, id), call.body_object().get("state")
        if wanted not in ("UploadComplete", "Aborted") or (
            wanted == "UploadComplete" and job.state != "Open"
        ):
            raise Fault("INVALIDJOBSTATE", f"a job that is {job.state} cannot become {wanted}")
        if job.state in ("JobComplete", "Failed", "Aborted"):
            raise Fault("INVALIDJOBSTATE", f"the job is already {job.state}")
        self._state(job, wanted)
        shown = self._shown(job)  # before the work begins, which may be over in no time
        if wanted == "UploadComplete":
            self.background.run(lambda: self._work(job))
        return Reply(200, shown)

    def successful(self, call: Call, id: str) -> Reply:
        return self._results(
            call,
            id,
            ("sf__Id", "sf__Created"),
            lambda result: (result.id, result.created) if result.ok else None,
        )

    def failed(self, call: Call, id: str) -> Reply:
        return self._results(
            call, id, ("sf__Id", "sf__Error"), lambda result: None if result.ok else (result.id, result.error)
        )

    def unprocessed(self, call: Call, id: str) -> Reply:
        job = self.jobs.get(call.caller, id)
        left = job.rows[len(job.results) :]
        text = "".join(tables.row_text(row, job.delimiter, job.end) for row in (job.header, *left))
        return Reply(200, text.encode(), CSV)

    def _results(
        self, call: Call, id: str, names: tuple[str, str], pick: Callable[[Result], tuple[Any, ...] | None]
    ) -> Reply:
        job = self.jobs.get(call.caller, id)
        lines = [tables.row_text((*names, *job.header), job.delimiter, job.end)]
        for row, result in zip(job.rows, job.results, strict=False):
            first = pick(result)
            if first is not None:
                lines.append(tables.row_text((*first, *row), job.delimiter, job.end))
        return Reply(200, "".join(lines).encode("utf-8", "replace"), CSV)

    def _work(self, job: Job) -> None:
        if job.state != "UploadComplete":
            return
        self._state(job, "InProgress")
        try:
            content = b"".join(job.content)
            if content.strip():  # nothing at all is nothing to do, and no mistake
                job.header, job.rows = tables.read(content, job.delimiter)
            job.content.clear()
            asked, key = job.asked, str(job.asked.get("externalIdFieldName") or "")
            fields = (tables.fields_of(job.header, row) for row in job.rows)
            for result in work_off(self.crm, job.owner, asked["operation"], asked["object"], key, fields):
                job.results.append(result)
                if job.state != "InProgress" or self.background.stopping.is_set():
                    return  # aborted meanwhile
        except Fault as fault:
            self._state(job, "Failed", f"{fault.code} : {fault.message}")
        else:
            self._state(job, "JobComplete")

    def _shown(self, job: Job) -> dict[str, Any]:
        failed = sum(not each.ok for each in list(job.results))
        more = {"contentUrl": f"services/data/v{job.version}/jobs/ingest/{job.id}/batches"}
        key = job.asked.get("externalIdFieldName")
        info = {**_Bulk._shown(self, job), **more, "numberRecordsFailed": failed}
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
        shown = self._shown(job)
        self.background.run(lambda: self._work(job))
        return Reply(200, shown)

    def change(self, call: Call, id: str) -> Reply:
        job = self.jobs.get(call.caller, id)
        if call.body_object().get("state") != "Aborted":
            raise Fault("INVALIDJOBSTATE", "a query can only be aborted")
        if job.state in ("UploadComplete", "InProgress"):
            self._state(job, "Aborted")
        return Reply(200, self._shown(job))

    def results(self, call: Call, id: str) -> Reply:
        job = self.jobs.get(call.caller, id)
        if job.found is None or job.state != "JobComplete":
            raise Fault("INVALIDJOBSTATE", f"the job has no results: it is {job.state}")
        first, count = _number(call, "locator", 0), _number(call, "maxRecords", PAGE)
        if not 0 <= first <= len(job.found):
            raise Fault("INVALID_LOCATOR", "there is no such locator")
        content, shown = job.found.part(first, min(max(count, 1), LARGEST_PAGE))
        after = first + shown
        locator = "null" if after >= len(job.found) else str(after)
        return Reply(200, content, {**CSV, "Sforce-NumberOfRecords": str(shown), "Sforce-Locator": locator})

    def _work(self, job: Job) -> None:
        if job.state != "UploadComplete":
            return
        self._state(job, "InProgress")
        deleted = job.asked["operation"] == "queryAll"
        try:
            columns, records = self.crm.queries.table(job.owner, job.asked["query"], include_deleted=deleted)
            lines = (
                tables.row_text(tables.flattened(record, columns), job.delimiter, job.end)
                for record in records
            )
            job.found = Rows(tables.row_text(columns, job.delimiter, job.end), lines)
        except (Fault, OverflowError) as error:
            self._state(job, "Failed", str(error))
        else:
            if job.state == "InProgress":
                self._state(job, "JobComplete")


def _number(call: Call, name: str, default: int) -> int:
    text = call.query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default


def _moment(value: datetime.datetime) -> str:
    return encode_datetime(value.astimezone(datetime.UTC).replace(tzinfo=None, microsecond=0))
