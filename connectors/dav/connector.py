"""One address book or calendar through one login: what CardDAV and CalDAV share.

Reading is ``reading.py``, "changes since" ``changes.py`` and ``cursor.py``, writing ``writing.py`` and ``verdict.py``.
Not shared between threads; what it learns of the server (``habits.py``) is.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo

from crmsync.connectors.contract import (
    Attachment,
    Capabilities,
    Collection,
    Columns,
    Cursor,
    Gone,
    Hidden,
    Kind,
    Outcome,
    Page,
    Record,
    Ref,
    Selection,
    Unreadable,
    Write,
)
from crmsync.connectors.dav.audience import NOBODY, Audience, Hearing
from crmsync.connectors.dav.changes import Changes
from crmsync.connectors.dav.client import Dav
from crmsync.connectors.dav.files import MAX_ATTACHMENT
from crmsync.connectors.dav.flavour import Flavour
from crmsync.connectors.dav.habits import Habits
from crmsync.connectors.dav.item import File
from crmsync.connectors.dav.place import Place
from crmsync.connectors.dav.reading import BATCH, MAX_ITEM, Found, Reader
from crmsync.connectors.dav.writing import Replace, Writer


class DavConnector:
    def __init__(
        self,
        flavour: Flavour,
        dav: Dav,
        collection: Collection,
        habits: Habits,
        *,
        now: Callable[[], datetime],
        pause: Callable[[float], None],
        default_zone: tzinfo,
        max_item: int = MAX_ITEM,
        max_attachment: int = MAX_ATTACHMENT,
        audience: Audience = NOBODY,
    ) -> None:
        place = Place(collection.id)
        self._flavour, self._dav, self._place = flavour, dav, place
        self.now, self.default_zone = now, default_zone
        self._reader = Reader(
            dav,
            place,
            flavour,
            habits,
            default_zone=default_zone,
            max_item=max_item,
            max_attachment=max_attachment,
        )
        self._changes = Changes(dav, place, habits, self._reader)
        self._hearing = Hearing(dav, place, flavour, habits, audience)
        self._writer = Writer(
            dav,
            place,
            flavour,
            self._reader,
            habits,
            now=now,
            pause=pause,
            default_zone=default_zone,
            hearing=self._hearing,
        )
        self._capabilities = Capabilities(
            columns={k: c for k, c in flavour.format.HOLDS.items() if k in collection.kinds},
            read_only_columns={k: c for k, c in flavour.format.READ_ONLY.items() if k in collection.kinds},
            writable=collection.writable,
            tags=True,
            stamps=True,
            batch=BATCH,
            concurrent=True,
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def changes(self, since: Cursor | None, selection: Selection) -> Iterator[Page]:
        """Ids and versions; DAV servers cannot select by tag, so ``selection`` is not used."""
        self._reader.forget()
        return self._changes.since(since)

    def listing(self) -> Iterator[Ref]:
        self._reader.forget()
        return self._reader.listing()

    def fetch(self, ids: Sequence[str]) -> Iterator[Record | Gone | Hidden | Unreadable]:
        return self._reader.fetch(ids)

    def remember(self, record: Record) -> None:
        """As it was just read: writing to it needs no second look."""
        self._reader.remember(record)

    def read_again(self, item: str, version: str, text: str, modified: datetime | None) -> Found:
        """What a text says that was read a while ago; remembered as ``fetch`` does."""
        found = self._reader.record(item, version, text, modified)
        if isinstance(found, Record):
            self._reader.remember(found)
        return found

    def carried(self, files: Sequence[File], stays: str = "") -> tuple[Attachment, ...]:
        return self._reader.files.carried(files, stays)

    def dates(self, items: Sequence[Ref]) -> Mapping[str, datetime]:
        return self._reader.dates(items)

    def addresses(self) -> frozenset[str]:
        return self._hearing.ourselves()

    def with_uid(self, uid: str) -> str | None:
        return self._reader.with_uid(uid)

    def apply(self, writes: Sequence[Write | Replace]) -> Iterator[Outcome]:
        return self._writer.apply(writes)

    def project(self, kind: Kind, columns: Columns) -> Columns:
        return self._flavour.format.project(kind, columns)

    def named(self, text: str) -> str | None:
        """By its URL or path; else by its UID, which the server is asked for; else by a name as it stands in a URL."""
        if not text:
            return None
        if "%" in text and "/" not in text:
            return self._reader.with_uid(text) or self._place.item(self._place.path + text)
        return self._place.named(self._dav.url(""), text) or self._reader.with_uid(text)
