"""Files on an item: their names, and what may travel of them. Their content is asked for when it is needed."""

import base64
import binascii
from dataclasses import dataclass
from functools import partial

from crmsync.connectors import files
from crmsync.connectors.contract import Attachment
from crmsync.connectors.errors import NotFound, ProtocolError
from crmsync.connectors.ews import wire
from crmsync.connectors.ews.client import Exchange
from crmsync.connectors.ews.faults import MISSING
from crmsync.connectors.ews.wire import Element, M, T

PATH = "item:Attachments"
_NAME = 200  # characters
_UNKNOWN = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Files:
    exchange: Exchange
    limit: int  # bytes; what is larger stays where it is

    def of(self, item: Element) -> tuple[Attachment, ...]:
        """All but pictures in the text. What is too large, or an item itself, is named instead."""
        return tuple(self._one(e) for e in item.iterfind(f"{T}Attachments/*") if not _is_inline(e))

    def _one(self, attachment: Element) -> Attachment:
        name, size, id = named(attachment), _size(attachment), attachment.find(T + "AttachmentId")
        if attachment.tag != T + "FileAttachment" or id is None or size is None:
            return files.named(name, "no file that can be copied; it stays in Exchange")
        if size > self.limit:
            return files.named(
                name, f"{files.size(size)}, larger than {files.size(self.limit)}; it stays in Exchange"
            )
        type = (attachment.findtext(T + "ContentType") or _UNKNOWN).strip()
        return Attachment(name, type, size, partial(self._content, id.get("Id") or ""))

    def _content(self, id: str) -> bytes:
        asked = wire.element("m:AttachmentIds", wire.element("t:AttachmentId", Id=id))
        (answer,) = self.exchange.each("GetAttachment", wire.element("m:GetAttachment", asked), 1, large=True)
        if answer.code in MISSING or answer.code == "ErrorInvalidAttachmentId":
            raise NotFound("the file has gone while it was about to be read")
        if not answer.ok:
            raise self.exchange.error(answer)
        text = answer.element.findtext(f"{M}Attachments/*/{T}Content")
        try:
            return base64.b64decode(text or "", validate=True)
        except (binascii.Error, ValueError):
            raise ProtocolError(f"{self.exchange.where} gives a file that cannot be read") from None


def names(item: Element) -> tuple[str, ...]:
    """Of all that a person has attached, whatever its size."""
    found = {named(each) for each in item.iterfind(f"{T}Attachments/*") if not _is_inline(each)}
    return tuple(sorted(found))


def named(attachment: Element) -> str:
    text = "".join(c for c in attachment.findtext(T + "Name") or "" if c.isprintable())
    return " ".join(text.replace("\\", "/").rpartition("/")[2].split())[:_NAME] or "unnamed"


def _is_inline(attachment: Element) -> bool:
    return (attachment.findtext(T + "IsInline") or "").strip().lower() == "true"


def _size(attachment: Element) -> int | None:
    text = (attachment.findtext(T + "Size") or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None
