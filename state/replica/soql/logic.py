"""AND and OR over any number of conditions."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Boolean

# SQLite reads `a AND b AND c …` as a tree as deep as the list is long, and allows a depth of 1,000.
_WIDEST = 100

Join: TypeAlias = Callable[..., ColumnElement[bool]]


class _Together(FunctionElement[bool]):
    """Parentheses that SQLAlchemy leaves alone; its own vanish when AND stands within AND."""

    inherit_cache = True
    type = Boolean()


@compiles(_Together)
def _parentheses(element: _Together, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clause_expr, **options)


def all_of(parts: Iterable[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Of at least one condition."""
    return _joined(and_, [*parts])


def any_of(parts: Iterable[ColumnElement[bool]]) -> ColumnElement[bool]:
    """Of at least one condition."""
    return _joined(or_, [*parts])


def _joined(join: Join, parts: list[ColumnElement[bool]]) -> ColumnElement[bool]:
    """The parts as a tree of parentheses that is wide rather than deep."""
    while len(parts) > _WIDEST:
        rows = [parts[start : start + _WIDEST] for start in range(0, len(parts), _WIDEST)]
        parts = [_Together(join(*row)) for row in rows]
    return join(*parts)
