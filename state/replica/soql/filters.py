"""FROM, USING SCOPE, WHERE, WITH and ORDER BY of one SELECT: which rows, in which order."""

import dataclasses
from collections.abc import Callable, Iterable

from sqlalchemy import ColumnElement, Select, UnaryExpression, select

from crmsync.state.replica.soql import ast
from crmsync.state.replica.soql.conditions import condition
from crmsync.state.replica.soql.distance import distance
from crmsync.state.replica.soql.errors import MalformedQuery, OutOfRange, Unsupported
from crmsync.state.replica.soql.functions import scalar
from crmsync.state.replica.soql.scope import Context, Expression, Scope, Term
from crmsync.state.replica.soql.scopes import scope_condition
from crmsync.state.replica.soql.values import ID_TYPES, comparable

MAX_OFFSET = 2_000  # Salesforce's own


class RowReader:
    """The meaning of operands where there are rows, not groups: SELECT, WHERE and ORDER BY."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    @property
    def context(self) -> Context:
        return self.scope.context

    def operand(self, operand: ast.Operand) -> Term:
        if isinstance(operand, ast.Path):
            return self.scope.term(operand)
        if operand.name == "DISTANCE":
            return distance(self.scope, operand)
        return scalar(self.context, operand, self.operand)

    def ids(self, query: ast.Query) -> Select[tuple[str | None]]:
        return _semi_join(self.context.deeper(query.at), query)


def open_scope(context: Context, query: ast.Query) -> Scope:
    """FROM: the object by its name, its alias, and aliases of parents (`FROM Contact c, c.Account a`)."""
    first, *others = query.sources
    if len(first.path.parts) != 1:
        context.object(str(first.path), first.path.at)  # no object has a dot in its name
    scope = Scope(context, context.object(first.path.parts[0], first.path.at))
    if first.alias is not None:
        scope.name(first.alias)
    for source in others:
        parents = scope.parts(source.path)
        scope.place(parents, source.path.at)
        scope.name(source.alias or source.path.parts[-1], parents)
    return scope


def row_conditions(scope: Scope, query: ast.Query) -> list[ColumnElement[bool]]:
    """What a row must satisfy to be in the answer, access and deletion included."""
    conditions = scope.context.conditions(scope.row)
    conditions += scope_condition(scope, query)
    _check_with(scope.context, query)
    if query.where is not None:
        conditions.append(condition(RowReader(scope), query.where))
    return conditions


def ordered(
    context: Context, orders: Iterable[ast.Order], resolve: Callable[[ast.Operand], Term]
) -> list[UnaryExpression[object]]:
    """ORDER BY: nulls stand first, ascending and descending, unless the statement says otherwise."""
    return [_ordering(context, order, resolve(order.operand)) for order in orders]


def _ordering(context: Context, order: ast.Order, term: Term) -> UnaryExpression[object]:
    if term.field is not None and not term.field.sortable:
        sentence = f"field '{term.label}' can not be sorted in a query call"
        raise context.error(MalformedQuery, sentence, order.operand.at)
    return placed(order, comparable(term), term.nullable)


def placed(order: ast.Order, key: Expression, nullable: bool) -> UnaryExpression[object]:
    direction = key.desc() if order.descending else key.asc()
    if not nullable:
        return direction
    return direction.nulls_last() if order.nulls_last else direction.nulls_first()


def check_window(context: Context, query: ast.Query) -> None:
    if query.offset is not None and query.offset > MAX_OFFSET:
        raise context.error(OutOfRange, f"Maximum SOQL offset allowed is {MAX_OFFSET}", query.at)


def _check_with(context: Context, query: ast.Query) -> None:
    """The modes change nothing, since every query already runs with its user's access."""
    if isinstance(query.with_, ast.WithCategories):
        raise context.error(
            Unsupported, "WITH DATA CATEGORY is not supported: there are no data categories", query.at
        )
    if isinstance(query.with_, ast.WithFilter):
        raise context.error(Unsupported, f"WITH {query.with_.name} is not supported", query.at)
    if query.updates:
        raise context.error(Unsupported, "UPDATE is not supported: there are no Knowledge articles", query.at)


def _semi_join(context: Context, query: ast.Query) -> Select[tuple[str | None]]:
    bare = dataclasses.replace(query, scope=None, where=None, with_=None, views=(), updates=())
    match query.selected:
        case (ast.Column(ast.Path() as path, None),) if bare == ast.Query(query.selected, query.sources):
            scope = open_scope(context, query)
        case _:
            sentence = "a semi join selects exactly one field, without groups, order, LIMIT and OFFSET"
            raise context.error(MalformedQuery, sentence, query.at)
    term = scope.term(path)
    if term.type not in ID_TYPES:
        raise context.error(
            MalformedQuery, f"a semi join must select an id or a reference, {term.label} is none", path.at
        )
    conditions = row_conditions(scope, query)
    return select(term.expression).select_from(scope.source).where(term.expression.is_not(None), *conditions)
