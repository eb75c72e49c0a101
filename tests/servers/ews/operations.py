"""The operations on items: from the element of a request to response messages."""

import base64
import copy
from dataclasses import dataclass, field

from lxml import etree

from tests.servers.ews import fields, series
from tests.servers.ews.answers import change, events, inside, paged, values, wrapped
from tests.servers.ews.folders import Caller, FolderOperations
from tests.servers.ews.place import CLASSES, KINDS, Folder, Item, Refusal
from tests.servers.ews.schema import Element, M, T, name
from tests.servers.ews.search import meets
from tests.servers.ews.settling import settle


def _before_size(attachment: Element) -> int:
    before = ("AttachmentId", "Name", "ContentType", "ContentId", "ContentLocation")
    return sum(name(part) in before for part in attachment)


@dataclass
class Operations(FolderOperations):
    forced: list[str] = field(default_factory=list)  # ids of items that were written with AlwaysOverwrite
    outbox: list[tuple[str, str, str]] = field(
        default_factory=list
    )  # mailbox, why, subject: what would be sent

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────

    def get_item(self, caller: Caller, request: Element) -> list[Element]:
        shape = request.find(M + "ItemShape")

        def do(element: Element) -> list[Element]:
            item = self._item(caller, element)
            return [wrapped("Items", [fields.shown(item, shape, user=caller.user, cut=False)])]

        return self.each("GetItem", list(request.find(M + "ItemIds")), do)

    def _item(self, caller: Caller, element: Element, *, write: bool = False) -> Item:
        by_number = name(element) == "OccurrenceItemId"
        id = series.numbered(self.place, element) if by_number else element.get("Id") or ""
        if len(id) % 4 or not id.startswith("QUFNa"):
            raise Refusal("ErrorInvalidIdMalformed", "Id is malformed.")
        item = series.occurrence(self.place, id) if series.series_of(id) else self.place.item(id)
        if not item.folder.may(caller.user, write=write):
            raise Refusal("ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        return item

    def find_item(self, caller: Caller, request: Element) -> list[Element]:
        shape, view = request.find(M + "ItemShape"), request.find(M + "IndexedPageItemView")
        calendar, test = request.find(M + "CalendarView"), request.find(M + "Restriction")

        def do(element: Element) -> list[Element]:
            found = sorted(self.target(caller, element).items.values(), key=lambda item: -item.made)
            if test is not None:
                found = [i for i in found if meets(test[0], lambda path, i=i: values(i, path))]
            if calendar is not None:
                found = [i for i in found if inside(i, calendar)]
            orders = request.find(M + "SortOrder")
            for order in reversed([] if orders is None else list(orders)):
                found.sort(key=lambda i, o=order: values(i, o[0]), reverse=order.get("Order") == "Descending")
            shown = [fields.shown(item, shape, user=caller.user, cut=True) for item in found]
            return [paged("Items", shown, view, self.place.page)]

        return self.each("FindItem", list(request.find(M + "ParentFolderIds")), do)

    def sync_folder_items(self, caller: Caller, request: Element) -> list[Element]:
        def do(element: Element) -> list[Element]:
            folder = self.target(caller, element)
            seen = self.place.seen(folder, request.findtext(M + "SyncState"))
            limit = min(int(request.findtext(M + "MaxChangesReturned") or 0), self.place.page)
            told = sorted(events(folder, seen), key=lambda event: event[0])
            page = told[:limit]
            last = page[-1][0] if page else max([seen, *(at for at, _, _ in told)])
            changes = etree.Element(M + "Changes")
            for _, sort, what in page:
                changes.append(change(sort, what, request.find(M + "ItemShape"), caller.user))
            state = etree.Element(M + "SyncState")
            state.text = self.place.state(folder, last)
            end = etree.Element(M + "IncludesLastItemInRange")
            end.text = "true" if len(page) == len(told) else "false"
            return [state, end, changes]

        return self.each("SyncFolderItems", list(request.find(M + "SyncFolderId")), do)

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────

    def create_item(self, caller: Caller, request: Element) -> list[Element]:
        saved = request.find(M + "SavedItemFolderId")

        def do(element: Element) -> list[Element]:
            kind = name(element)
            known = next(
                k for k, (_, _, kind_of) in CLASSES.items() if kind_of == kind or kind == "DistributionList"
            )
            folder = (
                self.place.mailboxes[caller.user].known(known)
                if saved is None
                else self.target(caller, saved[0], write=True)
            )
            if kind == "CalendarItem" and not request.get("SendMeetingInvitations"):
                raise Refusal("ErrorSendMeetingInvitationsRequired", "SendMeetingInvitations is required.")
            if kind == "Message" and not request.get("MessageDisposition"):
                raise Refusal("ErrorMessageDispositionRequired", "Message disposition is required.")
            item = self._filled(folder, kind, element)
            self.place.keep(item)
            self._sending(item, request.get("SendMeetingInvitations") or "SendToNone", "invitation")
            if kind == "Message" and (request.get("MessageDisposition") or "").startswith("Send"):
                self.outbox.append((item.folder.mailbox.address, "mail", item.text("Subject")))
            made = etree.Element(T + kind)
            etree.SubElement(made, T + "ItemId", Id=item.id, ChangeKey=item.change_key)
            return [wrapped("Items", [made])]

        return self.each("CreateItem", list(request.find(M + "Items")), do)

    def _filled(self, folder: Folder, kind: str, element: Element) -> Item:
        if KINDS.get(folder.sort) != kind and not (
            kind == "DistributionList" and folder.sort == "IPF.Contact"
        ):
            raise Refusal("ErrorCannotCreateCalendarItemInNonCalendarFolder", f"{kind} in {folder.name}")
        item = self.place.add(folder, kind)
        for part in element:
            fields.put(self.place, item, part)
        if kind == "CalendarItem" and not item.text("UID"):
            item.put("UID", f"040000008200E00074C5B7101A82E008{self.place.tick():016X}")
        if kind == "CalendarItem" and "ReminderIsSet" not in item.fields:  # as Exchange does by itself
            item.put("ReminderIsSet", "true")
            item.put("ReminderMinutesBeforeStart", "15")
        settle(item, {})
        return item

    def update_item(self, caller: Caller, request: Element) -> list[Element]:
        resolution = request.get("ConflictResolution")

        def do(change: Element) -> list[Element]:
            item = self._item(caller, change[0], write=True)
            self._check_key(item, change[0].get("ChangeKey"), resolution or "")
            if item.kind == "Message" and not request.get("MessageDisposition"):
                raise Refusal("ErrorMessageDispositionRequired", "Message disposition is required.")
            if item.kind == "CalendarItem" and not request.get("SendMeetingInvitationsOrCancellations"):
                raise Refusal("ErrorSendMeetingInvitationsOrCancellationsRequired", "It is required.")
            self._change(item, change.find(T + "Updates"))
            how = request.get("SendMeetingInvitationsOrCancellations") or "SendToNone"
            self._sending(item, how, "update")
            made = etree.Element(T + item.kind)
            etree.SubElement(made, T + "ItemId", Id=item.id, ChangeKey=item.change_key)
            return [wrapped("Items", [made])]

        return self.each("UpdateItem", list(request.find(M + "ItemChanges")), do)

    def _check_key(self, item: Item, change_key: str | None, resolution: str) -> None:
        if resolution == "AlwaysOverwrite":
            self.forced.append(item.id)
            return
        if not change_key:
            raise Refusal("ErrorChangeKeyRequired", "The change key is required.")
        if not change_key.startswith("EQAAABYA"):
            raise Refusal("ErrorInvalidChangeKey", "The change key is invalid.")
        if change_key != item.change_key and resolution == "NeverOverwrite":
            raise Refusal(
                "ErrorIrresolvableConflict",
                "The send or update operation could not be performed because the change key passed in the request does "
                "not match the current change key for the item.",
            )

    def _change(self, item: Item, updates: Element) -> None:
        """All of it, or nothing."""
        before = {n: e.text or "" for n, e in item.fields.items()}
        kept = (copy.deepcopy(item.fields), copy.deepcopy(item.extended))
        try:
            for update in updates:
                self._one(item, update)
            settle(item, before)
            self._keep(item)
        except Refusal:
            item.fields, item.extended = kept
            raise

    def _keep(self, item: Item) -> None:
        if item.series is None:
            self.place.keep(item)
        else:
            series.keep(self.place, item)
            item.changed = item.series.changed

    def _one(self, item: Item, update: Element) -> None:
        path = update[0]
        if name(update) == "DeleteItemField":
            fields.drop(item, path)
            return
        if name(update) != "SetItemField" or name(update[1]) != item.kind or len(update[1]) != 1:
            raise Refusal(
                "ErrorIncorrectUpdatePropertyCount", "An object within a change must contain one property."
            )
        value, uri = update[1][0], path.get("FieldURI") or ""
        if name(path) == "FieldURI" and fields.known(item.kind, uri) != name(value):
            raise Refusal("ErrorUpdatePropertyMismatch", f"{uri} does not name {name(value)}.")
        if name(path) == "IndexedFieldURI":
            fields.put_part(item, path.get("FieldIndex") or "", uri, value)
        else:
            fields.put(self.place, item, value)

    def delete_item(self, caller: Caller, request: Element) -> list[Element]:
        def do(element: Element) -> list[Element]:
            item = self._item(caller, element, write=True)  # the change key is not looked at, as on Exchange
            if item.kind == "CalendarItem" and not request.get("SendMeetingCancellations"):
                raise Refusal(
                    "ErrorSendMeetingCancellationsRequired", "SendMeetingCancellations is required."
                )
            if item.kind == "Task" and not request.get("AffectedTaskOccurrences"):
                raise Refusal("ErrorAffectedTaskOccurrencesRequired", "AffectedTaskOccurrences is required.")
            self._sending(item, request.get("SendMeetingCancellations") or "SendToNone", "cancellation")
            self._receipt(item, request)
            if item.series is not None:
                series.remove(self.place, item)
            elif request.get("DeleteType") == "MoveToDeletedItems":
                self.place.move(item, item.folder.mailbox.known("deleteditems"))
            else:
                self.place.remove(item)
            return []

        return self.each("DeleteItem", list(request.find(M + "ItemIds")), do)

    def move_item(self, caller: Caller, request: Element) -> list[Element]:
        target = self.target(caller, request.find(M + "ToFolderId")[0], write=True)

        def do(element: Element) -> list[Element]:
            moved = self.place.move(self._item(caller, element, write=True), target)
            made = etree.Element(T + moved.kind)
            etree.SubElement(made, T + "ItemId", Id=moved.id, ChangeKey=moved.change_key)
            return [wrapped("Items", [made])]

        return self.each("MoveItem", list(request.find(M + "ItemIds")), do)

    def _sending(self, item: Item, how: str, why: str) -> None:
        """Whatever a request lets out to attendees: there must never be anything here."""
        people = [e for e in ("RequiredAttendees", "OptionalAttendees", "Resources") if e in item.fields]
        if how != "SendToNone" and (people or item.kind == "CalendarItem"):
            self.outbox.append((item.folder.mailbox.address, why, item.text("Subject")))

    def _receipt(self, item: Item, request: Element) -> None:
        """Who deletes a message unread tells its sender so, if that one asked for a receipt."""
        if item.text("IsReadReceiptRequested") == "true" and request.get("SuppressReadReceipts") != "true":
            self.outbox.append((item.folder.mailbox.address, "receipt", item.text("Subject")))

    # ── attachments ──────────────────────────────────────────────────────────────────────────────────────────

    def create_attachment(self, caller: Caller, request: Element) -> list[Element]:
        item = self._item(caller, request.find(M + "ParentItemId"), write=True)

        def do(element: Element) -> list[Element]:
            id = base64.b64encode(f"{item.id}/{self.place.tick()}".encode()).decode()
            kept = copy.deepcopy(element)
            kept.insert(0, etree.Element(T + "AttachmentId", Id=id))
            if name(kept) == "FileAttachment" and kept.find(T + "Size") is None:
                size = etree.Element(T + "Size")
                size.text = str(len(base64.b64decode(kept.findtext(T + "Content") or "")))
                kept.insert(_before_size(kept), size)
            item.attachments[id] = kept
            self.place.keep(item)
            made = etree.Element(element.tag)
            etree.SubElement(
                made, T + "AttachmentId", Id=id, RootItemId=item.id, RootItemChangeKey=item.change_key
            )
            return [wrapped("Attachments", [made])]

        return self.each("CreateAttachment", list(request.find(M + "Attachments")), do)

    def get_attachment(self, caller: Caller, request: Element) -> list[Element]:
        def do(element: Element) -> list[Element]:
            for folder in self.place.all_folders():
                for item in folder.items.values():
                    if element.get("Id") in item.attachments and folder.may(caller.user):
                        return [wrapped("Attachments", [copy.deepcopy(item.attachments[element.get("Id")])])]
            raise Refusal("ErrorItemNotFound", "The specified object was not found in the store.")

        return self.each("GetAttachment", list(request.find(M + "AttachmentIds")), do)
