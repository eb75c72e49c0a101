"""What changed since a cursor: by sync-collection (RFC 6578), else by the collection's tag and a listing."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from crmsync.connectors.contract import Gone, Page, Ref
from crmsync.connectors.dav import cursor as cursors
from crmsync.connectors.dav import wire
from crmsync.connectors.dav.client import Dav, Judge, Refusal
from crmsync.connectors.dav.cursor import CtagCursor, SyncCursor
from crmsync.connectors.dav.habits import Habits
from crmsync.connectors.dav.place import Place
from crmsync.connectors.dav.reading import Reader, batched, version_of
from crmsync.connectors.errors import ConnectorError, CursorExpired, ProtocolError

PAGE = 500  # items
MANY = 2_000  # answers to one cursor from which on a lost cursor is not told from many changes, but supposed

Change: TypeAlias = Ref | Gone


class _NoSync(ConnectorError):
    """The server, or this collection, does not do sync-collection."""


class Changes:
    def __init__(self, dav: Dav, place: Place, habits: Habits, reader: Reader) -> None:
        self._dav = dav
        self._place = place
        self._habits = habits
        self._reader = reader

    def since(self, text: str | None) -> Iterator[Page]:
        known = None if text is None else cursors.decode(text)
        match known:
            case None:
                yield from self._everything()
            case SyncCursor():
                yield from self._since_token(known)
            case CtagCursor():
                yield from self._since_ctag(known)

    # ── sync-collection ──────────────────────────────────────────────────────────────────────────────────────

    def _everything(self) -> Iterator[Page]:
        if self._place.path not in self._habits.without_sync:
            try:
                yield from self._from_the_start()
            except _NoSync:
                self._habits.without_sync.add(self._place.path)
            else:
                return
        yield from self._since_ctag(CtagCursor("", {}))

    def _from_the_start(self) -> Iterator[Page]:
        """Everything, as it arrives. A page that is not the last one cannot be resumed from: the token belongs to the
        whole answer, and some servers send it first."""
        run = _Run(self._dav, self._place, self._first_refused)
        at = SyncCursor("", 0, frozenset())
        while True:
            changes: list[Change] = []
            for change in run.answers(at.token):
                changes.append(change)
                if len(changes) == PAGE:
                    yield Page(tuple(changes), cursors.START)
                    at = _moved(at, at.token, changes, new=True)
                    changes = []
            at = _moved(at, run.token, changes, new=True)
            yield Page(tuple(changes), cursors.encode(at))
            if not run.truncated:
                return

    def _since_token(self, at: SyncCursor) -> Iterator[Page]:
        run = _Run(self._dav, self._place, self._later_refused)
        first = True
        while True:
            changes = list(self._believed(at, run) if first else run.answers(at.token))
            first = False
            resume, at = at, _moved(at, run.token, changes)
            pages = list(batched(changes, PAGE)) or [()]
            for page in pages[:-1]:
                yield Page(tuple(page), cursors.encode(resume))
            yield Page(tuple(pages[-1]), cursors.encode(at))
            if not run.truncated:
                return

    def _believed(self, at: SyncCursor, run: "_Run") -> Iterator[Change]:
        """The answers, unless they are everything: what some servers (seen: 207 on a forgotten token) say instead of
        an error. Then deletions are missing, so the cursor counts as lost.

        Deletions said aloud, and an answer that names every item we knew, cannot hide one. Otherwise, when at least
        half of what we knew comes back: a few are checked against a listing, many are not worth it, because after
        CursorExpired the same listing is made anyway."""
        named: set[int] = set()
        gone = False
        for change in run.answers(at.token):
            gone = gone or isinstance(change, Gone)
            named.add(cursors.checksum(change.id))
            if len(named) > MANY and not gone and len(named) * 2 >= at.count > 0:
                raise self._lost("answers with nearly everything")
            yield change
        suspicious = not gone and not run.truncated and named and len(named) * 2 >= at.count
        if not suspicious or (at.known is not None and at.known <= named):
            return
        present = {cursors.checksum(ref.id) for ref in self._reader.listing()}
        if present <= named if at.known is None else not at.known <= present | named:
            raise self._lost("answers with everything there is")

    def _lost(self, why: str) -> CursorExpired:
        return CursorExpired(
            f"{self._dav.url(self._place.path)}: the server {why} instead of the changes; everything is listed again"
        )

    def _first_refused(self, refusal: Refusal) -> ConnectorError:
        """Without a token there is nothing to expire; an access that is missing shows again in the listing."""
        if refusal.status in (400, 403, 405, 409, 412, 415, 422, 501):
            return _NoSync(f"{refusal.what}: {refusal.status}")
        return self._dav.error(refusal)

    def _later_refused(self, refusal: Refusal) -> ConnectorError:
        """RFC 6578 3.2 wants 403 or 409 with valid-sync-token; 412, 400, 410 and 500 have been seen, bare too."""
        if refusal.status in (400, 403, 405, 409, 410, 412, 415, 422, 500, 501, 507):
            return CursorExpired(
                f"{refusal.what}: the server no longer knows our cursor ({refusal.status}); everything is listed again"
            )
        return self._dav.error(refusal)

    # ── tag and listing ──────────────────────────────────────────────────────────────────────────────────────

    def _since_ctag(self, at: CtagCursor) -> Iterator[Page]:
        """The tag is read before the listing: what changes in between is seen again, not missed."""
        ctag = self._ctag()
        if ctag and ctag == at.ctag:
            yield Page((), cursors.encode(at))
            return
        changed: list[Change] = []
        versions: dict[str, str] = {}
        for ref in self._reader.listing():
            versions[ref.id] = cursors.fingerprint(ref.version)
            if at.versions.get(ref.id) != versions[ref.id] or not ref.version:
                changed.append(ref)
        changed += self._missing([item for item in at.versions if item not in versions])
        resume = at if at.versions or at.ctag else None
        pages = list(batched(changed, PAGE)) or [()]
        for page in pages[:-1]:
            yield Page(tuple(page), cursors.encode(resume))
        yield Page(tuple(pages[-1]), cursors.encode(CtagCursor(ctag, versions)))

    def _ctag(self) -> str:
        for answer in self._dav.propfind(self._place.path, (wire.CTAG,), depth=0):
            return answer.texts.get(wire.CTAG, "").strip()
        raise ProtocolError(f"{self._dav.url(self._place.path)}: an empty answer about the collection itself")

    def _missing(self, ids: Sequence[str]) -> Iterator[Change]:
        """What left the listing: gone only if the server says so of each; what is merely hidden proves nothing."""
        for found in self._reader.versions(ids):
            if isinstance(found, Gone | Ref):
                yield found


class _Run:
    """One sync-collection request after the other; ``token`` and ``truncated`` are those of the last, once it ended."""

    def __init__(self, dav: Dav, place: Place, judge: Judge) -> None:
        self._dav = dav
        self._place = place
        self._judge = judge
        self.token = ""
        self.truncated = False

    def answers(self, since: str) -> Iterator[Change]:
        """Changes since ``since``. 507 on the collection itself: there is more (RFC 6578 3.6)."""
        self.token = ""
        self.truncated = False
        for answer in self._dav.sync(self._place.path, since, (wire.ETAG,), self._judge):
            if isinstance(answer, wire.Token):
                self.token = answer.value
            elif self._place.is_self(answer.href):
                self.truncated = self.truncated or answer.status == 507
            elif (item := self._place.item(answer.href)) is not None:
                if answer.status in (404, 410):
                    yield Gone(item)
                else:  # also what is now forbidden: a fetch will tell
                    yield Ref(item, version_of(answer.texts.get(wire.ETAG)))
        where = self._dav.url(self._place.path)
        if not self.token:
            raise ProtocolError(f"{where}: the changes came without a sync-token")
        if self.truncated and self.token == since:
            raise ProtocolError(
                f"{where}: the server says that there are more changes, and then sends the same again"
            )


def _moved(at: SyncCursor, token: str, changes: Sequence[Change], *, new: bool = False) -> SyncCursor:
    changed = [change for change in changes if isinstance(change, Ref)]
    return at.after(token, changed, [change for change in changes if isinstance(change, Gone)], new=new)
