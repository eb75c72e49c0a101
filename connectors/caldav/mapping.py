"""Appointments and tasks: the columns of VEVENT and VTODO (RFC 5545), one row each, both ways."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo

from crmsync.connectors.caldav.attachments import Attachments, files_of
from crmsync.connectors.caldav.attendees import Attendees, Organizer
from crmsync.connectors.caldav.clock import Clock
from crmsync.connectors.caldav.create import skeleton
from crmsync.connectors.caldav.fields import Activity, Priority, ShowAs, TaskCategories
from crmsync.connectors.caldav.progress import PROGRESS, project_progress, read_progress, write_progress
from crmsync.connectors.caldav.reminder import project_reminder, read_reminder, write_reminder
from crmsync.connectors.caldav.richtext import Description
from crmsync.connectors.caldav.when import (
    project_task_time,
    project_when,
    read_task_times,
    read_when,
    write_task_times,
    write_when,
)
from crmsync.connectors.columns import COLUMNS, Type
from crmsync.connectors.contract import Columns, Kind, Stamp, Value
from crmsync.connectors.dav.document import Component, Document, parse
from crmsync.connectors.dav.fields import Categories, Choice, Rows, Text, project_rows, read_rows, write_rows
from crmsync.connectors.dav.item import Item, Malformed, NotOurs
from crmsync.connectors.dav.patch import Editor, categories, changes, put_now, put_stamp, put_tag, stamp_of
from crmsync.connectors.dav.strictness import said_once, whole_values
from crmsync.connectors.dav.values import ABSENT, text_of

_SENSITIVITY = Choice(
    "CLASS",
    {"public": "PUBLIC", "private": "PRIVATE", "confidential": "CONFIDENTIAL"},
    default="public",
    unknown="private",  # RFC 5545 3.8.1.3
)
_COMMON: Rows = {
    "subject": Text("SUMMARY"),
    "description": Description(),
    "sensitivity": _SENSITIVITY,
    "categories": Categories(),
}
_ROWS: Mapping[Kind, Rows] = {
    Kind.APPOINTMENT: {
        **_COMMON,
        "location": Text("LOCATION"),
        "organizer": Organizer(),
        "attendees": Attendees(),
        "attachments": Attachments(),
        "show_as": ShowAs(),
        "status": Choice(
            "STATUS", {"confirmed": "CONFIRMED", "tentative": "TENTATIVE", "cancelled": "CANCELLED"}
        ),
    },
    Kind.TASK: {
        **_COMMON,
        "categories": TaskCategories(),
        "activity": Activity(),
        "priority": Priority(),
    },
}
# Columns that are not one property each: see when.py, progress.py and reminder.py.
_WHEN = frozenset({"start", "end", "all_day", "time_zone"})
_TIMES = frozenset({"start", "due"})
_GROUPS = {Kind.APPOINTMENT: _WHEN | {"reminder"}, Kind.TASK: _TIMES | PROGRESS | {"reminder"}}

HOLDS: Mapping[Kind, frozenset[str]] = {
    kind: (frozenset(rows) | _GROUPS[kind]) & frozenset(COLUMNS[kind]) for kind, rows in _ROWS.items()
}
READ_ONLY: Mapping[Kind, frozenset[str]] = {Kind.APPOINTMENT: frozenset({"organizer", "attachments"})}
_KINDS = {"VEVENT": Kind.APPOINTMENT, "VTODO": Kind.TASK}
_NEVER_ALONE = frozenset({"VALARM", "STANDARD", "DAYLIGHT", "AVAILABLE", "PARTICIPANT", "VCALENDAR"})
_FREE_TEXT = frozenset({"SUMMARY", "DESCRIPTION", "LOCATION", "CATEGORIES"})
_ONCE = frozenset(
    {
        "UID",
        "SUMMARY",
        "DESCRIPTION",
        "LOCATION",
        "DTSTART",
        "DTEND",
        "DUE",
        "DURATION",
        "STATUS",
        "CLASS",
        "TRANSP",
    }
    | {"PRIORITY", "PERCENT-COMPLETE", "COMPLETED"}
)
_RECURRING = ("RRULE", "RDATE", "EXRULE", "RECURRENCE-ID")


def project(kind: Kind, columns: Columns) -> Columns:
    """``columns`` as they would be read back; what cannot be held is absent."""
    if kind not in _ROWS:
        return {}
    held = project_rows(_ROWS[kind], columns)
    if "reminder" in columns and (reminder := project_reminder(columns["reminder"])) is not ABSENT:
        held["reminder"] = reminder
    if kind is Kind.APPOINTMENT:
        return held | project_when({n: v for n, v in columns.items() if n in _WHEN})
    held.update({n: project_task_time(v) for n, v in columns.items() if n in _TIMES})
    return held | project_progress({n: v for n, v in columns.items() if n in PROGRESS})


@dataclass(frozen=True, slots=True)
class Part:
    """A calendar object resource (RFC 4791 4.1) and the one component of it that the columns are of."""

    document: Document
    component: Component
    kind: Kind
    clock: Clock
    untouchable: str = ""

    def columns(self) -> dict[str, Value]:
        columns = read_rows(_ROWS[self.kind], self.component)
        if (reminder := read_reminder(self.component, self.clock)) is not ABSENT:
            columns["reminder"] = reminder
        if self.kind is Kind.APPOINTMENT:
            return columns | read_when(self.component, self.clock).columns
        return (
            columns | read_task_times(self.component, self.clock) | read_progress(self.component, self.clock)
        )


def read(text: str, *, default_zone: tzinfo = UTC) -> Item:
    """Raises Malformed, and NotOurs for an object without VEVENT and VTODO."""
    found = _object(text, default_zone)
    columns = found.columns()
    return Item(
        kind=found.kind,
        uid=uid_of(found.component),
        columns=columns,
        tags=frozenset(categories(found.component)),
        stamp=stamp_of(found.component),
        untouchable=found.untouchable,
        files=files_of(found.component) if found.kind is Kind.APPOINTMENT else (),
        private=columns.get("sensitivity") in ("private", "confidential"),
    )


def uid_of(component: Component) -> str:
    line = component.first("UID")
    return (text_of(line, Type.TEXT) or "") if line else ""


def _object(text: str, default_zone: tzinfo) -> Part:
    document = parse(text)
    calendars = [root for root in document.components if root.name == "VCALENDAR"]
    if not calendars:
        raise Malformed("there is no BEGIN:VCALENDAR in it (RFC 5545 3.4)")
    inner = [each for calendar in calendars for each in calendar.components]
    ours = [each for each in inner if each.name in _KINDS]
    if not ours:
        raise _without_ours(inner)
    main = next((each for each in ours if not each.all("RECURRENCE-ID")), ours[0])
    check(main)
    calendar = main.outer or calendars[0]
    return Part(document, main, _KINDS[main.name], Clock(calendar, default_zone), _untouchable(ours, main))


def check(component: Component) -> None:
    """Raises Malformed for what says something twice, or only half of it."""
    whole_values(component, _FREE_TEXT)
    said_once(component, _ONCE, f"RFC 5545 {'3.6.1' if component.name == 'VEVENT' else '3.6.2'}")


def _without_ours(inner: list[Component]) -> Malformed:
    """A calendar may hold nothing but a time zone, or components that only their maker knows (RFC 5545 3.6)."""
    names = {each.name for each in inner}
    others = sorted(names - _NEVER_ALONE)
    if others:
        return NotOurs(f"it holds no event and no task, but {', '.join(others)}")
    if names:
        return Malformed(f"{min(names)} stands in it by itself, without event or task (RFC 5545 3.4, 3.6)")
    return Malformed("it is a calendar without any component (RFC 5545 3.6)")


def _untouchable(ours: list[Component], main: Component) -> str:
    if len(ours) > 1:
        same = len({(each.name, uid_of(each)) for each in ours}) == 1
        return "recurring" if same and any(each.all("RECURRENCE-ID") for each in ours) else "several items"
    return "recurring" if any(main.all(name) for name in _RECURRING) else ""


def patch(
    text: str,
    columns: Columns,
    *,
    tag: str = "",
    stamp: Stamp | None = None,
    now: datetime,
    default_zone: tzinfo = UTC,
) -> str:
    """See ``dav.item.Format.patch``."""
    found = _object(text, default_zone)
    return found.document.text if revise(found, columns, tag=tag, stamp=stamp, now=now) else text


def revise(
    found: Part, columns: Columns, *, tag: str = "", stamp: Stamp | None = None, now: datetime
) -> bool:
    """Writes into the document; whether there was anything to write."""
    edit = Editor(found.document, found.component)
    if columns:
        _write(edit, found, columns, now)
    if tag:
        put_tag(edit, tag)
    revised = edit.changed  # what the item says; our stamp on it says nothing about the event
    if stamp:
        put_stamp(edit, stamp)
    if edit.changed:
        put_now(edit, "LAST-MODIFIED", now)
    if revised:
        put_now(edit, "DTSTAMP", now, required=True)
    return edit.changed


def _write(edit: Editor, found: Part, columns: Columns, now: datetime) -> None:
    given = project(found.kind, columns)
    wanted = changes(found.columns(), given)
    write_rows(_ROWS[found.kind], edit, wanted)
    if "reminder" in wanted and given["reminder"] is None:  # before the start is gone that says when it is
        write_reminder(edit, found.clock, None)
    if found.kind is Kind.APPOINTMENT and wanted.keys() & _WHEN:
        write_when(edit, found.clock, {n: v for n, v in given.items() if n in _WHEN})
    if found.kind is Kind.TASK and wanted.keys() & _TIMES:
        write_task_times(edit, found.clock, {n: v for n, v in given.items() if n in _TIMES})
    if found.kind is Kind.TASK and wanted.keys() & PROGRESS:
        write_progress(edit, found.clock, {n: v for n, v in given.items() if n in PROGRESS}, now)
    if "reminder" in given and wanted.keys() & (_WHEN | _TIMES | {"reminder"}):  # it may have moved along
        write_reminder(edit, found.clock, given["reminder"])


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
    """Raises Malformed for an appointment without start, and for a kind that no calendar holds."""
    if kind not in _ROWS:
        raise Malformed(f"a calendar object cannot be a {kind.value}")
    held = dict(project(kind, columns))
    start = held.get("start")
    if kind is Kind.APPOINTMENT and not isinstance(start, date):
        raise Malformed("an event must have a start (RFC 5545 3.6.1)")
    text = skeleton(
        "vevent" if kind is Kind.APPOINTMENT else "vtodo",
        uid,
        start if isinstance(start, date) and kind is Kind.APPOINTMENT else None,
        now,
    )
    return patch(text, held, tag=tag, stamp=stamp, now=now, default_zone=default_zone)
