"""A login to an Exchange server, and one folder of a mailbox through it."""

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypedDict, Unpack
from zoneinfo import ZoneInfo

from crmsync.connectors.abilities import Window
from crmsync.connectors.contract import (
    Capabilities,
    Collection,
    Columns,
    Cursor,
    Gone,
    Hidden,
    Kind,
    Outcome,
    Page,
    Record,
    Ref,
    Selection,
    Side,
    Unreadable,
    Write,
)
from crmsync.connectors.ews import mapping
from crmsync.connectors.ews.auth import Login
from crmsync.connectors.ews.client import Exchange
from crmsync.connectors.ews.folders import Folders
from crmsync.connectors.ews.mail.connector import MailConnector
from crmsync.connectors.ews.mail.mailbox import Mailbox
from crmsync.connectors.ews.mapping import Zone
from crmsync.connectors.ews.notices import Notices
from crmsync.connectors.ews.reading import BATCH, Reader
from crmsync.connectors.ews.series.occurrences import Occurrences
from crmsync.connectors.ews.sessions import MAX_ANSWER, Options
from crmsync.connectors.ews.writing import Writer
from crmsync.connectors.mail import settings as mail

_REMEMBERED = 30_000  # characters: a string property of 64 KB is taken by every version


class Settings(TypedDict, total=False):
    name: str  # what the operator calls this login
    ca_file: str | None
    verify: bool
    now: Callable[[], datetime]
    clock: Callable[[], float]  # measures what the waiting for one answer comes to
    default_zone: ZoneInfo  # of dates that stand for moments
    timeout: float  # seconds without a byte from the server
    connections: int  # at the same time, at most
    max_answer: int  # bytes of one answer that is read
    mail: mail.Settings  # what the person wants of the mailbox


class EwsSource:
    """``mailbox``: whose it is to be, where it is not the login's own; by its rights as a delegate, or
    (``impersonate``) in the owner's name."""

    def __init__(
        self,
        url: str,
        login: Login,
        *,
        mailbox: str = "",
        impersonate: bool = False,
        **settings: Unpack[Settings],
    ) -> None:
        self.name = settings.get("name") or url
        zone = settings.get("default_zone")
        self._zone = Zone(zone or UTC, zone.key if zone else "UTC")
        options = Options(
            ca_file=settings.get("ca_file"),
            verify=settings.get("verify", True),
            timeout=settings.get("timeout", 60.0),
            connections=settings.get("connections", 4),
            max_answer=settings.get("max_answer", MAX_ANSWER),
            now=settings.get("now", lambda: datetime.now(UTC)),
            clock=settings.get("clock", time.monotonic),
        )
        self._exchange = Exchange(url, login, impersonate=mailbox if impersonate else "", options=options)
        self._owner = "" if impersonate else mailbox
        self._mail = settings.get("mail", mail.Settings())
        self._folders = Folders(self._exchange, self._owner)
        self._who = mailbox or getattr(login, "username", "") or getattr(login, "client_id", "") or "a token"

    @property
    def side(self) -> Side:
        return Side.ECS

    def identity(self) -> str:
        """Whose mailbox it is, once the server has let us in."""
        self._folders.knock()
        return self._who

    def collections(self) -> Sequence[Collection]:
        return self._folders.all()

    def open(self, collection: Collection) -> "EwsConnector | MailConnector":
        if Kind.EMAIL in collection.kinds:
            return MailConnector(Mailbox(self._exchange, self._owner, self._mail.seen_of(self._owner)))
        return EwsConnector(
            self._exchange, collection, self._zone, self._mail.attachment_limit, whose=self._who
        )

    def clock_offset(self) -> timedelta:
        return self._exchange.meter.clock_offset

    def requests(self) -> int:
        return self._exchange.meter.requests

    def watch(self, collections: Sequence[Collection], stopped: Callable[[], bool]) -> Iterator[None]:
        """By streaming notifications, over a connection of their own; one subscription for all folders."""
        folders = [c.id for c in collections if Kind.EMAIL not in c.kinds]
        if len(folders) < len(collections):
            folders += Mailbox(self._exchange, self._owner, self._mail.seen_of(self._owner)).telling()
        return Notices(self._exchange, folders, time.monotonic).watch(stopped)

    def close(self) -> None:
        self._exchange.close()


class EwsConnector:
    """Not shared between threads; the login is. The folder holds one kind: Exchange has no others."""

    def __init__(
        self,
        exchange: Exchange,
        collection: Collection,
        zone: Zone,
        largest_file: int = 0,
        *,
        whose: str = "",
    ) -> None:
        """``largest_file``: bytes of an attachment that may travel. ``whose``: name or address of who owns it."""
        (kind,) = collection.kinds
        self._exchange, self._zone, self._whose = exchange, zone, whose
        self._folder = collection.id
        self._reader = Reader(
            exchange, collection.id, kind, zone, owner=collection.owner, largest_file=largest_file
        )
        self._writer = Writer(exchange, collection.id, kind, zone, self._reader)
        self._capabilities = Capabilities(
            columns={kind: mapping.HOLDS[kind]},
            read_only_columns={k: names for k, names in mapping.READ_ONLY.items() if k is kind},
            writable=collection.writable,
            tags=True,
            stamps=True,
            remembers=_REMEMBERED,
            batch=BATCH,
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def changes(self, since: Cursor | None, selection: Selection) -> Iterator[Page]:
        self._reader.forget()
        return self._reader.changes(since, selection)

    def listing(self) -> Iterator[Ref]:
        self._reader.forget()
        return self._reader.listing()

    def fetch(self, ids: Sequence[str]) -> Iterator[Record | Gone | Hidden | Unreadable]:
        return self._reader.fetch(ids)

    def apply(self, writes: Sequence[Write]) -> Iterator[Outcome]:
        return self._writer.apply(writes)

    def project(self, kind: Kind, columns: Columns) -> Columns:
        return mapping.project(kind, columns)

    def addresses(self) -> frozenset[str]:
        """As configured: a server says nothing of them to whoever is not an administrator."""
        return frozenset({self._whose.lower()}) if "@" in self._whose else frozenset()

    def unfolded(self, window: Window) -> Occurrences:
        """Of a calendar."""
        return Occurrences(self, self._exchange, self._zone, window)

    def named(self, text: str) -> str | None:
        """By the key under which we made it; else by its id, in which case it is asked for."""
        if not text:
            return None
        if found := self._reader.with_keys([text]).get(text):
            return found
        return text if self._reader.versions([text])[text] is not None else None
