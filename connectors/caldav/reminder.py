"""The one reminder of an event or a task: VALARM (RFC 5545 3.6.6) as the moment at which it goes off.

Only where there is one: of several alarms none is *the* reminder, so that the column is silent and all of them stay as
they are. An alarm that sends mail is none. A trigger that counts from the start is written as one, so that it moves
along when the event is moved.
"""

from datetime import date, datetime, timedelta

from crmsync.connectors.caldav.clock import Clock, Day, Style, Time, within_bounds
from crmsync.connectors.contract import Value
from crmsync.connectors.dav.contentline import Line
from crmsync.connectors.dav.document import Component
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.dav.patch import Editor
from crmsync.connectors.dav.values import ABSENT, Maybe, format_moment, in_utc

_FARTHEST = timedelta(days=90)  # from the start; beyond that the moment itself is written


def read_reminder(item: Component, clock: Clock, start: Day | None = None, end: Day | None = None) -> Maybe:
    """``start``, ``end``: where an occurrence of a series lies, whose alarm its master has."""
    alarms = _alarms(item)
    if start is not None:
        alarms = [each for each in alarms if not goes_off_once(each)]
    if len(alarms) != 1:
        return ABSENT if alarms else None
    trigger = alarms[0].first("TRIGGER")
    if trigger is None:
        return ABSENT
    try:
        if trigger.value.strip()[:1].upper() in ("P", "+", "-"):
            return _after(trigger, clock, _base(item, trigger, clock, start, end))
        found = clock.read(trigger).value
    except (Malformed, OverflowError):
        return ABSENT
    return found if isinstance(found, datetime) else ABSENT


def project_reminder(value: Value) -> Maybe:
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001
    if isinstance(value, datetime):
        return in_utc(value) if within_bounds(value) else ABSENT
    return None if value is None else ABSENT


def write_reminder(edit: Editor, clock: Clock, wanted: Value) -> None:
    alarms, standing = _alarms(edit.component), read_reminder(edit.component, clock)
    if len(alarms) > 1 or standing == wanted or (standing is ABSENT and wanted is None):
        return
    if not isinstance(wanted, datetime):
        for alarm in alarms:
            edit.document.remove_component(alarm)
            edit.changed = True
        return
    head, value = _trigger(edit.component, clock, wanted, alarms)
    if alarms:
        inner = Editor(edit.document, alarms[0])
        if old := alarms[0].first("TRIGGER"):
            inner.rewrite(old, value, drop=("VALUE", "RELATED", "TZID"), add=head)
        else:
            inner.add("TRIGGER", value, head)
    else:
        eol = edit.component.begin.eol or "\r\n"
        lines = (
            "BEGIN:VALARM",
            "ACTION:DISPLAY",
            "DESCRIPTION:Reminder",
            f"TRIGGER{head}:{value}",
            "END:VALARM",
        )
        edit.document.append_component("".join(f"{each}{eol}" for each in lines), edit.component)
    edit.changed = True


def _trigger(item: Component, clock: Clock, wanted: datetime, alarms: list[Component]) -> tuple[str, str]:
    """Parameters and value."""
    start = _moment(item, clock, "DTSTART")
    if start is None or (alarms and goes_off_once(alarms[0])) or abs(wanted - start) > _FARTHEST:
        return ";VALUE=DATE-TIME", format_moment(wanted)
    return "", _duration(wanted - start)


def _duration(length: timedelta) -> str:
    seconds = int(abs(length).total_seconds())
    parts = ((seconds // 3600, "H"), (seconds % 3600 // 60, "M"), (seconds % 60, "S"))
    text = "".join(f"{number}{unit}" for number, unit in parts if number)
    return f"{'-' if length < timedelta(0) else ''}PT{text or '0S'}"


def _alarms(item: Component) -> list[Component]:
    """Those that a person sees or hears."""
    return [
        each
        for each in item.components
        if each.name == "VALARM" and _action(each) in ("DISPLAY", "AUDIO", "")
    ]


def goes_off_once(alarm: Component) -> bool:
    """At a moment of its own, however often the event is repeated."""
    trigger = alarm.first("TRIGGER")
    return alarm.name == "VALARM" and trigger is not None and trigger.value.strip()[:1].isdigit()


def _action(alarm: Component) -> str:
    found = alarm.first("ACTION")
    return found.value.strip().upper() if found else ""


def _base(
    item: Component, trigger: Line, clock: Clock, start: Day | None, end: Day | None
) -> datetime | None:
    if trigger.parameter("RELATED").upper() == "END":
        return _instant(end, clock) if end else _moment(item, clock, "DTEND") or _moment(item, clock, "DUE")
    return _instant(start, clock) if start else _moment(item, clock, "DTSTART")


def _after(trigger: Line, clock: Clock, base: datetime | None) -> Maybe:
    found = clock.plus(Time(base), trigger) if base else None
    return found if isinstance(found, datetime) else ABSENT


def _moment(item: Component, clock: Clock, name: str) -> datetime | None:
    found = item.first(name)
    return _instant(clock.read(found).value, clock) if found and found.value.strip() else None


def _instant(value: Day, clock: Clock) -> datetime:
    """A day begins at midnight of the person's own zone."""
    if isinstance(value, datetime):
        return value
    return clock.moment(datetime.combine(value, datetime.min.time()), Style(floating=True))
