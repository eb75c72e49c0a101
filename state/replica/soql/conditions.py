"""WHERE and HAVING as SQL.

SOQL knows true and false only, SQL also null. Null counts as false, and AND and OR cannot tell the difference;
so only a negation has to settle it first, by asking whether its part is anything but true.
"""

from typing import Protocol

from sqlalchemy import ColumnElement, Select, true
from sqlalchemy.sql.elements import Grouping

from crmsync.state.replica.soql import ast
from crmsync.state.replica.soql.anywhere import anywhere
from crmsync.state.replica.soql.distance import check_operator
from crmsync.state.replica.soql.errors import InvalidField
from crmsync.state.replica.soql.logic import all_of, any_of
from crmsync.state.replica.soql.scope import Context, Term
from crmsync.state.replica.soql.values import ID_TYPES, Comparison


class Reader(Protocol):
    """Where conditions get the meaning of their operands and subqueries from."""

    @property
    def context(self) -> Context: ...

    def operand(self, operand: ast.Operand) -> Term: ...

    def ids(self, query: ast.Query) -> Select[tuple[str | None]]:
        """The one id column that a semi-join's query selects, without nulls."""
        ...


def condition(reader: Reader, part: ast.Condition) -> ColumnElement[bool]:
    match part:
        case ast.And(parts):
            return all_of([condition(reader, each) for each in parts])
        case ast.Or(parts):
            return any_of([condition(reader, each) for each in parts])
        case ast.Not(inner):
            return _untrue(condition(reader, inner))
        case ast.Compare(operand, operator, value):
            check_operator(reader.context, operand, operator)
            return _comparison(reader, operand).compare(operator, value)
        case ast.Like(ast.Call(ast.TEXTS, paths), ast.Text() as sought):
            texts = [reader.operand(each).expression for each in paths if isinstance(each, ast.Path)]
            return anywhere(texts, sought.pattern)
        case ast.Like(operand, value):
            return _comparison(reader, operand).like(value)
        case ast.In(operand, values):
            return _comparison(reader, operand).among(values)
        case ast.NotIn(operand, values):
            return _untrue(_comparison(reader, operand).among(values))
        case ast.Includes(operand, values):
            return _comparison(reader, operand).includes(values)
        case ast.Excludes(operand, values):
            return _untrue(_comparison(reader, operand).includes(values))
        case ast.SemiJoin(operand, query):
            return _semi_join(reader, operand, query)
        case ast.AntiJoin(operand, query):
            return _untrue(_semi_join(reader, operand, query))


def _comparison(reader: Reader, operand: ast.Operand) -> Comparison:
    term = reader.operand(operand)
    if term.field is not None and not term.field.filterable:
        sentence = f"field '{term.label}' can not be filtered in a query call"
        raise reader.context.error(InvalidField, sentence, operand.at)
    return Comparison(reader.context, term, operand.at)


def _semi_join(reader: Reader, operand: ast.Operand, query: ast.Query) -> ColumnElement[bool]:
    term = reader.operand(operand)
    if term.type not in ID_TYPES:
        sentence = f"the left operand of a semi join must be an id or a reference, {term.label} is none"
        raise reader.context.error(InvalidField, sentence, operand.at)
    within: ColumnElement[bool] = term.expression.in_(reader.ids(query))
    return within


def _untrue(inner: ColumnElement[bool]) -> ColumnElement[bool]:
    return Grouping(inner).is_not(true())
