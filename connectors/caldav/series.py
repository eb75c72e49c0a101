"""A series as its occurrences: each with columns, a version and a name of its own, out of one calendar object.

A series is a master with the rules, and a component for each occurrence that differs from it (RFC 5545 3.8.4.4). An
occurrence is named by the local day that its rules put it on, and by the time as well where that is not the master's:
``20261201``, ``20261201T150000``. So it keeps its name when it is moved, and when the whole series is held at another
time of the day.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cached_property
from hashlib import blake2b

from crmsync.connectors.caldav.clock import IN_UTC, Clock, Day, Style, Time, is_day
from crmsync.connectors.caldav.mapping import Part, check, uid_of
from crmsync.connectors.caldav.reminder import read_reminder
from crmsync.connectors.caldav.when import When, read_when
from crmsync.connectors.contract import Columns, Kind
from crmsync.connectors.dav.contentline import Component, Document, Line, line, parameter, parse, without
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.dav.patch import categories
from crmsync.connectors.dav.values import ABSENT, format_moment, plain_moment
from crmsync.connectors.series.recurrence import Recurrence, Untold, rule, until_of

# Lines that say when, or when somebody wrote: the columns have them, or nobody needs them.
_NO_CONTENT = frozenset(
    {"DTSTART", "DTEND", "DURATION", "RECURRENCE-ID", "SEQUENCE", "DTSTAMP", "LAST-MODIFIED", "CREATED"}
)
_REACH = timedelta(days=60)  # how far ahead the next occurrence is looked for
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Occurrence:
    name: str
    slot: datetime  # wall clock time that the rules put it on; midnight where it is all-day
    columns: Columns
    tags: frozenset[str]
    version: str  # a hash of what it says: it stays when others of the series change
    own: Component | None  # what stands in the object for it alone

    @property
    def private(self) -> bool:
        return self.columns.get("sensitivity") in ("private", "confidential")


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
        self.changed = {self._slot(each): each for each in events if each is not self.master}
        if len(masters) > 1 or len(self.changed) < len(events) - len(masters):
            raise Untold("two of its parts are for the same occurrence (RFC 5545 3.8.4.4)")
        self._limit, self._all = datetime.min, list[datetime]()  # noqa: DTZ901
        self.ends: dict[datetime, Day] = {}  # of those that have a length of their own
        self.recurrence = self._recurrence(self.master) if self.master else None

    # ── Which there are ──────────────────────────────────────────────────────────────────────────────────────

    def between(self, first: datetime, last: datetime) -> Mapping[str, datetime]:
        """Names and slots of the occurrences whose slot lies between two moments (UTC), or that were moved there."""
        low, high = self._wall(first), self._wall(last)
        slots = set(self._counted(low, high))
        for slot, own in self.changed.items():
            start = self._wall_of(read_when(own, self.clock).start.value)
            if (low <= slot <= high or low <= start <= high) and not self._excluded(slot):
                slots.add(slot)
        return {self.name(slot): slot for slot in sorted(slots - self._cancelled)}

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
        if slot in self._cancelled or self._excluded(slot):
            return None
        there = slot in self.changed or self._counted(slot, slot)
        return slot if there else None

    @property
    def first(self) -> str:
        """Name of the occurrence that the series begins with; empty: that one was taken out."""
        name = self.name(self.begins)
        return name if self.slot(name) is not None else ""

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
            return Occurrence(self.name(slot), slot, columns, tags, _version(columns, _content(own)), own)
        common, when, tags = self._common
        start = self.day(slot)
        end = self.end(start)
        columns = {**common, **When(Time(start, self.style), end, when.end_style).columns}
        if (reminder := read_reminder(self._master, self.clock, start, end)) is not ABSENT:
            columns["reminder"] = reminder
        return Occurrence(self.name(slot), slot, columns, tags, _version(columns, ()), None)

    def end(self, start: Day) -> Day:
        """Of an occurrence that begins then: DTEND gives its exact length, DURATION a nominal one (3.8.5.3)."""
        _, when, _ = self._common
        if (known := self.ends.get(self._wall_of(start))) is not None:
            return known
        lasting = self._master.first("DURATION")
        if lasting and lasting.value.strip() and not self._master.first("DTEND"):
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

    @cached_property
    def _common(self) -> tuple[Columns, When, frozenset[str]]:
        part = Part(self.document, self._master, Kind.APPOINTMENT, self.clock)
        columns = {n: v for n, v in part.columns().items() if n != "reminder"}
        return columns, read_when(self._master, self.clock), frozenset(categories(self._master))

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
        if len(found) != 1 or found[0].parameter("RANGE"):
            raise Untold("a part of it is for this and all later occurrences (RFC 5545 3.2.13)")
        return self.local(found[0])

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


def _content(own: Component) -> tuple[str, ...]:
    """What a component holds beside its times; in any order, for there are servers that keep none."""
    lines = [each.raw for each in own.lines if each.name not in _NO_CONTENT]
    return tuple(sorted(lines + [each.raw for inner in own.components for each in inner.lines]))


def _version(columns: Columns, more: tuple[str, ...]) -> str:
    return blake2b(repr((sorted(columns.items()), more)).encode(), digest_size=12).hexdigest()
