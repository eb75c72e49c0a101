"""Properties of items, by the paths that requests name them with."""

import base64
import copy
import re

from lxml import etree

from tests.servers.ews import mime, series
from tests.servers.ews.place import ITEM_CLASS, Item, Place, Refusal
from tests.servers.ews.schema import ITEMS, MEETINGS, Element, T, name, words
from tests.servers.ews.settling import moment, stamp

_INDEXED = {
    "contacts:EmailAddress": "EmailAddresses",
    "contacts:PhoneNumber": "PhoneNumbers",
    "contacts:ImAddress": "ImAddresses",
    "contacts:PhysicalAddress": "PhysicalAddresses",
}
_READ_ONLY = frozenset(
    words("""
    ItemId ParentFolderId Attachments DateTimeReceived Size DateTimeSent DateTimeCreated DisplayCc DisplayTo
    HasAttachments EffectiveRights LastModifiedName LastModifiedTime ConversationId TextBody IsMeeting IsCancelled
    IsRecurring CalendarItemType MyResponseType Organizer CompleteName ChangeCount IsComplete IsOrganizer Photo Notes
    """)
)
_TIMES = frozenset(
    words("Start End DueDate StartDate CompleteDate Birthday WeddingAnniversary ReminderDueBy AssignedTime")
)
SHORT = 255  # characters that FindItem and SyncFolderItems give of a string


def known(kind: str, path: str) -> str:
    """The element of ``item:Subject``; raises Refusal for a path that items of this kind do not have."""
    prefix, _, last = path.partition(":")
    prefixes = {"Contact": "contacts", "CalendarItem": "calendar", "Task": "task", "Message": "message"}
    prefixes |= dict.fromkeys(MEETINGS, "message")
    if prefix not in ("item", prefixes.get(kind), "contacts" if kind == "DistributionList" else "") or (
        last not in ITEMS[kind]
    ):
        raise Refusal(
            "ErrorInvalidPropertyRequest", f"The property {path} is not valid for this object type."
        )
    return last


def key(uri: Element) -> tuple[str, ...]:
    """An extended property by what names it."""
    names = ("DistinguishedPropertySetId", "PropertySetId", "PropertyTag", "PropertyName", "PropertyId")
    return (*((uri.get(n) or "").lower() for n in names), uri.get("PropertyType") or "")


MESSAGE_FLAGS = ("", "", "0x0e07", "", "", "Integer")
SEARCH_KEY = ("", "", "0x300b", "", "", "Binary")


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────


def put(place: Place, item: Item, element: Element) -> None:
    """A property as it stands in CreateItem, or in a SetItemField without index."""
    if name(element) == "ExtendedProperty":
        _put_extended(place, item, element)
        return
    _writable(name(element))
    if name(element) == "MimeContent":
        mime.fill(item, base64.b64decode(element.text or ""))
        return
    item.fields[name(element)] = _stored(item, element)


def put_part(item: Item, index: str, path: str, element: Element) -> None:
    """SetItemField with an IndexedFieldURI: one entry, or one part of an address."""
    entry = element[0]
    base, _, part = _indexed(path)
    if len(element) != 1 or entry.get("Key") != index or (part and [name(e) for e in entry] != [part]):
        raise Refusal(
            "ErrorIncorrectUpdatePropertyCount", "An object within a change description must contain one."
        )
    target = _entry(item, base, index, make=True)
    assert target is not None
    if part:
        for old in target.findall(T + part):
            target.remove(old)
        target.append(copy.deepcopy(entry[0]))
    else:
        target.text = entry.text


def drop(item: Item, path: Element) -> None:
    """DeleteItemField."""
    if name(path) == "ExtendedFieldURI":
        item.extended.pop(key(path), None)
        return
    uri = path.get("FieldURI") or ""
    if name(path) == "FieldURI":
        _writable(known(item.kind, uri))
        item.fields.pop(known(item.kind, uri), None)
        return
    base, index, part = _indexed(uri)[0], path.get("FieldIndex") or "", _indexed(uri)[2]
    entry = _entry(item, base, index, make=False)
    if entry is None:
        return
    for old in entry.findall(T + part) if part else []:
        entry.remove(old)
    if not part or not len(entry):
        item.fields[base].remove(entry)
    if not len(item.fields[base]):
        del item.fields[base]


def _indexed(path: str) -> tuple[str, str, str]:
    prefix, last, *part = path.split(":")
    if f"{prefix}:{last}" not in _INDEXED:
        raise Refusal("ErrorInvalidPropertyRequest", f"The property {path} has no index.")
    return _INDEXED[f"{prefix}:{last}"], last, part[0] if part else ""


def _entry(item: Item, base: str, index: str, *, make: bool) -> Element | None:
    entries = item.fields.get(base)
    if entries is None:
        if not make:
            return None
        entries = item.fields.setdefault(base, etree.Element(T + base))
    for entry in entries:
        if entry.get("Key") == index:
            return entry
    return etree.SubElement(entries, T + "Entry", Key=index) if make else None


def _writable(field: str) -> None:
    if field in _READ_ONLY:
        raise Refusal("ErrorInvalidPropertySet", f"Set action is invalid for property {field}.")


def _put_extended(place: Place, item: Item, element: Element) -> None:
    uri = element[0]
    size = sum(len((value.text or "").encode()) for value in element.iter(T + "Value"))
    if size > place.largest_property:
        raise Refusal("ErrorInvalidExtendedPropertyValue", "The extended property value is too large.")
    item.extended[key(uri)] = copy.deepcopy(element)


def _stored(item: Item, element: Element) -> Element:
    kept = copy.deepcopy(element)
    kept.tail = None
    if name(kept) in _TIMES and kept.text:
        kept.text = stamp(moment(kept.text))
    if name(kept) in ("EmailAddresses", "PhoneNumbers", "ImAddresses"):
        for entry in [e for e in kept if not (e.text or "").strip()]:
            kept.remove(entry)
    return kept


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────


def shown(item: Item, shape: Element, *, user: str, cut: bool) -> Element:
    """The item as the shape asks for it. ``cut``: as by FindItem and SyncFolderItems: no bodies, no long strings."""
    wanted, parts, extended, body_type = _asked(item, shape)
    element = etree.Element(T + item.kind)
    for field in ITEMS[item.kind]:
        if field == "ItemId":
            etree.SubElement(element, T + "ItemId", Id=item.id, ChangeKey=item.change_key)
        elif field == "ExtendedProperty":
            element.extend(_extended(item, extended, cut=cut))
        elif (field in wanted or field in parts) and (
            found := _shown(item, field, body_type, user)
        ) is not None:
            if cut and field in ("Body", "TextBody", "Attachments", "MimeContent"):
                continue
            if field not in wanted:
                found = _only(found, parts[field])
            if cut and found.text and len(found.text) > SHORT:
                found.text = found.text[:SHORT]
            if found is not None:
                element.append(found)
    return element


def _asked(
    item: Item, shape: Element
) -> tuple[set[str], dict[str, list[tuple[str, str]]], list[tuple[str, ...]], str]:
    base = shape.findtext(T + "BaseShape")
    everything = set(ITEMS[item.kind]) - {"Body", "MimeContent", "TextBody"}
    wanted = everything if base != "IdOnly" else set()
    parts: dict[str, list[tuple[str, str]]] = {}
    extended = list(item.extended) if base == "AllProperties" else []
    additional = shape.find(T + "AdditionalProperties")
    for path in [] if additional is None else additional:
        if name(path) == "ExtendedFieldURI":
            extended.append(key(path))
        elif name(path) == "IndexedFieldURI":
            if item.kind == "Contact":
                base_name, _, part = _indexed(path.get("FieldURI") or "")
                parts.setdefault(base_name, []).append((path.get("FieldIndex") or "", part))
        else:
            last = (path.get("FieldURI") or "").partition(":")[2]
            wanted |= {last} & set(ITEMS[item.kind])
    return wanted, parts, extended, shape.findtext(T + "BodyType") or "Best"


def _only(found: Element, parts: list[tuple[str, str]]) -> Element | None:
    for entry in list(found):
        keep = [part for index, part in parts if index == entry.get("Key")]
        if not keep:
            found.remove(entry)
        for part in [p for p in entry if keep and "" not in keep and name(p) not in keep]:
            entry.remove(part)
    return found if len(found) else None


def _extended(item: Item, wanted: list[tuple[str, ...]], *, cut: bool) -> list[Element]:
    found = [copy.deepcopy(item.extended[k]) for k in wanted if k in item.extended]
    for value in [v for e in found for v in e.iter(T + "Value")]:
        if cut and value.text and len(value.text) > SHORT:
            value.text = value.text[:SHORT]
    if SEARCH_KEY in wanted:
        element = etree.Element(T + "ExtendedProperty")
        etree.SubElement(element, T + "ExtendedFieldURI", PropertyTag="0x300b", PropertyType="Binary")
        etree.SubElement(element, T + "Value").text = base64.b64encode(item.search_key).decode()
        found.append(element)
    return found


def _shown(item: Item, field: str, body_type: str, user: str) -> Element | None:
    made = _computed(item, field, user)
    if made is not None:
        return made
    if field in ("Body", "TextBody"):
        return _body(item, "Text" if field == "TextBody" else body_type, field)
    found = item.fields.get(field)
    return copy.deepcopy(found) if found is not None else None


def _body(item: Item, body_type: str, field: str) -> Element | None:
    stored = item.fields.get("Body")
    if stored is None:
        return None
    kind, text = stored.get("BodyType"), stored.text or ""
    if body_type == "Text" and kind == "HTML":
        kind, text = "Text", re.sub(r"<[^>]*>", "", re.sub(r"(?i)<br */?>|</p>", "\n", text))
    if kind == "Text":  # Exchange keeps text with the line ends of its own world
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    element = etree.Element(T + field, BodyType=kind or "Text")
    element.text = text
    return element


def _computed(item: Item, field: str, user: str) -> Element | None:
    element = etree.Element(T + field)
    match field:
        case "ParentFolderId":
            element.set("Id", item.folder.id)
        case "ItemClass" if field not in item.fields:
            element.text = ITEM_CLASS[item.kind]
        case "DateTimeCreated" | "LastModifiedTime":
            element.text = stamp(item.created if field == "DateTimeCreated" else item.modified)
        case "LastModifiedName":
            element.text = item.modified_by
        case "Size":
            element.text = str(item.size())
        case "IsDraft":
            flags = item.extended.get(MESSAGE_FLAGS)
            sent = flags is not None and int(flags.findtext(T + "Value") or 0) & 8 == 0
            element.text = "false" if sent or item.kind != "Message" else "true"
        case "HasAttachments":
            element.text = "true" if item.attachments else "false"
        case "Attachments" if item.attachments:
            for attachment in item.attachments.values():
                entry = etree.SubElement(element, attachment.tag)
                entry.extend(copy.deepcopy(part) for part in attachment if name(part) != "Content")
        case "Sensitivity" | "Importance" if field not in item.fields:
            element.text = "Normal"
        case "Subject" if item.kind == "Contact":
            element.text = item.text("DisplayName")
        case "LegacyFreeBusyStatus" if field not in item.fields:
            element.text = "Busy"
        case "IsAllDayEvent":
            element.text = "true" if item.text(field).lower() in ("true", "1") else "false"
        case (
            "IsRecurring"
            | "CalendarItemType"
            | "ModifiedOccurrences"
            | "DeletedOccurrences"
            | "OriginalStart"
        ):
            return series.told(item, field)
        case "IsMeeting" | "IsCancelled":
            people = {"RequiredAttendees", "OptionalAttendees"} & set(item.fields)
            element.text = "true" if field == "IsMeeting" and people else "false"
        case "EffectiveRights":
            write = item.folder.may(user, write=True)
            for right in (
                "CreateAssociated",
                "CreateContents",
                "CreateHierarchy",
                "Delete",
                "Modify",
                "Read",
            ):
                etree.SubElement(element, T + right).text = "true" if write or right == "Read" else "false"
        case _:
            return None
    return element
