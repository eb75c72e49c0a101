"""What kind of server the memory server plays. Plain data, fixed when it is made."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TypeAlias

from crmsync.connectors.columns import COLUMNS, Type
from crmsync.connectors.contract import Columns, Kind, Value

Rewrite: TypeAlias = Callable[[Value], Value]  # idempotent: what was rewritten stays as it is
Formula: TypeAlias = Callable[[Columns], Value]

EVERYTHING: Mapping[Kind, frozenset[str]] = {kind: frozenset(columns) for kind, columns in COLUMNS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    # what it holds
    columns: Mapping[Kind, frozenset[str]] = field(default_factory=lambda: EVERYTHING)
    read_only: Mapping[Kind, frozenset[str]] = field(default_factory=dict)  # persons write them, we may not
    computed: Mapping[Kind, Mapping[str, Formula]] = field(default_factory=dict)  # nobody writes them
    required: Mapping[Kind, frozenset[str]] = field(default_factory=dict)  # else a write is refused
    rewrites: Mapping[str, Rewrite] = field(default_factory=dict)  # by column; see ``shorten`` and its like
    # what it can do (contract.Capabilities says what each means)
    incremental: bool = True
    tombstones: bool = True
    conditional: bool = True
    tags: bool = False
    stamps: bool = False
    remembers: int = 0
    links: bool = False
    searchable: bool = False
    access: bool = False
    receives: bool = True  # False: a mailbox; nothing is made in it, and what is deleted only loses its tags
    # how it answers
    page: int = 100  # items per answer to a listing
    batch: int = 100  # items per fetch and apply
    concurrent: bool = False
    whole_changes: bool = False  # ``changes`` tells columns, not only versions
    tells_version: bool = True  # a write is answered with the new version (an ETag)
    reads_back: bool = False  # a write is answered with what stands now
    tells_modified: bool = True
    dated: bool = False  # it tells when an item was modified only if it is asked for that

    def unwritable(self, kind: Kind) -> frozenset[str]:
        return self.read_only.get(kind, frozenset()) | self.computed.get(kind, {}).keys()

    def keep(self, kind: Kind, columns: Columns) -> dict[str, Value]:
        """``columns`` as this server stores them; those that it cannot hold are absent."""
        held = self.columns.get(kind, frozenset())
        return {n: self._rewritten(n, _plain(kind, n, v)) for n, v in columns.items() if n in held}

    def _rewritten(self, name: str, value: Value) -> Value:
        rewrite = self.rewrites.get(name)
        return value if rewrite is None or value is None else rewrite(value) or None


def groupware(**changes: object) -> Traits:
    """A typical ECS server: tags and stamps, ids that the client chooses."""
    return Traits(**{"tags": True, "stamps": True, **changes})  # type: ignore[arg-type]


def mailbox(**changes: object) -> Traits:
    """A typical mail server: what was sent is read only, and of it nothing is made up or destroyed."""
    said = frozenset({"status", "regarding", "categories"})
    fixed = {Kind.EMAIL: EVERYTHING[Kind.EMAIL] - said}
    own: dict[str, object] = {"tags": True, "receives": False, "read_only": fixed}
    return Traits(**{**own, **changes})  # type: ignore[arg-type]


def crm(**changes: object) -> Traits:
    """A typical CRM: owners, an external id, a search, rights that differ from record to record."""
    own: dict[str, object] = {"links": True, "searchable": True, "access": True, "whole_changes": True}
    return Traits(**{**own, **changes})  # type: ignore[arg-type]


# ── Rewrites ─────────────────────────────────────────────────────────────────────────────────────────────────


def shorten(length: int) -> Rewrite:
    """Text is cut off after ``length`` characters."""
    return lambda value: value[:length].rstrip() if isinstance(value, str) else value


def day(value: Value) -> Value:
    """A moment becomes its day (in UTC): the column is a date on this server."""
    return value.date() if isinstance(value, datetime) else value


def minute(value: Value) -> Value:
    """Seconds are dropped."""
    return value.replace(second=0, microsecond=0) if isinstance(value, datetime) else value


def stripped(value: Value) -> Value:
    return value.strip() if isinstance(value, str) else value


def dialled(value: Value) -> Value:
    """A telephone number is reduced to what is dialled: digits and a leading plus."""
    return re.sub(r"(?!^\+)\D", "", value.strip()) if isinstance(value, str) else value


def _plain(kind: Kind, name: str, value: Value) -> Value:
    """One spelling for each value, so that equal means equal: no empty text, lists sorted."""
    if isinstance(value, tuple):
        return tuple(sorted(set(value))) or None
    if value == "":
        return None
    if COLUMNS[kind][name].type is Type.DATE and isinstance(value, datetime):
        return date(value.year, value.month, value.day)
    return value
