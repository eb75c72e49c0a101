"""Columns that are one property each: a row says which, and how it reads, is written, and comes back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Protocol

from crmsync.connectors.activities import MARKS, activity_of, marked, others
from crmsync.connectors.columns import Type
from crmsync.connectors.contract import Columns, Value
from crmsync.connectors.dav.values import ABSENT, Absent, Maybe, clean
from crmsync.connectors.ews.properties import Properties, Property

SHORT = 255  # UTF-16 units: what Exchange keeps of subjects, names and the like
LONG = 500_000  # of a body


class Row(Protocol):
    """``project`` is what ``read`` makes of what ``write`` wrote; it is only written what it does not call ABSENT."""

    @property
    def name(self) -> str: ...

    def read(self, properties: Properties, zone: tzinfo) -> Maybe: ...

    def write(self, value: Value, zone: tzinfo) -> Property: ...

    def project(self, value: Value) -> Maybe: ...


Rows = Mapping[str, Row]


def read_rows(rows: Rows, properties: Properties, zone: tzinfo) -> dict[str, Value]:
    found = {column: row.read(properties, zone) for column, row in rows.items()}
    return {column: value for column, value in found.items() if not isinstance(value, Absent)}


def project_rows(rows: Rows, columns: Columns) -> dict[str, Value]:
    found = {column: rows[column].project(value) for column, value in columns.items() if column in rows}
    return {column: value for column, value in found.items() if not isinstance(value, Absent)}


def write_rows(rows: Rows, columns: Columns, zone: tzinfo) -> dict[str, Property]:
    """``columns``: as ``project_rows`` has left them."""
    return {rows[c].name: rows[c].write(value, zone) for c, value in columns.items() if c in rows}


@dataclass(frozen=True, slots=True)
class Text:
    name: str
    type: Type = Type.TEXT
    limit: int = SHORT

    def read(self, properties: Properties, zone: tzinfo) -> Maybe:
        return self.project(properties.get(self.name))

    def write(self, value: Value, zone: tzinfo) -> Property:
        return value if isinstance(value, str) else None

    def project(self, value: Value) -> Maybe:
        cleaned = clean(value, self.type) if isinstance(value, str) else None
        return clean(shortened(cleaned, self.limit), self.type) if cleaned else None


@dataclass(frozen=True, slots=True)
class Body(Text):
    """As plain text. Exchange ends it with line breaks of its own, when it has made it from another form."""

    type: Type = Type.LONG
    limit: int = LONG

    def project(self, value: Value) -> Maybe:
        found = Text.project(self, value)
        return found.rstrip("\n") or None if isinstance(found, str) else found


def shortened(text: str, units: int) -> str:
    """Exchange counts as Windows does: a character beyond the first 65,536 is two."""
    if len(text) * 2 <= units:
        return text
    return text.encode("utf-16-le")[: units * 2].decode("utf-16-le", "ignore")


@dataclass(frozen=True, slots=True)
class Choice:
    name: str
    words: Mapping[str, str]  # of the column -> of Exchange
    default: str  # the column's word where there is none
    unknown: Maybe = ABSENT  # for a word of Exchange that the column has none for

    def read(self, properties: Properties, zone: tzinfo) -> Maybe:
        found = properties.get(self.name)
        if found is None:
            return self.default
        return next((word for word, token in self.words.items() if token == found), self.unknown)

    def write(self, value: Value, zone: tzinfo) -> Property:
        return self.words[str(value)]

    def project(self, value: Value) -> Maybe:
        if value is None:
            return self.default
        return value if value in self.words else ABSENT


@dataclass(frozen=True, slots=True)
class Words:
    """Categories, the tag among them."""

    name: str

    def read(self, properties: Properties, zone: tzinfo) -> Maybe:
        return self.project(properties.get(self.name))

    def write(self, value: Value, zone: tzinfo) -> Property:
        return value if isinstance(value, tuple) else None

    def project(self, value: Value) -> Maybe:
        words = {category(word) for word in value} if isinstance(value, tuple) else set()
        return tuple(sorted(words - {""})) or None


@dataclass(frozen=True, slots=True)
class TaskWords(Words):
    """All categories but the one that says which activity a task stands for."""

    def project(self, value: Value) -> Maybe:
        held = Words.project(self, value)
        return others(held) or None if isinstance(held, tuple) else held


@dataclass(frozen=True, slots=True)
class Activity:
    """That one. What is written is completed by ``with_activity``: one property holds both columns."""

    name: str

    def read(self, properties: Properties, zone: tzinfo) -> Maybe:
        words = properties.get(self.name)
        return activity_of(words) if isinstance(words, tuple) else None

    def write(self, value: Value, zone: tzinfo) -> Property:
        return marked((), value) if isinstance(value, str) else None

    def project(self, value: Value) -> Maybe:
        return value if value is None or value in MARKS else ABSENT


def with_activity(standing: Property, wanted: Columns) -> tuple[str, ...] | None:
    """The categories of a task that shall show these columns, where ``standing`` are there now."""
    words = standing if isinstance(standing, tuple) else ()
    activity = wanted["activity"] if "activity" in wanted else activity_of(words)
    if "categories" in wanted:
        given = wanted["categories"]
        kept = [w for w in words if activity and activity_of([w]) == activity]
        words = (*(given if isinstance(given, tuple) else ()), *kept)
    return marked(words, activity if isinstance(activity, str) else None) or None


def among(tag: str, words: Property) -> bool:
    """Whether a tag is one of these categories; capital letters make no difference, as in Outlook."""
    wanted = category(tag).casefold()
    return isinstance(words, tuple) and any(category(word).casefold() == wanted for word in words)


def category(word: str) -> str:
    """As a category is read back."""
    return shortened((clean(word) or "").replace("\n", " ").strip(), SHORT).strip()


@dataclass(frozen=True, slots=True)
class Day:
    """A date that Exchange keeps as a moment: MS-OXOCNTC 2.2.1.5.1 has birthdays at 11:59 in UTC, MS-OXOTASK days of
    tasks at midnight; other clients write the midnight of where they are."""

    name: str
    noon: bool = False  # how we write it

    def read(self, properties: Properties, zone: tzinfo) -> Maybe:
        found = properties.get(self.name)
        return day_of(found, zone) if isinstance(found, datetime) else None

    def write(self, value: Value, zone: tzinfo) -> Property:
        return at_utc(value, noon=self.noon) if isinstance(value, date) else None

    def project(self, value: Value) -> Maybe:
        if isinstance(value, datetime):
            value = value.astimezone(UTC).date()
        return value if isinstance(value, date) and within_bounds(value) else None


def at_utc(day: date, *, noon: bool = False) -> datetime:
    return datetime(day.year, day.month, day.day, *((11, 59) if noon else (0, 0)), tzinfo=UTC)


def day_of(at: datetime, zone: tzinfo) -> date:
    """Midnight in UTC and 11:59 are a day by themselves; any other moment is midnight somewhere: in ``zone``, or as
    near to it as it can be."""
    at = at.astimezone(UTC)
    if (at.hour, at.minute) in ((0, 0), (11, 59)):
        return at.date()
    return (at.astimezone(zone).replace(tzinfo=None) + timedelta(hours=12)).date()


def within_bounds(day: date) -> bool:
    """Exchange's clock begins in 1601, and 4501 means "none"."""
    return 1601 < day.year < 4500
