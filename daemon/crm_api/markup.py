"""REST in XML, for who asks for it (REST API Developer Guide, "Response Format"): the same values as in JSON.

A list is its name as often as it has entries, `attributes` are attributes, and null is `xsi:nil`. No I/O.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

from lxml import etree

from crmsync.daemon.crm_api.messages import Reply
from crmsync.daemon.crm_api.soap import wire
from crmsync.state.replica.faults import Fault

__all__ = ["in_xml", "is_xml", "parse_xml", "wants_xml"]

MOST_TAGS = 500_000
_DECLARED = '<?xml version="1.0" encoding="UTF-8"?>'
_MEDIA = re.compile(r"\s*([^\s;,]+)[^,]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def wants_xml(accept: str) -> bool:
    """What stands first of those that are known; JSON where it is none."""
    for each in _MEDIA.finditer(accept.lower()):
        if each[1] in ("application/json", "*/*", "application/*"):
            return False
        if each[1] in ("application/xml", "text/xml"):
            return True
    return False


def is_xml(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower() in ("application/xml", "text/xml")


def in_xml(reply: Reply) -> Reply:
    """The same reply; one that is no JSON stays as it is."""
    if reply.content is None or "Content-Type" in reply.headers:
        return reply
    content = json.loads(reply.content) if isinstance(reply.content, bytes) else reply.content
    text = _DECLARED + _root(content)
    headers = {**reply.headers, "Content-Type": "application/xml;charset=UTF-8"}
    return Reply(reply.status, text.encode("utf-8", "replace"), headers)


def parse_xml(body: bytes) -> dict[str, Any]:
    """A record: its children are fields, or a parent with fields of its own; raises Fault."""
    if body.count(b"<") > MOST_TAGS:
        raise Fault("REQUEST_TOO_LARGE", f"the request body has more than {MOST_TAGS} tags")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return _fields(etree.fromstring(body, parser))
    except (etree.XMLSyntaxError, ValueError):
        raise Fault("XML_PARSER_ERROR", "The HTTP entity body is no well-formed XML") from None


def _fields(element: etree._Element) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for each in wire.children(element):
        nil = each.get(f"{{{wire.INSTANCE}}}nil") in ("true", "1")
        nested = next(wire.children(each), None) is not None
        fields[wire.local(each)] = None if nil else _fields(each) if nested else each.text or ""
    return fields


def _root(content: Any) -> str:
    match content:
        case [{"errorCode": _}, *_]:
            return _element("Errors", {"Error": content}, top=True)
        case [{"version": _, "url": _}, *_]:
            return _element("Versions", {"Version": content}, top=True)
        case list():
            return _element("List", {"item": content}, top=True)
        case {"attributes": {"type": str(name)}}:
            return _element(name, content, top=True)
        case {"records": _, "totalSize": _}:
            return _element("QueryResult", content, top=True)
        case {"searchRecords": _}:
            return _element("SearchResult", content, top=True)
        case {"sobjects": _}:
            return _element("DescribeGlobal", content, top=True)
        case {"fields": _, "name": _}:
            return _element("DescribeSObject", content, top=True)
    return _element("Result", content, top=True)


def _element(name: str, value: Any, *, top: bool = False) -> str:
    space = f' xmlns:xsi="{wire.INSTANCE}"' if top else ""
    if not _NAME.fullmatch(name):  # of a statement's own making, as an alias is not
        name = "value"
    match value:
        case dict():
            told = value.get("attributes")
            about = _attributes(told) if isinstance(told, dict) else ""
            below = (_element(k, v) for k, v in value.items() if not (k == "attributes" and about))
            return f"<{name}{space}{about}>{''.join(below)}</{name}>"
        case list():
            return "".join(_element(name, each) for each in value)
    return wire.to_xml(name, value)


def _attributes(told: Mapping[str, Any]) -> str:
    return "".join(f" {name}={quoteattr(str(value))}" for name, value in told.items())
