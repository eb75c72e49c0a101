"""What answers are made of: response messages, pages, changes; and what a restriction reads of an item."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime

from lxml import etree

from tests.servers.ews import fields
from tests.servers.ews.place import Folder, Item, Refusal
from tests.servers.ews.schema import Element, M, T, name
from tests.servers.ews.settling import moment, stamp


def message(operation: str, *inside: Element, error: Refusal | None = None) -> Element:
    element = etree.Element(f"{M}{operation}ResponseMessage", ResponseClass="Error" if error else "Success")
    if error:
        etree.SubElement(element, M + "MessageText").text = error.text
    etree.SubElement(element, M + "ResponseCode").text = error.code if error else "NoError"
    if error:
        etree.SubElement(element, M + "DescriptiveLinkKey").text = "0"
        if error.back_off:
            inner = etree.SubElement(element, M + "MessageXml")
            etree.SubElement(inner, T + "Value", Name="BackOffMilliseconds").text = str(error.back_off)
        if operation == "SyncFolderItems":
            etree.SubElement(element, M + "SyncState")
            etree.SubElement(element, M + "IncludesLastItemInRange").text = "true"
    element.extend(inside)
    return element


def wrapped(container: str, inside: list[Element]) -> Element:
    element = etree.Element(M + container)
    element.extend(inside)
    return element


def paged(container: str, found: list[Element], view: Element | None, page: int) -> Element:
    offset = int(view.get("Offset") or 0) if view is not None else 0
    size = min(int(view.get("MaxEntriesReturned") or page), page) if view is not None else len(found)
    end = offset + size
    root = etree.Element(
        M + "RootFolder",
        IndexedPagingOffset=str(min(end, len(found))),
        TotalItemsInView=str(len(found)),
        IncludesLastItemInRange="true" if end >= len(found) else "false",
    )
    inside = etree.SubElement(root, T + container)
    inside.extend(found[offset:end])
    return root


def events(folder: Folder, seen: int) -> Iterator[tuple[int, str, Item | str]]:
    for item in folder.items.values():
        if item.changed > seen:
            yield item.changed, "Create" if item.made > seen else "Update", item
    for id, (made, gone) in folder.graves.items():
        if gone > seen >= made:
            yield gone, "Delete", id


def change(sort: str, what: Item | str, shape: Element, user: str) -> Element:
    element = etree.Element(T + sort)
    if isinstance(what, Item):
        element.append(fields.shown(what, shape, user=user, cut=True))
    else:
        etree.SubElement(element, T + "ItemId", Id=what, ChangeKey="EQAAABYA")
    return element


def values(item: Item, path: Element) -> list[str]:
    """What a restriction compares with."""
    if name(path) == "ExtendedFieldURI":
        if fields.key(path) == fields.SEARCH_KEY:
            return [base64.b64encode(item.search_key).decode()]
        found = item.extended.get(fields.key(path))
        return [v.text or "" for v in found.iter(T + "Value")] if found is not None else []
    uri = path.get("FieldURI") or ""
    last = uri.partition(":")[2]
    if name(path) == "IndexedFieldURI":
        return [
            e.text or ""
            for entries in item.fields.values()
            for e in entries
            if e.get("Key") == path.get("FieldIndex") and entries.tag.startswith(T + last)
        ]
    if last == "LastModifiedTime":
        return [stamp(item.modified)]
    found = item.fields.get(last)
    if found is None:
        return []
    return [e.text or "" for e in found] if len(found) else [found.text or ""]


def folder_values(folder: Folder, path: Element) -> list[str]:
    return {"folder:DisplayName": [folder.name], "folder:FolderClass": [folder.sort]}.get(
        path.get("FieldURI") or "", []
    )


def inside(item: Item, view: Element) -> bool:
    first, last = (datetime.fromisoformat(view.get(n) or "") for n in ("StartDate", "EndDate"))
    start, end = moment(item.text("Start")), moment(item.text("End"))
    return start < last.astimezone(UTC) and end > first.astimezone(UTC)
