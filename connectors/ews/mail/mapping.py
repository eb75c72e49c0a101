"""What categories, flag and folder say of a message, and how they are to be written. Pure, whatever transports it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crmsync.connectors.contract import Columns, Value
from crmsync.connectors.ews.properties import DEALT_WITH, FLAG, FLAGGED, Property
from crmsync.connectors.ews.rows import Words, among, category
from crmsync.connectors.mail import content, standing
from crmsync.connectors.mail.content import HELD
from crmsync.connectors.mail.names import usable_name
from crmsync.connectors.mail.settings import Settings
from crmsync.connectors.mail.standing import OPEN

_WORDS = Words("Categories")
_LONGEST_NAME = 200  # characters; Exchange takes 255 of a folder's


@dataclass(frozen=True, slots=True)
class Copy:
    """One place where a message stands."""

    folder: str
    words: tuple[str, ...] = ()  # categories
    flag: str = ""
    filed: bool = False  # in the folder of what is tagged, or below it
    regarding: str | None = None  # what that folder says
    item: str = ""  # its id there; empty: remembered, not looked at
    change_key: str = ""
    sort: str = "Message"  # name of its element
    size: int = 0


class Standing(standing.Standing[Copy]):
    def __init__(self, copies: Sequence[Copy], settings: Settings) -> None:
        super().__init__(copies, settings)
        self.settings = settings

    def _is_marked(self, copy: Copy) -> bool:
        return among(self.settings.tag, copy.words)

    def _is_flagged(self, copy: Copy) -> bool:
        return copy.flag == FLAGGED

    def _words(self, copy: Copy) -> Sequence[str]:
        return [word for word in copy.words if not among(self.settings.tag, (word,))]


def project(given: Columns, settings: Settings) -> dict[str, Value]:
    """Columns as they would be read back."""
    return {n: _kept(n, v, settings) for n, v in given.items() if n in HELD}


def _kept(name: str, value: Value, settings: Settings) -> Value:
    match name:
        case "regarding":
            return nameable(str(value)) or None if value else None
        case "categories":
            held = _WORDS.project(value)
            words = held if isinstance(held, tuple) else ()
            return tuple(w for w in words if not among(settings.tag, (w,))) or None
    return content.kept(name, value)


def nameable(text: str) -> str:
    """As much of a text as a folder's name can say; empty: nothing."""
    return " ".join(usable_name(text)[:_LONGEST_NAME].split()).strip()


def changed(
    copy: Copy, wanted: Mapping[str, Value], settings: Settings, *, tag: str = ""
) -> dict[str, Property]:
    """The properties to set so that a copy shows these columns; what stands there already is not among them."""
    told: dict[str, Property] = {}
    if "status" in wanted:
        is_open = content.kept("status", wanted["status"]) == OPEN
        if is_open != (copy.flag == FLAGGED):
            told[FLAG] = FLAGGED if is_open else DEALT_WITH
    words = copy.words
    if "categories" in wanted:
        kept = _kept("categories", wanted["categories"], settings)
        tagged = tuple(w for w in copy.words if among(settings.tag, (w,)))
        words = (*tagged, *(kept if isinstance(kept, tuple) else ()))
    if category(tag) and not among(tag, words):
        words = (*words, category(tag))
    if sorted(words) != sorted(copy.words):
        told["Categories"] = words or None
    return told


def untagged(copy: Copy, settings: Settings) -> dict[str, Property]:
    """Without the tag."""
    words = tuple(w for w in copy.words if not among(settings.tag, (w,)))
    return {} if words == copy.words else {"Categories": words or None}
