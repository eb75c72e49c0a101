"""Writes to a mailbox: flags, keywords and folders. A message itself is never altered; only what we have put there
ourselves is ever deleted, and what is thrown away lies in the trash.

Keywords are set under the modification number that the decision was made from (RFC 7162 3.1.3), where there is one. A
move knows no such condition: it is made right after a look.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence

from crmsync.connectors.contract import (
    Create,
    Deferred,
    Delete,
    Done,
    Outcome,
    Record,
    Refused,
    Stale,
    Update,
    Write,
)
from crmsync.connectors.imap import mapping
from crmsync.connectors.imap.client import Mail
from crmsync.connectors.imap.mailbox import Layout, Mailbox
from crmsync.connectors.imap.mapping import Copy, Standing
from crmsync.connectors.imap.reading import BATCH, Reader, shown
from crmsync.connectors.imap.session import Folder, Refusal, Session
from crmsync.connectors.mail import message
from crmsync.connectors.mail.made import OURS, identity, made

_PASSING = re.compile(r"\[(UNAVAILABLE|INUSE|LIMIT|SERVERBUG|OVERQUOTA|CORRUPTION)\]")  # RFC 5530


class Writer:
    def __init__(self, mail: Mail, box: Mailbox, reader: Reader) -> None:
        self._mail, self._box, self._reader = mail, box, reader
        self._layout: Layout | None = None

    def apply(self, writes: Sequence[Write]) -> Iterator[Outcome]:
        for n in range(0, len(writes), BATCH):
            some = writes[n : n + BATCH]
            self._layout = None
            made = self._there_already(some)
            for write in some:
                with self._mail.session() as s:
                    outcome = self._outcome(s, write, made)
                yield outcome

    def _there_already(self, writes: Sequence[Write]) -> set[str]:
        """Messages that are to be made, and stand there: looked for in one go, because they may be anywhere."""
        ids = [identity_of(w) for w in writes if isinstance(w, Create)]
        if not ids:
            return set()
        with self._mail.session() as s:
            return set(self._box.standing(s, self._folders(s), ids).there)

    def _folders(self, s: Session) -> Layout:
        if self._layout is None:
            self._layout = self._box.layout(s)
        return self._layout

    def _outcome(self, s: Session, write: Write, made: set[str]) -> Outcome:
        id = write.key if isinstance(write, Create) else write.id
        try:
            match write:
                case Create():
                    return self._create(s, write, made)
                case Update():
                    return self._update(s, write)
                case Delete():
                    return self._delete(s, write)
        except Refusal as refusal:
            if _PASSING.search(str(refusal)):
                return Deferred(id, f"the mail server cannot do it now: {refusal}")
            return Refused(id, "refused", f"the mail server refuses: {refusal}")

    # ── Create ───────────────────────────────────────────────────────────────────────────────────────────────

    def _create(self, s: Session, write: Create, made: set[str]) -> Outcome:
        layout, data, id = self._folders(s), _data(write), identity_of(write)
        if id in made:
            return self._done(s, id, found=True)
        wanted = mapping.project(write.columns)
        regarding = wanted.get("regarding")
        folder = layout.folder_for(str(regarding) if regarding else None)
        if not regarding and folder not in {f.name for f in layout.folders}:
            folder = "INBOX"  # no folder is made for what is about nothing
        plus, _ = mapping.changed(Standing((), self._box.settings), wanted)
        flags = ["\\Seen", *sorted(plus), *([self._box.settings.keyword_for(write.tag)] if write.tag else [])]
        self._into(s, layout, id, folder, lambda name: s.append(name, data, flags))
        made.add(id)
        return self._done(s, id)

    # ── Update ───────────────────────────────────────────────────────────────────────────────────────────────

    def _update(self, s: Session, write: Update) -> Outcome:
        layout = self._folders(s)
        standing = self._box.standing(s, layout, [write.id]).there.get(write.id)
        if standing is None or standing.version != write.expected:
            return Stale(write.id)
        wanted = {n: v for n, v in write.columns.items() if n in mapping.WRITABLE}
        plus, minus = mapping.changed(standing, wanted)
        if write.tag:
            plus |= {self._box.settings.keyword_for(write.tag)}
        if not self._flag(s, standing.telling, plus, minus):
            return Stale(write.id)
        if "regarding" in wanted:
            self._file(s, layout, write.id, standing, mapping.project(wanted)["regarding"])
        after = self._box.standing(s, self._folders(s), [write.id]).there.get(write.id)
        return Done(write.id, after.version, shown(write.id, after)) if after else Done(write.id, "")

    def _flag(self, s: Session, copies: Sequence[Copy], plus: frozenset[str], minus: frozenset[str]) -> bool:
        """False: somebody was faster."""
        if not plus and not minus:
            return True
        for copy in copies:
            modseq = s.select(copy.folder).modseq
            now = s.look([copy.uid], named=False)
            if not now or _lasting(now[0].flags) != _lasting(copy.flags):
                return False
            there = {f.lower() for f in copy.flags}
            adding = [f for f in plus if f.lower() not in there]
            leaving = [f for f in minus if f.lower() in there]
            if not s.mark([copy.uid], "+", adding, since=modseq):
                return False
            s.mark([copy.uid], "-", leaving)
        return True

    def _file(self, s: Session, layout: Layout, id: str, standing: Standing, regarding: object) -> None:
        folder = layout.folder_for(str(regarding) if regarding else None)
        moving = standing.filed or (standing.telling if self._box.settings.file else ())
        for copy in moving[:1]:
            if copy.folder != folder:
                self._move(s, layout, id, copy, folder)

    # ── Delete ───────────────────────────────────────────────────────────────────────────────────────────────

    def _delete(self, s: Session, write: Delete) -> Outcome:
        """What is deleted in the CRM is no longer tagged here. Nothing else happens to a person's message."""
        layout = self._folders(s)
        found = self._box.standing(s, layout, [write.id])
        standing = found.there.get(write.id)
        if standing is None:
            return Done(write.id, "") if write.id in found.gone else Stale(write.id)
        if write.expected and standing.version != write.expected:
            if write.id.endswith(OURS) or standing.tagged:
                return Stale(write.id)
            return Done(write.id, "")
        if write.id.endswith(OURS):
            for copy in standing.copies:
                s.select(copy.folder)
                s.remove(copy.uid)
            self._box.spots.pop(write.id, None)
            return Done(write.id, "")
        own = frozenset({self._box.settings.own})
        self._flag(s, standing.telling, frozenset(), own)
        elsewhere = any(not c.filed for c in standing.copies)
        for copy in standing.copies if self._box.settings.delete_messages else standing.filed:
            thrown_away = self._box.settings.delete_messages or elsewhere
            self._move(s, layout, write.id, copy, layout.trash if thrown_away and layout.trash else "INBOX")
        self._box.spots.pop(write.id, None)
        return Done(write.id, "")

    # ── Folders ──────────────────────────────────────────────────────────────────────────────────────────────

    def _move(self, s: Session, layout: Layout, id: str, copy: Copy, folder: str) -> None:
        def move(name: str) -> int:
            s.select(copy.folder)
            return s.move(copy.uid, name)

        self._box.spots.get(id, set()).discard((copy.folder, copy.uid))
        self._into(s, layout, id, folder, move)

    def _into(self, s: Session, layout: Layout, id: str, folder: str, put: Callable[[str], int]) -> None:
        if folder not in {f.name for f in layout.folders} and folder not in ("INBOX", layout.trash):
            with contextlib.suppress(Refusal):  # it may be there by now, or the message will be refused
                s.create(folder)
            layout.folders = [*layout.folders, Folder(folder, separator=layout.separator)]
        uid = put(folder)
        if uid:
            self._box.spots.setdefault(id, set()).add((folder, uid))
        else:
            self._box.spots.pop(id, None)
            self._layout = None

    def _done(self, s: Session, id: str, *, found: bool = False) -> Done:
        there = self._box.standing(s, self._folders(s), [id]).there
        record = self._reader.opened(s, there).get(id)
        if not isinstance(record, Record):
            return Done(id, "", found=found)
        return Done(id, record.version, record, found)


def _lasting(flags: frozenset[str]) -> frozenset[str]:
    return frozenset(f.lower() for f in flags) - {"\\recent", "\\seen"}


def _data(write: Create) -> bytes:
    return write.native.encode("utf-8", "surrogateescape") if write.native else made(write.key, write.columns)


def identity_of(write: Create) -> str:
    data = _data(write)
    return identity(message.message_id(message.headers(data)), data)
