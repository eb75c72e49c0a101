"""Candidates for a match, rights, and selections: questions that the server answers about some of its records."""

from collections.abc import Iterator, Mapping, Sequence

import phonenumbers

from crmsync.connectors.contract import (
    COLUMNS,
    Access,
    Columns,
    Kind,
    Probe,
    Record,
    Selection,
    Type,
)
from crmsync.connectors.salesforce import soql
from crmsync.connectors.salesforce.changes import condition
from crmsync.connectors.salesforce.client import Client
from crmsync.connectors.salesforce.table import Table, row_id

_KEYS: Mapping[Kind, tuple[str, ...]] = {  # what a probe's columns are compared by
    Kind.APPOINTMENT: ("subject", "start"),
    Kind.TASK: ("subject", "due"),
}
_IN_ONE = 20  # values of one IN: small enough for several to share a query


def search(table: Table, probes: Sequence[Probe]) -> Iterator[Record]:
    """Every visible record that shares an address, a number or the key columns with a probe, once."""
    told: set[str] = set()
    conditions = [*_addresses(table, probes), *_numbers(table, probes), *_equal(table, probes)]
    for where in soql.any_of(conditions, table.room()):
        for record in table.records(where):
            if record.id not in told:
                told.add(record.id)
                yield record


def _fields(table: Table, column_type: Type) -> list[str]:
    """The object's own fields that hold columns of this type."""
    missing = table.missing()
    of_type = (f for c, f in table.mapper.fields.items() if COLUMNS[table.kind][c].type is column_type)
    return [f for f in of_type if "." not in f and f.lower() not in missing]


def _addresses(table: Table, probes: Sequence[Probe]) -> Iterator[str]:
    wanted = sorted({e.strip().lower() for p in probes for e in p.emails if soql.clean(e).strip()})
    return _any_field(_fields(table, Type.EMAIL), wanted)


def _numbers(table: Table, probes: Sequence[Probe]) -> Iterator[str]:
    wanted = sorted({s for p in probes for n in p.phones for s in spellings(n)})
    return _any_field(_fields(table, Type.PHONE), wanted)


def _any_field(fields: Sequence[str], values: Sequence[str]) -> Iterator[str]:
    for some in soql.batches(values, _IN_ONE):
        for field in fields:
            yield soql.within(field, some)


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


def _equal(table: Table, probes: Sequence[Probe]) -> Iterator[str]:
    if table.kind in _KEYS:
        for probe in probes:
            if probe.columns:
                yield from _same(table, probe.columns)


def _same(table: Table, columns: Columns) -> Iterator[str]:
    """Equality in the key columns that the probe has, or in any that can be compared if it has none of them."""
    schema, mapper = table.schema(), table.mapper
    keys = {c: v for c, v in columns.items() if c in _KEYS[table.kind]} or columns
    tests = []
    for path, raw in mapper.row(keys, schema).items():
        field = schema.field(path)
        if field is None or not field.filterable or field.type == "textarea":
            continue
        if field.type in ("date", "datetime"):  # made by our own mapping from a typed value
            tests.append(f"{path} = {_time(str(raw)) if raw else 'null'}")
        elif isinstance(raw, str | bool | int | None):
            tests.append(f"{path} = {soql.literal(raw)}")
    if tests:
        yield soql.all_of(*tests)


def _time(raw: str) -> str:
    return raw.replace("+0000", "Z")


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
    if selection.nothing:
        return frozenset()
    given = {soql.id18(i): i for i in ids if soql.is_id(i)}
    found: set[str] = set()
    for some in soql.batches(list(given)):
        where = soql.all_of(soql.within("Id", some), condition(selection))
        found |= {row_id(row) for page in table.brief(("Id",), where) for row in page.rows}
    return frozenset(given[i] for i in found if i in given)
