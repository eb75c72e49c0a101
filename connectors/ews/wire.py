"""EWS on the wire: requests out of properties, properties out of answers. No I/O.

Elements stand in the order of Microsoft's schema (types.xsd), which Exchange insists on.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from lxml import etree

from crmsync.connectors.contract import Kind
from crmsync.connectors.ews.html import plain
from crmsync.connectors.ews.places import ELEMENTS, MAIL, OF_FOLDERS, OTHERS, PLACES, Form, Place
from crmsync.connectors.ews.properties import (
    Malformed,
    Properties,
    Property,
)
from crmsync.connectors.ews.rows import LONG

M = "{http://schemas.microsoft.com/exchange/services/2006/messages}"
T = "{http://schemas.microsoft.com/exchange/services/2006/types}"
NAMESPACES = {"m": M[1:-1], "t": T[1:-1]}

Element: TypeAlias = Any  # lxml's

_FIRST = (
    *("MimeContent", "Subject", "Sensitivity", "Body", "Categories", "Importance"),
    *("ReminderDueBy", "ReminderIsSet", "ReminderMinutesBeforeStart", "ExtendedProperty"),
)


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────


def element(name: str, *inside: Element, text: str = "", **attributes: str) -> Element:
    """``name``: ``m:Something`` or ``t:Something``."""
    made = etree.Element(_qualified(name), attributes)
    made.text = text or None
    made.extend(inside)
    return made


def _qualified(name: str) -> str:
    prefix, _, local = name.partition(":")
    return f"{M if prefix == 'm' else T}{local}"


def folder_id(id: str) -> Element:
    return element("t:FolderId", Id=id)


def known_folder(name: str, mailbox: str = "") -> Element:
    owner = element("t:Mailbox", element("t:EmailAddress", text=mailbox))
    return element("t:DistinguishedFolderId", *([owner] if mailbox else []), Id=name)


def item_id(id: str, change_key: str = "") -> Element:
    return element("t:ItemId", Id=id, **({"ChangeKey": change_key} if change_key else {}))


def shape(
    kind: Kind | None, names: Iterable[str], *, tag: str = "m:ItemShape", more: Iterable[str] = ()
) -> Element:
    """Ids, and these properties; of a folder (no kind), and ``more``, they are paths."""
    paths = [_path(PLACES[kind][n]) if kind else element("t:FieldURI", FieldURI=n) for n in names]
    paths += [element("t:FieldURI", FieldURI=uri) for uri in more]
    inside = [element("t:BaseShape", text="IdOnly")]
    if kind and "Body" in names:
        inside.append(element("t:BodyType", text="Text"))
    if paths:
        inside.append(element("t:AdditionalProperties", *paths))
    return element(tag, *inside)


def _path(place: Place) -> Element:
    if place.extended is not None:
        return element("t:ExtendedFieldURI", **place.extended)
    if place.index:
        return element("t:IndexedFieldURI", FieldURI=place.uri, FieldIndex=place.index)
    return element("t:FieldURI", FieldURI=place.uri)


def new_item(kind: Kind, properties: Properties) -> Element:
    """An item for CreateItem: elements in the order of the schema, entries of one kind in one element."""
    places = PLACES[kind]
    order = sorted(
        (name for name in places if properties.get(name) is not None), key=lambda n: _rank(places[n].path)
    )
    item = element(f"t:{ELEMENTS[kind]}")
    for name in order:
        made = _property(places[name], properties[name])
        last = item[-1] if len(item) else None
        if last is not None and last.tag == made.tag and places[name].index:
            _joined(last, made)
        else:
            item.append(made)
    return item


def _rank(path: str) -> int:
    """Only what all items have needs one: the sort is stable, and the tables are in order."""
    first = path.partition("/")[0]
    return _FIRST.index(first) if first in _FIRST else len(_FIRST)


def _joined(standing: Element, made: Element) -> None:
    entry = made[0]
    for old in standing:
        if old.get("Key") == entry.get("Key"):
            old.extend(entry)
            return
    standing.append(entry)


def updates(kind: Kind, properties: Properties, name: str = "") -> Element:
    """The changes of an ItemChange: one for each property, None removes it. ``name``: of the item's element, where it
    is not the usual one of its kind."""
    inside, changes = name or ELEMENTS[kind], []
    for each, value in properties.items():
        place = PLACES[kind][each]
        if value is None:
            changes.append(element("t:DeleteItemField", _path(place)))
        else:
            item = element(f"t:{inside}", _property(place, value))
            changes.append(element("t:SetItemField", _path(place), item))
    return element("t:Updates", *changes)


def _property(place: Place, value: Property) -> Element:
    """The property as it stands in an item."""
    if place.extended is not None:
        return element("t:ExtendedProperty", _path(place), element("t:Value", text=str(value)))
    name, _, rest = place.path.partition("/")
    if not place.index:
        return _value(name, place.form, value)
    part = rest.partition("/")[2]
    inside = [element(f"t:{part}", text=str(value))] if part else []
    return element(f"t:{name}", element("t:Entry", *inside, text="" if part else str(value), Key=place.index))


def _value(name: str, form: Form, value: Property) -> Element:
    match form, value:
        case Form.WORDS, tuple():
            return element(f"t:{name}", *(element("t:String", text=word) for word in value))
        case Form.ZONE, str():
            return element(f"t:{name}", Id=value)
        case Form.BODY, str():
            return element(f"t:{name}", text=value, BodyType="Text")
        case _, datetime():
            return element(f"t:{name}", text=format_moment(value))
        case _, bool():
            return element(f"t:{name}", text="true" if value else "false")
        case _:
            return element(f"t:{name}", text=str(value))


def format_moment(at: datetime) -> str:
    at = at.astimezone(UTC)
    return f"{at.year:04}-{at.month:02}-{at.day:02}T{at.hour:02}:{at.minute:02}:{at.second:02}Z"


def path(kind: Kind, name: str) -> Element:
    """How a request names a property."""
    return _path(PLACES[kind][name])


def folder_path(name: str) -> Element:
    """How it names one of a folder."""
    return _path(OF_FOLDERS[name])


def extended(element: Element, places: Mapping[str, Place]) -> dict[str, str]:
    """Those of the extended properties that an item or folder has."""
    there = _extended(element)
    found = {name: there.get(_name_of(p.extended)) for name, p in places.items() if p.extended is not None}
    return {name: value for name, value in found.items() if value is not None}


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Found:
    """An item out of an answer."""

    kind: Kind | None  # None: of a kind that has no columns
    id: str
    change_key: str
    element: Element

    @property
    def is_list(self) -> bool:
        return local_name(self.element) in OTHERS


def local_name(item: Element) -> str:
    return str(etree.QName(item).localname)


def found(item: Element) -> Found | None:
    """None for an element without ItemId."""
    id = item.find(T + "ItemId")
    if id is None or not id.get("Id"):
        return None
    name = local_name(item)
    kind = next((k for k, known in ELEMENTS.items() if known == name), OTHERS.get(name))
    kind = Kind.EMAIL if name in MAIL else kind
    return Found(kind, id.get("Id"), id.get("ChangeKey") or "", item)


def properties(kind: Kind, item: Element) -> dict[str, Property]:
    """What an item says of the properties that have a place. Raises Malformed."""
    told: dict[str, Property] = {}
    extended = _extended(item)
    for name, place in PLACES[kind].items():
        if place.extended is not None:
            value: Property = extended.get(_name_of(place.extended))
        else:
            value = _read(item, place)
        if value is not None:
            told[name] = value
    return told


def _read(item: Element, place: Place) -> Property:
    first, _, rest = place.path.partition("/")
    standing = item.find(T + first)
    if standing is None:
        return None
    if place.index:
        entry = next((e for e in standing if e.get("Key") == place.index), None)
        part = rest.partition("/")[2]
        standing = entry.find(T + part) if entry is not None and part else entry
        return _text(standing) if standing is not None else None
    return _parsed(standing, place.form)


def _parsed(standing: Element, form: Form) -> Property:
    match form:
        case Form.WORDS:
            return tuple(text for e in standing if (text := _text(e))) or None
        case Form.ZONE:
            return standing.get("Id") or None
        case Form.PEOPLE:
            return tuple(map(_person, standing.iter(T + "Mailbox"))) or None
    text = _text(standing)
    if form is Form.BODY and text and standing.get("BodyType") == "HTML":  # although plain text was asked for
        return plain(text) or None
    if text is None:
        return None
    match form:
        case Form.MOMENT:
            return parse_moment(text)
        case Form.FLAG:
            return text.strip().lower() in ("true", "1")
        case Form.NUMBER:
            return _number(text)
        case _:
            return text


def _person(mailbox: Element) -> str:
    """``<address> <answer>``. Somebody of one's own organisation may go by a name of Exchange's own, with a blank."""
    address = (mailbox.findtext(T + "EmailAddress") or "").strip()
    if (mailbox.findtext(T + "RoutingType") or "SMTP").upper() != "SMTP" or " " in address:
        address = ""
    return f"{address} {mailbox.getparent().findtext(T + 'ResponseType') or ''}".rstrip()


def _text(standing: Element) -> str | None:
    text = standing.text or ""
    if len(text) > 2 * LONG:
        name = etree.QName(standing).localname
        raise Malformed(
            f"its {name} has {len(text)} characters, more than the {2 * LONG} that are let through"
        )
    return text or None


def _number(text: str) -> int:
    try:
        return int(float(text)) if len(text) < 20 else 0
    except (ValueError, OverflowError):
        raise Malformed(f"its percentage is none: {text[:20]!r}") from None


_DAY = re.compile(r"\d{4}-\d\d-\d\d(Z|[+-]\d\d:\d\d)", re.ASCII)


def parse_moment(text: str) -> datetime | None:
    """xs:dateTime; None for the end of Exchange's time, which means "none". Raises Malformed."""
    text = re.sub(r"\.\d+", "", text.strip())
    if _DAY.fullmatch(text):
        text = text[:10]  # a day with the offset of somewhere (xs:date) is that day
    try:
        at = datetime.fromisoformat(text)
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Malformed(f"it has a time that is none: {text[:40]!r}") from None
    return at if 1601 < at.year < 4500 else None


def _extended(item: Element) -> dict[tuple[str, str], str]:
    told = {}
    for each in item.findall(T + "ExtendedProperty"):
        uri, value = each.find(T + "ExtendedFieldURI"), each.find(T + "Value")
        if uri is not None and value is not None and value.text:
            told[_name_of(uri.attrib)] = _text(value) or ""
    return {name: _plainly(name, text) for name, text in told.items()}


def _name_of(attributes: Mapping[str, str]) -> tuple[str, str]:
    """Exchange spells GUIDs and tags as it likes."""
    if tag := attributes.get("PropertyTag"):
        try:
            return "tag", str(int(tag, 0))
        except ValueError:
            return "tag", tag
    return (attributes.get("PropertySetId") or "").lower(), attributes.get("PropertyName") or ""


def _plainly(name: tuple[str, str], text: str) -> str:
    """The search key is bytes, some of them text: hexadecimal digits are the same on every transport."""
    if name != ("tag", str(0x300B)):
        return text
    try:
        return base64.b64decode(text, validate=True).hex()
    except (binascii.Error, ValueError):
        return text
