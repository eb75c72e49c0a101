"""Which fields have an index: those that Salesforce indexes by itself (ids and references, the name, external ids,
e-mail addresses, the stamps), and what people are looked up by besides. Custom fields that are none of these have none
there either.

Text is looked for without regard to case, so its index holds the folded text, as queries compare it; with the id behind
it, by which queries order what is equal.
"""

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex

from crmsync.state.replica.metadata import Field, ObjectType
from crmsync.state.replica.soql.collation import folded

__all__ = ["make_missing", "names", "searched", "with_indexes"]

_STAMPS = frozenset({"CreatedDate", "LastModifiedDate", "SystemModstamp"})
_WHO = frozenset(
    {"CreatedById", "LastModifiedById"}
)  # few people, many records: an index tells them apart badly
_TEXTS = frozenset({"string", "email", "phone"})
_LONGEST = 255  # characters: PostgreSQL's indexes take 2,704 bytes


def searched(field: Field) -> bool:
    if field.type == "reference":
        return field.name not in _WHO
    if field.name in _STAMPS:
        return True
    known = field.name_field or field.id_lookup or field.external_id or field.unique
    by = field.type in ("email", "phone") or field.name == "LastName"
    return field.type in _TEXTS and field.length <= _LONGEST and (known or by)


def with_indexes(table: sa.Table, type_: ObjectType, name: Callable[[str], str] = str) -> None:
    """`name`: what becomes of an index's name."""
    for field in type_.stored:
        if field.name in table.c and searched(field):
            column = table.c[field.name]
            text = field.type in _TEXTS and isinstance(column.type, sa.Text)
            what = (folded(column), table.c.Id) if text else (column,)
            sa.Index(name(f"ix_{type_.name}_{field.name}"), *what)


def make_missing(connection: sa.Connection, metadata: sa.MetaData) -> None:
    """Of tables that a version of us made that had fewer indexes. The first start after it takes a second or two for
    each 100,000 rows."""
    there = names(connection)
    for table in metadata.tables.values():
        for index in sorted(table.indexes, key=lambda each: str(each.name)):
            if index.name not in there:
                connection.execute(CreateIndex(index, if_not_exists=True))  # its name may have been cut


def names(connection: sa.Connection) -> set[str]:
    """Of all indexes there. SQLAlchemy's inspector passes over indexes on expressions."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name FROM sqlite_master WHERE type = 'index'"
    else:
        query = "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()"
    return set(connection.exec_driver_sql(query).scalars())
