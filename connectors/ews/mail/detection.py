"""What changed in a mailbox since a cursor: one look at all folders, and one search through those that are not as they
were.

The server does the selecting (a restriction to the category), and says of each folder whether anything happened in it.
A folder's tagged messages are told as a whole: nothing else shows which of them bear the tag no longer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from crmsync.connectors.contract import Gone, Ref, Selection
from crmsync.connectors.ews.mail.answers import Answers
from crmsync.connectors.ews.mail.cursor import FolderMark, Mark, Marks
from crmsync.connectors.ews.mail.layout import Folder, Layout
from crmsync.connectors.ews.mail.mailbox import Mailbox
from crmsync.connectors.ews.mail.mapping import Copy, Standing


@dataclass(slots=True)
class Detection:
    """One look. ``before``: what the cursor says, nothing for the first one."""

    box: Mailbox
    layout: Layout
    before: Mark
    selection: Selection
    now: dict[str, FolderMark] = field(default_factory=dict)

    def run(self) -> tuple[list[Ref | Gone], Mark]:
        changed = [f for f in self.layout.watched if self._has_changed(f)]
        newest = Answers(self.box, self.layout, self.before, self.selection).track(changed)
        unchanged = {f.id: self.before.folders[f.id] for f in self.layout.watched if f not in changed}
        self.now = {**unchanged, **self._looked_at(changed, newest)}
        mark = Mark(self.now)
        before, after = self.before.spots(), mark.spots()
        moved = [id for id in after if self._marks(self.before, id) != self._marks(mark, id)]
        versions = {id: self._standing(id, mark).version for id in moved}
        lost = [id for id in before if id not in after]
        items: list[Ref | Gone] = [
            Ref(id, version)
            for id, version in versions.items()
            if id not in before or self._standing(id, self.before).version != version
        ]
        return items + self._lost(lost), mark

    def _has_changed(self, folder: Folder) -> bool:
        """Also where it says something else of its messages than it did: it was moved, or has another name."""
        old = self.before.folders.get(folder.id)
        if old is None or not folder.state:
            return True
        return (old.state, old.place) != (folder.state, self.layout.place_of(folder.id))

    def _looked_at(self, folders: list[Folder], newest: Mapping[str, str]) -> dict[str, FolderMark]:
        found: dict[str, dict[str, list[Marks]]] = {f.id: {} for f in folders}
        for id, copy in self.box.marked(self.layout, folders, self.selection.tag):
            if not id:
                continue
            found[copy.folder].setdefault(id, []).append(Marks(copy.flag, copy.words))
        return {
            f.id: FolderMark(
                f.state,
                self.layout.place_of(f.id),
                {id: tuple(some) for id, some in found[f.id].items()},
                newest.get(f.id, ""),
            )
            for f in folders
        }

    @staticmethod
    def _marks(mark: Mark, id: str) -> dict[str, tuple[object, ...]]:
        """What a message shows, and what its folders say of it."""
        return {f: (m.copies[id], m.place) for f, m in mark.folders.items() if id in m.copies}

    def _standing(self, id: str, mark: Mark) -> Standing:
        copies = [
            Copy(folder, c.words, c.flag, bool(m.place), m.place.removesuffix("/") or None)
            for folder, m in mark.folders.items()
            for c in m.copies.get(id, ())
        ]
        return Standing(tuple(copies), self.box.settings)

    def _lost(self, ids: list[str]) -> list[Ref | Gone]:
        """Untagged, moved to where nobody looks, or deleted."""
        if not ids:
            return []
        found = self.box.standing(self.layout, ids)
        return [Gone(id) if id in found.gone else Ref(id, _version(found.there.get(id))) for id in ids]


def _version(standing: Standing | None) -> str:
    return standing.version if standing is not None else "?"  # whoever looks will see that it cannot be seen
