"""query, queryAll, queryMore, search, retrieve, getUpdated, getDeleted."""

import datetime
import json
from collections.abc import Mapping
from typing import Any

from crmsync.daemon.crm_api.soap.identity import moment
from crmsync.daemon.crm_api.soap.session import Soap
from crmsync.daemon.crm_api.soap.wire import Message, SObject, Typed
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.querying import PAGE, Page
from crmsync.state.replica.records import chosen_fields, to_json
from crmsync.state.replica.values import parse_datetime

__all__ = ["deleted", "query", "query_all", "query_more", "retrieve", "search", "updated"]

MOST_RETRIEVED = 2_000
_ADDRESS = ("city", "country", "countryCode", "geocodeAccuracy", "postalCode", "state", "stateCode", "street")
_PLACE = ("latitude", "longitude")  # what an address has from its base type comes first


def query(soap: Soap, message: Message) -> dict[str, Any]:
    return _first(soap, message, include_deleted=False)


def query_all(soap: Soap, message: Message) -> dict[str, Any]:
    return _first(soap, message, include_deleted=True)


def query_more(soap: Soap, message: Message) -> dict[str, Any]:
    return _page(soap.crm.queries.more(soap.caller, message.text("queryLocator").strip()))


def search(soap: Soap, message: Message) -> dict[str, Any]:
    found = soap.crm.searches.search(soap.caller, message.text("searchString"), "", utc="Z")
    return {"queryId": None, "searchRecords": [{"record": sobject(each)} for each in found]}


def retrieve(soap: Soap, message: Message) -> list[Any]:
    type_ = soap.crm.store.object_type(message.text("sObjectType").strip())
    ids = [each.strip() for each in message.texts("ids", "id")]
    if len(ids) > MOST_RETRIEVED:
        raise Fault(
            "EXCEEDED_ID_LIMIT", f"at most {MOST_RETRIEVED} ids can be retrieved, these are {len(ids)}"
        )
    names = [each.strip() for each in message.text("fieldList").split(",") if each.strip()]
    chosen = chosen_fields(type_, names)
    rows = soap.crm.store.retrieve(soap.caller, type_.name, ids)
    return [None if row is None else sobject(to_json(type_, row, chosen, "", utc="Z")) for row in rows]


def updated(soap: Soap, message: Message) -> dict[str, Any]:
    start, end = _window(message)
    ids, covered = soap.crm.changes.updated(soap.caller, message.text("sObjectType").strip(), start, end)
    return {"ids": ids, "latestDateCovered": moment(covered)}


def deleted(soap: Soap, message: Message) -> dict[str, Any]:
    start, end = _window(message)
    found = soap.crm.changes.deleted(soap.caller, message.text("sObjectType").strip(), start, end)
    return {
        "deletedRecords": [{"deletedDate": moment(when), "id": id_} for id_, when in found.records],
        "earliestDateAvailable": moment(found.earliest_available),
        "latestDateCovered": moment(found.latest_covered),
    }


def _window(message: Message) -> tuple[datetime.datetime, datetime.datetime]:
    try:
        return parse_datetime(message.text("startDate")), parse_datetime(message.text("endDate"))
    except (ValueError, OverflowError) as error:
        raise Fault("INVALID_REPLICATION_DATE", f"startDate and endDate: {error}") from None


def _first(soap: Soap, message: Message, *, include_deleted: bool) -> dict[str, Any]:
    size = PAGE if soap.batch_size is None else soap.batch_size
    text = message.text("queryString")
    page = soap.crm.queries.query(soap.caller, text, "", include_deleted=include_deleted, page=size, utc="Z")
    return _page(page)


def _page(page: Page) -> dict[str, Any]:
    records = [sobject(each) for each in json.loads(page.records)]
    return {"done": page.next is None, "queryLocator": page.next, "records": records, "size": page.total}


def sobject(record: Mapping[str, Any]) -> SObject:
    """A record as REST shows it, as SOAP shows it."""
    type_ = record["attributes"]["type"]
    shown = _typed if type_ == "AggregateResult" else _shown
    fields = tuple((name, shown(value)) for name, value in record.items() if name != "attributes")
    return SObject(type_, record.get("Id"), fields)


def _shown(value: Any) -> Any:
    match value:
        case {"attributes": _}:
            return sobject(value)
        case {"records": records}:
            inner = [sobject(each) for each in records]
            return {"done": True, "queryLocator": None, "records": inner, "size": len(inner)}
        case dict():
            return {name: value.get(name) for name in (*_PLACE, *_ADDRESS)}
    return value


def _typed(value: Any) -> Any:
    """Values of aggregates say what they are."""
    match value:
        case bool():
            return Typed("xsd:boolean", value)
        case int():
            return Typed("xsd:int", value)
        case float():
            return Typed("xsd:double", value)
        case str():
            return Typed("xsd:string", value)
    return value
