"""VTIMEZONE (RFC 5545 3.6.5): evaluated for the object that holds it, and written for a new object."""

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from crmsync.connectors.dav.contentline import Line
from crmsync.connectors.dav.document import Component
from crmsync.connectors.dav.values import format_moment, plain_moment

_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)(?::?(\d\d))?", re.ASCII)
_NTH_DAY = re.compile(r"([+-]?\d)?(MO|TU|WE|TH|FR|SA|SU)", re.ASCII)
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_MAX_RDATES = 1000


@dataclass(frozen=True, slots=True)
class _Rule:
    """The yearly rules that zones really have: n-th weekday, or a weekday in a range of days, of one month."""

    month: int
    weekday: int | None = None  # 0: Monday
    nth: int = 0  # 1 the first, -1 the last; 0: the first within ``days``
    days: tuple[int, ...] = ()
    until: datetime | None = None  # naive; UTC or local, a day's difference does not matter
    count: int | None = None

    def day(self, year: int) -> date | None:
        length = monthrange(year, self.month)[1]
        days = self.days or range(1, length + 1)
        fitting = [
            day
            for day in (each if each > 0 else length + 1 + each for each in days)
            if 1 <= day <= length and self.weekday in (None, date(year, self.month, day).weekday())
        ]
        at = self.nth - 1 if self.nth > 0 else self.nth
        return date(year, self.month, sorted(fitting)[at]) if -len(fitting) <= at < len(fitting) else None


@dataclass(frozen=True, slots=True)
class _Observance:
    """STANDARD or DAYLIGHT: the offset that holds from each of its onsets."""

    start: datetime  # naive, in local time before the change
    before: timedelta
    after: timedelta
    rule: _Rule | None = None
    more: tuple[datetime, ...] = ()  # RDATE

    def onsets(self, year: int) -> Iterator[datetime]:
        """Local times of the changes in ``year``."""
        if self.start.year == year:
            yield self.start
        for moment in self.more:
            if moment.year == year:
                yield moment
        rule = self.rule
        if rule and year >= self.start.year and (rule.count is None or year < self.start.year + rule.count):
            day = rule.day(year)
            onset = datetime.combine(day, self.start.time()) if day else None
            if (
                onset
                and onset > self.start
                and (rule.until is None or onset <= rule.until + timedelta(days=1))
            ):
                yield onset

    def last_onset(self, moment: datetime) -> datetime | None:
        """The last change at or before ``moment``; both naive, in UTC."""
        years = {moment.year + 1, moment.year, moment.year - 1, moment.year - 2, self.start.year}
        years.update(each.year for each in self.more)
        if self.rule:
            until = self.rule.until.year if self.rule.until else moment.year
            last = until if self.rule.count is None else min(until, self.start.year + self.rule.count - 1)
            years.update((min(last, moment.year), min(last, moment.year) - 1))
        found = (onset for year in years if 1 < year < 9999 for onset in self.onsets(year))
        return max((utc for onset in found if (utc := onset - self.before) <= moment), default=None)


class OwnZone(tzinfo):
    """A zone that only one object knows. Never kept by its TZID."""

    def __init__(self, observances: tuple[_Observance, ...]) -> None:
        self._observances = observances
        self._offsets = sorted({offset for each in observances for offset in (each.before, each.after)})

    def __eq__(self, other: object) -> bool:
        """By the rules, wherever they stand."""
        return isinstance(other, OwnZone) and self._observances == other._observances

    def __hash__(self) -> int:
        return hash(self._observances)

    @classmethod
    def of(cls, definition: Component) -> "OwnZone | None":
        """None when nothing in the VTIMEZONE makes sense."""
        inner = (each for each in definition.components if each.name in ("STANDARD", "DAYLIGHT"))
        observances = tuple(found for each in inner if (found := _observance(each)))
        return cls(observances) if observances else None

    def _at(self, moment: datetime) -> timedelta:
        """The offset in force at ``moment``, naive and in UTC."""
        onsets = [(onset, each.after) for each in self._observances if (onset := each.last_onset(moment))]
        if onsets:
            return max(onsets)[1]
        return min(self._observances, key=lambda each: each.start).before  # earlier than all that is defined

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        if moment is None:
            return None
        local = moment.replace(tzinfo=None, fold=0)
        fitting = [offset for offset in self._offsets if self._at(local - offset) == offset]
        if fitting:  # two where the clock was set back: the larger offset is the earlier moment
            return fitting[0] if moment.fold else fitting[-1]
        return self._at(local - self._offsets[0 if moment.fold else -1])  # a time that was skipped

    def fromutc(self, moment: datetime) -> datetime:
        offset = self._at(moment.replace(tzinfo=None))
        local = moment + offset
        return local if self.utcoffset(local) == offset else local.replace(fold=1)

    def dst(self, moment: datetime | None) -> timedelta | None:
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        return None


def _observance(component: Component) -> _Observance | None:
    start = component.first("DTSTART")
    moment = plain_moment(start.value.strip()) if start else None
    before = _offset(component.first("TZOFFSETFROM"))
    after = _offset(component.first("TZOFFSETTO"))
    if moment is None or after is None:
        return None
    rule = component.first("RRULE")
    words = (word for each in component.all("RDATE") for word in each.value.split(",")[:_MAX_RDATES])
    more = tuple(found[0] for word in words if (found := plain_moment(word.strip())))[:_MAX_RDATES]
    return _Observance(
        moment[0], after if before is None else before, after, _rule(rule, moment[0]) if rule else None, more
    )


def _offset(line: Line | None) -> timedelta | None:
    match = _OFFSET.fullmatch(line.value.strip()) if line else None
    if not match or int(match[2]) > 23 or int(match[3]) > 59:
        return None
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]), seconds=int(match[4] or 0))
    return -offset if match[1] == "-" else offset


def _rule(line: Line, start: datetime) -> _Rule | None:
    """None for what no real zone has (a rule that is not yearly): the observance then has the one onset it names."""
    parts = dict(part.partition("=")[::2] for part in line.value.upper().strip().split(";"))
    if parts.get("FREQ") != "YEARLY" or parts.get("INTERVAL", "1") != "1":
        return None
    month = _number(parts.get("BYMONTH", str(start.month)), 1, 12)
    by_day = _NTH_DAY.fullmatch(parts["BYDAY"]) if "BYDAY" in parts else None
    if month is None or ("BYDAY" in parts and by_day is None):
        return None
    days = tuple(day for word in parts.get("BYMONTHDAY", "").split(",") if (day := _number(word, -31, 31)))
    until = plain_moment(parts.get("UNTIL", "")) or plain_moment(parts.get("UNTIL", "") + "T235959")
    return _Rule(
        month=month,
        weekday=_WEEKDAYS.index(by_day[2]) if by_day else None,
        nth=int(by_day[1] or 0) if by_day else 0,
        days=days or (() if by_day else (start.day,)),
        until=until[0] if until else None,
        count=_number(parts.get("COUNT", ""), 1, 9999),
    )


def _number(word: str, least: int, most: int) -> int | None:
    if not re.fullmatch(r"[+-]?\d{1,4}", word, re.ASCII):
        return None
    return int(word) if least <= int(word) <= most else None


# ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Change:
    local: datetime  # before the change, naive
    before: timedelta
    after: timedelta
    daylight: bool
    name: str

    def rule(self) -> _Rule:
        """The n-th (or last) weekday of the month that this change fell on."""
        nth = (self.local.day - 1) // 7 + 1
        last = self.local.day + 7 > monthrange(self.local.year, self.local.month)[1]
        return _Rule(self.local.month, self.local.weekday(), -1 if last else nth)


def definition(tzid: str, rules: tzinfo, year: int, eol: str = "\r\n") -> str:
    """A VTIMEZONE that holds for events of ``year``: from the year before on, by yearly rules where the zone keeps to
    them for five years, else change by change."""
    first = max(year - 1, 2)
    groups = [_changes(rules, each) for each in range(first, min(first + 5, 9998))]
    lines = [f"BEGIN:VTIMEZONE{eol}TZID:{tzid}"]
    yearly = groups and groups[0] and all(_same_rules(groups[0], later) for later in groups[1:])
    changes = groups[0] if yearly else [change for group in groups[:3] for change in group]
    if not yearly:
        start = datetime(first, 1, 1, tzinfo=UTC).astimezone(rules)
        lines += _observed(
            _Change(start.replace(tzinfo=None), *(start.utcoffset() or timedelta(0),) * 2, False, "")
        )
    for change in changes:
        lines += _observed(change, change.rule() if yearly else None)
    return eol.join([*lines, f"END:VTIMEZONE{eol}"])


def _same_rules(first: list[_Change], later: list[_Change]) -> bool:
    return len(first) == len(later) and all(
        one.rule().day(two.local.year) == two.local.date()
        and (one.local.time(), one.before, one.after) == (two.local.time(), two.before, two.after)
        for one, two in zip(first, later, strict=True)
    )


def _observed(change: _Change, rule: _Rule | None = None) -> list[str]:
    kind = "DAYLIGHT" if change.daylight else "STANDARD"
    yearly = (
        f"RRULE:FREQ=YEARLY;BYMONTH={rule.month};BYDAY={rule.nth}{_WEEKDAYS[rule.weekday or 0]}"
        if rule
        else ""
    )
    lines = [
        f"BEGIN:{kind}",
        f"DTSTART:{format_moment(change.local)}",
        yearly,
        f"TZNAME:{change.name}" if change.name else "",
        f"TZOFFSETFROM:{_signed(change.before)}",
        f"TZOFFSETTO:{_signed(change.after)}",
        f"END:{kind}",
    ]
    return [line for line in lines if line]


def _signed(offset: timedelta) -> str:
    seconds = int(offset.total_seconds())
    hours, rest = divmod(abs(seconds), 3600)
    text = f"{'-' if seconds < 0 else '+'}{hours:02}{rest // 60:02}"
    return text + (f"{rest % 60:02}" if rest % 60 else "")


def _changes(rules: tzinfo, year: int) -> list[_Change]:
    """The offset changes of a year, found by looking once a week and then halving."""
    found = []
    at = datetime(year, 1, 1, tzinfo=UTC)
    while at.year == year:
        following = min(at + timedelta(days=7), datetime(year + 1, 1, 1, tzinfo=UTC))
        if _offset_at(rules, at) != _offset_at(rules, following):
            found.append(_change(rules, at, following))
        at = following
    return found


def _change(rules: tzinfo, low: datetime, high: datetime) -> _Change:
    before = _offset_at(rules, low)
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        low, high = (middle, high) if _offset_at(rules, middle) == before else (low, middle)
    local = high.astimezone(rules)
    name = local.tzname() or ""
    return _Change(
        local=high.replace(tzinfo=None) + before,
        before=before,
        after=_offset_at(rules, high),
        daylight=bool(local.dst()),
        name=name if name.isalpha() else "",
    )


def _offset_at(rules: tzinfo, moment: datetime) -> timedelta:
    return moment.astimezone(rules).utcoffset() or timedelta(0)
