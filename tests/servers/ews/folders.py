"""What all operations are made of, and those on folders."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

from lxml import etree

from tests.servers.ews.answers import folder_values, message, paged, wrapped
from tests.servers.ews.place import Folder, Place, Refusal
from tests.servers.ews.schema import Element, M, T, name
from tests.servers.ews.search import meets
from tests.servers.ews.settling import stamp_of


@dataclass
class Caller:
    user: str  # whose rights count: who logged in, or who is impersonated
    zone: str = "UTC"


@dataclass
class Fault:
    """What a test wants to go wrong: the next ``times`` messages of an operation that concern ``item``."""

    operation: str
    code: str
    item: str = ""
    times: int = 1
    back_off: int = 0
    after: bool = False  # it is done, and only the answer is wrong
    text: str = "asked for by a test"


@dataclass
class FolderOperations:
    place: Place
    faults: list[Fault] = field(default_factory=list)

    # ── one message for each thing that a request names ──────────────────────────────────────────────────────

    def each(
        self, operation: str, things: list[Element], do: Callable[[Element], list[Element]]
    ) -> list[Element]:
        return [self._message(operation, thing, do) for thing in things]

    def _message(self, operation: str, thing: Element, do: Callable[[Element], list[Element]]) -> Element:
        try:
            fault = self._fault(operation, thing)
            if fault is not None and not fault.after:
                raise Refusal(fault.code, fault.text, back_off=fault.back_off)
            found = do(thing)
            if fault is not None:
                raise Refusal(fault.code, fault.text, back_off=fault.back_off)
        except Refusal as refusal:
            return message(operation, error=refusal)
        return message(operation, *found)

    def _fault(self, operation: str, thing: Element) -> Fault | None:
        ids = {e.get("Id") for e in thing.iter(T + "ItemId", T + "FolderId")} | {thing.get("Id")}
        for fault in self.faults:
            if fault.operation == operation and (not fault.item or fault.item in ids) and fault.times > 0:
                fault.times -= 1
                return fault
        return None

    # ── folders ──────────────────────────────────────────────────────────────────────────────────────────────

    def target(self, caller: Caller, element: Element, *, write: bool = False) -> Folder:
        """The folder of a FolderId or DistinguishedFolderId. Raises Refusal."""
        if name(element) == "FolderId":
            folder = self.place.folder(element.get("Id") or "")
        else:
            address = element.findtext(f"{T}Mailbox/{T}EmailAddress") or caller.user
            mailbox = self.place.mailboxes.get(address.lower())
            if mailbox is None:
                raise Refusal(
                    "ErrorNonExistentMailbox", "The SMTP address has no mailbox associated with it."
                )
            folder = mailbox.known(element.get("Id") or "")
        public = folder.known_as in ("root", "msgfolderroot") and self._shares(folder, caller.user)
        if not folder.may(caller.user, write=write) and not (public and not write):
            raise Refusal("ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        return folder

    @staticmethod
    def _shares(folder: Folder, user: str) -> bool:
        return any(user in each.rights for each in folder.mailbox.folders.values())

    def get_folder(self, caller: Caller, request: Element) -> list[Element]:
        def do(element: Element) -> list[Element]:
            return [wrapped("Folders", [self._folder(caller, self.target(caller, element), request)])]

        return self.each("GetFolder", list(request.find(M + "FolderIds")), do)

    def _folder(self, caller: Caller, folder: Folder, request: Element) -> Element:
        tags = {
            "IPF.Appointment": "CalendarFolder",
            "IPF.Contact": "ContactsFolder",
            "IPF.Task": "TasksFolder",
        }
        element = etree.Element(T + tags.get(folder.sort, "Folder"))
        etree.SubElement(element, T + "FolderId", Id=folder.id, ChangeKey="AQAAAA==")
        if folder.parent:
            etree.SubElement(element, T + "ParentFolderId", Id=folder.parent.id, ChangeKey="AQAAAA==")
        if folder.sort:
            etree.SubElement(element, T + "FolderClass").text = folder.sort
        etree.SubElement(element, T + "DisplayName").text = folder.name
        etree.SubElement(element, T + "TotalCount").text = str(len(folder.items))
        element.extend(self._counts(folder, request))
        children = sum(f.parent is folder for f in folder.mailbox.folders.values())
        etree.SubElement(element, T + "ChildFolderCount").text = str(children)
        rights = etree.SubElement(element, T + "EffectiveRights")
        write = "true" if folder.may(caller.user, write=True) else "false"
        read = "true" if folder.may(caller.user) else "false"
        for right in ("CreateAssociated", "CreateContents", "CreateHierarchy", "Delete", "Modify"):
            etree.SubElement(rights, T + right).text = write
        etree.SubElement(rights, T + "Read").text = read
        if folder.known_as:
            etree.SubElement(element, T + "DistinguishedFolderId").text = folder.known_as
        return element

    def _counts(self, folder: Folder, request: Element) -> list[Element]:
        """MS-OXCFOLD: when anything in it changed last, and how much has left it, to who asks."""
        known = {"0x670a": stamp_of(folder.committed), "0x670b": str(folder.removed)}
        found = []
        for uri in request.iter(T + "ExtendedFieldURI"):
            if self.place.tells_commits and (value := known.get(uri.get("PropertyTag") or "")):
                element = etree.Element(T + "ExtendedProperty")
                element.append(copy.deepcopy(uri))
                etree.SubElement(element, T + "Value").text = value
                found.append(element)
        return found

    def create_folder(self, caller: Caller, request: Element) -> list[Element]:
        parent = self.target(caller, request.find(M + "ParentFolderId")[0], write=True)

        def do(element: Element) -> list[Element]:
            called = element.findtext(T + "DisplayName") or ""
            if any(f.name == called and f.parent is parent for f in parent.mailbox.folders.values()):
                raise Refusal("ErrorFolderExists", "A folder with the specified name already exists.")
            made = self.place.add_folder(parent.mailbox, called, "inbox", parent)
            return [wrapped("Folders", [self._folder(caller, made, request)])]

        return self.each("CreateFolder", list(request.find(M + "Folders")), do)

    def find_folder(self, caller: Caller, request: Element) -> list[Element]:
        deep = request.get("Traversal") == "Deep"
        view = request.find(M + "IndexedPageFolderView")
        test = request.find(M + "Restriction")

        def do(element: Element) -> list[Element]:
            top = self.target(caller, element)
            found = [f for f in top.mailbox.folders.values() if self._below(f, top, deep=deep)]
            found = [f for f in found if f.may(caller.user)]
            if test is not None:
                found = [f for f in found if meets(test[0], lambda path, f=f: folder_values(f, path))]
            return [
                paged("Folders", [self._folder(caller, f, request) for f in found], view, self.place.page)
            ]

        return self.each("FindFolder", list(request.find(M + "ParentFolderIds")), do)

    @staticmethod
    def _below(folder: Folder, top: Folder, *, deep: bool) -> bool:
        parent = folder.parent
        while parent is not None and deep and parent is not top:
            parent = parent.parent
        return parent is top
