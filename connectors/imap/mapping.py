"""A message's columns: what it says, which never changes, and what folders and flags say of it, which does. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from crmsync.connectors.contract import COLUMNS, Columns, Kind, Type, Value
from crmsync.connectors.imap import wire
from crmsync.connectors.imap.message import Parsed
from crmsync.connectors.imap.session import Whole
from crmsync.connectors.imap.settings import Settings

HELD = frozenset(COLUMNS[Kind.EMAIL])
WRITABLE = frozenset({"status", "regarding", "categories"})
FLAGGED = "\\Flagged"
OPEN, COMPLETED = "in_progress", "completed"


@dataclass(frozen=True, slots=True)
class Copy:
    """One place where a message stands."""

    folder: str
    uid: int
    flags: frozenset[str]
    filed: bool = False  # in the folder of what is tagged, or below it
    regarding: str | None = None  # what that folder says

    def has(self, flag: str) -> bool:
        return any(f.casefold() == flag.casefold() for f in self.flags)


@dataclass(frozen=True, slots=True)
class Standing:
    """A message wherever it stands: one item."""

    copies: tuple[Copy, ...]
    settings: Settings
    marked: tuple[Copy, ...] = field(init=False)  # tagged; these count, if there are any

    def __post_init__(self) -> None:
        marked = tuple(c for c in self.copies if c.filed or c.has(self.settings.own))
        object.__setattr__(self, "marked", marked)

    @property
    def tagged(self) -> bool:
        return bool(self.marked)

    @property
    def telling(self) -> tuple[Copy, ...]:
        return self.marked or self.copies

    @property
    def filed(self) -> tuple[Copy, ...]:
        return tuple(c for c in self.copies if c.filed)

    @property
    def tags(self) -> frozenset[str]:
        others = frozenset(self.categories())
        return others | {self.settings.tag} if self.tagged else others

    def categories(self) -> tuple[str, ...]:
        words = {wire.category(f) for c in self.telling for f in c.flags if self.settings.is_category(f)}
        return tuple(sorted(w for w in words if w))

    def status(self) -> str:
        """Flagged means that something is left to do, in every mail programme."""
        return OPEN if any(c.has(FLAGGED) for c in self.telling) else COMPLETED

    def shown(self) -> dict[str, Value]:
        columns: dict[str, Value] = {"status": self.status(), "categories": self.categories() or None}
        if filed := self.filed:
            columns["regarding"] = next((c.regarding for c in filed if c.regarding), None)
        elif self.settings.file:
            columns["regarding"] = None
        return columns  # without ``regarding`` where no folder says anything of it: no opinion

    @property
    def version(self) -> str:
        """What it shows beside its content, which cannot change."""
        text = repr((self.tagged, sorted(self.shown().items()), sorted(self.tags)))
        return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:20]


def columns(parsed: Parsed, whole: Whole, id: str, settings: Settings) -> dict[str, Value]:
    """What the message says."""
    return {
        "subject": parsed.subject or None,
        "body_text": _text(parsed, whole, settings) or None,
        "body_html": parsed.html or None,
        "from": parsed.sender or None,
        "to": tuple(sorted(parsed.to)) or None,
        "cc": tuple(sorted(parsed.cc)) or None,
        "sent_at": parsed.sent_at or whole.arrived,
        "message_id": id,
        "thread": parsed.references[0] if parsed.references else id,
        "direction": "outgoing" if parsed.sender in settings.addresses else "incoming",
        "attachments": tuple(sorted({p.name for p in parsed.parts})) or None,
    }


def _text(parsed: Parsed, whole: Whole, settings: Settings) -> str:
    """With a word about whatever does not travel along."""
    notes = []
    if len(whole.data) < whole.size:
        notes.append(f"[This message has {size(whole.size)}; only its beginning was read.]")
    elif large := [p for p in parsed.parts if p.size > settings.attachment_limit]:
        names = ", ".join(f"{p.name} ({size(p.size)})" for p in large)
        notes.append(f"[Not copied, because larger than {size(settings.attachment_limit)}: {names}]")
    return "\n\n".join(piece for piece in (parsed.text, *notes) if piece)


def size(count: int) -> str:
    for unit, one in (("GB", 10**9), ("MB", 10**6), ("KB", 1000)):
        if count >= one:
            return f"{round(count / one)} {unit}"
    return f"{count} bytes"


def project(given: Columns) -> dict[str, Value]:
    """Columns as they would be read back."""
    return {n: _kept(n, v) for n, v in given.items() if n in HELD}


def _kept(name: str, value: Value) -> Value:
    match name:
        case "status":
            return COMPLETED if value in (None, COMPLETED, "cancelled") else OPEN
        case "regarding":
            return wire.nameable(str(value)) or None if value else None
        case "categories":
            words = value if isinstance(value, tuple) else ()
            return tuple(sorted({w for v in words if wire.usable(w := _word(v))})) or None
    if value is None or COLUMNS[Kind.EMAIL][name].type in (Type.MOMENT, Type.LIST):
        return value
    return str(value).replace("\r\n", "\n").replace("\r", "\n").strip() or None


def _word(category: str) -> str:
    """As a keyword keeps it: servers do not tell upper from lower case."""
    return wire.category(wire.keyword(category.strip()))


def changed(before: Standing, wanted: Mapping[str, Value]) -> tuple[frozenset[str], frozenset[str]]:
    """Flags to set and flags to take away, so that these columns are shown."""
    plus: set[str] = set()
    minus: set[str] = set()
    if "status" in wanted:
        (plus if _kept("status", wanted["status"]) == OPEN else minus).add(FLAGGED)
    if "categories" in wanted:
        kept = _kept("categories", wanted["categories"])
        words = frozenset(wire.keyword(w) for w in kept) if isinstance(kept, tuple) else frozenset()
        plus |= words
        minus |= {
            f
            for c in before.copies
            for f in c.flags
            if before.settings.is_category(f) and f.lower() not in words
        }
    return frozenset(plus), frozenset(minus)
