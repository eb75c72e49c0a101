"""Single records: `sobjects/X`, `sobjects/X/id`, `sobjects/X/ExternalId/value`, and their HTTP conditions."""

import base64
from collections.abc import Sequence
from typing import Any

from crmsync.daemon.crm_api.conditions import condition, etag, http_date, stamp, unmodified
from crmsync.daemon.crm_api.messages import Call, Reply, fault_json, status_of
from crmsync.daemon.crm_api.relationships import Children
from crmsync.state.replica import faults, ids
from crmsync.state.replica.faults import Ambiguous, Fault, Outcome, Rejected
from crmsync.state.replica.metadata import Field, ObjectType, fold
from crmsync.state.replica.records import Row, chosen_fields, to_json
from crmsync.state.replica.store import Store

__all__ = ["Records"]

ANSWERED_UPDATES = 46.0  # before that version an upsert that found its record had no content in its answer


class Records:
    """Handlers; each takes the call and the variables of its route."""

    def __init__(self, store: Store, children: Children | None = None) -> None:
        self._store, self._children = store, children

    def create(self, call: Call, object: str) -> Reply:
        type_ = self._type(object)
        body = call.body_object()
        if any(fold(k) == "id" and v for k, v in body.items()):
            raise Fault("INVALID_FIELD", "cannot specify Id in an insert call", ("Id",))
        outcome = self._store.create(call.caller, [(type_.name, body)])[0]
        return _created(call, type_, outcome)

    def read(self, call: Call, object: str, id: str) -> Reply:
        type_ = self._type(object)
        _check_id(id)
        if not id.startswith(type_.prefix):
            raise faults.not_found()
        return self._show(call, type_, self._store.read(call.caller, type_.name, id))

    def read_by_key(self, call: Call, object: str, field: str, value: str) -> Reply:
        type_ = self._type(object)
        child = self._children and self._children.known(object, field, value)
        if self._children and child:  # sobjects/Account/id/Contacts
            return self._children.read(call, object, field, child)
        content = type_.find(value)
        if content is not None and content.type == "base64":  # sobjects/Attachment/id/Body
            row = self._store.read(call.caller, type_.name, field)
            return Reply(
                200, base64.b64decode(row[content.name] or ""), {"Content-Type": "application/octet-stream"}
            )
        reference = type_.relationship(value)
        if reference is not None and ids.is_valid(field):  # sobjects/Contact/id/Account
            return self._parent(call, type_, field, reference)
        try:
            row = self._store.find(call.caller, type_.name, field, value)
        except Ambiguous as several:
            return _choices(call, type_, several)
        return self._show(call, type_, row)

    def _parent(self, call: Call, type_: ObjectType, record_id: str, reference: Field) -> Reply:
        target = self._store.read(call.caller, type_.name, record_id)[reference.name]
        of = self._store.schema.of_id(target or "")
        if of is None:
            raise faults.not_found()
        return self._show(call, of, self._store.read(call.caller, of.name, target))

    def update(self, call: Call, object: str, id: str) -> Reply:
        type_ = self._type(object)
        _check_id(id)
        body = call.body_object()
        if any(fold(k) == "id" for k in body):
            what = "The Id field should not be specified in the sobject data."
            raise Fault("INVALID_FIELD", what, ("Id",))
        guard = condition(call.headers)
        return _changed(self._store.update(call.caller, [(type_.name, id, body)], guard=guard)[0])

    def upsert(self, call: Call, object: str, field: str, value: str) -> Reply:
        type_ = self._type(object)
        if call.query.get("updateOnly", "").lower() == "true":
            self._store.find(call.caller, type_.name, field, value)  # or there is nothing to do
        outcome = self._store.upsert(call.caller, type_.name, field, [(value, call.body_object())])[0]
        if isinstance(outcome, Rejected):
            first = outcome.faults[0]
            return _choices(call, type_, first) if isinstance(first, Ambiguous) else _changed(outcome)
        if not outcome.created and float(call.version) < ANSWERED_UPDATES:
            return Reply(204)
        return Reply(201 if outcome.created else 200, _success(outcome.id, created=outcome.created))

    def delete(self, call: Call, object: str, id: str) -> Reply:
        type_ = self._type(object)
        _check_id(id)
        return _changed(self._store.delete(call.caller, [id], object_name=type_.name)[0])

    def delete_by_key(self, call: Call, object: str, field: str, value: str) -> Reply:
        try:
            row = self._store.find(call.caller, object, field, value)
        except Ambiguous as several:
            return _choices(call, self._type(object), several)
        return self.delete(call, object, row["Id"])

    def _type(self, name: str) -> ObjectType:
        type_ = self._store.schema.find(name)
        if type_ is None:
            raise faults.not_found()
        return type_

    def _show(self, call: Call, type_: ObjectType, row: Row) -> Reply:
        names = call.query.get("fields")
        chosen = chosen_fields(type_, names.split(",") if names else None)
        headers = {"ETag": etag(row), "Last-Modified": http_date(stamp(row))}
        if unmodified(call.headers, row):
            return Reply(304, None, headers)
        return Reply(200, to_json(type_, row, chosen, call.base), headers)


def _success(record_id: str, **more: Any) -> dict[str, Any]:
    return {"id": record_id, "success": True, "errors": [], **more}


def _choices(call: Call, type_: ObjectType, several: Ambiguous) -> Reply:
    """REST API Developer Guide, "Status Codes and Error Responses", 300: a list of addresses, and no error object."""
    return Reply(300, [f"{call.base}/sobjects/{type_.name}/{each}" for each in several.ids])


def _created(call: Call, type_: ObjectType, outcome: Outcome) -> Reply:
    if isinstance(outcome, Rejected):
        return _refused(outcome.faults)
    location = f"{call.base}/sobjects/{type_.name}/{outcome.id}"
    return Reply(201, _success(outcome.id), {"Location": location})


def _changed(outcome: Outcome) -> Reply:
    return _refused(outcome.faults) if isinstance(outcome, Rejected) else Reply(204)


def _refused(given: Sequence[Fault]) -> Reply:
    """Of a write, errors always have `fields`."""
    first = given[0]
    absent = first.code in ("INVALID_CROSS_REFERENCE_KEY", "ENTITY_IS_DELETED")
    status = status_of(first)
    if absent:  # the record of the address itself, or one that a field leads to
        status = 400 if first.fields else 404
    return Reply(status, [{**fault_json(f), "fields": list(f.fields)} for f in given])


def _check_id(text: str) -> None:
    """What is no id is taken for the name of an external id field, whose value is missing."""
    if not ids.is_valid(text):
        what = f"Provided external ID field does not exist or is not accessible: {text[:80]}"
        raise Fault("NOT_FOUND", what)
