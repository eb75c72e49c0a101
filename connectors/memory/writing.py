"""What becomes of one write."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from crmsync.connectors.contract import (
    Collection,
    Columns,
    Create,
    Delete,
    Done,
    Kind,
    Outcome,
    Record,
    Refused,
    Side,
    Stale,
    Update,
    Write,
)
from crmsync.connectors.memory.client import Client
from crmsync.connectors.memory.native import Item, dump, load
from crmsync.connectors.memory.traits import Traits

_T = TypeVar("_T")


class Writer:
    def __init__(self, client: Client, side: Side, collection: Collection) -> None:
        self._client = client
        self._server = client.server
        self._traits = client.server.traits
        self._side = side
        self._collection = collection.id

    def write(self, write: Write) -> Outcome:
        target = write.key if isinstance(write, Create) else write.id
        refusal = self._server.faults.planted(target) or self._refusal(write, target)
        if refusal is not None:
            return refusal
        kept_back = self._server.faults.kept_back(write)
        if kept_back is not None:
            return kept_back
        outcome = self._carried_out(write)
        return self._server.faults.planted(target, applied=True) or outcome

    def _carried_out(self, write: Write) -> Outcome:
        match write:
            case Create():
                return self._create(write)
            case Update():
                return self._update(write)
            case Delete():
                return self._delete(write)

    def _create(self, write: Create) -> Outcome:
        with self._client.step("create", write.key):
            there = self._standing(write)
            item = there or self._insert(write)
        return replace(self._done(item), found=there is not None)

    def _standing(self, write: Create) -> Item | None:
        """What an earlier attempt has made: found by the name that we chose, by the external id or, where the server
        has neither, by creator, time and columns. What somebody else has made just so since then is as good."""
        if self._side is Side.ECS:
            return self._item(self._name(write.key))
        if self._traits.links:
            return self._server.linked(self._collection, write.key)
        if write.since is None:
            return None
        wanted = self._traits.keep(write.kind, self._writable(write.kind, write.columns))
        later = [i for i in self._server.all(self._collection) if i.created >= write.since]
        ours_first = sorted(later, key=lambda i: i.creator != self._client.login)
        return next((i for i in ours_first if wanted.items() <= i.columns.items()), None)

    def _insert(self, write: Create) -> Item:
        content: dict[str, Any] = {
            "kind": write.kind,
            "uid": write.key,
            "columns": self._writable(write.kind, write.columns),
            "tags": frozenset({write.tag} - {""}),
            "stamp": write.stamp,
            "owner": write.owner,
            "link": write.key if self._traits.links else "",
            "creator": self._client.login,
        }
        if write.native:
            content |= load(write.native)
        # On the ECS side we choose the name of a resource; a CRM chooses the ids of its records itself.
        chosen = self._side is Side.ECS
        id = self._name(write.key) if chosen else self._server.fresh_id(self._collection)
        return self._server.insert(self._collection, id, **content)

    def _update(self, write: Update) -> Outcome:
        current = self._item(write.id)
        if current is None or (not self._traits.conditional and current.version != write.expected):
            return Stale(write.id)  # without preconditions on the server, looking just before is all there is
        fields: dict[str, Any] = {}
        if write.tag:
            fields["tags"] = current.tags | {write.tag}
        if write.stamp is not None:
            fields["stamp"] = write.stamp
        if write.link:
            fields["link"] = write.link
        with self._client.step("update", write.id):
            columns = self._writable(write.kind, write.columns)
            item = self._server.change(write.id, self._precondition(write), columns, **fields)
        return Stale(write.id) if item is None else self._done(item)

    def _delete(self, write: Delete) -> Outcome:
        current = self._item(write.id)
        if current is not None and not self._traits.conditional and current.version != write.expected:
            return Stale(write.id)
        if current is not None and not self._traits.receives:
            return self._untag(write, current)
        with self._client.step("delete", write.id):
            removed = self._server.remove(write.id, self._precondition(write))
        return Done(write.id, "") if removed else Stale(write.id)

    def _untag(self, write: Delete, current: Item) -> Outcome:
        with self._client.step("delete", write.id):
            item = self._server.change(write.id, self._precondition(write), {}, tags=frozenset())
        return Stale(write.id) if item is None else self._done(item)

    def _precondition(self, write: Update | Delete) -> str | None:
        return write.expected if self._traits.conditional else None

    def _refusal(self, write: Write, target: str) -> Refused | None:
        if self._server.refuses(target):
            return Refused(target, "forbidden", "the server does not let this login change the item")
        if isinstance(write, Create) and not self._traits.receives:
            return Refused(target, "not_received", "nothing is made here for what the other side holds")
        if isinstance(write, Delete):
            return None
        needed = self._traits.required.get(write.kind, frozenset())
        given = write.columns if isinstance(write, Update) else {**dict.fromkeys(needed), **write.columns}
        if missing := sorted(n for n in needed & given.keys() if not given[n]):
            return Refused(target, "required", f"the server asks for a value in {', '.join(missing)}")
        return None

    def _done(self, item: Item) -> Done:
        version = item.version if self._traits.tells_version else ""
        back = record_of(item, self._traits, self._side) if self._traits.reads_back else None
        return Done(item.id, version, back)

    def _writable(self, kind: Kind, columns: Columns) -> Columns:
        return {n: v for n, v in columns.items() if n not in self._traits.unwritable(kind)}

    def _name(self, key: str) -> str:
        return f"{self._collection}/{key}"

    def _item(self, id: str) -> Item | None:
        found = self._server.look_up(self._collection, id)
        return found if isinstance(found, Item) else None


def record_of(item: Item, traits: Traits, side: Side) -> Record:
    """The item as the contract says it."""
    return Record(
        id=item.id,
        version=item.version,
        kind=item.kind,
        columns=dict(item.columns),
        modified=item.modified if traits.tells_modified and not traits.dated else None,
        uid=item.uid,
        tags=item.tags if traits.tags else frozenset(),
        stamp=item.stamp if traits.stamps else None,
        link=item.link if traits.links else "",
        owner=item.owner,
        native=dump(item) if side is Side.ECS else "",
        untouchable=item.untouchable,
        series=item.series,
        private=item.private,
    )


def split(items: Sequence[_T], size: int) -> list[Sequence[_T]]:
    """Stretches of at most ``size``."""
    return [items[i : i + size] for i in range(0, len(items), size)]
