"""One occurrence of a series, as it is told."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from crmsync.connectors.contract import Columns
from crmsync.connectors.dav.document import Component

# Lines that say when, or when somebody wrote: the columns have them, or nobody needs them.
_NO_CONTENT = frozenset(
    {"DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "SEQUENCE", "DTSTAMP", "LAST-MODIFIED", "CREATED"}
)


@dataclass(frozen=True, slots=True)
class Occurrence:
    name: str
    slot: datetime  # wall clock time that the rules put it on; midnight where it is all-day
    columns: Columns
    tags: frozenset[str]
    version: str  # a hash of what it says: it stays when others of the series change
    own: Component | None  # what stands in the object for it alone

    @property
    def private(self) -> bool:
        return self.columns.get("sensitivity") in ("private", "confidential")


def content(own: Component) -> tuple[str, ...]:
    """What a component holds beside its times; in any order, for there are servers that keep none."""
    lines = [each.raw for each in own.lines if each.name not in _NO_CONTENT]
    return tuple(sorted(lines + [each.raw for inner in own.components for each in inner.lines]))


def version_of(columns: Columns, more: tuple[str, ...]) -> str:
    return blake2b(repr((sorted(columns.items()), more)).encode(), digest_size=12).hexdigest()
