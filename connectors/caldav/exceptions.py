"""Writing to one occurrence of a series: it gets a component of its own, or is taken out. Text in, text out.

The master is not touched by a change of one occurrence, and a delete adds one EXDATE to it: whatever else stands in the
object stays byte for byte.
"""

from collections.abc import Sequence
from datetime import datetime, tzinfo

from crmsync.connectors.caldav.clock import Time, is_day
from crmsync.connectors.caldav.mapping import Part, revise
from crmsync.connectors.caldav.reminder import goes_off_once
from crmsync.connectors.caldav.series import Series
from crmsync.connectors.caldav.when import count_up
from crmsync.connectors.contract import Columns, Kind
from crmsync.connectors.dav.contentline import Line, line
from crmsync.connectors.dav.document import Component
from crmsync.connectors.dav.item import STAMP_PROPERTY
from crmsync.connectors.dav.patch import Editor, put_now
from crmsync.connectors.series.recurrence import Untold

# What says something about the series as a whole, or is written anew.
_OF_THE_MASTER = frozenset({"RRULE", "RDATE", "EXRULE", "EXDATE", "RECURRENCE-ID", STAMP_PROPERTY})
UNCHANGED = "X-CRMSYNC-UNCHANGED"  # on the text of a deleted occurrence that had no component of its own


def changed(series: Series, slot: datetime, columns: Columns, *, tag: str, now: datetime) -> str:
    """The object with these columns on one occurrence; as it is where it says so already."""
    zone = series.clock.default_zone
    # read once more in any case: a document of its own to write into
    given = Series(series.text if slot in series.changed else _with_own(series, slot), zone)
    part = Part(given.document, given.changed[slot], Kind.APPOINTMENT, given.clock)
    return given.document.text if revise(part, columns, tag=tag, now=now) else series.text


def without(series: Series, slot: datetime, now: datetime) -> str:
    """The object with this occurrence taken out. Empty: nothing is left of it."""
    zone = series.clock.default_zone
    series = Series(_handed_on(series, slot), zone)
    own = series.changed.get(slot)
    text = cut(series, [own]) if own is not None else series.text
    if series.master is None:
        return text if len(series.changed) > 1 else ""
    left = Series(text, zone)
    assert left.master is not None
    edit = Editor(left.document, left.master)
    parameters, value = series.written(slot)
    edit.add("EXDATE", value, parameters)
    count_up(edit)
    put_now(edit, "LAST-MODIFIED", now)
    put_now(edit, "DTSTAMP", now, required=True)
    return left.document.text


def by_itself(series: Series, slot: datetime) -> str:
    """A calendar object of this occurrence alone, from which it can be put back."""
    own = series.changed.get(slot)
    text = (
        "".join(each.raw for each in lines_of(series, own))
        if own is not None
        # what is so from one occurrence on need not be so any more when it is put back
        else _copied(series, slot, "" if series.range_of(slot) else f"{UNCHANGED}:1")
    )
    first, doomed = series.events[0].begin, _of_events(series)
    return "".join(
        (text if each is first else "") + ("" if id(each) in doomed else each.raw)
        for each in series.document.lines
    )


def _of_events(series: Series) -> set[int]:
    return {id(each) for event in series.events for each in lines_of(series, event)}


def place_of(series: Series, alone: Series) -> datetime:
    """The slot of what ``by_itself`` gave. Raises Malformed."""
    (own,) = alone.changed.values()
    return series.local(own.all("RECURRENCE-ID")[0])


def put_back(series: Series, slot: datetime, alone: Series, now: datetime) -> str:
    """What ``without`` took out, from ``by_itself``. Raises Untold where there is something else by now."""
    if slot in series.changed:
        raise Untold("its place in the series is taken")
    zone, text = series.clock.default_zone, series.text
    (own,) = alone.changed.values()
    given = Series(text, zone)
    if given.master is not None:
        _let_in(given, slot, now)
        text = given.document.text
    if own.all(UNCHANGED):
        return text
    return _behind(Series(text, zone), "".join(each.raw for each in lines_of(alone, own)))


def _let_in(given: Series, slot: datetime, now: datetime) -> None:
    """No EXDATE for this slot any more; the others of its line stay."""
    assert given.master is not None
    edit = Editor(given.document, given.master)
    for each in list(given.master.all("EXDATE")):
        values = each.value.split(",")
        kept = [v for v in values if given.local(line("EXDATE", v.strip(), head=each.head)) != slot]
        if not any(map(str.strip, kept)):
            edit.remove(each)
        elif len(kept) < len(values):
            edit.rewrite(each, ",".join(kept))
    if edit.changed:
        count_up(edit)
        put_now(edit, "LAST-MODIFIED", now)


def with_own(series: Series, slots: Sequence[datetime]) -> str:
    """The object with a component for each of these occurrences that says what stands for it now; of a series without
    parts for all later ones."""
    return _behind(series, "".join(_copied(series, slot) for slot in slots))


def _with_own(series: Series, slot: datetime) -> str:
    """The object with a component for this occurrence that says what stands for it now."""
    copy = _copied(series, slot)
    return _behind(Series(_handed_on(series, slot), series.clock.default_zone), copy)


def _handed_on(series: Series, slot: datetime) -> str:
    """The object where what begins with this occurrence, for all later ones as well, begins with the next one."""
    found = next((each for each in series.ranges if each.slot == slot), None)
    if found is None:
        return series.text
    following = series.following(slot)
    if following is None or series.range_of(following) is not found:
        return cut(series, [found.component])
    given = Series(series.text, series.clock.default_zone)
    component = next(each.component for each in given.ranges if each.slot == slot)
    edit = Editor(given.document, component)
    parameters, value = given.written(following)
    edit.rewrite(component.all("RECURRENCE-ID")[0], value, drop=("TZID", "VALUE"), add=parameters)
    for name, day in (("DTSTART", series.start(following)), ("DTEND", series.end(following))):
        if old := component.first(name):
            style = given.clock.read(old).style
            given.clock.put(edit, name, Time(day) if is_day(day) else Time(day, style))
    return given.document.text


def _copied(series: Series, slot: datetime, more: str = "") -> str:
    """What the master says (or the part that does from some occurrence on), as a component for this occurrence."""
    master = series.source(slot)
    ends = series.ends if master is series.master else {}
    eol = master.begin.eol or "\r\n"
    parts: list[str] = []
    dropped = False
    own = {id(each) for each in master.lines}
    once = {id(each) for c in master.components if goes_off_once(c) for each in lines_of(series, c)}
    for each in lines_of(series, master):
        if id(each) in once:
            continue
        if id(each) in own:
            dropped = each.name in _OF_THE_MASTER or (each.name == "DURATION" and slot in ends)
        elif each.name:
            dropped = False
        if dropped:
            continue
        if id(each) in own and each.name in ("DTSTART", "DTEND"):
            parts.append(_moved(series, slot, each))
        else:
            parts.append(each.raw)
        if id(each) in own and each.name == "DTSTART":
            parameters, value = series.written(slot)
            parts.append(line("RECURRENCE-ID", value, head="RECURRENCE-ID" + parameters, eol=eol).raw)
            parts += [f"{more}{eol}"] if more else []
            if slot in ends and not master.all("DTEND"):
                parameters, value = series.clock.written(Time(ends[slot], series.style))
                parts.append(line("DTEND", value, head="DTEND" + parameters, eol=eol).raw)
    return "".join(parts)


def _moved(series: Series, slot: datetime, old: Line) -> str:
    """DTSTART or DTEND of the master, as it is for this occurrence."""
    if old.name == "DTSTART" and series.range_of(slot) is None:
        parameters, value = series.written(slot)
    else:
        day = series.start(slot) if old.name == "DTSTART" else series.end(slot)
        style = series.clock.read(old).style
        parameters, value = series.clock.written(Time(day) if is_day(day) else Time(day, style))
    return line(old.name, value, head=old.name + parameters, eol=old.eol or "\r\n").raw


def _behind(series: Series, text: str) -> str:
    """The object with one more component, behind the last of its events."""
    last = series.events[-1].end
    return "".join(each.raw + (text if each is last else "") for each in series.document.lines)


def plain(series: Series) -> str:
    """The object without its occurrences that differ."""
    return cut(series, list(series.changed.values()))


def cut(series: Series, components: Sequence[Component]) -> str:
    """The object without these components of it."""
    ends = {id(own.begin): own.end for own in components}
    kept, until = list[str](), None
    for each in series.document.lines:
        until = until or ends.get(id(each))
        if until is None:
            kept.append(each.raw)
        elif each is until:
            until = None
    return "".join(kept)


def lines_of(series: Series, component: Component) -> list[Line]:
    """From BEGIN to END, what stands within included."""
    lines = series.document.lines
    first = next(i for i, each in enumerate(lines) if each is component.begin)
    last = next(i for i, each in enumerate(lines) if each is component.end)
    return lines[first : last + 1]


def alone(text: str, default_zone: tzinfo) -> Series | None:
    """What ``by_itself`` gave, read again; None for any other text."""
    try:
        read = Series(text, default_zone)
    except Untold:
        return None
    return read if read.master is None and len(read.changed) == 1 else None
