"""What the sync of mailboxes has written here while the CRM was away, and what becomes of it.

The sync decides who wins between a mailbox and the CRM, once, with the clocks of both: so whatever it has written gives
way where the upstream has changed as well, and stands in no conflict log of ours. It is asked about again with every
repetition of the write: as long as it waits it is provisional, and what was given up, or refused, is told as that.

    waiting    in a queue, or on its way
    given_up   by a person, or refused by the upstream: the sync has not heard of it yet
    told       it has; a repetition of that very write is told so again
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from crmsync.connectors.contract import (
    ABANDONED,
    Create,
    Delete,
    Done,
    Outcome,
    Refused,
    Stale,
    Update,
    Write,
)
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local import deciding, edits
from crmsync.state.replica.local.births import born, renamed, unmade
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import Row
from crmsync.state.replica.values import parse_datetime

__all__ = ["arrived", "entries", "joined", "keep", "standing", "waiting"]

Moments = Mapping[str, datetime]  # by column or field, as the tables hold moments


def entries(work: Work, writes: Iterable[Write]) -> dict[str, Row]:
    """What is known of these writes, by id or key."""
    table, wanted = work.shared.from_sync, list(writes)
    keys = [w.key for w in wanted if isinstance(w, Create)]
    found = {row["key"]: row for row in work.where(table, table.c.key.in_(keys))} if keys else {}
    named = {w.id: work.resolve(w.id) for w in wanted if not isinstance(w, Create)}
    rows = work.many(table, named.values())
    return found | {given: rows[now] for given, now in named.items() if now in rows}


def standing(work: Work, write: Write, entry: Row) -> Outcome | None:
    """What to answer to a write; None: it is to be made, or made again. `entry` is what is known of it."""
    name, table = _name(write), work.shared.from_sync
    if entry["action"] != type(write).__name__.lower():
        _overtaken(work, entry)
        return None
    if entry["state"] != "waiting":
        if entry["state"] == "told" and write.since is None:
            work.drop(table, [entry["Id"]])  # somebody wants it after all
            return None
        return _told(work, name, entry, entry["reason"])
    if isinstance(write, Update) and work.get(work.shared.deletelist, entry["Id"]) is not None:
        return Done(name, "", provisional=True)  # deleted here since: the CRM will say that it is gone
    if (queued := _queued(work, entry)) is None:
        work.drop(table, [entry["Id"]])
        return None if isinstance(write, Create) else Stale(name)
    if queued["state"] == "rejected":
        reason = f"the CRM has refused it: {queued['reason'] or queued['code']}"
        _withdraw(work, entry, queued)
        return _told(work, name, entry, reason)
    return Done(name, "", provisional=True)


def _overtaken(work: Work, entry: Row) -> None:
    """Something else is to become of the record by now."""
    if entry["action"] == "delete" and entry["state"] == "waiting":
        deciding.withdraw(work, entry["Id"], entry["at"])
    if entry["action"] == "delete" or entry["state"] != "waiting":
        work.drop(work.shared.from_sync, [entry["Id"]])


def _told(work: Work, name: str, entry: Row, reason: str) -> Outcome:
    told = {**entry, "state": "told", "reason": reason, "fields": {}}
    work.put(work.shared.from_sync, [told])
    return Refused(name, ABANDONED, reason)


def keep(
    work: Work, name: str, write: Write, values: Mapping[str, Any], clocks: Moments, at: datetime
) -> Outcome:
    """The write stands here from now on. `values`: its row as JSON, by field; `clocks`: when its fields were changed.
    Raises Fault."""
    match write:
        case Create(key=key):
            return _keep_create(work, name, key, values, at)
        case Update(id=record_id):
            return _keep_update(work, record_id, values, clocks, at)
        case Delete(id=record_id):
            return _keep_delete(work, record_id, at)


def _keep_create(work: Work, name: str, key: str, values: Mapping[str, Any], at: datetime) -> Outcome:
    table = work.shared.from_sync
    if not work.where(table, table.c.key == key):
        record_id = edits.create(work, name, values, at)
        row = work.get(work.group(name).main, record_id) or {}
        made = edits.as_json(work, name, row)
        entry = {"Id": record_id, "object": name, "action": "create", "key": key, "fields": made, "at": at}
        work.put(table, [{**entry, "state": "waiting", "reason": ""}])
    return Done(key, "", provisional=True)


def _keep_update(
    work: Work, record_id: str, values: Mapping[str, Any], clocks: Moments, at: datetime
) -> Outcome:
    """What a person has changed here later than the mailbox stays, and is decided when the CRM has it."""
    current = edits.current_id(work, record_id)
    if work.get(work.shared.deletelist, current) is not None:
        return Done(record_id, "", provisional=True)  # the CRM will say that it is gone
    type_, row = edits.find(work, current)
    waits = work.get(work.group(type_.name).tosync, current) or {"changed": {}}
    known = work.get(work.shared.from_sync, current)
    ours = dict(known["fields"]) if known is not None and known["action"] == "update" else {}
    named = {field.name: value for n, value in values.items() if (field := type_.find(n)) is not None}
    new = {
        n: value
        for n, value in named.items()
        if n in ours or n not in waits["changed"] or parse_datetime(waits["changed"][n]) < clocks.get(n, at)
    }
    theirs = waits["changed"].keys() & new.keys() - ours.keys()
    orig = work.get(work.group(type_.name).orig, current) or {}
    edits.update(work, current, new, at, moments=clocks)
    if theirs:
        work.give_up(type_.name, current, theirs, orig, row, "changed later in a mailbox", at)
    changed = (work.get(work.group(type_.name).tosync, current) or {"changed": {}})["changed"]
    fields = {n: changed[n] for n in {*ours, *new} if n in changed}
    entry = {"Id": current, "object": type_.name, "action": "update", "key": "", "fields": fields, "at": at}
    work.drop(work.shared.from_sync, [current])
    if fields:  # else all of it is as the CRM has it: nothing waits
        work.put(work.shared.from_sync, [{**entry, "state": "waiting", "reason": ""}])
    return Done(record_id, "", provisional=True)


def _keep_delete(work: Work, record_id: str, at: datetime) -> Outcome:
    current = edits.current_id(work, record_id)
    if work.get(work.shared.deletelist, current) is None:
        name = work.type_of(current).name
        edits.delete(work, current, at)
        entry = {"Id": current, "object": name, "action": "delete", "key": "", "fields": {}, "at": at}
        work.put(work.shared.from_sync, [{**entry, "state": "waiting", "reason": ""}])
    return Done(record_id, "", provisional=True)


def waiting(entries: Iterable[Row]) -> frozenset[str]:
    """The records of which the CRM is to get something that the sync does not make there itself."""
    return frozenset(e["Id"] for e in entries if e["state"] == "waiting" and e["action"] != "create")


def arrived(work: Work, key: str, outcome: Outcome, at: datetime) -> None:
    """The sync has made the record in the CRM itself, or has been refused: then nothing of it stays here either."""
    table = work.shared.from_sync
    for entry in work.where(table, table.c.key == key, table.c.state == "waiting"):
        match outcome:
            case Done(id=record_id, provisional=False):
                _real(work, entry, record_id, at)
            case Refused(reason=reason):
                _unmake(work, entry, reason, at)


def joined(work: Work, key: str, record_id: str, at: datetime) -> None:
    """What was to be made stood in the CRM already, under this id."""
    arrived(work, key, Done(record_id, ""), at)


def _real(work: Work, entry: Row, record_id: str, at: datetime) -> None:
    name, temporary = entry["object"], entry["Id"]
    listed = work.get(work.shared.createlist, temporary)
    work.drop(work.shared.from_sync, [temporary])
    if work.get(work.group(name).main, record_id) is None and listed is not None:
        born(work, {**listed, "sent": entry["fields"]}, record_id, at)
        return
    # a pass has brought it meanwhile, or it is an old acquaintance: its row counts, and ours leads there
    work.drop(work.group(name).main, [temporary])
    work.drop(work.shared.createlist, [temporary])
    work.drop(work.shared.deletelist, [temporary])
    renamed(work, name, temporary, record_id)


def _unmake(work: Work, entry: Row, reason: str, at: datetime) -> None:
    _told(work, entry["key"], entry, reason)
    try:
        unmade(work, entry["object"], entry["Id"], at)
    except Fault as fault:  # something that was made here needs it: a person sees both
        why = f"{reason} ({fault.message})"
        work.change(work.shared.createlist, entry["Id"], state="rejected", code="refused", reason=why)


def _queued(work: Work, entry: Row) -> Row | None:
    match entry["action"]:
        case "create":
            return work.get(work.shared.createlist, entry["Id"])
        case "delete":
            return work.get(work.shared.deletelist, entry["Id"])
    return work.get(work.group(entry["object"]).tosync, entry["Id"])


def _withdraw(work: Work, entry: Row, queued: Row) -> None:
    """Of the record, what the sync has written; what a person did to it here goes out without that."""
    left = {n: when for n, when in queued.get("changed", {}).items() if n not in entry["fields"]}
    if entry["action"] != "update" or not left:
        deciding.withdraw(work, entry["Id"], entry["at"])
        return
    group = work.group(entry["object"])
    orig = work.get(group.orig, entry["Id"]) or {}
    work.change(group.main, entry["Id"], **{n: orig[n] for n in entry["fields"] if n in orig})
    work.change(group.tosync, entry["Id"], changed=left, state="ready", code="", reason="")


def _name(write: Write) -> str:
    return write.key if isinstance(write, Create) else write.id
