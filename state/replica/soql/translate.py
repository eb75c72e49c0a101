"""`ast.Query` -> `Plan`: names looked up in the catalog, literals as bind parameters, one select per SELECT."""

import datetime
from collections.abc import Callable
from typing import Any

from sqlalchemy import Select, func, literal_column, select

from crmsync.state.replica.soql import ast
from crmsync.state.replica.soql.aggregate import aggregates, is_aggregate
from crmsync.state.replica.soql.catalog import Catalog
from crmsync.state.replica.soql.filters import check_window, open_scope, row_conditions
from crmsync.state.replica.soql.plan import Count, Plan
from crmsync.state.replica.soql.records import records
from crmsync.state.replica.soql.scope import Context, Scope, Visible


def translate(
    query: ast.Query,
    catalog: Catalog,
    *,
    now: datetime.datetime,
    include_deleted: bool,
    visible: Visible,
    user: str | None = None,
    fiscal_month: int = 1,
    current: Callable[[str], str] = str,
) -> Plan:
    """What answers the query.

    Date literals are relative to `now`, days begin in its time zone. `visible` gives, for an object and the
    alias of its table, the condition under which the reader may see a row (None: always); it is asked for every
    object that the query reads. `user` is whose records USING SCOPE mine means. `fiscal_month` begins the
    fiscal year. `current` gives the id that a record has now, for ids that clients know it by. Raises SoqlError.
    """
    context = Context(catalog, now, include_deleted, visible, query.text, user, current, fiscal_month)
    scope = open_scope(context, query)
    check_window(context, query)
    if _is_count(query):
        return _count(scope, query)
    if is_aggregate(query):
        return aggregates(scope, query)
    return records(scope, query)


def _is_count(query: ast.Query) -> bool:
    match query.selected:
        case (ast.Column(ast.Call("COUNT", ()), alias=None),):
            return query.group is None
    return False


def _count(scope: Scope, query: ast.Query) -> Plan:
    conditions = row_conditions(scope, query)
    rows: Select[Any] = select(literal_column("1")).select_from(scope.source).where(*conditions)
    window = rows.limit(query.limit).offset(query.offset).subquery()
    return Plan(select(func.count()).select_from(window), scope.object.name, Count())
