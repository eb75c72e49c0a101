"""What a pull brings: staged as it comes, settled against local changes, moved to main.

The very first pass goes straight into main. Later ones are staged beside it, so that what a person sees changes at
once, at the end of the pass, and not row by row while it runs.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crmsync.state.replica.local.difference import UNITS, Difference, Policy, Winner, difference
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import Row, row_to, stored
from crmsync.state.replica.local.tables import LEAD, UPDATED
from crmsync.state.replica.metadata import ObjectType
from crmsync.state.replica.values import encode_datetime, parse_datetime

__all__ = ["deleted_on_both", "gone", "leftovers", "mark_changed", "move", "settle", "stage", "unknown"]

AT_ONCE = 500
_DELETED = "deleted", "was deleted upstream"
_NOT_LISTED = "not_found", "was deleted upstream, or is not visible to the CRM login any more"


def stage(work: Work, name: str, rows: Sequence[Row], *, first: bool) -> int:
    """Notes living rows of the upstream; returns how many of them say something new."""
    group, ids = work.group(name), [row["Id"] for row in rows]
    first = first and not _doubtful(work, name)
    work.drop(group.todelete, ids)  # read after the list of deletions: it lives
    pending = work.pending(name, ids)
    if first:
        work.main(name, [row for row in rows if row["Id"] not in pending])
        rows = [row for row in rows if row["Id"] in pending]
    known = work.bare(name, work.many(group.main, ids)) | work.many(group.orig, pending)
    lost = {i for i, waits in work.many(group.tosync, pending).items() if waits["state"] == "gone"}
    waiting = {*work.many(group.synced, ids), *lost}  # what is back says so, even as it was
    fresh = [r for r in rows if r["Id"] in waiting or not _same(known.get(r["Id"]), r)]
    work.put(group.synced, fresh)
    return len(ids) if first else len(fresh)


def _doubtful(work: Work, name: str) -> bool:
    """Whether one of the rows may be what a create has made whose answer was lost: in main it would pass for one that
    had been there before, and the create would go out again."""
    table = work.shared.createlist
    return work.count(table, table.c.object == name, table.c.sent.is_not(None)) > 0


def settle(work: Work, name: str, synced: Row, policy: Policy, at: datetime) -> Row:
    """The row as the upstream has it now meets what was changed here. Returns what has to be sent.

    `at`: now, by the server's clock.
    """
    type_, group, record_id = work.shapes.of(name), work.group(name), synced["Id"]
    waits, orig = work.get(group.tosync, record_id), work.get(group.orig, record_id)
    main = work.bare(name, work.many(group.main, [record_id])).get(record_id)
    if waits is None or orig is None or main is None:
        work.main(name, [synced])
        work.in_step(name, record_id)
        return {}
    found = difference(
        orig,
        {n: main[n] for n in orig},
        synced,
        writable=[f.name for f in stored(type_) if f.updateable],
        policy=policy,
        changed={n: parse_datetime(when) for n, when in waits["changed"].items()},
        modified=synced.get("LastModifiedDate") or synced["SystemModstamp"],
        units=UNITS.get(name, ()),
        yielding=work.by_sync(record_id),
    )
    _log(work, type_, orig, main, synced, found, at)
    work.close_conflicts(record_id, "both sides agree by now", but=found.held)
    if not found.send and not found.held:
        work.main(name, [synced])
        work.in_step(name, record_id)
        return {}
    _stand(work, type_, waits, synced, found)
    return dict(found.send)


def _stand(work: Work, type_: ObjectType, waits: Row, synced: Row, found: Difference) -> None:
    """The rows as the difference has them, and what of them still waits."""
    group, record_id = work.group(type_.name), synced["Id"]
    held = sorted({name for unit in found.held for name in unit})
    work.main(type_.name, [dict(found.main)], updated=True)
    work.put(group.orig, [found.orig])
    if held:
        work.put(group.synced, [synced])
    else:
        work.drop(group.synced, [record_id])
    still = {*found.send, *held}
    work.not_by_sync(record_id, waits["changed"].keys() - still)
    state = waits["state"] if waits["state"] == "rejected" else "ready"
    work.change(
        group.tosync,
        record_id,
        changed={n: when for n, when in waits["changed"].items() if n in still},
        held=held,
        state=state if found.send else "held",
    )


def move(work: Work, name: str, policy: Policy, at: datetime, last: str) -> tuple[str, int]:
    """A stretch of staged rows to main, from the id after `last`; the last id of it (empty: that was all), and how many
    rows of main it changed. A row with a local delete under way stays."""
    group = work.group(name)
    rows = work.after(group.synced, last, AT_ONCE)
    pending = work.pending(name, (row["Id"] for row in rows))
    free = [row for row in rows if row["Id"] not in pending]
    work.main(name, free)
    work.drop(group.synced, (row["Id"] for row in free))
    for row in rows:
        if row["Id"] in pending and work.get(group.tosync, row["Id"]):
            settle(work, name, row, policy, at)
    return (rows[-1]["Id"] if len(rows) == AT_ONCE else ""), len(free)


def unknown(work: Work, name: str, ids: Sequence[str]) -> list[str]:
    """Of these rows, which the login can see, those that are not here, or are held to be gone."""
    group, waiting = work.group(name), work.many(work.group(name).tosync, ids)
    here = {
        *work.many(group.main, ids),
        *work.many(group.synced, ids),
        *work.many(work.shared.deletelist, ids),
    }
    return [i for i in ids if i not in here or waiting.get(i, {"state": ""})["state"] == "gone"]


def gone(
    work: Work, name: str, record_ids: Iterable[str], policy: Policy, at: datetime, *, told: bool = True
) -> int:
    """The upstream has deleted these, or (not `told`) does not list them any more: then they may only be closed to the
    login. A row that was changed here waits for a person, unless the upstream always wins:
    to make again what somebody has deleted on purpose is nothing to do in silence. Returns how many left main."""
    group, ids = work.group(name), list(record_ids)
    work.drop(group.todelete, ids)
    for record_id, entry in work.many(work.shared.deletelist, ids).items():
        deleted_on_both(work, record_id, entry)
    waiting = work.many(group.tosync, ids)
    for record_id in [i for i, waits in waiting.items() if _of_sync_alone(work, i, waits)]:
        del waiting[record_id]  # the sync sees it gone, and decides
        work.in_step(name, record_id)
    work.drop(work.shared.from_sync, _deletes_of_sync(work, ids))
    for record_id, waits in waiting.items():
        _edited_here(work, name, record_id, waits, policy, at, told)
    converting = work.converting(ids) if name == LEAD else {}
    for record_id, conversion in converting.items():
        _conversion_lost(work, record_id, conversion, at)
    free = [i for i in ids if (i not in waiting or policy is Policy.SERVER) and i not in converting]
    leaving = work.many(group.main, free)
    left = len(leaving)
    work.bury(name, leaving, at)
    for table in (group.main, group.orig, group.synced, group.tosync):
        work.drop(table, free)
    return left


def _of_sync_alone(work: Work, record_id: str, waits: Row) -> bool:
    return {*waits["changed"], *waits["held"]} <= work.by_sync(record_id)


def _deletes_of_sync(work: Work, ids: Sequence[str]) -> list[str]:
    known = work.many(work.shared.from_sync, ids)
    return [i for i, entry in known.items() if entry["action"] == "delete" and entry["state"] == "waiting"]


def deleted_on_both(work: Work, record_id: str, entry: Mapping[str, Any]) -> None:
    """What went with it here need not have gone with it there (it was moved here, and not yet there): each of those is
    a delete of its own from now on."""
    deletelist, group = work.shared.deletelist, work.group(entry["object"])
    for table in (deletelist, group.orig, group.synced):
        work.drop(table, [record_id])
    others = deletelist.update().where(deletelist.c.root == record_id)
    work.connection.execute(others.values(root=deletelist.c.Id))


def _conversion_lost(work: Work, lead: str, conversion: Row, at: datetime) -> None:
    """The pass decides, or a person: three records hang on it."""
    entry = work.get(work.shared.createlist, conversion["Id"])
    if entry is None or entry["state"] == "gone":
        return
    work.log(LEAD, lead, {}, {"Status": conversion["status"]}, {}, fields=(), winner=Winner.HELD, at=at)
    values = {"state": "gone", "code": "deleted", "reason": "the lead was deleted upstream"}
    work.change(work.shared.createlist, conversion["Id"], **values, sent=None, since=None)


def _edited_here(
    work: Work, name: str, record_id: str, waits: Mapping[str, Any], policy: Policy, at: datetime, told: bool
) -> None:
    type_, group = work.shapes.of(name), work.group(name)
    orig, main = work.get(group.orig, record_id) or {}, work.get(group.main, record_id) or {}
    names = sorted({*waits["changed"], *waits["held"]})
    held = policy is not Policy.SERVER
    work.log(
        name,
        record_id,
        row_to(type_, {n: orig.get(n) for n in names}),
        row_to(type_, {n: main.get(n) for n in names}),
        {},
        fields=(),
        winner=Winner.HELD if held else Winner.SERVER,
        at=at,
    )
    work.close_conflicts(record_id, "deleted upstream", but=[()] if held else [])
    if held:
        work.drop(group.synced, [record_id])
        code, reason = _DELETED if told else _NOT_LISTED
        work.change(group.tosync, record_id, state="gone", held=[], code=code, reason=reason)


def _log(
    work: Work, type_: ObjectType, orig: Row, main: Row, synced: Row, found: Difference, at: datetime
) -> None:
    ours = work.by_sync(synced["Id"])
    for clash in found.clashes:
        if {n for n in clash.fields if main[n] != orig[n]} <= ours:
            continue  # the sync decides, and its log says so
        base, local, server = (
            row_to(type_, {n: row[n] for n in clash.fields}) for row in (orig, main, synced)
        )
        work.log(
            type_.name,
            synced["Id"],
            base,
            local,
            server,
            fields=clash.fields,
            winner=clash.winner,
            at=at,
        )


def _same(known: Mapping[str, Any] | None, row: Row) -> bool:
    return known is not None and all(known[name] == value for name, value in row.items())


def mark_changed(work: Work, name: str, record_id: str, changed: Iterable[str], at: datetime) -> None:
    """These fields of main wait to be sent; orig has what the upstream has of them."""
    group = work.group(name)
    moments = dict.fromkeys(changed, encode_datetime(at))
    row = {"Id": record_id, "changed": moments, "held": [], "state": "ready", "code": "", "reason": ""}
    work.put(group.tosync, [row])
    work.change(group.main, record_id, **{UPDATED: True})


def leftovers(work: Work, names: Iterable[str]) -> list[str]:
    """What a pass must not leave behind: rows beside main that belong to nothing that waits, by table."""
    deletelist = work.shared.deletelist
    deleting = sa.select(deletelist.c.Id)
    found = []
    for group in map(work.group, names):
        waiting = sa.select(group.tosync.c.Id)
        for table in (group.orig, group.synced):
            count = work.count(table, table.c.Id.not_in(waiting), table.c.Id.not_in(deleting))
            found += [f"{count} in {table.name}"] if count else []
        count = work.count(group.todelete)
        found += [f"{count} in {group.todelete.name}"] if count else []
    return found
