"""create, update, upsert, delete, undelete, emptyRecycleBin, merge, convertLead: a result for each row."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from lxml import etree

from crmsync.daemon.crm_api.soap.session import Soap
from crmsync.daemon.crm_api.soap.wire import Message, children, local, record
from crmsync.state.replica.converting import Conversion
from crmsync.state.replica.faults import Fault, Outcome, Rejected
from crmsync.state.replica.metadata import fold

__all__ = ["convert_lead", "create", "delete", "empty_recycle_bin", "merge", "undelete", "update", "upsert"]

MOST = 200

Result = dict[str, Any]


def create(soap: Soap, message: Message) -> list[Result]:
    rows = _records(message)
    outcomes = soap.crm.store.create(
        soap.caller, [(type_, fields) for type_, _, fields in rows], all_or_none=soap.all_or_none
    )
    return [_saved(each) for each in outcomes]


def update(soap: Soap, message: Message) -> list[Result]:
    rows = [(type_, id_ or "", fields) for type_, id_, fields in _records(message)]
    return [_saved(each) for each in soap.crm.store.update(soap.caller, rows, all_or_none=soap.all_or_none)]


def upsert(soap: Soap, message: Message) -> list[Result]:
    key, rows = message.text("externalIDFieldName").strip(), _records(message)
    if len({fold(type_) for type_, _, _ in rows}) > 1:
        raise Fault("INVALID_TYPE", "upsert takes records of one type")
    pairs = [
        (
            id_ if fold(key) == "id" else _value(fields, key),
            {k: v for k, v in fields.items() if fold(k) != fold(key)},
        )
        for _, id_, fields in rows
    ]
    if not rows:
        return []
    outcomes = soap.crm.store.upsert(soap.caller, rows[0][0], key, pairs, all_or_none=soap.all_or_none)
    return [{"created": not isinstance(o, Rejected) and o.created, **_saved(o)} for o in outcomes]


def delete(soap: Soap, message: Message) -> list[Result]:
    ids = _ids(message)
    return [_saved(each) for each in soap.crm.store.delete(soap.caller, ids, all_or_none=soap.all_or_none)]


def undelete(soap: Soap, message: Message) -> list[Result]:
    return [_saved(each) for each in soap.crm.recycle_bin.undelete(soap.caller, _ids(message))]


def empty_recycle_bin(soap: Soap, message: Message) -> list[Result]:
    return [_saved(each) for each in soap.crm.recycle_bin.empty(soap.caller, _ids(message))]


def merge(soap: Soap, message: Message) -> list[Result]:
    """jsforce writes `mergeRequests` where the WSDL says `request`."""
    asked = [*message.all("request"), *message.all("mergeRequests")]
    return [_tried(lambda request=each: _merged(soap, request)) for each in asked]  # type: ignore[misc]


def _merged(soap: Soap, request: etree._Element) -> Result:
    master = next((each for each in children(request) if local(each) == "masterRecord"), None)
    if master is None:
        raise Fault("MISSING_ARGUMENT", "masterRecord not specified")
    type_, id_, fields = record(master)
    losers = [(each.text or "").strip() for each in children(request) if local(each) == "recordToMergeIds"]
    found = soap.crm.merger.merge(soap.caller, type_, id_ or "", fields, losers)
    return {
        "id": found.master,
        "mergedRecordIds": list(found.losers),
        "success": True,
        "updatedRelatedIds": list(found.moved),
    }


def convert_lead(soap: Soap, message: Message) -> list[Result]:
    asked = message.all("leadConverts")
    if len(asked) > MOST:
        raise _too_many(len(asked))
    return [_tried(lambda lead=each: _converted(soap, lead), _NO_RECORDS) for each in asked]  # type: ignore[misc]


def _converted(soap: Soap, lead: etree._Element) -> Result:
    given = {local(each): (each.text or "").strip() for each in children(lead)}
    made = soap.crm.converter.convert(
        soap.caller,
        Conversion(
            given.get("leadId", ""),
            given.get("convertedStatus", ""),
            given.get("accountId") or None,
            given.get("contactId") or None,
            given.get("opportunityId") or None,
            given.get("opportunityName") or None,
            create_opportunity=not _true(given.get("doNotCreateOpportunity")),
            overwrite_source=_true(given.get("overwriteLeadSource")),
            owner=given.get("ownerId") or None,
        ),
    )
    return {
        "accountId": made.account,
        "contactId": made.contact,
        "leadId": made.lead,
        "opportunityId": made.opportunity,
        "success": True,
    }


_NO_RECORDS = {"accountId": None, "contactId": None}


def _tried(action: Callable[[], Result], before: Result | None = None) -> Result:
    """The result, or what kept it from being one; `before` is what stands ahead of the errors then."""
    try:
        return action()
    except Fault as fault:
        if before is None:
            return {"errors": [_error(fault)], "id": None, "success": False}
        return {**before, "errors": [_error(fault)], "leadId": None, "opportunityId": None, "success": False}


def _records(message: Message) -> list[tuple[str, str | None, dict[str, Any]]]:
    elements = message.all("sObjects")
    if len(elements) > MOST:
        raise _too_many(len(elements))
    return [record(each) for each in elements]


def _ids(message: Message) -> list[str]:
    """pyforce writes `id` where the WSDL says `ids`."""
    ids = [each.strip() for each in message.texts("ids", "id")]
    if len(ids) > MOST:
        raise _too_many(len(ids))
    return ids


def _too_many(count: int) -> Fault:
    return Fault(
        "EXCEEDED_ID_LIMIT",
        f"record limit reached. cannot submit more than {MOST} records, these are {count}",
    )


def _saved(outcome: Outcome) -> Result:
    if isinstance(outcome, Rejected):
        errors = _errors(outcome.faults)
        return {"errors": errors, "id": None, "success": False}
    return {"id": outcome.id, "success": True}


def _errors(faults: Iterable[Fault]) -> Sequence[Result]:
    return [_error(each) for each in faults]


def _error(fault: Fault) -> Result:
    return {"fields": list(fault.fields), "message": fault.message, "statusCode": fault.code}


def _value(fields: dict[str, Any], name: str) -> Any:
    return next((v for k, v in fields.items() if fold(k) == fold(name)), None)


def _true(text: str | None) -> bool:
    return (text or "").lower() in ("true", "1")
