"""Without synchronisation states (public folders, servers that only resemble Exchange): what was modified since, newest
first. It tells of no deletions; those are found by comparing complete listings."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from crmsync.connectors.contract import Kind, Page, Ref
from crmsync.connectors.errors import CursorExpired, ProtocolError, Unreachable
from crmsync.connectors.ews import conditions, wire
from crmsync.connectors.ews.client import Exchange
from crmsync.connectors.ews.properties import Malformed, Property
from crmsync.connectors.ews.rows import among
from crmsync.connectors.ews.wire import Element, M, T

MARK = "ews-scan1:"  # before a cursor
_PAGE = 500
_SAME_SECOND = 200  # items that are remembered beside the time; more of them are told again
_MODIFIED = "LastModifiedTime"


@dataclass(frozen=True, slots=True)
class _Seen:
    """Everything up to this time, and what was modified at this very second."""

    at: str  # as the server writes it
    known: Mapping[str, str]


class Scan:
    def __init__(self, exchange: Exchange, folder: str, kind: Kind) -> None:
        self._exchange = exchange
        self._folder = folder
        self._kind = kind

    def changes(self, since: str | None, tag: str) -> Iterator[Page]:
        """A tag narrows down what there is, not what has changed. Only the last page has a new cursor: what is sorted
        from the newest on cannot be resumed in the middle."""
        seen = _decoded(since) if since is not None else None
        newest = seen
        told: list[Ref] = []
        for found, properties in self._found(seen.at if seen else ""):
            newest = _newer(newest, found, properties)
            old = seen is not None and seen.known.get(found.id) == found.change_key
            if not old and (seen is not None or selected(tag, found, properties)):
                told.append(Ref(found.id, found.change_key))
            if len(told) == _PAGE:
                yield Page(tuple(told), _encoded(seen or _Seen("", {})))
                told = []
        yield Page(tuple(told), _encoded(newest or _Seen("", {})))

    def listing(self) -> Iterator[Ref]:
        """Complete, or an exception."""
        for found, _ in self._found(""):
            yield Ref(found.id, found.change_key)

    def _found(self, since: str) -> Iterator[tuple[wire.Found, Mapping[str, Property]]]:
        """Pages follow one another by number: an item that goes in between moves others into pages that have been read.
        So the count must stay the same."""
        ids: set[str] = set()
        expected = -1
        offset = 0
        while True:
            message = self._exchange.one("FindItem", self._find(since, offset))
            root = message.find(M + "RootFolder")
            if root is None:
                raise ProtocolError(f"{self._exchange.where} answers a search with no result")
            items = root.findall(f"{T}Items/*")
            total = _count(root.get("TotalItemsInView"), len(items))
            if expected not in (-1, total):
                raise Unreachable("the folder changed while it was listed; it is listed anew")
            expected = total
            offset += len(items)
            for found in filter(None, map(wire.found, items)):
                ids.add(found.id)
                if found.kind is self._kind:
                    yield found, self._properties(found)
            if not items or root.get("IncludesLastItemInRange", "true").lower() != "false":
                break
        if offset < expected or len(ids) < expected:
            raise Unreachable("the folder changed while it was listed; it is listed anew")

    def _properties(self, found: wire.Found) -> Mapping[str, Property]:
        try:
            return wire.properties(self._kind, found.element)
        except Malformed:
            return {}

    def _find(self, since: str, offset: int) -> Element:
        view = wire.element(
            "m:IndexedPageItemView", MaxEntriesReturned=str(_PAGE), Offset=str(offset), BasePoint="Beginning"
        )
        order = wire.element(
            "m:SortOrder",
            wire.element("t:FieldOrder", wire.path(self._kind, _MODIFIED), Order="Descending"),
        )
        return wire.element(
            "m:FindItem",
            wire.shape(self._kind, (*telling(self._kind), _MODIFIED)),
            view,
            *([conditions.not_before(self._kind, _MODIFIED, since)] if since else []),
            order,
            wire.element("m:ParentFolderIds", wire.folder_id(self._folder)),
            Traversal="Shallow",
        )


def telling(kind: Kind) -> tuple[str, ...]:
    """The properties that say whether an item may be selected."""
    return ("Categories", "CalendarItemType") if kind is Kind.APPOINTMENT else ("Categories",)


def selected(tag: str, found: wire.Found, properties: Mapping[str, Property]) -> bool:
    """Whether it may be one that the account wants. A series may be: one of its dates may bear the tag for itself."""
    series = properties.get("CalendarItemType") == "RecurringMaster"
    return not tag or series or found.is_list or among(tag, properties.get("Categories"))


def _count(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else otherwise


def _newer(newest: _Seen | None, found: wire.Found, properties: Mapping[str, Property]) -> _Seen | None:
    modified = properties.get(_MODIFIED)
    if not isinstance(modified, datetime):
        return newest
    at = wire.format_moment(modified)
    if newest is None or at > newest.at:
        return _Seen(at, {found.id: found.change_key})
    if at == newest.at and len(newest.known) < _SAME_SECOND:
        return _Seen(at, {**newest.known, found.id: found.change_key})
    return newest


def _encoded(seen: _Seen) -> str:
    return MARK + json.dumps([seen.at, dict(seen.known)], separators=(",", ":"))


def _decoded(cursor: str) -> _Seen:
    try:
        at, known = json.loads(cursor.removeprefix(MARK))
        if at:
            wire.parse_moment(at)
        return _Seen(str(at), dict(known))
    except (ValueError, TypeError):
        raise CursorExpired("this is no time of ours") from None
