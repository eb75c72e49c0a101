"""SOQL's functions in SQL that SQLite and PostgreSQL share."""

import datetime
from collections.abc import Callable

from sqlalchemy import Date, Integer, cast, extract, func, literal_column

from crmsync.state.replica.soql import ast
from crmsync.state.replica.soql.errors import InvalidField, MalformedQuery, Unsupported
from crmsync.state.replica.soql.scope import Context, Expression, Term
from crmsync.state.replica.soql.values import NUMBER_TYPES, comparable

AGGREGATES = frozenset({"COUNT", "COUNT_DISTINCT", "SUM", "AVG", "MIN", "MAX"})
Resolve = Callable[[ast.Operand], Term]


def _part(name: str) -> Callable[[Context, Expression], Expression]:
    return lambda context, moment: cast(extract(name, moment), Integer)


def _n(number: int) -> Expression:
    """A constant in the text of the SQL: PostgreSQL takes two bind parameters for two different groupings."""
    return literal_column(str(number), Integer)


def _counted(part: Expression, size: int) -> Expression:
    """Which stretch of `size` a part that counts from 1 lies in: months in quarters, days in weeks."""
    return (part + _n(size - 1)) // _n(size)


_year = _part("year")
_month = _part("month")
_day = _part("day")
_day_of_year = _part("doy")


def _fiscal_month(context: Context, moment: Expression) -> Expression:
    return (_month(context, moment) + _n(12 - context.fiscal_month)) % _n(12) + _n(1)


def _fiscal_year(context: Context, moment: Expression) -> Expression:
    return (
        _year(context, moment) + _counted(_month(context, moment) + _n(1 - context.fiscal_month), 12) - _n(1)
    )


DATE_FUNCTIONS: dict[str, Callable[[Context, Expression], Expression]] = {
    "CALENDAR_YEAR": _year,
    "CALENDAR_QUARTER": lambda context, moment: _counted(_month(context, moment), 3),
    "CALENDAR_MONTH": _month,
    "FISCAL_YEAR": _fiscal_year,
    "FISCAL_QUARTER": lambda context, moment: _counted(_fiscal_month(context, moment), 3),
    "FISCAL_MONTH": _fiscal_month,
    "DAY_IN_MONTH": _day,
    "DAY_IN_WEEK": lambda context, moment: _part("dow")(context, moment) + _n(1),  # 1 is Sunday
    "DAY_IN_YEAR": _day_of_year,
    "WEEK_IN_MONTH": lambda context, moment: _counted(_day(context, moment), 7),
    "WEEK_IN_YEAR": lambda context, moment: _counted(_day_of_year(context, moment), 7),
    "HOUR_IN_DAY": _part("hour"),
}


def scalar(context: Context, call: ast.Call, resolve: Resolve) -> Term:
    """A function of one row; raises MalformedQuery for one that there is none. DISTANCE reads two columns: not here."""
    if call.name in ("DISTANCE", "GEOLOCATION"):
        raise context.error(
            Unsupported,
            f"{call.name}() is supported in WHERE, ORDER BY and among the fields of records",
            call.at,
        )
    if call.name in AGGREGATES or call.name == "GROUPING":
        raise context.error(MalformedQuery, f"aggregate function {call.name}() is not allowed here", call.at)
    known = call.name in DATE_FUNCTIONS or call.name in (
        "DAY_ONLY",
        "TOLABEL",
        "CONVERTCURRENCY",
        "CONVERTTIMEZONE",
    )
    if not known:
        raise context.error(MalformedQuery, f"unknown function {call.name}()", call.at)
    term = resolve(argument(context, call))
    match call.name:
        case "TOLABEL":  # the labels of this CRM's picklists are their values
            return Term(term.expression, term.type, term.label, term.nullable)
        case "CONVERTCURRENCY":
            return _typed(context, call, term, NUMBER_TYPES, term.expression, term.type)
        case "CONVERTTIMEZONE":
            return _converted(context, call, term)
        case "DAY_ONLY":
            whole = func.date(term.expression, type_=Date())
            return _typed(context, call, term, {"datetime"}, whole, "date")
    if call.name == "HOUR_IN_DAY":
        _typed(context, call, term, {"datetime"}, term.expression, "int")
    number = DATE_FUNCTIONS[call.name](context, term.expression)
    return _typed(context, call, term, {"date", "datetime"}, number, "int")


def aggregate(context: Context, call: ast.Call, resolve: Resolve) -> Term:
    """COUNT(f), COUNT_DISTINCT, SUM, AVG, MIN, MAX over the rows of a group."""
    term = resolve(argument(context, call))
    value = term.expression
    match call.name:
        case "COUNT":
            return Term(func.count(value), "int", term.label, nullable=False)
        case "COUNT_DISTINCT":
            return Term(func.count(comparable(term).distinct()), "int", term.label, nullable=False)
        case "SUM":
            return _typed(context, call, term, NUMBER_TYPES, func.sum(value), term.type)
        case "AVG":
            return _typed(context, call, term, NUMBER_TYPES, func.avg(value), "double")
    if term.type in ("boolean", "multipicklist", "textarea"):
        raise context.error(
            MalformedQuery, f"field {term.label} does not support aggregate operator {call.name}", call.at
        )
    extreme = func.min(value) if call.name == "MIN" else func.max(value)
    return Term(extreme, term.type, term.label)


def argument(context: Context, call: ast.Call) -> ast.Operand:
    match call.arguments:
        case ((ast.Path() | ast.Call()) as operand,):
            return operand
    raise context.error(MalformedQuery, f"{call.name}() takes one field", call.at)


def _typed(
    context: Context,
    call: ast.Call,
    term: Term,
    types: frozenset[str] | set[str],
    result: Expression,
    type: str,
) -> Term:
    if term.type not in types:
        if call.name in AGGREGATES:
            sentence = f"field {term.label} does not support aggregate operator {call.name}"
            raise context.error(MalformedQuery, sentence, call.at)
        raise context.error(
            InvalidField, f"{call.name}() does not take the {term.type} field {term.label}", call.at
        )
    return Term(result, type, term.label)


def _converted(context: Context, call: ast.Call, term: Term) -> Term:
    """convertTimezone: to the reader's zone, which in SQL can only be UTC, since others change their offset."""
    if context.now.tzinfo not in (None, datetime.UTC):
        raise context.error(Unsupported, "convertTimezone() is supported for users in UTC only", call.at)
    return _typed(context, call, term, {"datetime"}, term.expression, term.type)
