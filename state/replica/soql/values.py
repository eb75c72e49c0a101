"""Literals as bind parameters, checked against the type of the field that they are compared with."""

import datetime
import re
from decimal import Decimal

from sqlalchemy import ColumnElement, and_, false, literal, or_
from sqlalchemy.types import Boolean, Date, DateTime, Float, Integer, String

from crmsync.state.replica import ids
from crmsync.state.replica.soql import ast, dates
from crmsync.state.replica.soql.ast import Operator
from crmsync.state.replica.soql.collation import folded
from crmsync.state.replica.soql.errors import InvalidField, InvalidOperator, MalformedQuery, Unsupported
from crmsync.state.replica.soql.logic import all_of, any_of
from crmsync.state.replica.soql.prefixes import like
from crmsync.state.replica.soql.scope import Context, Expression, Term

ID_TYPES = frozenset({"id", "reference"})
NUMBER_TYPES = frozenset({"int", "long", "double", "currency", "percent"})
_NOT_TEXT = ID_TYPES | NUMBER_TYPES | {"boolean", "date", "datetime", "time"}
_LARGEST = 2**31 - 1
_LIKE = re.compile(r"[\\%_]")  # what LIKE reads as more than itself
_BACKSLASH = r"\\\g<0>"
_SPELLING = {"datetime": "dateTime"}  # in this one message
MAX_PATTERN = 4_000  # characters of a LIKE pattern, Salesforce's own limit for a string in WHERE
MAX_CHOICES = 500  # Salesforce's own limit for the values of a multi-select picklist


def is_text(term: Term) -> bool:
    """Everything that is stored as a string and compared without regard to case."""
    return term.type not in _NOT_TEXT


def comparable(term: Term) -> Expression:
    """The term as it is compared and sorted: text without regard to case."""
    return folded(term.expression) if is_text(term) else term.expression


class Comparison:
    """One operand, compared with literals. Conditions may be null in SQL, which counts as false."""

    def __init__(self, context: Context, term: Term, at: ast.At) -> None:
        self.context = context
        self.term = term
        self.at = at

    def compare(self, operator: Operator, value: ast.Literal) -> ColumnElement[bool]:
        if self.term.type == "boolean" and operator not in (Operator.EQUAL, Operator.UNEQUAL):
            raise self._error(InvalidOperator, "invalid operator on boolean field")
        if self.term.type == "boolean" and isinstance(value, ast.Null):
            value = ast.Truth(False)  # "null matches FALSE values" (SOQL Reference, "Use null in WHERE")
        if self._is_null(value):
            return self._null(operator, value)
        if isinstance(value, ast.Relative):
            return self._period(operator, value)
        return self._plain(operator, self.bound(value))

    def among(self, values: tuple[ast.Literal, ...]) -> ColumnElement[bool]:
        """IN: equal to one of the literals, of which null and date literals can be some."""
        values = tuple(dict.fromkeys(values))
        special = [each for each in values if self._is_null(each) or isinstance(each, ast.Relative)]
        plain = [self.bound(each) for each in values if each not in special]
        parts = [self.compare(Operator.EQUAL, each) for each in special]
        if plain:
            parts.append(comparable(self.term).in_(plain))
        return any_of(parts)

    def like(self, value: ast.Literal) -> ColumnElement[bool]:
        if not is_text(self.term):
            raise self._error(InvalidOperator, f"invalid operator on {self.term.type} field")
        if not isinstance(value, ast.Text):
            raise self._mismatch()
        if len(value.pattern) > MAX_PATTERN:
            raise self._error(
                MalformedQuery, f"a LIKE pattern cannot be longer than {MAX_PATTERN} characters"
            )
        return like(comparable(self.term), value.pattern)

    def includes(self, values: tuple[ast.Literal, ...]) -> ColumnElement[bool]:
        if self.term.type != "multipicklist":
            sentence = f"includes or excludes operator only valid on multi picklist field: {self.term.label}"
            raise self._error(InvalidOperator, sentence)
        return any_of(map(self._holds, values))

    def bound(self, value: ast.Literal) -> Expression:
        """The literal as a bind parameter; raises InvalidField if the field's type has no such values."""
        match self.term.type, value:
            case (("id" | "reference"), ast.Text(written)):
                return literal(self._id(written), String())
            case "boolean", ast.Truth(truth):
                return literal(truth, Boolean())
            case "date", ast.Day(day):
                return literal(day, Date())
            case "datetime", ast.Moment(moment):
                return literal(naive(moment), DateTime())
            case _, ast.Number(number) if self.term.type in NUMBER_TYPES:
                return _number(number)
            case _, ast.Text(written) if is_text(self.term):
                return folded(literal(written, String()))
            case _, ast.Money(currency) if self.term.type in NUMBER_TYPES:
                raise self._error(
                    Unsupported, f"{currency} amounts: this CRM keeps one currency, compare numbers"
                )
        raise self._mismatch()

    def _is_null(self, value: ast.Literal) -> bool:
        """An empty string is no value: Salesforce stores it as null."""
        empty = value == ast.Text("") and (is_text(self.term) or self.term.type in ID_TYPES)
        return empty or isinstance(value, ast.Null)

    def _null(self, operator: Operator, value: ast.Literal) -> ColumnElement[bool]:
        """`> ''` is a way to say that there is something: django-salesforce's tests of real organisations use it."""
        match operator, value:
            case Operator.EQUAL, _:
                return self.term.expression.is_(None)
            case (Operator.UNEQUAL, _) | (Operator.GREATER, ast.Text()):
                return self.term.expression.is_not(None)
            case _:
                return false()

    def _plain(self, operator: Operator, bound: Expression) -> ColumnElement[bool]:
        left = comparable(self.term)
        match operator:
            case Operator.EQUAL:
                return left == bound
            case Operator.UNEQUAL:
                return self._or_null(left != bound)
            case Operator.LESS:
                return left < bound
            case Operator.AT_MOST:
                return left <= bound
            case Operator.GREATER:
                return left > bound
            case Operator.AT_LEAST:
                return left >= bound

    def _period(self, operator: Operator, literal_: ast.Relative) -> ColumnElement[bool]:
        """Comparison with a stretch of days: equal is within, less is before, greater is after it."""
        first, end = self._bounds(literal_)
        left = self.term.expression
        match operator:
            case Operator.EQUAL:
                return and_(left >= first, left < end)
            case Operator.UNEQUAL:
                return self._or_null(or_(left < first, left >= end))
            case Operator.LESS:
                return left < first
            case Operator.AT_MOST:
                return left < end
            case Operator.GREATER:
                return left >= end
            case Operator.AT_LEAST:
                return left >= first

    def _bounds(self, value: ast.Relative) -> tuple[Expression, Expression]:
        if self.term.type not in ("date", "datetime"):
            raise self._mismatch()
        now = self.context.now
        try:
            first, end = dates.days(value.name, value.count, now.date(), self.context.fiscal_month)
            if self.term.type == "date":
                return literal(first, Date()), literal(end, Date())
            zone = now.tzinfo
            return literal(_midnight(first, zone), DateTime()), literal(_midnight(end, zone), DateTime())
        except OverflowError:
            raise self._error(
                MalformedQuery, f"{value.name}:{value.count} is out of range", value.at
            ) from None

    def _or_null(self, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        return or_(condition, self.term.expression.is_(None)) if self.term.nullable else condition

    def _holds(self, value: ast.Literal) -> ColumnElement[bool]:
        """`A;B`: both are chosen, in whatever order the field keeps them."""
        if not isinstance(value, ast.Text):
            raise self._mismatch()
        chosen = literal(";") + folded(self.term.expression) + literal(";")
        wanted = value.value.split(";")
        if len(wanted) > MAX_CHOICES:
            raise self._error(
                MalformedQuery, f"more than {MAX_CHOICES} values in one string: {self.term.label}"
            )
        patterns = (folded(literal(f"%;{_LIKE.sub(_BACKSLASH, each)};%", String())) for each in wanted)
        return all_of(chosen.like(pattern, escape="\\") for pattern in patterns)

    def _id(self, written: str) -> str:
        if not ids.is_valid(written):
            raise self._error(InvalidOperator, f"invalid ID field: {written[:40]}")
        return self.context.current(ids.to_18(written))

    def _mismatch(self) -> Exception:
        quotes = "should" if is_text(self.term) or self.term.type in ID_TYPES else "should not"
        type_ = _SPELLING.get(self.term.type, self.term.type)
        rule = f"must be of type {type_} and {quotes} be enclosed in quotes"
        sentence = f"value of filter criterion for field '{self.term.label}' {rule}"
        return self._error(InvalidField, sentence)

    def _error(
        self,
        kind: type[InvalidField | InvalidOperator | MalformedQuery | Unsupported],
        sentence: str,
        at: ast.At | None = None,
    ) -> Exception:
        return self.context.error(kind, sentence, at or self.at)


def naive(moment: datetime.datetime) -> datetime.datetime:
    """As datetime columns keep it: UTC, without saying so."""
    return moment.astimezone(datetime.UTC).replace(tzinfo=None)


def _midnight(day: datetime.date, zone: datetime.tzinfo | None) -> datetime.datetime:
    return naive(datetime.datetime.combine(day, datetime.time(), zone or datetime.UTC))


def _number(value: Decimal) -> Expression:
    """Whole numbers as such, so that an integer column can use its index; the rest as floating point."""
    if value == value.to_integral_value() and abs(value) <= _LARGEST:
        return literal(int(value), Integer())
    return literal(float(value), Float())
