"""Somebody at Outlook: works on the server's store itself."""

import copy
from datetime import UTC, date, datetime, timedelta
from itertools import count

from lxml import etree

from tests.servers.ews import series
from tests.servers.ews.fields import MESSAGE_FLAGS
from tests.servers.ews.mime import fill
from tests.servers.ews.place import Folder, Item, Mailbox, Place
from tests.servers.ews.schema import T
from tests.servers.ews.settling import stamp

_TITLE = {"Contact": "Surname", "CalendarItem": "Subject", "Task": "Subject"}
_UNMAPPED = {
    "Contact": ("Manager", "SpouseName", "ImAddresses", "Attachments"),
    "CalendarItem": ("NetShowUrl", "MeetingWorkspaceUrl", "ConferenceType"),
    "Task": ("BillingInformation", "TotalWork", "Mileage"),
}
_FOR_EVER = "<NoEndRecurrence><StartDate>2026-03-02</StartDate></NoEndRecurrence>"
FLAG = ("", "", "0x1090", "", "", "Integer")
_MESSAGE = """Received: from elsewhere.example.com by mail.example.com; Mon, 02 Mar 2026 09:00:00 +0000
Message-ID: <{id}>
From: =?utf-8?q?B=C3=B6b?= <bob@example.com>
To: Alice <alice@example.com>, carol@example.com
Date: Mon, 02 Mar 2026 10:00:00 +0100
Subject: About {title}
X-Something: kept; as it "is"
MIME-Version: 1.0
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: 8bit

Gr\xfc\xdfe
"""
_NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


class EwsPerson:
    def __init__(self, place: Place, folder: Folder, name: str = "") -> None:
        """``name``: who it is, where it is not the owner of the mailbox."""
        self.place = place
        self.folder = folder
        self.name = name

    def add(self, title: str) -> str:
        with self.place.lock:
            kind = {"IPF.Appointment": "CalendarItem", "IPF.Contact": "Contact"}.get(self.folder.sort, "Task")
            item = self.place.add(self.folder, kind)
            item.put(_TITLE[kind], title)
            for name in _UNMAPPED[kind]:
                item.put(name, "kept, as it is")
            if kind == "Contact":
                item.put("DisplayName", title)
                item.put("FileAs", title)
            if kind == "CalendarItem":
                item.put("UID", f"uid-of-{item.id}")
                item.put("Start", stamp(_NINE))
                item.put("End", stamp(_NINE.replace(hour=10)))
            uri = etree.Element(
                T + "ExtendedFieldURI", PropertySetId="aaaa", PropertyName="theirs", PropertyType="String"
            )
            extended = etree.Element(T + "ExtendedProperty")
            extended.append(uri)
            etree.SubElement(extended, T + "Value").text = "kept"
            item.extended[("", "aaaa", "", "theirs", "", "String")] = extended
            self.place.keep(item, self.name)
            return item.id

    def repeat(self, id: str, pattern: str, range: str = _FOR_EVER) -> None:
        """``pattern`` and ``range``: elements, in the words of the schema."""
        with self.place.lock:
            item = self.folder.items[id]
            text = f'<Recurrence xmlns="{T[1:-1]}">{pattern}{range}</Recurrence>'
            item.fields["Recurrence"] = etree.fromstring(text)
            item.exceptions.clear()
            item.removed.clear()
            self.place.keep(item, self.name)

    def occurrence(self, id: str, day: str, **texts: str) -> None:
        """A change of one date of a series; without any it is taken out."""
        with self.place.lock:
            master = self.folder.items[id]
            item = series.occurrence(self.place, series.id_of(master, date.fromisoformat(day)))
            for name, text in texts.items():
                item.put(name, text)
            if texts:
                series.keep(self.place, item)
            else:
                series.remove(self.place, item)

    def set(self, id: str, **texts: str) -> None:
        with self.place.lock:
            item = self.folder.items[id]
            for name, text in texts.items():
                item.put(name, text)
            self.place.keep(item, self.name)

    def tag(self, id: str, *words: str) -> None:
        with self.place.lock:
            item = self.folder.items[id]
            item.fields["Categories"] = categories(*words)
            self.place.keep(item, self.name)

    def retitle(self, id: str, title: str) -> None:
        self.set(id, **{_TITLE[self.folder.items[id].kind]: title})

    def delete(self, id: str) -> None:
        """As Outlook does: it goes to Deleted Items."""
        with self.place.lock:
            self.place.move(self.folder.items[id], self.folder.mailbox.known("deleteditems"))

    def unmapped(self, id: str) -> object:
        item = self.folder.items[id]
        fields = {n: etree.tostring(item.fields[n]) for n in _UNMAPPED[item.kind] if n in item.fields}
        theirs = item.extended.get(("", "aaaa", "", "theirs", "", "String"))
        return fields, etree.tostring(copy.deepcopy(theirs)) if theirs is not None else None


class EwsReader:
    """Somebody who works on a mailbox: what arrives, and where it is put. A title is a folder below CRM."""

    def __init__(self, place: Place, mailbox: Mailbox) -> None:
        self.place = place
        self.mailbox = mailbox
        self._serial = count(1)

    def add(self, title: str) -> str:
        id = f"person-{next(self._serial)}@example.com"
        self.arrives(_MESSAGE.format(id=id, title=title).encode("latin-1"), f"CRM/{title}")
        return id

    def arrives(
        self,
        data: bytes,
        folder: str = "Inbox",
        *words: str,
        kind: str = "Message",
        flag: int = 0,
        later: int = 0,
    ) -> Item:
        with self.place.lock:
            item = self.place.add(self.folder(folder), kind)
            item.created += timedelta(minutes=later)
            fill(item, data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
            item.extended[MESSAGE_FLAGS] = extended("0x0e07", "Integer", "1")
            if flag:
                item.extended[FLAG] = extended("0x1090", "Integer", str(flag))
            item.fields["Categories"] = categories(*words)
            self.place.keep(item)
            return item

    def folder(self, path: str) -> Folder:
        """With those that it lies in; made where there is none."""
        at = self.mailbox.known("msgfolderroot")
        for name in path.split("/"):
            found = [f for f in self.mailbox.folders.values() if f.parent is at and f.name == name]
            at = found[0] if found else self.place.add_folder(self.mailbox, name, "inbox", at)
        return at

    def items(self, id: str) -> list[Item]:
        """Every copy of a message."""
        found = [i for f in self.mailbox.folders.values() for i in f.items.values()]
        return [i for i in found if i.text("InternetMessageId") == f"<{id}>"]

    def tag(self, id: str, *words: str) -> None:
        with self.place.lock:
            for item in self.items(id):
                item.fields["Categories"] = categories(*words)
                self.place.keep(item)

    def retitle(self, id: str, title: str) -> None:
        (item,) = self.items(id)
        self.move(item, self.folder(f"CRM/{title}"))

    def move(self, item: Item, folder: Folder) -> None:
        with self.place.lock:
            self.place.move(item, folder)

    def delete(self, id: str) -> None:
        with self.place.lock:
            for item in self.items(id):
                self.place.move(item, self.mailbox.known("deleteditems"))

    def unmapped(self, id: str) -> object:
        (item,) = self.items(id)
        return etree.tostring(item.fields["MimeContent"]), item.extended.get(MESSAGE_FLAGS) is not None


def categories(*words: str) -> etree._Element:
    element = etree.Element(T + "Categories")
    for word in words:
        etree.SubElement(element, T + "String").text = word
    return element


def extended(tag: str, type: str, value: str) -> etree._Element:
    element = etree.Element(T + "ExtendedProperty")
    etree.SubElement(element, T + "ExtendedFieldURI", PropertyTag=tag, PropertyType=type)
    etree.SubElement(element, T + "Value").text = value
    return element
