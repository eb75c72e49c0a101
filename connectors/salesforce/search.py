"""Candidates for a match, rights, and selections: questions that the server answers about some of its records."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import phonenumbers

from crmsync.connectors.abilities import Access, Probe
from crmsync.connectors.columns import COLUMNS, Type
from crmsync.connectors.contract import Columns, Kind, Record, Selection
from crmsync.connectors.salesforce import soql
from crmsync.connectors.salesforce.changes import condition
from crmsync.connectors.salesforce.client import Client, Row
from crmsync.connectors.salesforce.table import Table, row_id
from crmsync.connectors.salesforce.values import Raw, instant

_KEYS: Mapping[Kind, tuple[str, ...]] = {  # what a probe's columns are compared by
    Kind.APPOINTMENT: ("subject", "start"),
    Kind.TASK: ("subject", "due"),
    Kind.EMAIL: ("message_id",),
}
_IN_ONE = 20  # values of one IN: small enough for several to share a query
_MANY = 24  # probes that take more than a query or two; a page of a listing is worth as many


def search(table: Table, probes: Sequence[Probe]) -> Iterator[Record]:
    """Every visible record that shares an address, a number or the key columns with a probe, once."""
    told: set[str] = set()
    for where in _conditions(table, probes):
        for record in table.records(where):
            if record.id not in told:
                told.add(record.id)
                yield record


def _conditions(table: Table, probes: Sequence[Probe]) -> Sequence[str]:
    """As few queries as find them all: for many probes, a look through a small table is cheaper than a search for
    each."""
    if len(probes) > _MANY:
        found = _looked_through(
            table, [*_telling(table, probes), *_equal(table, probes)], len(probes) // _MANY
        )
        if found is not None:
            return [soql.within("Id", some) for some in soql.batches(found)]
    sought: list[_AnyField | _Alike] = [*_texts(table, probes), *_equal(table, probes)]
    return list(soql.any_of([c for each in sought for c in each.conditions()], table.room()))


def _looked_through(table: Table, sought: Sequence["_Test"], most: int) -> list[str] | None:
    """Ids of the rows that are sought, out of a listing of nothing but the keys; None where that takes more than
    ``most`` pages."""
    if not sought:
        return []
    fields = list(dict.fromkeys(("Id", *(f for each in sought for f in each.fields))))
    found: list[str] = []
    for page in table.brief(fields):
        if page.total > most * max(len(page.rows), 1):
            return None
        found += [row_id(row) for row in page.rows if any(each.is_in(row) for each in sought)]
    return found


class _Test(Protocol):
    """Keys of one sort, of all probes, looked for in a row."""

    @property
    def fields(self) -> Sequence[str]: ...

    def is_in(self, row: Row) -> bool: ...


@dataclass(frozen=True, slots=True)
class _AnyField:
    """One of the texts, whatever its case, in one of the fields."""

    fields: Sequence[str]
    texts: Collection[str]

    def conditions(self) -> Iterator[str]:
        for some in soql.batches(sorted(self.texts), _IN_ONE):
            for field in self.fields:
                yield soql.within(field, some)


@dataclass(frozen=True, slots=True)
class _Telling:
    """One of the keys in one of the fields, of whose text ``key`` is what tells it from others."""

    fields: Sequence[str]
    key: Callable[[str], str]
    keys: Collection[str]

    def is_in(self, row: Row) -> bool:
        return any(isinstance(text := row.get(f), str) and self.key(text) in self.keys for f in self.fields)


@dataclass(frozen=True, slots=True)
class _Alike:
    """Equal in all fields to one of the rows that our mapping makes of the probes."""

    types: Mapping[str, str]  # of the fields
    rows: Collection[tuple[Raw, ...]]
    comparable: Collection[tuple[object, ...]]  # the rows, as ``_comparable`` makes them

    @property
    def fields(self) -> Sequence[str]:
        return list(self.types)

    def conditions(self) -> Iterator[str]:
        rows = (zip(self.types.items(), row, strict=True) for row in self.rows)
        tests = ([f"{field} = {_literal(kind, raw)}" for (field, kind), raw in row] for row in rows)
        yield from sorted(soql.all_of(*each) for each in tests)

    def is_in(self, row: Row) -> bool:
        return _comparable(self.types, [row.get(field) for field in self.types]) in self.comparable


def _fields(table: Table, column_type: Type) -> list[str]:
    """The object's own fields that hold columns of this type."""
    missing = table.missing()
    of_type = (f for c, f in table.mapper.fields.items() if COLUMNS[table.kind][c].type is column_type)
    return [f for f in of_type if "." not in f and f.lower() not in missing]


def _texts(table: Table, probes: Sequence[Probe]) -> Iterator[_AnyField]:
    """For the server, which compares text."""
    emails = {_address(e) for p in probes for e in p.emails if soql.clean(e).strip()}
    numbers = {s for p in probes for n in p.phones for s in spellings(n)}
    for column_type, wanted in ((Type.EMAIL, emails), (Type.PHONE, numbers)):
        if wanted and (fields := _fields(table, column_type)):
            yield _AnyField(fields, wanted)


def _telling(table: Table, probes: Sequence[Probe]) -> Iterator[_Telling]:
    """For ourselves; what is too much is sorted out by whoever compares the whole records."""
    emails = {_address(e) for p in probes for e in p.emails} - {""}
    numbers = {_ending(n) for p in probes for n in p.phones} - {""}
    for column_type, key, wanted in ((Type.EMAIL, _address, emails), (Type.PHONE, _ending, numbers)):
        if wanted and (fields := _fields(table, column_type)):
            yield _Telling(fields, key, wanted)


def _address(text: str) -> str:
    return text.strip().lower()


def _ending(number: str) -> str:
    """The last digits: the same ones, however a number is written."""
    return "".join(c for c in number if c.isdigit() and c.isascii())[-7:]


def spellings(number: str) -> frozenset[str]:
    """How people write a number that we know as given or in E.164: the server compares text."""
    given = " ".join(soql.clean(number).split())
    digits = "".join(c for c in given if c.isdigit() and c.isascii())
    if not digits:
        return frozenset()
    plain = {given, digits, f"+{digits}"}
    try:
        parsed = phonenumbers.parse(given, None)
    except phonenumbers.NumberParseException:
        return frozenset(plain)
    form = phonenumbers.PhoneNumberFormat
    forms = [phonenumbers.format_number(parsed, f) for f in (form.E164, form.INTERNATIONAL, form.NATIONAL)]
    national = "".join(c for c in forms[2] if c.isdigit())
    return frozenset({*plain, *forms, f"00{digits}", national})


def _equal(table: Table, probes: Sequence[Probe]) -> Iterator[_Alike]:
    """Equality in the key columns that a probe has, or in any that can be compared if it has none of them."""
    by_fields: dict[tuple[tuple[str, str], ...], set[tuple[Raw, ...]]] = defaultdict(set)
    for probe in probes:
        if table.kind in _KEYS and probe.columns and (tests := _compared(table, probe.columns)):
            by_fields[tuple((field, kind) for field, kind, _ in tests)].add(tuple(raw for *_, raw in tests))
    for fields, rows in by_fields.items():
        types = dict(fields)
        yield _Alike(types, rows, {_comparable(types, row) for row in rows})


def _compared(table: Table, columns: Columns) -> list[tuple[str, str, Raw]]:
    """Field, its type and the value that it would have."""
    schema, mapper = table.schema(), table.mapper
    keys = {c: v for c, v in columns.items() if c in _KEYS[table.kind]} or columns
    tests: list[tuple[str, str, Raw]] = []
    for path, raw in mapper.row(keys, schema, new=True).items():
        field = schema.field(path)
        if field is None or not field.filterable or field.type == "textarea":
            continue
        if isinstance(raw, str | bool | int | None):
            tests.append((path, field.type, raw))
    return tests


def _comparable(types: Mapping[str, str], row: Sequence[object]) -> tuple[object, ...]:
    """A row as equality in SOQL sees it: text without its case, a time as a moment."""
    read: Mapping[str, Callable[[str], object]] = {"datetime": instant, "date": str}
    return tuple(
        read.get(kind, str.lower)(raw) if isinstance(raw, str) else raw
        for kind, raw in zip(types.values(), row, strict=True)
    )


def _literal(kind: str, raw: Raw) -> str:
    if isinstance(raw, str) and kind in ("date", "datetime"):  # made by our own mapping from a typed value
        return raw if kind == "date" else soql.literal(instant(raw))
    assert not isinstance(raw, float)
    return soql.literal(raw)


def access(client: Client, user: str, ids: Sequence[str]) -> Mapping[str, Access]:
    """The rights of a user, by id as given; whoever is not in the answer has none."""
    if not soql.is_id(user):
        raise ValueError("not a user id of the CRM")
    given = {soql.id18(i): i for i in ids if soql.is_id(i)}
    result: dict[str, Access] = {}
    fields = ("RecordId", "HasReadAccess", "HasEditAccess", "HasDeleteAccess")
    for some in soql.batches(list(given)):
        where = f"UserId = {soql.quote(user)} AND {soql.within('RecordId', some)}"
        for row in client.rows(soql.select(fields, "UserRecordAccess", where), "UserRecordAccess"):
            record = str(row.get("RecordId") or "")
            rights = Access(*(row.get(f) is True for f in fields[1:]))
            if soql.is_id(record) and rights.read:
                result[given.get(soql.id18(record), record)] = rights
    return result


def selected(table: Table, ids: Sequence[str], selection: Selection) -> frozenset[str]:
    """Those of the ids that meet the selection."""
    if selection.nothing or (selection.owner and not table.owned):
        return frozenset()
    given = {soql.id18(i): i for i in ids if soql.is_id(i)}
    found: set[str] = set()
    for some in soql.batches(list(given)):
        where = soql.all_of(soql.within("Id", some), condition(selection))
        found |= {row_id(row) for page in table.brief(("Id",), where) for row in page.rows}
    return frozenset(given[i] for i in found if i in given)
