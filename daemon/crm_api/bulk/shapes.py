"""Bulk 1.0 in its three formats: what comes in, what goes out. No I/O."""

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from lxml import etree

from crmsync.daemon.crm_api.bodies import parse_json
from crmsync.daemon.crm_api.bulk import tables
from crmsync.daemon.crm_api.bulk.work import Result
from crmsync.daemon.crm_api.messages import Reply, status_of
from crmsync.daemon.crm_api.soap import wire
from crmsync.state.replica.faults import Fault

NAMESPACE = "http://www.force.com/2009/06/asyncapi/dataload"
MIME = {"CSV": "text/csv", "XML": "application/xml", "JSON": "application/json"}
MOST_TAGS = 1_000_000  # a tree takes thirty times the bytes of the smallest elements
_DECLARED = '<?xml version="1.0" encoding="UTF-8"?>'
_INSTANCE = f'xmlns:xsi="{wire.INSTANCE}"'


def moment(value: datetime.datetime) -> str:
    return f"{value.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def read_job(body: bytes, as_json: bool) -> dict[str, str]:
    """jobInfo as texts by name; raises Fault (InvalidJob)."""
    if as_json:
        given = parse_json(body)
        if not isinstance(given, dict):
            raise Fault("InvalidJob", "jobInfo must be an object")
        return {str(k): str(v) for k, v in given.items() if v is not None}
    return {wire.local(each): (each.text or "").strip() for each in wire.children(_xml(body, "InvalidJob"))}


def read_rows(body: bytes, content_type: str) -> list[Mapping[str, Any]]:
    """The records of a batch; raises Fault (InvalidBatch)."""
    match content_type:
        case "CSV":
            header, rows = tables.read(body)
            return [tables.fields_of(header, row) for row in rows]
        case "JSON":
            given = parse_json(body)
            if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
                raise Fault("InvalidBatch", "a list of objects was expected")
            return given
    if body.count(b"<") > MOST_TAGS:
        raise Fault("ExceededQuota", f"a batch cannot have more than {MOST_TAGS} tags")
    records = [each for each in wire.children(_xml(body, "InvalidBatch")) if wire.local(each) == "sObject"]
    return [_record(each) for each in records]


def _record(element: etree._Element) -> dict[str, Any]:
    """An sObject: here xsi:nil empties a field, and a reference holds an sObject of its own."""
    fields: dict[str, Any] = {}
    for each in wire.children(element):
        inner = next((c for c in wire.children(each) if wire.local(c) == "sObject"), None)
        nil = each.get(f"{{{wire.INSTANCE}}}nil") in ("true", "1")
        fields[wire.local(each)] = None if nil else each.text or "" if inner is None else _reference(inner)
    return fields


def _reference(element: etree._Element) -> dict[str, Any]:
    fields = _record(element)
    type_ = fields.pop("type", None)
    return {**({"attributes": {"type": type_}} if type_ else {}), **fields}


def _xml(body: bytes, code: str) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise Fault(code, "the content is no well-formed XML") from None


def job(info: Mapping[str, Any], as_json: bool, status: int = 200) -> Reply:
    return _reply("jobInfo", info, as_json, status)


def batch(info: Mapping[str, Any], as_json: bool, status: int = 200) -> Reply:
    return _reply("batchInfo", info, as_json, status)


def batches(infos: Sequence[Mapping[str, Any]], as_json: bool) -> Reply:
    return _reply("batchInfoList", {"batchInfo": infos}, as_json, 200)


def result_list(ids: Sequence[str], as_json: bool) -> Reply:
    if as_json:
        return Reply(200, json.dumps(ids).encode(), {"Content-Type": MIME["JSON"]})
    return _reply("result-list", {"result": ids}, False, 200)


def fault(error: Fault, as_json: bool) -> Reply:
    info = {"exceptionCode": _code(error.code), "exceptionMessage": error.message}
    expired = error.code == "INVALID_SESSION_ID"  # 400 here, by which jsforce knows it; REST says 401
    return _reply("error", info, as_json, 400 if expired else status_of(error))


def _code(code: str) -> str:
    here = {
        "INVALID_SESSION_ID": "InvalidSessionId",
        "NOT_FOUND": "InvalidUrl",
        "LIMIT_EXCEEDED": "ExceededQuota",
    }
    return here.get(code, code)


def _reply(root: str, content: Mapping[str, Any], as_json: bool, status: int) -> Reply:
    if as_json:
        shown = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
        return Reply(status, shown, {"Content-Type": MIME["JSON"]})
    lines = "".join(wire.to_xml(name, value) for name, value in content.items())
    text = f'{_DECLARED}<{root} xmlns="{NAMESPACE}" {_INSTANCE}>{lines}</{root}>'
    return Reply(status, text.encode("utf-8", "replace"), {"Content-Type": MIME["XML"]})


def results(found: Sequence[Result], content_type: str) -> Reply:
    """What became of the rows of a batch."""
    match content_type:
        case "CSV":
            rows = [("Id", "Success", "Created", "Error")]
            rows += [(each.id, each.ok, each.created, each.error) for each in found]  # type: ignore[misc]
            return Reply(
                200,
                "".join(map(tables.row_text, rows)).encode("utf-8", "replace"),
                {"Content-Type": MIME["CSV"]},
            )
        case "JSON":
            shown = json.dumps([_shown(each) for each in found], ensure_ascii=False).encode(
                "utf-8", "replace"
            )
            return Reply(200, shown, {"Content-Type": MIME["JSON"]})
    return _reply("results", {"result": [_ordered(each) for each in found]}, False, 200)


def _shown(result: Result) -> dict[str, Any]:
    errors = [{"message": f.message, "fields": list(f.fields), "statusCode": f.code} for f in result.faults]
    return {"success": result.ok, "created": result.created, "id": result.id or None, "errors": errors}


def _ordered(result: Result) -> dict[str, Any]:
    shown = _shown(result)
    return {"id": shown["id"], "success": result.ok, "created": result.created, "errors": shown["errors"]}


def query_lines(
    columns: Sequence[str], records: Iterator[Mapping[str, Any]], content_type: str, name: str
) -> tuple[str, Iterator[str]]:
    """(what stands first, one text for each record); `closed` says what stands last."""
    match content_type:
        case "CSV":
            return tables.row_text(columns), (
                tables.row_text(tables.flattened(each, columns)) for each in records
            )
        case "JSON":
            return "[", (f"{json.dumps(each, ensure_ascii=False)}," for each in records)
    head = f'{_DECLARED}<queryResult xmlns="{NAMESPACE}" {_INSTANCE}>'
    return head, (_xml_record(each, columns, name) for each in records)


def _xml_record(record: Mapping[str, Any], columns: Sequence[str], name: str) -> str:
    cells = zip(columns, tables.flattened(record, columns), strict=True)
    lines = "".join(wire.to_xml(column, value) for column, value in cells if "." not in column)
    return f'<records xsi:type="sObject"><type>{escape(name)}</type>{lines}</records>'


def closed(content: bytes, content_type: str) -> bytes:
    """A query's result with its end."""
    match content_type:
        case "JSON":
            return content.removesuffix(b",") + b"]"
        case "XML":
            return content + b"</queryResult>"
    return content
