"""Messages as records: where each stands, and what it says."""

from collections.abc import Iterator, Mapping, Sequence

from crmsync.connectors.contract import Attachment, Gone, Hidden, Kind, Record
from crmsync.connectors.contract import Unreadable as UnreadableItem
from crmsync.connectors.errors import NotFound
from crmsync.connectors.imap.client import Mail
from crmsync.connectors.imap.mailbox import Mailbox
from crmsync.connectors.imap.mapping import Standing
from crmsync.connectors.imap.session import Session, Whole
from crmsync.connectors.mail import content, message
from crmsync.connectors.mail.message import Part, Unreadable, parse

MAX_MESSAGE = 60_000_000  # bytes that are read of one
BATCH = 20  # messages whose text is held at the same time


class Reader:
    def __init__(self, mail: Mail, box: Mailbox) -> None:
        self._mail, self._box = mail, box

    def fetch(self, ids: Sequence[str]) -> Iterator[Record | Gone | Hidden | UnreadableItem]:
        for n in range(0, len(ids), BATCH):
            some = ids[n : n + BATCH]
            with self._mail.session() as s:
                found = self._box.standing(s, self._box.layout(s), some)
                read = self.opened(s, found.there)
            missing = {id: Gone(id) if id in found.gone else Hidden(id) for id in some}
            yield from (read.get(id) or missing[id] for id in dict.fromkeys(some))

    def glance(self, ids: Sequence[str]) -> Iterator[Record | Gone | Hidden]:
        """Flags and folders alone."""
        with self._mail.session() as s:
            found = self._box.standing(s, self._box.layout(s), ids)
        for id in dict.fromkeys(ids):
            if id in found.there:
                yield shown(id, found.there[id])
            else:
                yield Gone(id) if id in found.gone else Hidden(id)

    def opened(self, s: Session, standing: Mapping[str, Standing]) -> dict[str, Record | UnreadableItem]:
        opened = ""
        found: dict[str, Record | UnreadableItem] = {}
        for id, one in sorted(standing.items(), key=lambda item: item[1].telling[0].folder):
            copy = one.telling[0]
            if copy.folder != opened:
                s.examine(copy.folder)
                opened = copy.folder
            whole = s.whole(copy.uid, MAX_MESSAGE)
            if whole is not None:
                found[id] = self._record(id, one, whole)
        return found

    def _record(self, id: str, standing: Standing, whole: Whole) -> Record | UnreadableItem:
        settings = self._box.settings
        try:
            parsed = parse(whole.data)
        except Unreadable as error:
            return UnreadableItem(id, standing.version, str(error), Kind.EMAIL, standing.tags)
        complete = len(whole.data) >= whole.size
        return Record(
            id,
            standing.version,
            Kind.EMAIL,
            {
                **content.columns(
                    parsed, id, settings, arrived=whole.arrived, size=whole.size, read=len(whole.data)
                ),
                **standing.shown(),
            },
            uid=id,
            tags=standing.tags,
            attachments=tuple(
                self._attachment(id, p)
                for p in parsed.parts
                if complete and p.size <= settings.attachment_limit
            ),
        )

    def _attachment(self, id: str, part: Part) -> Attachment:
        return Attachment(part.name, part.type, part.size, lambda: self._content(id, part.number))

    def _content(self, id: str, number: int) -> bytes:
        with self._mail.session() as s:
            standing = self._box.standing(s, self._box.layout(s), [id]).there.get(id)
            if standing is not None:
                copy = standing.telling[0]
                s.examine(copy.folder)
                whole = s.whole(copy.uid, MAX_MESSAGE)
                if whole is not None:
                    return message.content_of(whole.data, number)
        raise NotFound("the message has gone while its files were read")


def shown(id: str, standing: Standing) -> Record:
    """What can be known of a message without opening it."""
    return Record(id, standing.version, Kind.EMAIL, standing.shown(), uid=id, tags=standing.tags)
