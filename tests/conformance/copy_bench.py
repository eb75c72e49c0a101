"""A copy of the CRM that is alone whenever it is asked: the CRM is there only in between.

What it is asked to show, it has been filled with before; what it has taken is brought to the CRM afterwards, as the
sync's next look does it, and what came of it there is the outcome.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from crmsync.connectors.contract import (
    Capabilities,
    Collection,
    Create,
    Cursor,
    Delete,
    Done,
    Gone,
    Outcome,
    Page,
    Record,
    Ref,
    Stale,
    Update,
    Write,
)
from crmsync.connectors.errors import Unreachable
from crmsync.connectors.http import Http, Response
from crmsync.connectors.salesforce.copying import BesideCopy, OnCopy
from crmsync.daemon.plan.normalise import same
from crmsync.daemon.replica.keeper import Keeper
from crmsync.daemon.replica.source import ReplicaSource
from tests.conformance.bench import EVERYTHING, Bench


class Line:
    """To the CRM: cut, but for moments."""

    def __init__(self, http: Http) -> None:
        self._http = http
        self.cut = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._http, name)

    def request(self, *given: Any, **more: Any) -> Response:
        if self.cut:
            raise Unreachable("nobody answers")
        return self._http.request(*given, **more)


@dataclass
class Alone:
    """The source."""

    source: ReplicaSource
    line: Line
    keeper: Keeper
    behind: bool = True  # the CRM has changed since

    def __getattr__(self, name: str) -> Any:
        self.line.cut = True
        return getattr(self.source, name)

    def open(self, collection: Collection) -> "AloneConnector":
        return AloneConnector(self, collection)

    def away(self, collection: Collection) -> OnCopy:
        self.line.cut = True
        assert collection in self.source.collections()
        found = self.source.open(collection)
        assert isinstance(found, OnCopy)
        assert found.stands_in
        return found

    def there(self, collection: Collection) -> BesideCopy:
        self.line.cut = False
        self.source.collections()
        found = self.source.open(collection)
        assert isinstance(found, BesideCopy)
        return found

    def fill(self) -> None:
        self.line.cut = False
        self.keeper.sync()
        self.behind = False


@dataclass
class AloneConnector:
    alone: Alone
    collection: Collection

    def __getattr__(self, name: str) -> Any:
        return getattr(self.alone.away(self.collection), name)

    @property
    def capabilities(self) -> Capabilities:
        return replace(
            self.alone.away(self.collection).capabilities, batch=5
        )  # else the suite takes its time

    def fetch(self, ids: Sequence[str]) -> Iterator[Any]:
        return self._filled().fetch(ids) if ids else iter(())

    def search(self, *given: Any) -> Iterator[Record]:
        return self._filled().search(*given)

    def access(self, *given: Any) -> Any:
        return self._filled().access(*given)

    def selected(self, *given: Any) -> Any:
        return self._filled().selected(*given)

    def apply(self, writes: Sequence[Write]) -> Iterator[Outcome]:
        outcomes = list(self.alone.away(self.collection).apply(writes))
        assert len(outcomes) == len(writes)
        waiting = [n for n, o in enumerate(outcomes) if isinstance(o, Done)]
        assert all(outcomes[n].provisional for n in waiting)  # type: ignore[union-attr]
        if waiting:
            self.alone.behind |= any(isinstance(writes[n], Create) for n in waiting)
            there = self.alone.there(self.collection)
            for n, outcome in zip(waiting, there.apply([writes[n] for n in waiting]), strict=True):
                outcomes[n] = outcome if isinstance(writes[n], Create) else _become(there, writes[n])
        yield from outcomes

    def _filled(self) -> OnCopy:
        if self.alone.behind:
            self.alone.fill()
        return self.alone.away(self.collection)


def _become(there: BesideCopy, write: Write) -> Outcome:
    """As the sync's next look finds it."""
    (found,) = there.fetch([write.id])  # type: ignore[union-attr]
    match write, found:
        case Delete(), Gone():
            return Done(write.id, "")
        case Update(), Record():
            shown = there.project(write.kind, write.columns)
            if all(same(found.columns.get(n), v) for n, v in shown.items()):
                return Done(write.id, "")
    return Stale(write.id)  # type: ignore[union-attr]


@dataclass(frozen=True)
class CopyBench(Bench):
    """What there is, and what has changed, the CRM says."""

    alone: Alone = field(kw_only=True)

    def changes(self, since: Cursor | None) -> tuple[list[Record | Ref | Gone], Cursor]:
        there = self.alone.there(self.collection)
        pages: list[Page] = list(there.changes(since, EVERYTHING))
        return [item for page in pages for item in page.items], pages[-1].cursor

    def listing(self) -> dict[str, str]:
        return {ref.id: ref.version for ref in self.alone.there(self.collection).listing()}
