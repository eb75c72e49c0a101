"""What a pass asks of the CRM. `connectors/salesforce/replication.py` answers; tests put themselves in between."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from crmsync.connectors.contract import Outcome
from crmsync.state.replica.converting import Conversion

Row = Mapping[str, object]  # as the REST API writes it


class Deletions(Protocol):
    @property
    def ids(self) -> Sequence[str]: ...

    @property
    def earliest(self) -> datetime:
        """What was deleted before is no longer told."""

    @property
    def covered(self) -> datetime:
        """Complete up to here."""


class Upstream(Protocol):
    """One login. Safe to use from several threads. Datetimes are aware; what fails raises ConnectorError."""

    def who(self) -> tuple[str, str]: ...

    def clock(self) -> datetime: ...

    def clock_offset(self) -> timedelta: ...

    def requests(self) -> int: ...

    def describe(self, table: str, /) -> Mapping[str, object]: ...

    def deleted(self, table: str, start: datetime, end: datetime, /) -> Deletions: ...

    def earliest(self, table: str, /) -> datetime | None: ...

    def modified(
        self, table: str, fields: Sequence[str], start: datetime, end: datetime, /
    ) -> Iterator[Sequence[Row]]: ...

    def listing(self, table: str, /) -> Iterator[Sequence[str]]: ...

    def created(
        self, table: str, fields: Sequence[str], user: str, since: datetime, /
    ) -> Iterator[Sequence[Row]]: ...

    def read(self, table: str, fields: Sequence[str], ids: Sequence[str], /) -> Iterator[Row]: ...

    def create(self, table: str, rows: Sequence[Row], /) -> list[Outcome]: ...

    def update(self, table: str, rows: Mapping[str, Row], /) -> list[Outcome]: ...

    def convert(self, leads: Sequence[Conversion], /) -> list[Outcome]:
        """Leads, each into new records or given ones; whoever owns them is told nothing."""

    def delete(self, table: str, ids: Sequence[str], /) -> list[Outcome]: ...
