"""Somebody at Outlook: works on the server's store itself."""

import copy
from datetime import UTC, datetime

from lxml import etree

from tests.servers.ews.place import Folder, Place
from tests.servers.ews.schema import T
from tests.servers.ews.settling import stamp

_TITLE = {"Contact": "Surname", "CalendarItem": "Subject", "Task": "Subject"}
_UNMAPPED = {
    "Contact": ("Manager", "SpouseName", "ImAddresses", "Attachments"),
    "CalendarItem": ("ReminderIsSet", "ReminderMinutesBeforeStart", "RequiredAttendees"),
    "Task": ("ReminderIsSet", "ReminderDueBy", "TotalWork", "Mileage"),
}
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

    def set(self, id: str, **texts: str) -> None:
        with self.place.lock:
            item = self.folder.items[id]
            for name, text in texts.items():
                item.put(name, text)
            self.place.keep(item, self.name)

    def tag(self, id: str, *words: str) -> None:
        with self.place.lock:
            item = self.folder.items[id]
            element = etree.Element(T + "Categories")
            for word in words:
                etree.SubElement(element, T + "String").text = word
            item.fields["Categories"] = element
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
