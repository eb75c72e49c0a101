"""Start and end: of an event (with all-day and zone, one group), and of a task."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from crmsync.connectors.caldav.clock import IN_UTC, Clock, Day, Style, Time, is_day, within_bounds
from crmsync.connectors.contract import Columns, Value
from crmsync.connectors.dav.contentline import Line
from crmsync.connectors.dav.document import Component
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.dav.patch import Editor
from crmsync.connectors.dav.values import in_utc
from crmsync.connectors.dav.zones import iana, is_unambiguous, zone_name

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class When:
    """When an event is, and how it says so."""

    start: Time
    end: Day  # exclusive, of the same type as the start
    end_style: Style

    @property
    def columns(self) -> dict[str, Value]:
        zone = self.start.style.zone
        return {
            "start": self.start.value,
            "end": self.end,
            "all_day": is_day(self.start.value),
            "time_zone": zone.name if zone else None,
        }


def read_when(event: Component, clock: Clock) -> When:
    """Raises Malformed: without DTSTART, with dates that are none, ending before it starts."""
    line = event.first("DTSTART")
    if line is None:
        raise Malformed(_no_start(event))
    start = clock.read(line)
    ended = event.first("DTEND")
    if ended and ended.value.strip():
        end = clock.read(ended)
        _check_agreeing(event, clock, start, end)
        return When(start, _checked_end(start.value, end.value, "DTEND"), end.style)
    lasting = event.first("DURATION")
    if lasting and lasting.value.strip():
        return When(start, _checked_end(start.value, clock.plus(start, lasting), "DURATION"), start.style)
    return When(start, implied_end(start.value), start.style)


def _no_start(event: Component) -> str:
    if event.outer and event.outer.all("METHOD"):  # without it, RFC 5545 lets DTSTART be left out
        return "it is a scheduling message without DTSTART; no calendar stores a METHOD (RFC 4791 4.1)"
    return "it has no DTSTART (RFC 5545 3.6.1)"


def _check_agreeing(event: Component, clock: Clock, start: Time, end: Time) -> None:
    """Both DTEND and DURATION are forbidden, and written all the same; no harm is done while they say the same."""
    lasting = event.first("DURATION")
    if lasting and lasting.value.strip() and _after(clock, start, lasting) != end.value:
        raise Malformed(
            "its DTEND and its DURATION do not agree, and one may stand there only (RFC 5545 3.6.1)"
        )


def implied_end(start: Day) -> Day:
    """Of an event without DTEND and DURATION (RFC 5545 3.6.1): the whole day, or no time at all."""
    return start + _ONE_DAY if is_day(start) else start


def _checked_end(start: Day, end: Day, name: str) -> Day:
    if is_day(start) != is_day(end):
        raise Malformed("of its DTSTART and DTEND one is a date, the other a date-time (RFC 5545 3.8.2.2)")
    if end < start:
        raise Malformed(f"it ends before it starts: its {name} comes before its DTSTART (RFC 5545 3.8.2.2)")
    # an all-day DTEND that is the last day, not the one after
    return implied_end(start) if end == start else end


def project_when(columns: Columns) -> dict[str, Value]:
    """The four columns as they are read back, each as far as it is given. Start and end cannot be emptied."""
    zone = columns.get("time_zone")
    held: dict[str, Value] = {}
    if "time_zone" in columns:
        held["time_zone"] = zone_name(zone) if isinstance(zone, str) else None
    all_day = columns.get("all_day")
    if isinstance(all_day, bool):
        held["all_day"] = all_day
    for name in ("start", "end"):
        value = columns.get(name)
        if isinstance(value, date):
            value = in_utc(value) if isinstance(value, datetime) else value
            if within_bounds(value):
                held[name] = value
    held = _agreeing(held)
    if not _names_zone(held):
        held["time_zone"] = None
    return held


def _names_zone(held: Columns) -> bool:
    """A start in the second of two equal hours is written in UTC, and its zone is that of the event."""
    start, name = held.get("start"), held.get("time_zone")
    zone = iana(name) if isinstance(name, str) else None
    return not (zone and isinstance(start, datetime)) or is_unambiguous(start, zone.rules)


def _agreeing(held: dict[str, Value]) -> dict[str, Value]:
    """Start and end fit all_day (which follows the start where it is not given), and the end does not come first."""
    start = held.get("start")
    all_day = held.get("all_day", is_day(start) if start else None)
    if isinstance(all_day, bool):
        held.update({n: _fitting(v, all_day=all_day) for n, v in held.items() if isinstance(v, date)})
    start, end = held.get("start"), held.get("end")
    if isinstance(start, date) and isinstance(end, date) and is_day(start) == is_day(end) and end <= start:
        held["end"] = implied_end(start)
    if all_day and "time_zone" in held:
        held["time_zone"] = None  # a date has none
    return held


def _fitting(value: date, *, all_day: bool) -> Day:
    if all_day:
        return value.date() if isinstance(value, datetime) else value
    return value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)


def write_when(edit: Editor, clock: Clock, wanted: Columns) -> None:
    """Writes what differs; SEQUENCE follows (RFC 5545 3.8.7.4)."""
    before = read_when(edit.component, clock)
    after = _merged(before, wanted)
    start, end = after["start"], after["end"]
    if not isinstance(start, date) or not isinstance(end, date) or after == before.columns:
        return
    zone = after["time_zone"]
    style = None  # each end keeps its own
    if zone != before.columns["time_zone"] and not is_day(start):
        style = clock.style_for(zone if isinstance(zone, str) else None)
    new_start, new_end = Time(start, style or before.start.style), Time(end, style or before.end_style)
    if new_start != before.start:
        clock.put(edit, "DTSTART", new_start)
    _write_end(edit, clock, before, new_start, new_end)
    if style:
        clock.define(edit, style, start.year)
    _write_all_day_mark(edit, all_day=is_day(start))
    count_up(edit)


def _merged(before: When, wanted: Columns) -> dict[str, Value]:
    """The group as a whole: an end that is not given stays, unless the start has passed it."""
    after = {**before.columns, **wanted}
    start = after["start"]
    if "all_day" not in wanted:
        after["all_day"] = is_day(start)
    if "end" not in wanted and isinstance(start, date) and is_day(start) == is_day(before.end):
        passed = before.end <= start if is_day(start) else before.end < start
        after["end"] = _later(start, _length(before.start.value, before.end)) if passed else before.end
    return _agreeing(after)


def _length(start: Day, end: Day) -> timedelta:
    if isinstance(start, datetime) and isinstance(end, datetime):
        return end - start
    return timedelta(days=end.toordinal() - start.toordinal())


def _later(start: Day, length: timedelta) -> Day:
    try:
        end = start + length
    except OverflowError:
        return start
    return end if within_bounds(end) else start


def _write_end(edit: Editor, clock: Clock, before: When, start: Time, end: Time) -> None:
    event = edit.component
    ended, lasting = event.first("DTEND"), event.first("DURATION")
    if ended and ended.value.strip():
        if end != Time(before.end, before.end_style):
            clock.put(edit, "DTEND", end)
        if lasting and _after(clock, start, lasting) != end.value:
            edit.remove(lasting)
    elif lasting and lasting.value.strip():
        if _after(clock, start, lasting) != end.value:
            edit.remove(lasting)
            clock.put(edit, "DTEND", end)
    elif end.value != implied_end(start.value):
        clock.put(edit, "DTEND", end)


def _after(clock: Clock, start: Time, lasting: Line) -> Day | None:
    try:
        return clock.plus(start, lasting)
    except Malformed:  # beyond the calendar, from the new start on
        return None


def _write_all_day_mark(edit: Editor, *, all_day: bool) -> None:
    """Outlook believes its own property before the type of DTSTART."""
    mark = edit.component.first("X-MICROSOFT-CDO-ALLDAYEVENT")
    if mark and (mark.value.strip().upper() == "TRUE") != all_day:
        edit.rewrite(mark, "TRUE" if all_day else "FALSE")


def count_up(edit: Editor) -> None:
    """SEQUENCE, where there is one (RFC 5545 3.8.7.4)."""
    sequence = edit.component.first("SEQUENCE")
    if sequence and sequence.value.strip().isascii() and sequence.value.strip().isdigit():
        edit.rewrite(sequence, str(int(sequence.value.strip()[:9]) + 1))


# ── Tasks ────────────────────────────────────────────────────────────────────────────────────────────────────


def read_task_times(task: Component, clock: Clock) -> dict[str, Value]:
    """``start`` and ``due``: a date, a moment in UTC, or None. Raises Malformed."""
    start = _read(task, clock, "DTSTART")
    due = _read(task, clock, "DUE")
    lasting = task.first("DURATION")
    if due is None and start and lasting and lasting.value.strip():
        due = Time(clock.plus(start, lasting))
    return {"start": start.value if start else None, "due": due.value if due else None}


def _read(component: Component, clock: Clock, name: str) -> Time | None:
    line = component.first(name)
    return clock.read(line) if line and line.value.strip() else None


def project_task_time(value: Value) -> Day | None:
    """None also for what is no date and for a year that cannot be written."""
    if isinstance(value, datetime):
        value = in_utc(value)
    return value if isinstance(value, date) and within_bounds(value) else None


def write_task_times(edit: Editor, clock: Clock, wanted: Columns) -> None:
    before = read_task_times(edit.component, clock)
    after = {**before, **wanted}
    if after["start"] != before["start"]:
        _put(edit, clock, "DTSTART", after["start"])
    due, lasting = edit.component.first("DUE"), edit.component.first("DURATION")
    if (due and due.value.strip()) or not lasting:
        if after["due"] != before["due"]:
            _put(edit, clock, "DUE", after["due"])
        return
    start = _read(edit.component, clock, "DTSTART")
    if (_after(clock, start, lasting) if start else None) != after["due"]:
        edit.remove(lasting)  # it would move a due date that nobody moved, or keep one that was taken out
        _put(edit, clock, "DUE", after["due"])


def _put(edit: Editor, clock: Clock, name: str, value: Value) -> None:
    old = _read(edit.component, clock, name)
    clock.put(edit, name, Time(value, old.style if old else IN_UTC) if isinstance(value, date) else None)
