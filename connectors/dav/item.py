"""One vCard or iCalendar object as the engine sees it, and the shape that both formats' ``mapping.py`` have."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Protocol
from urllib.parse import quote, unquote

from crmsync.connectors.contract import Columns, Kind, Stamp

STAMP_PROPERTY = "X-CRMSYNC-LINK"

MAX_TEXT = 1_000_000  # characters of one column's value
MAX_LINES = 20_000  # content lines of one object, unfolded
MAX_DEPTH = 16  # components within components


@dataclass(frozen=True, slots=True)
class File:
    """A file that comes with an item, as the item tells of it."""

    name: str
    type: str  # media type
    size: int | None  # bytes; None: not told
    inline: str = field(default="", repr=False)  # its content in base64; empty: it is elsewhere
    url: str = ""
    managed: bool = False  # by the server itself, which knows our login


@dataclass(frozen=True, slots=True)
class Item:
    """What a readable object says."""

    kind: Kind
    uid: str  # empty: the object has none (a vCard may)
    columns: Columns  # absent: no opinion; None: known to be empty
    tags: frozenset[str] = frozenset()  # its categories
    stamp: Stamp | None = None
    untouchable: str = ""  # why it must be left as it is: "recurring", "several items", "list"
    files: tuple[File, ...] = ()
    private: bool = False  # CLASS is PRIVATE, CONFIDENTIAL or one that nobody knows


class Malformed(ValueError):
    """The object breaks a rule of its format. ``rule`` is the sentence for the operator, with the RFC section."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


class NotOurs(Malformed):
    """Nothing is wrong with the object, but it is of a kind that has no columns (a journal entry, free/busy time):
    leave it alone and do not park it."""


class Format(Protocol):
    """``carddav.mapping`` and ``caldav.mapping``: columns both ways. Pure; text is str, line ends as the server's."""

    HOLDS: Mapping[Kind, frozenset[str]]  # the columns it can hold
    READ_ONLY: Mapping[Kind, frozenset[str]]  # those of them that are never written

    def read(self, text: str, *, default_zone: tzinfo = ...) -> Item:
        """Raises Malformed (NotOurs included) and nothing else. ``default_zone``: of times that name no zone."""

    def patch(
        self,
        text: str,
        columns: Columns,
        *,
        tag: str = "",
        stamp: Stamp | None = None,
        now: datetime,
        default_zone: tzinfo = ...,
    ) -> str:
        """``text`` with these columns (absent: untouched, None: emptied), ``tag`` among its categories and ``stamp``
        on it; all other lines byte for byte. The text itself where it says all of that already. Raises Malformed
        only where ``read`` does."""

    def build(
        self,
        kind: Kind,
        uid: str,
        columns: Columns,
        *,
        tag: str = "",
        stamp: Stamp | None = None,
        now: datetime,
        default_zone: tzinfo = ...,
    ) -> str:
        """A new object, CRLF line ends. Raises Malformed where the columns do not make one (an event without start,
        a contact without any name)."""

    def project(self, kind: Kind, columns: Columns) -> Columns:
        """``columns`` as they would be read back; what cannot be held is absent."""


def format_stamp(stamp: Stamp) -> str:
    """``v1 <organisation> <record> <uid> <generation> <mac>``; all of it survives any escaping of TEXT."""
    words = (stamp.organisation, stamp.record, stamp.uid, str(stamp.generation), stamp.mac)
    return " ".join(("v1", *(quote(word, safe="") for word in words)))


def parse_stamp(value: str) -> Stamp | None:
    """None for anything that is not a stamp: a broken one is ignored, like one whose MAC does not verify."""
    words = value.split(" ")
    if (
        len(words) != 6
        or words[0] != "v1"
        or not (words[4].isascii() and words[4].isdigit())
        or len(words[4]) > 18
    ):
        return None
    return Stamp(unquote(words[1]), unquote(words[2]), unquote(words[3]), int(words[4]), unquote(words[5]))
