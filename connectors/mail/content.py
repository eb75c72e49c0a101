"""The columns of a message: what it says, which never changes. Pure, and the same on every protocol."""

from datetime import datetime

from crmsync.connectors.columns import COLUMNS, Type
from crmsync.connectors.contract import Kind, Value
from crmsync.connectors.files import size as in_words
from crmsync.connectors.mail.message import Parsed
from crmsync.connectors.mail.settings import Settings
from crmsync.connectors.mail.standing import COMPLETED, OPEN

HELD = frozenset(COLUMNS[Kind.EMAIL])
WRITABLE = frozenset({"status", "regarding", "categories"})


def columns(
    parsed: Parsed, id: str, settings: Settings, *, arrived: datetime | None, size: int, read: int
) -> dict[str, Value]:
    """``arrived``: when, for a message that does not say when it was sent. ``size``: bytes that the message has,
    ``read``: how many of them were."""
    return {
        "subject": parsed.subject or None,
        "body_text": _text(parsed, settings, size, read) or None,
        "body_html": parsed.html or None,
        "from": parsed.sender or None,
        "to": tuple(sorted(parsed.to)) or None,
        "cc": tuple(sorted(parsed.cc)) or None,
        "sent_at": parsed.sent_at or arrived,
        "message_id": id,
        "thread": parsed.references[0] if parsed.references else id,
        "direction": "outgoing" if parsed.sender in settings.addresses else "incoming",
        "attachments": tuple(sorted({p.name for p in parsed.parts})) or None,
    }


def _text(parsed: Parsed, settings: Settings, size: int, read: int) -> str:
    """With a word about whatever does not travel along."""
    notes = []
    if read < size:
        notes.append(f"[This message has {in_words(size)}; only its beginning was read.]")
    elif large := [p for p in parsed.parts if p.size > settings.attachment_limit]:
        names = ", ".join(f"{p.name} ({in_words(p.size)})" for p in large)
        notes.append(f"[Not copied, because larger than {in_words(settings.attachment_limit)}: {names}]")
    return "\n\n".join(piece for piece in (parsed.text, *notes) if piece)


def kept(name: str, value: Value) -> Value:
    """As it would be read back; of a column whose form does not depend on the server."""
    if name == "status":
        return COMPLETED if value in (None, COMPLETED, "cancelled") else OPEN
    if value is None or COLUMNS[Kind.EMAIL][name].type in (Type.MOMENT, Type.LIST):
        return value
    return str(value).replace("\r\n", "\n").replace("\r", "\n").strip() or None
