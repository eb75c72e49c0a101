"""What stands on the server: mailboxes, folders, items. All under one lock, in memory."""

import base64
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from lxml import etree

from tests.servers.ews.schema import Element, T

CLASSES = {
    "calendar": ("IPF.Appointment", "Calendar", "CalendarItem"),
    "contacts": ("IPF.Contact", "Contacts", "Contact"),
    "tasks": ("IPF.Task", "Tasks", "Task"),
    "inbox": ("IPF.Note", "Inbox", "Message"),
    "sentitems": ("IPF.Note", "Sent Items", "Message"),
    "drafts": ("IPF.Note", "Drafts", "Message"),
    "deleteditems": ("IPF.Note", "Deleted Items", "Message"),
    "junkemail": ("IPF.Note", "Junk Email", "Message"),
    "outbox": ("IPF.Note", "Outbox", "Message"),
}
KINDS = {
    "IPF.Appointment": "CalendarItem",
    "IPF.Contact": "Contact",
    "IPF.Task": "Task",
    "IPF.Note": "Message",
}
ITEM_CLASS = {
    "CalendarItem": "IPM.Appointment",
    "Contact": "IPM.Contact",
    "Task": "IPM.Task",
    "Message": "IPM.Note",
    "DistributionList": "IPM.DistList",
}


class Refusal(Exception):
    """A response message that is an error."""

    def __init__(self, code: str, text: str = "", *, back_off: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.text = text or code
        self.back_off = back_off  # milliseconds


@dataclass(eq=False)
class Item:
    id: str
    kind: str  # the element's name
    folder: "Folder"
    made: int  # the moment of its creation, as the server counts
    changed: int = 0
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))
    fields: dict[str, Element] = field(default_factory=dict)  # by name, as they would be sent
    extended: dict[tuple[str, ...], Element] = field(default_factory=dict)
    attachments: dict[str, Element] = field(default_factory=dict)
    search_key: bytes = b""
    modified_by: str = ""  # a name
    exceptions: "dict[date, Item]" = field(default_factory=dict)  # of a series: by the day of the pattern
    removed: set[date] = field(default_factory=set)  # of a series: days that were taken out
    series: "Item | None" = None  # of an occurrence
    day: date | None = None  # of an occurrence: that of the pattern

    @property
    def change_key(self) -> str:
        return "EQAAABYA" + base64.b64encode(self.changed.to_bytes(8, "big")).decode()

    def text(self, name: str) -> str:
        found = self.fields.get(name)
        return (found.text or "") if found is not None else ""

    def put(self, name: str, text: str) -> None:
        element = etree.Element(T + name)
        element.text = text
        self.fields[name] = element

    def size(self) -> int:
        parts = [*self.fields.values(), *self.extended.values(), *self.attachments.values()]
        return sum(len(etree.tostring(part)) for part in parts)


@dataclass(eq=False)
class Folder:
    id: str
    name: str
    sort: str  # IPF.…
    mailbox: "Mailbox"
    parent: "Folder | None" = None
    known_as: str = ""  # its distinguished name
    items: dict[str, Item] = field(default_factory=dict)
    graves: dict[str, tuple[int, int]] = field(default_factory=dict)  # id -> made, deleted
    rights: dict[str, str] = field(default_factory=dict)  # address -> Reviewer, Editor
    oldest_state: int = 0
    committed: int = 0  # when anything in it changed last, as the server counts
    removed: int = 0  # how much has left it

    def may(self, user: str, *, write: bool = False) -> bool:
        level = "Owner" if user == self.mailbox.address else self.rights.get(user, "")
        return level in ("Owner", "Editor") or (not write and level == "Reviewer")


@dataclass(eq=False)
class Mailbox:
    address: str
    password: str
    name: str
    folders: dict[str, Folder] = field(default_factory=dict)  # by id
    quota: int = 0  # bytes; 0: none
    sent: list[tuple[str, str]] = field(default_factory=list)  # (why, subject): what left this mailbox

    def known(self, name: str) -> Folder:
        for folder in self.folders.values():
            if folder.known_as == name:
                return folder
        raise Refusal("ErrorFolderNotFound", "The specified folder could not be found in the store.")

    def size(self) -> int:
        return sum(item.size() for folder in self.folders.values() for item in folder.items.values())


class Place:
    def __init__(self) -> None:
        self.lock = threading.Condition(threading.RLock())
        self.mailboxes: dict[str, Mailbox] = {}
        self._count = itertools.count(1)
        self.listeners: list[Callable[[Folder, str, Item], None]] = []
        self.page = 512  # changes and entries in one answer, at most
        self.largest_property = 65_536  # bytes of one extended property
        self.largest_item = 1_000_000
        self.tells_commits = True  # of a folder, whether anything in it has changed

    def tick(self) -> int:
        return next(self._count)

    def _id(self, letter: str) -> str:
        number = self.tick()
        return base64.b64encode(f"AAMk/{letter}+{number:08}".encode()).decode()

    def add_mailbox(self, address: str, password: str, name: str = "") -> Mailbox:
        mailbox = Mailbox(address.lower(), password, name or address.partition("@")[0].title())
        root = self._folder(mailbox, "Root", "", None, "root")
        top = self._folder(mailbox, "Top of Information Store", "", root, "msgfolderroot")
        for known, (sort, title, _) in CLASSES.items():
            self._folder(mailbox, title, sort, top, known)
        self.mailboxes[mailbox.address] = mailbox
        return mailbox

    def add_folder(self, mailbox: Mailbox, name: str, like: str, below: Folder | None = None) -> Folder:
        """A folder of a person's own, of the same sort as the distinguished one ``like``."""
        with self.lock:
            parent = below or mailbox.known("msgfolderroot")
            return self._folder(mailbox, name, CLASSES[like][0], parent, "")

    def _folder(self, mailbox: Mailbox, name: str, sort: str, parent: Folder | None, known: str) -> Folder:
        folder = Folder(self._id("f"), name, sort, mailbox, parent, known)
        mailbox.folders[folder.id] = folder
        return folder

    def all_folders(self) -> Iterator[Folder]:
        for mailbox in self.mailboxes.values():
            yield from mailbox.folders.values()

    def folder(self, id: str) -> Folder:
        for folder in self.all_folders():
            if folder.id == id:
                return folder
        raise Refusal("ErrorFolderNotFound", "The specified folder could not be found in the store.")

    def item(self, id: str) -> Item:
        for folder in self.all_folders():
            if id in folder.items:
                return folder.items[id]
        raise Refusal("ErrorItemNotFound", "The specified object was not found in the store.")

    # ── changes ──────────────────────────────────────────────────────────────────────────────────────────────

    def add(self, folder: Folder, kind: str) -> Item:
        """An empty item that is not seen before ``keep``."""
        id = self._id("i")
        return Item(id, kind, folder, made=0, search_key=id.encode()[-16:])

    def keep(self, item: Item, by: str = "") -> None:
        new = item.made == 0
        mailbox = item.folder.mailbox
        if item.size() > self.largest_item:
            raise Refusal("ErrorMessageSizeExceeded", "The message exceeds the maximum supported size.")
        if mailbox.quota and mailbox.size() + (item.size() if new else 0) > mailbox.quota:
            raise Refusal("ErrorQuotaExceeded", "The mailbox quota has been exceeded.")
        item.changed = self.tick()
        item.made = item.made or item.changed
        item.modified = datetime.now(UTC)
        item.modified_by = by or mailbox.name
        item.folder.items[item.id] = item
        item.folder.committed = item.changed
        self.tell(item.folder, "CreatedEvent" if new else "ModifiedEvent", item)

    def remove(self, item: Item) -> None:
        del item.folder.items[item.id]
        item.folder.graves[item.id] = (item.made, self.tick())
        item.folder.removed += 1
        self.tell(item.folder, "DeletedEvent", item)

    def move(self, item: Item, target: Folder) -> Item:
        """Exchange gives what was moved another id."""
        self.remove(item)
        moved = Item(
            self._id("i"),
            item.kind,
            target,
            made=0,
            created=item.created,
            fields=item.fields,
            extended=item.extended,
            attachments=item.attachments,
            search_key=item.search_key,
            exceptions=item.exceptions,
            removed=item.removed,
        )
        self.keep(moved)
        return moved

    def tell(self, folder: Folder, event: str, item: Item) -> None:
        for listener in list(self.listeners):
            listener(folder, event, item)

    # ── sync states ──────────────────────────────────────────────────────────────────────────────────────────

    def state(self, folder: Folder, seen: int) -> str:
        return base64.b64encode(json.dumps(["H4sI", folder.id, seen]).encode()).decode()

    def seen(self, folder: Folder, state: str | None) -> int:
        if state is None:
            return 0
        try:
            mark, id, seen = json.loads(base64.b64decode(state, validate=True))
        except (ValueError, TypeError):
            mark, id, seen = "", "", -1
        if mark != "H4sI" or id != folder.id or not isinstance(seen, int) or seen < folder.oldest_state:
            raise Refusal("ErrorInvalidSyncStateData", "Synchronization state data is corrupt.")
        return seen
