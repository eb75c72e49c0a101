"""What names mean inside one SELECT: its object, and the parents joined because a path leads through them."""

import dataclasses
import datetime
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, FromClause, Table, and_, case, false, func, literal, null
from sqlalchemy.types import String

from crmsync.state.replica.soql import ast
from crmsync.state.replica.soql.catalog import Catalog, Field, Object
from crmsync.state.replica.soql.errors import InvalidField, InvalidType, MalformedQuery, SoqlError

MAX_PARENTS = 5  # relationships in one path, Salesforce's own limit
MAX_JOINS = 55  # Salesforce's limit for relationships in a query; SQLite joins 64 tables at most
MAX_SUBQUERIES = 5  # levels of them, children and semi-joins
# What may be read through a reference to several objects: the fields of Salesforce's object Name.
NAME_OBJECT = "Name"
NAME_FIELDS = ("Id", "Name", "Type", "FirstName", "LastName", "Title", "Email", "Phone", "Username", "Alias",
               "IsActive", "ProfileId", "UserRoleId")  # fmt: skip
_APPEND = (
    "If you are attempting to use a custom {thing}, be sure to append the '{suffix}' after the {name} name. "
    "Please reference your WSDL or the describe call for the appropriate names."
)

Expression: TypeAlias = ColumnElement[Any]
Visible: TypeAlias = Callable[[Object, FromClause], ColumnElement[bool] | None]


@dataclass(frozen=True, slots=True)
class Term:
    """An operand in SQL: `type` in the describe's words, `label` as errors and replies call it."""

    expression: Expression
    type: str
    label: str
    nullable: bool = True
    field: Field | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row that paths can read from: the record itself or a joined parent."""

    object: Object
    alias: FromClause

    def column(self, name: str) -> Expression:
        column: Expression = self.alias.c[name]
        return column


@dataclass(frozen=True, slots=True)
class Place:
    """Where the relationships of a path lead. Several rows: a reference to several objects; at most one is there.

    `relationships` are their canonical names, `direct` says that there is no join on the way.
    """

    rows: tuple[Row, ...]
    relationships: tuple[str, ...] = ()
    polymorphic: bool = False

    @property
    def direct(self) -> bool:
        return not self.relationships


@dataclass(frozen=True, slots=True)
class Context:
    """What stays the same for all SELECTs of a statement."""

    catalog: Catalog
    now: datetime.datetime
    include_deleted: bool
    visible: Visible
    text: str = ""
    user: str | None = None
    current: Callable[[str], str] = str  # the id that a record has now, by one that it had
    fiscal_month: int = 1
    depth: int = 0
    used: Counter[str] = field(
        default_factory=Counter
    )  # how often each object stands in the statement so far

    def deeper(self, at: ast.At) -> "Context":
        """The context of a subquery; raises MalformedQuery when there are too many levels of them."""
        if self.depth == MAX_SUBQUERIES:
            raise self.error(MalformedQuery, f"subqueries are nested more than {MAX_SUBQUERIES} deep", at)
        return dataclasses.replace(self, depth=self.depth + 1)

    def error(self, kind: type[SoqlError], sentence: str, at: ast.At) -> SoqlError:
        return kind(sentence, at.row, at.column, self.text)

    def object(self, name: str, at: ast.At) -> Object:
        found = self.catalog.object(name)
        if found is None:
            hint = _APPEND.format(thing="object", suffix="__c", name="entity")
            raise self.error(InvalidType, f"sObject type '{name}' is not supported. {hint}", at)
        return found

    def row(self, object: Object) -> Row:
        """A row of its own, whatever other rows of the object there are."""
        self.used[object.name] += 1
        return Row(object, _alias(object.table, self.used[object.name]))

    def conditions(self, row: Row) -> list[ColumnElement[bool]]:
        """What every row that is read must satisfy: it is not deleted, and the reader may see it."""
        conditions: list[ColumnElement[bool]] = []
        if not self.include_deleted and row.object.field("IsDeleted") is not None:
            conditions.append(row.column("IsDeleted") == literal(False))
        visible = self.visible(row.object, row.alias)
        return conditions if visible is None else [*conditions, visible]


class Scope:
    """The names of one SELECT. Joins are added as paths ask for them; `source` is complete after the last path."""

    def __init__(self, context: Context, object: Object) -> None:
        self.context = context
        self.row = context.row(object)
        self.source: FromClause = self.row.alias
        self._joins = 0
        self._prefixes: dict[str, tuple[str, ...]] = {object.name.lower(): ()}
        self._places: dict[tuple[str, ...], Place] = {(): Place((self.row,))}

    @property
    def object(self) -> Object:
        return self.row.object

    def name(self, alias: str, parents: tuple[str, ...] = ()) -> None:
        """Lets paths begin with an alias of FROM, for the object itself or for one of its parents."""
        self._prefixes[alias.lower()] = parents

    def parts(self, path: ast.Path) -> tuple[str, ...]:
        """The path from the object on: without its alias or its own name in front."""
        first, *rest = path.parts
        prefix = self._prefixes.get(first.lower()) if rest else None
        return path.parts if prefix is None else (*prefix, *rest)

    def term(self, path: ast.Path) -> Term:
        """The field at the end of a path; raises InvalidField for a name that is not there."""
        *parents, last = self.parts(path)
        place = self.place(tuple(parents), path.at)
        if place.polymorphic:
            return self._shared(place, last, path.at)
        row = place.rows[0]
        if self.owner_type(place, last):
            return Term(
                case((row.column("Id").is_not(None), literal(row.object.name)), else_=null()),
                "string",
                "Type",
            )
        field = self.field(row.object, last, path.at)
        if field.column is None:
            raise self.context.error(InvalidField, f"field '{field.name}' can not be used here", path.at)
        expression = row.column(field.column.name)
        if field.type == "boolean" and not place.direct:
            expression = func.coalesce(expression, false())  # as of a parent that is not there
        nullable = field.type != "boolean" and (field.nillable or not place.direct)
        return Term(expression, field.type, field.name, nullable, field)

    def owner_type(self, place: Place, name: str) -> bool:
        """Owners can be queues in Salesforce, so that programs ask for Owner.Type; here all of them are users."""
        return name.lower() == "type" and place.relationships[-1:] == ("Owner",)

    def field(self, object: Object, name: str, at: ast.At) -> Field:
        found = object.field(name)
        if found is None:
            hint = _APPEND.format(thing="field", suffix="__c", name="custom field")
            raise self.context.error(
                InvalidField, f"No such column '{name}' on entity '{object.name}'. {hint}", at
            )
        return found

    def place(self, relationships: tuple[str, ...], at: ast.At) -> Place:
        """Joins the parents that a path leads through, each of them once."""
        key = tuple(each.lower() for each in relationships)
        if key in self._places:
            return self._places[key]
        if len(key) > MAX_PARENTS:
            sentence = f"a path can not lead through more than {MAX_PARENTS} relationships"
            raise self.context.error(MalformedQuery, sentence, at)
        child = self.place(relationships[:-1], at)
        self._places[key] = self._join(child, relationships[-1], at)
        return self._places[key]

    def narrowed(self, relationships: tuple[str, ...], row: Row) -> tuple[str, ...]:
        """Relationships that go on from one of a place's rows only, as the branches of a TYPEOF do."""
        key = (*relationships, f":{row.object.name}")
        self._places[tuple(each.lower() for each in key)] = Place((row,), key)
        return key

    def _join(self, child: Place, relationship: str, at: ast.At) -> Place:
        row = child.rows[0]
        reference = None if child.polymorphic else row.object.reference(relationship)
        found = () if reference is None else tuple(map(self.context.catalog.object, reference.reference_to))
        targets = [target for target in found if target is not None]
        if reference is None or reference.column is None or not targets:
            hint = _APPEND.format(thing="relationship", suffix="__r", name="custom relationship")
            sentence = f"Didn't understand relationship '{relationship}' in field path. {hint}"
            raise self.context.error(InvalidField, sentence, at)
        rows = tuple(map(self.context.row, targets))
        self._joins += len(rows)
        if self._joins > MAX_JOINS:
            raise self.context.error(
                MalformedQuery, f"a query can not lead through more than {MAX_JOINS} relationships", at
            )
        for parent in rows:
            matches = row.column(reference.column.name) == parent.column("Id")
            on = and_(matches, *self.context.conditions(parent))
            self.source = self.source.outerjoin(parent.alias, on)
        name = reference.relationship_name or relationship
        return Place(rows, (*child.relationships, name), polymorphic=len(reference.reference_to) > 1)

    def _shared(self, place: Place, name: str, at: ast.At) -> Term:
        """A field of whichever object is there; null when none is."""
        label = name_field(name)
        if label is None:
            hint = _APPEND.format(thing="field", suffix="__c", name="custom field")
            sentence = f"No such column '{name}' on entity '{NAME_OBJECT}'. {hint}"
            raise self.context.error(InvalidField, sentence, at)
        if label == "Type":
            present = [(row.column("Id").is_not(None), literal(row.object.name)) for row in place.rows]
            return Term(case(*present, else_=null()), "string", label)
        terms = [term for row in place.rows if (term := shared_term(row, label)) is not None]
        if not terms:
            return Term(literal(None, String()), "string", label)
        parts = [term.expression for term in terms]
        if terms[0].type == "boolean":
            parts.append(false())
        whole = parts[0] if len(parts) == 1 else func.coalesce(*parts)
        return Term(whole, terms[0].type, label)


def _alias(table: FromClause, number: int) -> FromClause:
    """The table under a name; kept, because making its columns takes longer than the rest of a simple query."""
    if not isinstance(table, Table):  # a view of several, which has nowhere to keep it
        return table.alias()
    known: dict[int, FromClause] = table.info.setdefault("aliases", {})
    if number not in known:
        known.setdefault(number, table.alias(f"{table.name}_{number}"))
    return known[number]


def name_field(name: str) -> str | None:
    """The canonical name of a field of the object Name, or None."""
    return next((each for each in NAME_FIELDS if each.lower() == name.lower()), None)


def shared_term(row: Row, label: str) -> Term | None:
    """The field of a concrete object behind a field of the object Name; None if it has no such field."""
    if label == "Type":
        return Term(literal(row.object.name), "string", label)
    field = row.object.field(label)
    if field is None and label == "Name":
        field = next((each for each in row.object.fields.values() if each.name_field), None)
    if field is None or field.column is None:
        return None
    return Term(row.column(field.column.name), field.type, label)
