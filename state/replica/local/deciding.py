"""What waits for a person, and what that person may do about it: choose, retry, abandon.

None of it forces anything upon the upstream. To choose is to say "I have seen what stands there": orig becomes that,
and the next difference does the rest, so that a later change there is a conflict again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from crmsync.state.replica import faults
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local import births, conversions, edits
from crmsync.state.replica.local.arrivals import settle
from crmsync.state.replica.local.difference import Policy
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import Row
from crmsync.state.replica.local.tables import LEAD

__all__ = [
    "Action",
    "Side",
    "Waiting",
    "abandon",
    "choose",
    "conversion_of",
    "retry",
    "standing",
    "waiting",
    "withdraw",
]


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    CONVERT = "convert"


class Side(StrEnum):
    LOCAL = "local"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Waiting:
    """`state`: held (both sides changed it), gone (deleted there, changed here), rejected (the upstream refused it).
    The `id` of a conversion is its lead's."""

    action: Action
    object: str
    id: str
    state: str
    fields: tuple[str, ...]
    code: str
    reason: str


def waiting(work: Work) -> Iterator[Waiting]:
    """Everything that does not go on by itself."""
    shared = work.shared
    for table in (shared.createlist, shared.deletelist):
        for row in work.where(table, table.c.state != "ready"):
            conversion = work.get(shared.conversions, row["Id"])
            action = Action.CREATE if table is shared.createlist else Action.DELETE
            action, record_id = (Action.CONVERT, conversion["lead"]) if conversion else (action, row["Id"])
            yield Waiting(action, row["object"], record_id, row["state"], (), row["code"], row["reason"])
    for name, group in work.tables.groups.items():
        for row in work.where(group.tosync):
            if row["state"] != "ready" or row["held"]:
                fields = tuple(row["held"] or row["changed"])
                state = "held" if row["state"] == "ready" else row["state"]
                yield Waiting(Action.UPDATE, name, row["Id"], state, fields, row["code"], row["reason"])


def standing(work: Work, record_id: str) -> Mapping[str, Any] | None:
    """The entry of the queue in which this record waits to be sent, however it stands."""
    try:
        current = edits.current_id(work, record_id)
        type_ = work.type_of(current)
    except Fault:
        return None
    shared = work.shared
    if conversion := conversion_of(work, current):
        return work.get(shared.createlist, conversion["Id"])
    tables = (shared.deletelist, shared.createlist, work.group(type_.name).tosync)
    return next((found for table in tables if (found := work.get(table, current))), None)


def conversion_of(work: Work, record_id: str) -> Row | None:
    """The conversion of a lead that waits to be sent."""
    return work.converting([record_id]).get(record_id)


def choose(
    work: Work,
    record_id: str,
    choice: Side | Mapping[str, Any],
    at: datetime,
    *,
    fields: tuple[str, ...] = (),
) -> None:
    """Ends a conflict: with what stands here, with what stands there, or with other values (as JSON, by field).

    `fields`: of several held ones, only these. Raises Fault where there is no conflict.
    """
    record_id = edits.current_id(work, record_id)
    if conversion := _conversion(work, record_id, "held", "gone"):
        _choose_conversion(work, conversion, choice, at)
        return
    deletion = work.get(work.shared.deletelist, record_id)
    if deletion is not None and deletion["state"] == "held":
        _choose_delete(work, deletion, choice, at)
        return
    type_ = work.type_of(record_id)
    waits = work.get(work.group(type_.name).tosync, record_id)
    if waits is not None and waits["state"] == "gone":
        _choose_gone(work, type_.name, record_id, choice, at)
    elif waits is not None and waits["held"]:
        _choose_fields(work, type_.name, record_id, waits, choice, at, fields or tuple(waits["held"]))
    else:
        raise _nothing("is no conflict", record_id)


def retry(work: Work, record_id: str) -> None:
    """The upstream is asked once more. Raises Fault where it refused nothing."""
    record_id = edits.current_id(work, record_id)
    if conversion := _conversion(work, record_id, "rejected"):
        work.change(work.shared.createlist, conversion["Id"], state="ready", code="", reason="")
        return
    table = _rejected(work, record_id)
    work.change(table, record_id, state="ready", code="", reason="")


def abandon(work: Work, record_id: str, at: datetime) -> None:
    """The local change is given up: the row is as the upstream has it, and the values stand in the log. Raises Fault
    where nothing waits to be sent, and where other rows cannot do without one that was made here."""
    record_id = edits.current_id(work, record_id)
    known = work.get(work.shared.from_sync, record_id)
    withdraw(work, record_id, at)
    if (
        known is not None and known["state"] == "waiting"
    ):  # whoever wrote it will repeat that, and has to hear of it
        given_up = {**known, "state": "given_up", "reason": "by a person, in the replica"}
        work.put(work.shared.from_sync, [given_up])


def withdraw(work: Work, record_id: str, at: datetime) -> None:
    """As ``abandon``, decided by nobody."""
    type_ = work.type_of(record_id)
    if entry := work.get(work.shared.deletelist, record_id):
        _restore(work, entry)
    elif conversion := _conversion(work, record_id):
        _give_up_conversion(work, conversion, at)
    elif entry := work.get(work.shared.createlist, record_id):
        _forget(work, entry, at)
    elif entry := work.get(work.group(type_.name).tosync, record_id):
        _undo(work, type_.name, entry, at)
    else:
        raise _nothing("is no local change", record_id)


# ── Conflicts ────────────────────────────────────────────────────────────────────────────────────────────────


def _choose_fields(
    work: Work,
    name: str,
    record_id: str,
    waits: Mapping[str, Any],
    choice: Side | Mapping[str, Any],
    at: datetime,
    chosen: tuple[str, ...],
) -> None:
    group = work.group(name)
    synced = work.get(group.synced, record_id)
    if synced is None or not set(chosen) <= set(waits["held"]):
        raise _nothing("is no conflict in these fields", record_id)
    units = [c["fields"] for c in work.open_conflicts(record_id) if set(c["fields"]) & set(chosen)]
    whole = {n for unit in units for n in unit} & set(synced)
    work.change(group.orig, record_id, **{n: synced[n] for n in whole})
    if choice == Side.SERVER:
        main = work.bare(name, work.many(group.main, [record_id]))[record_id]
        work.main(name, [{**main, **{n: synced[n] for n in whole}}], updated=True)
    still = [c["fields"] for c in work.open_conflicts(record_id) if not set(c["fields"]) & whole]
    work.close_conflicts(record_id, choice if isinstance(choice, Side) else "another value", but=still)
    held = [n for n in waits["held"] if n not in whole]
    work.change(group.tosync, record_id, held=held, state="ready", code="", reason="")
    if isinstance(choice, Mapping):
        edits.update(work, record_id, choice, at)
    settle(work, name, synced, Policy.HOLD, at)


def _choose_gone(
    work: Work, name: str, record_id: str, choice: Side | Mapping[str, Any], at: datetime
) -> None:
    group = work.group(name)
    if choice == Side.SERVER:
        work.close_conflicts(record_id, Side.SERVER)
        work.bury(name, [record_id], at)
        for table in (group.main, group.orig, group.synced, group.tosync):
            work.drop(table, [record_id])
        return
    if isinstance(choice, Mapping):
        edits.update(work, record_id, choice, at)
    work.close_conflicts(record_id, "made again")
    births.made_again(work, name, record_id)


def _choose_delete(
    work: Work, entry: Mapping[str, Any], choice: Side | Mapping[str, Any], at: datetime
) -> None:
    if choice != Side.LOCAL:
        _restore(work, entry)
        return
    deletelist = work.shared.deletelist
    for each in work.where(deletelist, deletelist.c.root == entry["root"]):
        group = work.group(each["object"])
        synced = work.get(group.synced, each["Id"])
        if synced is not None:
            work.put(group.orig, [synced])
            work.drop(group.synced, [each["Id"]])
        work.close_conflicts(each["Id"], Side.LOCAL)
    edits.take_along(work, entry["root"], at)
    work.change(deletelist, entry["Id"], state="ready", code="", reason="")


def _choose_conversion(work: Work, conversion: Row, choice: Side | Mapping[str, Any], at: datetime) -> None:
    """Here: the lead is converted as it is there now, or, if it cannot be, what was made of it here stays."""
    lead, entry = conversion["lead"], work.get(work.shared.createlist, conversion["Id"]) or {}
    if choice == Side.SERVER:
        _give_up_conversion(work, conversion, at)
    elif choice != Side.LOCAL:
        raise Fault("INVALID_OPERATION", "to convert the lead in another way, convert it again")
    elif entry["code"] == "changed":
        row = work.bare(LEAD, work.many(work.group(LEAD).main, [lead]))[lead]
        conversions.seen_as(work, conversion, row)
        work.change(work.shared.createlist, conversion["Id"], state="ready", code="", reason="")
        work.close_conflicts(lead, Side.LOCAL, but=_held_fields(work, lead))
    else:
        conversions.keep(work, conversion)
        _end_conversion(work, lead, entry, Side.LOCAL, at)


def _give_up_conversion(work: Work, conversion: Row, at: datetime) -> None:
    entry = work.get(work.shared.createlist, conversion["Id"]) or {}
    conversions.abandon(work, conversion, at)
    _end_conversion(work, conversion["lead"], entry, "abandoned", at)


def _end_conversion(work: Work, lead: str, entry: Mapping[str, Any], how: str, at: datetime) -> None:
    """A lead that is gone upstream goes with it."""
    group = work.group(LEAD)
    if entry.get("state") == "gone":
        work.bury(LEAD, [lead], at)
        for table in (group.main, group.orig, group.synced, group.tosync):
            work.drop(table, [lead])
    work.close_conflicts(lead, how, but=_held_fields(work, lead))


def _held_fields(work: Work, record_id: str) -> list[list[str]]:
    """Conflicts of single fields: they are decided one by one."""
    waits = work.get(work.group(LEAD).tosync, record_id)
    return [c["fields"] for c in work.open_conflicts(record_id) if c["fields"]] if waits else []


def _conversion(work: Work, lead: str, *states: str) -> Row | None:
    """That of this lead; in one of these states, if any are named."""
    conversion = work.converting([lead]).get(lead)
    if conversion is None or not states:
        return conversion
    entry = work.get(work.shared.createlist, conversion["Id"])
    return conversion if entry is not None and entry["state"] in states else None


# ── Giving up ────────────────────────────────────────────────────────────────────────────────────────────────


def _restore(work: Work, entry: Mapping[str, Any]) -> None:
    """A delete with all that went with it, and the references that it emptied."""
    deletelist = work.shared.deletelist
    entries = work.where(deletelist, deletelist.c.root == entry["root"])
    for each in entries:
        group = work.group(each["object"])
        row = work.get(group.synced, each["Id"]) or work.get(group.orig, each["Id"])
        if row is not None:
            made_here = work.get(work.shared.createlist, each["Id"]) is not None
            work.main(each["object"], [row], created=made_here)
        for table in (deletelist, group.orig, group.synced):
            work.drop(table, [each["Id"]])
    for name, record_id, reference, target in (part for each in entries for part in each["cleared"]):
        main = work.group(name).main
        row = work.get(main, record_id)
        if row is not None and row[reference] is None:
            work.change(main, record_id, **{reference: target})
    work.close_conflicts(entry["root"], Side.SERVER)


def _forget(work: Work, entry: Mapping[str, Any], at: datetime) -> None:
    """A row that was made here. References to it go back to what they were, or it cannot be given up yet."""
    name, record_id = entry["object"], entry["Id"]
    if entry["sent"] is not None:
        what = (
            "it is not known whether the upstream has made this record: let a pass find out, then delete it"
        )
        raise Fault("ENTITY_IS_LOCKED", what)
    births.unmade(work, name, record_id, at)


def _undo(work: Work, name: str, waits: Mapping[str, Any], at: datetime) -> None:
    group, record_id = work.group(name), waits["Id"]
    orig, main = work.get(group.orig, record_id) or {}, work.get(group.main, record_id) or {}
    work.give_up(name, record_id, waits["changed"], orig, main, "abandoned", at)
    if waits["state"] == "gone":
        work.bury(name, [record_id], at)
        for table in (group.main, group.orig, group.synced, group.tosync):
            work.drop(table, [record_id])
    else:
        row = work.get(group.synced, record_id) or work.get(group.orig, record_id)
        if row is not None:
            work.main(name, [row], updated=False)
        work.in_step(name, record_id)
    work.close_conflicts(record_id, "abandoned")


def _rejected(work: Work, record_id: str) -> Any:
    type_ = work.type_of(record_id)
    for table in (work.shared.createlist, work.shared.deletelist, work.group(type_.name).tosync):
        row = work.get(table, record_id)
        if row is not None and row["state"] == "rejected":
            return table
    raise _nothing("was refused nothing", record_id)


def _nothing(what: str, record_id: str) -> Fault:
    return Fault(faults.not_found().code, f"{record_id}: there {what}")
