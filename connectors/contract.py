"""The vocabulary: every word that the engine and the connectors share is defined here, once. Beside this file,
``columns.py`` says which columns there are, and ``abilities.py`` what only some systems can do.

Theory of operation
-------------------
Two **sides**, the person's groupware (``ecs``) and the ``crm``, each hold **collections** (an address book, a
calendar, a CRM object) of **items**. A connector is one collection seen through one login. It turns the server's
*native form* (a vCard, a CRM row) into **columns** (canonical name -> typed value) and *patches* the native form
when it is told to write columns: whatever has no column survives.

The engine asks a connector for ``changes`` since a **cursor**, ``fetch``\\ es what it has to look at, decides without
any I/O (``daemon/plan``), and hands back conditional ``Write``\\ s. Each write has an ``Outcome``, a value; when the
conversation itself fails, an exception of ``connectors.errors`` is raised and nothing is concluded about any item.

Three rules make the rest simple:

* A column that is *absent* from ``Record.columns`` means "no opinion" (this side cannot hold it, or could not read
  it); ``None`` means "known to be empty". Absent never erases anything.
* Absence of an *item* is only proven by a complete ``listing`` (it is complete, or it raises), by ``Gone`` in
  ``changes``, or by ``Gone`` from ``fetch``. ``Hidden`` proves nothing.
* A ``Create`` carries a ``key`` that the engine chose and wrote down before. Repeating it must not make a second item.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Protocol, TypeAlias


class Side(StrEnum):
    ECS = "ecs"  # e-mail, contacts, scheduling: what the person works in
    CRM = "crm"

    @property
    def other(self) -> "Side":
        return Side.CRM if self is Side.ECS else Side.ECS


class Kind(StrEnum):
    CONTACT = "contact"
    APPOINTMENT = "appointment"
    TASK = "task"
    EMAIL = "email"
    PHONE_CALL = "phone_call"
    LETTER = "letter"
    FAX = "fax"


Value: TypeAlias = str | bool | int | date | datetime | tuple[str, ...] | None
Columns: TypeAlias = Mapping[str, Value]  # by the names in ``columns.COLUMNS``


# ── Items ────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Stamp:
    """The link as it stands on the ECS item itself, from which a lost state is rebuilt. Connectors only carry it."""

    organisation: str  # of the CRM
    record: str  # id of the CRM record
    uid: str  # of the item it was written on: a copy with another UID is not linked
    generation: int  # grows with each write to the item
    mac: str  # over all of the above and the account (and ``agreed``); made and checked by the engine
    agreed: str = ""  # the snapshot as of this stamp, in the engine's words, where ``capabilities.remembers``


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that comes with an item. Its content is read when it is needed, and raises what a conversation raises."""

    name: str
    type: str  # media type
    size: int  # bytes
    read: Callable[[], bytes] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Record:
    """What a side says of one item."""

    id: str  # stable in its collection
    version: str  # changes whenever the item does; opaque
    kind: Kind
    columns: Columns  # absent: no opinion; None: known to be empty
    modified: datetime | None = None  # server time (UTC) of the last change, where the server says so
    uid: str = ""  # the item's own identity, stable across collections
    tags: frozenset[str] = frozenset()  # categories, keywords: what a person selects with
    stamp: Stamp | None = None  # ECS items
    link: str = ""  # CRM records: value of the external-id field
    owner: str = ""  # CRM records: user id of the owner
    native: str = ""  # ECS items: the text as the server gave it, enough to put a deleted item back
    untouchable: str = ""  # why this item must be left as it is ("recurring"), or empty
    series: str = ""  # CRM records: the series of which it is one date; each date is a record there
    private: bool = False  # marked private or confidential by the person
    changed_by: str = ""  # who changed it last, for a person; where the server says so
    attachments: tuple[Attachment, ...] = ()  # those that may travel


@dataclass(frozen=True, slots=True)
class Ref:
    """An item that exists, or has changed, without saying how."""

    id: str
    version: str
    owner: str = ""  # CRM records: user id of the owner, where it is known


@dataclass(frozen=True, slots=True)
class Gone:
    """The item was deleted: the server says so itself."""

    id: str
    # the item that it has become (a record merged or converted in the CRM; see ``Unfolding``)
    survivor: str = ""
    owner: str = ""  # CRM: whose it was, where the server still says so


@dataclass(frozen=True, slots=True)
class Hidden:
    """The item cannot be seen with this login; whether it exists is unknown. Never a reason to delete."""

    id: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The item is there, but what the server stores breaks a rule of its format; it is parked, never written to."""

    id: str
    version: str
    reason: str  # which rule, for a person
    kind: Kind | None = None
    tags: frozenset[str] | None = None  # as far as they could be made out; None: not at all


SERIES = "series"  # ``untouchable``: its occurrences are exchanged instead
# An occurrence of a series (see ``Unfolding``) is an item of its own: ``<series>#<day>``, or ``<series>#<day>T<time>``.
_OCCURRENCE = re.compile(r"(.+)#(\d{8}(?:T\d{6})?)", re.DOTALL)


def occurrence_of(item: str) -> tuple[str, str] | None:
    """The series that an item is an occurrence of, and the occurrence's name; None: it is an item by itself."""
    found = _OCCURRENCE.fullmatch(item)
    return (found[1], found[2]) if found else None


def series_of(item: str) -> str:
    """What stands in a listing for this item: the series of an occurrence, else the item itself."""
    found = occurrence_of(item)
    return found[0] if found else item


Cursor: TypeAlias = str  # opaque "changes since" token of one collection


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of changes. Everything up to ``cursor`` has been reported once the page has been."""

    items: tuple[Record | Ref | Gone, ...]
    cursor: Cursor
    people: frozenset[str] = frozenset()  # see ``Selection.people``


@dataclass(frozen=True, slots=True)
class Selection:
    """What the account wants of a collection, so that a server with a search can do the selecting.

    A connector may ignore it (the engine checks every item again), except that an item that *stopped* being selected
    must not be left out of ``changes(since=cursor)``: the engine has to see that it lost its tag.
    """

    tag: str = ""  # ECS; empty: everything
    owner: str = ""  # CRM: user id
    condition: str = ""  # CRM: a condition in its query language
    nothing: bool = False  # only items that are linked already (``crm_select = "linked"``)
    people: bool = False  # CRM: tell the addresses of people who have changed, too (``Capabilities.partial``)
    # a dry run: leave no mark anywhere, not even one that the account wants set by itself
    look_only: bool = False


# ── Writes and what becomes of them ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Create:
    """Make an item. ``key`` is chosen by the engine and makes the create repeatable: UID and resource name on a DAV
    server, external id on a CRM that has such a field. One that already stands under the key is ``Done``, and
    said to be ``found``: it may be ours, or anybody's."""

    key: str
    kind: Kind
    columns: Columns
    tag: str = ""  # ECS: set this tag
    stamp: Stamp | None = None  # ECS
    owner: str = ""  # CRM: user id
    native: str = ""  # ECS, undo: put exactly this text back (``columns`` are then only informative)
    since: datetime | None = None  # CRM without external id: a repeated create searches from here
    # what it is made from, for what is written once and has no column on this side
    original: Record | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """Change these columns (and stamp, and tag) of one item, if it still has version ``expected``."""

    id: str
    expected: str
    kind: Kind
    columns: Columns  # only what changes
    stamp: Stamp | None = None
    tag: str = ""
    link: str = ""  # CRM: write the external id
    original: Record | None = None  # as of a create, where ``columns`` names files
    # CRM: when each column was changed on the ECS side
    clocks: Mapping[str, datetime] = field(default_factory=dict)
    since: datetime | None = None  # it was announced then, and what became of it is not known


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete one item, if it still has version ``expected``. Already gone is ``Done``."""

    id: str
    expected: str
    since: datetime | None = None  # as of an update


Write: TypeAlias = Create | Update | Delete


@dataclass(frozen=True, slots=True)
class Done:
    """It stands. ``record`` is what the server keeps now, where the connector read it back."""

    id: str
    version: str  # empty: not known before the next change listing
    record: Record | None = None
    found: bool = False  # a create: an item stood under its key already, whoever made it
    # It stands in a copy, which has yet to bring it to the server: what is read back does not show it before that, and
    # whoever repeats the write until then changes nothing.
    provisional: bool = False
    still: str = ""  # what of a provisional write not even the copy takes, in words


@dataclass(frozen=True, slots=True)
class Stale:
    """The item has another version by now, or is gone: load and merge again. Nothing was written."""

    id: str


ABANDONED = "abandoned"  # code: a provisional write that was turned down later, by the server or by a person


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will not take this, however often: park it and tell a person."""

    id: str
    code: str  # short and stable: ``too_long``, ``required``, ``forbidden``, …
    reason: str


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not now (locked, busy, failed): try again later. It is not known that nothing was written."""

    id: str
    reason: str
    retry_after: float | None = None  # seconds


Outcome: TypeAlias = Done | Stale | Refused | Deferred


# ── Connectors ───────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a collection can do. Plain data: nothing outside a connector asks for its system's name."""

    columns: Mapping[Kind, frozenset[str]]  # what it can hold
    read_only_columns: Mapping[Kind, frozenset[str]] = field(default_factory=dict)  # readable, never written
    # written when it is made, never later
    once_columns: Mapping[Kind, frozenset[str]] = field(default_factory=dict)
    # of these lists it holds those members that it knows (people, by their address), which ``project`` cannot tell
    partial: Mapping[Kind, frozenset[str]] = field(default_factory=dict)
    writable: bool = True
    incremental: bool = True  # ``changes(cursor)`` is cheaper than a listing
    tombstones: bool = True  # ``changes`` reports ``Gone``
    conditional: bool = True  # the server itself refuses a stale write
    tags: bool = False
    stamps: bool = False  # can carry a ``Stamp``
    # characters of ``Stamp.agreed`` that an item can carry; an older one goes with its stamp
    remembers: int = 0
    links: bool = False  # has an external-id field, so that a create is repeatable by upsert
    searchable: bool = False  # ``search`` works; else the engine's own index of the collection is used
    access: bool = False  # ``access`` works: rights differ from record to record
    owned: bool = True  # CRM: its records belong to somebody, who can be what selects them
    receives: bool = True  # new items are made here for what the other side holds; mail is never made up
    batch: int = 100  # items per fetch and per apply
    concurrent: bool = False  # ``apply`` may run in one thread while another one uses the connector


@dataclass(frozen=True, slots=True)
class Collection:
    id: str  # stable in its source
    name: str  # what a person calls it, and what ``collections`` in the configuration names
    kinds: frozenset[Kind]
    writable: bool = True
    owner: str = ""  # whose it is, as the server authenticated it; empty: the login's own


class Connector(Protocol):
    """One collection through one login. Synchronous; not shared between threads unless it says so."""

    @property
    def capabilities(self) -> Capabilities: ...

    def changes(self, since: Cursor | None, selection: Selection) -> Iterator[Page]:
        """What changed since the cursor; everything that is selected when there is none. The cursor of a page may be
        stored once its items are. Raises CursorExpired where the server cannot tell."""

    def listing(self) -> Iterator[Ref]:
        """Every item, by id and version only: complete, or an exception."""

    def fetch(self, ids: Sequence[str]) -> Iterator[Record | Gone | Hidden | Unreadable]:
        """One answer for each id, in any order. ``Gone`` only with the server's proof."""

    def apply(self, writes: Sequence[Write]) -> Iterator[Outcome]:
        """One outcome for each write, in the order of the writes; each is yielded as soon as it is known, so that what
        a crash or exception interrupts has a known beginning."""

    def project(self, kind: Kind, columns: Columns) -> Columns:
        """``columns`` as they would come back had they been written here (truncated, rounded, rewritten); what cannot
        be held is absent. Pure."""


class Source(Protocol):
    """A login to one server, which opens collections. Safe to use from several threads."""

    @property
    def side(self) -> Side: ...

    def identity(self) -> str:
        """Who we are logged in as, for a person; the CRM side: the organisation's id. Reaches the server."""

    def collections(self) -> Sequence[Collection]:
        """What this login offers, read from the server now."""

    def open(self, collection: Collection) -> Connector:
        """No request is made before the connector is used."""

    def clock_offset(self) -> timedelta:
        """Server clock minus ours, as last measured; zero before the first answer."""

    def requests(self) -> int:
        """How many requests this login has sent so far."""

    def close(self) -> None: ...
