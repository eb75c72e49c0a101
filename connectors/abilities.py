"""What only some systems can do: beside ``Connector`` and ``Source``, each ability is a protocol of its own.

The engine asks with ``isinstance`` whether a connector, or a source, has it, and does without where it has not.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Protocol, runtime_checkable

from crmsync.connectors.contract import (
    Collection,
    Columns,
    Connector,
    Gone,
    Hidden,
    Kind,
    Record,
    Ref,
    Selection,
    Unreadable,
)

# ── Of a connector: one collection ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Probe:
    """What the engine knows of an item for which it seeks a partner; any one key may match."""

    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    columns: Columns = field(default_factory=dict)  # kinds without addresses: equal in all of these


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


@dataclass(frozen=True, slots=True)
class Access:
    read: bool
    edit: bool
    delete: bool


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
class Ordered(Protocol):
    """The versions of an item have an order. A server that shows an older one than it showed before was restored from a
    backup."""

    def precedes(self, version: str, other: str) -> bool:
        """Whether the item had ``version`` before it had ``other``. Pure; False where that cannot be told."""


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


# ── Of a source: one login ───────────────────────────────────────────────────────────────────────────────────


@runtime_checkable
class Watching(Protocol):
    """Sources whose server says at once that something may have changed: a nudge without data. For the login as a
    whole, so that one connection does for all of its collections."""

    def watch(self, collections: Sequence[Collection], stopped: Callable[[], bool]) -> Iterator[None]:
        """Yields at each nudge, and first of all: what happened before the watch began is not told. Ends soon after
        ``stopped`` is true, or when the connection ends. Raises ConnectorError."""


@runtime_checkable
class Represented(Protocol):
    """A login whose server can be away, with a copy in its place."""

    def unrepresented(self) -> Mapping[Kind, str]:
        """Kinds for which the copy does not do, each with the reason in words; none while the server is there."""


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
