"""Which entries of the createlist go out next, together: creates of one object, or conversions, of which none needs
another one of the batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from crmsync.daemon.replica.context import Context
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.shape import Row, references
from crmsync.state.replica.local.tables import ROLES
from crmsync.state.replica.local.temporary import is_temporary

__all__ = ["Birth", "Turn", "next_batch"]

BATCH = 200
LEADS = 100  # that one request may convert


@dataclass(frozen=True, slots=True)
class Birth:
    """A row to make."""

    entry: Row
    row: Row  # as it goes out, with its temporary id

    @property
    def kind(self) -> tuple[str, int]:
        """What goes out together, and how many of it at most."""
        return str(self.entry["object"]), BATCH

    @property
    def makes(self) -> set[str]:
        return {self.entry["Id"]}


@dataclass(frozen=True, slots=True)
class Turn:
    """A lead to convert."""

    entry: Row
    makes: set[str]  # temporary ids

    @property
    def kind(self) -> tuple[str, int]:
        return "conversion", LEADS


def next_batch(context: Context, last: int) -> list[Birth | Turn]:
    """Those after the entry `last`. What is left out waits for the next pass: it needs what was refused, or is in
    doubt."""
    batch: list[Birth | Turn] = []
    makes: set[str] = set()
    with context.database.read() as work:
        for entry in _ready(work, last):
            each, needed = _looked_at(work, entry)
            if each is None:
                continue  # deleted meanwhile
            if batch and (each.kind != batch[0].kind or len(batch) == each.kind[1] or needed & makes):
                break
            if not needed:
                batch.append(each)
                makes |= each.makes
    return batch


def _ready(work: Work, last: int) -> Iterator[Row]:
    """A stretch of the createlist at a time."""
    table, by_sync = work.shared.createlist, work.shared.from_sync
    others = table.c.Id.not_in(
        sa.select(by_sync.c.Id)
    )  # the sync makes them itself, after a look for their like
    while some := work.where(
        table, table.c.seq > last, table.c.state == "ready", table.c.sent.is_(None), others, limit=BATCH
    ):
        yield from some
        last = some[-1]["seq"]


def _looked_at(work: Work, entry: Row) -> tuple[Birth | Turn | None, set[str]]:
    """The entry, and the temporary ids that have to become real first."""
    if conversion := work.get(work.shared.conversions, entry["Id"]):
        made = {role: row["Id"] for role, row in conversion["made"].items()}
        used = [conversion["lead"], *(conversion[role] for role in ROLES.values() if role not in made)]
        return Turn(entry, set(made.values())), {each for each in used if is_temporary(each)}
    row = _row(work, entry)
    if row is None:
        return None, set()
    return Birth(entry, _without_later(work, entry, row)), set(_needed(work, entry, row))


def _row(work: Work, entry: Row) -> Row | None:
    name, record_id = entry["object"], entry["Id"]
    row = work.bare(name, work.many(work.group(name).main, [record_id])).get(record_id)
    return None if row is None else {n: row[n] for n in work.group(name).orig.c.keys()}  # noqa: SIM118  columns


def _needed(work: Work, entry: Row, row: Row) -> Iterator[str]:
    """What it refers to and stands earlier; what stands later follows as an update, if it can."""
    fields = [f for f in references(work.shapes.of(entry["object"])) if is_temporary(row[f.name])]
    standing = _standing(work, {row[f.name] for f in fields})
    for field in fields:
        target = row[field.name]
        if target in standing and (standing[target] < entry["seq"] or not field.nillable):
            yield target


def _standing(work: Work, temporary: set[str]) -> dict[str, int]:
    """Where in the createlist the records with these ids are made, by a create or by a conversion."""
    shared = work.shared
    places = {i: entry["seq"] for i, entry in work.many(shared.createlist, temporary).items()}
    rest = temporary - places.keys()
    if rest:
        columns = [shared.conversions.c[role] for role in ROLES.values()]
        for conversion in work.where(shared.conversions, sa.or_(*(c.in_(rest) for c in columns))):
            entry = work.get(shared.createlist, conversion["Id"])
            ids = {row["Id"] for row in conversion["made"].values()} & rest
            places |= dict.fromkeys(ids, entry["seq"] if entry else 0)
    return places


def _without_later(work: Work, entry: Row, row: Row) -> Row:
    names = {f.name for f in references(work.shapes.of(entry["object"]))}
    return {n: None if n in names and is_temporary(value) else value for n, value in row.items()}
