"""The look before a write: has the record changed since, and does a create stand already?

With an external-id field a record is looked up by the create's key first (what a colleague changed since an interrupted
attempt is not written over) and then made by an upsert. Without one, a create with ``since`` is looked for among the
records that were made since then and equal it in every column: first those of this login, then anybody's. Who deletes
what we have made and makes it again by hand, while we wait for the answer, does not want a second one.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from crmsync.connectors.contract import Create, Delete, Done, Kind, Outcome, Record, Stale, Update
from crmsync.connectors.salesforce import soql
from crmsync.connectors.salesforce.client import Row
from crmsync.connectors.salesforce.table import YOUNG, Table, row_id, row_key, row_version

_CLOCK = timedelta(seconds=5)  # what our idea of the server's clock may be off by
_NAMED_BY = {
    Kind.CONTACT: "LastName",
    Kind.APPOINTMENT: "Subject",
    Kind.TASK: "Subject",
    Kind.EMAIL: "MessageIdentifier",
}


def settled(table: Table, writes: Mapping[int, Update | Delete]) -> dict[int, Outcome]:
    """What need not be written: stale, or gone. A record that cannot be seen is stale: its version is not known."""
    rows = _rows(table, list(writes.values()))
    outcomes: dict[int, Outcome] = {}
    for i, write in writes.items():
        row = rows.get(soql.id18(write.id)) if soql.is_id(write.id) else None
        gone = row is not None and bool(row.get("IsDeleted"))
        if gone and isinstance(write, Delete):
            outcomes[i] = Done(write.id, "")
        elif gone or row is None or not _unchanged(row, write.expected):
            outcomes[i] = Stale(write.id)
    return outcomes


def _rows(table: Table, writes: Sequence[Update | Delete]) -> dict[str, Row]:
    """What can be seen of the records, in the recycle bin or out of it: as much as their versions are made of."""
    ids = sorted({w.id for w in writes if soql.is_id(w.id)})
    if not ids:
        return {}
    where = soql.within("Id", ids)
    if any(YOUNG in w.expected for w in writes):
        pages = table.pages(where, deleted=True)
    else:
        pages = table.brief(("Id", *table.versioned(), "IsDeleted"), where, deleted=True)
    return {row_id(row): row for page in pages for row in page.rows}


def _unchanged(row: Row, expected: str) -> bool:
    stamp, _, key = expected.partition(YOUNG)
    return row_version(row, None) == stamp and (not key or row_key(row) == key)


def made_already(table: Table, creates: Mapping[int, Create]) -> dict[int, Outcome]:
    """The creates that an earlier attempt has carried out."""
    table.schema()
    if table.link_field():
        return _by_key(table, creates)
    repeated = {i: w for i, w in creates.items() if w.since is not None}
    return _by_columns(table, repeated) if repeated else {}


def _by_key(table: Table, creates: Mapping[int, Create]) -> dict[int, Outcome]:
    link = table.link_field()
    found = _found(table, "", (f"{link} = {soql.quote(w.key)}" for w in creates.values()))
    by_key = {r.link.casefold(): r for r in found.values()}
    stands = ((i, by_key.get(w.key.casefold())) for i, w in creates.items())
    return {i: Done(r.id, r.version, r, found=True) for i, r in stands if r is not None}


def _by_columns(table: Table, creates: Mapping[int, Create]) -> dict[int, Outcome]:
    """Each found record answers for one create only."""
    since = min(w.since for w in creates.values() if w.since) - _CLOCK
    later = f"CreatedDate >= {soql.literal(since)}"
    ours = f"CreatedById = {soql.quote(table.client.who()[1])} AND {later}"
    found: dict[int, Record] = {}
    for made in (ours, later):
        left = {i: w for i, w in creates.items() if i not in found}
        found |= _equals(table, left, made, {r.id for r in found.values()}) if left else {}
    return {i: Done(r.id, r.version, r, found=True) for i, r in found.items()}


def _equals(table: Table, creates: Mapping[int, Create], made: str, taken: set[str]) -> dict[int, Record]:
    field, schema = _NAMED_BY[table.kind], table.schema()
    names = {table.mapper.new_row(w.columns, schema).get(field) for w in creates.values()}
    found = _found(table, made, (f"{field} = {soql.literal(n)}" for n in names if isinstance(n, str | None)))
    free = {id: r for id, r in found.items() if id not in taken}
    equals: dict[int, Record] = {}
    for i, write in creates.items():
        if same := next((r for r in free.values() if _equal(table, write, r)), None):
            equals[i] = free.pop(same.id)
    return equals


def _found(table: Table, first: str, any_of: Iterable[str]) -> dict[str, Record]:
    """The records that meet ``first`` and any of the others, by id."""
    found: dict[str, Record] = {}
    for where in soql.any_of(any_of, table.room()):
        found |= {r.id: r for r in table.records(soql.all_of(first, where))}
    return found


def _equal(table: Table, write: Create, record: Record) -> bool:
    schema = table.schema()
    _, read_only = table.mapper.held(schema)
    expected = table.mapper.project(write.columns, schema)
    owned = not write.owner or not table.owned or soql.id18(write.owner) == record.owner
    later = read_only | table.mapper.partial()  # these are made once the record stands
    return owned and all(record.columns.get(c) == v for c, v in expected.items() if c not in later)
