"""SOQL: text -> `parse` -> `ast.Query` -> `translate` -> `Plan` -> `run` -> records as Salesforce JSON.

SOSL (`parse_search`) asks the same way; `state/replica/searching.py` makes queries of it.
"""

from crmsync.state.replica.soql.catalog import Catalog, ChildRelationship, Field, Object
from crmsync.state.replica.soql.collation import ignore_case
from crmsync.state.replica.soql.errors import (
    InvalidField,
    InvalidOperator,
    InvalidType,
    MalformedQuery,
    OutOfRange,
    SoqlError,
    Unsupported,
)
from crmsync.state.replica.soql.parser import parse_search
from crmsync.state.replica.soql.plan import Plan
from crmsync.state.replica.soql.recent import parse
from crmsync.state.replica.soql.run import run, total_size
from crmsync.state.replica.soql.translate import translate

__all__ = [
    "Catalog",
    "ChildRelationship",
    "Field",
    "InvalidField",
    "InvalidOperator",
    "InvalidType",
    "MalformedQuery",
    "Object",
    "OutOfRange",
    "Plan",
    "SoqlError",
    "Unsupported",
    "ignore_case",
    "parse",
    "parse_search",
    "run",
    "total_size",
    "translate",
]
