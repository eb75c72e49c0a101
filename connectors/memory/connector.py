"""The reference implementation of the contract.

If you are writing a connector, read this from top to bottom: a ``Source`` is a login, it opens connectors, a connector
is one collection. What a real one has besides is a network (``client.py``) and a format (``mapping.py``, ``wire.py``);
the decisions below are the same everywhere, and their reasons stand beside them. ``writing.py`` has those of a write.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta

from crmsync.connectors.abilities import Access, Probe
from crmsync.connectors.contract import (
    Capabilities,
    Collection,
    Columns,
    Connector,
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
from crmsync.connectors.errors import CursorExpired, Forbidden
from crmsync.connectors.memory.client import Client
from crmsync.connectors.memory.native import Grave, Item, serial_of
from crmsync.connectors.memory.search import meets, shares_key
from crmsync.connectors.memory.server import MemoryServer
from crmsync.connectors.memory.writing import Writer, record_of, split


class MemorySource:
    """A login to a memory server; also the directory of its users. Safe to use from several threads."""

    def __init__(self, server: MemoryServer, side: Side, *, login: str = "crmsync") -> None:
        self._client = Client(server, login)
        self._side = side

    @property
    def side(self) -> Side:
        return self._side

    def identity(self) -> str:
        with self._client.request("identity"):
            return self._client.server.name if self._side is Side.CRM else self._client.login

    def collections(self) -> Sequence[Collection]:
        with self._client.request("collections"):
            return self._client.server.collections()

    def open(self, collection: Collection) -> Connector:
        made: type[MemoryConnector] = MemoryCrmConnector if self._side is Side.CRM else MemoryConnector
        if not self._client.server.traits.receives:
            made = MemoryMailConnector
        return made(self._client, self._side, collection)

    def user_id(self, username: str) -> str:
        with self._client.request("user_id", username):
            return self._client.server.user_id(username)

    def clock_offset(self) -> timedelta:
        return self._client.server.offset if self._client.requests else timedelta(0)

    def requests(self) -> int:
        return self._client.requests

    def close(self) -> None:
        """There is nothing to close."""


class MemoryConnector:
    """One collection through one login."""

    def __init__(self, client: Client, side: Side, collection: Collection) -> None:
        self._client = client
        self._server = client.server
        self._traits = client.server.traits
        self._side = side
        self._collection = collection
        self._capabilities = _capabilities(self._server, collection)

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def changes(self, since: Cursor | None, selection: Selection) -> Iterator[Page]:
        epoch, last = self._server.position(self._collection.id)
        serial = 0 if since is None else self._serial(since, epoch)
        if serial == last and since is not None:
            with self._request("changes"):  # the question is a request, also when the answer is "nothing"
                pass
            yield Page((), since)
            return
        found = self._server.since(self._collection.id, serial if self._traits.incremental else 0)
        if since is None and self._server.faults.empties():
            found = []
        for page in split(found, self._traits.page) or [[]]:
            with self._request("changes"):
                shown = tuple(self._change(e) for e in page if self._tells(e, since, selection))
            # Everything up to the page's last entry has been told: a reader that breaks off goes on from here.
            yield Page(shown, f"{epoch}:{page[-1].serial if page else last}")

    def listing(self) -> Iterator[Ref]:
        found = [] if self._server.faults.empties() else self._visible()
        for page in split(found, self._traits.page) or [[]]:
            with self._request("listing"):
                refs = [Ref(item.id, item.version, item.owner) for item in page]
            yield from refs

    def fetch(self, ids: Sequence[str]) -> Iterator[Record | Gone | Hidden | Unreadable]:
        for batch in split(ids, self._traits.batch):
            with self._request("fetch"):
                answers = [self._answer(id) for id in batch]
            yield from answers

    def dates(self, items: Sequence[Ref]) -> Mapping[str, datetime]:
        if not self._traits.dated:
            return {}
        with self._request("dates"):
            there = {item.id: item for item in self._visible()}
        same = ((r.id, there[r.id]) for r in items if r.id in there and there[r.id].version == r.version)
        return {id: item.modified for id, item in same}

    def apply(self, writes: Sequence[Write]) -> Iterator[Outcome]:
        if writes and not self._collection.writable:
            raise Forbidden(
                f"{self._collection.name} can only be read", hint="ask its owner for write access"
            )
        writer = Writer(self._client, self._side, self._collection)
        for batch in split(writes, self._traits.batch):
            with self._request("apply"):
                for write in batch:
                    yield writer.write(write)  # at once: whatever fails later, this one has a known end

    def project(self, kind: Kind, columns: Columns) -> Columns:
        return self._traits.keep(kind, columns)

    def named(self, text: str) -> str | None:
        with self._request("named"):
            return next((item.id for item in self._visible() if text and item.uid == text), None)

    def _tells(self, entry: Item | Grave, since: Cursor | None, selection: Selection) -> bool:
        """Only the first listing is narrowed down to the selection: later on, the engine has to see that an item has
        stopped being selected."""
        if isinstance(entry, Grave):
            return self._traits.tombstones and since is not None
        return since is not None or meets(entry, selection)

    def _change(self, entry: Item | Grave) -> Record | Ref | Gone:
        if isinstance(entry, Grave):
            return Gone(entry.id, entry.survivor, entry.owner)
        if self._traits.whole_changes and not entry.broken:
            return self._record(entry)
        return Ref(entry.id, entry.version)

    def _answer(self, id: str) -> Record | Gone | Hidden | Unreadable:
        match self._server.look_up(self._collection.id, id):
            case Grave() as grave:
                return Gone(id, grave.survivor, grave.owner)
            case None:
                # Where rights differ from record to record, "not found" may mean "not yours": it proves nothing.
                return Hidden(id) if self._traits.access else Gone(id)
            case Item(hidden=True):
                return Hidden(id)
            case Item() as item if item.broken:
                return Unreadable(id, item.version, item.broken, item.kind, item.tags)
            case Item() as item:
                return self._record(item)

    def _record(self, item: Item) -> Record:
        return record_of(item, self._traits, self._side)

    def _visible(self) -> list[Item]:
        return [e for e in self._server.since(self._collection.id, 0) if isinstance(e, Item)]

    def _serial(self, cursor: Cursor, epoch: int) -> int:
        """What is not a cursor of the server's present epoch has expired; that it was once ours is not assumed."""
        told, _, serial = cursor.partition(":")
        if told != str(epoch) or not serial.isdecimal():
            raise CursorExpired(f"{self._collection.name}: the server no longer knows the cursor {cursor!r}")
        return int(serial)

    def _request(self, operation: str) -> AbstractContextManager[None]:
        return self._client.request(operation, self._collection.id)


class MemoryMailConnector(MemoryConnector):
    """What an item says never changes, and need not be read twice."""

    def glance(self, ids: Sequence[str]) -> Iterator[Record | Gone | Hidden | Unreadable]:
        for batch in split(ids, self._traits.batch):
            with self._request("glance"):
                answers = [self._answer(id) for id in batch]
            for answer in answers:
                if isinstance(answer, Record):
                    fixed = self._capabilities.read_only_columns[answer.kind]
                    some = {n: v for n, v in answer.columns.items() if n not in fixed}
                    answer = replace(answer, columns=some, attachments=())
                yield answer


class MemoryCrmConnector(MemoryConnector):
    """A CRM table: it can be searched, says who may do what, and hears what has been processed."""

    def search(self, kind: Kind, probes: Sequence[Probe]) -> Iterator[Record]:
        with self._request("search"):
            found = [i for i in self._visible() if i.kind is kind and any(shares_key(i, p) for p in probes)]
        yield from map(self._record, found)

    def access(self, user: str, ids: Sequence[str]) -> Mapping[str, Access]:
        with self._request("access"):
            visible = {i for i in ids if isinstance(self._answer(i), Record | Unreadable)}
            return {i: self._server.rights(user, i) for i in ids if i in visible}

    def selected(self, ids: Sequence[str], selection: Selection) -> frozenset[str]:
        with self._request("selected"):
            found = (self._server.look_up(self._collection.id, i) for i in ids)
            return frozenset(
                i.id for i in found if isinstance(i, Item) and not i.hidden and meets(i, selection)
            )

    def precedes(self, version: str, other: str) -> bool:
        return serial_of(version) < serial_of(other)

    def acknowledge(self, ids: Sequence[str]) -> None:
        with self._request("acknowledge"):
            self._server.acknowledged.extend(ids)


def _capabilities(server: MemoryServer, collection: Collection) -> Capabilities:
    traits = server.traits
    return Capabilities(
        columns={k: traits.columns.get(k, frozenset()) for k in collection.kinds},
        read_only_columns={k: traits.unwritable(k) for k in collection.kinds},
        writable=collection.writable,
        incremental=traits.incremental,
        tombstones=traits.tombstones,
        conditional=traits.conditional,
        tags=traits.tags,
        stamps=traits.stamps,
        remembers=traits.remembers,
        links=traits.links,
        searchable=traits.searchable,
        access=traits.access,
        receives=traits.receives,
        batch=traits.batch,
        concurrent=traits.concurrent,
    )
