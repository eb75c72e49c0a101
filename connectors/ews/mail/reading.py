"""Messages as records: where each stands, and what it says."""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from crmsync.connectors import files
from crmsync.connectors.contract import Attachment, Gone, Hidden, Kind, Record
from crmsync.connectors.contract import Unreadable as UnreadableItem
from crmsync.connectors.errors import NotFound, ProtocolError
from crmsync.connectors.ews import wire
from crmsync.connectors.ews.client import Answer
from crmsync.connectors.ews.faults import BUSY, LATER
from crmsync.connectors.ews.mail.mailbox import Mailbox
from crmsync.connectors.ews.mail.mapping import Copy, Standing
from crmsync.connectors.ews.properties import Malformed
from crmsync.connectors.ews.wire import M, T
from crmsync.connectors.mail import content, message
from crmsync.connectors.mail.message import Part, Unreadable, parse

BATCH = 20  # messages whose text is held at the same time
MAX_MESSAGE = 40_000_000  # bytes that are read of one; it takes a third more on its way
_TOGETHER = 8_000_000  # bytes of several in one answer


class Reader:
    def __init__(self, box: Mailbox) -> None:
        self._box = box

    def fetch(self, ids: Sequence[str]) -> Iterator[Record | Gone | Hidden | UnreadableItem]:
        for start in range(0, len(ids), BATCH):
            some = list(dict.fromkeys(ids[start : start + BATCH]))
            found = self._box.standing(self._box.layout(), some)
            read = self.opened(found.there)
            missing = {id: Gone(id) if id in found.gone else Hidden(id) for id in some}
            yield from (read.get(id) or missing[id] for id in some)

    def glance(self, ids: Sequence[str]) -> Iterator[Record | Gone | Hidden]:
        """Marks and folders alone."""
        found = self._box.standing(self._box.layout(), ids)
        for id in dict.fromkeys(ids):
            if id in found.there:
                yield shown(id, found.there[id])
            else:
                yield Gone(id) if id in found.gone else Hidden(id)

    def opened(self, standing: Mapping[str, Standing]) -> dict[str, Record | UnreadableItem]:
        """What is gone by now is not among them."""
        found: dict[str, Record | UnreadableItem] = {
            id: _too_large(id, one) for id, one in standing.items() if _size(one) > MAX_MESSAGE
        }
        for group in _groups({id: one for id, one in standing.items() if id not in found}):
            found |= self._group(group)
        return found

    def _group(self, group: Mapping[str, Standing]) -> dict[str, Record | UnreadableItem]:
        try:
            answers = self._asked({id: one.telling[0] for id, one in group.items()})
        except ProtocolError as error:
            if len(group) == 1:
                ((id, one),) = group.items()
                return {id: UnreadableItem(id, one.version, error.message, Kind.EMAIL, one.tags)}
            alone = (self._group({id: one}) for id, one in group.items())  # one of them breaks it for all
            return {id: record for found in alone for id, record in found.items()}
        judged = {id: self._judged(id, group[id], answer) for id, answer in answers.items()}
        return {id: record for id, record in judged.items() if record is not None}

    def _asked(self, copies: Mapping[str, Copy]) -> dict[str, Answer]:
        asked = wire.element(
            "m:GetItem",
            wire.shape(Kind.EMAIL, ("MimeContent", "DateTimeReceived")),
            wire.element("m:ItemIds", *(wire.item_id(copy.item) for copy in copies.values())),
        )
        answers = self._box.exchange.each("GetItem", asked, len(copies), large=True)
        for answer in answers:
            if answer.code in BUSY or answer.code in LATER:
                raise self._box.exchange.error(answer)
        return dict(zip(copies, answers, strict=True))

    def _judged(self, id: str, standing: Standing, answer: Answer) -> Record | UnreadableItem | None:
        item = answer.element.find(f"{M}Items/*") if answer.ok else None
        if item is None:
            return None
        try:
            return self._record(id, standing, _bytes(item), _arrived(item))
        except (Unreadable, Malformed) as error:
            return UnreadableItem(id, standing.version, str(error), Kind.EMAIL, standing.tags)

    def _record(self, id: str, standing: Standing, data: bytes, arrived: datetime | None) -> Record:
        settings, parsed = self._box.settings, parse(data)
        columns = content.columns(parsed, id, settings, arrived=arrived, size=len(data), read=len(data))
        return Record(
            id,
            standing.version,
            Kind.EMAIL,
            {**columns, **standing.shown()},
            uid=id,
            tags=standing.tags,
            attachments=tuple(
                self._attachment(id, p) for p in parsed.parts if p.size <= settings.attachment_limit
            ),
        )

    def _attachment(self, id: str, part: Part) -> Attachment:
        return Attachment(part.name, part.type, part.size, lambda: self._content(id, part.number))

    def _content(self, id: str, number: int) -> bytes:
        standing = self._box.standing(self._box.layout(), [id]).there.get(id)
        answer = self._asked({id: standing.telling[0]})[id] if standing is not None else None
        item = answer.element.find(f"{M}Items/*") if answer is not None and answer.ok else None
        if item is None:
            raise NotFound("the message has gone while its files were read")
        try:
            return message.content_of(_bytes(item), number)
        except Unreadable as error:
            raise NotFound(f"a file of the message cannot be read: {error}") from error


def shown(id: str, standing: Standing) -> Record:
    """What can be known of a message without opening it."""
    return Record(id, standing.version, Kind.EMAIL, standing.shown(), uid=id, tags=standing.tags)


def _size(standing: Standing) -> int:
    return standing.telling[0].size


def _too_large(id: str, standing: Standing) -> UnreadableItem:
    has, most = files.size(_size(standing)), files.size(MAX_MESSAGE)
    reason = f"it has {has}, more than the {most} that are read"
    return UnreadableItem(id, standing.version, reason, Kind.EMAIL, standing.tags)


def _groups(standing: Mapping[str, Standing]) -> Iterator[dict[str, Standing]]:
    """As many as fit into one answer."""
    group: dict[str, Standing] = {}
    size = 0
    for id, one in standing.items():
        size += _size(one)
        if group and size > _TOGETHER:
            yield group
            group, size = {}, _size(one)
        group[id] = one
    if group:
        yield group


def _bytes(item: wire.Element) -> bytes:
    """Raises Unreadable."""
    try:
        return base64.b64decode(item.findtext(T + "MimeContent") or "", validate=True)
    except (binascii.Error, ValueError):
        raise Unreadable("the server gives a text of it that is none") from None


def _arrived(item: wire.Element) -> datetime | None:
    text = item.findtext(T + "DateTimeReceived")
    return wire.parse_moment(text) if text else None
