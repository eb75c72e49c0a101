"""SELECT of groups: GROUP BY with ROLLUP and CUBE, aggregate functions, HAVING."""

from itertools import combinations
from typing import Any, TypeAlias

from sqlalchemy import Select, cast, func, literal, null, select, union_all
from sqlalchemy.types import Integer

from crmsync.state.replica.soql import ast
from crmsync.state.replica.soql.conditions import condition
from crmsync.state.replica.soql.errors import InvalidField, MalformedQuery
from crmsync.state.replica.soql.filters import RowReader, ordered, placed, row_conditions
from crmsync.state.replica.soql.functions import AGGREGATES, aggregate, argument
from crmsync.state.replica.soql.plan import Aggregate, Plan, Value
from crmsync.state.replica.soql.scope import Context, Expression, Scope, Term
from crmsync.state.replica.soql.values import comparable, is_text

MAX_CUBE = 3  # fields in ROLLUP or CUBE, Salesforce's own limit

Key: TypeAlias = tuple[Any, ...]  # an operand without what spelling leaves open: case, alias in front


def is_aggregate(query: ast.Query) -> bool:
    """Whether the answer is AggregateResult rows."""
    selected = (each.operand for each in query.selected if isinstance(each, ast.Column))
    return query.group is not None or query.having is not None or any(map(_aggregates, selected))


def _aggregates(operand: ast.Operand) -> bool:
    if isinstance(operand, ast.Path):
        return False
    inner = (each for each in operand.arguments if isinstance(each, ast.Path | ast.Call))
    return operand.name in AGGREGATES or any(map(_aggregates, inner))


def aggregates(scope: Scope, query: ast.Query) -> Plan:
    """The plan of a SELECT with GROUP BY, or with aggregate functions over all rows."""
    names = _names(scope, query)
    sets = _grouping_sets(scope.context, query.group)
    reader = GroupReader(scope, sets[0], frozenset())
    terms = [reader.operand(operand) for _, operand, _ in names]
    slots = tuple(
        (name, Value(index, term.type, formatted))
        for index, ((name, _, formatted), term) in enumerate(zip(names, terms, strict=True))
    )
    operands = [operand for _, operand, _ in names]
    if isinstance(query.group, ast.Rollup | ast.Cube):
        statement = _united(scope, query, operands, sets)
    else:
        orders = ordered(scope.context, query.order, reader.operand)
        statement = _grouped(scope, query, reader, operands).order_by(*orders)
    return Plan(statement.limit(query.limit).offset(query.offset), scope.object.name, Aggregate(slots))


class GroupReader:
    """The meaning of operands where there are groups. `dropped` are the fields that a subtotal is taken over."""

    def __init__(self, scope: Scope, grouped: tuple[ast.Operand, ...], dropped: frozenset[Key]) -> None:
        self.scope = scope
        self.rows = RowReader(scope)
        self.grouped = grouped
        self.dropped = dropped
        self._keys = {_key(scope, operand) for operand in grouped} | dropped

    @property
    def context(self) -> Context:
        return self.scope.context

    def operand(self, operand: ast.Operand) -> Term:
        key = _key(self.scope, operand)
        if key in self._keys:
            return self._group(operand, key)
        match operand:
            case ast.Call("COUNT", ()):
                return Term(func.count(), "int", "COUNT", nullable=False)
            case ast.Call("GROUPING"):
                return self._grouping(operand)
            case ast.Call(name) if name in AGGREGATES:
                return aggregate(self.context, operand, self.rows.operand)
        self.rows.operand(operand)  # an unknown name is the better message
        raise self.context.error(
            MalformedQuery, f"Field must be grouped or aggregated: {operand}", operand.at
        )

    def ids(self, query: ast.Query) -> Select[tuple[str | None]]:
        return self.rows.ids(query)

    def keys(self) -> list[Expression]:
        """What makes two rows one group: text that differs in case only is the same."""
        return [comparable(self.rows.operand(operand)) for operand in self.grouped]

    def _group(self, operand: ast.Operand, key: Key) -> Term:
        term = self.rows.operand(operand)
        if term.field is not None and not term.field.groupable:
            sentence = f"field '{term.label}' can not be grouped in a query call"
            raise self.context.error(MalformedQuery, sentence, operand.at)
        if key not in self.dropped:
            one = (
                func.min(term.expression) if is_text(term) else term.expression
            )  # of those that a group holds
            return Term(one, term.type, term.label, term.nullable)
        return Term(cast(null(), term.expression.type), term.type, term.label)

    def _grouping(self, call: ast.Call) -> Term:
        """1 in the rows that are subtotals over the field, else 0."""
        key = _key(self.scope, argument(self.context, call))
        if key not in self._keys:
            raise self.context.error(MalformedQuery, f"{call} asks for a field that is not grouped", call.at)
        return Term(literal(int(key in self.dropped), Integer()), "int", "GROUPING", nullable=False)


def _grouped(scope: Scope, query: ast.Query, reader: GroupReader, operands: list[ast.Operand]) -> Select[Any]:
    columns = [reader.operand(operand).expression.label(f"c{i}") for i, operand in enumerate(operands)]
    having = [] if query.having is None else [condition(reader, query.having)]
    conditions = row_conditions(scope, query)
    statement = select(*columns).select_from(scope.source).where(*conditions)
    return statement.group_by(*reader.keys()).having(*having)


def _united(
    scope: Scope, query: ast.Query, operands: list[ast.Operand], sets: list[tuple[ast.Operand, ...]]
) -> Select[Any]:
    """ROLLUP and CUBE as one select per grouping set, since SQLite has neither."""
    parts = []
    for grouped in sets:
        kept = {_key(scope, operand) for operand in grouped}
        dropped = frozenset(_key(scope, operand) for operand in sets[0]) - kept
        reader = GroupReader(scope, grouped, dropped)
        keys = [comparable(reader.operand(order.operand)) for order in query.order]
        part = _grouped(scope, query, reader, operands)
        parts.append(part.add_columns(*(key.label(f"o{i}") for i, key in enumerate(keys))))
    rows = union_all(*parts).subquery()
    columns = [rows.c[f"c{i}"] for i in range(len(operands))]
    orders = [placed(order, rows.c[f"o{i}"], nullable=True) for i, order in enumerate(query.order)]
    return select(*columns).order_by(*orders)


def _grouping_sets(context: Context, group: ast.Grouping | None) -> list[tuple[ast.Operand, ...]]:
    """The fields of each set of groups, the complete one first."""
    match group:
        case None:
            return [()]
        case ast.GroupBy(operands):
            return [operands]
    operands = group.operands
    if len(operands) > MAX_CUBE:
        sentence = f"ROLLUP and CUBE take at most {MAX_CUBE} fields"
        raise context.error(MalformedQuery, sentence, operands[0].at)
    sizes = range(len(operands), -1, -1)
    if isinstance(group, ast.Rollup):
        return [operands[:size] for size in sizes]
    return [subset for size in sizes for subset in combinations(operands, size)]


def _names(scope: Scope, query: ast.Query) -> list[tuple[str, ast.Operand, bool]]:
    """(name in the reply, operand, whether FORMAT() was around it) of everything that is selected."""
    names: list[tuple[str, ast.Operand, bool]] = []
    unnamed = 0
    for selected in query.selected:
        if not isinstance(selected, ast.Column):
            sentence = "only fields and functions can be selected in a query with groups"
            raise scope.context.error(MalformedQuery, sentence, query.at)
        operand, alias = selected.operand, selected.alias
        formatted = isinstance(operand, ast.Call) and operand.name == "FORMAT"
        inner = argument(scope.context, operand) if formatted and isinstance(operand, ast.Call) else operand
        if alias is None and isinstance(inner, ast.Call):
            alias, unnamed = f"expr{unnamed}", unnamed + 1
        name = alias or scope.term(_path(inner)).label
        if name in (known for known, _, _ in names):
            raise scope.context.error(InvalidField, f"duplicate field selected: {name}", operand.at)
        names.append((name, inner, formatted))
    return names


def _path(operand: ast.Operand) -> ast.Path:
    assert isinstance(operand, ast.Path)
    return operand


def _key(scope: Scope, operand: ast.Argument) -> Key:
    match operand:
        case ast.Path():
            return tuple(part.lower() for part in scope.parts(operand))
        case ast.Call(name, arguments):
            return (name, *(_key(scope, each) for each in arguments))
        case ast.Text(value) | ast.Number(value):
            return ("", value)
