"""DISTANCE(address, GEOLOCATION(latitude, longitude), 'mi' | 'km'): along a great circle, in SQL."""

from decimal import Decimal

from sqlalchemy import Float, case, func, literal

from crmsync.state.replica.soql import ast
from crmsync.state.replica.soql.ast import Operator
from crmsync.state.replica.soql.errors import InvalidField, InvalidOperator, MalformedQuery
from crmsync.state.replica.soql.scope import Context, Expression, Row, Scope, Term

__all__ = ["check_operator", "distance"]

RADIUS = {"km": 6371.0088, "mi": 3958.7613}  # the mean one (IUGG)


def distance(scope: Scope, call: ast.Call) -> Term:
    """Null where the record has no place. Raises SoqlError."""
    match call.arguments:
        case (
            ast.Path() as path,
            ast.Call("GEOLOCATION", (ast.Number(north), ast.Number(east))),
            ast.Text(unit),
        ):
            radius = RADIUS.get(unit.lower())
        case _:
            raise scope.context.error(
                MalformedQuery, "DISTANCE() takes a field, GEOLOCATION() and a unit", call.at
            )
    if radius is None or not (abs(north) <= 90 and abs(east) <= 180):
        sentence = (
            "DISTANCE() takes degrees between -90 and 90, and between -180 and 180, and the unit 'mi' or 'km'"
        )
        raise scope.context.error(MalformedQuery, sentence, call.at)
    latitude, longitude = _place(scope, path)
    away = _haversine(func.radians(latitude), func.radians(longitude), _radians(north), _radians(east))
    return Term(literal(2 * radius, Float()) * func.asin(func.sqrt(away)), "double", "DISTANCE")


def check_operator(context: Context, operand: ast.Operand, operator: Operator) -> None:
    """A distance is within or beyond, never equal."""
    if (
        isinstance(operand, ast.Call)
        and operand.name == "DISTANCE"
        and operator not in (Operator.LESS, Operator.GREATER)
    ):
        raise context.error(InvalidOperator, "DISTANCE() can be compared with < and > only", operand.at)


def _place(scope: Scope, path: ast.Path) -> tuple[Expression, Expression]:
    *parents, last = scope.parts(path)
    place = scope.place(tuple(parents), path.at)
    row = place.rows[0]
    field = None if place.polymorphic else scope.field(row.object, last, path.at)
    parts = field.components if field else {}
    if "latitude" not in parts or "longitude" not in parts:
        sentence = f"DISTANCE() takes an address or a geolocation, {last} is none"
        raise scope.context.error(InvalidField, sentence, path.at)
    return _degrees(row, parts["latitude"]), _degrees(row, parts["longitude"])


def _degrees(row: Row, name: str) -> Expression:
    field = row.object.field(name)
    assert field is not None
    assert field.column is not None
    return row.column(field.column.name)


def _haversine(north: Expression, east: Expression, to_north: Expression, to_east: Expression) -> Expression:
    """Rounding must not make it more than one: of that there is no arc sine."""
    half_north, half_east = func.sin((north - to_north) / 2.0), func.sin((east - to_east) / 2.0)
    part = half_north * half_north + func.cos(north) * func.cos(to_north) * half_east * half_east
    return case((part > 1.0, literal(1.0, Float())), else_=part)


def _radians(degrees: Decimal) -> Expression:
    return func.radians(literal(float(degrees), Float()), type_=Float())
