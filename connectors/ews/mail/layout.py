"""The mail folders of a mailbox: which there are, which count, and what each says of the messages in it. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from crmsync.connectors.ews.mail.mapping import nameable
from crmsync.connectors.mail.names import folder_name, named_by
from crmsync.connectors.mail.settings import Settings

_MAIL = "IPF.Note"


@dataclass(frozen=True, slots=True)
class Folder:
    id: str
    parent: str
    name: str
    sort: str = _MAIL
    state: str = ""  # changes whenever anything in it does; empty: the server does not tell


@dataclass(frozen=True, slots=True)
class Known:
    """The well-known folders by id; empty where there is none, or none to be seen."""

    top: str = ""
    inbox: str = ""
    trash: str = ""
    junk: str = ""
    drafts: str = ""
    outbox: str = ""


class Layout:
    """The folders as they are now."""

    def __init__(self, folders: Sequence[Folder], known: Known, settings: Settings) -> None:
        self.known = known
        self._settings = settings
        self._all = {f.id: f for f in folders}
        self.root = self._root()
        thrown_away = {known.trash, known.junk} - {""}
        mail = [f for f in folders if f.sort == _MAIL or f.sort.startswith(_MAIL + ".") or not f.sort]
        self.folders = [f for f in mail if not thrown_away & {a.id for a in self._line(f)}]
        self.watched = [f for f in self.folders if self._is_watched(f)]

    def __contains__(self, id: str) -> bool:
        return any(f.id == id for f in self.folders)

    def filed(self, id: str) -> bool:
        """In the folder of what is tagged, or below it."""
        return bool(self.root) and any(f.id == self.root for f in self._line(self._all.get(id)))

    def regarding(self, id: str) -> str | None:
        """What a folder below that one says of the messages in it."""
        if not self.filed(id) or id == self.root:
            return None
        names = []
        for folder in self._line(self._all[id]):
            if folder.id == self.root:
                break
            names.append(named_by(folder.name))
        return nameable("/".join(reversed(names))) or None

    def place_of(self, id: str) -> str:
        """All that a folder says; empty for one that says nothing."""
        return f"{self.regarding(id) or ''}/" if self.filed(id) else ""

    def folder_for(self, regarding: str | None) -> tuple[str, Sequence[str]]:
        """Where a message lies that is about this: the folder nearest to it that there is, and the names of those that
        have to be made below it."""
        known = [f.id for f in self.folders if regarding and self.regarding(f.id) == regarding]
        if known:
            return known[0], ()
        below = [folder_name(regarding)] if regarding else []
        if self.root:
            return self.root, below
        *_, (start, names) = self._path_to_root()
        return start, [*names, *below]

    # ── Which is where ───────────────────────────────────────────────────────────────────────────────────────

    def _line(self, folder: Folder | None) -> Iterator[Folder]:
        """A folder and those that it lies in, inwards out."""
        for _ in range(100):
            if folder is None:
                return
            yield folder
            folder = self._all.get(folder.parent)

    def _children(self, id: str) -> Iterator[Folder]:
        return (f for f in self._all.values() if f.parent == id)

    def _root(self) -> str:
        for start, missing in self._path_to_root():
            if not missing:
                return start
        return ""

    def _path_to_root(self) -> Iterator[tuple[str, Sequence[str]]]:
        """How far the folder of what is tagged is there: in the inbox, or beside it."""
        names = [name for name in self._settings.folder.split("/") if name]
        for top in filter(None, (self.known.inbox, self.known.top)):
            at, left = top, list(names)
            while left and (found := self._child(at, left[0])):
                at, left = found, left[1:]
            yield at, left

    def _child(self, id: str, name: str) -> str:
        return next((f.id for f in self._children(id) if f.name.casefold() == name.casefold()), "")

    def _is_watched(self, folder: Folder) -> bool:
        if self._settings.folders:
            wanted = {name.casefold() for name in self._settings.folders}
            return folder.name.casefold() in wanted or self.filed(folder.id)
        unwatched = {self.known.drafts, self.known.outbox} - {""}
        return not unwatched & {f.id for f in self._line(folder)}
