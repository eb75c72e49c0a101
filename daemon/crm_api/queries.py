"""`query`, `queryAll` and their further pages; `updated` and `deleted`."""

import json
import re
from collections.abc import Callable
from typing import Any

from crmsync.daemon.crm_api.messages import Call, Reply
from crmsync.state.replica.changes import Changes
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.querying import PAGE, Page, Queries
from crmsync.state.replica.values import encode_datetime, parse_datetime

__all__ = ["QueryHandlers", "page_rows"]

_BATCH_SIZE = re.compile(r"batchSize\s*=\s*(\d{1,6})", re.IGNORECASE)


class QueryHandlers:
    """Handlers; each takes the call and the variables of its route."""

    def __init__(
        self, queries: Queries, changes: Changes, explain: Callable[[str], str | None] = lambda _: None
    ) -> None:
        """`explain` gives the statement of what else may be explained: list views."""
        self._queries, self._changes, self._explain = queries, changes, explain

    def query(self, call: Call) -> Reply:
        return self._first(call, include_deleted=False)

    def query_all(self, call: Call) -> Reply:
        return self._first(call, include_deleted=True)

    def more(self, call: Call, locator: str) -> Reply:
        return _page(call, self._queries.more(call.caller, locator))

    def updated(self, call: Call, object: str) -> Reply:
        start, end = _window(call)
        ids, covered = self._changes.updated(call.caller, object, start, end)
        return Reply(200, {"ids": ids, "latestDateCovered": encode_datetime(covered)})

    def deleted(self, call: Call, object: str) -> Reply:
        start, end = _window(call)
        found = self._changes.deleted(call.caller, object, start, end)
        records = [{"deletedDate": encode_datetime(when), "id": id_} for id_, when in found.records]
        content = {
            "deletedRecords": records,
            "earliestDateAvailable": encode_datetime(found.earliest_available),
            "latestDateCovered": encode_datetime(found.latest_covered),
        }
        return Reply(200, content)

    def _explained(self, call: Call, text: str) -> Reply:
        """There is no plan to tell of; clients look at the object and the frame."""
        name = self._queries.object_of(call.caller, text)
        plan = {
            "cardinality": 1, "fields": [], "leadingOperationType": "TableScan", "notes": [], "relativeCost": 1.0,
            "sobjectCardinality": 1, "sobjectType": name,
        }  # fmt: skip
        return Reply(200, {"plans": [plan], "sourceQuery": text})

    def _columns(self, call: Call, text: str) -> Reply:
        """`&columns=true`: what the columns of the answer are, for tables of them."""
        described = self._queries.described(call.caller, text)
        name, prefix = described.object, described.prefix
        content = {
            "columnMetadata": [_column(column, type_) for column, type_ in described.columns],
            "entityName": name,
            "groupBy": described.grouped,
            "idSelected": any(column == "Id" for column, _ in described.columns),
            "keyPrefix": prefix,
        }
        return Reply(200, content)

    def _first(self, call: Call, *, include_deleted: bool) -> Reply:
        if "explain" in call.query:
            asked = call.query["explain"]
            return self._explained(call, self._explain(asked) or asked)
        text = call.query.get("q")
        if text and call.query.get("columns", "").lower() == "true":
            return self._columns(call, text)
        if not text:
            raise Fault("MALFORMED_QUERY", "A query string has to be specified, as the parameter q")
        return self.answered(call, text, include_deleted=include_deleted)

    def answered(self, call: Call, text: str, *, include_deleted: bool = False) -> Reply:
        """The first page, in the size that the client asks for."""
        wanted = _BATCH_SIZE.search(call.headers.get("sforce-query-options", ""))
        size = int(wanted[1]) if wanted else PAGE
        page = self._queries.query(call.caller, text, call.base, include_deleted=include_deleted, page=size)
        return _page(call, page)


def page_rows(page: Page) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(page.records)
    return rows


def _page(call: Call, page: Page) -> Reply:
    """The records are JSON already; only the frame is written here."""
    frame: dict[str, Any] = {"totalSize": page.total, "done": page.next is None}
    if page.next is not None:
        path = call.path[0] if call.path[0].lower() in ("query", "queryall") else "query"
        frame["nextRecordsUrl"] = f"{call.base}/{path}/{page.next}"
    return Reply(200, json.dumps(frame)[:-1].encode() + b',"records":' + page.records + b"}")


_APEX = {"id": "Id", "reference": "Id", "boolean": "Boolean", "int": "Integer", "double": "Double",
         "currency": "Double", "percent": "Double", "date": "Date", "datetime": "Datetime"}  # fmt: skip


def _column(name: str, type_: str) -> dict[str, Any]:
    return {
        "aggregate": False,
        "apexType": _APEX.get(type_, "String"),
        "booleanType": type_ == "boolean",
        "columnName": name,
        "custom": name.endswith("__c"),
        "displayName": name,
        "foreignKeyName": None,
        "insertable": False,
        "joinColumns": [],
        "numberType": type_ in ("int", "double", "currency", "percent"),
        "textType": type_ not in _APEX,
        "updatable": False,
    }


def _window(call: Call) -> Any:
    try:
        return tuple(parse_datetime(call.query[name].replace(" ", "+")) for name in ("start", "end"))
    except KeyError as missing:
        raise Fault("INVALID_REPLICATION_DATE", f"parameter {missing} is missing") from None
    except (ValueError, OverflowError) as error:
        raise Fault("INVALID_REPLICATION_DATE", f"start and end: {error}") from None
