"""Series on the server: which days they fall on, and the occurrences that can be read and written one by one.

The days are found by looking at each of them: nothing of what the connector counts with is used here.
"""

import base64
import calendar
import copy
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from exchangelib.winzone import MS_TIMEZONE_TO_IANA_MAP
from lxml import etree

from tests.servers.ews.place import Item, Place, Refusal
from tests.servers.ews.schema import Element, T, name
from tests.servers.ews.settling import moment, stamp

_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_GROUPS = {"Day": range(7), "Weekday": range(5), "WeekendDay": (5, 6)}
_NTH = {"First": 0, "Second": 1, "Third": 2, "Fourth": 3, "Last": -1}
_MONTHS = tuple(calendar.month_name)
_YEARS = 6  # that are looked ahead
_OCCURRENCE = re.compile(rb"(AAMk/.*)/(\d{8})")


def days(recurrence: Element) -> Iterator[date]:
    """All days of the pattern, those that were taken out among them."""
    pattern, range_ = recurrence
    start = _day(range_.findtext(T + "StartDate"))
    last = range_.findtext(T + "EndDate")
    end = _day(last) if last else start.replace(day=1, year=start.year + _YEARS)
    left = int(range_.findtext(T + "NumberOfOccurrences") or 10_000)
    at = start
    while at <= end and left:
        if _falls_on(pattern, start, at):
            yield at
            left -= 1
        at += timedelta(days=1)


def _day(text: str | None) -> date:
    return date.fromisoformat((text or "")[:10])


def _falls_on(pattern: Element, start: date, at: date) -> bool:
    interval = int(pattern.findtext(T + "Interval") or 1)
    months = (at.year - start.year) * 12 + at.month - start.month
    match name(pattern):
        case "DailyRecurrence":
            return (at - start).days % interval == 0
        case "WeeklyRecurrence":
            first = _WEEKDAYS.index(pattern.findtext(T + "FirstDayOfWeek") or "Sunday")
            weeks = (_week(at, first) - _week(start, first)).days // 7
            return at.weekday() in _named(pattern) and weeks % interval == 0
        case "AbsoluteMonthlyRecurrence":
            return months % interval == 0 and at.day == _day_in(at, pattern)
        case "RelativeMonthlyRecurrence":
            return months % interval == 0 and _is_nth(pattern, at)
        case "AbsoluteYearlyRecurrence":
            return _MONTHS[at.month] == pattern.findtext(T + "Month") and at.day == _day_in(at, pattern)
        case _:
            return _MONTHS[at.month] == pattern.findtext(T + "Month") and _is_nth(pattern, at)


def _week(at: date, first: int) -> date:
    return at - timedelta(days=(at.weekday() - first) % 7)


def _day_in(at: date, pattern: Element) -> int:
    """MS-OXOCAL: the last day of a month that has not that many."""
    wanted = int(pattern.findtext(T + "DayOfMonth") or 1)
    return min(wanted, calendar.monthrange(at.year, at.month)[1])


def _named(pattern: Element) -> set[int]:
    words = (pattern.findtext(T + "DaysOfWeek") or "").split()
    return {
        n for word in words for n in _GROUPS.get(word, [_WEEKDAYS.index(word)] if word in _WEEKDAYS else [])
    }


def _is_nth(pattern: Element, at: date) -> bool:
    wanted = _named(pattern)
    count = calendar.monthrange(at.year, at.month)[1]
    fitting = [n for n in range(1, count + 1) if at.replace(day=n).weekday() in wanted]
    return fitting[_NTH[pattern.findtext(T + "DayOfWeekIndex") or "First"]] == at.day


# ── Occurrences ──────────────────────────────────────────────────────────────────────────────────────────────────


def series_of(id: str) -> tuple[str, date] | None:
    """The series and the day that the id of an occurrence names."""
    try:
        found = _OCCURRENCE.fullmatch(base64.b64decode(id, validate=True))
    except ValueError:
        return None
    if found is None:
        return None
    return base64.b64encode(found[1]).decode(), datetime.strptime(found[2].decode(), "%Y%m%d").date()


def id_of(master: Item, day: date) -> str:
    return base64.b64encode(base64.b64decode(master.id) + f"/{day:%Y%m%d}".encode()).decode()


def numbered(place: Place, element: Element) -> str:
    """The id of the occurrence that an OccurrenceItemId names."""
    master = place.item(element.get("RecurringMasterId") or "")
    there = list(days(_recurrence(master)))
    index = int(element.get("InstanceIndex") or 0)
    if not 1 <= index <= len(there):
        code = "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange"
        raise Refusal(code, "Occurrence index is out of recurrence range.")
    return id_of(master, there[index - 1])


def occurrence(place: Place, id: str) -> Item:
    """As it can be shown, and changed; ``keep`` makes a change last."""
    series, day = series_of(id) or ("", date.min)
    master = place.item(series)
    if day in master.removed:
        code = "ErrorCalendarOccurrenceIsDeletedFromRecurrence"
        raise Refusal(code, "Occurrence is deleted from the recurrence.")
    if day in master.exceptions:
        found = master.exceptions[day]
    elif day in set(days(_recurrence(master))):
        found = _plain(master, day)
    else:
        raise Refusal("ErrorItemNotFound", "The specified object was not found in the store.")
    found.changed = master.changed
    found.modified, found.modified_by = master.modified, master.modified_by
    return found


def _plain(master: Item, day: date) -> Item:
    found = Item(
        id_of(master, day), "CalendarItem", master.folder, made=master.made, search_key=master.search_key
    )
    found.fields = {n: copy.deepcopy(e) for n, e in master.fields.items() if n != "Recurrence"}
    found.extended = copy.deepcopy(master.extended)
    found.series, found.day = master, day
    start, end = times(master, day)
    found.put("Start", stamp(start))
    found.put("End", stamp(end))
    return found


def times(master: Item, day: date) -> tuple[datetime, datetime]:
    """MS-OXOCAL keeps both as minutes of the day, on the clock of the series."""
    zone = _zone(master)
    start, end = (moment(master.text(n)).astimezone(zone).replace(tzinfo=None) for n in ("Start", "End"))
    begins = datetime.combine(day, start.time())
    return tuple(at.replace(tzinfo=zone).astimezone(UTC) for at in (begins, begins + (end - start)))  # type: ignore[return-value]


def _zone(item: Item) -> ZoneInfo:
    found = item.fields.get("StartTimeZone")
    return ZoneInfo(MS_TIMEZONE_TO_IANA_MAP[found.get("Id")] if found is not None else "UTC")


def _recurrence(master: Item) -> Element:
    found = master.fields.get("Recurrence")
    if found is None:
        raise Refusal("ErrorCalendarCannotUseIdForRecurringMasterId", "It is no recurring master.")
    return found


def keep(place: Place, item: Item) -> None:
    """An occurrence that was written to is an exception, as long as it lies between its neighbours."""
    assert item.series is not None
    assert item.day is not None
    master, zone = item.series, _zone(item.series)
    held = moment(item.text("Start")).astimezone(zone).date()
    for day in days(_recurrence(master)):
        own = master.exceptions.get(day)
        start = moment(own.text("Start")) if own is not None else times(master, day)[0]
        other = start.astimezone(zone).date()
        crosses = other >= held if day < item.day else other <= held
        if day != item.day and day not in master.removed and crosses:
            raise Refusal(
                "ErrorOccurrenceCrossingBoundary", "Modified occurrence is crossing an adjacent one."
            )
    master.exceptions[item.day] = item
    place.keep(master)


def remove(place: Place, item: Item) -> None:
    assert item.series is not None
    assert item.day is not None
    item.series.exceptions.pop(item.day, None)
    item.series.removed.add(item.day)
    place.keep(item.series)


def told(item: Item, field: str) -> Element | None:
    """What a series, or an occurrence, says of what it is."""
    element = etree.Element(T + field)
    match field:
        case "ModifiedOccurrences" if item.exceptions:
            for day, own in sorted(item.exceptions.items()):
                entry = etree.SubElement(element, T + "Occurrence")
                etree.SubElement(entry, T + "ItemId", Id=own.id, ChangeKey=item.change_key)
                etree.SubElement(entry, T + "Start").text = own.text("Start")
                etree.SubElement(entry, T + "End").text = own.text("End")
                etree.SubElement(entry, T + "OriginalStart").text = stamp(times(item, day)[0])
        case "DeletedOccurrences" if item.removed:
            for day in sorted(item.removed):
                entry = etree.SubElement(element, T + "DeletedOccurrence")
                etree.SubElement(entry, T + "Start").text = stamp(times(item, day)[0])
        case "OriginalStart" if item.series is not None and item.day is not None:
            element.text = stamp(times(item.series, item.day)[0])
        case "IsRecurring":
            element.text = "true" if item.series is not None else "false"
        case "CalendarItemType":
            element.text = "RecurringMaster" if "Recurrence" in item.fields else "Single"
            if item.series is not None:
                element.text = "Exception" if item.day in item.series.exceptions else "Occurrence"
        case _:
            return None
    return element
