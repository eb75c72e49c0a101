"""A small organisation to ask: its catalog, its rows, and a connection to both."""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Date,
    DateTime,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    insert,
)

from crmsync.state.replica.ids import new_id
from crmsync.state.replica.soql import (
    Catalog,
    ChildRelationship,
    Field,
    Object,
    ast,
    ignore_case,
    parse,
    run,
    total_size,
    translate,
)

NOW = datetime.datetime(2024, 5, 15, 10, 30, tzinfo=datetime.UTC)  # a Wednesday

_COLUMNS: dict[str, Any] = {
    "boolean": Boolean,
    "int": Integer,
    "double": Float,
    "currency": Float,
    "date": Date,
    "datetime": DateTime,
}

# object -> field -> type, or the targets of a reference
_USER = {"Name": "string", "Username": "string", "Email": "email", "IsActive": "boolean"}
_SYSTEM = {
    "IsDeleted": "boolean",
    "OwnerId": ("User",),
    "CreatedDate": "datetime",
    "SystemModstamp": "datetime",
}
SPEC: dict[str, dict[str, Any]] = {
    "User": {**_USER, "ManagerId": ("User",)},
    "Account": {
        **_SYSTEM,
        "Name": "string",
        "Industry": "picklist",
        "AnnualRevenue": "currency",
        "NumberOfEmployees": "int",
        "Tier__c": "multipicklist",
        "ParentId": ("Account",),
    },
    "Contact": {
        **_SYSTEM,
        "Name": "string",
        "FirstName": "string",
        "LastName": "string",
        "Email": "email",
        "Birthdate": "date",
        "Score__c": "double",
        "DoNotCall": "boolean",
        "MailingStreet": "textarea",
        "MailingCity": "string",
        "MailingAddress": "address",
        "AccountId": ("Account",),
    },
    "Lead": {**_SYSTEM, "Name": "string", "Company": "string"},
    "Case": {**_SYSTEM, "CaseNumber": "string", "AccountId": ("Account",)},
    "Event": {
        **_SYSTEM,
        "Subject": "string",
        "StartDateTime": "datetime",
        "WhoId": ("Contact", "Lead"),
        "WhatId": ("Account", "Case"),
    },
}
PREFIXES = {"User": "005", "Account": "001", "Contact": "003", "Lead": "00Q", "Case": "500", "Event": "00U"}
CHILDREN = {
    "Account": {
        "Contacts": ("Contact", "AccountId"),
        "Cases": ("Case", "AccountId"),
        "Events": ("Event", "WhatId"),
    },
    "Contact": {"Events": ("Event", "WhoId")},
}
NAME_FIELDS = {"Case": "CaseNumber", "Event": "Subject"}


def catalog() -> Catalog:
    metadata = MetaData()
    return Catalog({name.lower(): _object(name, spec, metadata) for name, spec in SPEC.items()})


def _object(name: str, spec: dict[str, Any], metadata: MetaData) -> Object:
    columns = {field: _column(field, type_) for field, type_ in spec.items() if type_ != "address"}
    table = Table(name, metadata, Column("Id", String, primary_key=True), *columns.values())
    fields = [Field("Id", "id", table.c.Id, nillable=False)]
    fields += [_field(name, field, type_, columns.get(field)) for field, type_ in spec.items()]
    children = {
        relationship.lower(): ChildRelationship(relationship, child, field)
        for relationship, (child, field) in CHILDREN.get(name, {}).items()
    }
    return Object(name, table, {field.name.lower(): field for field in fields}, children)


def _column(name: str, type_: Any) -> Column[Any]:
    return Column(name, _COLUMNS.get(type_, String) if isinstance(type_, str) else String)


def _field(object_: str, name: str, type_: Any, column: Column[Any] | None) -> Field:
    if isinstance(type_, tuple):
        return Field(name, "reference", column, type_, name.removesuffix("Id"))
    if type_ == "address":
        return Field(name, type_, None, components={"street": "MailingStreet", "city": "MailingCity"})
    named = name == NAME_FIELDS.get(object_, "Name")
    sortable = type_ != "textarea"
    return Field(
        name,
        type_,
        column,
        name_field=named,
        custom=name.endswith("__c"),
        sortable=sortable,
        filterable=sortable,
    )


def record_id(object_: str, number: int) -> str:
    return new_id(PREFIXES[object_], number)


def at(day: int, hour: int = 0) -> datetime.datetime:
    return datetime.datetime(2024, 5, day, hour)


class World:
    """Rows in a database, and questions to them."""

    def __init__(self, connection: Connection, known: Catalog) -> None:
        self.connection = connection
        self.catalog = known

    def add(self, object_: str, number: int, **values: Any) -> str:
        """Writes a row. References are given as (object, number); what is not given is null, or false."""
        id_ = record_id(object_, number)
        spec = SPEC[object_]
        row: dict[str, Any] = {name: False if type_ == "boolean" else None for name, type_ in spec.items()}
        row |= {
            name: record_id(*value) if isinstance(value, tuple) else value for name, value in values.items()
        }
        row = {name: value for name, value in row.items() if spec[name] != "address"}
        self.connection.execute(insert(self.catalog.objects[object_.lower()].table).values(Id=id_, **row))
        return id_

    def plan(self, soql: str, **options: Any) -> Any:
        settings: dict[str, Any] = {"now": NOW, "include_deleted": False, "visible": lambda _o, _a: None}
        return translate(parse(soql), self.catalog, **(settings | options))

    def ask(self, soql: str, **options: Any) -> list[dict[str, Any]]:
        return list(
            run(self.connection, self.plan(soql, **options), url=lambda object_, id_: f"/{object_}/{id_}")
        )

    def asked(self, query: ast.Query) -> list[dict[str, Any]]:
        """The same for a statement that nobody wrote."""
        plan = translate(query, self.catalog, now=NOW, include_deleted=False, visible=lambda _o, _a: None)
        return list(run(self.connection, plan, url=lambda object_, id_: f"/{object_}/{id_}"))

    def count(self, soql: str, **options: Any) -> int:
        return total_size(self.connection, self.plan(soql, **options))

    def column(self, soql: str, **options: Any) -> list[Any]:
        """What the first selected field reads, row by row."""
        return [list(record.values())[1] for record in self.ask(soql, **options)]


@contextmanager
def opened() -> Iterator[World]:
    engine = create_engine("sqlite://")
    ignore_case(engine)
    known = catalog()
    for object_ in known.objects.values():
        object_.table.create(engine)
    with engine.connect() as connection:
        yield World(connection, known)
    engine.dispose()
