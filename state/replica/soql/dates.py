"""Date literals: the half-open stretch of days `[first, end)` that each of them stands for.

Weeks begin on Sunday, as in Salesforce's en_US locale. A fiscal year is a calendar year unless its first month
says otherwise, and is named after the year in which it begins [U].
"""

import datetime
from collections.abc import Callable
from typing import TypeAlias

Days: TypeAlias = tuple[datetime.date, datetime.date]
Unit: TypeAlias = Callable[[datetime.date, int], Days]  # the unit that lies `steps` after the one of `today`


def _day(today: datetime.date, steps: int) -> Days:
    first = today + datetime.timedelta(days=steps)
    return first, first + datetime.timedelta(days=1)


def _week(today: datetime.date, steps: int) -> Days:
    sunday = today - datetime.timedelta(days=today.isoweekday() % 7)
    first = sunday + datetime.timedelta(weeks=steps)
    return first, first + datetime.timedelta(weeks=1)


def _months(size: int, first_month: int = 1) -> Unit:
    """Stretches of `size` months, of which one begins in `first_month`."""

    def unit(today: datetime.date, steps: int) -> Days:
        month = today.year * 12 + today.month - 1
        begin = month - (month - (first_month - 1)) % size + steps * size
        return _first_of(begin), _first_of(begin + size)

    return unit


def _first_of(month: int) -> datetime.date:
    """`month` counts from year 0; raises OverflowError beyond the calendar."""
    year, index = divmod(month, 12)
    if not datetime.MINYEAR <= year <= datetime.MAXYEAR:
        raise OverflowError(f"the year {year} is out of range")
    return datetime.date(year, index + 1, 1)


def _units(fiscal_month: int) -> dict[str, Unit]:
    return {
        "DAY": _day,
        "WEEK": _week,
        "MONTH": _months(1),
        "QUARTER": _months(3),
        "YEAR": _months(12),
        "FISCAL_QUARTER": _months(3, fiscal_month),
        "FISCAL_YEAR": _months(12, fiscal_month),
    }


_UNITS = tuple(_units(1))
PERIODS = frozenset(
    {"YESTERDAY", "TODAY", "TOMORROW", "LAST_90_DAYS", "NEXT_90_DAYS"}
    | {f"{which}_{unit}" for which in ("LAST", "THIS", "NEXT") for unit in _UNITS if unit != "DAY"}
)
COUNTED = frozenset(
    {f"{which}_N_{unit}S" for which in ("LAST", "NEXT") for unit in _UNITS}
    | {f"N_{unit}S_AGO" for unit in _UNITS}
)


def days(name: str, count: int | None, today: datetime.date, fiscal_month: int = 1) -> Days:
    """The days of a literal in PERIODS, or with a count of one in COUNTED; OverflowError beyond the calendar.

    LAST_N_DAYS includes today; LAST_N_WEEKS and the longer ones end before the current week, month, …
    """
    units = _units(fiscal_month)
    fixed = {"YESTERDAY": -1, "TODAY": 0, "TOMORROW": 1}
    if name in fixed:
        return _day(today, fixed[name])
    if name in ("LAST_90_DAYS", "NEXT_90_DAYS"):
        return _counted(f"{name[:4]}_N_DAYS", 90, today, units)
    if count is not None:
        return _counted(name, count, today, units)
    which, unit = name.split("_", 1)
    return units[unit](today, {"LAST": -1, "THIS": 0, "NEXT": 1}[which])


def _counted(name: str, count: int, today: datetime.date, units: dict[str, Unit]) -> Days:
    if name.endswith("_AGO"):
        return units[name.removeprefix("N_").removesuffix("S_AGO")](today, -count)
    which, unit = name[:4], units[name[7:-1]]
    this_begin, this_end = unit(today, 0)
    if which == "NEXT":
        return this_end, unit(today, count)[1]
    return unit(today, -count)[0], this_end if unit is _day else this_begin
