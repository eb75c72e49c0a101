"""Text without regard to case: one folded() for both databases, whatever the locale of their installation.

Folded text is compared by its characters' numbers. PostgreSQL's own lower() goes by the database's locale, where it
knows A to Z only or sorts punctuation last; so its folding is ICU's, and its order that of "C".
"""

import math
import sqlite3
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Engine, collate, event, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import String


class _Folded(FunctionElement[str]):
    inherit_cache = True
    type = String()


def folded(text: ColumnElement[Any]) -> ColumnElement[str]:
    """The text as it is compared."""
    return _Folded(text)


@compiles(_Folded)
def _lowered(element: _Folded, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(func.folded(*element.clauses), **options)


@compiles(_Folded, "postgresql")
def _lowered_by_icu(element: _Folded, compiler: SQLCompiler, **options: Any) -> str:
    (text,) = element.clauses
    return f"({compiler.process(collate(func.lower(collate(text, 'und-x-icu')), 'C'), **options)})"


def ignore_case(engine: Engine) -> None:
    """Lets every later connection of a SQLite engine fold the case of all letters.

    SQLite's own lower() knows A to Z only, so that `= 'zoë'` would miss `ZOË`; PostgreSQL's knows them all and
    is left alone. Indexes are kept with this function. It has a name of its own, so that a program that does not have
    it cannot write into them with another one; reading needs it only where text is compared.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _install)


def _install(connection: sqlite3.Connection, record: Any) -> None:
    connection.execute("PRAGMA trusted_schema = ON")  # else no function of ours may stand in an index
    connection.create_function("folded", 1, _lower, deterministic=True)
    try:
        connection.execute("SELECT asin(0.0)").close()
    except sqlite3.OperationalError:  # a SQLite without its mathematical functions
        for function in (math.sin, math.cos, math.asin, math.sqrt, math.radians):
            connection.create_function(function.__name__, 1, _of_a_number(function), deterministic=True)


def _of_a_number(function: Callable[[float], float]) -> Callable[[Any], float | None]:
    return lambda value: None if value is None else function(value)


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value
