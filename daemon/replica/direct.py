"""What a write that somebody waits for asks of the CRM, and how it gets there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from crmsync.daemon.replica.line import Line
from crmsync.daemon.replica.upstream import Upstream
from crmsync.state.replica.local.difference import Policy

__all__ = ["Result", "Through", "Values", "Writes"]


class Told(Protocol):
    """One of the CRM's reasons."""

    @property
    def code(self) -> str: ...

    @property
    def message(self) -> str: ...

    @property
    def fields(self) -> tuple[str, ...]: ...


class Result(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def created(self) -> bool: ...

    @property
    def errors(self) -> Sequence[Told]: ...


class Merged(Protocol):
    @property
    def moved(self) -> Sequence[str]:
        """Records that refer to the master now."""

    @property
    def errors(self) -> Sequence[Told]: ...


Values = Mapping[str, object]


class Writes(Protocol):
    """What a write asks of the CRM: `connectors/salesforce/direct.py`. Raises ConnectorError."""

    def create(
        self, rows: Sequence[tuple[str, Values]], /, *, all_or_none: bool = False
    ) -> Sequence[Result]: ...

    def update(
        self, rows: Sequence[tuple[str, str, Values]], /, *, all_or_none: bool = False
    ) -> Sequence[Result]: ...

    def delete(self, ids: Sequence[str], /, *, all_or_none: bool = False) -> Sequence[Result]: ...

    def undelete(self, ids: Sequence[str], /) -> Sequence[Result]: ...

    def empty(self, ids: Sequence[str], /) -> Sequence[Result]:
        """What was deleted, for good."""

    def merge(self, table: str, master: str, row: Values, losers: Sequence[str], /) -> Merged:
        """`row`: what the master is given with it."""

    def query(self, path: str, size: int, /) -> Any:
        """The JSON of the answer: a page, or a list of errors. `path` begins with query or queryAll."""


@dataclass(frozen=True, slots=True)
class Through:
    line: Line
    upstream: Upstream
    writes: Writes
    policy: Policy = Policy.LATEST
