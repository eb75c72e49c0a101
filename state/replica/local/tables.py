"""The tables of one replica: a group per object, and those that they share (see the package)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zlib import crc32

import sqlalchemy as sa

from crmsync.state.replica.database import column_type
from crmsync.state.replica.indexing import with_indexes
from crmsync.state.replica.local.shape import Shapes, stored
from crmsync.state.replica.metadata import ObjectType

__all__ = ["CONVERTED", "CREATED", "LEAD", "ROLES", "UPDATED", "Group", "Layout", "Tables"]

# Flags of main. No field of a CRM begins with an underscore.
CREATED = "_created"  # made here, not known upstream
UPDATED = "_updated"  # has changes that the upstream does not have
CONVERTED = "_converted"  # a lead that was converted here, and not upstream yet
LEAD = "Lead"
ROLES = {"Account": "account", "Contact": "contact", "Opportunity": "opportunity"}  # what a lead becomes
_ID = sa.String(18)
_LONGEST = 60  # characters of a name


@dataclass(frozen=True, slots=True)
class Group:
    """The tables of one object."""

    main: sa.Table
    orig: sa.Table
    synced: sa.Table
    todelete: sa.Table
    tosync: sa.Table

    def typed(self) -> tuple[sa.Table, ...]:
        """Those that have the object's fields as columns."""
        return self.main, self.orig, self.synced

    def work(self) -> tuple[sa.Table, ...]:
        """Those that are empty when everything is in step."""
        return self.orig, self.synced, self.todelete, self.tosync


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What depends on the objects' fields alone."""

    types: tuple[ObjectType, ...]
    metadata: sa.MetaData
    groups: Mapping[str, Group]
    shared: "Shared"


@lru_cache(8)
def _layout(types: tuple[ObjectType, ...]) -> Layout:
    """Replicas whose objects are alike, as those of several logins to one CRM mostly are, have the same tables, and
    share what is compiled of them."""
    metadata = sa.MetaData()
    shared = Shared(metadata)
    return Layout(types, metadata, {type_.name: _group(type_, metadata) for type_ in types}, shared)


class Tables:
    def __init__(self, shapes: Shapes) -> None:
        self.shapes = shapes
        self.layout = _layout(tuple(shapes))
        self.metadata, self.groups = self.layout.metadata, self.layout.groups
        self.shared = self.layout.shared

    def work(self) -> Iterator[sa.Table]:
        """Every table that is empty when everything is in step."""
        yield from (self.shared.createlist, self.shared.conversions, self.shared.deletelist)
        for group in self.groups.values():
            yield from group.work()


class Shared:
    def __init__(self, metadata: sa.MetaData) -> None:
        self.createlist = _createlist(metadata)
        self.conversions = _conversions(metadata)
        self.deletelist = _deletelist(metadata)
        self.schemas = _schemas(metadata)
        self.properties = _properties(metadata)
        self.aliases = _aliases(metadata)
        self.tombs = _tombs(metadata)
        self.conflicts = _conflicts(metadata)
        self.from_sync = _from_sync(metadata)
        self.rights = _rights(metadata)


def _createlist(metadata: sa.MetaData) -> sa.Table:
    """First in, first out: a row later may refer to the rows before it."""
    return sa.Table(
        "_createlist",
        metadata,
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("Id", _ID, nullable=False, unique=True),  # temporary; of a conversion: of nothing else
        sa.Column("object", sa.Text, nullable=False),
        # the row as it went out, while it is not known to have arrived
        sa.Column("sent", sa.JSON(none_as_null=True)),
        sa.Column("since", sa.DateTime),  # server time before it first went out
        *_standing(),
        sqlite_autoincrement=True,
    )


def _conversions(metadata: sa.MetaData) -> sa.Table:
    """Leads to convert; each has an entry in the createlist, with the same id."""
    return sa.Table(
        "_conversion",
        metadata,
        sa.Column("Id", _ID, primary_key=True),
        sa.Column("lead", _ID, nullable=False, unique=True),
        sa.Column("account", _ID, index=True),  # given, or made here
        sa.Column("contact", _ID, index=True),
        sa.Column("opportunity", _ID, index=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("options", sa.JSON, nullable=False),
        sa.Column("made", sa.JSON, nullable=False),  # by role, the rows as they were made here, as JSON
        sa.Column("base", sa.JSON(none_as_null=True)),  # the lead as the person saw it; None: not known there
        sa.Column("under", sa.JSON, nullable=False),  # what the fields are that main shows as converted
        sa.Column("at", sa.DateTime, nullable=False),
    )


def _deletelist(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "_deletelist",
        metadata,
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("Id", _ID, nullable=False, unique=True),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("root", _ID, nullable=False, index=True),  # with which it was deleted, or itself
        sa.Column("at", sa.DateTime, nullable=False),
        # references that it emptied: [[object, id, field, what it was], …]
        sa.Column("cleared", sa.JSON, nullable=False),
        *_standing(),
        sqlite_autoincrement=True,
    )


def _schemas(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "_schema",
        metadata,
        sa.Column("object", sa.Text, primary_key=True),
        sa.Column("describe", sa.JSON, nullable=False),
    )


def _properties(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "_property",
        metadata,
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.JSON, nullable=False),
    )


def _aliases(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "_alias",
        metadata,
        sa.Column("old", _ID, primary_key=True),
        sa.Column("new", _ID, nullable=False, index=True),
    )


def _tombs(metadata: sa.MetaData) -> sa.Table:
    """What left main not long ago."""
    return sa.Table(
        "_tomb",
        metadata,
        sa.Column("Id", _ID, primary_key=True),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False, index=True),
    )


def _conflicts(metadata: sa.MetaData) -> sa.Table:
    return sa.Table(
        "_conflict",
        metadata,
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("Id", _ID, nullable=False, index=True),
        sa.Column("fields", sa.JSON, nullable=False),  # that won or lost together; none: the whole record
        sa.Column("base", sa.JSON, nullable=False),  # values by field, as JSON
        sa.Column("local", sa.JSON, nullable=False),
        sa.Column("server", sa.JSON, nullable=False),
        sa.Column("winner", sa.Text, nullable=False),  # local, server; held: a person decides
        sa.Column(
            "resolved", sa.Text, nullable=False
        ),  # what that person did; empty: nothing yet, or no need
        sa.Column("at", sa.DateTime, nullable=False),
        sqlite_autoincrement=True,
    )


def _from_sync(metadata: sa.MetaData) -> sa.Table:
    """Writes of the sync of mailboxes that the upstream does not have yet (`from_sync`); one of a record."""
    return sa.Table(
        "_from_sync",
        metadata,
        sa.Column("Id", _ID, primary_key=True),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),  # create, update, delete
        sa.Column("key", sa.Text, nullable=False, index=True),  # of a create
        # of an update, when each field was changed; of a create, the row as it was made, as JSON
        sa.Column("fields", sa.JSON, nullable=False),
        sa.Column("state", sa.Text, nullable=False),  # waiting, given_up, told
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
    )


def _rights(metadata: sa.MetaData) -> sa.Table:
    """What the upstream last said that a user may do with a record, for when it cannot be asked."""
    return sa.Table(
        "_right",
        metadata,
        sa.Column("user", _ID, primary_key=True),
        sa.Column("Id", _ID, primary_key=True),
        sa.Column("read", sa.Boolean, nullable=False),
        sa.Column("edit", sa.Boolean, nullable=False),
        sa.Column("delete", sa.Boolean, nullable=False),
    )


def _standing() -> tuple[sa.Column[Any], ...]:
    """What keeps a local change from the upstream: ready, held (a conflict), rejected, gone (deleted there)."""
    return (
        sa.Column("state", sa.Text, nullable=False, default="ready"),
        sa.Column("code", sa.Text, nullable=False, default=""),
        sa.Column("reason", sa.Text, nullable=False, default=""),
    )


def _group(type_: ObjectType, metadata: sa.MetaData) -> Group:
    name = type_.name
    main = sa.Table(
        _short(name),
        metadata,
        *_columns(type_),
        sa.Column(CREATED, sa.Boolean, nullable=False, default=False, index=True),
        sa.Column(UPDATED, sa.Boolean, nullable=False, default=False, index=True),
        sa.Column(CONVERTED, sa.Boolean, nullable=False, default=False),
    )
    with_indexes(main, type_, _short)
    return Group(
        main,
        sa.Table(_short(f"{name}__orig"), metadata, *_columns(type_)),
        sa.Table(_short(f"{name}__synced"), metadata, *_columns(type_)),
        sa.Table(
            _short(f"{name}__todelete"),
            metadata,
            sa.Column("Id", _ID, primary_key=True),
            # false: only not seen yet in a listing under way
            sa.Column("proven", sa.Boolean, nullable=False),
            # false: it is not in a complete listing, so it may as well be closed to the login
            sa.Column("told", sa.Boolean, nullable=False),
        ),
        sa.Table(
            _short(f"{name}__tosync"),
            metadata,
            sa.Column("Id", _ID, primary_key=True),
            sa.Column("changed", sa.JSON, nullable=False),  # field -> when, server time
            sa.Column("held", sa.JSON, nullable=False),  # fields that wait for a person
            *_standing(),
        ),
    )


def _columns(type_: ObjectType) -> Iterator[sa.Column[Any]]:
    for each in stored(type_):
        if each.name == "Id":
            yield sa.Column("Id", _ID, primary_key=True)
        else:
            yield sa.Column(each.name, column_type(each))


def _short(name: str) -> str:
    """PostgreSQL takes 63 bytes; a package's objects and fields may have longer names."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 9]}_{crc32(name.encode()):08x}"
