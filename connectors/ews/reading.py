"""Items out of one folder: what changed, what there is, and what stands in them."""

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice
from typing import TypeAlias

from crmsync.connectors.contract import Columns, Gone, Hidden, Kind, Page, Record, Ref, Selection, Unreadable
from crmsync.connectors.errors import CursorExpired, Forbidden, NotFound, ProtocolError
from crmsync.connectors.ews import conditions, files, mapping, scan, wire
from crmsync.connectors.ews.client import Answer, Exchange
from crmsync.connectors.ews.faults import BUSY, LATER, MISSING, NotOffered
from crmsync.connectors.ews.properties import KEY, SEARCH_KEY, Malformed, Properties
from crmsync.connectors.ews.rows import category
from crmsync.connectors.ews.wire import Element, M, T
from crmsync.connectors.told import one_line

BATCH = 100  # items of one GetItem
PAGE = 500  # changes of one answer; Exchange gives 512 at most
_MARK = "ews1:"  # before a synchronisation state, which is otherwise anything
_REMEMBERED = 500  # items
_IDLE = 1_000  # answers without a change, each of which says that there is more
_MOST = 100_000  # items that a search for a few may find
_WITH_FILES = frozenset({Kind.APPOINTMENT, Kind.TASK})  # of contacts it is the photo that is attached
PUT_BACK = "ews:"  # before the search key, by which a deleted item is found in Deleted Items

Found: TypeAlias = Record | Gone | Hidden | Unreadable


class Reader:
    def __init__(
        self,
        exchange: Exchange,
        folder: str,
        kind: Kind,
        zone: mapping.Zone,
        *,
        owner: str = "",
        largest_file: int = 0,
    ) -> None:
        """``owner``: of a mailbox of somebody else, of which the login may see a part."""
        self._exchange = exchange
        self._folder = folder
        self._kind = kind
        self._zone = zone
        self._owner = owner
        self._files = files.Files(exchange, largest_file)
        self._scan = scan.Scan(exchange, folder, kind)
        self._standing: OrderedDict[str, tuple[str, Properties]] = OrderedDict()

    # ── changes ──────────────────────────────────────────────────────────────────────────────────────────────

    def changes(self, since: str | None, selection: Selection) -> Iterator[Page]:
        """Ids and versions. A tag narrows the first listing down: its answers then name the categories."""
        tag = category(selection.tag) if since is None else ""
        if since is not None and since.startswith(scan.MARK):
            yield from self._scan.changes(since, tag)
            return
        try:
            yield from self._by_state(since, tag)
            return
        except NotOffered:
            if since is not None:
                raise CursorExpired("the server gives no synchronisation states any more") from None
        yield from self._scan.changes(None, tag)

    def _by_state(self, since: str | None, tag: str) -> Iterator[Page]:
        if since is not None and not since.startswith(_MARK):
            raise CursorExpired("this is no synchronisation state of ours")
        state = since[len(_MARK) :] if since is not None else ""
        if since is not None and not state:
            raise CursorExpired("this is no synchronisation state of ours")
        names = scan.telling(self._kind) if tag else ()
        idle = 0
        while True:
            message = self._exchange.one("SyncFolderItems", self._sync(state, names))
            new, changes = message.findtext(M + "SyncState") or "", message.find(M + "Changes")
            last = message.findtext(M + "IncludesLastItemInRange") or ""
            if not new or changes is None or not last:  # taken for less, it could pass for a complete listing
                raise ProtocolError(
                    f"{self._exchange.where} answers SyncFolderItems with a part of an answer"
                )
            yield Page(tuple(c for e in changes if (c := self._change(e, tag))), _MARK + new)
            if last.strip().lower() != "false":
                return
            idle = 0 if len(changes) else idle + 1
            if idle and new == state:
                return  # seen on Exchange: the same state once more, with more to come that never comes
            if new == state or idle > _IDLE:
                raise ProtocolError(f"{self._exchange.where} does not come to the end of what has changed")
            state = new

    def _sync(self, state: str, names: Sequence[str]) -> Element:
        return wire.element(
            "m:SyncFolderItems",
            wire.shape(self._kind, names),
            wire.element("m:SyncFolderId", wire.folder_id(self._folder)),
            *([wire.element("m:SyncState", text=state)] if state else []),
            wire.element("m:MaxChangesReturned", text=str(PAGE)),
        )

    def _change(self, change: Element, tag: str) -> Ref | Gone | None:
        if change.tag == T + "Delete":
            id = change.find(T + "ItemId")
            if id is None or not id.get("Id"):
                raise ProtocolError(f"{self._exchange.where} tells of a deletion, and not of what")
            self._standing.pop(id.get("Id"), None)
            return Gone(id.get("Id"))
        if change.tag not in (T + "Create", T + "Update"):
            return None
        found = wire.found(change[0]) if len(change) else None
        if found is None:
            raise ProtocolError(f"{self._exchange.where} tells of a change, and not of what")
        if found.kind is not self._kind:
            return None
        marked = not tag or scan.selected(tag, found, wire.properties(self._kind, found.element))
        return Ref(found.id, found.change_key) if marked else None

    def listing(self) -> Iterator[Ref]:
        """A synchronisation from the beginning names everything that is there, as of one moment."""
        pages = self._by_state(None, "")
        try:
            first = [*islice(pages, 1)]
        except NotOffered:
            yield from self._scan.listing()
            return
        for page in chain(first, pages):
            for item in page.items:
                if isinstance(item, Ref):
                    yield item

    # ── items ────────────────────────────────────────────────────────────────────────────────────────────────

    def fetch(self, ids: Sequence[str]) -> Iterator[Found]:
        for start in range(0, len(ids), BATCH):
            yield from self._batch(ids[start : start + BATCH])

    def _batch(self, ids: Sequence[str]) -> Iterator[Found]:
        try:
            answers = self._get(ids)
        except ProtocolError as error:
            if len(ids) > 1:  # one of them breaks the answer for all
                for id in ids:
                    yield from self._batch([id])
            else:
                yield Unreadable(ids[0], "", error.message)
            return
        for id, answer in zip(ids, answers, strict=True):
            yield self._judged(id, answer)

    def _get(self, ids: Sequence[str]) -> list[Answer]:
        more = (files.PATH,) if self._kind in _WITH_FILES else ()
        shape = wire.shape(self._kind, mapping.NEEDS[self._kind], more=more)
        items = wire.element("m:ItemIds", *(wire.item_id(id) for id in ids))
        return self._exchange.each("GetItem", wire.element("m:GetItem", shape, items), len(ids))

    def _judged(self, id: str, answer: Answer) -> Found:
        if answer.ok:
            item = answer.element.find(f"{M}Items/*")
            return self._item(id, item) if item is not None else Hidden(id)
        if answer.code in BUSY or answer.code in LATER:
            raise self._exchange.error(answer)
        if answer.code in MISSING and not self._owner:
            return Gone(id)
        return Hidden(id)

    def _item(self, id: str, item: Element) -> Record | Unreadable | Hidden:
        found = wire.found(item)
        if found is None or found.kind is not self._kind:
            return Hidden(id)
        try:
            properties = wire.properties(self._kind, item)
            read = mapping.read(self._kind, id, properties, self._zone)
        except Malformed as error:
            return Unreadable(id, found.change_key, error.rule, self._kind, self._tags(item))
        self._remember(id, found.change_key, properties)
        return Record(
            id=id,
            version=found.change_key,
            kind=self._kind,
            columns=self._with_files(read.columns, item),
            modified=read.modified,
            changed_by=read.changed_by,
            uid=read.uid,
            tags=read.tags,
            stamp=read.stamp,
            untouchable="list" if found.is_list else read.untouchable,
            private=read.private,
            attachments=self._files.of(item) if self._kind in _WITH_FILES else (),
            native=PUT_BACK + read.search_key if read.search_key else "",
        )

    def _with_files(self, columns: Columns, item: Element) -> Columns:
        if "attachments" not in mapping.HOLDS[self._kind]:
            return columns
        return {**columns, "attachments": files.names(item) or None}

    @staticmethod
    def _tags(item: Element) -> frozenset[str] | None:
        words = [e.text or "" for e in item.iterfind(f"{T}Categories/{T}String")]
        return frozenset(category(one_line(word)[:200]) for word in words)

    # ── what is known of items that are about to be written ──────────────────────────────────────────────────

    def _remember(self, id: str, version: str, properties: Properties) -> None:
        self._standing[id] = (version, properties)
        self._standing.move_to_end(id)
        while len(self._standing) > _REMEMBERED:
            self._standing.popitem(last=False)

    def forget(self) -> None:
        self._standing.clear()

    def standing(self, id: str, version: str) -> Properties | None:
        """The item as it was last read, if it was in this version."""
        known = self._standing.get(id)
        return known[1] if known is not None and known[0] == version else None

    def versions(self, ids: Sequence[str]) -> dict[str, str | None]:
        """The version in which each item is; None: it is not there, or not to be seen."""
        told: dict[str, str | None] = {}
        for start in range(0, len(ids), BATCH):
            some = ids[start : start + BATCH]
            items = wire.element("m:ItemIds", *(wire.item_id(id) for id in some))
            asked = wire.element("m:GetItem", wire.shape(self._kind, ()), items)
            answers = self._exchange.each("GetItem", asked, len(some))
            for id, answer in zip(some, answers, strict=True):
                if answer.code in BUSY or answer.code in LATER:
                    raise self._exchange.error(answer)
                item = answer.element.find(f"{M}Items/*")
                found = wire.found(item) if item is not None else None
                told[id] = found.change_key if found else None
        return told

    def with_keys(self, keys: Sequence[str]) -> dict[str, str]:
        """Key -> id of the item that was made under it."""
        here = wire.folder_id(self._folder)
        return self._searched(KEY, keys, conditions.any_of_keys, here)

    def thrown_away(self, search_keys: Sequence[str]) -> dict[str, str]:
        """Search key -> id of the item in Deleted Items."""
        where = wire.known_folder("deleteditems", self._owner)
        try:
            return self._searched(SEARCH_KEY, search_keys, conditions.any_of_search_keys, where)
        except (Forbidden, NotFound):  # a delegate is not let into everything
            return {}

    def _searched(
        self, name: str, keys: Sequence[str], test: Callable[[Sequence[str]], Element], where: Element
    ) -> dict[str, str]:
        told: dict[str, str] = {}
        for start in range(0, len(keys), BATCH):
            restriction = test(keys[start : start + BATCH])
            told |= self._search(name, restriction, where)
        return told

    def _search(self, name: str, restriction: Element, where: Element) -> dict[str, str]:
        told: dict[str, str] = {}
        offset = 0
        while True:
            asked = self._find(name, copy.deepcopy(restriction), copy.deepcopy(where), offset)
            root = self._exchange.one("FindItem", asked).find(M + "RootFolder")
            items = root.findall(f"{T}Items/*") if root is not None else []
            for found in filter(None, map(wire.found, items)):
                key = wire.properties(self._kind, found.element).get(name)
                if found.kind is self._kind and isinstance(key, str):
                    told.setdefault(key, found.id)
            offset += len(items)
            if root is None or not items or root.get("IncludesLastItemInRange", "true").lower() != "false":
                return told
            if offset > _MOST:
                raise ProtocolError(f"{self._exchange.where} does not finish a search")

    def _find(self, name: str, restriction: Element, where: Element, offset: int) -> Element:
        view = wire.element(
            "m:IndexedPageItemView", MaxEntriesReturned=str(PAGE), Offset=str(offset), BasePoint="Beginning"
        )
        return wire.element(
            "m:FindItem",
            wire.shape(self._kind, (name,)),
            view,
            restriction,
            wire.element("m:ParentFolderIds", where),
            Traversal="Shallow",
        )
