"""Running a plan: rows to records in the shape of Salesforce's REST JSON."""

import datetime
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Connection, func, select

from crmsync.state.replica.soql.errors import TooLarge
from crmsync.state.replica.soql.plan import (
    PARENTS,
    Aggregate,
    Children,
    Compound,
    Count,
    Parent,
    Plan,
    Polymorph,
    Record,
    Slot,
    Value,
)

BATCH = 200  # rows whose children are read together
MOST_CHILDREN = 50_000  # of those rows, since they are held in memory
_STREAMED = {"stream_results": True, "max_row_buffer": BATCH}  # PostgreSQL would send all rows at once

Json: TypeAlias = dict[str, Any]
Url: TypeAlias = Callable[[str, str], str]  # (object, id) -> attributes.url; "" where files come themselves


def run(connection: Connection, plan: Plan, *, url: Url, utc: str = "+0000") -> Generator[Json, None, None]:
    """The records of a plan, read as they are asked for; none for `SELECT COUNT()`, see `total_size`.

    Datetimes read `2024-01-02T03:04:05.000+0000`, dates `2024-01-02`; parents are nested, children are query
    results of their own. `utc` is how datetimes end: SOAP writes a `Z`.
    """
    if isinstance(plan.shape, Count):
        return
    with closing(connection.execute(plan.select, execution_options=_STREAMED)) as result:
        for rows in result.partitions(BATCH):
            yield from _records(connection, plan, rows, _Style(url, utc))


def total_size(connection: Connection, plan: Plan) -> int:
    """How many records the plan has; for `SELECT COUNT()` the count itself."""
    statement = plan.select
    if not isinstance(plan.shape, Count):
        statement = select(func.count()).select_from(plan.select.order_by(None).subquery())
    return int(connection.execute(statement).scalar_one())


@dataclass(frozen=True, slots=True)
class _Style:
    url: Url
    utc: str


def _records(
    connection: Connection, plan: Plan, rows: Sequence[Sequence[Any]], style: _Style
) -> Iterator[Json]:
    match plan.shape:
        case Record() as record:
            writer = _Writer(style, _all_children(connection, record, rows, style))
            yield from (writer.record(record, row) for row in rows)
        case Aggregate(slots):
            for row in rows:
                values = {name: _value(slot, row, style.utc) for name, slot in slots}
                yield {"attributes": {"type": "AggregateResult"}, **values}


def _all_children(
    connection: Connection, record: Record, rows: Sequence[Sequence[Any]], style: _Style
) -> dict[str, dict[str, list[Json]]]:
    """Relationship -> parent id -> records, for every child subquery and all the rows at once."""
    ids = [row[record.id_index] for row in rows]
    return {
        name: _children(connection, slot.plan, ids, style)
        for name, slot in record.slots
        if isinstance(slot, Children)
    }


def _children(connection: Connection, plan: Plan, ids: list[str], style: _Style) -> dict[str, list[Json]]:
    found: defaultdict[str, list[Json]] = defaultdict(list)
    assert plan.key_index is not None
    count = 0
    for rows in connection.execute(plan.select, {PARENTS: ids}).partitions(BATCH):
        count += len(rows)
        if count > MOST_CHILDREN:
            raise TooLarge(
                f"{BATCH} records have more than {MOST_CHILDREN} child records: query the children"
            )
        for row, record in zip(rows, _records(connection, plan, rows, style), strict=True):
            found[row[plan.key_index]].append(record)
    return found


class _Writer:
    """Writes rows as JSON; `children` are those of the rows at hand."""

    def __init__(self, style: _Style, children: dict[str, dict[str, list[Json]]]) -> None:
        self.style = style
        self.children = children

    def record(self, record: Record, row: Sequence[Any]) -> Json:
        id_ = row[record.id_index]
        written: Json = {"attributes": {"type": record.type, "url": self.style.url(record.object, id_)}}
        url = written["attributes"]["url"]
        for name, slot in record.slots:
            if url and isinstance(slot, Value) and slot.type == "base64":
                written[name] = f"{url}/{name}"  # whoever wants the bytes asks for them there
            else:
                written[name] = self._slot(name, slot, row, id_)
        return written

    def _slot(self, name: str, slot: Slot, row: Sequence[Any], id_: str) -> Any:
        match slot:
            case Value():
                return _value(slot, row, self.style.utc)
            case Compound(parts):
                values = {key: _value(part, row, self.style.utc) for key, part in parts}
                return values if any(value is not None for value in values.values()) else None
            case Parent(record):
                return self._parent((record,), row)
            case Polymorph(records):
                return self._parent(records, row)
            case Children():
                return _result(self.children[name].get(id_, []))

    def _parent(self, records: tuple[Record, ...], row: Sequence[Any]) -> Json | None:
        there = (record for record in records if row[record.id_index] is not None)
        found = next(there, None)
        return None if found is None else self.record(found, row)


def _result(records: list[Json]) -> Json | None:
    return {"totalSize": len(records), "done": True, "records": records} if records else None


def _value(slot: Value, row: Sequence[Any], utc: str) -> Any:
    value = row[slot.index]
    if value is None:
        return None
    return _formatted(value) if slot.formatted else _plain(value, slot.type, utc)


def _plain(value: Any, type_: str, utc: str) -> Any:
    match value:
        case datetime.datetime():
            return f"{value.isoformat(timespec='milliseconds')}{utc}"
        case datetime.date():
            return value.isoformat()
    if type_ in ("double", "currency", "percent"):
        return float(value)
    return int(value) if type_ == "int" else value


def _formatted(value: Any) -> str:
    """FORMAT(): as a person in the locale en_US would read it."""
    match value:
        case datetime.datetime():
            return f"{value.month}/{value.day}/{value.year}, {value:%I:%M %p}".replace(", 0", ", ")
        case datetime.date():
            return f"{value.month}/{value.day}/{value.year}"
        case bool():
            return str(value).lower()
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.2f}".removesuffix(".00")
    return str(value)
