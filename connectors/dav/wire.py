"""WebDAV on the wire: values to request bodies, bytes of a multistatus to values. No I/O.

RFC 4918 (WebDAV), 6578 (sync-collection), 4791 (CalDAV), 6352 (CardDAV). An answer is read as a stream, one
``response`` element at a time, so that a listing may be larger than memory. Input is hostile: a document type
declaration is refused before anything it declares is used, nothing is fetched, and no single answer may grow beyond
``MAX_ANSWER``, nor beyond ``MAX_NODES``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from xml.sax.saxutils import escape

from lxml import etree

from crmsync.connectors import nodes
from crmsync.connectors.dates import http_date
from crmsync.connectors.errors import ProtocolError

MAX_ANSWER = 32 * 1024 * 1024  # bytes of one ``response`` element
MAX_NODES = 200_000  # elements and attributes of one; a megabyte of HTML that is not escaped is half of it
_LONGEST_NAME = 500  # of an element, its namespace included: each that lies in a long one repeats it
_PROLOG = 4096  # bytes within which the root element has to begin

DAV = "{DAV:}"
CALDAV = "{urn:ietf:params:xml:ns:caldav}"
CARDDAV = "{urn:ietf:params:xml:ns:carddav}"
CALENDARSERVER = "{http://calendarserver.org/ns/}"

ETAG = DAV + "getetag"
MODIFIED = DAV + "getlastmodified"
RESOURCE_TYPE = DAV + "resourcetype"
DISPLAY_NAME = DAV + "displayname"
SYNC_TOKEN = DAV + "sync-token"
CTAG = CALENDARSERVER + "getctag"
OWNER = DAV + "owner"
PRINCIPAL = DAV + "current-user-principal"
PRIVILEGES = DAV + "current-user-privilege-set"
REPORTS = DAV + "supported-report-set"
SYNC_COLLECTION = DAV + "sync-collection"
COMPONENTS = CALDAV + "supported-calendar-component-set"
COLLECTION = DAV + "collection"
PROXY_READ = CALENDARSERVER + "calendar-proxy-read-for"  # of whom the principal is a proxy
PROXY_WRITE = CALENDARSERVER + "calendar-proxy-write-for"
UNAUTHENTICATED = DAV + "unauthenticated"

_PREFIXES = {"DAV:": "D", CALDAV[1:-1]: "C", CARDDAV[1:-1]: "CR", CALENDARSERVER[1:-1]: "CS"}


class NotXml(ProtocolError):
    """The body is not well-formed, ends early, or carries what we refuse; one bad item can do that."""

    code = "not_xml"


@dataclass(frozen=True, slots=True)
class Answer:
    """One ``response`` of a multistatus."""

    href: str  # as sent
    status: int  # of the resource; 200 where only its properties have one
    texts: Mapping[str, str]  # properties that were found: Clark name -> text
    parts: Mapping[
        str, tuple[str, ...]
    ]  # … -> what stands inside: hrefs, ``name`` attributes, names of elements
    conditions: tuple[str, ...] = ()  # Clark names inside ``error``

    def modified(self) -> datetime | None:
        return http_date(self.texts.get(MODIFIED))


@dataclass(frozen=True, slots=True)
class Token:
    """The sync-token at the end (or the beginning) of a sync-collection answer."""

    value: str


# ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────────


def propfind(properties: Iterable[str]) -> bytes:
    return _document(DAV + "propfind", _prop(properties))


def sync_collection(token: str, properties: Iterable[str]) -> bytes:
    """Without ``limit``: there are servers that truncate silently and still return the final token."""
    head = f"<D:sync-token>{escape(token)}</D:sync-token><D:sync-level>1</D:sync-level>"
    return _document(SYNC_COLLECTION, head + _prop(properties))


def multiget(report: str, hrefs: Sequence[str], properties: Iterable[str]) -> bytes:
    """``report`` is addressbook-multiget or calendar-multiget, as a Clark name."""
    listed = "".join(f"<D:href>{escape(href)}</D:href>" for href in hrefs)
    return _document(report, _prop(properties) + listed)


def uid_query(report: str, components: Sequence[str], uid: str) -> bytes:
    """Which resources carry this UID: addressbook-query, or calendar-query with one of ``components`` (several have to
    be asked one by one, RFC 4791 9.7.1)."""
    namespace, _, _ = report.rpartition("}")
    prefix = _PREFIXES[namespace[1:]]
    match = f'<{prefix}:text-match collation="i;octet">{escape(uid)}</{prefix}:text-match>'
    match = f'<{prefix}:prop-filter name="UID">{match}</{prefix}:prop-filter>'
    for component in reversed(components):
        match = f'<{prefix}:comp-filter name="{component}">{match}</{prefix}:comp-filter>'
    test = ' test="anyof"' if not components else ""  # Xandikos finds nothing without it
    return _document(report, _prop([ETAG]) + f"<{prefix}:filter{test}>{match}</{prefix}:filter>")


def _prop(properties: Iterable[str]) -> str:
    return f"<D:prop>{''.join(f'<{_short(name)}/>' for name in properties)}</D:prop>"


def _short(name: str) -> str:
    namespace, _, local = name[1:].partition("}")
    return f"{_PREFIXES[namespace]}:{local}"


def _document(root: str, content: str) -> bytes:
    name = _short(root)
    used = [(p, uri) for uri, p in _PREFIXES.items() if f"<{p}:" in content or name.startswith(f"{p}:")]
    namespaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in used)
    return f'<?xml version="1.0" encoding="utf-8"?>\n<{name} {namespaces}>{content}</{name}>'.encode()


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────────────────


def multistatus(body: Iterable[bytes]) -> Iterator[Answer | Token]:
    """The answers as they arrive. Raises NotXml, also when the body ends before its root element does: what was yielded
    until then is right, but it is not everything."""
    parser = _parser()
    prolog = b""
    pending = parts = 0
    rooted = False
    for piece in body:
        if len(prolog) < _PROLOG:
            prolog += piece[:_PROLOG]
            _refuse_prolog(prolog)
        pending += len(piece)
        parts += nodes.in_xml(piece)
        for event, element in _fed(parser, piece):
            if event == "start":
                rooted = rooted or _checked_root(element)
                continue
            if not _is_answer(element):
                continue
            pending = parts = 0
            yield _token(element) if element.tag == SYNC_TOKEN else _answer(element)
            _drop(element)
        if pending > MAX_ANSWER:
            raise NotXml(f"one answer is larger than {MAX_ANSWER} bytes")
        if parts > MAX_NODES:
            raise NotXml(f"one answer has more than {MAX_NODES} parts")
    _closed(parser)
    if not rooted:
        raise NotXml("the answer is not a multistatus")


def conditions(body: bytes) -> tuple[str, ...]:
    """Clark names in the ``DAV:error`` of a refusal (RFC 4918 16); empty where the body is something else."""
    if len(body) > 65536 or b"<!DOCTYPE" in body or b"error" not in body:
        return ()
    try:
        root = etree.fromstring(body, parser=etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        return ()
    return _names(root) if root.tag == DAV + "error" else ()


def _parser() -> etree.XMLPullParser:
    return etree.XMLPullParser(
        events=("start", "end"),
        tag=(DAV + "multistatus", DAV + "response", SYNC_TOKEN),
        encoding="utf-8",  # whatever it declares: what is looked for in its bytes is found in no other
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _refuse_prolog(head: bytes) -> None:
    """No DTD, hence no entities; and no UTF-16, in which this check would see nothing."""
    if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
        raise NotXml("the answer declares a document type, which WebDAV has none of; refused")
    if b"\0" in head:
        raise NotXml("the answer is not UTF-8 text")


def _checked_root(element: etree._Element) -> bool:
    if element.getparent() is not None:
        raise NotXml("the answer is not a multistatus")
    if element.tag != DAV + "multistatus" or element.getroottree().docinfo.internalDTD is not None:
        raise NotXml("the answer is not a plain multistatus")
    return True


def _is_answer(element: etree._Element) -> bool:
    """A child of the root: neither the root's own end nor a sync-token among the properties of a resource."""
    parent = element.getparent()
    return parent is not None and parent.getparent() is None


def _fed(parser: etree.XMLPullParser, piece: bytes) -> Iterator[tuple[str, etree._Element]]:
    try:
        parser.feed(piece)
        for event, element in parser.read_events():
            if isinstance(element, etree._Element):
                yield event, element
    except etree.XMLSyntaxError as error:
        raise NotXml(f"the answer is not well-formed XML: {error}") from error


def _closed(parser: etree.XMLPullParser) -> None:
    try:
        parser.close()
    except etree.XMLSyntaxError as error:
        raise NotXml(f"the answer ends early or is not XML: {error}") from error


def _drop(element: etree._Element) -> None:
    """Forget what was read; without this the tree of a listing grows to its whole size."""
    parent = element.getparent()
    element.clear()
    if parent is not None:
        while parent[0] is not element:
            del parent[0]


def _token(element: etree._Element) -> Token:
    return Token((element.text or "").strip())


def _answer(element: etree._Element) -> Answer:
    href = ""
    status = 200
    texts: dict[str, str] = {}
    parts: dict[str, tuple[str, ...]] = {}
    errors: tuple[str, ...] = ()
    for child in element:
        if child.tag == DAV + "propstat":
            if _status(child.findtext(DAV + "status")) // 100 == 2:
                _properties(child, texts, parts)
        elif child.tag == DAV + "href":
            href = href or (child.text or "").strip()
        elif child.tag == DAV + "status":
            status = _status(child.text)
        elif child.tag == DAV + "error":
            errors = _names(child)
    return Answer(href, status, texts, parts, errors)


def _properties(propstat: etree._Element, texts: dict[str, str], parts: dict[str, tuple[str, ...]]) -> None:
    for prop in propstat.iterfind(DAV + "prop"):
        for found in prop:
            name = _name(found)
            texts[name] = found.text or ""
            if len(found):
                parts[name] = _inside(found)


def _inside(prop: etree._Element) -> tuple[str, ...]:
    """The leaves: the text of an href, the ``name`` of a component, else the element's own name."""
    leaves = (leaf for leaf in prop.iterdescendants() if not len(leaf))
    return tuple(
        (leaf.text or "").strip() if leaf.tag == DAV + "href" else str(leaf.get("name") or _name(leaf))
        for leaf in leaves
    )


def _names(error: etree._Element) -> tuple[str, ...]:
    return tuple(map(_name, error))


def _name(element: etree._Element) -> str:
    """In Clark's notation; none for one that is nobody's."""
    name = str(element.tag)
    return name if len(name) <= _LONGEST_NAME else ""


def _status(line: str | None) -> int:
    """``HTTP/1.1 404 Not Found`` -> 404; 0 where it is no status line."""
    words = (line or "").split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
