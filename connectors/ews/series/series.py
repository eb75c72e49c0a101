"""A series of Exchange as its occurrences: each with columns, a version and a name of its own. Pure, whatever
transports what it is made of."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from hashlib import blake2b

from crmsync.connectors.contract import Columns, Kind
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.dav.zones import to_local, to_utc
from crmsync.connectors.ews import mapping, properties
from crmsync.connectors.ews.properties import Properties, moment, text
from crmsync.connectors.ews.series.pattern import Changed, Plan, rule_of
from crmsync.connectors.ews.zones import known, midnight, nearest_day
from crmsync.connectors.series.recurrence import Recurrence, Untold, rule

_REACH = timedelta(days=60)  # how far ahead the next occurrence is looked for
_INSTANT = timedelta(microseconds=1)
_FIRST = timedelta(days=5 * 366)  # within which a series has its first occurrence, if ever


@dataclass(frozen=True, slots=True)
class Occurrence:
    columns: Columns
    tags: frozenset[str]
    version: str
    private: bool


class Series:
    """``standing``: the properties of the series itself, ``own``: of its changed occurrences, by item."""

    def __init__(
        self, plan: Plan, standing: Properties, own: Mapping[str, Properties], zone: mapping.Zone
    ) -> None:
        """Raises Malformed; Untold for a series that can only be left as it is."""
        self._standing, self._own, self._zone = standing, own, zone
        self._all_day = bool(standing.get("IsAllDayEvent"))
        self._rules = self._zone_of()
        begins, ends = self._wall_of("Start"), self._wall_of("End")
        self._time, self._length = begins.time(), ends - begins
        start = datetime.combine(plan.start, self._time)
        until = datetime.combine(plan.end, time.max) if plan.end else None
        self._rule = rule(rule_of(plan), start, until)
        first = next(iter(self._rule.up_to(start + _FIRST)), None)
        if first is None:
            raise Untold("no day meets its rule")
        self.begins = first
        self.changed: dict[datetime, Changed] = {self._slot_of(c.original): c for c in plan.changed}
        self._removed = frozenset(self._slot_of(each).date() for each in plan.removed) - {
            slot.date() for slot in self.changed
        }
        self._recurrence = Recurrence(self.begins, (self._rule,), excluded_days=self._removed)
        self._limit, self._all = datetime.min, list[datetime]()  # noqa: DTZ901
        self._differing = {slot: self._told(own[c.item]) for slot, c in self.changed.items()}

    # ── Which there are ──────────────────────────────────────────────────────────────────────────────────────

    def between(self, first: datetime, last: datetime) -> Mapping[str, datetime]:
        low, high = self._wall(first), self._wall(last)
        slots = set(self._counted(low, high))
        for slot, changed in self.changed.items():
            if low <= slot <= high or low <= self._wall(changed.start) <= high:
                slots.add(slot)
        return {self.name(slot): slot for slot in sorted(slots)}

    def next_after(self, last: datetime) -> datetime | None:
        wall = self._wall(last)
        found = self._counted(wall + _INSTANT, wall + _REACH)
        then = found[0] if found else self._recurrence.then(wall + _REACH)
        return to_utc(then, self._rules) if then else None

    def _counted(self, low: datetime, high: datetime) -> list[datetime]:
        """What the rules name, both ends included; counted once, and some way ahead."""
        if high > self._limit:
            self._limit = high + _REACH
            self._all = self._recurrence.up_to(self._limit)
        return self._all[bisect_left(self._all, low) : bisect_right(self._all, high)]

    @staticmethod
    def name(slot: datetime) -> str:
        return f"{slot:%Y%m%d}"

    def slot(self, name: str) -> datetime | None:
        try:
            slot = datetime.combine(datetime.strptime(name, "%Y%m%d"), self._time)  # noqa: DTZ007
        except ValueError:
            return None
        return slot if slot in self.changed or self._counted(slot, slot) else None

    @property
    def first(self) -> str:
        return "" if self.begins.date() in self._removed else self.name(self.begins)

    @property
    def subject(self) -> object:
        return text(self._standing, "Subject")

    def before(self, name: str, moment: datetime) -> bool:
        return name[:8] < f"{self._wall(moment):%Y%m%d}"

    def index(self, slot: datetime) -> int:
        """The how manieth it is, from 1; what was taken out counts as well."""
        return sum(1 for _ in self._rule.up_to(slot))

    # ── What each says ───────────────────────────────────────────────────────────────────────────────────────

    def occurrence(self, slot: datetime) -> Occurrence:
        return self._differing[slot] if slot in self.changed else self._told(self.shown(slot))

    def shown(self, slot: datetime) -> Properties:
        """Of an occurrence that does not differ from the series but by its times."""
        return {**self._standing, "Start": self.start(slot), "End": self._moment(slot + self._length)}

    def start(self, slot: datetime) -> datetime:
        return self._moment(slot)

    def version(self, standing: Properties) -> str:
        """What an occurrence with these properties says, and no more."""
        return self._told(standing).version

    def _told(self, standing: Properties) -> Occurrence:
        try:
            item = mapping.read(Kind.APPOINTMENT, "", standing, self._zone)
        except properties.Malformed as error:
            raise Malformed(error.rule) from None
        said = repr((sorted(item.columns.items()), sorted(item.tags), item.private))
        version = blake2b(said.encode("utf-8", "replace"), digest_size=12).hexdigest()
        return Occurrence(item.columns, item.tags, version, item.private)

    # ── Times ────────────────────────────────────────────────────────────────────────────────────────────────

    def _zone_of(self) -> tzinfo:
        found = known(text(self._standing, "StartTimeZone"))
        if found is None and not self._all_day:
            raise Untold("it is held in a time zone that nobody knows")
        return found.rules if found else self._zone.rules

    def _wall_of(self, name: str) -> datetime:
        found = moment(self._standing, name)
        if found is None:
            raise Malformed("it has no start or no end")
        return datetime.combine(self._day(found), time.min) if self._all_day else self._wall(found)

    def _wall(self, at: datetime) -> datetime:
        """On the series' own clock."""
        return to_local(at, self._rules)

    def _slot_of(self, original: datetime) -> datetime:
        return datetime.combine(self._day(original), self._time)

    def _day(self, at: datetime) -> date:
        return nearest_day(at, self._rules) if self._all_day else self._wall(at).date()

    def _moment(self, wall: datetime) -> datetime:
        if self._all_day:
            return midnight(wall.date(), self._rules)
        return to_utc(wall, self._rules).astimezone(UTC)
