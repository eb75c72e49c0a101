"""A calendar whose series are items like any other, with two more columns: when they happen, and which occurrences
differ (``series/written.py``). The shape of ``mapping.py``, which has everything else."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, tzinfo

from crmsync.connectors.caldav import exceptions, mapping
from crmsync.connectors.caldav.mapping import READ_ONLY, Part, revise
from crmsync.connectors.caldav.series import Series
from crmsync.connectors.caldav.when import count_up
from crmsync.connectors.contract import Columns, Kind, Stamp, Value
from crmsync.connectors.dav.document import Component
from crmsync.connectors.dav.item import Item, Malformed
from crmsync.connectors.dav.patch import Editor, put_now
from crmsync.connectors.series import written
from crmsync.connectors.series.recurrence import Untold

__all__ = ["HOLDS", "READ_ONLY", "build", "patch", "project", "read"]

_COLUMNS = frozenset({"recurrence", "exceptions"})
_LISTS = ("RDATE", "EXDATE")
# What an occurrence has in common with its series, or nobody writes.
_NEVER = READ_ONLY[Kind.APPOINTMENT] | _COLUMNS

HOLDS: Mapping[Kind, frozenset[str]] = {
    k: held | (_COLUMNS if k is Kind.APPOINTMENT else frozenset()) for k, held in mapping.HOLDS.items()
}


def read(text: str, *, default_zone: tzinfo = UTC) -> Item:
    """See ``dav.item.Format.read``. What cannot be told in two columns is left as it is, with the reason."""
    item = mapping.read(text, default_zone=default_zone)
    if item.kind is not Kind.APPOINTMENT or item.untouchable not in ("", "recurring"):
        return item
    if not item.untouchable:
        return replace(item, columns={**item.columns, "recurrence": None, "exceptions": None})
    try:
        series = _tellable(text, default_zone)
        said = _said(series)
    except Untold as error:
        return replace(item, untouchable=f"recurring, and {error.rule}")
    private = item.private or any(series.occurrence(slot).private for slot in series.changed)
    return replace(item, columns={**item.columns, **said}, untouchable="", private=private)


def project(kind: Kind, columns: Columns) -> Columns:
    """``columns`` as they would be read back; what cannot be held is absent."""
    held = dict(mapping.project(kind, columns))
    if kind is not Kind.APPOINTMENT:
        return held
    for name, canonical in (
        ("recurrence", written.canonical_recurrence),
        ("exceptions", _canonical_exceptions),
    ):
        try:
            held |= {name: canonical(columns[name])} if name in columns else {}
        except Malformed:  # no opinion: nothing can be written for it
            continue
    return held


def patch(
    text: str,
    columns: Columns,
    *,
    tag: str = "",
    stamp: Stamp | None = None,
    now: datetime,
    default_zone: tzinfo = UTC,
) -> str:
    """See ``dav.item.Format.patch``. An occurrence that differs goes on to differ in what it did and in nothing else,
    whatever becomes of the series."""
    before = read(text, default_zone=default_zone)
    wanted = {n: v for n, v in project(before.kind, columns).items() if n in _COLUMNS}
    repeats = before.columns.get("recurrence") or wanted.get("recurrence")
    if before.untouchable or not repeats:
        return mapping.patch(text, columns, tag=tag, stamp=stamp, now=now, default_zone=default_zone)
    series = Series(text, default_zone)
    assert series.master is not None
    off = _off(series)
    named = {series.name(slot): slot for slot in series.changed if slot not in off}
    part = Part(series.document, series.master, Kind.APPOINTMENT, series.clock)
    revise(part, columns, tag=tag, stamp=stamp, now=now)
    said = {n: wanted.get(n, before.columns.get(n)) for n in _COLUMNS}
    rules_changed = said["recurrence"] != before.columns.get("recurrence")
    moved = _beginning(text, default_zone) != _beginning(series.document.text, default_zone)
    if rules_changed or moved:
        text = _ruled(series, said["recurrence"], named if said["recurrence"] else {}, now)
    else:
        text = series.document.text
    if not said["recurrence"]:
        return text
    return _with_exceptions(text, written.parse_exceptions(said["exceptions"]), now, default_zone)


def build(
    kind: Kind,
    uid: str,
    columns: Columns,
    *,
    tag: str = "",
    stamp: Stamp | None = None,
    now: datetime,
    default_zone: tzinfo = UTC,
) -> str:
    """See ``dav.item.Format.build``."""
    text = mapping.build(kind, uid, columns, tag=tag, stamp=stamp, now=now, default_zone=default_zone)
    if kind is not Kind.APPOINTMENT or not columns.get("recurrence"):
        return text
    return patch(text, columns, now=now, default_zone=default_zone)


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────


def _tellable(text: str, default_zone: tzinfo) -> Series:
    """Raises Untold, Malformed."""
    series = Series(text, default_zone)
    if series.master is None:
        raise Untold("the series itself does not stand in it")
    if series.ranges:
        raise Untold("a part of it is for all later occurrences as well (RFC 5545 3.2.13)")
    if series.ends or series.master.all("EXRULE"):
        raise Untold("it has an EXRULE, or an occurrence with a length of its own (RFC 5545 3.8.5.2)")
    if len(series.changed) > written.MOST:
        raise Untold(f"more than {written.MOST:,} of its occurrences differ")
    return series


def _said(series: Series) -> dict[str, Value]:
    rules = series.recurrence
    assert rules is not None
    assert series.master is not None
    off = {*rules.excluded, *_off(series)}
    recurrence = written.recurrence(
        (each.value for each in series.master.all("RRULE")),
        map(series.name, rules.dates),
        [*map(series.name, off), *(f"{day:%Y%m%d}" for day in rules.excluded_days)],
    )
    return {"recurrence": recurrence, "exceptions": written.exceptions(_differing(series))}


def _off(series: Series) -> frozenset[datetime]:
    """Occurrences that their own component says are off: the same as an EXDATE."""
    return frozenset(slot for slot in series.changed if series.slot(series.name(slot)) is None)


def _differing(series: Series) -> dict[str, Columns]:
    if not series.changed:
        return {}
    plain = Series(exceptions.plain(series), series.clock.default_zone)
    off = _off(series)
    return {
        series.name(slot): _difference(series.occurrence(slot).columns, plain.occurrence(slot).columns)
        for slot in series.changed
        if slot not in off
    }


def _difference(one: Columns, other: Columns) -> Columns:
    return {n: v for n, v in one.items() if n not in _NEVER and v != other.get(n)}


def _canonical_exceptions(value: Value) -> str | None:
    found = written.parse_exceptions(value)
    return written.exceptions({n: _held(columns) for n, columns in found.items()})


def _held(columns: Columns) -> Columns:
    return {
        n: v
        for n, v in mapping.project(Kind.APPOINTMENT, columns).items()
        if n in columns and n not in _NEVER
    }


# ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────────


def _beginning(text: str, default_zone: tzinfo) -> tuple[object, object]:
    series = Series(text, default_zone)
    return series.style, series.begins


def _ruled(series: Series, recurrence: Value, named: Mapping[str, datetime], now: datetime) -> str:
    """The object with these rules on its master, and with the components of the occurrences in ``named`` alone, each
    under the time that its day has by now."""
    master = series.master
    assert master is not None
    edit = Editor(series.document, master)
    for name in ("RRULE", *_LISTS):
        for each in list(master.all(name)):
            edit.remove(each)
    given = written.parts(recurrence) if isinstance(recurrence, str) else {}
    for value in given.get("RRULE", ()):
        edit.add("RRULE", value)
    after = Series(series.document.text, series.clock.default_zone)
    for name in _LISTS:
        for day in given.get(name, ()):
            parameters, value = after.written(_slot(after, day))
            edit.add(name, value, parameters)
    count_up(edit)
    put_now(edit, "LAST-MODIFIED", now)
    put_now(edit, "DTSTAMP", now, required=True)
    kept = {named[n]: n for n in named}
    doomed = [own for slot, own in series.changed.items() if slot not in kept]
    for slot, own in series.changed.items():
        if slot in kept:
            _renamed(Editor(series.document, own), after, _slot(after, kept[slot]))
    return exceptions.cut(series, doomed)


def _renamed(edit: Editor, series: Series, slot: datetime) -> None:
    parameters, value = series.written(slot)
    edit.rewrite(edit.component.all("RECURRENCE-ID")[0], value, drop=("TZID", "VALUE"), add=parameters)


def _slot(series: Series, name: str) -> datetime:
    return datetime.strptime(name[:8] + (name[9:] or f"{series.begins:%H%M%S}"), "%Y%m%d%H%M%S")  # noqa: DTZ007


def _with_exceptions(text: str, wanted: Mapping[str, Columns], now: datetime, default_zone: tzinfo) -> str:
    """The object in which these occurrences differ in this, and no other one does. What the series is not held on is
    passed over: the next look at the item says so."""
    series = Series(text, default_zone)
    off = _off(series)
    idle = [
        own for slot, own in series.changed.items() if slot not in off and series.name(slot) not in wanted
    ]
    text = exceptions.cut(series, idle) if idle else text
    plain = Series(exceptions.plain(series), default_zone)
    slots = {slot: columns for name, columns in wanted.items() if (slot := plain.slot(name)) is not None}
    before = Series(text, default_zone)
    new = frozenset(slot for slot in slots if slot not in before.changed)
    series = Series(exceptions.with_own(before, sorted(new)), default_zone)
    same: list[Component] = []  # a component that would say nothing of its own
    for slot, columns in slots.items():
        told = {**plain.occurrence(slot).columns, **_held(columns)}
        part = Part(series.document, series.changed[slot], Kind.APPOINTMENT, series.clock)
        revised = revise(part, {n: v for n, v in told.items() if n not in _NEVER}, now=now)
        if slot in new and not revised:
            same.append(part.component)
    return exceptions.cut(series, same)
