"""What a person does with the rows here, with or without a network: create, update, delete.

What the describe forbids is refused at once, in the CRM's own codes. What the CRM itself computes appears when it has
the record. All of it is one transaction with the entry in the queue: what was said to be done survives.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crmsync.state.replica import faults, ids
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local import veil
from crmsync.state.replica.local.births import next_temporary
from crmsync.state.replica.local.computed import computed
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import Edge, Row, row_from, row_to, stored
from crmsync.state.replica.local.tables import CONVERTED, CREATED, LEAD, ROLES, UPDATED
from crmsync.state.replica.local.temporary import is_temporary
from crmsync.state.replica.metadata import Field, ObjectType, fold
from crmsync.state.replica.values import decode, encode_datetime

__all__ = [
    "as_json",
    "blank",
    "closure",
    "create",
    "current_id",
    "delete",
    "find",
    "made",
    "queue_create",
    "queue_update",
    "take_along",
    "update",
]


def create(work: Work, name: str, values: Mapping[str, Any], at: datetime) -> str:
    """A new row, from JSON values; its temporary id. `at`: now, by the server's clock. Raises Fault."""
    type_ = work.shapes.schema.find(name)
    if type_ is None:
        raise faults.no_object(name[:80])
    if not type_.createable:
        raise faults.no_access()
    given = _decoded(work, type_, values, creating=True)
    row = {**blank(type_), **given}
    missing = tuple(f.name for f in stored(type_) if f.required and row[f.name] is None)
    if missing:
        raise faults.required(missing)
    row = made(work, type_, row, given, at)
    queue_create(work, type_.name, row["Id"])
    return str(row["Id"])


def made(work: Work, type_: ObjectType, row: Row, given: Iterable[str], at: datetime) -> Row:
    """A row of main that the upstream does not have, with an id and what can be known of it."""
    stamps = dict.fromkeys(("CreatedDate", "LastModifiedDate", "SystemModstamp"), at)
    row = {**row, **{k: v for k, v in {**stamps, **_by(work, row)}.items() if k in row}}
    row["Id"] = next_temporary(work, type_.prefix)
    row |= computed(work, type_, row, given, None, at)
    work.main(type_.name, [row], created=True)
    return row


def queue_create(work: Work, name: str, record_id: str) -> None:
    work.connection.execute(work.shared.createlist.insert().values(Id=record_id, object=name))


def update(
    work: Work,
    record_id: str,
    values: Mapping[str, Any],
    at: datetime,
    *,
    moments: Mapping[str, datetime] | None = None,
) -> None:
    """Changes fields of a row. A write that the upstream refused is tried again with it. `moments`: when each field was
    changed, where that was not now. Raises Fault."""
    type_, row = find(work, record_id)
    given = _decoded(work, type_, values, creating=bool(row[CREATED]))
    emptied = tuple(n for n, v in given.items() if v is None and not _field(type_, n).nillable)
    if emptied:
        raise faults.required(emptied)
    new = {n: v for n, v in given.items() if v != row[n]}
    if row[CONVERTED]:
        _change_converting(work, type_, row, new)
    if row[CREATED]:
        shown = _shown(work, type_, row, new, at)
        work.change(work.group(type_.name).main, row["Id"], **shown, **{CREATED: True})
        _ask_again(work, row["Id"])
    elif new:
        work.not_by_sync(row["Id"], new)
        queue_update(work, type_, work.bare(type_.name, {row["Id"]: row})[row["Id"]], new, at, moments or {})


def _change_converting(work: Work, type_: ObjectType, row: Row, new: Row) -> None:
    """What a lead is given before the upstream has converted it, it is converted with."""
    if covered := new.keys() & set(veil.SHOWN):
        what = f"{', '.join(sorted(covered))}: the lead is converted; abandon that to change it"
        raise Fault("CANNOT_UPDATE_CONVERTED_LEAD", what)
    conversion = work.converting([row["Id"]])[row["Id"]]
    if conversion["base"] is not None:
        base = {**conversion["base"], **row_to(type_, new)}
        work.change(work.shared.conversions, conversion["Id"], base=base)
    _refused_no_more(work, conversion["Id"])


def _ask_again(work: Work, record_id: str) -> None:
    """The create that was refused, or the conversion that the row comes from."""
    _refused_no_more(work, record_id)
    table = work.shared.conversions
    for conversion in work.where(table, sa.or_(*(table.c[role] == record_id for role in ROLES.values()))):
        _refused_no_more(work, conversion["Id"])


def _refused_no_more(work: Work, entry: str) -> None:
    table = work.shared.createlist
    refused = table.update().where(table.c.Id == entry, table.c.state == "rejected")
    work.connection.execute(refused.values(state="ready", code="", reason=""))


def delete(work: Work, record_id: str, at: datetime) -> None:
    """A row and what goes with it, as the describe says. Raises Fault where that says that something is in the way."""
    type_, row = find(work, record_id)
    if not type_.deletable:
        raise faults.no_access()
    going = dict(closure(work, type_, row["Id"]))
    _not_converting(work, going)
    cleared = list(_cleared(work, going))
    for object_name, each, reference, _ in cleared:
        work.change(work.group(object_name).main, each, **{reference: None})
    for each, name in going.items():
        _leave(work, name, each, row["Id"], at, [c for c in cleared if c[3] == each])
    deletelist = work.shared.deletelist
    if work.get(deletelist, row["Id"]) is None:  # the upstream has nothing that could take the others along
        others = deletelist.update().where(deletelist.c.root == row["Id"])
        work.connection.execute(others.values(root=deletelist.c.Id))


def _not_converting(work: Work, going: Mapping[str, str]) -> None:
    """What a conversion was told to use has to be there when the upstream makes it."""
    table = work.shared.conversions
    for record_id in (i for i, name in going.items() if name in (LEAD, *ROLES)):
        named = [table.c.lead == record_id, *(table.c[role] == record_id for role in ROLES.values())]
        for conversion in work.where(table, sa.or_(*named)):
            made_by_it = any(made["Id"] == record_id for made in conversion["made"].values())
            if not made_by_it:
                what = f"{record_id} is part of a conversion that the upstream does not have yet"
                raise Fault("DELETE_FAILED", what)


def take_along(work: Work, root: str, at: datetime) -> None:
    """What has come below a deleted row since, and what is below that, is deleted with it."""
    deletelist = work.shared.deletelist
    frontier = [(row["Id"], row["object"]) for row in work.where(deletelist, deletelist.c.root == root)]
    while frontier:
        current, name = frontier.pop()
        for edge in work.shapes.children(name):
            for row in _referring(work, edge, current) if edge.rule == "cascade" else ():
                _leave(work, edge.child, row["Id"], root, at, [])
                frontier.append((row["Id"], edge.child))


def as_json(work: Work, name: str, row: Row) -> Row:
    """A row of main, without what main alone has."""
    columns = work.group(name).orig.c.keys()
    return row_to(work.shapes.of(name), {n: row[n] for n in columns})


def current_id(work: Work, record_id: str) -> str:
    """The id that a record has now, by any that it ever had, of 15 or 18 characters. Raises Fault."""
    try:
        return work.resolve(ids.to_18(record_id))
    except ValueError:
        raise faults.malformed_id(record_id) from None


def find(work: Work, record_id: str) -> tuple[ObjectType, Row]:
    """The row of main with this id, be it an old temporary one. Raises Fault."""
    current = current_id(work, record_id)
    type_ = work.type_of(current)
    row = work.get(work.group(type_.name).main, current)
    if row is None:
        raise faults.not_found()
    return type_, row


# ── Values ───────────────────────────────────────────────────────────────────────────────────────────────────


def _decoded(work: Work, type_: ObjectType, values: Mapping[str, Any], *, creating: bool) -> Row:
    given: Row = {}
    refused = []
    for name, raw in values.items():
        if fold(name) in ("attributes", "id"):
            continue
        field = _field(type_, name)
        if not (field.createable if creating else field.updateable):
            refused.append(field.name)
        else:
            given[field.name] = _value(work, field, raw)
    if refused:
        raise faults.not_writable(tuple(refused))
    return given


def _field(type_: ObjectType, name: str) -> Field:
    field = type_.find(name)
    if field is None or field not in stored(type_):
        raise faults.no_column(type_.name, name[:80])
    return field


def _value(work: Work, field: Field, raw: Any) -> Any:
    value = decode(field, raw)
    if field.to and value is not None:
        value = work.resolve(value)
        target = work.shapes.schema.of_id(value)
        if target is not None and target.name not in field.to:
            raise faults.wrong_type_of_id(field.label, value, (field.name,))
        lost = target is None or work.get(work.group(target.name).main, value) is None
        if is_temporary(value) and lost:
            raise faults.no_reference((field.name,))
    return value


def blank(type_: ObjectType) -> Row:
    defaults = {f.name: f.default for f in stored(type_) if f.default is not None and f.createable}
    return row_from(type_, defaults)


# ── Updates ──────────────────────────────────────────────────────────────────────────────────────────────────


def _shown(work: Work, type_: ObjectType, row: Row, new: Row, at: datetime) -> Row:
    """What main shows from now on: the values, and what the CRM will make of them."""
    after = {**row, **new}
    stamps = {"LastModifiedDate": at, "SystemModstamp": at, **_by(work, after)}
    stamps = {
        n: v for n, v in stamps.items() if n in ("LastModifiedDate", "SystemModstamp", "LastModifiedById")
    }
    return {
        **new,
        **{n: v for n, v in stamps.items() if n in row},
        **computed(work, type_, after, new, row, at),
    }


def _by(work: Work, row: Row) -> Row:
    """Whoever we are has done it, and owns what has no owner."""
    _, user = work.property("login") or (None, None)
    owner = {} if row.get("OwnerId") else {"OwnerId": user}
    return {"CreatedById": user, "LastModifiedById": user, **owner}


def queue_update(
    work: Work,
    type_: ObjectType,
    row: Row,
    new: Row,
    at: datetime,
    moments: Mapping[str, datetime] | None = None,
) -> None:
    group, record_id = work.group(type_.name), row["Id"]
    orig = work.get(group.orig, record_id)
    if orig is None:
        orig = {n: row[n] for n in group.orig.c.keys()}  # noqa: SIM118  columns, not a dict
        work.put(group.orig, [orig])
    waits = work.get(group.tosync, record_id) or {"changed": {}, "held": [], "state": "ready"}
    held = set(waits["held"])
    shown = {**row, **new}
    now = {n: encode_datetime((moments or {}).get(n, at)) for n in new}
    changed = {n: when for n, when in {**waits["changed"], **now}.items() if n in held or shown[n] != orig[n]}
    if not changed and waits["state"] != "gone":
        work.main(type_.name, [orig])  # as it was
        work.in_step(type_.name, record_id)
        return
    state = "gone" if waits["state"] == "gone" else "ready" if changed.keys() - held else "held"
    entry = {
        "Id": record_id,
        "changed": changed,
        "held": sorted(held),
        "state": state,
        "code": "",
        "reason": "",
    }
    work.put(group.tosync, [entry])
    work.change(group.main, record_id, **_shown(work, type_, row, new, at), **{UPDATED: True})


# ── Deletes ──────────────────────────────────────────────────────────────────────────────────────────────────


def closure(work: Work, type_: ObjectType, record_id: str) -> Iterator[tuple[str, str]]:
    """The record and everything that is deleted with it: id and object. Raises Fault."""
    seen, frontier = {record_id}, [(record_id, type_.name)]
    while frontier:
        current, name = frontier.pop()
        yield current, name
        for edge in work.shapes.children(name):
            if edge.rule == "clear":
                continue
            for row in _referring(work, edge, current):
                if edge.rule == "restrict":
                    raise Fault("DELETE_FAILED", f"{row['Id']} ({edge.child}) needs this record")
                if row["Id"] not in seen:
                    seen.add(row["Id"])
                    frontier.append((row["Id"], edge.child))


def _cleared(work: Work, going: Mapping[str, str]) -> Iterator[list[str]]:
    for record_id, name in going.items():
        for edge in work.shapes.children(name):
            if edge.rule == "clear":
                for row in _referring(work, edge, record_id):
                    if row["Id"] not in going:
                        yield [edge.child, row["Id"], edge.field, record_id]


def _referring(work: Work, edge: Edge, record_id: str) -> list[Row]:
    main = work.group(edge.child).main
    return work.where(main, main.c[edge.field] == record_id)


def _leave(work: Work, name: str, record_id: str, root: str, at: datetime, cleared: list[list[str]]) -> None:
    """Out of main, into the deletelist; what the upstream never heard of just goes."""
    group, shared = work.group(name), work.shared
    main, born = work.get(group.main, record_id), work.get(shared.createlist, record_id)
    if main is not None and (waits := work.get(group.tosync, record_id)):
        orig = work.get(group.orig, record_id) or {}
        work.give_up(name, record_id, waits["changed"], orig, main, "deleted here", at)
    work.drop(group.main, [record_id])
    work.bury(name, [record_id], at)
    work.drop(group.tosync, [record_id])
    work.close_conflicts(record_id, "deleted here")
    if born is not None and born["sent"] is None:
        work.drop(shared.createlist, [record_id])
        return
    if main is not None and work.get(group.orig, record_id) is None:
        work.put(group.orig, [main])
    entry = {"Id": record_id, "object": name, "root": root, "at": at, "cleared": cleared}
    work.connection.execute(shared.deletelist.insert().values(entry))
