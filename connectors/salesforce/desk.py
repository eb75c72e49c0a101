"""Where writes are kept while the CRM is away: what a connector asks of the copy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from crmsync.connectors.abilities import Access
from crmsync.connectors.contract import Create, Outcome, Write

__all__ = ["Desk", "Kept"]


@dataclass(frozen=True, slots=True)
class Kept:
    """A write, and what it would have sent."""

    write: Write
    row: Mapping[str, object] = field(default_factory=dict)  # as JSON values, by field
    clocks: Mapping[str, datetime] = field(default_factory=dict)  # when each field was changed in the mailbox


class Desk(Protocol):
    """Safe to use from several threads. What fails raises ConnectorError."""

    def known(self, writes: Sequence[Write], *, send: bool) -> Mapping[int, Outcome]:
        """What can be said of these writes by what was kept before, by position: turned down, or waiting still.
        ``send``: the CRM is there, and is given first what waits for it."""

    def keep(self, table: str, some: Sequence[Kept]) -> Sequence[Outcome]: ...

    def arrived(self, write: Create, outcome: Outcome) -> None:
        """The CRM has been asked itself for what may have been kept as well."""

    def joined(self, key: str, id: str) -> None: ...

    def grant(self, user: str, asked: Sequence[str], told: Mapping[str, Access]) -> None:
        """What the CRM said of these records is remembered."""

    def granted(self, user: str, ids: Sequence[str]) -> Mapping[str, Access]:
        """What it said last; ids that it never was asked of are absent."""
