"""Mail over IMAP (RFC 9051) as the engine sees it: a mailbox is one collection, whatever folders it has.

An item is a message by its Message-ID: moved to another folder it stays the same item, copied it stays one, and in two
people's mailboxes it has one identity. Flags, keywords and the folder can be written; what it says is read only.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from crmsync.connectors.contract import (
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
    Side,
    Unreadable,
    Write,
)
from crmsync.connectors.imap import cursor, idle, mapping
from crmsync.connectors.imap.client import Mail, Server
from crmsync.connectors.imap.detection import Detection
from crmsync.connectors.imap.mailbox import Mailbox
from crmsync.connectors.imap.reading import BATCH, Reader
from crmsync.connectors.imap.settings import Settings
from crmsync.connectors.imap.writing import Writer

OWN = "mail"  # id of the login's own mailbox
_PAGE = 500
_CAPABILITIES = Capabilities(
    columns={Kind.EMAIL: mapping.HELD},
    read_only_columns={Kind.EMAIL: mapping.HELD - mapping.WRITABLE},
    tags=True,
    receives=False,
    batch=BATCH,
)


class MailConnector:
    """One mailbox. Safe to use from several threads."""

    def __init__(self, mail: Mail, box: Mailbox) -> None:
        self._mail, self._box = mail, box
        self._reader = Reader(mail, box)

    @property
    def capabilities(self) -> Capabilities:
        return _CAPABILITIES

    def changes(self, since: Cursor | None, selection: Selection) -> Iterator[Page]:
        before = cursor.Mark() if since is None else cursor.decode(since)
        with self._mail.session() as s:
            look = Detection(s, self._box, self._box.layout(s), before, selection)
            items, mark = look.run()
        reached = since if mark == before and since is not None else mark.encode()
        while len(items) > _PAGE:
            part, items = items[:_PAGE], items[_PAGE:]
            yield Page(tuple(part), since or "")
        yield Page(tuple(items), reached)

    def listing(self) -> Iterator[Ref]:
        with self._mail.session() as s:
            look = Detection(s, self._box, self._box.layout(s), cursor.Mark(), Selection())
            items, _ = look.run()
        yield from (item for item in items if isinstance(item, Ref))

    def fetch(self, ids: Sequence[str]) -> Iterator[Record | Gone | Hidden | Unreadable]:
        return self._reader.fetch(ids)

    def glance(self, ids: Sequence[str]) -> Iterator[Record | Gone | Hidden | Unreadable]:
        return self._reader.glance(ids)

    def apply(self, writes: Sequence[Write]) -> Iterator[Outcome]:
        return Writer(self._mail, self._box, self._reader).apply(writes)

    def project(self, kind: Kind, columns: Columns) -> Columns:
        return mapping.project(columns) if kind is Kind.EMAIL else {}

    def named(self, text: str) -> str | None:
        """People copy a Message-ID with its brackets."""
        id = text.strip().strip("<>")
        if "@" not in id or " " in id:
            return None
        with self._mail.session() as s:
            return id if self._box.standing(s, self._box.layout(s), [id]).there else None


class MailSource:
    """A login to a mail server. ``others``: names of mailboxes that it may read beside its own, as the server shows
    them below the prefix of what others share."""

    side = Side.ECS

    def __init__(
        self,
        server: Server,
        username: str,
        password: str,
        settings: Settings,
        *,
        others: Sequence[str] = (),
        timeout: float = 60.0,
    ) -> None:
        self._mail = Mail(server, username, password, timeout=timeout)
        self._settings = settings
        self._others = tuple(others)
        self._boxes: dict[str, Mailbox] = {}

    def identity(self) -> str:
        with self._mail.session():
            return self._mail.username

    def collections(self) -> Sequence[Collection]:
        kinds = frozenset({Kind.EMAIL})
        own = Collection(OWN, "Mail", kinds)
        with self._mail.session() as s:
            if not self._others:
                return [own]
            shared = {o: self._box(f"{OWN}/{o}").layout(s).folders for o in self._others}
            marking = {o: any(s.may_mark(f.name) for f in found) for o, found in shared.items()}
        return [
            own,
            *(
                Collection(f"{OWN}/{o}", o, kinds, writable=marking[o], owner=o)
                for o, found in shared.items()
                if found
            ),
        ]

    def open(self, collection: Collection) -> MailConnector:
        return MailConnector(self._mail, self._box(collection.id))

    def watch(self, collections: Sequence[Collection], stopped: Callable[[], bool]) -> Iterator[None]:
        return idle.watch(self._mail, stopped)

    def clock_offset(self) -> timedelta:
        return timedelta(0)  # IMAP servers do not tell the time

    def requests(self) -> int:
        return self._mail.requests

    def close(self) -> None:
        self._mail.close()

    def _box(self, id: str) -> Mailbox:
        owner = id.removeprefix(OWN).removeprefix("/")
        return self._boxes.setdefault(id, Mailbox(self._settings.seen_of(owner), owner))
