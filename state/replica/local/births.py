"""A temporary id becomes the upstream's, everywhere at once; the old one goes on to mean the same record."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local.arrivals import mark_changed
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import row_from, stored
from crmsync.state.replica.local.tables import CREATED, ROLES, UPDATED
from crmsync.state.replica.local.temporary import temporary_id

__all__ = ["born", "made_again", "next_temporary", "renamed", "unmade"]


def born(work: Work, entry: Mapping[str, Any], record_id: str, at: datetime) -> None:
    """The upstream has made the record of this entry of the createlist. What was changed here since it went out, and
    references that could not go along, wait to be sent."""
    type_, temporary = work.shapes.of(entry["object"]), entry["Id"]
    group = work.group(type_.name)
    renamed(work, type_.name, temporary, record_id)
    work.drop(work.shared.createlist, [temporary])
    main = work.bare(type_.name, work.many(group.main, [record_id])).get(record_id)
    if main is None:
        return  # deleted here meanwhile: the deletelist has it, under its new id
    work.change(group.main, record_id, **{CREATED: False})
    sent = {**row_from(type_, entry["sent"]), "Id": record_id}
    changed = [f.name for f in stored(type_) if f.updateable and main[f.name] != sent[f.name]]
    if changed:
        work.put(group.orig, [sent])
        mark_changed(work, type_.name, record_id, changed, at)


def made_again(work: Work, name: str, record_id: str) -> str:
    """A row that is gone upstream is made anew, with what stands here; returns its temporary id."""
    group, type_ = work.group(name), work.shapes.of(name)
    temporary = next_temporary(work, type_.prefix)
    work.in_step(name, record_id)
    renamed(work, name, record_id, temporary)
    work.change(group.main, temporary, **{CREATED: True, UPDATED: False})
    work.connection.execute(work.shared.createlist.insert().values(Id=temporary, object=name))
    return temporary


def unmade(work: Work, name: str, record_id: str, at: datetime) -> None:
    """A row that was made here is given up. References to it go back to what they were; raises Fault where a row cannot
    do without it."""
    conversions = work.shared.conversions
    for each in work.where(conversions, conversions.c[ROLES[name]] == record_id) if name in ROLES else ():
        what = f"{each['lead']} is to be converted into this record: abandon that first"
        raise Fault("DELETE_FAILED", what)
    for type_, field in work.shapes.pointing(name):
        group = work.group(type_.name)
        for row in work.where(group.main, group.main.c[field.name] == record_id):
            orig = work.get(group.orig, row["Id"]) or {}
            before = orig.get(field.name)
            if before is None and not field.nillable:
                raise Fault(
                    "DELETE_FAILED", f"{row['Id']} ({type_.name}) needs this record: abandon it first"
                )
            work.change(group.main, row["Id"], **{field.name: before})
    main, type_ = work.group(name).main, work.shapes.of(name)
    row = work.get(main, record_id) or {}
    given = [f.name for f in stored(type_) if f.createable and row.get(f.name) is not None]
    work.give_up(name, record_id, given, {}, row, "abandoned", at)
    work.drop(main, [record_id])
    work.bury(name, [record_id], at)
    work.drop(work.shared.createlist, [record_id])


def next_temporary(work: Work, prefix: str) -> str:
    """Never one that was given before, however often things are abandoned."""
    number = int(work.property("last temporary id") or 0) + 1
    work.set_property("last temporary id", number)
    return temporary_id(prefix, number)


def renamed(work: Work, name: str, old: str, new: str) -> None:
    """Every table, and every queue."""
    group, shared = work.group(name), work.shared
    for table in (
        *group.typed(),
        group.tosync,
        shared.deletelist,
        shared.conflicts,
        shared.tombs,
        shared.from_sync,
    ):
        work.change(table, old, Id=new)
    deletelist, conversions = shared.deletelist, shared.conversions
    for column in (deletelist.c.root, *(conversions.c[role] for role in ("lead", *ROLES.values()))):
        work.connection.execute(column.table.update().where(column == old).values({column.name: new}))
    naming = sa.cast(deletelist.c.cleared, sa.Text).contains(old)
    for entry in work.where(deletelist, naming):
        cleared = [[new if part == old else part for part in each] for each in entry["cleared"]]
        if cleared != entry["cleared"]:
            work.change(deletelist, entry["Id"], cleared=cleared)
    for type_, field in work.shapes.pointing(name):
        for table in work.group(type_.name).typed():
            column = table.c[field.name]
            work.connection.execute(table.update().where(column == old).values({field.name: new}))
    aliases = shared.aliases
    work.connection.execute(aliases.delete().where(aliases.c.old == new))  # it means itself from now on
    work.connection.execute(aliases.insert().values(old=old, new=new))
