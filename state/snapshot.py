"""The snapshot of an item: its columns as last agreed by both sides, as XML (``snapshot.rng``) and back.

An empty text and None are the same here: ``<column name="birthday"/>``, known to be empty. A column that is absent
was never agreed on. ``kept`` holds what one side has *instead* of the agreed value, by column.
"""

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lxml import etree

from crmsync.connectors.columns import COLUMNS
from crmsync.connectors.contract import Columns, Kind, Side, Value
from crmsync.state.errors import SnapshotError
from crmsync.state.values import decode, decode_moment, encode, encode_moment, escape, type_of, unescape

NAMESPACE = "urn:crmsync:snapshot:1"
MAX_SIZE = 8 * 1024 * 1024  # bytes; libxml2 itself refuses a text of 10 million

_ITEM, _ECS, _CRM, _COLUMN, _KEPT = (
    f"{{{NAMESPACE}}}{name}" for name in ("item", "ecs", "crm", "column", "kept")
)
_TYPES = {kind: {name: column.type for name, column in columns.items()} for kind, columns in COLUMNS.items()}


@dataclass(frozen=True, slots=True)
class Mark:
    """Which state of a side's item the snapshot was taken from."""

    id: str
    version: str
    modified: datetime | None = None  # server time, where the server says so


@dataclass(frozen=True, slots=True)
class Snapshot:
    kind: Kind
    synced: datetime
    ecs: Mark
    crm: Mark
    columns: Columns
    kept: Mapping[Side, Columns] = field(default_factory=dict)  # a side that keeps nothing is absent


def to_xml(snapshot: Snapshot) -> bytes:
    """UTF-8, without a declaration. Raises SnapshotError for what is larger than ``MAX_SIZE`` or cannot be encoded."""
    try:
        parts = [
            f'<item xmlns="{NAMESPACE}" kind="{snapshot.kind.value}" synced="{encode_moment(snapshot.synced)}">\n',
            _mark("ecs", snapshot.ecs),
            _mark("crm", snapshot.crm),
        ]
        for name, value in snapshot.columns.items():
            parts.append(_element("column", name, value))
        for side, columns in snapshot.kept.items():
            for name, value in columns.items():
                parts.append(_element("kept", name, value, f' side="{side.value}"'))
    except (KeyError, ValueError) as error:
        raise SnapshotError(f"the snapshot of {snapshot.ecs.id} cannot be written: {error}") from error
    parts.append("</item>\n")
    data = "".join(parts).encode()
    if len(data) > MAX_SIZE:
        raise SnapshotError(
            f"the snapshot of {snapshot.ecs.id} is too large: {len(data)} of {MAX_SIZE} bytes"
        )
    return data


def from_xml(data: bytes) -> Snapshot:
    """Raises SnapshotError for anything that ``to_xml`` would not have written."""
    root = _parse(data)
    try:
        kind = Kind(_required(root, "kind"))
        ecs, crm, *rest = root
        if root.tag != _ITEM or ecs.tag != _ECS or crm.tag != _CRM:
            raise ValueError("the elements are not those of a snapshot")
        columns, kept = _read_columns(kind, rest)
        return Snapshot(
            kind, decode_moment(_required(root, "synced")), _read_mark(ecs), _read_mark(crm), columns, kept
        )
    except (KeyError, ValueError) as error:
        raise SnapshotError(f"not a snapshot: {error}") from error


# ── As text on the item itself ───────────────────────────────────────────────────────────────────────────────

_PLAIN = 1_000  # characters up to which it is left as a person can read it
_PACKED = "zlib:"


def to_text(snapshot: Snapshot, limit: int) -> str:
    """The XML, compressed when it is large; empty where it takes more than ``limit`` characters."""
    try:
        data = to_xml(snapshot)
    except SnapshotError:
        return ""
    text = data.decode()
    if len(text) > _PLAIN:
        text = _PACKED + base64.b64encode(zlib.compress(data, 9)).decode()
    return text if len(text) <= limit else ""


def from_text(text: str) -> Snapshot | None:
    """None for what ``to_text`` would not have written."""
    try:
        if not text.startswith(_PACKED):
            return from_xml(text.encode())
        unpacking = zlib.decompressobj()
        data = unpacking.decompress(base64.b64decode(text[len(_PACKED) :], validate=True), MAX_SIZE)
        return from_xml(data) if unpacking.eof else None
    except (SnapshotError, zlib.error, binascii.Error, ValueError):
        return None


# ── Writing: put together by hand, which takes a tenth of the time of a tree ─────────────────────────────────


def _mark(name: str, mark: Mark) -> str:
    modified = "" if mark.modified is None else f' modified="{encode_moment(mark.modified)}"'
    return f'<{name} id="{_attribute(mark.id)}" version="{_attribute(mark.version)}"{modified}/>\n'


def _element(tag: str, name: str, value: Value, more: str = "") -> str:
    start = f'<{tag}{more} name="{_attribute(name)}"'
    text = encode(value)
    return f"{start}>{_text(text)}</{tag}>\n" if text else f"{start}/>\n"


def _text(text: str) -> str:
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:  # "]]>" may not stand in text
        text = text.replace(">", "&gt;")
    if "\r" in text:  # a parser turns a bare one into a line feed (XML 1.0, 2.11)
        text = text.replace("\r", "&#13;")
    return text


def _attribute(text: str) -> str:
    text = _text(escape(text))
    if '"' in text:
        text = text.replace('"', "&quot;")
    if "\n" in text or "\t" in text:  # a parser turns bare ones into spaces (3.3.3)
        text = text.replace("\n", "&#10;").replace("\t", "&#9;")
    return text


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────

_parser = etree.XMLParser(
    encoding="utf-8",
    resolve_entities=False,
    load_dtd=False,
    no_network=True,
    huge_tree=False,
    remove_comments=True,
    remove_pis=True,
    remove_blank_text=True,
    collect_ids=False,
)


def _parse(data: bytes) -> etree._Element:
    if len(data) > MAX_SIZE:
        raise SnapshotError(f"not a snapshot: {len(data)} bytes, {MAX_SIZE} at most")
    if b"<!DOCTYPE" in data:
        raise SnapshotError("not a snapshot: a document type has no place in it")
    try:
        return etree.fromstring(data, _parser)
    except etree.XMLSyntaxError as error:
        raise SnapshotError(f"not a snapshot: {error}") from error


def _read_mark(element: etree._Element) -> Mark:
    modified = element.get("modified")
    return Mark(
        unescape(_required(element, "id")),
        unescape(_required(element, "version")),
        None if modified is None else decode_moment(modified),
    )


def _required(element: etree._Element, attribute: str) -> str:
    text = element.get(attribute)
    if text is None:
        raise ValueError(f"an element has no {attribute}")
    return text


def _read_columns(
    kind: Kind, elements: list[etree._Element]
) -> tuple[dict[str, Value], dict[Side, dict[str, Value]]]:
    types = _TYPES.get(kind, {})
    columns: dict[str, Value] = {}
    kept: dict[Side, dict[str, Value]] = {}
    for element in elements:
        name = unescape(_required(element, "name"))
        value = decode(types.get(name) or type_of(kind, name), element.text)
        tag = element.tag
        if tag == _COLUMN:
            columns[name] = value
        elif tag == _KEPT:
            kept.setdefault(Side(_required(element, "side")), {})[name] = value
        else:
            raise ValueError(f"unexpected element {tag}")
    return columns, kept
