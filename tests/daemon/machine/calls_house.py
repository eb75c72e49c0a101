"""A house in which Alice has a call log and two task lists, and the CRM her activities.

A call has two partners: its record in the CRM, and the task that this record has become in a list of hers. Only the log
brings calls into the CRM, and it takes nothing from there but what concerns its own calls.

Where other houses have Bob's address book, this one has the log, and his account is ``alice.calls``: all that a story
does to him is done to it.
"""

import sqlite3
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from crmsync.connectors.calllog import mapping
from crmsync.connectors.calllog.connector import CALLS, CallLogSource
from crmsync.connectors.calllog.store import CallStore, Row
from crmsync.connectors.contract import Collection, Columns, Kind, Side
from crmsync.connectors.memory.connector import MemorySource
from crmsync.connectors.memory.native import Item
from crmsync.connectors.memory.server import MemoryServer
from crmsync.connectors.memory.traits import Traits, crm, groupware
from crmsync.daemon.account import Account, Mailbox
from tests.daemon.cycle.world import Clock
from tests.daemon.machine.house import House, empty_state
from tests.daemon.machine.ledger import Ledger
from tests.daemon.machine.premises import PEOPLE, SHARED, Premises
from tests.daemon.machine.trouble import Fate, Point, Wires

LOG, LOG_ACCOUNT = "bob", "alice.calls"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
_LINKED = {"crm_select": "linked", "select_all": False, "default_collection": {}}


class WiredStore(CallStore):
    """The store as the service uses it: each of its writes is a point at which something can go wrong."""

    def __init__(self, file: Path, wires: Wires) -> None:
        super().__init__(file)
        self._wires = wires

    def put(
        self, account: str, id: str, content: Mapping[str, Any], at: datetime, *, expected: int | None = None
    ) -> Row | None:
        what = "update" if expected else "create"
        return self._wired(
            what, id, lambda: super(WiredStore, self).put(account, id, content, at, expected=expected)
        )

    def remove(self, account: str, id: str, at: datetime, *, expected: int | None = None) -> Row | None:
        return self._wired(
            "delete", id, lambda: super(WiredStore, self).remove(account, id, at, expected=expected)
        )

    def since(self, account: str, serial: int, limit: int) -> list[Row]:
        self._wires.before("changes", CALLS.id)
        return super().since(account, serial, limit)

    def _wired(self, what: str, id: str, do: Callable[[], Row | None]) -> Row | None:
        self._wires.before(what, id)
        row = do()
        self._wires.after(what, id)
        return row


class LogSite:
    """The log, as a person has it in the softphone."""

    def __init__(self, file: Path, faults: Wires, now: Callable[[], datetime]) -> None:
        self.traits = Traits(columns={Kind.TASK: mapping.HELD}, tags=True, stamps=True)
        self.faults = faults
        self.file, self._now = file, now
        self._store = CallStore(file)
        self._serial = 0

    def put(self, collection: str, columns: Columns, *, tags: Iterable[str] = (), owner: str = "") -> str:
        self._serial += 1
        name = f"call-{self._serial}"
        self._keep(name, mapping.content(columns, tags=frozenset(tags), stamp=None, uid=name, rest={}))
        return name

    def edit(self, item: str, columns: Columns) -> None:
        content = self._content(item)
        wanted = {**mapping.columns_in(content), **columns}
        fresh = mapping.content(wanted, tags=frozenset(), stamp=None, uid="", rest={})
        self._keep(item, {**content, "columns": fresh["columns"]})

    def touch(self, item: str) -> None:
        self._keep(item, self._content(item))

    def delete(self, item: str) -> None:
        self._store.remove("alice", item, self._now())

    def tag(self, item: str, *tags: str) -> None:
        content = self._content(item)
        self._keep(item, {**content, "tags": sorted({*content["tags"], *tags})})

    def untag(self, item: str, *tags: str) -> None:
        content = self._content(item)
        self._keep(item, {**content, "tags": sorted({*content["tags"]} - {*tags})})

    def hide(self, item: str) -> None:
        """There is only one who looks."""

    reveal = hide

    def expire_cursors(self) -> None:
        with closing(sqlite3.connect(self.file)) as db, db:
            db.execute("UPDATE meta SET value = value || 'x' WHERE name = 'epoch'")

    def read(self, item: str) -> Item:
        return next(i for i in self.all() if i.id == item)

    def all(self) -> Sequence[Item]:
        return [_item(row) for row in self._store.since("alice", 0, 10_000) if not row.gone]

    def collections(self) -> Sequence[Collection]:
        return [CALLS]

    def close(self) -> None:
        self._store.close()

    def _keep(self, item: str, content: Mapping[str, Any]) -> None:
        self._store.put("alice", item, content, self._now())

    def _content(self, item: str) -> Mapping[str, Any]:
        return self._store.get("alice", [item])[item].content


def _item(row: Row) -> Item:
    return Item(
        id=row.id,
        collection=CALLS.id,
        kind=Kind.TASK,
        uid=row.content["uid"],
        columns=mapping.columns_in(row.content),
        tags=frozenset(row.content["tags"]),
        created=LONG_AGO,
        modified=row.modified,
        serial=row.serial,
    )


class CallsHouse(House):
    kind = Kind.TASK
    named = "subject"

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.fate = Fate()
        self.ecs, other = (
            MemoryServer(now=self.clock, traits=groupware(), domain=name) for name in ("alice", SHARED)
        )
        self.book, self.second = (self.ecs.add(name, Kind.TASK).id for name in ("Contacts", "Private"))
        other.add("Shared", Kind.TASK)
        self.log = LogSite(folder / "calls.db", Wires(LOG, self.fate), self.clock)
        self.boxes = {"alice": self.ecs, LOG: self.log, SHARED: other}
        self.crm = MemoryServer(now=self.clock, traits=crm())
        self.people = self.crm.add("Task", Kind.TASK).id
        self.alice, self.bob = (self.crm.add_user(f"{name}@example.com") for name in PEOPLE)
        for name, server in self.servers.items():
            if name != LOG:
                server.faults = Wires(name, self.fate)
        self.prepare(folder, ["alice"], {})
        self.seen = {"alice": ("alice", SHARED), LOG_ACCOUNT: (LOG,)}
        hers = self.settings["alice"]
        self.settings |= {LOG: hers, LOG_ACCOUNT: ChainMap(dict(_LINKED), hers)}  # type: ignore[dict-item]
        (folder / "state.db").write_bytes(empty_state())
        self.start()

    def mailboxes(self, account: str, server: str) -> Sequence[Mailbox]:
        if server != LOG:
            return super().mailboxes(account, server)
        store = WiredStore(self.log.file, self.log.faults)
        source = CallLogSource(store, "alice", self.clock)
        return [Mailbox("calllog", source, str(self.log.file), kinds=frozenset({Kind.TASK}))]

    def crm_source(self) -> MemorySource:
        return MemorySource(self.crm, Side.CRM)

    def _account(self, name: str) -> Account:
        made = Premises._account(self, name)
        return replace(made, crm_user="alice@example.com", part_of="alice") if name == LOG_ACCOUNT else made

    @property
    def owners(self) -> Mapping[str, str]:
        return {self.alice: "alice"}

    def close(self) -> None:
        super().close()
        self.log.close()


class CallsLedger(Ledger):
    """A call is deleted on one of three sides, and goes on the two others."""

    _going: Mapping[str, Item] = MappingProxyType({})  # records, just before one of them is deleted

    def _rightly_deleted(self, server: str, item: Item) -> bool:
        name = self._name(item)
        unknowable = self.lied_to and name in self.moved
        return unknowable or any(
            (other, name) in self.deaths for other in self.house.servers if other != server
        )

    def _partners(self, name: str) -> int:
        return 2 if self.made[LOG, name] else 1

    def _saw(self, point: Point) -> None:
        """Whoever deletes the task in a list deletes its record; with it goes what the log has told the CRM, and the
        CRM tells no list."""
        super()._saw(point)
        if (point.where, point.what) != ("crm", "delete"):
            return
        if not point.after:
            self._going = {i.id: i for i in self.house.items("crm")}
        elif record := self._going.get(point.detail):
            self._went_untold(record)

    def _went_untold(self, record: Item) -> None:
        for edit in self.edits:
            untold = self.travels(LOG, edit.column) and not self.travels("crm", edit.column)
            if edit.over or not untold or (edit.server, edit.name) != (LOG, self._name(record)):
                continue
            if self.means(edit.column, record.columns[edit.column], edit.value):
                edit.over = "gone with its record, from which it goes no further"
