"""One request and its answer, free of any web framework, so that `composite` can make requests of its own."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault

__all__ = ["Call", "Reply", "fault_json", "fault_reply", "status_of"]

STATUS = {
    "NOT_FOUND": 404,
    "ENTITY_IS_DELETED": 404,
    "INSUFFICIENT_ACCESS_OR_READONLY": 403,
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": 403,
    "REQUEST_LIMIT_EXCEEDED": 403,
    "INVALID_SESSION_ID": 401,
    "METHOD_NOT_ALLOWED": 405,
    "PRECONDITION_FAILED": 412,
    "REQUEST_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "UNKNOWN_EXCEPTION": 500,
    "SERVER_UNAVAILABLE": 503,
}


@dataclass(frozen=True, slots=True)
class Call:
    """A request to the REST API. `path` holds the decoded segments after the version, `origin` is scheme and host."""

    method: str
    path: tuple[str, ...]
    caller: Caller
    version: str
    origin: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)  # names in lower case
    load: Callable[[], Any] = lambda: None  # the JSON body; raises Fault
    raw: Callable[[], bytes] = lambda: b""  # the body as it is; raises Fault

    @property
    def base(self) -> str:
        return f"/services/data/v{self.version}"

    def body_object(self) -> dict[str, Any]:
        """The body, which must be a JSON object; raises Fault."""
        body = self.load()
        if not isinstance(body, dict):
            raise Fault("JSON_PARSER_ERROR", "The HTTP entity body is required, and must be a JSON object")
        return body


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; `content` becomes JSON, None an empty body. Bytes go out as they are."""

    status: int = 200
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def payload(self) -> bytes:
        if self.content is None:
            return b""
        if isinstance(self.content, bytes):
            return self.content
        return json.dumps(self.content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def status_of(fault: Fault) -> int:
    return STATUS.get(fault.code, 400)


def fault_json(fault: Fault) -> dict[str, Any]:
    """A fault as a request's error has it; `fields` stands only on those about fields."""
    error: dict[str, Any] = {"message": fault.message, "errorCode": fault.code}
    return {**error, "fields": list(fault.fields)} if fault.fields else error


def fault_reply(*faults: Fault) -> Reply:
    """The list of errors that Salesforce answers with, also for one."""
    return Reply(status_of(faults[0]), [fault_json(f) for f in faults])
