"""Answers in a conversation that is tagged get the tag, where the account says so."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from crmsync.connectors.contract import Kind, Selection
from crmsync.connectors.ews import conditions, wire
from crmsync.connectors.ews.mail.cursor import Mark
from crmsync.connectors.ews.mail.layout import Folder, Layout
from crmsync.connectors.ews.mail.mailbox import Mailbox
from crmsync.connectors.ews.mail.mapping import changed
from crmsync.connectors.ews.mail.updates import update
from crmsync.connectors.ews.properties import Malformed, moment, text
from crmsync.connectors.ews.wire import M, T
from crmsync.connectors.mail.message import ids_in

_MOST = 500  # messages that have come to a folder since the last look


@dataclass(frozen=True, slots=True)
class Answers:
    box: Mailbox
    layout: Layout
    before: Mark
    selection: Selection

    def track(self, folders: Sequence[Folder]) -> Mapping[str, str]:
        """Tags them; when the newest message of each of these folders arrived. A dry run tags nothing."""
        if not self.box.settings.track_answers or not self.selection.tag:
            return {}
        newest = {id: mark.newest for id, mark in self.before.folders.items()}
        told: dict[str, str] = {}
        tracked = set(self.before.spots())
        for folder in (f for f in folders if not self.layout.filed(f.id)):
            told[folder.id] = self._folder(folder.id, newest.get(folder.id, ""), tracked)
        return told

    def _folder(self, folder: str, since: str, tracked: set[str]) -> str:
        last = since
        for found, arrived, named in self._arrived(folder, since):
            last = max(last, arrived)
            if since and arrived > since and named & tracked and not self.selection.look_only:
                self._tag(folder, found)
        return last

    def _tag(self, folder: str, found: wire.Found) -> None:
        """What somebody changes at this moment is left alone: whoever did has seen it."""
        for id, copy in self.box.copies(self.layout, folder, [found.element]):
            properties = changed(copy, {}, self.box.settings, tag=self.selection.tag)
            if id and properties:
                update(self.box.exchange, [(copy, properties)])

    def _arrived(self, folder: str, since: str) -> Iterator[tuple[wire.Found, str, set[str]]]:
        """The newest first, as far back as the last look; on the first one, only the newest."""
        names = ("InternetMessageId", "InReplyTo", "References", "Categories", "DateTimeReceived")
        view = wire.element(
            "m:IndexedPageItemView",
            MaxEntriesReturned=str(_MOST if since else 1),
            Offset="0",
            BasePoint="Beginning",
        )
        order = wire.element("t:FieldOrder", wire.path(Kind.EMAIL, "DateTimeReceived"), Order="Descending")
        asked = wire.element(
            "m:FindItem",
            wire.shape(Kind.EMAIL, names),
            view,
            *([conditions.not_before(Kind.EMAIL, "DateTimeReceived", since)] if since else []),
            wire.element("m:SortOrder", order),
            wire.element("m:ParentFolderIds", wire.folder_id(folder)),
            Traversal="Shallow",
        )
        root = self.box.exchange.one("FindItem", asked).find(M + "RootFolder")
        for found in filter(None, map(wire.found, root.findall(f"{T}Items/*") if root is not None else [])):
            if found.kind is not Kind.EMAIL:
                continue
            try:
                told = wire.properties(Kind.EMAIL, found.element)
            except Malformed:
                continue
            if at := moment(told, "DateTimeReceived"):
                named = ids_in(f"{text(told, 'References')} {text(told, 'InReplyTo')}")
                yield found, wire.format_moment(at), set(named)
