"""SOAP 1.1 messages of the partner WSDL: bytes to a `Message`, values to XML. No I/O.

Clients differ in everything that XML leaves open (prefixes, fields without a namespace, an `id` for `ids`), so
elements are found by their local names. Replies follow the WSDL's order to the letter: strict clients check it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from crmsync.state.replica.faults import Fault

__all__ = ["Message", "SObject", "Typed", "envelope", "fault", "parse", "session_in", "to_xml"]

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
PARTNER = "urn:partner.soap.sforce.com"
SOBJECT = "urn:sobject.partner.soap.sforce.com"
FAULT = "urn:fault.partner.soap.sforce.com"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
SCHEMA = "http://www.w3.org/2001/XMLSchema"
MOST_BYTES = 10 * 1024 * 1024
MOST_TAGS = (
    500_000  # a tree takes thirty times the bytes of the smallest elements; 200 records have far fewer
)
_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_NIL = f"{{{INSTANCE}}}nil"

# The element in a fault's detail, by exception code; the ones of queries carry row and column.
_FAULTS = {
    "INVALID_LOGIN": "LoginFault",
    "LOGIN_RATE_EXCEEDED": "LoginFault",
    "MALFORMED_QUERY": "MalformedQueryFault",
    "INVALID_FIELD": "InvalidFieldFault",
    "INVALID_TYPE": "InvalidSObjectFault",
    "MALFORMED_SEARCH": "MalformedSearchFault",
    "INVALID_QUERY_LOCATOR": "InvalidQueryLocatorFault",
    "INVALID_ID_FIELD": "InvalidIdFault",
    "MALFORMED_ID": "InvalidIdFault",
}
_PLACED = frozenset(
    {"MalformedQueryFault", "InvalidFieldFault", "InvalidSObjectFault", "MalformedSearchFault"}
)


@dataclass(frozen=True, slots=True)
class Message:
    """One request: `body` is the operation's element, `headers` the texts of SOAP headers by their path."""

    operation: str
    body: etree._Element
    headers: Mapping[str, str]

    def text(self, name: str) -> str:
        """Of the first child that is called so, without regard to case; empty when there is none."""
        return next(iter(self.texts(name)), "")

    def texts(self, *names: str) -> list[str]:
        wanted = {name.lower() for name in names}
        return [each.text or "" for each in children(self.body) if local(each).lower() in wanted]

    def all(self, name: str) -> list[etree._Element]:
        return [each for each in children(self.body) if local(each).lower() == name.lower()]


@dataclass(frozen=True, slots=True)
class SObject:
    """A record in a reply: `fields` in order; a value is text, a nested SObject, or a dict."""

    type: str
    id: str | None
    fields: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Typed:
    """A value whose element says its type: `xsd:int`."""

    type: str
    value: Any


def parse(body: bytes) -> Message:
    """Raises Fault (UNKNOWN_EXCEPTION, INVALID_OPERATION) for what is no SOAP message."""
    if len(body) > MOST_BYTES:
        raise Fault("REQUEST_TOO_LARGE", f"the message is larger than {MOST_BYTES} bytes")
    if body.count(b"<") > MOST_TAGS:
        raise Fault("REQUEST_TOO_LARGE", f"the message has more than {MOST_TAGS} tags")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise Fault("UNKNOWN_EXCEPTION", "the request is no well-formed XML") from None
    content = next((part for part in children(root) if local(part) == "Body"), None)
    operation = next(iter(children(content)), None) if content is not None else None
    if operation is None or local(root) != "Envelope":
        raise Fault("INVALID_OPERATION", "a SOAP envelope with an operation in its body was expected")
    return Message(local(operation), operation, dict(_headers(root)))


def session_in(start: bytes) -> str:
    """The session id of a message whose beginning this is; empty where none stands in it."""
    parser = etree.XMLPullParser(
        ["end"], resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        parser.feed(start)
        elements: Iterator[etree._Element] = (each for _, each in parser.read_events())  # type: ignore[misc]
        for element in elements:
            above = element.getparent()
            if local(element) == "sessionId" and above is not None and local(above) == "SessionHeader":
                return (element.text or "").strip()
    except (etree.XMLSyntaxError, ValueError):
        pass
    return ""


def _headers(root: etree._Element) -> Iterator[tuple[str, str]]:
    for header in children(root):
        if local(header) == "Header":
            for part in children(header):
                for value in children(part):
                    yield f"{local(part)}/{local(value)}", value.text or ""


def children(element: etree._Element) -> Iterator[etree._Element]:
    """Its elements, without comments and processing instructions."""
    return (each for each in element if isinstance(each.tag, str))


def local(element: etree._Element) -> str:
    return str(etree.QName(element).localname)


def record(element: etree._Element) -> tuple[str, str | None, dict[str, Any]]:
    """(type, id, fields) of an sObject in a request; what `fieldsToNull` names is None."""
    type_, record_id, fields = "", None, {}
    nulls: list[str] = []
    for each in children(element):
        name, text = local(each), each.text or ""
        if name == "type":
            type_ = text.strip()
        elif name == "fieldsToNull":
            nulls.append(text.strip())
        elif each.get(_NIL) in ("true", "1"):
            continue
        elif name.lower() == "id":
            record_id = text.strip() or None
        else:
            fields[name] = _parent(each) if next(children(each), None) is not None else text
    return type_, record_id, {**fields, **{name: None for name in nulls if name and name.lower() != "id"}}


def _parent(element: etree._Element) -> dict[str, Any]:
    """A reference by external id: `<Account><type>Account</type><Key__c>…</Key__c></Account>`."""
    type_, _, fields = record(element)
    return {**({"attributes": {"type": type_}} if type_ else {}), **fields}


def to_xml(name: str, value: Any) -> str:
    """One element, or one for each of a list; None is nil, a dict or pairs are children in that order."""
    match value:
        case None:
            return f'<{name} xsi:nil="true"/>'
        case bool():
            return f"<{name}>{str(value).lower()}</{name}>"
        case list() | tuple():
            return "".join(to_xml(name, each) for each in value)
        case dict():
            return f"<{name}>{''.join(to_xml(k, v) for k, v in value.items())}</{name}>"
        case SObject():
            return _sobject(name, value)
        case Typed(type_, inner):
            return f"<{name} xsi:type={quoteattr(type_)}>{_text(inner)}</{name}>"
    return f"<{name}>{_text(value)}</{name}>"


def _sobject(name: str, record: SObject) -> str:
    """Its Id stands twice when it was selected: as the record's, and as a field."""
    fields = "".join(_field(key, value) for key, value in record.fields)
    head = f"<sf:type>{_text(record.type)}</sf:type>{to_xml('sf:Id', record.id)}"
    return f'<{name} xsi:type="sf:sObject">{head}{fields}</{name}>'


def _field(name: str, value: Any) -> str:
    if isinstance(value, dict) and "records" in value:
        return (
            f'<sf:{name} xsi:type="QueryResult">{"".join(to_xml(k, v) for k, v in value.items())}</sf:{name}>'
        )
    if isinstance(value, dict):
        return f'<sf:{name} xsi:type="address">{"".join(to_xml(k, v) for k, v in value.items())}</sf:{name}>'
    return to_xml(f"sf:{name}", value)


def _text(value: Any) -> str:
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return escape(_UNWRITABLE.sub("\ufffd", shown))


def envelope(content: str, headers: str = "") -> bytes:
    head = f"<soapenv:Header>{headers}</soapenv:Header>" if headers else ""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="{ENVELOPE}" xmlns="{PARTNER}" '
        f'xmlns:sf="{SOBJECT}" xmlns:xsi="{INSTANCE}" xmlns:xsd="{SCHEMA}">{head}'
        f"<soapenv:Body>{content}</soapenv:Body></soapenv:Envelope>"
    ).encode("utf-8", "replace")


def fault(code: str, message: str, place: tuple[int, int] | None = None) -> bytes:
    """`place` is row and column of a statement, where there is one."""
    kind = _FAULTS.get(code, "UnexpectedErrorFault")
    lines = f"<sf:exceptionCode>{code}</sf:exceptionCode><sf:exceptionMessage>{_text(message)}</sf:exceptionMessage>"
    if kind in _PLACED:
        row, column = place or (-1, -1)
        lines += f"<sf:row>{row}</sf:row><sf:column>{column}</sf:column>"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="{ENVELOPE}" xmlns:sf="{FAULT}" '
        f'xmlns:xsi="{INSTANCE}"><soapenv:Body><soapenv:Fault><faultcode>sf:{code}</faultcode>'
        f"<faultstring>{code}: {_text(message)}</faultstring>"
        f'<detail><sf:{kind} xsi:type="sf:{kind}">{lines}</sf:{kind}></detail></soapenv:Fault>'
        "</soapenv:Body></soapenv:Envelope>"
    ).encode("utf-8", "replace")
