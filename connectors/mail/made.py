"""A message made from columns, and what a message without a Message-ID goes by. Pure."""

import hashlib
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import quote

from crmsync.connectors.contract import Columns
from crmsync.connectors.mail import message

NAMELESS = "@no-message-id.invalid"  # of identities that stand in for a Message-ID
OURS = "@crmsync.invalid"  # of the Message-IDs that we have made up


def made(key: str, columns: Columns) -> bytes:
    """Its Message-ID is made from the key, so that a repeated create finds it."""
    made = EmailMessage(policy=policy.SMTP)
    made["Message-ID"] = f"<{own_id(key)}>"
    texts = {n: message.clean(str(columns.get(n) or "")) for n in ("subject", "from", "body_text")}
    if subject := " ".join(texts["subject"].split()):
        made["Subject"] = subject
    if texts["from"]:
        made["From"] = texts["from"]
    for name, header in (("to", "To"), ("cc", "Cc")):
        some = columns.get(name)
        if isinstance(some, tuple) and some:
            made[header] = ", ".join(some)
    if isinstance(at := columns.get("sent_at"), datetime):
        made["Date"] = format_datetime(at)
    made.set_content(texts["body_text"])
    return made.as_bytes()


def own_id(key: str) -> str:
    return quote(key, safe="-._~")[:200].replace("%", "=") + OURS


def nameless_id(header: bytes) -> str:
    given = message.headers(header)
    telling = "\n".join(message.raw(given, n) for n in ("date", "from", "to", "cc", "subject"))
    return hashlib.sha256(telling.encode("utf-8", "replace")).hexdigest()[:32] + NAMELESS


def identity(parsed_id: str, data: bytes) -> str:
    return parsed_id or nameless_id(data)
