"""A server in memory: the state that several logins and several persons share.

    server = MemoryServer(now, groupware())
    book = server.add("Contacts", Kind.CONTACT)
    ada = server.put(book.id, {"first_name": "Ada"}, tags={"CRM"})
    connector = MemorySource(server, Side.ECS).open(book)

Its first half is for tests: what a person, an administrator and bad luck do. Its second half is what a connector
calls. Ids are unique over the whole server. Safe to use from several threads.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from crmsync.connectors.abilities import Access
from crmsync.connectors.columns import COLUMNS
from crmsync.connectors.contract import Collection, Columns, Kind, Value
from crmsync.connectors.errors import NotFound
from crmsync.connectors.memory.faults import Faults
from crmsync.connectors.memory.native import Grave, Item
from crmsync.connectors.memory.traits import Traits

ALL_RIGHTS = Access(read=True, edit=True, delete=True)


@dataclass(frozen=True, slots=True)
class Backup:
    """Of everything that people and logins change; collections, users and rights are the administrator's."""

    items: Mapping[str, Item]
    order: Mapping[str, Mapping[str, Item | Grave]]
    links: Mapping[tuple[str, str], str]
    serial: int
    epoch: int


class MemoryServer:
    def __init__(
        self,
        now: Callable[[], datetime],
        traits: Traits | None = None,
        *,
        name: str = "memory",
        domain: str = "",
        offset: timedelta = timedelta(0),
        faults: Faults | None = None,
    ) -> None:
        """``now``: our clock, aware and in UTC; ``offset``: how far the server's clock is ahead of it; ``name``: the
        organisation, where the server is a CRM; ``domain``: where its UIDs come from, beside other servers: a UID is
        one item's everywhere (RFC 6350 section 6.7.6, RFC 5545 section 3.8.4.7)."""
        self.traits = traits or Traits()
        self.name = name
        self.domain = domain
        self.offset = offset
        self.faults = faults or Faults()
        self.acknowledged: list[str] = []
        self._now = now
        self._lock = threading.RLock()
        self._collections: dict[str, Collection] = {}
        self._items: dict[str, Item] = {}
        # Per collection, ids in the order of their last change: a change is popped and put back at the end.
        self._order: dict[str, dict[str, Item | Grave]] = {}
        self._links: dict[tuple[str, str], str] = {}  # id of the item, by collection and external id
        self._serial = 0
        self._epoch = 1  # cursors of another epoch are refused
        self._users: dict[str, str] = {}
        self._rights: dict[tuple[str, str], Access] = {}
        self._denied: set[str] = set()

    # ── What an administrator does ───────────────────────────────────────────────────────────────────────────

    def add(
        self, name: str, *kinds: Kind, writable: bool = True, owner: str = "", id: str = ""
    ) -> Collection:
        collection = Collection(id or name.lower(), name, frozenset(kinds), writable, owner)
        self._collections[collection.id] = collection
        self._order[collection.id] = {}
        return collection

    def protect(self, collection: str, *, writable: bool = False) -> None:
        """From now on our login may only read the collection; or write it again."""
        self._collections[collection] = replace(self._collections[collection], writable=writable)

    def add_user(self, username: str) -> str:
        self._users[username] = f"user-{len(self._users) + 1}"
        return self._users[username]

    def restrict(
        self, user: str, item: str, *, read: bool = True, edit: bool = False, delete: bool = False
    ) -> None:
        """From now on ``user`` has these rights on the item, instead of all."""
        self._rights[user, item] = Access(read, edit, delete)

    def deny(self, item: str) -> None:
        """Writes to the item are refused from now on."""
        self._denied.add(item)

    def hide(self, item: str) -> None:
        """It is there, but no login sees it any more. Like a real loss of rights, that is not a change of the item."""
        self._unnoticed(item, hidden=True)

    def reveal(self, item: str) -> None:
        self._unnoticed(item, hidden=False)

    def backup(self) -> "Backup":
        """What it holds now."""
        with self._lock:
            order = {collection: dict(entries) for collection, entries in self._order.items()}
            return Backup(dict(self._items), order, dict(self._links), self._serial, self._epoch)

    def restore(self, backup: "Backup") -> None:
        """As if nothing had happened since. The cursors handed out meanwhile are not refused: the server does not know
        that it ever gave them."""
        with self._lock:
            self._items = dict(backup.items)
            self._order = {collection: dict(entries) for collection, entries in backup.order.items()}
            self._links = dict(backup.links)
            self._serial, self._epoch = backup.serial, backup.epoch

    def expire_cursors(self) -> None:
        """Every cursor handed out so far is refused from now on."""
        self._epoch += 1

    # ── What a person does, by other means than ours ─────────────────────────────────────────────────────────

    def put(
        self,
        collection: str,
        columns: Columns,
        *,
        kind: Kind | None = None,
        tags: Iterable[str] = (),
        rest: Mapping[str, str] | None = None,
        owner: str = "",
        uid: str = "",
        private: bool = False,
        untouchable: str = "",
        series: str = "",
    ) -> str:
        """A new item; its id. ``kind`` may be left out where the collection has only one."""
        with self._lock:
            kind = kind or self._only_kind(collection)
            self._check(kind, columns)
            name = uid or self._fresh_uid("person")
            item = self.insert(
                collection,
                f"{collection}/{name}",
                kind=kind,
                uid=name,
                columns=columns,
                tags=frozenset(tags),
                rest=rest or {},
                owner=owner,
                private=private,
                untouchable=untouchable,
                series=series,
            )
            return item.id

    def edit(self, item: str, columns: Columns | None = None, **more: Value) -> None:
        """Change these columns. An edit also mends what ``spoil`` broke."""
        with self._lock:
            changed = {**(columns or {}), **more}
            self._check(self._items[item].kind, changed)
            self.change(item, columns=changed, broken="")

    def touch(self, item: str) -> None:
        """A new version of the same: what opening an item in some programs does."""
        self.change(item)

    def delete(self, item: str) -> None:
        self.remove(item)

    def tag(self, item: str, *tags: str) -> None:
        self.change(item, tags=self.read(item).tags | set(tags))

    def untag(self, item: str, *tags: str) -> None:
        self.change(item, tags=self.read(item).tags - set(tags))

    def mark(self, item: str, *, private: bool = False, untouchable: str = "") -> None:
        self.change(item, private=private, untouchable=untouchable)

    def spoil(self, item: str, reason: str) -> None:
        """What is stored breaks a rule of its format from now on."""
        self.change(item, broken=reason)

    def assign(self, item: str, owner: str) -> None:
        self.change(item, owner=owner)

    def copy(self, item: str) -> str:
        """A copy as programs make it: a UID of its own, everything else included, the link stamp too."""
        with self._lock:
            original = self._items[item]
            name = self._fresh_uid("copy")
            return self._store(
                replace(original, id=f"{original.collection}/{name}", uid=name, serial=self._next())
            ).id

    def move(self, item: str, collection: str) -> str:
        """Into another collection: gone in the one, new in the other, with the same UID."""
        with self._lock:
            original = self._items[item]
            self.remove(item)
            moved = f"{collection}/{original.uid}"
            return self._store(replace(original, id=moved, collection=collection, serial=self._next())).id

    def merge(self, loser: str, survivor: str) -> None:
        """Two records become one: the loser is deleted, and the server remembers which one took its place."""
        with self._lock:
            self.remove(loser, survivor=survivor)
            self.change(survivor)

    def read(self, item: str) -> Item:
        """Raises KeyError when it is not there."""
        return self._items[item]

    def all(self, collection: str = "") -> Sequence[Item]:
        """Every item that is there, oldest change first."""
        with self._lock:
            found = [i for i in self._items.values() if collection in ("", i.collection)]
        return sorted(found, key=lambda i: i.serial)

    # ── What a connector calls ───────────────────────────────────────────────────────────────────────────────

    def time(self) -> datetime:
        """The server's own clock."""
        return self._now() + self.offset

    def collections(self) -> Sequence[Collection]:
        return tuple(self._collections.values())

    def position(self, collection: str) -> tuple[int, int]:
        """Epoch, and serial of the last change in the collection: what a cursor is made of."""
        with self._lock:
            last = next(reversed(self._order[collection].values()), None)
            return self._epoch, last.serial if last else 0

    def since(self, collection: str, serial: int) -> list[Item | Grave]:
        """What changed after ``serial``, in the order of the changes, each item once. Hidden items are left out."""
        found: list[Item | Grave] = []
        with self._lock:
            for entry in reversed(self._order[collection].values()):
                if entry.serial <= serial:
                    break
                if isinstance(entry, Grave) or not entry.hidden:
                    found.append(entry)
        found.reverse()
        return found

    def look_up(self, collection: str, item: str) -> Item | Grave | None:
        with self._lock:
            return self._order[collection].get(item)

    def linked(self, collection: str, link: str) -> Item | None:
        """The item with this external id."""
        with self._lock:
            found = self._items.get(self._links.get((collection, link), ""))
            return found if found and found.link == link else None

    def fresh_id(self, collection: str) -> str:
        with self._lock:
            return f"{collection}/{self._next():06}"

    def insert(self, collection: str, item: str, *, kind: Kind, **content: Any) -> Item:
        """``content``: fields of ``Item``. One that stands under the id is returned as it is."""
        with self._lock:
            if item in self._items:
                return self._items[item]
            empty = dict.fromkeys(self.traits.columns.get(kind, frozenset()))
            columns = {**empty, **self.traits.keep(kind, content.pop("columns"))}
            at = self.time()
            new = Item(
                id=item,
                collection=collection,
                kind=kind,
                columns=self._computed(kind, columns),
                created=at,
                modified=at,
                serial=self._next(),
                **content,
            )
            return self._store(new)

    def change(
        self, item: str, expected: str | None = None, columns: Columns | None = None, **fields: Any
    ) -> Item | None:
        """One atomic step; None, and nothing done, when the item is gone or has another version than ``expected``
        (None: whatever version it has)."""
        with self._lock:
            old = self._items.get(item)
            if old is None or expected not in (None, old.version):
                return None
            kept = {**old.columns, **self.traits.keep(old.kind, columns or {})}
            changed = self._computed(old.kind, kept)
            return self._store(
                replace(old, columns=changed, modified=self.time(), serial=self._next(), **fields)
            )

    def remove(self, item: str, expected: str | None = None, *, survivor: str = "") -> bool:
        """False, and nothing done, when the item has another version. One that is gone already is removed."""
        with self._lock:
            old = self._items.get(item)
            if old is None:
                return True
            if expected not in (None, old.version):
                return False
            del self._items[item]
            self._order[old.collection].pop(item)
            self._order[old.collection][item] = Grave(item, self._next(), survivor, old.owner)
            return True

    def refuses(self, item: str) -> bool:
        return item in self._denied

    def rights(self, user: str, item: str) -> Access:
        return self._rights.get((user, item), ALL_RIGHTS)

    def user_id(self, username: str) -> str:
        if username not in self._users:
            raise NotFound(
                f"there is no active user {username} in {self.name}", hint="is crm_user spelled right?"
            )
        return self._users[username]

    # ── How it is kept ───────────────────────────────────────────────────────────────────────────────────────

    def _store(self, item: Item) -> Item:
        self._items[item.id] = item
        order = self._order[item.collection]
        order.pop(item.id, None)
        order[item.id] = item
        if item.link:
            self._links[item.collection, item.link] = item.id
        return item

    def _unnoticed(self, item: str, **fields: Any) -> None:
        """A change that leaves version and order alone."""
        with self._lock:
            changed = replace(self._items[item], **fields)
            self._items[item] = self._order[changed.collection][item] = changed

    def _next(self) -> int:
        self._serial += 1
        return self._serial

    def _computed(self, kind: Kind, columns: dict[str, Value]) -> Columns:
        return {**columns, **{n: f(columns) for n, f in self.traits.computed.get(kind, {}).items()}}

    def _fresh_uid(self, word: str) -> str:
        name = f"{word}-{self._serial + 1}"
        return f"{name}@{self.domain}" if self.domain else name

    def _only_kind(self, collection: str) -> Kind:
        (kind,) = self._collections[collection].kinds
        return kind

    def _check(self, kind: Kind, columns: Columns) -> None:
        """A person sees no field for what the server cannot hold: a test that fills one is mistaken."""
        held = self.traits.columns.get(kind, frozenset()) - self.traits.computed.get(kind, {}).keys()
        if strangers := columns.keys() - held:
            known = "no column" if strangers - COLUMNS[kind].keys() else "not held here"
            raise ValueError(f"{kind} on {self.name}: {', '.join(sorted(strangers))}: {known}")
