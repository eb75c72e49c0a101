"""What a connector's test hands over: one fresh, empty collection, and somebody who works on it by other means."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from crmsync.connectors.contract import (
    Capabilities,
    Collection,
    Columns,
    Connector,
    Create,
    Cursor,
    Done,
    Gone,
    Hidden,
    Kind,
    Page,
    Record,
    Ref,
    Selection,
    Source,
    Unreadable,
    Value,
    Write,
)
from tests.conformance import sample

EVERYTHING = Selection()


class Person(Protocol):
    """Edits the server's store itself: raw requests, SQL, a method call; never the connector under test."""

    def add(self, title: str) -> str:
        """A new item with this family name or subject, and with something that no column covers; its id."""

    def retitle(self, id: str, title: str) -> None:
        """Nothing else of the item changes."""

    def delete(self, id: str) -> None: ...

    def unmapped(self, id: str) -> object:
        """What stands in the item and belongs to no column, to be compared with itself later."""


@dataclass(frozen=True)
class Bench:
    kind: Kind
    source: Source
    collection: Collection  # fresh and empty
    person: Person
    expire: Callable[[Cursor], Cursor]  # the cursor (or another of its form), now unknown to the server
    unknown: str  # an id of the server's form under which nothing ever stood
    owner: str = ""  # CRM: a user who may do everything with what is his

    # ── Shorthand ────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def connector(self) -> Connector:
        return self.source.open(self.collection)

    @property
    def can(self) -> Capabilities:
        return self.connector.capabilities

    @property
    def title(self) -> str:
        """The column by which tests tell items apart: the first of its kind's that can be written here."""
        return next(n for n in sample.TITLES[self.kind] if n in self.written)

    @property
    def written(self) -> frozenset[str]:
        """Columns that this connector writes."""
        return self.can.columns[self.kind] - self.can.read_only_columns.get(self.kind, frozenset())

    @property
    def changed(self) -> frozenset[str]:
        """Columns that it also writes to what stands."""
        return self.written - self.can.once_columns.get(self.kind, frozenset())

    def columns(self, title: str = "Lovelace", **more: Value) -> Columns:
        """What an item needs at the least, and more."""
        wanted = {**sample.LEAST[self.kind], self.title: title, **more}
        return {n: v for n, v in wanted.items() if n in self.written}

    def create(self, key: str, **columns: Value) -> Create:
        return Create(key, self.kind, self.columns(key, **columns), owner=self.owner)

    def done(self, *writes: Write) -> list[Done]:
        """Every one of them has to be accepted."""
        outcomes = list(self.connector.apply(writes))
        assert len(outcomes) == len(writes)
        refused = [o for o in outcomes if not isinstance(o, Done)]
        assert not refused
        return [o for o in outcomes if isinstance(o, Done)]

    def made(self, key: str, **columns: Value) -> Record:
        (done,) = self.done(self.create(key, **columns))
        return self.record(done.id)

    def fetch(self, id: str) -> Record | Gone | Hidden | Unreadable:
        (answer,) = self.connector.fetch([id])
        return answer

    def record(self, id: str) -> Record:
        answer = self.fetch(id)
        assert isinstance(answer, Record)
        return answer

    def start(self) -> Cursor:
        """The cursor of this moment."""
        return self.changes(None)[1]

    def changes(self, since: Cursor | None) -> tuple[list[Record | Ref | Gone], Cursor]:
        pages: list[Page] = list(self.connector.changes(since, EVERYTHING))
        assert pages, "at least one page has to bring the new cursor"
        return [item for page in pages for item in page.items], pages[-1].cursor

    def listing(self) -> dict[str, str]:
        """Version by id; no id twice."""
        found = list(self.connector.listing())
        assert len({ref.id for ref in found}) == len(found)
        return {ref.id: ref.version for ref in found}


def ids(items: list[Record | Ref | Gone]) -> list[str]:
    return sorted(i.id for i in items)
