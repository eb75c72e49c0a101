"""The API's handlers as functions of one person: the same calls that a client makes over HTTP, in process.

One desk serves one request: what it was told of objects it keeps that long.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crmsync.daemon.crm_api.messages import Call, Reply
from crmsync.daemon.crm_pages import shapes
from crmsync.daemon.crm_pages.shapes import Kind, Shape
from crmsync.state.replica.access import Caller

__all__ = ["Desk", "Record", "Refused", "quoted"]

VERSION = "59.0"
AT_ONCE = 200  # ids in one query


@dataclass(frozen=True, slots=True)
class Problem:
    message: str
    code: str
    fields: Sequence[str] = ()


class Refused(Exception):
    """The CRM says no."""

    def __init__(self, status: int, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(each.message for each in problems))
        self.status = status
        self.problems = problems

    @property
    def changed(self) -> bool:
        """The record is not what it was any more."""
        return self.status == 412


@dataclass(frozen=True, slots=True)
class Record:
    id: str
    values: Mapping[str, Any]
    version: str  # its ETag


@dataclass(slots=True)
class Desk:
    api: Callable[[Call], Reply]
    caller: Caller
    origin: str = ""
    _kinds: dict[str, Kind] | None = None
    _shapes: dict[str, Shape] = field(default_factory=dict)
    _layouts: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    # ── What there is ────────────────────────────────────────────────────────────────────────────────────────

    def kinds(self) -> Mapping[str, Kind]:
        if self._kinds is None:
            self._kinds = shapes.kinds(self._content("GET", "sobjects"))
        return self._kinds

    def kind_of(self, record_id: str) -> Kind | None:
        return next((k for k in self.kinds().values() if k.prefix and k.prefix == record_id[:3]), None)

    def shape(self, name: str) -> Shape:
        if name not in self._shapes:
            self._shapes[name] = Shape.of(self._content("GET", "sobjects", name, "describe"))
        return self._shapes[name]

    def layout(self, name: str) -> Mapping[str, Any]:
        if name not in self._layouts:
            self._layouts[name] = self._content("GET", "sobjects", name, "describe", "layouts")
        return self._layouts[name]

    # ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, name: str, record_id: str) -> Record:
        reply = self._call("GET", ("sobjects", name, record_id))
        values = _parsed(reply)
        return Record(values["Id"], values, reply.headers.get("ETag", ""))

    def query(self, soql: str) -> list[dict[str, Any]]:
        """The first page of it."""
        return list(self._content("GET", "query", q=soql)["records"])

    def count(self, soql: str) -> int:
        """Of a ``SELECT COUNT()``."""
        return int(self._content("GET", "query", q=soql)["totalSize"])

    def search(self, body: Mapping[str, Any]) -> list[dict[str, Any]]:
        found = self._content("POST", "parameterizedSearch", body=body)
        return list(found["searchRecords"])

    def names(self, record_ids: Iterable[Any]) -> dict[str, str]:
        """Id -> what the record is called; what this person may not see is left out."""
        wanted: dict[str, list[str]] = {}
        for record_id in dict.fromkeys(each for each in record_ids if isinstance(each, str) and each):
            kind = self.kind_of(record_id)
            if kind is not None:
                wanted.setdefault(kind.name, []).append(record_id)
        found: dict[str, str] = {}
        for name, ids in wanted.items():
            for start in range(0, len(ids), AT_ONCE):
                found |= self._named(name, ids[start : start + AT_ONCE])
        return found

    def _named(self, name: str, ids: Sequence[str]) -> dict[str, str]:
        called = self.shape(name).name_field
        listed = ", ".join(quoted(each) for each in ids)
        columns = "Id" if called == "Id" else f"Id, {called}"
        try:
            rows = self.query(f"SELECT {columns} FROM {name} WHERE Id IN ({listed})")
        except Refused:  # an object that cannot be asked: its records go by their ids
            return {}
        return {row["Id"]: str(row[called] or row["Id"]) for row in rows}

    def rights(self, record_id: str) -> tuple[bool, bool]:
        """Whether this person may edit and delete it. Where the CRM does not say, it will when it is tried."""
        soql = (
            "SELECT RecordId, HasEditAccess, HasDeleteAccess FROM UserRecordAccess "
            f"WHERE UserId = {quoted(self.caller.user_id)} AND RecordId = {quoted(record_id)}"
        )
        try:
            rows = self.query(soql)
        except Refused:
            return True, True
        return (bool(rows[0]["HasEditAccess"]), bool(rows[0]["HasDeleteAccess"])) if rows else (False, False)

    # ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────

    def create(self, name: str, values: Mapping[str, Any]) -> str:
        return str(self._content("POST", "sobjects", name, body=values)["id"])

    def update(self, name: str, record_id: str, values: Mapping[str, Any], version: str) -> None:
        """Raises Refused, ``changed`` when the record is not at that version any more."""
        self._call("PATCH", ("sobjects", name, record_id), body=values, headers={"if-match": version})

    def delete(self, name: str, record_id: str) -> None:
        self._call("DELETE", ("sobjects", name, record_id))

    # ── The call ─────────────────────────────────────────────────────────────────────────────────────────────

    def _content(self, method: str, *path: str, body: Any = None, **query: str) -> Any:
        return _parsed(self._call(method, path, body=body, query=query))

    def _call(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        more = (query or {}, headers or {}, lambda: body)
        reply = self.api(Call(method, path, self.caller, VERSION, self.origin, *more))
        if reply.status >= 400:
            raise Refused(reply.status, list(_problems(_parsed(reply))))
        return reply


def quoted(text: str) -> str:
    """A SOQL string."""
    escaped = "".join(_ESCAPES.get(each, each) for each in text)
    return f"'{escaped}'"


_ESCAPES = {
    "\\": "\\\\",
    "'": "\\'",
    '"': '\\"',
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\b": "\\b",
    "\f": "\\f",
}


def _parsed(reply: Reply) -> Any:
    return json.loads(reply.content) if isinstance(reply.content, bytes) else reply.content


def _problems(errors: Any) -> Iterable[Problem]:
    for each in errors if isinstance(errors, list) else [errors]:
        yield Problem(
            str(each.get("message", "")), str(each.get("errorCode", "")), tuple(each.get("fields") or ())
        )
