"""How Exchange says when something is repeated, whatever transports it, and the same as a rule of RFC 5545. Pure.

Exchange has six patterns (MS-OXOCAL 2.2.1.44.1), of which none has two occurrences on one day: the day names them.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

from crmsync.connectors.series.recurrence import Untold


class Sort(Enum):
    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"  # on a day of the month
    NTH_MONTHLY = "NTH_MONTHLY"  # on the second Tuesday, say
    YEARLY = "YEARLY"
    NTH_YEARLY = "NTH_YEARLY"


@dataclass(frozen=True, slots=True)
class Pattern:
    sort: Sort
    interval: int = 1
    days: tuple[str, ...] = ()  # Monday, …; Day, Weekday, WeekendDay
    week: str = ""  # First, Second, Third, Fourth, Last
    day: int = 0  # of the month
    month: str = ""  # January, …
    first_day: str = "Sunday"  # with which weeks begin


@dataclass(frozen=True, slots=True)
class Changed:
    """An occurrence that differs from the series."""

    item: str  # its id
    original: datetime  # when it would begin; in UTC
    start: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a series says of its days."""

    pattern: Pattern
    start: date
    end: date | None = None  # the last day that may be one
    count: int | None = None
    changed: tuple[Changed, ...] = ()
    removed: tuple[datetime, ...] = ()  # when they would have begun; in UTC


_DAYS = {
    "Sunday": "SU",
    "Monday": "MO",
    "Tuesday": "TU",
    "Wednesday": "WE",
    "Thursday": "TH",
    "Friday": "FR",
    "Saturday": "SA",
    "Day": "SU,MO,TU,WE,TH,FR,SA",
    "Weekday": "MO,TU,WE,TH,FR",
    "WeekendDay": "SU,SA",
}
_WEEKS = {"First": 1, "Second": 2, "Third": 3, "Fourth": 4, "Last": -1}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_EVERY_MONTH = 28  # days that each of them has


def rule_of(plan: Plan) -> str:
    """An RRULE without its end, but for the count. Raises Untold for what is in no pattern of Exchange's."""
    pattern = plan.pattern
    count = f";COUNT={plan.count}" if plan.count is not None else ""
    try:
        return f"{_rule(pattern)}{count}"
    except (KeyError, ValueError):
        raise Untold("it is repeated in a way that is not known") from None


def _rule(pattern: Pattern) -> str:
    often = f";INTERVAL={pattern.interval}"
    match pattern.sort:
        case Sort.DAILY:
            return f"FREQ=DAILY{often}"
        case Sort.WEEKLY:
            return f"FREQ=WEEKLY{often};BYDAY={_days(pattern)};WKST={_DAYS[pattern.first_day]}"
        case Sort.MONTHLY:
            return f"FREQ=MONTHLY{often};{_on(pattern.day)}"
        case Sort.NTH_MONTHLY:
            return f"FREQ=MONTHLY{often};BYDAY={_days(pattern)};BYSETPOS={_WEEKS[pattern.week]}"
        case Sort.YEARLY:
            return f"FREQ=YEARLY;BYMONTH={_month(pattern)};{_on(pattern.day)}"
        case Sort.NTH_YEARLY:
            nth = f"BYDAY={_days(pattern)};BYSETPOS={_WEEKS[pattern.week]}"
            return f"FREQ=YEARLY;BYMONTH={_month(pattern)};{nth}"


def _days(pattern: Pattern) -> str:
    found = {day for word in pattern.days for day in _DAYS[word].split(",")}
    if not found:
        raise ValueError("no day at all")
    return ",".join(sorted(found))


def _month(pattern: Pattern) -> int:
    return _MONTHS.index(pattern.month) + 1


def _on(day: int) -> str:
    """In a month that has no such day Exchange takes its last one (MS-OXOCAL 2.2.1.44.1), RFC 5545 none."""
    if not 1 <= day <= 31:
        raise ValueError("no day of a month")
    if day <= _EVERY_MONTH:
        return f"BYMONTHDAY={day}"
    return f"BYMONTHDAY={','.join(map(str, range(_EVERY_MONTH, day + 1)))};BYSETPOS=-1"
