"""SELECT of records: their fields, nested parents, TYPEOF, and child subqueries."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, select
from sqlalchemy.types import String

from crmsync.state.replica.soql import ast
from crmsync.state.replica.soql.catalog import ChildRelationship, Field, Object
from crmsync.state.replica.soql.errors import InvalidField, InvalidType, MalformedQuery
from crmsync.state.replica.soql.filters import RowReader, check_window, ordered, row_conditions
from crmsync.state.replica.soql.functions import AGGREGATES, argument
from crmsync.state.replica.soql.plan import (
    PARENTS,
    Children,
    Compound,
    Parent,
    Plan,
    Polymorph,
    Record,
    Slot,
    Value,
)
from crmsync.state.replica.soql.scope import (
    NAME_OBJECT,
    Context,
    Expression,
    Place,
    Row,
    Scope,
    shared_term,
)

MAX_FIELD_SET = 200  # rows that FIELDS(ALL) and FIELDS(CUSTOM) may be asked for
_PLAIN_FUNCTIONS = frozenset({"TOLABEL", "CONVERTCURRENCY", "CONVERTTIMEZONE"})


@dataclass
class _Branch:
    """A record in the making: its place, and what was selected of it so far, in that order."""

    place: Place
    slots: dict[str, _Branch | _Shared | Slot] = field(default_factory=dict)


@dataclass(frozen=True)
class _Shared:
    """A field that all targets of a reference share."""

    label: str


def records(scope: Scope, query: ast.Query) -> Plan:
    """The plan of a SELECT that has no aggregates."""
    composer = _Composer(scope, query)
    record = composer.record()
    orders = ordered(scope.context, query.order, RowReader(scope).operand)
    conditions = row_conditions(scope, query)
    statement = (
        select(*composer.labelled())
        .select_from(scope.source)
        .where(*conditions)
        .order_by(*orders, scope.row.column("Id"))  # pages of the same query must not overlap
        .limit(query.limit)
        .offset(query.offset)
    )
    return Plan(statement, scope.object.name, record)


def child_records(context: Context, parent: Scope, query: ast.Query) -> tuple[ChildRelationship, Plan]:
    """The plan of a child subquery: its rows come for all PARENTS at once, LIMIT and OFFSET count per parent."""
    if query.group is not None or query.having is not None:
        raise context.error(MalformedQuery, "a child subquery cannot have groups", query.at)
    relationship = _relationship(context, parent, query)
    check_window(context, query)
    scope = Scope(context, context.object(relationship.child_object, query.sources[0].path.at))
    scope.name(relationship.name)
    scope.name(query.sources[0].alias or relationship.name)
    key = scope.row.column(relationship.field)
    composer = _Composer(scope, query)
    record = composer.record()
    key_index = composer.add(key)
    orders = [*ordered(context, query.order, RowReader(scope).operand), scope.row.column("Id").asc()]
    mine = key.in_(bindparam(PARENTS, expanding=True, type_=String()))
    conditions = row_conditions(scope, query)
    rows = select(*composer.labelled()).select_from(scope.source).where(mine, *conditions)
    if query.limit is None and query.offset is None:
        statement = rows.order_by(*orders)
    else:
        place = func.row_number().over(partition_by=key, order_by=orders).label("place")
        statement = _window(rows.add_columns(place), query)
    return relationship, Plan(statement, scope.object.name, record, key_index)


def _window(rows: Select[Any], query: ast.Query) -> Select[Any]:
    numbered = rows.subquery()
    place = numbered.c.place
    skipped = query.offset or 0
    bounds = [place > skipped]
    if query.limit is not None:
        bounds.append(place <= skipped + query.limit)
    columns = [column for column in numbered.c if column is not place]
    return select(*columns).where(and_(*bounds)).order_by(place)


def _relationship(context: Context, parent: Scope, query: ast.Query) -> ChildRelationship:
    path = query.sources[0].path
    parts = parent.parts(path)
    found = parent.object.children.get(parts[0].lower()) if len(parts) == 1 else None
    if found is None or len(query.sources) > 1:
        sentence = (
            f"Didn't understand relationship '{path}' in FROM part of query call. If you are attempting to use a "
            "custom relationship, be sure to append the '__r' after the custom relationship name. Please reference "
            "your WSDL or the describe call for the appropriate names."
        )
        raise context.error(InvalidType, sentence, path.at)
    return found


class _Composer:
    """Collects what a SELECT list asks for, as a tree of branches, and the columns that the tree reads."""

    def __init__(self, scope: Scope, query: ast.Query) -> None:
        self.scope = scope
        self.context = scope.context
        self.query = query
        self._columns: list[Expression] = []

    def add(self, expression: Expression) -> int:
        self._columns.append(expression)
        return len(self._columns) - 1

    def labelled(self) -> list[Expression]:
        return [column.label(f"c{index}") for index, column in enumerate(self._columns)]

    def record(self) -> Record:
        root = _Branch(Place((self.scope.row,)))
        for selected in self.query.selected:
            self._select(root, selected)
        return self._frozen(root.place.rows[0], root)

    def _select(self, root: _Branch, selected: ast.Selected) -> None:
        match selected:
            case ast.Column(ast.Path() as path, None):
                self._path(root, (), self.scope.parts(path), path.at)
            case ast.Column(ast.Path() as path):
                sentence = "only aggregate expressions use field aliasing"
                raise self.context.error(MalformedQuery, sentence, path.at)
            case ast.Column(ast.Call() as call, alias):
                self._call(root, call, alias)
            case ast.FieldSet():
                self._field_set(root, selected)
            case ast.TypeOf():
                self._typeof(root, selected)
            case ast.Subselect(query):
                relationship, plan = child_records(self.context.deeper(query.at), self.scope, query)
                self._put(root, relationship.name, Children(plan), query.at)

    def _path(self, root: _Branch, base: tuple[str, ...], parts: tuple[str, ...], at: ast.At) -> None:
        """Puts the field at the end of `parts` into the tree; `base` leads from the query's object to `root`."""
        branch = self._branch(root, base, parts[:-1], at)
        if branch.place.polymorphic:
            label = self.scope.term(ast.Path((*base, *parts), at)).label
            self._put(branch, label, _Shared(label), at)
            return
        if self.scope.owner_type(branch.place, parts[-1]):
            term = self.scope.term(ast.Path((*base, *parts), at))
            self._put(branch, term.label, Value(self.add(term.expression), term.type), at)
            return
        object_ = branch.place.rows[0].object
        found = self.scope.field(object_, parts[-1], at)
        self._put(branch, found.name, self._slot(branch.place.rows[0], found), at)

    def _branch(self, root: _Branch, base: tuple[str, ...], parents: tuple[str, ...], at: ast.At) -> _Branch:
        branch = root
        for depth in range(len(parents)):
            place = self.scope.place((*base, *parents[: depth + 1]), at)
            name = place.relationships[-1]
            below = branch.slots.setdefault(name, _Branch(place))
            if not isinstance(below, _Branch):
                raise self.context.error(InvalidField, f"duplicate field selected: {name}", at)
            branch = below
        return branch

    def _put(self, branch: _Branch, name: str, slot: _Shared | Slot, at: ast.At) -> None:
        if name in branch.slots:
            raise self.context.error(InvalidField, f"duplicate field selected: {name}", at)
        branch.slots[name] = slot

    def _slot(self, row: Row, field: Field) -> Slot:
        if field.column is not None:
            return Value(self.add(row.column(field.column.name)), field.type)
        parts = [(key, row.object.fields[name.lower()]) for key, name in field.components.items()]
        stored = [(key, part, part.column) for key, part in parts if part.column is not None]
        return Compound(
            tuple((key, Value(self.add(row.column(column.name)), part.type)) for key, part, column in stored)
        )

    def _call(self, root: _Branch, call: ast.Call, alias: str | None) -> None:
        """FORMAT(x), toLabel(x) and the like stand where x would stand, or under their alias."""
        if call.name == "DISTANCE":
            term = RowReader(self.scope).operand(call)
            self._put(
                root, alias or self._unnamed(root), Value(self.add(term.expression), term.type), call.at
            )
            return
        formatted = call.name == "FORMAT"
        inner: ast.Operand = argument(self.context, call) if formatted else call
        path = inner
        while isinstance(path, ast.Call):
            if path.name not in _PLAIN_FUNCTIONS:
                self._refuse(path)
            path = argument(self.context, path)
        term = RowReader(self.scope).operand(inner)
        slot = Value(self.add(term.expression), term.type, formatted)
        if alias is not None:
            self._put(root, alias, slot, call.at)
            return
        parts = self.scope.parts(path)
        self._put(self._branch(root, (), parts[:-1], path.at), term.label, slot, call.at)

    def _unnamed(self, root: _Branch) -> str:
        return next(name for name in map("expr{}".format, count()) if name not in root.slots)

    def _refuse(self, call: ast.Call) -> None:
        """Says why a function cannot stand among the fields of a record."""
        if call.name not in AGGREGATES:
            RowReader(self.scope).operand(call)
        raise self.context.error(MalformedQuery, f"{call.name}() must be grouped or aggregated", call.at)

    def _field_set(self, branch: _Branch, wanted: ast.FieldSet) -> None:
        if wanted.kind != "STANDARD" and not 0 <= (self.query.limit or MAX_FIELD_SET + 1) <= MAX_FIELD_SET:
            sentence = f"The SOQL FIELDS function must have a LIMIT of at most {MAX_FIELD_SET}"
            raise self.context.error(MalformedQuery, sentence, wanted.at)
        row = branch.place.rows[0]
        for each in _fields(row.object, wanted.kind):
            if each.name not in branch.slots:
                branch.slots[each.name] = self._slot(row, each)

    def _typeof(self, root: _Branch, typeof: ast.TypeOf) -> None:
        parts = self.scope.parts(typeof.reference)
        place = self.scope.place(parts, typeof.reference.at)
        holder = self._branch(root, (), parts[:-1], typeof.reference.at)
        whens = {self.context.object(when.object, when.at).name: when for when in typeof.branches}
        found = [self._typed(parts, place, row, whens.get(row.object.name), typeof) for row in place.rows]
        slot = Polymorph(tuple(record for record in found if record is not None))
        self._put(holder, place.relationships[-1], slot, typeof.reference.at)

    def _typed(
        self, parts: tuple[str, ...], place: Place, row: Row, when: ast.When | None, typeof: ast.TypeOf
    ) -> Record | None:
        """What TYPEOF selects of one target: its WHEN, or ELSE with the fields of the object Name."""
        if when is None and not typeof.otherwise:
            return None
        branch = _Branch(Place((row,)) if when else place)
        base = self.scope.narrowed(parts, row) if when else parts
        for path in when.fields if when else typeof.otherwise:
            self._path(branch, base, path.parts, path.at)
        return self._frozen(row, branch)

    def _frozen(self, row: Row, branch: _Branch) -> Record:
        """The finished record of `row`, of which only the branch's own columns are read."""
        slots = tuple((name, self._finished(row, slot)) for name, slot in branch.slots.items())
        type_ = NAME_OBJECT if branch.place.polymorphic else row.object.name
        return Record(row.object.name, type_, self.add(row.column("Id")), slots)

    def _finished(self, row: Row, slot: _Branch | _Shared | Slot) -> Slot:
        match slot:
            case _Shared(label):
                term = shared_term(row, label)
                return Compound(()) if term is None else Value(self.add(term.expression), term.type)
            case _Branch(place) if place.polymorphic:
                return Polymorph(tuple(self._frozen(each, slot) for each in place.rows))
            case _Branch(place):
                return Parent(self._frozen(place.rows[0], slot))
            case _:
                return slot


def _fields(object_: Object, kind: str) -> list[Field]:
    return [each for each in object_.fields.values() if kind == "ALL" or each.custom == (kind == "CUSTOM")]
