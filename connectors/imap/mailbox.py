"""One person's mailbox: its folders, which of them count, and where a message stands. Needs a session for each look."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from crmsync.connectors.imap import wire
from crmsync.connectors.imap.mapping import Copy, Standing
from crmsync.connectors.imap.session import Folder, Refusal, Seen, Session, Status
from crmsync.connectors.imap.settings import Settings
from crmsync.connectors.mail import message, names
from crmsync.connectors.mail.made import NAMELESS, nameless_id

# Folders of RFC 6154 that are no place for tagged mail: what is in the first ones was thrown away, and the others show
# what stands elsewhere.
_THROWN_AWAY = frozenset({"\\trash", "\\junk"})
_NOT_WATCHED = _THROWN_AWAY | {"\\drafts", "\\all", "\\flagged", "\\important"}
_CLOSED = frozenset({"\\noselect", "\\nonexistent"})
_TELLING = b"DATE FROM TO CC SUBJECT"
_AT_ONCE = 20  # messages that are searched for in one command

Spot = tuple[str, int]  # folder and number


@dataclass(slots=True)
class Layout:
    """The folders as they are now."""

    folders: Sequence[Folder]  # all of this mailbox that can be opened
    watched: Sequence[Folder]
    statuses: Mapping[str, Status]
    root: str  # of what is tagged by lying there
    separator: str
    trash: str  # empty: there is none

    def filed(self, name: str) -> bool:
        return name == self.root or name.startswith(self.root + self.separator)

    def regarding(self, name: str) -> str | None:
        """What a folder below the root says of the messages in it."""
        if not self.filed(name) or name == self.root:
            return None
        parts = name[len(self.root) + len(self.separator) :].split(self.separator)
        return wire.nameable("/".join(names.named_by(p) for p in parts)) or None

    def folder_for(self, regarding: str | None) -> str:
        """Where a message lies that is about this."""
        known = (f.name for f in self.folders if regarding and self.regarding(f.name) == regarding)
        return next(known, self._named(regarding))

    def _named(self, regarding: str | None) -> str:
        return f"{self.root}{self.separator}{names.folder_name(regarding)}" if regarding else self.root


@dataclass(slots=True)
class Mailbox:
    """``owner``: empty for the login's own, else the name below the prefix of others' mailboxes."""

    settings: Settings
    owner: str = ""
    spots: dict[str, set[Spot]] = field(default_factory=dict)  # by item: where it was seen last
    _prefixes: tuple[list[str], list[str]] | None = None

    # ── Folders ──────────────────────────────────────────────────────────────────────────────────────────────

    def layout(self, s: Session) -> Layout:
        listed, statuses = s.folders()
        own, others = self.prefixes(s)
        mine = [f for f in listed if not f.flags & _CLOSED and self._is_mine(f, others)]
        separator = mine[0].separator if mine else "/"
        start = self._start(own, others, mine)
        root = f"{start}{self.settings.folder}"
        trash = next((f.name for f in mine if "\\trash" in f.flags), "")
        layout = Layout(mine, (), statuses, root, separator, trash)
        layout.watched = [f for f in mine if self._is_watched(f, layout)]
        layout.folders = [f for f in mine if not f.flags & _THROWN_AWAY]
        return layout

    def prefixes(self, s: Session) -> tuple[list[str], list[str]]:
        if self._prefixes is None:
            self._prefixes = s.namespaces()
        return self._prefixes

    def _start(self, own: Sequence[str], others: Sequence[str], mine: Sequence[Folder]) -> str:
        """Before the names of all folders. Others' mailboxes and public folders have prefixes of their own."""
        if not (self.owner and others):
            return own[0]
        prefix = next((p for p in others if mine and mine[0].name.startswith(p)), others[0])
        return f"{prefix}{self.owner}{prefix[-1:]}"

    def _is_mine(self, folder: Folder, others: Sequence[str]) -> bool:
        foreign = next((p for p in others if p and folder.name.startswith(p)), None)
        if foreign is None:
            return not self.owner
        rest = folder.name[len(foreign) :]
        return bool(self.owner) and (rest == self.owner or rest.startswith(self.owner + folder.separator))

    def _is_watched(self, folder: Folder, layout: Layout) -> bool:
        if self.settings.folders:
            return folder.name in self.settings.folders or layout.filed(folder.name)
        return not folder.flags & _NOT_WATCHED

    # ── Who a message is ─────────────────────────────────────────────────────────────────────────────────────

    def identified(self, s: Session, seen: Sequence[Seen]) -> dict[int, str]:
        """By number, the item that each message is a copy of: one message has one Message-ID, wherever it lies. What
        has none is known by the headers that tell it from others."""
        found = {one.uid: message.message_id(message.headers(one.header)) for one in seen}
        nameless = [uid for uid, id in found.items() if not id]
        for uid, header in s.headers(nameless, _TELLING).items():
            found[uid] = nameless_id(header)
        return {uid: id for uid, id in found.items() if id}

    def copies(self, s: Session, layout: Layout, spots: Iterable[Spot]) -> dict[str, list[Copy]]:
        """What stands at these places now, by item."""
        by_folder: dict[str, set[int]] = {}
        for folder, uid in spots:
            by_folder.setdefault(folder, set()).add(uid)
        found: dict[str, list[Copy]] = {}
        there = {f.name for f in layout.folders}
        for folder, uids in by_folder.items():
            if folder not in there:
                continue
            s.examine(folder)
            for id, copy in self.read(s, layout, folder, s.look(uids)):
                found.setdefault(id, []).append(copy)
        return found

    def read(self, s: Session, layout: Layout, folder: str, seen: Sequence[Seen]) -> list[tuple[str, Copy]]:
        """Messages of the open folder; those that only wait to be expunged are gone."""
        ids = self.identified(s, seen)
        filed, regarding = layout.filed(folder), layout.regarding(folder)
        there = (one for one in seen if one.uid in ids and "\\deleted" not in {f.lower() for f in one.flags})
        return [(ids[one.uid], Copy(folder, one.uid, one.flags, filed, regarding)) for one in there]

    def find(self, s: Session, layout: Layout, ids: Sequence[str]) -> tuple[dict[str, list[Copy]], set[str]]:
        """Every place where these messages stand; and of those that stand nowhere, the ones of which that is proven. In
        somebody else's mailbox nothing is: they may have gone to where we see nothing."""
        found: dict[str, list[Copy]] = {}
        wanted, closed = set(ids), bool(self.owner)
        for folder in layout.folders if wanted else ():
            status = layout.statuses.get(folder.name)
            if status is not None and not status.count:
                continue
            try:
                s.examine(folder.name)
            except Refusal:  # deleted meanwhile, or just now not to be opened
                closed = True
                continue
            for id, copy in self.read(
                s, layout, folder.name, s.look(self._sought(s, layout, folder, wanted))
            ):
                if id in wanted:
                    found.setdefault(id, []).append(copy)
        gone = (
            set()
            if closed
            else {id for id in wanted - found.keys() if _searchable(id) or id.endswith(NAMELESS)}
        )
        return found, gone

    def _sought(self, s: Session, layout: Layout, folder: Folder, wanted: set[str]) -> set[int]:
        """Messages of the open folder that may be among the wanted ones."""
        named = sorted(id for id in wanted if _searchable(id))
        uids: set[int] = set()
        for n in range(0, len(named), _AT_ONCE):
            uids |= s.search(b"UNDELETED", *_any_of(named[n : n + _AT_ONCE]))
        if len(named) < len(wanted):  # no server can be asked for a broken Message-ID, or for none
            tagged = () if layout.filed(folder.name) else (b"KEYWORD", self.settings.own.encode("ascii"))
            uids |= s.search(b"UNDELETED", *tagged)
            uids |= s.search(b"UNDELETED", b"NOT", b"HEADER", b"MESSAGE-ID", b'""')
        return uids

    def standing(self, s: Session, layout: Layout, ids: Sequence[str]) -> "Found":
        """Where these items stand now: at the places where they were seen last, else wherever they are found."""
        known = {id: self.spots[id] for id in ids if id in self.spots}
        at = self.copies(s, layout, (spot for spots in known.values() for spot in spots))
        # all of the places must still hold it, else it was moved, and may be anywhere
        whole = {id for id, spots in known.items() if spots and len(at.get(id, ())) == len(spots)}
        elsewhere, gone = self.find(s, layout, [id for id in ids if id not in whole])
        found = {id: at[id] for id in whole} | elsewhere
        for id in ids:
            self.spots.pop(id, None)
        self.spots |= {id: {(c.folder, c.uid) for c in copies} for id, copies in found.items()}
        return Found({id: Standing(tuple(copies), self.settings) for id, copies in found.items()}, gone)


@dataclass(frozen=True, slots=True)
class Found:
    there: Mapping[str, Standing]
    gone: set[str]  # with proof; what is in neither cannot be seen


def _searchable(id: str) -> bool:
    return id.isascii() and id.isprintable() and not id.endswith(NAMELESS)


def _any_of(ids: Sequence[str]) -> list[bytes]:
    """RFC 9051 6.4.4: ``OR`` takes two; HEADER looks for a part of the text, so what is found is looked at."""
    tests = [[b"HEADER", b"MESSAGE-ID", _quoted(id)] for id in ids]
    return [b"OR"] * (len(tests) - 1) + [word for test in tests for word in test]


def _quoted(text: str) -> bytes:
    return b'"' + text.encode("ascii").replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
