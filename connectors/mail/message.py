"""A message as it was sent, taken apart with the standard library: headers, texts, files. Pure, and bounded.

What cannot be read is named as what it is (encrypted, a calendar object, Outlook's container) and never guessed at.
Headers of strangers make the modern header parser raise, or take for ever: each is cut to a length first, and read by
the older one where the modern one fails.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import policy
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser, BytesParser
from email.policy import EmailPolicy
from email.utils import getaddresses, parsedate_to_datetime

from crmsync.connectors.mail import richtext
from crmsync.connectors.mail.charsets import text_of

MAX_HEADER = 20_000  # characters of one header
MAX_STRUCTURE = (
    2_000  # of one that says what a part is: its parser's time grows with the square of its length
)
MAX_PARTS = 1_000
MAX_TEXT = 500_000  # characters of one text
_ENCRYPTED = "This message is encrypted ({how}); it was not read."
_ADDRESS = re.compile(r"[^@\s<>(),;:\"\\]+@[^@\s<>(),;:\"\\]+")
_WORD = re.compile(r"[^\s<>(),;:\"\\]+")
_ID = re.compile(r"<([^<>\s]{1,900})>")
_UNWANTED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


class _Bounded(EmailPolicy):
    """The library's default, but for what is too long to have been written by a mail programme."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[: MAX_STRUCTURE if name.lower().startswith("content-") else MAX_HEADER]


_POLICY = _Bounded(raise_on_defect=False)


class Unreadable(ValueError):
    """The message breaks a rule in a way that leaves nothing to be read; says which, and never its text."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file in a message."""

    number: int  # among the leaves of the message, from 0
    name: str
    type: str
    size: int


@dataclass(frozen=True, slots=True)
class Parsed:
    message_id: str  # without angle brackets; empty: it has none
    subject: str
    sender: str
    to: tuple[str, ...]
    cc: tuple[str, ...]
    sent_at: datetime | None
    references: tuple[str, ...]  # message ids, the first message of the conversation first
    text: str
    html: str
    parts: tuple[Part, ...]


def parse(data: bytes) -> Parsed:
    """Raises Unreadable."""
    message = _message(data)
    text, html, parts = _content(message)
    return Parsed(
        message_id=message_id(message),
        subject=_words(message, "subject"),
        sender=next(iter(addresses(message, "from")), "") or next(iter(addresses(message, "sender")), ""),
        to=addresses(message, "to"),
        cc=addresses(message, "cc"),
        sent_at=_date(message),
        references=references(message),
        text=text,
        html=html,
        parts=parts,
    )


def content_of(data: bytes, number: int) -> bytes:
    """Of the file that ``parse`` gave this number. Raises Unreadable."""
    for n, leaf in enumerate(_leaves(_message(data))):
        if n == number:
            return _bytes(leaf)
    raise Unreadable("a file of the message is not there any more")


def headers(data: bytes) -> Message:
    """A message of which only (some) headers are there."""
    return BytesHeaderParser(policy=_POLICY).parsebytes(data)


def _message(data: bytes) -> Message:
    try:
        return BytesParser(policy=_POLICY).parsebytes(data)
    except RecursionError as error:
        raise Unreadable("its parts are nested too deeply") from error
    except (ValueError, IndexError, AttributeError, TypeError, LookupError) as error:
        raise Unreadable(f"it cannot be taken apart ({type(error).__name__})") from error


# ── Headers ──────────────────────────────────────────────────────────────────────────────────────────────────


def raw(message: Message, name: str) -> str:
    """A header as it stands there, unfolded; the first one of its name; empty: there is none."""
    found = next((value for key, value in message.raw_items() if key.lower() == name), "")
    text = str(found)[:MAX_HEADER].encode("utf-8", "surrogateescape")  # 8-bit bytes, which nothing declares
    return " ".join(text_of(text, None).split())


def message_id(message: Message) -> str:
    return bare_id(raw(message, "message-id"))


def bare_id(text: str) -> str:
    """A Message-ID without angle brackets; empty for what is none."""
    found = _ID.search(text)
    bare = found[1] if found else text.strip("<> ")
    return "" if not bare or " " in bare or len(bare) > 900 else clean(bare)


def references(message: Message) -> tuple[str, ...]:
    """RFC 5322 3.6.4: the conversation up to this message, its beginning first."""
    return ids_in(f"{raw(message, 'references')} {raw(message, 'in-reply-to')}")


def ids_in(text: str) -> tuple[str, ...]:
    """The message ids of a header that names several; each once, in their order."""
    return tuple(dict.fromkeys(clean(one) for one in _ID.findall(text)))


def addresses(message: Message, name: str) -> tuple[str, ...]:
    """In lower case, each once, in their order."""
    text = raw(message, name)
    try:
        found = [address for _, address in getaddresses([text])]
    except (ValueError, IndexError, RecursionError, TypeError):
        found = []
    usable = [a for a in found if _ADDRESS.fullmatch(a)] or _like_addresses(text)
    return tuple(dict.fromkeys(clean(a).lower() for a in usable))


def _like_addresses(text: str) -> list[str]:
    """Word by word: the pattern alone would be tried from each letter of a long one to its end."""
    halves = (word.partition("@") for word in _WORD.findall(text))
    found = (f"{local}@{rest.partition('@')[0]}" for local, _, rest in halves)
    return [each for each in found if _ADDRESS.fullmatch(each)]


def _words(message: Message, name: str) -> str:
    text = raw(message, name)
    if "=?" not in text:
        return clean(text)
    try:
        pieces = [p if isinstance(p, str) else text_of(p, label) for p, label in decode_header(text)]
    except (ValueError, LookupError, TypeError):
        return clean(text)
    return " ".join(clean("".join(pieces)).split())


def _date(message: Message) -> datetime | None:
    try:
        told = parsedate_to_datetime(raw(message, "date"))
        moment = (told if told.tzinfo else told.replace(tzinfo=UTC)).astimezone(UTC).replace(microsecond=0)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if 1970 <= moment.year <= 2200 else None


def clean(text: str) -> str:
    """Without what no text may hold."""
    return _UNWANTED.sub("", text)


# ── Content ──────────────────────────────────────────────────────────────────────────────────────────────────


def _leaves(message: Message) -> Iterator[Message]:
    """Everything that is no container. A forwarded message is a file, whatever is in it."""
    stack: list[Message] = [message]
    count = 0
    while stack:
        part = stack.pop()
        inside = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(inside, list):
            stack += [p for p in reversed(inside) if isinstance(p, Message)]
            continue
        count += 1
        if count > MAX_PARTS:
            return
        yield part


def _content(message: Message) -> tuple[str, str, tuple[Part, ...]]:
    if how := _encrypted(message):
        return _ENCRYPTED.format(how=how), "", ()
    texts: list[str] = []
    rich: list[str] = []
    parts: list[Part] = []
    for number, leaf in enumerate(_leaves(message)):
        match _role(leaf):
            case "plain":
                texts.append(_text(leaf))
            case "html":
                rich.append(_text(leaf))
            case "file":
                parts.append(_part(leaf, number))
    html = richtext.sanitised("\n".join(rich)) if rich else ""
    text = "\n\n".join(t for t in texts if t.strip()) or (richtext.plain("\n".join(rich)) if rich else "")
    if "-----BEGIN PGP MESSAGE-----" in text:
        return _ENCRYPTED.format(how="PGP"), "", tuple(parts)
    return text, clean(html), tuple(parts)


def _encrypted(message: Message) -> str:
    """RFC 8551 3.2, RFC 3156 4."""
    kind = message.get_content_type()
    if kind == "multipart/encrypted":
        return "PGP"
    if kind in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
        return "" if _param(message, "smime-type") == "signed-data" else "S/MIME"
    return ""


def _role(leaf: Message) -> str:
    kind = leaf.get_content_type()
    if kind in ("application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"):
        return "signature"
    if leaf.get_content_maintype() == "multipart":  # without parts: its boundary is missing
        return "plain"
    named = _disposition(leaf) == "attachment" or bool(_given_name(leaf))
    if kind in ("text/plain", "text/html") and not named:
        return kind.partition("/")[2]
    return "file"


def _part(leaf: Message, number: int) -> Part:
    kind = leaf.get_content_type()
    return Part(number, _given_name(leaf) or _name_for(leaf, kind), kind, len(_bytes(leaf)))


def _name_for(leaf: Message, kind: str) -> str:
    """A file that the sender gave no name, by what it is."""
    if kind == "text/calendar":
        method = _param(leaf, "method").lower()
        word = {"request": "invitation", "reply": "answer to an invitation", "cancel": "cancellation"}.get(
            method
        )
        return f"{word or 'calendar'}.ics"
    if kind == "application/ms-tnef":
        return "winmail.dat"
    if kind == "message/rfc822":
        return "forwarded message.eml"
    return f"unnamed.{re.sub(r'[^a-z0-9]', '', kind.rpartition('/')[2])[:12] or 'bin'}"


def _given_name(leaf: Message) -> str:
    try:
        name = leaf.get_filename() or ""
    except (ValueError, LookupError, TypeError, IndexError, AttributeError):
        return "unnamed.bin"
    if "=?" in name:
        with contextlib.suppress(ValueError, LookupError, TypeError):
            name = "".join(p if isinstance(p, str) else text_of(p, label) for p, label in decode_header(name))
    bare = re.split(r"[/\\]", clean(name))[-1]
    return " ".join(bare.split())[:200]


def _param(leaf: Message, name: str) -> str:
    try:
        return str(leaf.get_param(name) or "").lower()
    except (ValueError, LookupError, TypeError, IndexError, AttributeError):
        return ""


def _disposition(leaf: Message) -> str:
    try:
        return leaf.get_content_disposition() or ""
    except (ValueError, LookupError, TypeError, IndexError, AttributeError):
        return ""


def _text(leaf: Message) -> str:
    data = _bytes(leaf)[: 4 * MAX_TEXT]
    text = text_of(data, _charset(leaf))[:MAX_TEXT]
    return clean(text.replace("\r\n", "\n").replace("\r", "\n")).strip("\n")


def _charset(leaf: Message) -> str | None:
    try:
        return leaf.get_content_charset()
    except (ValueError, LookupError, TypeError, IndexError, AttributeError):
        return None


def _bytes(leaf: Message) -> bytes:
    inside = leaf.get_payload()
    if isinstance(inside, list):  # message/rfc822: what was forwarded
        return b"".join(_flat(p) for p in inside if isinstance(p, Message))
    try:
        data = leaf.get_payload(decode=True)
    except (ValueError, LookupError, TypeError, AttributeError):
        data = None
    return data if isinstance(data, bytes) else str(inside or "").encode("utf-8", "surrogateescape")


def _flat(message: Message) -> bytes:
    try:
        return message.as_bytes(policy=policy.compat32)
    except (ValueError, LookupError, TypeError, AttributeError, IndexError, RecursionError, KeyError):
        return b""
