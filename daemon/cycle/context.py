"""What one cycle carries along: the account, the state, the clock, and what it has counted so far."""

import json
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from crmsync.connectors.contract import (
    Collection,
    Columns,
    Connector,
    Kind,
    Record,
    Side,
    occurrence_of,
)
from crmsync.connectors.errors import ConnectorError, Throttled
from crmsync.daemon.account import Account, Crm, Mailbox
from crmsync.daemon.cycle.arrivals import Arrivals
from crmsync.daemon.cycle.commons import Commons
from crmsync.daemon.cycle.stamps import Signer
from crmsync.daemon.plan.grant import ALL, Grant
from crmsync.state.database import State
from crmsync.state.transaction import Tx

BATCH = 200  # rows of the sync table in work at a time: what bounds our memory
MAX_WAIT = timedelta(hours=1)
COUNTS = ("created", "updated", "deleted", "unlinked", "parked", "held", "conflicts")


def one_helper() -> Executor:
    """By whose hands a server is talked to while the cycle goes on: one thread."""
    return ThreadPoolExecutor(1, thread_name_prefix="helper")


@dataclass(frozen=True, slots=True)
class Retries:
    """How often an item is tried again before it is parked, and how long we wait in between."""

    budget: int = 8
    first: timedelta = timedelta(seconds=30)

    def wait(self, attempts: int, asked: float | None, jitter: float) -> timedelta:
        """``attempts`` so far, ``asked`` seconds by the server, ``jitter`` in 0..1."""
        doubled: timedelta = self.first * (1 << min(attempts, 7))
        return min(max(doubled * (0.75 + jitter / 2), timedelta(seconds=asked or 0)), MAX_WAIT)


class RecordCache:
    """Records that a change listing brought along, so that they are not fetched again; bounded, oldest out first."""

    def __init__(self, size: int = 4000) -> None:
        self._records: OrderedDict[tuple[str, str], Record] = OrderedDict()
        self._size = size

    def put(self, scope: str, records: Iterable[Record]) -> None:
        for record in records:
            self._records[scope, record.id] = record
            self._records.move_to_end((scope, record.id))
        while len(self._records) > self._size:
            self._records.popitem(last=False)

    def drop(self, scope: str, id: str) -> None:
        """It is written to: what it was before says nothing any more."""
        self._records.pop((scope, id), None)

    def look(self, scope: str, id: str, version: str) -> Record | None:
        """In the version that was asked for; it stays in the cache."""
        record = self._records.get((scope, id))
        return record if record is not None and record.version == version else None

    def take(self, scope: str, id: str, version: str) -> Record | None:
        """Only once, and only in the version that was asked for: a cache must not serve what has been written since."""
        record = self._records.pop((scope, id), None)
        return record if record is not None and record.version == version else None


@dataclass(slots=True)
class Place:
    """One collection of either side, open."""

    key: str
    collection: Collection
    connector: Connector
    login: Crm | Mailbox

    def clock_offset(self) -> timedelta:
        return self.login.source.clock_offset()

    @property
    def label(self) -> str:
        return self.collection.name


@dataclass(slots=True)
class Context:
    account: Account
    state: State
    signer: Signer
    now: Callable[[], datetime]
    jitter: Callable[[], float]
    records: RecordCache
    retries: Retries = field(default_factory=Retries)
    batch: int = BATCH
    helper: Callable[[], Executor] = one_helper
    bound: Sequence[Account] = ()  # all accounts of this CRM login
    commons: Commons = field(default_factory=Commons)  # of all accounts of this engine
    dry: bool = False
    grant: Grant = ALL  # what may be exchanged in this cycle
    user: str = ""  # id of the account's CRM user
    places: dict[str, Place] = field(default_factory=dict)  # by key
    # ECS collections that should be there, by key
    chosen: dict[str, frozenset[Kind]] = field(default_factory=dict)
    doubted: set[str] = field(default_factory=set)  # of these, whose listing left out what is there
    heard: set[str] = field(default_factory=set)  # ECS collections of which this cycle has heard every change
    objects: dict[str, Place] = field(default_factory=dict)  # CRM collections by id
    # kinds that wait for the CRM itself, for which a copy stands in, and why
    absent: dict[Kind, str] = field(default_factory=dict)
    # CRM collections of which this cycle has heard every change
    polled: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    errors: list[dict[str, Any]] = field(default_factory=list)
    plan: list[dict[str, Any]] = field(default_factory=list)
    # CRM changes that are dealt with, by collection
    processed: dict[str, list[str]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)  # what the operator has to know; nothing failed
    doubt: datetime | None = None  # since when our state is known to be older than what we have written
    arrivals: Arrivals = field(default_factory=Arrivals)
    writes: int = 0
    touched: set[str] = field(default_factory=set)  # keys of the collections that were written to
    paused: bool = False  # a server asked for a pause in this cycle
    again: bool = False  # something is left that the next cycle can do at once
    progress: Callable[[str, int], None] = lambda what, count: None
    begins: Callable[[], object] = lambda: None  # what has to be done before anything is recorded,
    begun: Callable[[], object] = lambda: None  # and when it is on record that something will be
    _cycle: int = 0

    @property
    def cycle(self) -> int:
        """Its number, given out when it first has something to record: an idle cycle leaves no row behind."""
        if not self._cycle:
            self.begins()
            with self.state.transaction() as tx:
                self._cycle = tx.cycles.start(self.account.name, self.now())
            self.begun()
        return self._cycle

    @property
    def recorded(self) -> bool:
        return self._cycle != 0

    @property
    def crm(self) -> str:
        return self.account.crm.name

    @property
    def organisation(self) -> str:
        return self.account.crm.organisation

    def place(self, side: Side, key: str) -> Place | None:
        return (self.places if side is Side.ECS else self.objects).get(key)

    def kinds(self) -> frozenset[Kind]:
        """What this account can hold on its ECS side."""
        return frozenset(k for p in self.places.values() for k in p.collection.kinds)

    def receives(self, kind: Kind) -> bool:
        """Whether items of this kind can be made on the ECS side for what the CRM holds."""
        return any(
            kind in p.collection.kinds and p.connector.capabilities.receives for p in self.places.values()
        )

    def blind(self) -> frozenset[Kind]:
        """Kinds of which a part of the ECS side cannot be seen just now: what is missing there may be anywhere."""
        unseen = [
            kinds for key, kinds in self.chosen.items() if key not in self.places or key in self.doubted
        ]
        for mailbox in self.account.mailboxes:
            if not mailbox.answered:
                unseen += [c.kinds for c in mailbox.collections] or [frozenset(Kind)]
        return frozenset(k for kinds in unseen for k in kinds)

    def scope(self, place: Place) -> str:
        """Under this name the cursor of an ECS collection is kept."""
        return f"ecs/{self.account.name}/{place.key}"

    def list_anew(self, tx: Tx, scope: str) -> None:
        """The whole collection is listed next. What it was last looked at for (tag, rules) stays known: if that has
        changed by then, what is known is looked at anew as well."""
        stored = json.loads(tx.cursors.get(scope) or "{}")
        if stored.pop("cursor", None) is not None:
            tx.cursors.put(scope, json.dumps(stored))

    def object_for(self, kind: Kind) -> Place | None:
        return next((p for p in self.objects.values() if kind in p.collection.kinds), None)

    def count(self, what: str, number: int = 1) -> None:
        self.counts[what] += number

    def fail(self, item: str, code: str, message: str, *, retry: bool) -> None:
        """One line for the operator; each is said once a cycle."""
        line = {
            "account": self.account.name,
            "item": item,
            "code": code,
            "message": message,
            "retry": retry,
        }
        if line not in self.errors:
            self.errors.append(line)

    def broke(self, what: str, error: ConnectorError, login: Crm | Mailbox | None = None) -> None:
        """A conversation failed. A pause that the server asked for is kept by every account that shares the login."""
        self.fail("", error.code, f"{what}: {error}", retry=error.retry)
        if isinstance(login, Mailbox):
            login.discovered_at = None  # a collection may have gone
        if login is not None and isinstance(error, Throttled):
            login.throttled += 1
        if login is not None and error.retry_after:
            login.resume_at = self.now() + min(timedelta(seconds=error.retry_after), MAX_WAIT)
            self.paused = True

    def intend(self, item: str, record: str, side: Side, action: str, columns: Columns, reason: str) -> None:
        """A line of the dry run's plan."""
        self.plan.append(
            {
                "account": self.account.name,
                "item": item,
                "record": record,
                "side": side.value,
                "action": action,
                "columns": sorted(columns),
                "reason": reason,
            }
        )


def bears_stamps(place: Place, item: str) -> bool:
    """Whether a link stamp can stand on the item. An occurrence has no text of its own: it is known by its UID."""
    return place.connector.capabilities.stamps and occurrence_of(item) is None


def in_batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch


def exchanged(rules: Mapping[str, Any], columns: Columns, target: Side) -> Columns:
    """The columns that may go to ``target`` at all."""
    return {n: v for n, v in columns.items() if n in rules and rules[n].direction.allows(target)}
