"""`composite/sobjects`: up to 200 records in one request, a result for each."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from crmsync.daemon.crm_api.messages import Call, Reply
from crmsync.state.replica.faults import Fault, Outcome, Rejected
from crmsync.state.replica.metadata import fold
from crmsync.state.replica.records import chosen_fields, to_json
from crmsync.state.replica.store import Store

__all__ = ["Collections"]

MOST = 200
MOST_RETRIEVED = 2000


class Collections:
    """Handlers; the HTTP status is 200 whatever becomes of the rows."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, call: Call) -> Reply:
        body = call.body_object()
        rows = [(_type_of(record), record) for record in _records(body)]
        if any(_id_of(record) for _, record in rows):
            raise Fault("INVALID_FIELD", "cannot specify Id in an insert call", ("Id",))
        outcomes = self._store.create(call.caller, rows, all_or_none=_all_or_none(body))
        return Reply(200, [_result(outcome) for outcome in outcomes])

    def update(self, call: Call) -> Reply:
        body = call.body_object()
        rows = [(_type_of(record), _id_of(record) or "", record) for record in _records(body)]
        if any(not record_id for _, record_id, _ in rows):
            raise Fault("MISSING_ARGUMENT", "Id not specified in an update call", ("Id",))
        outcomes = self._store.update(call.caller, rows, all_or_none=_all_or_none(body))
        return Reply(200, [_result(outcome) for outcome in outcomes])

    def upsert(self, call: Call, object: str, field: str) -> Reply:
        body = call.body_object()
        records = _records(body)
        if any(fold(_type_of(record)) != fold(object) for record in records):
            raise Fault("INVALID_TYPE", f"Every record must be of type {object[:80]}, as the address says")
        rows = [(_value_of(record, field), record) for record in records]
        outcomes = self._store.upsert(call.caller, object, field, rows, all_or_none=_all_or_none(body))
        return Reply(200, [_upserted(outcome) for outcome in outcomes])

    def delete(self, call: Call) -> Reply:
        ids = [each.strip() for each in call.query.get("ids", "").split(",") if each.strip()]
        _check_count(ids, MOST)
        all_or_none = call.query.get("allOrNone", "false").lower() == "true"
        outcomes = self._store.delete(call.caller, ids, all_or_none=all_or_none)
        return Reply(200, [_result(outcome) for outcome in outcomes])

    def retrieve(self, call: Call, object: str) -> Reply:
        """POST {ids, fields} or GET ?ids=&fields=: the records in that order, null for what is not there."""
        if call.method == "POST":
            body = call.body_object()
            ids, fields = body.get("ids"), body.get("fields")
        else:
            ids, fields = (call.query.get(k, "").split(",") for k in ("ids", "fields"))
        if not _strings(ids) or not _strings(fields):
            raise Fault("JSON_PARSER_ERROR", "ids and fields must be lists of strings")
        type_ = self._store.object_type(object)
        _check_count(ids, MOST_RETRIEVED)
        chosen = chosen_fields(type_, fields)
        rows = self._store.retrieve(call.caller, type_.name, ids)
        return Reply(200, [None if row is None else to_json(type_, row, chosen, call.base) for row in rows])


def _records(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    records = body.get("records")
    if not isinstance(records, list) or not all(isinstance(each, dict) for each in records):
        raise Fault("JSON_PARSER_ERROR", "records must be a list of objects")
    _check_count(records, MOST)
    return records


def _check_count(rows: Sequence[Any], most: int) -> None:
    if not rows:
        raise Fault("REQUIRED_FIELD_MISSING", "Required fields are missing: [records]", ("records",))
    if len(rows) > most:
        what = f"record limit reached. cannot submit more than {most} records into this operation"
        raise Fault("LIMIT_EXCEEDED", what)


def _all_or_none(body: Mapping[str, Any]) -> bool:
    return body.get("allOrNone") in (True, "true")


def _type_of(record: Mapping[str, Any]) -> str:
    attributes = record.get("attributes")
    name = attributes.get("type") if isinstance(attributes, dict) else None
    if not isinstance(name, str):
        raise Fault(
            "INVALID_FIELD", "The type must be specified as attributes.type in each record", ("attributes",)
        )
    return name


def _id_of(record: Mapping[str, Any]) -> str | None:
    value = _value_of(record, "Id")
    if value is not None and not isinstance(value, str):
        raise Fault("JSON_PARSER_ERROR", "Id must be a string", ("Id",))
    return value


def _value_of(record: Mapping[str, Any], name: str) -> Any:
    return next((v for k, v in record.items() if fold(k) == fold(name)), None)


def _strings(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _result(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Rejected):
        errors = [
            {"statusCode": f.code, "message": f.message, "fields": list(f.fields)} for f in outcome.faults
        ]
        failed: dict[str, Any] = {"success": False, "errors": errors}
        return {"id": outcome.id, **failed} if outcome.id else failed
    return {"id": outcome.id, "success": True, "errors": []}


def _upserted(outcome: Outcome) -> dict[str, Any]:
    """Of a row that was refused, `created` says what it would have been."""
    created = outcome.id is None if isinstance(outcome, Rejected) else outcome.created
    return {**_result(outcome), "created": created}
