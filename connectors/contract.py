"""The vocabulary: every word that the engine and the connectors share is defined here, once.

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
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Protocol, TypeAlias, runtime_checkable


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


# ── Columns ──────────────────────────────────────────────────────────────────────────────────────────────────

Value: TypeAlias = str | bool | int | date | datetime | tuple[str, ...] | None
Columns: TypeAlias = Mapping[str, Value]


class Type(StrEnum):
    TEXT = "text"  # one line
    LONG = "long"  # lines separated by "\n"
    EMAIL = "email"
    PHONE = "phone"
    URL = "url"
    DATE = "date"  # datetime.date
    MOMENT = "moment"  # aware datetime in UTC; or a date, where all_day is true
    FLAG = "flag"  # bool
    NUMBER = "number"  # int
    LIST = "list"  # tuple of str, sorted, no duplicates


@dataclass(frozen=True, slots=True)
class Column:
    type: Type = Type.TEXT
    group: str = ""  # columns with the same group mean something only together: they win or lose as one
    each: bool = False  # a list of members, "<name>" or "<name> <word>", each of which is merged by itself


_ADDRESS = ("street", "city", "region", "postal_code", "country")
_WHEN = "when"
_PROGRESS = "progress"

COLUMNS: Mapping[Kind, Mapping[str, Column]] = {
    Kind.CONTACT: {
        **{
            n: Column()
            for n in (
                "prefix",
                "first_name",
                "middle_name",
                "last_name",
                "suffix",
                "nickname",
                "company",
                "department",
                "job_title",
            )
        },
        **{n: Column(Type.EMAIL) for n in ("email", "email_2", "email_3")},  # the preferred one first
        **{
            n: Column(Type.PHONE)
            for n in ("phone_work", "phone_mobile", "phone_home", "phone_fax", "phone_other")
        },
        **{f"address_work_{n}": Column(Type.LONG if n == "street" else Type.TEXT) for n in _ADDRESS},
        **{f"address_home_{n}": Column(Type.LONG if n == "street" else Type.TEXT) for n in _ADDRESS},
        "website": Column(Type.URL),
        "birthday": Column(Type.DATE),
        "anniversary": Column(Type.DATE),
        "notes": Column(Type.LONG),
        "categories": Column(Type.LIST),
    },
    Kind.APPOINTMENT: {
        "subject": Column(),
        "location": Column(),
        "description": Column(Type.LONG),
        "start": Column(Type.MOMENT, _WHEN),
        "end": Column(Type.MOMENT, _WHEN),  # exclusive (RFC 5545 3.6.1); all-day: the day after the last
        "all_day": Column(Type.FLAG, _WHEN),
        "time_zone": Column(Type.TEXT, _WHEN),  # IANA name; None: UTC
        # of a whole series, where the CRM has fields for it; the texts are those of ``series/written.py``
        "recurrence": Column(Type.LONG, _WHEN),
        "exceptions": Column(Type.LONG, _WHEN),
        "show_as": Column(),  # free, busy, tentative, out_of_office
        "status": Column(),  # confirmed, tentative, cancelled
        "sensitivity": Column(),  # public, private, confidential
        "reminder": Column(Type.MOMENT),  # when the person is reminded
        "organizer": Column(Type.EMAIL),  # who has called the meeting; in lower case
        # addresses in lower case, with the answer where there is one: accepted, declined, tentative
        "attendees": Column(Type.LIST, each=True),
        "attachments": Column(Type.LIST, each=True),  # their names
        "categories": Column(Type.LIST),
    },
    Kind.TASK: {
        "subject": Column(),
        "description": Column(Type.LONG),
        "start": Column(Type.MOMENT),
        "due": Column(Type.MOMENT),
        # not_started, in_progress, completed, waiting, deferred, cancelled
        "status": Column(Type.TEXT, _PROGRESS),
        "percent_complete": Column(Type.NUMBER, _PROGRESS),  # 0 to 100
        "completed_at": Column(Type.MOMENT, _PROGRESS),
        "priority": Column(),  # high, normal, low
        "activity": Column(),  # phone_call, letter, fax: what it stands for; None: a task and no more
        # of what stands for a phone call
        "direction": Column(),  # inbound, outbound, internal
        "number": Column(Type.PHONE),  # of the other party: E.164, or an extension
        "parties": Column(Type.LIST),  # everybody's numbers
        "started_at": Column(Type.MOMENT),
        "duration": Column(Type.NUMBER),  # seconds of talking
        "disposition": Column(),  # what came of it, in words: Answered, Missed, Busy, …
        "call_id": Column(),  # the same for everybody who takes part: SIP's Call-ID, Asterisk's Linkedid
        "regarding": Column(),  # id of the CRM record that it is about, where a person has chosen one
        "sensitivity": Column(),
        "reminder": Column(Type.MOMENT),
        "categories": Column(Type.LIST),
    },
    Kind.EMAIL: {
        "subject": Column(),
        "body_text": Column(Type.LONG),  # what is plain in it, or plain of what is rich
        "body_html": Column(Type.LONG),  # sanitised: nothing in it runs, or is fetched from anywhere
        "from": Column(Type.EMAIL),  # addresses alone, in lower case
        "to": Column(Type.LIST),
        "cc": Column(Type.LIST),
        "sent_at": Column(Type.MOMENT),
        "message_id": Column(),  # without angle brackets
        "thread": Column(),  # message id of the first message of the conversation
        "direction": Column(),  # incoming, outgoing
        "attachments": Column(Type.LIST),  # their names
        "status": Column(),  # as of a task; completed: nothing is left to do about it
        "regarding": Column(),  # name of the account, opportunity or case that it is about
        "categories": Column(Type.LIST),
    },
}


ANSWERS = frozenset({"accepted", "declined", "tentative"})  # to an invitation


def member(entry: str) -> tuple[str, str]:
    """Name and word of one entry of a list whose members are merged each by itself (``Column.each``)."""
    name, _, word = entry.strip().rpartition(" ")
    return (name.strip(), word) if name and word in ANSWERS else (entry.strip(), "")


def entry(name: str, word: str) -> str:
    return f"{name} {word}" if word else name


def with_group(kind: Kind, names: frozenset[str]) -> frozenset[str]:
    """``names`` and every column that wins or loses together with one of them."""
    groups = {COLUMNS[kind][n].group for n in names if n in COLUMNS[kind]} - {""}
    return names | {n for n, c in COLUMNS[kind].items() if c.group in groups}


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
    survivor: str = (
        ""  # the item that it has become (a record merged or converted in the CRM; see ``Unfolding``)
    )
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
    look_only: bool = (
        False  # a dry run: leave no mark anywhere, not even one that the account wants set by itself
    )


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
    original: Record | None = (
        None  # what it is made from, for what is written once and has no column on this side
    )


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
    clocks: Mapping[str, datetime] = field(
        default_factory=dict
    )  # CRM: when each column was changed on the ECS side
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
    once_columns: Mapping[Kind, frozenset[str]] = field(
        default_factory=dict
    )  # written when it is made, never later
    # of these lists it holds those members that it knows (people, by their address), which ``project`` cannot tell
    partial: Mapping[Kind, frozenset[str]] = field(default_factory=dict)
    writable: bool = True
    incremental: bool = True  # ``changes(cursor)`` is cheaper than a listing
    tombstones: bool = True  # ``changes`` reports ``Gone``
    conditional: bool = True  # the server itself refuses a stale write
    tags: bool = False
    stamps: bool = False  # can carry a ``Stamp``
    remembers: int = (
        0  # characters of ``Stamp.agreed`` that an item can carry; an older one goes with its stamp
    )
    links: bool = False  # has an external-id field, so that a create is repeatable by upsert
    searchable: bool = False  # ``search`` works; else the engine's own index of the collection is used
    access: bool = False  # ``access`` works: rights differ from record to record
    owned: bool = True  # CRM: its records belong to somebody, who can be what selects them
    receives: bool = True  # new items are made here for what the other side holds; mail is never made up
    batch: int = 100  # items per fetch and per apply


@dataclass(frozen=True, slots=True)
class Collection:
    id: str  # stable in its source
    name: str  # what a person calls it, and what ``collections`` in the configuration names
    kinds: frozenset[Kind]
    writable: bool = True
    owner: str = ""  # whose it is, as the server authenticated it; empty: the login's own


@dataclass(frozen=True, slots=True)
class Probe:
    """What the engine knows of an item for which it seeks a partner; any one key may match."""

    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    columns: Columns = field(default_factory=dict)  # kinds without addresses: equal in all of these


@dataclass(frozen=True, slots=True)
class Access:
    read: bool
    edit: bool
    delete: bool


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


@runtime_checkable
class Searchable(Protocol):
    """``capabilities.searchable``: candidates for a match, found by the server."""

    def search(self, kind: Kind, probes: Sequence[Probe]) -> Iterator[Record]:
        """Every visible record that shares a key with any of the probes, once; the engine works out whose it is."""


@runtime_checkable
class Naming(Protocol):
    """People know an item by other names than its id: its address, its UID, a shorter form of the id."""

    def named(self, text: str) -> str | None:
        """The id of the item that ``text`` names; None where it names none here. Whether the item still exists is not
        promised."""


@runtime_checkable
class Restricting(Protocol):
    """``capabilities.access``: the login sees more than the account's own user may."""

    def access(self, user: str, ids: Sequence[str]) -> Mapping[str, Access]:
        """Rights of ``user`` on these records; an id that is absent has none."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which occurrences of a series are items of their own: those that begin from so long ago to so far ahead."""

    back: timedelta = timedelta(days=7)
    ahead: timedelta = timedelta(days=90)

    def holds(self, start: datetime | date, now: datetime) -> bool:
        day = start if isinstance(start, datetime) else datetime.combine(start, time(), now.tzinfo)
        return now - self.back <= day <= now + self.ahead


@runtime_checkable
class Unfolding(Protocol):
    """A calendar whose series can be shown by their occurrences, to a CRM that cannot hold a series."""

    def unfolded(self, window: Window) -> Connector:
        """The same collection, with an item (``occurrence_of``) for each occurrence in the window instead of one for
        the series. Its ``changes`` bring what enters the window as time passes. What has left it is no longer told of,
        and when its day has left it is never ``Gone``, but ``Hidden``. A ``listing`` has the series themselves. Writes
        change, or take out, the one occurrence; the series itself is untouchable (``SERIES``). Where an event becomes a
        series, a series one event, or an occurrence is held on another day, the item is ``Gone``, with the one that it
        is from then on as ``survivor``."""


@runtime_checkable
class Whole(Protocol):
    """A calendar whose series can be items like any other, for a CRM that can hold them."""

    def whole(self) -> Connector:
        """The same collection, with the columns ``recurrence`` and ``exceptions``."""


@runtime_checkable
class Selecting(Protocol):
    """A server that can say which of some records meet a selection (a condition in its own query language)."""

    def selected(self, ids: Sequence[str], selection: Selection) -> frozenset[str]: ...


@runtime_checkable
class Dated(Protocol):
    """A server that says when an item was last changed only if it is asked for that. It is asked where a clock has to
    break a tie."""

    def dates(self, items: Sequence[Ref]) -> Mapping[str, datetime]:
        """Server time (UTC) of the last change, by id; absent: not told, or it has another version by now."""


@runtime_checkable
class Glancing(Protocol):
    """What an item says cannot change (``read_only_columns``), and is much; what can change is little."""

    def glance(self, ids: Sequence[str]) -> Iterator[Record | Gone | Hidden | Unreadable]:
        """As ``fetch``, without the columns that cannot change, and without attachments."""


@runtime_checkable
class Settling(Protocol):
    """The version of an item that has just been written is another one than that of the same item later on."""

    def settled(self, version: str) -> str:
        """As a listing gives it once the item is old news, had nothing else happened to it. Pure."""


@runtime_checkable
class Joining(Protocol):
    """A record that several people have a copy of names all of them."""

    def join(self, id: str, user: str) -> None:
        """``user`` has a copy, too. Repeating it changes nothing."""


@runtime_checkable
class Addressed(Protocol):
    """A calendar that knows its owner's addresses: an organiser who has another one is somebody else."""

    def addresses(self) -> frozenset[str]:
        """In lower case, as the server and the configuration say; empty: not known. Asked once."""


@runtime_checkable
class Relating(Protocol):
    """Records that relate to everyone whose address occurs in them, as far as these people are known there."""

    def relate(self, records: Sequence[Record]) -> None:
        """Also to those who have become known since. Repeating it changes nothing."""


@runtime_checkable
class Copying(Protocol):
    """A server for which a copy stands in while it is away. A record that the copy does not have is neither gone nor
    hidden: nothing can be said of it now."""

    @property
    def stands_in(self) -> bool:
        """The server is away, and the copy answers."""

    def here(self, ids: Sequence[str]) -> frozenset[str]:
        """Those of which it can answer."""

    def joined(self, key: str, id: str) -> None:
        """What was to be made under this key, and may stand in the copy, is that record of the server. Repeating it
        changes nothing."""


@runtime_checkable
class Acknowledging(Protocol):
    """A side that wants to hear that its changes have been processed."""

    def acknowledge(self, ids: Sequence[str]) -> None: ...


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


@runtime_checkable
class Watching(Protocol):
    """Sources whose server says at once that something may have changed: a nudge without data. For the login as a
    whole, so that one connection does for all of its collections."""

    def watch(self, collections: Sequence[Collection], stopped: Callable[[], bool]) -> Iterator[None]:
        """Yields at each nudge, and first of all: what happened before the watch began is not told. Ends soon after
        ``stopped`` is true, or when the connection ends. Raises ConnectorError."""


@runtime_checkable
class Homing(Protocol):
    """Sources whose collections have to be found first: what was found can be kept, and set before the first use."""

    home: str | None  # opaque; None: not known yet


@runtime_checkable
class Metered(Protocol):
    """Sources whose server limits how many requests it takes in a day."""

    @property
    def usage(self) -> float:
        """Share of the limit that is used up, 0 to 1, as last told."""


@runtime_checkable
class Directory(Protocol):
    """CRM sources: who is who."""

    def user_id(self, username: str) -> str:
        """Raises NotFound, with the sentence for the operator, when there is no active user of that name."""


@runtime_checkable
class Lacking(Protocol):
    """Sources whose configuration names fields, which the server may not have."""

    def lacking(self) -> Sequence[str]:
        """Configured fields (``Table.Field``) that are not there for this login. Reaches the server."""
