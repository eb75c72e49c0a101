"""What the parser does with each rule of `soql.lark`: the AST grows from its leaves, without recursion."""

from decimal import Decimal
from typing import Any, TypeVar

from lark import Token, Transformer, v_args

from crmsync.state.replica.soql import ast, dates, literals
from crmsync.state.replica.soql.errors import MalformedQuery

T = TypeVar("T")
MAX_SELECTED = 1_000  # fields; SQLite has room for 2,000 columns
MAX_CALLS = 2  # functions around a field
MAX_SORTED = 32  # fields in ORDER BY, Salesforce's own limit, and in GROUP BY
_MODES = frozenset({"SECURITY_ENFORCED", "USER_MODE", "SYSTEM_MODE"})
_WORDS = frozenset(  # of the language: names elsewhere, but not of a scope
    {"above", "above_or_below", "at", "below", "case", "category", "count", "data", "distance", "end", "fields", "flat",
     "geolocation", "group", "offset", "order", "reference", "scope", "then", "typeof", "view", "when"}
)  # fmt: skip
_FIELD_SETS = frozenset({"ALL", "STANDARD", "CUSTOM"})


def at(token: Token) -> ast.At:
    return ast.At(token.line or 1, token.column or 1)


def refusal(sentence: str, place: ast.At) -> MalformedQuery:
    return MalformedQuery(sentence, place.row, place.column)


@v_args(inline=True)
class Builder(Transformer[Token, ast.Query]):
    """One method per rule or alias of the grammar; raises MalformedQuery where the grammar is too generous."""

    def start(self, query: ast.Query) -> ast.Query:
        return query

    def query(
        self,
        select: Token,
        selected: tuple[ast.Selected, ...],
        sources: tuple[ast.Source, ...],
        *clauses: dict[str, Any],
    ) -> ast.Query:
        given = {name: value for clause in clauses for name, value in clause.items() if value is not None}
        return ast.Query(selected, sources, at=at(select), **given)

    def filters(
        self, scope: Token | None, where: ast.Condition | None, with_: ast.With | None
    ) -> dict[str, Any]:
        if scope is not None:
            _check_word(scope)
        return {"scope": None if scope is None else str(scope), "where": where, "with_": with_}

    def groups(
        self, group: ast.Grouping | None = None, having: ast.Condition | None = None
    ) -> dict[str, Any]:
        return {"group": group, "having": having}

    def page(
        self, order: tuple[ast.Order, ...] | None, limit: int | None, offset: int | None
    ) -> dict[str, Any]:
        return {"order": order, "limit": limit, "offset": offset}

    def marks(self, views: tuple[str, ...] | None, updates: tuple[str, ...] | None) -> dict[str, Any]:
        return {"views": views, "updates": updates}

    # SELECT

    def selection(self, *selected: ast.Selected) -> tuple[ast.Selected, ...]:
        _within(MAX_SELECTED, "SELECT", selected)
        _check_count(selected)
        return selected

    def column(self, operand: ast.Operand, alias: Token | None) -> ast.Selected:
        if isinstance(operand, ast.Call) and operand.name == "FIELDS":
            return _field_set(operand)
        return ast.Column(operand, None if alias is None else str(alias))

    def subselect(self, query: ast.Query) -> ast.Subselect:
        return ast.Subselect(query)

    def typeof(self, reference: ast.Path, *rest: Any) -> ast.TypeOf:
        return ast.TypeOf(reference, rest[:-1], rest[-1] or ())

    def when(self, name: Token, fields: tuple[ast.Path, ...]) -> ast.When:
        return ast.When(str(name), fields, at(name))

    def otherwise(self, fields: tuple[ast.Path, ...]) -> tuple[ast.Path, ...]:
        return fields

    def plain_fields(self, *paths: ast.Path) -> tuple[ast.Path, ...]:
        return paths

    # FROM

    def from_(self, *sources: ast.Source) -> tuple[ast.Source, ...]:
        return sources

    def source(self, path: ast.Path, alias: Token | None = None) -> ast.Source:
        return ast.Source(path, None if alias is None else str(alias))

    # WHERE and HAVING

    def and_(self, *parts: ast.Condition) -> ast.Condition:
        return ast.And(parts)

    def or_(self, *parts: ast.Condition) -> ast.Condition:
        return ast.Or(parts)

    def not_(self, part: ast.Condition) -> ast.Condition:
        return ast.Not(part)

    def compare(self, operand: ast.Operand, operator: Token, value: ast.Literal) -> ast.Condition:
        _check_field(operand)
        sign = "".join(operator.split())  # `> =` is one, too
        return ast.Compare(operand, ast.Operator("!=" if sign == "<>" else sign), value)

    def like(self, operand: ast.Operand, value: ast.Literal) -> ast.Condition:
        return ast.Like(operand, value)

    def in_(self, operand: ast.Operand, values: tuple[ast.Literal, ...]) -> ast.Condition:
        return ast.In(operand, values)

    def not_in(self, operand: ast.Operand, values: tuple[ast.Literal, ...]) -> ast.Condition:
        return ast.NotIn(operand, values)

    def semi_join(self, operand: ast.Operand, query: ast.Query) -> ast.Condition:
        _check_semi_join(query)
        return ast.SemiJoin(operand, query)

    def anti_join(self, operand: ast.Operand, query: ast.Query) -> ast.Condition:
        _check_semi_join(query)
        return ast.AntiJoin(operand, query)

    def includes(self, operand: ast.Operand, values: tuple[ast.Literal, ...]) -> ast.Condition:
        return ast.Includes(operand, values)

    def excludes(self, operand: ast.Operand, values: tuple[ast.Literal, ...]) -> ast.Condition:
        return ast.Excludes(operand, values)

    # Operands and literals

    def path(self, *names: Token) -> ast.Path:
        return ast.Path(tuple(map(str, names)), at(names[0]))

    def call(self, name: Token, argument: ast.Operand | None) -> ast.Call:
        if argument is None and name.upper() != "COUNT":
            raise refusal(f"{name}() takes a field", at(name))
        call = ast.Call(name.upper(), () if argument is None else (argument,), at(name))
        if _calls(call) > MAX_CALLS:
            raise refusal(f"functions are nested more than {MAX_CALLS} deep", at(name))
        return call

    def distance(
        self, name: Token, path: ast.Path, inner: Token, latitude: Token, longitude: Token, unit: Token
    ) -> ast.Call:
        if name.upper() != "DISTANCE":
            raise refusal(f"{name}() takes one field", at(name))
        if inner.upper() != "GEOLOCATION":
            raise refusal(f"unexpected token: '{inner}'", at(inner))
        place = ast.Call("GEOLOCATION", (self.number(latitude), self.number(longitude)), at(inner))
        return ast.Call("DISTANCE", (path, place, self.text(unit)), at(name))

    def literals(self, *values: ast.Literal) -> tuple[ast.Literal, ...]:
        return values

    def text(self, token: Token) -> ast.Text:
        try:
            return ast.Text(*literals.text(token))
        except ValueError as error:
            raise refusal(str(error), at(token)) from None

    def number(self, token: Token) -> ast.Number:
        if len(token) > literals.MAX_DIGITS:
            raise refusal("the number has too many digits", at(token))
        return ast.Number(Decimal("".join(token.split())))

    def money(self, token: Token) -> ast.Money:
        if len(token) > literals.MAX_DIGITS:
            raise refusal("the number has too many digits", at(token))
        return ast.Money(token[:3].upper(), Decimal(token[3:]))

    def day(self, token: Token) -> ast.Day:
        try:
            return ast.Day(literals.day(token))
        except ValueError:
            raise refusal(f"invalid date: {token}", at(token)) from None

    def moment(self, token: Token) -> ast.Moment:
        try:
            return ast.Moment(literals.moment(token))
        except ValueError:
            raise refusal(f"invalid date and time: {token[:40]}", at(token)) from None

    def clock(self, token: Token) -> ast.Clock:
        try:
            return ast.Clock(literals.moment(f"2000-01-01T{token}").time())
        except ValueError:
            raise refusal(f"invalid time: {token[:40]}", at(token)) from None

    def true(self) -> ast.Truth:
        return ast.Truth(True)

    def false(self) -> ast.Truth:
        return ast.Truth(False)

    def null(self) -> ast.Null:
        return ast.Null()

    def word(self, token: Token) -> ast.Literal:
        if token.upper() in dates.PERIODS:
            return ast.Relative(token.upper(), None, at(token))
        raise refusal(f"unexpected token: '{token}'", at(token))

    def counted(self, token: Token, number: Token) -> ast.Relative:
        if token.upper() not in dates.COUNTED:
            raise refusal(f"unexpected token: '{token}'", at(token))
        if not number.isdecimal():
            raise refusal(f"unexpected token: '{number[:20]}'", at(number))
        return ast.Relative(token.upper(), _whole(number), at(token))

    # The clauses after WHERE

    def with_mode(self, mode: Token) -> ast.With:
        return ast.WithMode(mode.upper()) if mode.upper() in _MODES else ast.WithFilter(str(mode))

    def with_filter(self, path: ast.Path, operator: Token, value: Token) -> ast.With:
        if operator != "=":
            raise refusal(f"unexpected token: '{operator}'", at(operator))
        return ast.WithFilter(str(path))

    def with_categories(self, *categories: ast.Category) -> ast.With:
        return ast.WithCategories(categories)

    def category(self, group: Token, selector: Token, *names: Token) -> ast.Category:
        return ast.Category(str(group), selector.upper(), tuple(map(str, names)))

    def group_by(self, *operands: ast.Operand) -> ast.Grouping:
        _within(MAX_SORTED, "GROUP BY", operands)
        return ast.GroupBy(operands)

    def rollup(self, *operands: ast.Operand) -> ast.Grouping:
        return ast.Rollup(operands)

    def cube(self, *operands: ast.Operand) -> ast.Grouping:
        return ast.Cube(operands)

    def order(self, *orders: ast.Order) -> tuple[ast.Order, ...]:
        _within(MAX_SORTED, "ORDER BY", orders)
        return orders

    def ordering(self, operand: ast.Operand, direction: Token | None, nulls: Token | None) -> ast.Order:
        _check_field(operand)
        return ast.Order(
            operand,
            descending=direction is not None and direction.lower() == "desc",
            nulls_last=nulls is not None and nulls.lower() == "last",
        )

    def count(self, number: Token) -> int:
        return _whole(number)

    def views(self, word: Token) -> tuple[str, ...]:
        return (word.upper(),)

    def updates(self, *words: Token) -> tuple[str, ...]:
        for word in words:
            _check_word(word)
        return tuple(word.upper() for word in words)


def _check_count(selected: tuple[ast.Selected, ...]) -> None:
    """COUNT() counts rows, all by itself; elsewhere it has a field."""
    alone = len(selected) == 1 and isinstance(selected[0], ast.Column) and selected[0].alias is None
    for each in selected:
        match each:
            case ast.Column(ast.Call("COUNT", ()) as call) if not alone:
                raise refusal("COUNT() without a field must stand alone, without an alias", call.at)


def _check_field(operand: ast.Operand) -> None:
    match operand:
        case ast.Call("COUNT", ()):
            raise refusal("COUNT() takes a field here", operand.at)


def _check_semi_join(query: ast.Query) -> None:
    """One field or function, FROM, USING SCOPE and WHERE: nothing else."""
    bare = ast.Query(query.selected, query.sources, query.scope, query.where)
    match query.selected:
        case (ast.FieldSet() | ast.Column(ast.Path() | ast.Call("COUNT", (_,)), None),) if query == bare:
            return
        case (ast.Column(ast.Call(name), None),) if query == bare and name != "COUNT":
            return
    sentence = "a semi join selects exactly one field, without groups, order, LIMIT and OFFSET"
    raise refusal(sentence, query.at)


def _calls(operand: ast.Argument) -> int:
    inner = operand.arguments[0] if isinstance(operand, ast.Call) and operand.arguments else None
    return isinstance(operand, ast.Call) + (0 if inner is None else _calls(inner))


def _within(limit: int, clause: str, parts: tuple[object, ...]) -> None:
    if len(parts) > limit:
        raise refusal(f"{clause} cannot list more than {limit} fields", ast.START)


def _check_word(word: Token) -> None:
    """Scopes and what is updated are words of their own."""
    if word.lower() in _WORDS:
        raise refusal(f"unexpected token: '{word}'", at(word))


def _whole(number: Token) -> int:
    digits = number.removeprefix("+").strip()
    if not digits.isdecimal() or len(digits) > 9:
        raise refusal(f"unexpected token: '{number[:20]}'; a whole number was expected", at(number))
    return int(digits)


def _field_set(call: ast.Call) -> ast.FieldSet:
    match call:
        case ast.Call("FIELDS", (ast.Path((kind,)),)) if kind.upper() in _FIELD_SETS:
            return ast.FieldSet(kind.upper(), call.at)
        case ast.Call("FIELDS"):
            raise refusal("FIELDS() takes ALL, STANDARD or CUSTOM", call.at)
    raise refusal(f"unexpected token: '{call.name}'", call.at)
