"""Mail on an Exchange server as the engine sees it: a mailbox is one collection, whatever folders it has.

As over IMAP, an item is a message by its Message-ID: moved to another folder it stays the same item, copied it stays
one, and in two people's mailboxes it has one identity. Categories, flag and folder can be written; what it says is read
only.
"""

from collections.abc import Iterator, Sequence

from crmsync.connectors.contract import (
    Capabilities,
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
from crmsync.connectors.ews.mail import cursor, mapping
from crmsync.connectors.ews.mail.detection import Detection
from crmsync.connectors.ews.mail.mailbox import Mailbox
from crmsync.connectors.ews.mail.reading import BATCH, Reader
from crmsync.connectors.ews.mail.writing import Writer
from crmsync.connectors.mail.content import HELD, WRITABLE

_PAGE = 500
_CAPABILITIES = Capabilities(
    columns={Kind.EMAIL: HELD},
    read_only_columns={Kind.EMAIL: HELD - WRITABLE},
    tags=True,
    receives=False,
    batch=BATCH,
)


class MailConnector:
    """One mailbox. Safe to use from several threads."""

    def __init__(self, box: Mailbox) -> None:
        self._box = box
        self._reader = Reader(box)

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    def changes(self, since: Cursor | None, selection: Selection) -> Iterator[Page]:
        before = cursor.Mark() if since is None else cursor.decode(since)
        items, mark = Detection(self._box, self._box.layout(), before, selection).run()
        reached = since if mark == before and since is not None else mark.encode()
        while len(items) > _PAGE:
            part, items = items[:_PAGE], items[_PAGE:]
            yield Page(tuple(part), since or "")
        yield Page(tuple(items), reached)

    def listing(self) -> Iterator[Ref]:
        """Complete, or an exception."""
        look = Detection(self._box, self._box.layout(), cursor.Mark(), Selection())
        yield from (item for item in look.run()[0] if isinstance(item, Ref))

    def fetch(self, ids: Sequence[str]) -> Iterator[Record | Gone | Hidden | Unreadable]:
        return self._reader.fetch(ids)

    def glance(self, ids: Sequence[str]) -> Iterator[Record | Gone | Hidden | Unreadable]:
        return self._reader.glance(ids)

    def apply(self, writes: Sequence[Write]) -> Iterator[Outcome]:
        return Writer(self._box, self._reader).apply(writes)

    def project(self, kind: Kind, columns: Columns) -> Columns:
        return mapping.project(columns, self._box.settings) if kind is Kind.EMAIL else {}

    def named(self, text: str) -> str | None:
        """People copy a Message-ID with its brackets."""
        id = text.strip().strip("<>")
        if "@" not in id or " " in id:
            return None
        return id if self._box.standing(self._box.layout(), [id]).there else None
