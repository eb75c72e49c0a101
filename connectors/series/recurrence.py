"""When a series happens (RFC 5545 3.8.5): RRULE, RDATE, EXRULE and EXDATE, counted out in its own wall clock.

Everything here is naive: wall clock times of the series' zone, an all-day series at midnight. python-dateutil counts;
what it would count without an end (a rule that nothing ever meets, an INTERVAL of 0) is not given to it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice, takewhile

from dateutil.rrule import rrule, rrulestr

from crmsync.connectors.dav.item import Malformed

MOST = 20_000  # occurrences from the first one on that are counted out: a daily series for 54 years
_FREQUENCIES = frozenset({"DAILY", "WEEKLY", "MONTHLY", "YEARLY"})
_PART = re.compile(r"[A-Z-]+=[A-Z0-9,+-]+")
_KNOWN = frozenset(
    {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYSETPOS", "BYMONTH", "BYMONTHDAY", "BYYEARDAY"}
    | {"BYWEEKNO", "BYDAY", "BYHOUR", "BYMINUTE", "BYSECOND"}
)

_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # days of each month, at most


class Untold(Malformed):
    """Nothing is wrong with the series, but it is not counted out here: it is left as it is."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One RRULE or EXRULE."""

    dates: rrule  # without an end
    count: int | None
    until: datetime | None  # inclusive

    def up_to(self, last: datetime) -> Iterator[datetime]:
        end = min(last, self.until) if self.until else last
        return islice(takewhile(lambda each: each <= end, self.dates.replace(until=end)), self.count)

    def over(self, last: datetime) -> bool:
        """Whether nothing can come after ``last``."""
        if self.until is not None and self.until <= last:
            return True
        return self.count is not None and sum(1 for _ in self.up_to(last)) >= self.count


def rule(text: str, start: datetime, until: datetime | None) -> Rule:
    """``until``: the UNTIL of the text, as wall clock time. Raises Malformed."""
    parts = dict(part.split("=", 1) for part in text.upper().rstrip(";").split(";") if _PART.fullmatch(part))
    if parts.get("FREQ") not in _FREQUENCIES or not parts.keys() <= _KNOWN:
        raise Untold("it repeats more often than daily, or by a calendar of its own (RFC 5545 3.3.10)")
    count = _number(parts.pop("COUNT", None), "COUNT")
    parts.pop("UNTIL", None)
    _number(parts.get("INTERVAL"), "INTERVAL")
    if not _can_happen(parts):
        raise Untold("no day meets its rule, or it is counted in a way that RFC 5545 (3.3.10) does not know")
    try:
        dates = rrulestr(";".join(f"{k}={v}" for k, v in parts.items()), dtstart=start)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError):
        raise Malformed("its RRULE is none (RFC 5545 3.3.10)") from None
    if not isinstance(dates, rrule):
        raise Malformed("its RRULE is none (RFC 5545 3.3.10)")
    return Rule(dates, count, until)


def _can_happen(parts: Mapping[str, str]) -> bool:
    """dateutil looks for the first day that meets a rule until the year 9999, which takes it ten seconds."""
    often = parts["FREQ"]
    most = {"DAILY": 0, "WEEKLY": max(1, parts.get("BYDAY", "").count(",") + 1), "MONTHLY": 31}.get(
        often, 366
    )
    if any(abs(n) > most for n in _numbers(parts.get("BYSETPOS"))):
        return False
    if often != "YEARLY" and {"BYWEEKNO", "BYYEARDAY"} & parts.keys():
        return False
    months, days = _numbers(parts.get("BYMONTH")) or range(1, 13), _numbers(parts.get("BYMONTHDAY")) or (1,)
    return any(1 <= m <= 12 and 1 <= abs(d) <= _LONGEST[m - 1] for m in months for d in days)


def _numbers(text: str | None) -> Sequence[int]:
    """What is none is left to dateutil, to complain about."""
    words = (text or "").split(",")
    return [int(w) for w in words if w.lstrip("+-").isdigit() and len(w) < 6]


def until_of(text: str) -> str:
    """The UNTIL part as it stands, or empty."""
    found = (part[6:] for part in text.upper().split(";") if part.startswith("UNTIL="))
    return next(found, "")


def _number(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0 and len(text) < 10):
        raise Malformed(f"its RRULE has a {name} that is no positive number (RFC 5545 3.3.10)")
    return int(text)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """When a series happens: the wall clock times its rules name, whatever became of each occurrence."""

    start: datetime  # the first instance, whether the rules meet it or not (RFC 5545 3.8.5.3)
    rules: Sequence[Rule] = ()
    dates: frozenset[datetime] = frozenset()  # RDATE
    excluding: Sequence[Rule] = ()  # EXRULE
    excluded: frozenset[datetime] = frozenset()  # EXDATE
    excluded_days: frozenset[date] = frozenset()  # EXDATE that names a day only

    def up_to(self, last: datetime) -> list[datetime]:
        """In order, ``last`` included. Raises Untold where there are too many to count."""
        found = {each for each in (self.start, *self.dates) if each <= last}
        for each in self.rules:
            found.update(islice(each.up_to(last), MOST + 1))
        if len(found) > MOST:
            raise Untold(f"it has more than {MOST} occurrences until then")
        without = {day for each in self.excluding for day in islice(each.up_to(last), MOST)}
        return sorted(d for d in found - without - self.excluded if d.date() not in self.excluded_days)

    def then(self, last: datetime) -> datetime | None:
        """When to look again where nothing was found up to ``last``; None: nothing comes any more."""
        ended = all(each.over(last) for each in self.rules)
        return None if ended and all(each <= last for each in self.dates) else last
