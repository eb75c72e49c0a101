"""What a series has to say of itself, however it is written down, so that it can be shown by its occurrences."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from crmsync.connectors.contract import Columns, Record


class Occurrence(Protocol):
    """One of a series."""

    @property
    def columns(self) -> Columns: ...

    @property
    def tags(self) -> frozenset[str]: ...

    @property
    def version(self) -> str:
        """Of what it says: it stays when others of the series change."""

    @property
    def private(self) -> bool: ...


class Series(Protocol):
    """A series counted out. An occurrence has a name, after the day that the rules put it on, and a slot: that day and
    time on the wall clock of the series."""

    @property
    def begins(self) -> datetime:
        """Slot of the first one, whatever became of it."""

    @property
    def subject(self) -> object:
        """Of the series as such."""

    @property
    def first(self) -> str:
        """Name of the occurrence that the series begins with; empty: that one was taken out."""

    def between(self, first: datetime, last: datetime) -> Mapping[str, datetime]:
        """Names and slots of the occurrences whose slot lies between two moments (UTC), or that were moved there.
        Raises Malformed."""

    def next_after(self, last: datetime) -> datetime | None:
        """When an occurrence comes that is not before ``last``, at the latest; None: none will."""

    def slot(self, name: str) -> datetime | None:
        """Of an occurrence that is there."""

    def occurrence(self, slot: datetime) -> Occurrence: ...

    def before(self, name: str, moment: datetime) -> bool:
        """Whether the day that ``name`` speaks of is over at that moment."""


S = TypeVar("S", bound=Series)


@dataclass(slots=True)
class Folded(Generic[S]):
    """A series as it stands on the server."""

    record: Record
    series: S
