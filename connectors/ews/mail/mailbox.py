"""One person's mailbox: its folders, and where messages stand in them. All looks are searches that the server does."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from crmsync.connectors.contract import Kind
from crmsync.connectors.errors import Forbidden, NotFound, ProtocolError, Unreachable
from crmsync.connectors.ews import conditions, wire
from crmsync.connectors.ews.client import Answer, Exchange
from crmsync.connectors.ews.faults import MISSING, NotOffered
from crmsync.connectors.ews.folders import all_below
from crmsync.connectors.ews.mail.layout import Folder, Known, Layout
from crmsync.connectors.ews.mail.mapping import Copy, Standing
from crmsync.connectors.ews.places import OF_FOLDERS
from crmsync.connectors.ews.properties import (
    COMMITTED,
    FLAG,
    REMOVED,
    SEARCH_KEY,
    Malformed,
    Properties,
    text,
)
from crmsync.connectors.ews.rows import SHORT
from crmsync.connectors.ews.wire import Element, M, T
from crmsync.connectors.mail.made import NAMELESS
from crmsync.connectors.mail.message import bare_id
from crmsync.connectors.mail.settings import Settings

_KNOWN = {
    "top": "msgfolderroot",
    "inbox": "inbox",
    "trash": "deleteditems",
    "junk": "junkemail",
    "drafts": "drafts",
    "outbox": "outbox",
}
_OF_FOLDERS = ("folder:DisplayName", "folder:FolderClass", "folder:ParentFolderId", "folder:TotalCount")
_OF_COPIES = ("InternetMessageId", SEARCH_KEY, "Categories", FLAG, "Size")
_FOLDERS = 100  # that are searched in one request
_WHOLE = 10  # of which all messages are told in one
_PAGE = 500  # messages of one answer and folder
_HEARD = 50  # folders whose changes are told of at once
_AT_ONCE = 25  # messages that are looked for in one request


@dataclass(frozen=True, slots=True)
class Found:
    there: Mapping[str, Standing]
    gone: set[str]  # with proof; what is in neither cannot be seen


class Mailbox:
    def __init__(self, exchange: Exchange, owner: str, settings: Settings) -> None:
        """``owner``: of a mailbox of somebody else, of which the login may see a part."""
        self.exchange = exchange
        self.owner = owner
        self.settings = settings
        self._known: Known | None = None
        self._tells = True  # whether anything in a folder has changed

    # ── Folders ──────────────────────────────────────────────────────────────────────────────────────────────

    def layout(self) -> Layout:
        """Raises Forbidden where there is no mail folder that the login may look into."""
        known, shared = self._well_known()
        try:
            folders = [_folder(element) for element in self._below()]
        except (Forbidden, NotFound, NotOffered):
            if not self.owner:
                raise
            folders = shared  # a delegate may be let into a folder and not into what it lies in
        return Layout(folders, known, self.settings)

    def _below(self) -> list[Element]:
        """A server that only resembles Exchange may know no properties but those of EWS."""
        if self._tells:
            try:
                return list(all_below(self.exchange, self.owner, _paths(*OF_FOLDERS)))
            except NotOffered:
                raise
            except ProtocolError:
                self._tells = False
        return list(all_below(self.exchange, self.owner, _paths()))

    def _well_known(self) -> tuple[Known, list[Folder]]:
        """Asked for once, but by a delegate, who may be let into more of them, or fewer, any time."""
        if self._known is not None and not self.owner:
            return self._known, []
        asked = wire.element("m:FolderIds", *(wire.known_folder(n, self.owner) for n in _KNOWN.values()))
        shape = wire.element(
            "m:FolderShape",
            wire.element("t:BaseShape", text="IdOnly"),
            wire.element("t:AdditionalProperties", *_paths()),
        )
        answers = self.exchange.each("GetFolder", wire.element("m:GetFolder", shape, asked), len(_KNOWN))
        found: dict[str, Folder] = {}
        for name, answer in zip(_KNOWN, answers, strict=True):
            element = answer.element.find(f"{M}Folders/*") if answer.ok else None
            if element is not None:
                found[name] = _folder(element)
        if "inbox" not in found:
            raise self.exchange.error(answers[list(_KNOWN).index("inbox")])
        self._known = Known(**{name: folder.id for name, folder in found.items()})
        return self._known, [folder for name, folder in found.items() if name != "top"]

    def telling(self) -> list[str]:
        """The folders in which people tag: a change there is worth a look at once."""
        layout = self.layout()
        first = [f.id for f in layout.watched if f.id == layout.known.inbox or layout.filed(f.id)]
        return [*first, *(f.id for f in layout.watched if f.id not in first)][:_HEARD]

    # ── Messages ─────────────────────────────────────────────────────────────────────────────────────────────

    def marked(self, layout: Layout, folders: Sequence[Folder], tag: str) -> Iterator[tuple[str, Copy]]:
        """Of these folders, the messages that bear the tag, and all of those that lie where everything is tagged; all
        of them for no tag."""
        ours = tag.casefold() == self.settings.tag.casefold()
        free = [f for f in folders if not tag or (ours and layout.filed(f.id))]
        rest = [f for f in folders if f not in free]
        yield from self._search(layout, free, None)
        yield from self._search(layout, rest, conditions.equal(Kind.EMAIL, "Categories", [tag]))

    def standing(self, layout: Layout, ids: Sequence[str]) -> Found:
        """Where these messages stand now; and of those that stand nowhere, the ones of which that is proven. In
        somebody else's mailbox nothing is: they may have gone to where we see nothing."""
        wanted, found = list(dict.fromkeys(ids)), dict[str, list[Copy]]()
        doubtful = bool(self.owner)
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            for id, each in self._search(layout, layout.folders, _named(some)):
                if id in some:
                    found.setdefault(id, []).append(each)
                else:  # an answer to another question proves nothing about this one
                    doubtful = True
        watched = {f.id for f in layout.watched}
        there = {}
        for id, copies in found.items():
            counting = [c for c in copies if c.folder in watched] or copies
            there[id] = Standing(tuple(counting), self.settings)
        return Found(there, set() if doubtful else {id for id in wanted if id not in found})

    def _search(
        self, layout: Layout, folders: Sequence[Folder], test: Element | None
    ) -> Iterator[tuple[str, Copy]]:
        at_once = _FOLDERS if test is not None else _WHOLE
        for start in range(0, len(folders), at_once):
            left = [f.id for f in folders[start : start + at_once]]
            offset = 0
            while left:
                answers = self.exchange.each("FindItem", _find(left, test, offset), len(left))
                more = []
                for folder, answer in zip(left, answers, strict=True):
                    items, is_last = self._page(answer)
                    yield from self.copies(layout, folder, items)
                    if not items and not is_last:
                        raise ProtocolError(f"{self.exchange.where} does not finish a search")
                    if not is_last:
                        more.append(folder)
                left, offset = more, offset + _PAGE

    def _page(self, answer: Answer) -> tuple[list[Element], bool]:
        if not answer.ok:
            if answer.code == "ErrorAccessDenied" and self.owner:
                return [], True
            if answer.code in MISSING or answer.code == "ErrorFolderNotFound":
                raise Unreachable(
                    "a folder went away while messages were looked for; they are looked for anew"
                )
            raise self.exchange.error(answer)
        root = answer.element.find(M + "RootFolder")
        items = root.find(T + "Items") if root is not None else None
        last = root.get("IncludesLastItemInRange") if root is not None else None
        if items is None or not last:  # taken for less, it could pass for a proof that a message is gone
            raise ProtocolError(f"{self.exchange.where} answers FindItem with a part of an answer")
        return list(items), last.lower() != "false"

    def copies(self, layout: Layout, folder: str, items: Sequence[Element]) -> Iterator[tuple[str, Copy]]:
        """Messages out of a search in this folder; of one that cannot be told from others, no id."""
        filed, regarding = layout.filed(folder), layout.regarding(folder)
        for item in items:
            found = wire.found(item)
            if found is None:
                raise ProtocolError(f"{self.exchange.where} finds an item, and does not say which")
            try:
                told = wire.properties(Kind.EMAIL, item) if found.kind is Kind.EMAIL else {}
                id = self._identity(found, told)
            except Malformed:
                id = ""
            if not id:  # no mail, or something that cannot be read: it may be any message
                yield "", Copy(folder)
                continue
            words, size = told.get("Categories"), told.get("Size")
            copy = Copy(
                folder,
                words if isinstance(words, tuple) else (),
                text(told, FLAG),
                filed,
                regarding,
                found.id,
                found.change_key,
                wire.local_name(item),
                size if isinstance(size, int) else 0,
            )
            yield id, copy

    def _identity(self, found: wire.Found, told: Properties) -> str:
        """One message has one Message-ID, wherever it lies. What has none goes by the server's own key, which its
        copies share. Searches cut long texts off: those are asked for by themselves."""
        given = text(told, "InternetMessageId")
        if len(given) >= SHORT:
            shape = wire.shape(Kind.EMAIL, ("InternetMessageId",))
            asked = wire.element("m:GetItem", shape, wire.element("m:ItemIds", wire.item_id(found.id)))
            item = self.exchange.one("GetItem", asked).find(f"{M}Items/*")
            given = text(wire.properties(Kind.EMAIL, item), "InternetMessageId") if item is not None else ""
        key = text(told, SEARCH_KEY)
        return bare_id(given) or (key + NAMELESS if key else "")


def _paths(*more: str) -> list[Element]:
    named = [wire.element("t:FieldURI", FieldURI=name) for name in _OF_FOLDERS]
    return named + [wire.folder_path(name) for name in more]


def _named(ids: Sequence[str]) -> Element:
    """The test for messages of these identities. Message-IDs stand with their brackets, as a rule."""
    nameless = [id.removesuffix(NAMELESS) for id in ids if id.endswith(NAMELESS)]
    names = [form for id in ids if not id.endswith(NAMELESS) for form in (f"<{id}>", id)]
    tests = [conditions.equal(Kind.EMAIL, "InternetMessageId", names)] if names else []
    tests += [conditions.has_search_key(nameless)] if nameless else []
    return tests[0] if len(tests) == 1 else wire.element("t:Or", *tests)


def _find(folders: Sequence[str], test: Element | None, offset: int) -> Element:
    view = wire.element(
        "m:IndexedPageItemView", MaxEntriesReturned=str(_PAGE), Offset=str(offset), BasePoint="Beginning"
    )
    return wire.element(
        "m:FindItem",
        wire.shape(Kind.EMAIL, _OF_COPIES),
        view,
        *([wire.element("m:Restriction", copy.deepcopy(test))] if test is not None else []),
        wire.element("m:ParentFolderIds", *(wire.folder_id(f) for f in folders)),
        Traversal="Shallow",
    )


def _folder(element: Element) -> Folder:
    id, parent = element.find(T + "FolderId"), element.find(T + "ParentFolderId")
    if id is None or not id.get("Id"):
        raise ProtocolError("the server tells of a folder, and does not say which")
    told = wire.extended(element, OF_FOLDERS)
    state = f"{told[COMMITTED]} {told[REMOVED]}" if told.keys() >= {COMMITTED, REMOVED} else ""
    state = state and f"{state} {element.findtext(T + 'TotalCount') or ''}"
    return Folder(
        id=id.get("Id"),
        parent=parent.get("Id", "") if parent is not None else "",
        name=(element.findtext(T + "DisplayName") or "").strip(),
        sort=element.findtext(T + "FolderClass") or "",
        state=state,
    )
