"""What flags and keywords say of a message, which changes; what it says itself is the mail room's. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crmsync.connectors.contract import Columns, Value
from crmsync.connectors.imap import wire
from crmsync.connectors.imap.settings import Settings
from crmsync.connectors.mail import content, standing
from crmsync.connectors.mail.content import HELD, WRITABLE
from crmsync.connectors.mail.standing import OPEN

__all__ = ["FLAGGED", "HELD", "WRITABLE", "Copy", "Standing", "changed", "project"]

FLAGGED = "\\Flagged"


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


class Standing(standing.Standing[Copy]):
    def __init__(self, copies: Sequence[Copy], settings: Settings) -> None:
        super().__init__(copies, settings)
        self.settings = settings

    def _is_marked(self, copy: Copy) -> bool:
        return copy.has(self.settings.own)

    def _is_flagged(self, copy: Copy) -> bool:
        return copy.has(FLAGGED)

    def _words(self, copy: Copy) -> Sequence[str]:
        return [wire.category(f) for f in copy.flags if self.settings.is_category(f)]


def project(given: Columns) -> dict[str, Value]:
    """Columns as they would be read back."""
    return {n: _kept(n, v) for n, v in given.items() if n in HELD}


def _kept(name: str, value: Value) -> Value:
    match name:
        case "regarding":
            return wire.nameable(str(value)) or None if value else None
        case "categories":
            words = value if isinstance(value, tuple) else ()
            return tuple(sorted({w for v in words if wire.usable(w := _word(v))})) or None
    return content.kept(name, value)


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
