"""A series as its occurrences: each with columns, a version and a name of its own, out of one calendar object.

A series is a master with the rules, and a component for each occurrence that differs from it (RFC 5545 3.8.4.4). An
occurrence is named by the local day that its rules put it on, and by the time as well where that is not the master's:
``20261201``, ``20261201T150000``. So it keeps its name when it is moved, and when the whole series is held at another
time of the day.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cached_property

from crmsync.connectors.caldav.clock import IN_UTC, Clock, Day, Style, Time, is_day
from crmsync.connectors.caldav.mapping import Part, check, uid_of
from crmsync.connectors.caldav.occurrence import Occurrence, content, version_of
from crmsync.connectors.caldav.ranges import Range, begins_range, governing
from crmsync.connectors.caldav.reminder import read_reminder
from crmsync.connectors.caldav.when import When, read_when
from crmsync.connectors.contract import Columns, Kind
from crmsync.connectors.dav.contentline import Line, line, parameter, without
from crmsync.connectors.dav.document import Component, Document, parse
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.dav.patch import categories
from crmsync.connectors.dav.values import ABSENT, format_moment, plain_moment
from crmsync.connectors.series.recurrence import Recurrence, Untold, rule, until_of

_REACH = timedelta(days=60)  # how far ahead the next occurrence is looked for
_FAR = timedelta(days=366 * 5)
_INSTANT = timedelta(microseconds=1)


class Series:
    """Read once, never changed; writing is ``exceptions.py``."""

    def __init__(self, text: str, default_zone: tzinfo = UTC) -> None:
        """Raises Malformed; Untold for a series that can only be left as it is."""
        self.text = text
        self.document: Document = parse(text)
        self.events = events = [
            each
            for root in self.document.components
            if root.name == "VCALENDAR"
            for each in root.components
            if each.name == "VEVENT"
        ]
        if not events or events[0].outer is None:
            raise Untold("it holds no event")
        for each in events:
            check(each)
        self.clock = Clock(events[0].outer, default_zone)
        masters = [each for each in events if not each.all("RECURRENCE-ID")]
        self.master = masters[0] if masters else None
        self.uid = uid_of(events[0])
        self.style, self.begins = self._beginning(self.master or events[0])
        later = [each for each in events if self.master is not None and begins_range(each)]
        others = [each for each in events if each is not self.master and each not in later]
        self.changed = {self._slot(each): each for each in others}
        self.ranges = sorted(map(self._range, later), key=lambda each: each.slot)
        twice = len(self.changed) < len(others) or len({each.slot for each in self.ranges}) < len(later)
        if len(masters) > 1 or twice:
            raise Untold("two of its parts are for the same occurrence (RFC 5545 3.8.4.4)")
        self._sources: dict[int, tuple[Columns, When, frozenset[str]]] = {}
        self._limit, self._all = datetime.min, list[datetime]()  # noqa: DTZ901
        self.ends: dict[datetime, Day] = {}  # of those that have a length of their own
        self.recurrence = self._recurrence(self.master) if self.master else None

    # ── Which there are ──────────────────────────────────────────────────────────────────────────────────────

    def between(self, first: datetime, last: datetime) -> Mapping[str, datetime]:
        """Names and slots of the occurrences whose slot lies between two moments (UTC), or that were moved there."""
        low, high = self._wall(first), self._wall(last)
        slots = set(self._counted(low, high)) | self._shifted_into(low, high)
        for slot, own in self.changed.items():
            start = self._wall_of(read_when(own, self.clock).start.value)
            if (low <= slot <= high or low <= start <= high) and not self._excluded(slot):
                slots.add(slot)
        return {self.name(slot): slot for slot in sorted(slots) if not self._is_off(slot)}

    def _shifted_into(self, low: datetime, high: datetime) -> set[datetime]:
        """Those that a part for this and all later ones has moved there."""
        found: set[datetime] = set()
        for each in self.ranges:
            named = self._counted(low - each.shift, high - each.shift)
            found.update(s for s in named if s not in self.changed and self.range_of(s) is each)
        return found

    def range_of(self, slot: datetime) -> Range | None:
        return governing(self.ranges, slot)

    def _is_off(self, slot: datetime) -> bool:
        if slot in self.changed or slot in self._cancelled:
            return slot in self._cancelled
        found = self.range_of(slot)
        return found is not None and _token(found.component, "STATUS") == "CANCELLED"

    def next_after(self, last: datetime) -> datetime | None:
        """When an occurrence comes that is not before ``last``, at the latest; None: none will."""
        if self.recurrence is None:
            return None
        wall = self._wall(last)
        known = self._counted(wall + _INSTANT, wall + _REACH)
        found = known[0] if known else self.recurrence.then(wall + _REACH)
        return self.clock.moment(found, self.style) if found else None

    def _counted(self, low: datetime, high: datetime) -> list[datetime]:
        """What the rules name, both ends included. Counting begins with the first one each time, so that it is done
        once, and some way ahead."""
        if self.recurrence is None:
            return []
        if high > self._limit:
            self._limit = high + _REACH
            self._all = self.recurrence.up_to(self._limit)
        return self._all[bisect_left(self._all, low) : bisect_right(self._all, high)]

    def name(self, slot: datetime) -> str:
        return f"{slot:%Y%m%d}" if slot.time() == self.begins.time() else f"{slot:%Y%m%dT%H%M%S}"

    def slot(self, name: str) -> datetime | None:
        """Of an occurrence that is there."""
        day, _, time = name.partition("T")
        try:
            slot = datetime.strptime(day + (time or f"{self.begins:%H%M%S}"), "%Y%m%d%H%M%S")  # noqa: DTZ007
        except ValueError:
            return None
        if self._is_off(slot) or self._excluded(slot):
            return None
        there = slot in self.changed or self._counted(slot, slot)
        return slot if there else None

    @property
    def first(self) -> str:
        """Name of the occurrence that the series begins with; empty: that one was taken out."""
        name = self.name(self.begins)
        return name if self.slot(name) is not None else ""

    @property
    def subject(self) -> object:
        """Of the series as such."""
        return self._said(self.master)[0].get("subject") if self.master is not None else None

    def before(self, name: str, moment: datetime) -> bool:
        """Whether the day that ``name`` speaks of is over at that moment."""
        return name[:8] < f"{self._wall(moment):%Y%m%d}"

    @cached_property
    def _cancelled(self) -> frozenset[datetime]:
        """Said to be off by their own component: the same as an EXDATE. (Not where the whole series is off.)"""
        if self.master is not None and _token(self.master, "STATUS") == "CANCELLED":
            return frozenset()
        return frozenset(s for s, own in self.changed.items() if _token(own, "STATUS") == "CANCELLED")

    def _excluded(self, slot: datetime) -> bool:
        rules = self.recurrence
        return rules is not None and (slot in rules.excluded or slot.date() in rules.excluded_days)

    # ── What each says ───────────────────────────────────────────────────────────────────────────────────────

    def occurrence(self, slot: datetime) -> Occurrence:
        own = self.changed.get(slot)
        if own is not None:
            columns = Part(self.document, own, Kind.APPOINTMENT, self.clock).columns()
            tags = frozenset(categories(own))
            return Occurrence(self.name(slot), slot, columns, tags, version_of(columns, content(own)), own)
        source = self.source(slot)
        common, when, tags = self._said(source)
        start, end = self.start(slot), self.end(slot)
        columns = {**common, **When(Time(start, when.start.style), end, when.end_style).columns}
        if (reminder := read_reminder(source, self.clock, start, end)) is not ABSENT:
            columns["reminder"] = reminder
        return Occurrence(self.name(slot), slot, columns, tags, version_of(columns, ()), None)

    def source(self, slot: datetime) -> Component:
        """Where it stands what an occurrence without a part of its own is."""
        found = self.range_of(slot)
        return found.component if found is not None else self._master

    def start(self, slot: datetime) -> Day:
        found = self.range_of(slot)
        return self.day(slot + found.shift if found is not None else slot)

    def end(self, slot: datetime) -> Day:
        """DTEND gives the exact length of an occurrence, DURATION a nominal one (3.8.5.3)."""
        source, start = self.source(slot), self.start(slot)
        _, when, _ = self._said(source)
        if source is self.master and (known := self.ends.get(slot)) is not None:
            return known
        lasting = source.first("DURATION")
        if lasting and lasting.value.strip() and not source.first("DTEND"):
            return self.clock.plus(Time(start, self.style), lasting)
        first, last = when.start.value, when.end
        if isinstance(first, datetime) and isinstance(last, datetime):
            return start + (last - first)
        return start + timedelta(days=last.toordinal() - first.toordinal())

    def written(self, slot: datetime) -> tuple[str, str]:
        """Parameters and value of a property that names this slot (EXDATE, RECURRENCE-ID)."""
        if self._all_day:
            return self.clock.written(Time(slot.date()))
        if self.style == IN_UTC:
            return "", format_moment(slot.replace(tzinfo=UTC))
        return (parameter("TZID", self.style.tzid) if self.style.tzid else ""), format_moment(slot)

    def following(self, slot: datetime) -> datetime | None:
        """The slot after this one that no part stands for."""
        later = slot + _INSTANT
        found = self._counted(later, later + _REACH)
        if not found and self.recurrence is not None and self.recurrence.then(later + _REACH) is not None:
            found = self._counted(later, later + _FAR)
        return next((each for each in found if each not in self.changed), None)

    def _said(self, source: Component) -> tuple[Columns, When, frozenset[str]]:
        """What is the same for all occurrences that have it from there."""
        known = self._sources.get(id(source))
        if known is None:
            part = Part(self.document, source, Kind.APPOINTMENT, self.clock)
            columns = {n: v for n, v in part.columns().items() if n != "reminder"}
            known = columns, read_when(source, self.clock), frozenset(categories(source))
            self._sources[id(source)] = known
        return known

    @property
    def _master(self) -> Component:
        assert self.master is not None  # what has no component of its own comes from its rules
        return self.master

    def day(self, slot: datetime) -> Day:
        return slot.date() if self._all_day else self.clock.moment(slot, self.style)

    # ── Reading the rules ────────────────────────────────────────────────────────────────────────────────────

    def _beginning(self, event: Component) -> tuple[Style, datetime]:
        start = event.first("RECURRENCE-ID") if self.master is None else event.first("DTSTART")
        if start is None:
            raise Malformed("it has no DTSTART (RFC 5545 3.6.1)")
        time = self.clock.read(start)
        self._all_day = is_day(time.value)
        return time.style, _as_written(start) or self.clock.local(time)

    def _slot(self, own: Component) -> datetime:
        found = own.all("RECURRENCE-ID")
        ranged = len(found) == 1 and bool(found[0].parameter("RANGE"))
        if len(found) != 1 or (ranged and self.master is not None and not begins_range(own)):
            raise Untold("a part of it is for several occurrences that it does not name (RFC 5545 3.2.13)")
        return self.local(found[0])

    def _range(self, own: Component) -> Range:
        slot, start = self._slot(own), read_when(own, self.clock).start.value
        if is_day(start) != self._all_day:
            raise Untold("from one occurrence on, its dates have times, or none any more (RFC 5545 3.2.13)")
        return Range(slot, own, self._wall_of(start) - slot)

    def local(self, named: Line) -> datetime:
        """The slot that a property names, in the wall clock of the series. A day alone means the occurrence of that
        day. What is in the series' own zone stands as it is written: the clock may skip that very time."""
        time = self.clock.read(named)
        if is_day(time.value):
            return datetime.combine(time.value, self.begins.time())
        same = time.style.floating or time.style.tzid == self.style.tzid != ""
        local = (_as_written(named) if same else None) or self._wall_of(time.value)
        return datetime.combine(local, datetime.min.time()) if self._all_day else local

    def _recurrence(self, master: Component) -> Recurrence:
        dates, excluded = list(self._times(master, "RDATE")), list(self._times(master, "EXDATE"))
        rules, excluding = (
            [rule(each.value.strip(), self.begins, self._until(each)) for each in master.all(name)]
            for name in ("RRULE", "EXRULE")
        )
        named = () if self._all_day else (self.clock.read(each).value for each in excluded)
        days = (day for day in named if is_day(day))
        return Recurrence(
            self.begins,
            tuple(rules),
            frozenset(map(self.local, dates)),
            tuple(excluding),
            frozenset(map(self.local, excluded)),
            frozenset(d for d in days if isinstance(d, date)),
        )

    def _times(self, master: Component, name: str) -> Iterator[Line]:
        for each in master.all(name):
            for value in filter(None, map(str.strip, each.value.split(","))):
                begins, _, ends = value.partition("/")
                found = _line(each, begins)
                if ends and not self._all_day:  # a period (3.8.5.2): that one has a length of its own
                    self.ends[self.local(found)] = self._period_end(self.clock.read(found), _line(each, ends))
                yield found

    def _period_end(self, begins: Time, ends: Line) -> Day:
        if ends.value[:1].upper() in ("P", "+", "-"):
            return self.clock.plus(begins, ends)
        end = self.clock.read(ends).value
        if is_day(end) or is_day(begins.value):
            raise Malformed(f"a period of its {ends.name} has no time of the day (RFC 5545 3.3.9)")
        return max(end, begins.value)

    def _until(self, each: Line) -> datetime | None:
        """A day ends with it; a moment in UTC is one of the wall clock."""
        text = until_of(each.value.strip())
        if not text:
            return None
        time = self.clock.read(line("DTSTART", text))
        if is_day(time.value):
            return datetime.combine(time.value, datetime.max.time())
        return self.clock.local(time if time.style.floating else Time(time.value, self.style))

    def _wall(self, moment: datetime) -> datetime:
        return self.clock.local(Time(moment, self.style))

    def _wall_of(self, value: Day) -> datetime:
        return (
            self._wall(value) if isinstance(value, datetime) else datetime.combine(value, datetime.min.time())
        )


def _line(list_: Line, value: str) -> Line:
    """One value of a line that lists several."""
    head = without(list_.head, "VALUE") if "/" in list_.value else list_.head
    return line(list_.name, value, head=head)


def _as_written(named: Line) -> datetime | None:
    found = plain_moment(named.value.strip())
    return found[0] if found and named.parameter("VALUE").upper() != "DATE" else None


def _token(component: Component, name: str) -> str:
    found = component.first(name)
    return found.value.strip().upper() if found else ""
