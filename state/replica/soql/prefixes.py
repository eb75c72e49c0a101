"""LIKE whose pattern begins with letters, so that SQLite finds them in an index: it does so by itself for bare columns
only, and ours are folded. PostgreSQL needs no help."""

import re
from typing import Any

from sqlalchemy import ColumnElement, and_, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean, String

from crmsync.state.replica.soql.collation import folded

__all__ = ["like"]

_BEGIN = re.compile(r"(?:[^%_\\]|\\.)*", re.DOTALL)
_SIGMA = "Σ"  # which is folded by what follows it


class _Hint(FunctionElement[bool]):
    """A condition that follows from another one."""

    inherit_cache = True
    type = Boolean()

    def self_group(self, against: Any = None) -> Any:
        """Without SQLAlchemy's `= 1`, behind which SQLite sees no index. It brings its own parentheses."""
        return self


@compiles(_Hint)
def _unsaid(element: _Hint, compiler: SQLCompiler, **options: Any) -> str:
    return "true"


@compiles(_Hint, "sqlite")
def _said(element: _Hint, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clause_expr, **options)


def like(text: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    """`text`: folded; `pattern`: with a backslash before what is to be found as it is."""
    found = text.like(folded(literal(pattern, String())), escape="\\")
    bounds = _bounds(pattern)
    if bounds is None:
        return found
    first, end = (literal(each, String()) for each in bounds)
    return and_(found, _Hint(and_(text >= first, text < end)))


def _bounds(pattern: str) -> tuple[str, str] | None:
    """What every text begins at that the pattern matches, and what none reaches."""
    match = _BEGIN.match(pattern)
    written = re.sub(r"\\(.)", r"\1", match[0] if match else "", flags=re.DOTALL)
    first = written.lower()  # as SQLite is told to fold
    if not first or _SIGMA in written:
        return None
    after = ord(first[-1]) + 1
    after = 0xE000 if after == 0xD800 else after  # no characters between these
    return (first, first[:-1] + chr(after)) if after <= 0x10FFFF else None
