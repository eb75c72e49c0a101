"""Whether any of several texts is like a pattern: for a search, which looks at what is found once more. So this may let
through too much, and never too little.

Nine in ten texts of a record are empty, and folding one costs more than looking through it: PostgreSQL folds them once
a row, as one text; SQLite's own LIKE knows the case of A to Z without.
"""

import re
from collections.abc import Sequence
from functools import reduce
from typing import Any

from sqlalchemy import ColumnElement, func, literal, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean, String

from crmsync.state.replica.soql.collation import folded
from crmsync.state.replica.soql.logic import any_of

__all__ = ["NOT_ASCII_BUT_FOLDED_SO", "anywhere"]

NOT_ASCII_BUT_FOLDED_SO = "ik"  # also what İ and the sign of the Kelvin become
_MASK = re.compile(f"[{NOT_ASCII_BUT_FOLDED_SO}]", re.IGNORECASE)


class _Either(FunctionElement[bool]):
    """Two ways to say it: SQLite's, and that of others."""

    inherit_cache = True
    type = Boolean()

    def self_group(self, against: Any = None) -> Any:
        """It brings its own parentheses."""
        return self


@compiles(_Either)
def _others(element: _Either, compiler: SQLCompiler, **options: Any) -> str:
    _, together = element.clauses
    return f"({compiler.process(together, **options)})"


@compiles(_Either, "sqlite")
def _sqlites(element: _Either, compiler: SQLCompiler, **options: Any) -> str:
    apart, _ = element.clauses
    return f"({compiler.process(apart, **options)})"


def anywhere(texts: Sequence[ColumnElement[Any]], pattern: str) -> ColumnElement[bool]:
    """`pattern`: as of LIKE, with a backslash before what is to be found as it is."""
    together = folded(_joined(texts)).like(folded(literal(pattern, String())), escape="\\")
    if not pattern.isascii():
        return together
    masked = _MASK.sub("_", pattern)
    return _Either(any_of(each.like(literal(masked, String()), escape="\\") for each in texts), together)


def _joined(texts: Sequence[ColumnElement[Any]]) -> ColumnElement[Any]:
    parts: list[ColumnElement[Any]] = [func.coalesce(each, literal_column("''", String())) for each in texts]
    return reduce(lambda one, other: one + literal_column("'\n'", String()) + other, parts)
