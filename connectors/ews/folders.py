"""The folders of a mailbox that hold what we know."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from lxml import etree

from crmsync.connectors.contract import Collection, Kind
from crmsync.connectors.errors import Forbidden, NotFound, ProtocolError
from crmsync.connectors.ews import wire
from crmsync.connectors.ews.client import Exchange
from crmsync.connectors.ews.faults import NotOffered
from crmsync.connectors.ews.places import FOLDER_CLASSES
from crmsync.connectors.ews.wire import Element, M, T

_KNOWN = ("contacts", "calendar", "tasks", "inbox")
_NEEDS = ("folder:DisplayName", "folder:FolderClass", "folder:EffectiveRights", "folder:ParentFolderId")
_SORTS = {"ContactsFolder": "IPF.Contact", "CalendarFolder": "IPF.Appointment", "TasksFolder": "IPF.Task"}
MAIL = "mail"  # id of the mailbox, as over any other protocol
_PAGE = 200
_MOST = 10_000  # folders of one mailbox


@dataclass(frozen=True, slots=True)
class _Folder:
    id: str
    parent: str
    name: str
    sort: str
    writable: bool
    readable: bool


class Folders:
    def __init__(self, exchange: Exchange, owner: str) -> None:
        """``owner``: address of somebody else's mailbox, of which the login is a delegate; empty: the mailbox that the
        server opens for the login."""
        self._exchange = exchange
        self._owner = owner

    def knock(self) -> None:
        """Log in, and ask for something small."""
        self._distinguished(self._owner, ("calendar",))

    def all(self) -> Sequence[Collection]:
        """The well-known ones first, then a person's own; what lies in Deleted Items is not there."""
        names = _KNOWN if self._owner else (*_KNOWN, "deleteditems")
        known = self._distinguished(self._owner, names)
        if self._owner:
            self._check_foreign(known)
        gone = known.pop("deleteditems", None)
        folders = {folder.id: folder for folder in known.values()}
        for folder in self._below():
            folders.setdefault(folder.id, folder)
        dead = {gone.id} if gone else set()
        while grown := {f.id for f in folders.values() if f.parent in dead} - dead:
            dead |= grown
        found = [self._collection(f) for f in folders.values() if f.id not in dead and self._is_ours(f)]
        mail = known.get("inbox")
        return [*found, self._mail()] if mail is not None and mail.readable else found

    def _mail(self) -> Collection:
        """All mail folders are one collection: a message stays the same item wherever it is put."""
        id = f"{MAIL}/{self._owner}" if self._owner else MAIL
        return Collection(id, "Mail", frozenset({Kind.EMAIL}), owner=self._owner)

    @staticmethod
    def _is_ours(folder: _Folder) -> bool:
        return folder.sort in FOLDER_CLASSES and folder.readable

    def _collection(self, folder: _Folder) -> Collection:
        return Collection(
            id=folder.id,
            name=folder.name,
            kinds=frozenset({FOLDER_CLASSES[folder.sort]}),
            writable=folder.writable,
            owner=self._owner,
        )

    def _distinguished(self, owner: str, names: Sequence[str]) -> dict[str, _Folder]:
        """Those that there are, and that the login may see: a delegate is let into some. None at all is an error."""
        answers = self._exchange.each(
            "GetFolder",
            wire.element(
                "m:GetFolder",
                wire.shape(None, _NEEDS, tag="m:FolderShape"),
                wire.element("m:FolderIds", *(wire.known_folder(name, owner) for name in names)),
            ),
            len(names),
        )
        told = {}
        for name, answer in zip(names, answers, strict=True):
            element = answer.element.find(f"{M}Folders/*") if answer.ok else None
            if element is not None and (folder := _read(element)):
                told[name] = folder
        if not told:
            raise self._exchange.error(answers[0])
        return told

    def _check_foreign(self, folders: dict[str, _Folder]) -> None:
        """Exchange has been seen to open the login's own folder where it does not know the other mailbox."""
        try:
            own = self._distinguished("", _KNOWN)
        except (NotFound, Forbidden):
            return  # a login without a mailbox of its own
        if {f.id for f in own.values()} & {f.id for f in folders.values()}:
            raise NotFound(
                f"{self._exchange.where} opens the login's own folders instead of those of {self._owner}",
                hint="check the address in `mailbox`, and that its folders are shared with the login",
            )

    def _below(self) -> Iterator[_Folder]:
        """All folders of the mailbox; a delegate may not be let into its root."""
        paths = [wire.element("t:FieldURI", FieldURI=name) for name in _NEEDS]
        with suppress(Forbidden, NotFound, NotOffered):
            yield from filter(None, map(_read, all_below(self._exchange, self._owner, paths)))


def all_below(exchange: Exchange, owner: str, paths: Sequence[Element]) -> Iterator[Element]:
    """All folders of a mailbox, as elements that have these properties: complete, or an exception."""
    offset = 0
    while True:
        root = exchange.one("FindFolder", _find(owner, offset, paths)).find(M + "RootFolder")
        folders = root.find(T + "Folders") if root is not None else None
        last = root.get("IncludesLastItemInRange") if root is not None else None
        if folders is None or not last:
            raise ProtocolError(f"{exchange.where} answers FindFolder with a part of an answer")
        yield from folders
        offset += len(folders)
        if last.lower() != "false":
            return
        if not len(folders) or offset >= _MOST:
            raise ProtocolError(f"{exchange.where} does not come to the end of its folders")


def _find(owner: str, offset: int, paths: Sequence[Element]) -> Element:
    view = wire.element(
        "m:IndexedPageFolderView",
        MaxEntriesReturned=str(_PAGE),
        Offset=str(offset),
        BasePoint="Beginning",
    )
    shape = wire.element(
        "m:FolderShape",
        wire.element("t:BaseShape", text="IdOnly"),
        wire.element("t:AdditionalProperties", *(copy.deepcopy(path) for path in paths)),
    )
    where = wire.element("m:ParentFolderIds", wire.known_folder("msgfolderroot", owner))
    return wire.element("m:FindFolder", shape, view, where, Traversal="Deep")


def _read(element: Element) -> _Folder | None:
    id, parent = element.find(T + "FolderId"), element.find(T + "ParentFolderId")
    if id is None or not id.get("Id"):
        return None
    rights = {
        e.tag: (e.text or "").strip().lower() == "true" for e in element.iterfind(T + "EffectiveRights/*")
    }
    may = [rights.get(T + right, True) for right in ("CreateContents", "Modify", "Delete")]
    return _Folder(
        id=id.get("Id"),
        parent=parent.get("Id", "") if parent is not None else "",
        name=(element.findtext(T + "DisplayName") or "").strip() or id.get("Id"),
        sort=element.findtext(T + "FolderClass") or _SORTS.get(etree.QName(element).localname, ""),
        writable=all(may),
        readable=rights.get(T + "Read", True),
    )
