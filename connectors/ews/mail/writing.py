"""Writes to a mailbox: categories, flags and folders. A message itself is never altered; only what we have put there
ourselves is ever deleted, and what is thrown away lies in Deleted Items. Nothing is ever sent, no receipt either:
messages are moved there, not deleted.

Marks are set under the change key that they were decided from. A move knows no such condition: it is made right after a
look.
"""

import base64
from collections.abc import Iterator, Mapping, Sequence

from crmsync.connectors.contract import (
    Create,
    Delete,
    Done,
    Kind,
    Outcome,
    Record,
    Refused,
    Stale,
    Update,
    Write,
)
from crmsync.connectors.ews import faults, wire
from crmsync.connectors.ews.client import Answer
from crmsync.connectors.ews.mail import mapping
from crmsync.connectors.ews.mail.layout import Layout
from crmsync.connectors.ews.mail.mailbox import Mailbox
from crmsync.connectors.ews.mail.mapping import Copy, Standing
from crmsync.connectors.ews.mail.reading import Reader, shown
from crmsync.connectors.ews.mail.updates import update
from crmsync.connectors.ews.properties import MESSAGE_FLAGS, SENT_AND_READ, Property
from crmsync.connectors.ews.wire import M, T
from crmsync.connectors.mail.content import WRITABLE
from crmsync.connectors.mail.made import OURS, made, own_id


class Failed(Exception):
    """A step that the server did not do."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.code)
        self.answer = answer


class Writer:
    def __init__(self, box: Mailbox, reader: Reader) -> None:
        self._box, self._reader = box, reader

    def apply(self, writes: Sequence[Write]) -> Iterator[Outcome]:
        for write in writes:
            yield self._outcome(write)

    def _outcome(self, write: Write) -> Outcome:
        id = write.key if isinstance(write, Create) else write.id
        try:
            match write:
                case Create():
                    return self._create(write)
                case Update():
                    return self._update(write)
                case Delete():
                    return self._delete(write)
        except Failed as failed:
            answer = failed.answer
            return faults.written(id, answer.code, answer.text, back_off=answer.back_off)

    # ── Create ───────────────────────────────────────────────────────────────────────────────────────────────

    def _create(self, write: Create) -> Outcome:
        if write.kind is not Kind.EMAIL:
            return Refused(write.key, "unfit", f"a mailbox cannot hold a {write.kind.value}")
        settings, layout, id = self._box.settings, self._box.layout(), own_id(write.key)
        if id in self._box.standing(layout, [id]).there:
            return self._done(id, found=True)
        wanted = mapping.project(write.columns, settings)
        regarding = wanted.get("regarding")
        properties: dict[str, Property] = {
            **mapping.changed(Copy(""), wanted, settings, tag=write.tag),
            "MimeContent": base64.b64encode(made(write.key, write.columns)).decode(),
            MESSAGE_FLAGS: SENT_AND_READ,
        }
        payload = wire.element(
            "m:CreateItem",
            wire.element("m:SavedItemFolderId", wire.folder_id(self._folder(layout, regarding))),
            wire.element("m:Items", wire.new_item(Kind.EMAIL, properties)),
            MessageDisposition="SaveOnly",
        )
        (answer,) = self._box.exchange.each("CreateItem", payload, 1)
        if not answer.ok:
            raise Failed(answer)
        return self._done(id)

    # ── Update ───────────────────────────────────────────────────────────────────────────────────────────────

    def _update(self, write: Update) -> Outcome:
        settings, layout = self._box.settings, self._box.layout()
        standing = self._box.standing(layout, [write.id]).there.get(write.id)
        if standing is None or standing.version != write.expected:
            return Stale(write.id)
        wanted = {n: v for n, v in write.columns.items() if n in WRITABLE}
        self._mark({c: mapping.changed(c, wanted, settings, tag=write.tag) for c in standing.telling})
        if "regarding" in wanted:
            self._file(layout, standing, mapping.project(wanted, settings)["regarding"])
        after = self._box.standing(self._box.layout(), [write.id]).there.get(write.id)
        return Done(write.id, after.version, shown(write.id, after)) if after else Done(write.id, "")

    def _mark(self, changes: Mapping[Copy, Mapping[str, Property]]) -> None:
        """Raises Failed where somebody was faster."""
        some = [(copy, properties) for copy, properties in changes.items() if properties]
        for answer in update(self._box.exchange, some) if some else []:
            if not answer.ok:
                raise Failed(answer)

    def _file(self, layout: Layout, standing: Standing, regarding: object) -> None:
        moving = standing.filed or (standing.telling if self._box.settings.file else ())
        if not moving or (moving[0].filed and moving[0].regarding == regarding):
            return
        self._move(moving[0], self._folder(layout, regarding, root=True))

    # ── Delete ───────────────────────────────────────────────────────────────────────────────────────────────

    def _delete(self, write: Delete) -> Outcome:
        """What is deleted in the CRM is no longer tagged here. Nothing else happens to a person's message."""
        settings, layout = self._box.settings, self._box.layout()
        found = self._box.standing(layout, [write.id])
        standing = found.there.get(write.id)
        if standing is None:
            return Done(write.id, "") if write.id in found.gone else Stale(write.id)
        ours = write.id.endswith(OURS)
        if write.expected and standing.version != write.expected:
            return Stale(write.id) if ours or standing.tagged else Done(write.id, "")
        if ours:
            for copy in standing.copies:
                self._discard(copy)
            return Done(write.id, "")
        self._mark({copy: mapping.untagged(copy, settings) for copy in standing.telling})
        elsewhere = any(not c.filed for c in standing.copies)
        for copy in standing.copies if settings.delete_messages else standing.filed:
            thrown_away = (settings.delete_messages or elsewhere) and layout.known.trash
            self._move(copy, layout.known.trash if thrown_away else layout.known.inbox)
        return Done(write.id, "")

    def _discard(self, copy: Copy) -> None:
        """For good: nobody else has ever seen it."""
        payload = wire.element(
            "m:DeleteItem",
            wire.element("m:ItemIds", wire.item_id(copy.item)),
            DeleteType="HardDelete",
            SendMeetingCancellations="SendToNone",
        )
        (answer,) = self._box.exchange.each("DeleteItem", payload, 1)
        if not answer.ok and answer.code not in faults.MISSING:
            raise Failed(answer)

    # ── Folders ──────────────────────────────────────────────────────────────────────────────────────────────

    def _folder(self, layout: Layout, regarding: object, *, root: bool = False) -> str:
        """Where a message lies that is about this. Without ``root`` no folder is made for what is about nothing."""
        start, missing = layout.folder_for(str(regarding) if regarding else None)
        if missing and not regarding and not root:
            return layout.known.inbox
        for name in missing:
            start = self._made_folder(start, name)
        return start

    def _made_folder(self, parent: str, name: str) -> str:
        folder = wire.element(
            "t:Folder",
            wire.element("t:FolderClass", text="IPF.Note"),
            wire.element("t:DisplayName", text=name),
        )
        payload = wire.element(
            "m:CreateFolder",
            wire.element("m:ParentFolderId", wire.folder_id(parent)),
            wire.element("m:Folders", folder),
        )
        (answer,) = self._box.exchange.each("CreateFolder", payload, 1)
        id = answer.element.find(f"{M}Folders/*/{T}FolderId") if answer.ok else None
        if id is None:
            raise Failed(answer)
        return str(id.get("Id"))

    def _move(self, copy: Copy, folder: str) -> None:
        payload = wire.element(
            "m:MoveItem",
            wire.element("m:ToFolderId", wire.folder_id(folder)),
            wire.element("m:ItemIds", wire.item_id(copy.item)),
        )
        (answer,) = self._box.exchange.each("MoveItem", payload, 1)
        if not answer.ok:
            raise Failed(answer)

    def _done(self, id: str, *, found: bool = False) -> Outcome:
        there = self._box.standing(self._box.layout(), [id]).there
        record = self._reader.opened(there).get(id)
        if not isinstance(record, Record):
            return Done(id, "", found=found)
        return Done(id, record.version, record, found)
