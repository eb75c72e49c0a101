"""What a story needs of a house, whatever its servers are: people's hands on every server, and a service between them
that can be configured anew, die and start again."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from crmsync.connectors.contract import Collection, Columns, Kind, Outcome, Source, Value
from crmsync.connectors.errors import ConnectorError
from crmsync.connectors.memory.native import Item
from crmsync.connectors.memory.traits import Traits
from crmsync.daemon.account import Account, Crm, Mailbox
from crmsync.daemon.cycle.context import Retries
from crmsync.daemon.cycle.stamps import Signer
from crmsync.daemon.engine import Engine
from crmsync.daemon.plan.grant import ALL, Grant
from crmsync.daemon.plan.guard import Limit
from crmsync.daemon.plan.normalise import same
from crmsync.state.model import Pair
from tests.daemon.cycle.world import RULES, Clock
from tests.daemon.machine.late import Late
from tests.daemon.machine.trouble import Fate, MortalState

NO_LIMIT = dict.fromkeys(
    (Kind.CONTACT, Kind.APPOINTMENT, Kind.TASK), Limit(10_000, 1000)
)  # the guard has tests of its own
PEOPLE = ("alice", "bob")
SHARED = "shared"  # the server of the address book that both see


class Mischief(Protocol):
    """What shall go wrong with one server; see ``connectors.memory.faults`` for the operations."""

    empty_listings: int

    def fail(
        self,
        operation: str,
        error: ConnectorError,
        *,
        after: bool = False,
        detail: str = "",
        skip: int = 0,
        times: int = 1,
    ) -> None: ...

    def answer_next(self, make: Any, *, skip: int = 0) -> None:
        """``make``: from the item to an ``Outcome``."""

    def planted(self, item: str) -> Outcome | None: ...

    def clear(self) -> None: ...


class Site(Protocol):
    """One server, as people and bad luck have it in their hands. Ids are unique over the whole server."""

    traits: Traits
    faults: Any  # a Mischief

    def put(self, collection: str, columns: Columns, *, tags: Iterable[str] = (), owner: str = "") -> str: ...

    def edit(self, item: str, columns: Columns) -> None: ...
    def touch(self, item: str) -> None: ...
    def delete(self, item: str) -> None: ...
    def tag(self, item: str, *tags: str) -> None: ...
    def untag(self, item: str, *tags: str) -> None: ...
    def copy(self, item: str) -> str: ...
    def move(self, item: str, collection: str) -> str: ...
    def assign(self, item: str, owner: str) -> None: ...
    def expire_cursors(self) -> None: ...
    def read(self, item: str) -> Item: ...
    def all(self) -> Sequence[Item]: ...
    def collections(self) -> Sequence[Collection]: ...


class Premises(ABC):
    """Alice has two address books, Bob has one; a third server has a book that both see. They share a CRM login."""

    clock: Clock
    fate: Fate
    state: MortalState
    engine: Engine
    boxes: Mapping[str, Any]  # the ECS servers: a Site each
    seen: Mapping[str, Sequence[str]]  # by account, the ECS servers that it has a login to
    crm: Any  # a Site
    people: str  # the CRM's collection of contacts
    book: str  # Alice's first collection
    owner: str = ""  # the account of the person whose the shared book is; empty: nobody's
    second: str  # Alice's other one
    alice: str  # id of her CRM user
    bob: str
    stranger: str = "somebody-else"  # id of a user without an account
    folder: Path
    rules: dict[Kind, Any]
    kind: Kind = Kind.CONTACT  # of all items
    named: str = "first_name"  # the column by which an item is known on every side: nobody edits it
    by_itself: Grant = ALL  # what the service exchanges without anybody's word
    batch: int = 2  # stories are short

    def prepare(self, folder: Path, people: Sequence[str], options: Mapping[str, Any]) -> None:
        """Before ``start``. ``options``: of every account."""
        self.folder = folder
        self.rules = {kind: dict(some) for kind, some in RULES.items()}
        self.seen = {name: (name, SHARED) if SHARED in self.boxes else (name,) for name in people}
        self.settings: dict[str, dict[str, Any]] = {
            name: {"limits": NO_LIMIT, "tag": "CRM", **options} for name in people
        }
        self.only: dict[tuple[str, str], tuple[str, ...]] = {}  # account, server -> names of its collections

    @abstractmethod
    def crm_source(self) -> Source: ...

    @abstractmethod
    def mailboxes(self, account: str, server: str) -> Sequence[Mailbox]:
        """The account's logins to the server, without what it leaves out."""

    def start(self) -> None:
        self.state = MortalState.of(
            self.fate, f"sqlite:///{self.folder / 'state.db'}?synchronous=off", self.clock
        )
        self.begin()

    def begin(self) -> None:
        """A service that knows nothing but what stands in the state."""
        self.login = Crm("main", self.crm_source(), self.rules)
        self.engine = Engine(
            state=self.state,
            signer=Signer(b"k" * 32),
            accounts={name: self._account(name) for name in self.seen},
            retries=Retries(budget=3),
            batch=self.batch,
            helper=Late,
            by_itself=self.by_itself,
            now=self.clock,
            jitter=lambda: 0.5,
        )

    def settle(self) -> Mapping[str, Any]:
        """Everything that is to be exchanged is, now. What the engine says of it."""
        # and not only a sync: a server without tombstones tells of no delete
        return self.engine.reconcile()

    def _account(self, name: str) -> Account:
        boxes = [b for server in self.seen[name] for b in self.mailboxes(name, server)]
        return Account(name, self.login, f"{name}@example.com", boxes, **self.settings[name])

    def restart(self) -> None:
        """However the last service ended."""
        self.fate.clear()
        self.close()
        self.start()

    def close(self) -> None:
        self.engine.close()

    # ── Who is who ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def servers(self) -> Mapping[str, Any]:
        return {**self.boxes, "crm": self.crm}

    @property
    def owners(self) -> Mapping[str, str]:
        """Accounts by the id of their CRM user."""
        return {self.alice: "alice", self.bob: "bob"}

    def person_of(self, account: str) -> str:
        """Whose account it is: a part of one is not named to anybody."""
        return self.engine.accounts[account].part_of or account

    @property
    def quiet(self) -> bool:
        """Nothing is about to go wrong with any server, and none has asked for a pause."""
        logins: list[Any] = [self.login, *(box for a in self.engine.accounts.values() for box in a.mailboxes)]
        resting = any(one.resume_at is not None and self.clock() < one.resume_at for one in logins)
        return not resting and not any(server.faults.pending for server in self.servers.values())

    def items(self, server: str) -> list[Item]:
        return list(self.servers[server].all())

    def home_of(self, pair: Pair) -> str:
        """The server that the pair's ECS item stands on."""
        return self.server_of(pair.ecs_collection)

    def server_of(self, key: str) -> str:
        """Of an ECS collection, by its key in the state."""
        _, _, collection = key.partition(":")
        return next(n for n, s in self.boxes.items() if any(c.id == collection for c in s.collections()))

    def shows(self, server: str, column: str, value: Value, shown: Value) -> bool:
        """The server, when it was given the value, shows this."""
        kept = self.servers[server].traits.keep(self.kind, {column: value}).get(column)
        return same(value, shown) or same(kept, shown)

    def left_out(self, account: str, server: str, collection: str) -> bool:
        """The account's configuration leaves this collection out."""
        only = self.only.get((account, server), ())
        names = {c.id: c.name for c in self.boxes[server].collections()}
        return bool(only) and names[collection] not in only

    def idle_requests(self) -> int:
        """What a sync costs when nothing has happened: for each account one look at each login for its collections,
        and one question to each collection and CRM object."""
        cost = 0
        for name, servers in self.seen.items():
            cost += self.crm_idle_requests
            for server in servers:
                known = self.boxes[server].collections()
                cost += 1 + sum(not self.left_out(name, server, c.id) for c in known)
        return cost

    crm_idle_requests = 2  # for each account: its list of objects, and what has changed
