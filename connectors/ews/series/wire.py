"""Series on the wire: what an answer says of their days, and how requests name an occurrence. No I/O."""

import re
from collections.abc import Sequence
from datetime import date

from crmsync.connectors.contract import Kind
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.ews import properties, wire
from crmsync.connectors.ews.series.pattern import Changed, Pattern, Plan, Sort
from crmsync.connectors.ews.wire import Element, T
from crmsync.connectors.series.recurrence import Untold

_PATTERNS = {
    "DailyRecurrence": Sort.DAILY,
    "WeeklyRecurrence": Sort.WEEKLY,
    "AbsoluteMonthlyRecurrence": Sort.MONTHLY,
    "RelativeMonthlyRecurrence": Sort.NTH_MONTHLY,
    "AbsoluteYearlyRecurrence": Sort.YEARLY,
    "RelativeYearlyRecurrence": Sort.NTH_YEARLY,
}
_OF_SERIES = ("calendar:Recurrence", "calendar:ModifiedOccurrences", "calendar:DeletedOccurrences")
_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_MOST = 500  # occurrences of one series that differ from it


def series_shape(names: Sequence[str]) -> Element:
    """What an appointment says, and when it is repeated."""
    return wire.shape(Kind.APPOINTMENT, names, more=_OF_SERIES)


def occurrence_id(series: str, index: int) -> Element:
    """``index``: from 1."""
    return wire.element("t:OccurrenceItemId", RecurringMasterId=series, InstanceIndex=str(index))


def plan(item: Element) -> Plan:
    """Raises Malformed; Untold for what is not counted out."""
    recurrence = item.find(T + "Recurrence")
    if recurrence is None or len(recurrence) < 2:
        raise Malformed("the server does not say how it is repeated")
    pattern = _pattern(recurrence[0])
    start, ends = recurrence[1].findtext(T + "StartDate"), recurrence[1].findtext(T + "EndDate")
    count = recurrence[1].findtext(T + "NumberOfOccurrences")
    changed = item.findall(f"{T}ModifiedOccurrences/{T}Occurrence")
    removed = item.findall(f"{T}DeletedOccurrences/{T}DeletedOccurrence/{T}Start")
    if len(changed) > _MOST:
        raise Untold(f"more than {_MOST} of its dates are not as the others")
    try:
        return Plan(
            pattern,
            _date(start or ""),
            _date(ends) if ends else None,
            _count(count) if count else None,
            tuple(map(_changed, changed)),
            tuple(at for each in removed if (at := wire.parse_moment(each.text or ""))),
        )
    except properties.Malformed as error:
        raise Malformed(error.rule) from None


def _pattern(element: Element) -> Pattern:
    sort = _PATTERNS.get(wire.local_name(element))
    if sort is None:
        raise Untold("it is repeated in a way that is not known")
    return Pattern(
        sort,
        interval=_count(element.findtext(T + "Interval") or "1"),
        days=tuple((element.findtext(T + "DaysOfWeek") or "").split()),
        week=(element.findtext(T + "DayOfWeekIndex") or "").strip(),
        day=_count(element.findtext(T + "DayOfMonth") or "1"),
        month=(element.findtext(T + "Month") or "").strip(),
        first_day=(element.findtext(T + "FirstDayOfWeek") or "Sunday").strip(),
    )


def _changed(element: Element) -> Changed:
    id = element.find(T + "ItemId")
    original = wire.parse_moment(element.findtext(T + "OriginalStart") or "")
    start = wire.parse_moment(element.findtext(T + "Start") or "")
    if id is None or original is None or start is None:
        raise Malformed("one of its changed dates has no time of its own")
    return Changed(id.get("Id") or "", original, start)


def _date(text: str) -> date:
    """xs:date, with or without an offset: that day."""
    found = _DATE.match(text.strip())
    try:
        return date(*map(int, found.groups())) if found else date.fromisoformat(text)
    except ValueError:
        raise Malformed("it begins or ends on a day that is none") from None


def _count(text: str) -> int:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 7):
        raise Malformed("a number of its rule is none")
    return int(text)
