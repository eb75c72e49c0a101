"""Columns to fields of Salesforce's standard objects and back. Pure.

What is not one to one:

* LastName must not be empty. A contact without a last name is written with what else names it in parentheses,
  ``(Example Ltd)``; a LastName in parentheses reads as "no last name". So the stand-in never comes back as an edit.
* An all-day event's EndDateTime is its last day (at midnight UTC), the column ``end`` the day after. Start, end and
  the flag are written together; DurationInMinutes and ActivityDate follow by the server's own rules. An event lasts
  whole minutes: the next edit of anything else would make the end follow from DurationInMinutes.
* A reminder counts while IsReminderSet says so; the two are written together.
* ``due`` is a date: a moment becomes its UTC day.
* A value that a field's list does not know (a custom Status, a restricted picklist) is no opinion, in both directions.
* ``activity``: a phone call has TaskSubtype ``Call``, which is fixed when a record is made; what a task becomes later,
  and letters and faxes, stand in Type, where the organisation has that field. Where both speak, Type is right.
* Text is never cut: ``objection`` says what is too long, so that the item is parked and a person can decide. Mail is
  cut (``mail.fitting``): nobody can shorten what was sent.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta

from crmsync.connectors.columns import COLUMNS, Type
from crmsync.connectors.contract import Columns, Kind, Value
from crmsync.connectors.salesforce import mail_fields as mail
from crmsync.connectors.salesforce.activity import (
    CALL,
    CHOICES,
    DAY,
    SUBTYPE,
    Choice,
    activity_held,
    activity_of,
    completed,
    is_all_day,
    takes,
    type_of,
)
from crmsync.connectors.salesforce.describe import Field, Schema
from crmsync.connectors.salesforce.invited import attachments, attendees, is_files, is_invited
from crmsync.connectors.salesforce.values import (
    ABSENT,
    READ,
    Absent,
    Raw,
    Unmappable,
    at,
    date_of,
    line_of,
    written,
)

# ── One item ─────────────────────────────────────────────────────────────────────────────────────────────────

_STAND_IN = re.compile(r"\(.*\)", re.DOTALL)
_LAST_NAME_ROOM = 78  # of 80 characters, less the parentheses


def stand_in(columns: Columns) -> str:
    """LastName for a contact without one."""
    named = (columns.get(c) for c in ("company", "first_name", "email", "phone_work", "phone_mobile"))
    text = next((line for n in named if n and (line := line_of(n))), "no name")
    return f"({text[:_LAST_NAME_ROOM]})"


_PLAIN = frozenset({Type.TEXT, Type.LONG, Type.EMAIL, Type.PHONE, Type.URL})


class _Way:
    """A column and the field that holds it: all that is the same for every item."""

    __slots__ = (
        "activity",
        "children",
        "choice",
        "column",
        "lower",
        "mail",
        "path",
        "plain",
        "read",
        "status",
        "writes",
    )

    def __init__(self, kind: Kind, column: str, path: str) -> None:
        self.column = column
        self.path = path
        self.lower = path.lower()
        self.activity = column == "activity" and self.lower == SUBTYPE
        # what is read of records that belong to this one, and written to them (``inviting``, ``attaching``)
        self.children = _children(kind, column, path)
        self.choice = _choice(kind, column, self.lower)
        type_ = COLUMNS[kind][column].type
        self.read: Callable[[object], Value] = READ[type_]
        # text that reads back as what its type makes of it, in whatever field it stands
        special = (
            column in ("sensitivity", "direction") or self.lower == "lastname" or self.choice is not None
        )
        self.status = kind is Kind.EMAIL and self.lower == "status"
        self.mail = kind is Kind.EMAIL
        self.plain = type_ in _PLAIN and not special and not self.status
        # the field that a write needs
        self.writes = mail.WRITTEN if self.mail and path == mail.ABOUT else path


_Children = Callable[[Mapping[str, object]], Value | Absent]


def _children(kind: Kind, column: str, path: str) -> _Children | None:
    if kind is Kind.APPOINTMENT and column == "attendees" and is_invited(path):
        return attendees
    return attachments if kind is Kind.APPOINTMENT and column == "attachments" and is_files(path) else None


def _choice(kind: Kind, column: str, field: str) -> Choice | None:
    """Only for the standard field: a custom one has values of its own, which are ours as they stand."""
    choice = CHOICES.get((kind, column))
    return choice if choice and choice.field.lower() == field else None


_SERVER_SET = frozenset({"completeddatetime"})  # nobody writes it; known without asking


_NO_ROW: Mapping[str, object] = {}


class Mapper:
    """One kind's columns and the fields that hold them."""

    def __init__(self, kind: Kind, fields: Mapping[str, str]) -> None:
        unknown = sorted(set(fields) - set(COLUMNS[kind]))
        if unknown:
            raise ValueError(f"{kind} has no column {', '.join(unknown)}")
        self.kind = kind
        self.fields = dict(fields)
        self._ways = {column: _Way(kind, column, path) for column, path in fields.items()}
        self._held: tuple[Schema, Mapping[str, tuple[_Way, Field]]] | None = None

    def columns(self, row: Mapping[str, object]) -> dict[str, Value]:
        """A row's columns. Raises Unmappable, naming the field and never its value."""
        all_day = bool(at(row, "IsAllDayEvent")) if self.kind is Kind.APPOINTMENT else False
        result: dict[str, Value] = {}
        for column, way in self._ways.items():
            if way.activity:
                if not isinstance(activity := activity_of(row), Absent):
                    result[column] = activity
                continue
            if way.children is not None:
                if not isinstance(some := way.children(row), Absent):
                    result[column] = some
                continue
            raw = row[way.path] if way.path in row else at(row, way.path)
            if way.plain and (raw is None or isinstance(raw, str)):
                result[column] = None if raw is None else way.read(raw)
                continue
            if raw is ABSENT:
                continue
            try:
                value = self._read(way, raw, all_day, row)
            except (ValueError, OverflowError) as error:
                raise Unmappable(f"{way.path} does not hold what its type promises") from error
            if not isinstance(value, Absent):
                result[column] = value
        return result

    def row(self, columns: Columns, schema: Schema, *, new: bool = False) -> dict[str, Raw]:
        """The fields to write for ``columns``; what cannot be written or held is left out."""
        writable = schema.settable if new and self.kind is Kind.EMAIL else schema.writable
        result: dict[str, Raw] = {}
        held = self._held_by(schema)
        for column, value in completed(self.kind, columns).items():
            if column not in held:
                continue
            way, field = held[column]
            if way.children is not None:
                continue  # once the event stands
            if way.activity:
                if schema.writable("Type") and not isinstance(activity_held(value, schema), Absent):
                    result["Type"] = type_of(value, schema)
                continue
            raw = self._write(way, field, value, columns) if writable(way.writes) else ABSENT
            if not isinstance(raw, Absent):
                result[way.path] = raw
                if way.lower == "reminderdatetime" and schema.writable("IsReminderSet"):
                    result["IsReminderSet"] = raw is not None
        return result

    def new_row(self, columns: Columns, schema: Schema) -> dict[str, Raw]:
        """As ``row``, for a record that does not exist yet: empty fields are left to the server's defaults."""
        given = self.row(
            {n: v for n, v in columns.items() if n != "activity" or v is not None}, schema, new=True
        )
        result: dict[str, Raw] = {f: raw for f, raw in given.items() if raw is not None}
        subtype = self._ways.get("activity")
        if subtype is not None and subtype.activity and columns.get("activity") == "phone_call":
            field = schema.field("TaskSubtype")
            if field is not None and field.createable and takes(field, CALL):
                result["TaskSubtype"] = CALL
        if self.kind is Kind.CONTACT and not any(f.lower() == "lastname" for f in result):
            result["LastName"] = stand_in(columns)
        return mail.new_fields(columns, result) if self.kind is Kind.EMAIL else result

    def project(self, columns: Columns, schema: Schema) -> dict[str, Value]:
        """``columns`` as they would be read back. A read-only column stands for itself: it can be compared."""
        result: dict[str, Value] = {}
        given = completed(self.kind, columns)
        all_day = self.kind is Kind.APPOINTMENT and is_all_day(given)
        held = self._held_by(schema)
        for column, value in given.items():
            if column not in held:
                continue
            way, field = held[column]
            if way.children is not None:
                result[column] = (way.read(value) or None) if value else None
                continue
            if way.activity:
                if not isinstance(kept := activity_held(value, schema), Absent):
                    result[column] = kept
                continue
            if way.plain and field.values is None and field.type != "boolean":
                result[column] = None if value is None else way.read(self._fitting(way, field, value) or "")
                continue
            raw = self._write(way, field, value, columns)
            kept = raw if isinstance(raw, Absent) else self._read(way, raw, all_day)
            if not isinstance(kept, Absent):
                result[column] = kept
        return result

    def _held_by(self, schema: Schema) -> Mapping[str, tuple[_Way, Field]]:
        """By column, what the object of this schema can hold; worked out once for each schema."""
        if self._held is None or self._held[0] is not schema:
            there = (w for w in self._ways.values() if w.path and schema.has(w.path))
            self._held = schema, {w.column: (w, schema.field(w.path) or Field(w.path)) for w in there}
        return self._held[1]

    def held(self, schema: Schema | None) -> tuple[frozenset[str], frozenset[str]]:
        """Columns that can be held, and those of them that cannot be written."""
        if schema is None:
            written = ((c, w.writes) for c, w in self._ways.items())
            closed = (c for c, f in written if "." in f or f.lower() in _SERVER_SET)
            return frozenset(self.fields), frozenset(closed)
        held = {c: w for c, w in self._ways.items() if schema.has(w.path)}
        # what was sent is written once: fields that cannot be changed later on are as good as any
        writable = schema.settable if self.kind is Kind.EMAIL else schema.writable
        closed = (c for c, w in held.items() if not writable(w.writes) and not w.activity)
        return frozenset(held), frozenset(closed)

    def reads(self, child: str) -> bool:
        """Whether records of this relationship are read with each of ours."""
        return any(w.children is not None and w.lower == child.lower() for w in self._ways.values())

    def partial(self) -> frozenset[str]:
        return frozenset(w.column for w in self._ways.values() if w.children is not None)

    def once(self, schema: Schema | None) -> frozenset[str]:
        """Of the columns that are written, those that are written when the record is made and never again."""
        if schema is None or self.kind is not Kind.EMAIL:
            return frozenset()
        names = {c: w.writes for c, w in self._ways.items()}
        return frozenset(c for c, f in names.items() if schema.settable(f) and not schema.writable(f))

    def _read(
        self, way: _Way, raw: object, all_day: bool, row: Mapping[str, object] = _NO_ROW
    ) -> Value | Absent:
        if not isinstance(raw, str | bool | int | float | None):
            raise Unmappable(f"{way.path} is no single value")
        if way.choice:
            return way.choice.read(raw)
        if way.status:
            return mail.status(raw)
        if raw is None:
            return None
        if way.column == "direction" and isinstance(raw, bool):
            return mail.direction(raw)
        if way.column == "sensitivity" and isinstance(raw, bool):
            return "private" if raw else "public"
        if way.lower == "reminderdatetime" and at(row, "IsReminderSet") is False:
            return None
        if way.lower == "lastname" and _STAND_IN.fullmatch(str(raw).strip()):
            return None
        if all_day and way.lower in ("startdatetime", "enddatetime"):
            return date_of(raw) + (DAY if way.lower == "enddatetime" else timedelta(0))
        return way.read(raw)

    def _write(self, way: _Way, field: Field, value: Value, columns: Columns) -> Raw | Absent:
        if way.choice:
            raw = way.choice.write(value)
        elif way.status:
            raw = mail.status_to_write(value)
        elif way.column == "direction" and field.type == "boolean":
            raw = value == "incoming"
        elif way.column == "sensitivity" and field.type == "boolean":
            raw = value in ("private", "confidential")
        elif way.lower == "enddatetime" and isinstance(value, date) and not isinstance(value, datetime):
            raw = written(value - DAY, field.type)
        else:
            fitting = self._fitting(way, field, value)
            raw = written(None if fitting is None else way.read(fitting), field.type)
        if way.lower == "lastname" and raw is None:
            raw = stand_in(columns)
        if field.values is not None and raw is not None and raw not in field.values:
            return ABSENT
        return raw

    def _fitting(self, way: _Way, field: Field, value: Value) -> Value:
        return mail.fitting(way.column, value, field.length) if way.mail else value


def objection(row: Mapping[str, Raw], schema: Schema) -> tuple[str, str] | None:
    """Code and sentence for the first thing that the server would refuse in a row, as far as we can tell."""
    for path, raw in row.items():
        field = schema.field(path)
        if isinstance(raw, str) and field and 0 < field.length < len(raw):
            return "too_long", f"{field.name} holds {field.length} characters in the CRM, this has {len(raw)}"
    start, end = row.get("StartDateTime"), row.get("EndDateTime")  # one form, so that text compares as time
    if isinstance(start, str) and isinstance(end, str) and end < start:
        return "invalid", "the event ends before it starts"
    return None
