"""The parts of a SOQL statement, as values. Names stand as they were written; nothing is looked up yet."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class At:
    """A place in the statement, counted from 1."""

    row: int = 1
    column: int = 1


START = At()


# Operands: what stands on the left of a comparison, in SELECT, GROUP BY and ORDER BY.


@dataclass(frozen=True, slots=True)
class Path:
    """`Name`, `Account.Owner.Name`, or self-qualified `Contact.Name`."""

    parts: tuple[str, ...]
    at: At = field(default=START, compare=False)

    def __str__(self) -> str:
        return ".".join(self.parts)


@dataclass(frozen=True, slots=True)
class Call:
    """A function: `COUNT(Id)`, `CALENDAR_YEAR(convertTimezone(CreatedDate))`. `name` is in upper case."""

    name: str
    arguments: tuple[Argument, ...]
    at: At = field(default=START, compare=False)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.arguments))})"


Operand: TypeAlias = Path | Call
TEXTS = "any text of"  # not of SOQL: several fields before LIKE, for a search in all of them


# Literals


@dataclass(frozen=True, slots=True)
class Text:
    """A string: `value` is what it says; `pattern` the same for LIKE, where `\\` still guards `%`, `_`, `\\`."""

    value: str
    pattern: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Number:
    value: Decimal


@dataclass(frozen=True, slots=True)
class Truth:
    value: bool


@dataclass(frozen=True, slots=True)
class Null:
    pass


@dataclass(frozen=True, slots=True)
class Day:
    value: datetime.date


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time, always with an offset."""

    value: datetime.datetime


@dataclass(frozen=True, slots=True)
class Clock:
    """A time of the day, in UTC."""

    value: datetime.time


@dataclass(frozen=True, slots=True)
class Relative:
    """A date literal: `TODAY`, or with a count `LAST_N_DAYS:7`. `name` is in upper case."""

    name: str
    count: int | None = None
    at: At = field(default=START, compare=False)


@dataclass(frozen=True, slots=True)
class Money:
    """`USD5000`"""

    currency: str
    amount: Decimal


Literal: TypeAlias = Text | Number | Truth | Null | Day | Moment | Clock | Relative | Money
Argument: TypeAlias = Path | Call | Text | Number


# Conditions


class Operator(StrEnum):
    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    GREATER = ">"
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: Condition


@dataclass(frozen=True, slots=True)
class Compare:
    operand: Operand
    operator: Operator
    value: Literal


@dataclass(frozen=True, slots=True)
class Like:
    operand: Operand
    value: Literal


@dataclass(frozen=True, slots=True)
class In:
    operand: Operand
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class NotIn:
    operand: Operand
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class SemiJoin:
    operand: Operand
    query: Query


@dataclass(frozen=True, slots=True)
class AntiJoin:
    operand: Operand
    query: Query


@dataclass(frozen=True, slots=True)
class Includes:
    """A multi-select picklist holds at least one of the combinations; `A;B` asks for both A and B."""

    operand: Operand
    values: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Excludes:
    operand: Operand
    values: tuple[Literal, ...]


Condition: TypeAlias = (
    And | Or | Not | Compare | Like | In | NotIn | SemiJoin | AntiJoin | Includes | Excludes
)


# What is selected


@dataclass(frozen=True, slots=True)
class Column:
    operand: Operand
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class FieldSet:
    """`FIELDS(ALL)`, `FIELDS(STANDARD)`, `FIELDS(CUSTOM)`; `kind` is in upper case."""

    kind: str
    at: At = field(default=START, compare=False)


@dataclass(frozen=True, slots=True)
class When:
    object: str
    fields: tuple[Path, ...]
    at: At = field(default=START, compare=False)


@dataclass(frozen=True, slots=True)
class TypeOf:
    """`TYPEOF What WHEN Account THEN Phone ELSE Name END`; `otherwise` is empty without ELSE."""

    reference: Path
    branches: tuple[When, ...]
    otherwise: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Subselect:
    """`(SELECT … FROM Contacts)` among the fields: the child rows."""

    query: Query


Selected: TypeAlias = Column | FieldSet | TypeOf | Subselect


# Clauses


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of FROM: an object, a child relationship, or a parent path of an earlier alias."""

    path: Path
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class GroupBy:
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Rollup:
    operands: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Cube:
    operands: tuple[Operand, ...]


Grouping: TypeAlias = GroupBy | Rollup | Cube


@dataclass(frozen=True, slots=True)
class Order:
    """Ascending with nulls first unless said otherwise, and nulls first descending as well."""

    operand: Operand
    descending: bool = False
    nulls_last: bool = False


@dataclass(frozen=True, slots=True)
class Category:
    """`Geography__c AT (usa__c, uk__c)`; `selector` is AT, ABOVE, BELOW or ABOVE_OR_BELOW."""

    group: str
    selector: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WithMode:
    """`WITH SECURITY_ENFORCED`, `USER_MODE` or `SYSTEM_MODE`"""

    mode: str


@dataclass(frozen=True, slots=True)
class WithCategories:
    categories: tuple[Category, ...]


@dataclass(frozen=True, slots=True)
class WithFilter:
    """`WITH UserId = '005…'`; and in SOSL whatever else stands after WITH, `HIGHLIGHT` or `NETWORK IN (…)`."""

    name: str


With: TypeAlias = WithMode | WithCategories | WithFilter


@dataclass(frozen=True, slots=True)
class Query:
    """One SELECT. `views` and `updates` are the words after FOR and UPDATE; `scope` that after USING SCOPE.

    `text` is the whole statement, of which `at` is where this SELECT begins: errors show an excerpt of it.
    """

    selected: tuple[Selected, ...]
    sources: tuple[Source, ...]
    scope: str | None = None
    where: Condition | None = None
    with_: With | None = None
    group: Grouping | None = None
    having: Condition | None = None
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int | None = None
    views: tuple[str, ...] = ()
    updates: tuple[str, ...] = ()
    at: At = field(default=START, compare=False)
    text: str = field(default="", compare=False)


# SOSL


@dataclass(frozen=True, slots=True)
class Word:
    """One word to look for, in lower case; `*` stands for any letters, `?` for one."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that stand together."""

    pattern: str


@dataclass(frozen=True, slots=True)
class AllTerms:
    parts: tuple[Terms, ...]


@dataclass(frozen=True, slots=True)
class AnyTerm:
    parts: tuple[Terms, ...]


@dataclass(frozen=True, slots=True)
class NotTerm:
    part: Terms


Terms: TypeAlias = Word | Phrase | AllTerms | AnyTerm | NotTerm


@dataclass(frozen=True, slots=True)
class Returned:
    """One object of RETURNING; without fields only the Id comes back."""

    object: str
    at: At = field(default=START, compare=False)
    selected: tuple[Selected, ...] = ()
    where: Condition | None = None
    listed: str | None = None  # the word after USING
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """FIND: `group` is ALL, NAME, EMAIL, PHONE or SIDEBAR; no `returned` means every object that is searched."""

    terms: Terms
    group: str = "ALL"
    returned: tuple[Returned, ...] = ()
    withs: tuple[With, ...] = ()
    limit: int | None = None
    updates: tuple[str, ...] = ()
    text: str = field(default="", compare=False)
