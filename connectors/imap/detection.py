"""What changed in a mailbox since a cursor: one look at all folders, and three more at each that is not as it was.

The server does the selecting (``SEARCH KEYWORD``), and where it keeps modification numbers (RFC 7162) it tells of the
tagged messages only those that changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from crmsync.connectors.contract import Gone, Ref, Selection
from crmsync.connectors.errors import CursorExpired, Unreachable
from crmsync.connectors.imap.cursor import FolderMark, Mark
from crmsync.connectors.imap.mailbox import Layout, Mailbox, Spot
from crmsync.connectors.imap.mapping import Copy, Standing
from crmsync.connectors.imap.session import Folder, Refusal, Session, Status
from crmsync.connectors.mail import message

_LINEAGE = b"REFERENCES IN-REPLY-TO"


@dataclass(slots=True)
class Detection:
    """One look. ``before``: what the cursor says, nothing for the first one."""

    s: Session
    box: Mailbox
    layout: Layout
    before: Mark
    selection: Selection
    now: dict[str, FolderMark] = field(default_factory=dict)
    fresh: dict[str, list[Copy]] = field(default_factory=dict)  # looked at just now, by item

    def run(self) -> tuple[list[Ref | Gone], Mark]:
        for folder in self.layout.watched:
            self._folder(folder)
        mark = Mark(self.now)
        before, after = self.before.spots(), mark.spots()
        lost = [id for id in before if id not in after]
        moved = {id for id in before if id in after and before[id] != after[id]}
        self.box.spots.update(after)
        told = self._standing({*self.fresh, *moved} & after.keys(), after)
        items: list[Ref | Gone] = [Ref(id, standing.version) for id, standing in told.items()]
        return items + self._lost(lost, before), mark

    def _folder(self, folder: Folder) -> None:
        old = self.before.folders.get(folder.name)
        status = self.layout.statuses.get(folder.name) or self.s.status(folder.name)
        if old is not None and old.status.validity != status.validity:
            raise CursorExpired(f"the messages of {folder.name} have been numbered anew")
        if old is not None and status.modseq and status == old.status:
            self.now[folder.name] = old
            return
        try:
            status = self.s.examine(folder.name)
        except Refusal as error:
            if old is not None and old.ids:  # deleted since it was listed, or just now not to be opened
                raise Unreachable(f"the folder {folder.name} cannot be opened: {error}") from error
            return
        if old is not None:
            self._track_answers(folder, old.status)
        self.now[folder.name] = FolderMark(status, self._tagged(folder, status, old))

    def _tagged(self, folder: Folder, status: Status, old: FolderMark | None) -> dict[int, str]:
        """The items of the open folder that are selected, by number."""
        uids = self.s.search(*self._criteria(folder)) if status.count else set()
        known = {uid: id for uid, id in (old.ids.items() if old else ()) if uid in uids}
        since = old.status.modseq if old and status.modseq else 0
        seen = self.s.look(uids, since=since)
        if since and (unseen := uids - known.keys() - {one.uid for one in seen}):
            seen += self.s.look(unseen)  # tagged in a way that moved no number
        copies = self.box.read(self.s, self.layout, folder.name, seen)
        for id, copy in copies:
            self.fresh.setdefault(id, []).append(copy)
        return known | {copy.uid: id for id, copy in copies}

    def _criteria(self, folder: Folder) -> list[bytes]:
        everything = not self.selection.tag or (
            self.layout.filed(folder.name)
            and self.selection.tag.casefold() == self.box.settings.tag.casefold()
        )
        keyword = self.box.settings.keyword_for(self.selection.tag)
        return (
            [b"UNDELETED"] if everything else [b"UNDELETED", b"KEYWORD", keyword.encode("ascii", "replace")]
        )

    def _standing(self, ids: Iterable[str], spots: Mapping[str, set[Spot]]) -> dict[str, Standing]:
        """Of each item, all of its copies: those that were not looked at just now are looked at too."""
        wanted = list(ids)
        seen = {(c.folder, c.uid) for copies in self.fresh.values() for c in copies}
        others = self.box.copies(
            self.s, self.layout, (s for id in wanted for s in spots[id] if s not in seen)
        )
        copies = {id: [*self.fresh.get(id, ()), *others.get(id, ())] for id in wanted}
        return {id: Standing(tuple(some), self.box.settings) for id, some in copies.items() if some}

    def _lost(self, ids: list[str], spots: Mapping[str, set[Spot]]) -> list[Ref | Gone]:
        """Untagged, moved to where nobody looks, or deleted."""
        if not ids:
            return []
        for id in ids:
            self.box.spots[id] = spots[id]
        found = self.box.standing(self.s, self.layout, ids)
        return [Gone(id) if id in found.gone else Ref(id, _version(found.there.get(id))) for id in ids]

    # ── Answers ──────────────────────────────────────────────────────────────────────────────────────────────

    def _track_answers(self, folder: Folder, old: Status) -> None:
        """What has come since, and belongs to a conversation that is tagged, is tagged as well."""
        settings, tag = self.box.settings, self.selection.tag
        quiet = self.selection.look_only or self.layout.filed(folder.name) or not tag
        if not settings.track_answers or quiet or not self.before.folders:
            return
        keyword = settings.keyword_for(tag)
        new = self.s.search(b"UID", b"%d:*" % old.next, b"UNDELETED", b"UNKEYWORD", keyword.encode("ascii"))
        new = {uid for uid in new if uid >= old.next}  # ``n:*`` always names the last one
        tracked = self._tracked()
        answers = [
            uid
            for uid, header in self.s.headers(new, _LINEAGE).items()
            if tracked.intersection(message.references(message.headers(header)))
        ]
        if answers:
            self.s.select(folder.name)
            self.s.mark(answers, "+", [keyword])
            self.s.examine(folder.name)

    def _tracked(self) -> set[str]:
        return {
            id for mark in (*self.before.folders.values(), *self.now.values()) for id in mark.ids.values()
        }


def _version(standing: Standing | None) -> str:
    return standing.version if standing is not None else "?"  # whoever looks will see that it cannot be seen
