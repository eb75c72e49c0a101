"""What a translated statement is: a select, and how its rows become Salesforce JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Select

PARENTS = "parents"  # the bind parameter of a child select: the ids of the parent rows at hand


@dataclass(frozen=True, slots=True)
class Value:
    """One column of the row, written as `type` asks (`datetime`, `date`, …); FORMAT() makes `formatted`."""

    index: int
    type: str
    formatted: bool = False


@dataclass(frozen=True, slots=True)
class Compound:
    """An address: an object of its parts without attributes, or null when all of them are."""

    parts: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class Parent:
    """A nested record, null when its Id is null."""

    record: Record


@dataclass(frozen=True, slots=True)
class Polymorph:
    """A nested record of one of several objects: the first whose Id is not null, or null."""

    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Children:
    """A child subquery's rows as a query result of their own, or null when there are none."""

    plan: Plan


Slot: TypeAlias = Value | Compound | Parent | Polymorph | Children


@dataclass(frozen=True, slots=True)
class Record:
    """Rows that are records of `object`; `id_index` is the column of their Id.

    `type` is what their attributes call them: the object, or `Name` for what all targets of a reference share.
    """

    object: str
    type: str
    id_index: int
    slots: tuple[tuple[str, Slot], ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Rows that are AggregateResult."""

    slots: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class Count:
    """`SELECT COUNT()`: no records; the one number of the one row is totalSize."""


Shape: TypeAlias = Record | Aggregate | Count


@dataclass(frozen=True, slots=True)
class Plan:
    """`select` is ready to run, for a child subquery once `PARENTS` is bound to a list of ids.

    `object` is the object in FROM, by its canonical name. `key_index` is, in a child's rows, the column that
    holds the parent's id; None in a top-level plan.
    """

    select: Select[Any]
    object: str
    shape: Shape
    key_index: int | None = None
